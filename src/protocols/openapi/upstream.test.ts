import assert from 'node:assert/strict';
import { test } from 'node:test';
import { OPERATOR } from '../../core/caller.ts';
import { SILENT } from '../../core/log.ts';
import { OPEN_PERMISSIONS } from '../../core/permissions.ts';
import { checkOf } from '../../formats/schema/check.ts';
import { callOver } from '../../resources/services/client.ts';
import { OpenServices } from '../../resources/services/registry.ts';
import { World } from '../../sim/world.ts';
import { baseOf, DocumentError, readDocument } from './read-document.ts';
import { describeOpenapi, type RestCarrier } from './server-upstream.ts';

const DOCUMENT = {
  openapi: '3.0.3',
  info: { title: 'Pets' },
  paths: {
    '/pets': {
      get: {
        operationId: 'listPets',
        parameters: [
          { name: 'page-size', in: 'query', schema: { type: 'integer', format: 'int32' } },
          { name: 'tag', in: 'query', schema: { type: 'array', items: { type: 'string' } } },
          { name: 'X-Trace', in: 'header', schema: { type: 'string' } },
        ],
        responses: {
          200: {
            content: { 'application/json': { schema: { type: 'array', items: { $ref: '#/components/schemas/Pet' } } } },
          },
        },
      },
      post: {
        operationId: 'add_pet',
        requestBody: {
          required: true,
          content: { 'application/json': { schema: { $ref: '#/components/schemas/NewPet' } } },
        },
        responses: { 201: { content: { 'application/json': { schema: { $ref: '#/components/schemas/Pet' } } } } },
      },
    },
    '/pets/{pet-id}': {
      parameters: [{ name: 'pet-id', in: 'path', required: true, schema: { type: 'integer', format: 'int64' } }],
      delete: { responses: { 204: {} } },
    },
  },
  components: {
    schemas: {
      NewPet: {
        type: 'object',
        required: ['name'],
        properties: {
          name: { type: 'string' },
          kind: { type: 'string', enum: ['CAT', 'DOG'] },
          born: { type: 'string', format: 'date-time' },
          photo: { type: 'string', format: 'byte' },
          'owner-names': { type: 'array', items: { type: 'string' } },
          marks: { type: 'object', additionalProperties: { type: 'integer' } },
          any: {},
        },
      },
      Pet: {
        allOf: [
          { $ref: '#/components/schemas/NewPet' },
          {
            type: 'object',
            required: ['id'],
            properties: { id: { type: 'integer' }, parent: { $ref: '#/components/schemas/Pet' } },
          },
        ],
      },
    },
  },
};

function served(answers: (verb: string, target: string, fields: object, body: unknown) => readonly [number, unknown]) {
  const asked: unknown[] = [];
  const carrier: RestCarrier = {
    async ask(verb, target, fields, body) {
      asked.push([verb, target, body === null ? null : JSON.parse(body)]);
      const [status, json] = answers(verb, target, fields, body);
      return { status, text: json === undefined ? '' : JSON.stringify(json) };
    },
  };
  const described = describeOpenapi(DOCUMENT, 'partner.v1.Pets', carrier);
  const world = new World(1);
  const services = new OpenServices({ turn: world.turn, log: SILENT, permissions: OPEN_PERMISSIONS });
  services.put('partner', [described]);
  const call = async (method: string, input: unknown): Promise<unknown> => {
    let over = false;
    const done = callOver(services.carrier(OPERATOR), 'partner.v1.Pets', method, input, {}) as Promise<unknown>;
    void Promise.resolve(done)
      .catch(() => {})
      .then(() => {
        over = true;
      });
    while (!over) {
      world.pass(1);
      await new Promise(setImmediate);
    }
    return done;
  };
  return { asked, call, service: described.service };
}

test('operations are methods, and their values travel as the other server has them', async () => {
  const pet = {
    id: 9007199254740991,
    name: 'Tom',
    kind: 'CAT',
    born: '2020-01-01T00:00:00Z',
    photo: 'AAE=',
    'owner-names': ['ann'],
    marks: { ears: 2 },
    any: { x: [1] },
    parent: { id: 1, name: 'Tim' },
  };
  const { asked, call, service } = served((verb) =>
    verb === 'GET' ? [200, [pet]] : verb === 'POST' ? [201, pet] : [204, undefined],
  );
  assert.deepEqual([...service.methods.keys()], ['ListPets', 'AddPet', 'DeletePetsPetId']);
  const own = {
    id: 9007199254740991n,
    name: 'Tom',
    kind: 'CAT',
    born: new Date('2020-01-01'),
    photo: new Uint8Array([0, 1]),
    ownerNames: ['ann'],
    marks: { ears: 2n },
    any: { x: [1] },
    parent: { id: 1n, name: 'Tim', ownerNames: [], marks: {} },
  };
  const { id: _id, parent: _parent, ...given } = own;
  assert.deepEqual(await call('AddPet', { body: given }), own);
  assert.deepEqual(await call('ListPets', { pageSize: 5, tag: ['a b', 'c'] }), { value: [own] });
  assert.deepEqual(await call('DeletePetsPetId', { petId: 7n }), {});
  const { id: _wireId, parent: _wireParent, ...wire } = pet;
  assert.deepEqual(asked, [
    ['POST', '/pets', { ...wire, born: '2020-01-01T00:00:00.000Z' }],
    ['GET', '/pets?page-size=5&tag=a%20b&tag=c', null],
    ['DELETE', '/pets/7', null],
  ]);
  const violations: { path: string; text: string }[] = [];
  checkOf(service.schema, service.methods.get('AddPet')!.input)({ body: {} }, violations);
  assert.deepEqual(violations, [{ path: 'body.name', text: 'is required' }]);
});

test('what the other server refuses is told by code and in its words', async () => {
  for (const [status, body, code, message] of [
    [404, { detail: 'no such pet' }, 'NOT_FOUND', 'no such pet'],
    [422, { message: 'bad' }, 'INVALID_ARGUMENT', 'bad'],
    [503, 'x', 'UNAVAILABLE', 'the upstream answered with status 503'],
    [418, {}, 'UNKNOWN', 'the upstream answered with status 418'],
  ] as const) {
    const { call } = served(() => [status, body]);
    await assert.rejects(call('DeletePetsPetId', { petId: 1n }), { code, message });
  }
  const { call } = served(() => [200, 'text']);
  await assert.rejects(call('ListPets', {}), (error: { code: string }) => error.code === 'INTERNAL');
});

test('what is no document is said to be none', async () => {
  const carrier = { ask: () => Promise.reject(new Error('not asked')) };
  for (const text of [
    'openapi: 3.0.0',
    '{}',
    '7',
    '',
    '{"openapi":"2.0","paths":{}}',
    '{"openapi":"3.1.0","paths":{}}',
  ]) {
    const read = await readDocument(text);
    assert.throws(() => describeOpenapi(read, 'a.B', carrier), DocumentError, text);
  }
});

test('a document in YAML is the same as one in JSON, and cannot grow without bound', async () => {
  const text = ['openapi: 3.0.3', 'servers: [{url: /v1}]', 'paths:', '  /pets:', '    get:', '      operationId: list'];
  const read = await readDocument([...text, '      responses:', '        200: {description: all}', ''].join('\n'));
  const responses = { 200: { description: 'all' } };
  assert.deepEqual(read, {
    ...{ openapi: '3.0.3', servers: [{ url: '/v1' }] },
    paths: { '/pets': { get: { operationId: 'list', responses } } },
  });
  assert.equal(baseOf(read, 'https://pets.example/docs/openapi.yaml'), 'https://pets.example/v1');
  assert.equal(baseOf({}, 'https://pets.example/docs/openapi.yaml'), 'https://pets.example');
  const doubling = Array.from({ length: 30 }, (_, index) => `a${index}: &a${index} [*a${index - 1}, *a${index - 1}]`);
  const bomb = ['a0: &a0 [x, x]', ...doubling.slice(1), ''].join('\n');
  await assert.rejects(readDocument(bomb), DocumentError);
  await assert.rejects(readDocument('a: [1, 2'), /neither JSON nor YAML: .* at line 1/);
});
