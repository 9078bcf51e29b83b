// What documents are refused for, each limit at its bound and one past it, and which are kept.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { buildClientSchema, getIntrospectionQuery, type IntrospectionQuery } from 'graphql';
import { z } from 'zod';
import type { Field, MessageType } from '../../formats/schema/types.ts';
import type { Method, Service } from '../../resources/services/contract.ts';
import { defineService } from '../../resources/services/define.ts';
import { Shelf } from './testing/shelf.ts';

const tree = (depth: number) => `{ ordersEchoTree(root: { name: "" }) ${'{ root '.repeat(1)}${nest(depth - 2)} } }`;
const nest = (depth: number): string => (depth === 1 ? '{ name }' : `{ children ${nest(depth - 1)} }`);

const many = (count: number, of: (index: number) => string) =>
  Array.from({ length: count }, (_, at) => of(at)).join(' ');

test('limits: each is kept to at its bound and refused one past it', () => {
  const rows: [Record<string, number>, fault: string, good: string, bad: string][] = [
    [{ depthMax: 6 }, 'graphql.tooDeep', tree(6), tree(7)],
    [
      { aliasesMax: 3 },
      'graphql.aliasesTooMany',
      `{ ${many(3, (at) => `a${at}: __typename`)} __typename }`,
      `{ ${many(4, (at) => `a${at}: __typename`)} }`,
    ],
    [
      { fieldsMax: 4, aliasesMax: 9 },
      'graphql.fieldsTooMany',
      '{ a: ordersWhoAmI { account } ordersWhoAmI { account } }',
      '{ a: ordersWhoAmI { account } ordersWhoAmI { account cancelled } }',
    ],
    [
      { rootsMax: 2 },
      'graphql.rootsTooMany',
      `{ ${many(2, (at) => `a${at}: ordersWhoAmI { account }`)} }`,
      `{ ${many(3, (at) => `a${at}: ordersWhoAmI { account }`)} }`,
    ],
    [{ tokensMax: 6 }, 'graphql.tokensTooMany', '{ a: __typename }', '{ a: __typename b: __typename }'],
    [{ documentCharactersMax: 16 }, 'graphql.tooLong', '{ __typename   }', '{ __typename    }'],
    [
      { directivesMax: 2 },
      'graphql.directivesTooMany',
      `{ ${many(2, (at) => `a${at}: __typename @skip(if: false)`)} }`,
      `{ ${many(3, (at) => `a${at}: __typename @skip(if: false)`)} }`,
    ],
    // 10 for the call, 1 for the list, 10 for what is in it.
    [
      { costMax: 21 },
      'graphql.tooCostly',
      '{ ordersGetOrder(id: "") { items { sku } } }',
      '{ ordersGetOrder(id: "") { id items { sku } } }',
    ],
  ];
  for (const [limits, fault, good, bad] of rows) {
    const shelf = new Shelf(limits);
    assert.equal(shelf.refusal(good), '', `${fault} at its bound`);
    assert.equal(shelf.refusal(bad), fault);
  }
});

test('fragments count for each use, and cost no more to measure than to read', () => {
  const shelf = new Shelf({ tokensMax: 100_000 });
  // Thirty levels of twice the one below: a billion fields.
  const bomb = `{ ordersEchoTree(root: { name: "" }) { root { ...F0 } } } ${many(
    30,
    (at) => `fragment F${at} on Tree { a: children { ...F${at + 1} } b: children { ...F${at + 1} } }`,
  )} fragment F30 on Tree { name }`;
  assert.equal(shelf.refusal(bomb), 'graphql.tooDeep');
  assert.equal(new Shelf({ tokensMax: 100_000, depthMax: 200 }).refusal(bomb), 'graphql.aliasesTooMany');
  const wide = `{ ordersWhoAmI { ...F0 } } ${many(30, (at) => `fragment F${at} on WhoAmIResponse { ...F${at + 1} ...F${at + 1} }`)} fragment F30 on WhoAmIResponse { account }`;
  assert.equal(shelf.refusal(wide), 'graphql.fieldsTooMany');
});

test('fragments that contain themselves are refused, used or not (§5.5.2.2)', () => {
  const shelf = new Shelf();
  for (const bad of [
    '{ __typename } fragment A on Order { ...A }',
    '{ __typename } fragment A on Order { items { sku } ...B } fragment B on Order { ... on Order { ...A } }',
    '{ ordersGetOrder(id: "") { ...A } } fragment A on Order { ...B } fragment B on Order { ...C } fragment C on Order { ...A }',
  ])
    assert.equal(shelf.refusal(bad), 'graphql.fragmentCycle');
});

test('what is wrong with a document or its variables is the caller’s', () => {
  const shelf = new Shelf();
  assert.equal(shelf.refusal('{'), 'graphql.syntax');
  assert.equal(shelf.refusal(''), 'graphql.syntax');
  assert.equal(shelf.refusal('{ nothing }'), 'BAD_USER_INPUT');
  assert.equal(shelf.refusal('query($id: String!) { ordersGetOrder(id: $id) { id } }', {}), 'BAD_USER_INPUT');
  assert.equal(shelf.refusal('query A { __typename } query B { __typename }'), 'BAD_USER_INPUT');
  assert.equal(shelf.refusal('query A { __typename }', null, { operationName: 'B' }), 'BAD_USER_INPUT');
  assert.equal(shelf.refusal('query A { __typename } query B { __typename }', null, { operationName: 'B' }), '');
  assert.equal(shelf.refusal('fragment A on Order { id }'), 'BAD_USER_INPUT');
  assert.equal(
    shelf.refusal('subscription { a: ordersCount(count: 1) { index } b: ordersCount(count: 1) { index } }'),
    'BAD_USER_INPUT',
  );
});

test('introspection is answered whole, and not at all when it is turned off', () => {
  const shelf = new Shelf();
  const query = getIntrospectionQuery({ inputValueDeprecation: true, directiveIsRepeatable: true, oneOf: true });
  const { output } = shelf.start(query);
  const { data } = output.last as { data: IntrospectionQuery };
  assert.ok(buildClientSchema(data).getQueryType()!.getFields().ordersGetOrder);
  const silent = new Shelf({}, { introspection: false });
  assert.equal(silent.refusal(query), 'BAD_USER_INPUT');
  assert.equal(silent.refusal('{ __typename }'), '');
  const request = {
    query: '{ orderGetOrder { i } }',
    operationName: null,
    variables: null,
    extensions: null,
    documentId: null,
  };
  const told = ({ engine }: Shelf) => (engine.ready(request) as readonly { message: string }[])[0]!.message;
  assert.match(told(shelf), /Did you mean "ordersGetOrder"/);
  assert.equal(told(silent), 'Cannot query field "orderGetOrder" on type "Query".');
  // Loops through fields and their types are not a way to fill the memory.
  assert.notEqual(
    shelf.refusal(
      '{ __schema { types { fields { type { fields { type { fields { type { fields { name } } } } } } } } } }',
    ),
    '',
  );
});

test('documents are kept, so many and no more, and not those that are wrong', () => {
  const shelf = new Shelf({ documentsMax: 4 });
  for (let round = 0; round < 10; round++) {
    assert.equal(shelf.refusal(`{ a${round}: __typename }`), '');
    shelf.refusal(`{ nothing${round} }`);
    assert.ok(shelf.engine.kept.documents <= 4);
  }
  assert.ok(shelf.engine.kept.documents > 0);
  const small = new Shelf({ documentsCharactersMax: 1_024 });
  for (let round = 0; round < 10; round++) small.refusal(`{ a: __typename } #${String(round).repeat(400)}`);
  assert.ok(small.engine.kept.documents <= 2);
});

test('when the services change, so does the schema, and what was kept is asked anew', () => {
  const shelf = new Shelf();
  assert.equal(shelf.refusal('{ ordersWhoAmI { account } }'), '');
  const Thing = z.object({ name: z.string() });
  const service = (name: string) =>
    defineService({
      name: name as 'a.v1.Things',
      types: { Thing },
      methods: { Find: { input: z.object({}), output: Thing, idempotency: 'safe', handler: () => ({ name: '' }) } },
    });
  shelf.services.become([service('a.v1.Things')]);
  assert.equal(shelf.refusal('{ ordersWhoAmI { account } }'), 'BAD_USER_INPUT');
  assert.equal(shelf.refusal('{ thingsFind { name __typename } }'), '');
  // Two of one short name: neither has it.
  shelf.services.become([service('a.v1.Things'), service('b.v1.Things')]);
  assert.equal(shelf.refusal('{ thingsFind { name } }'), 'BAD_USER_INPUT');
  assert.equal(
    shelf.refusal(
      '{ a_v1_Things_find { ...A } b_v1_Things_find { ...B } } fragment A on a_v1_Thing { name } fragment B on b_v1_Thing { name }',
    ),
    '',
  );
});

test('a service that no schema can have is left out, and takes no other with it', () => {
  const shelf = new Shelf();
  const self: Field = {
    name: 'self',
    protoName: 'self',
    number: 1,
    type: { kind: 'named', name: 'a.v1.Loop' },
    many: 'one',
    optional: true,
    required: true,
  };
  // It must contain itself: GraphQL has no such input (§3.10).
  const loop: MessageType = { kind: 'message', name: 'a.v1.Loop', fields: [self] };
  const methods = new Map<string, Method>();
  const schema = { types: new Map([[loop.name, loop]]) };
  const service: Service = { name: 'a.v1.Loops', methods, schema, description: '', origin: 'program' };
  const facts = {
    kind: 'unary',
    idempotency: 'safe',
    http: [],
    description: '',
    deprecated: false,
    deadlineMs: 1,
  } as const;
  methods.set('Go', { name: 'Go', service, input: loop, output: loop, ...facts });
  shelf.services.all = new Map([...shelf.services.all, [service.name, service]]);
  shelf.services.epoch++;
  assert.equal(shelf.refusal('{ loopsGo { __typename } }'), 'BAD_USER_INPUT');
  assert.equal(shelf.refusal('{ ordersWhoAmI { account } }'), '');
});

const hashOf = (text: string) => createHash('sha256').update(text).digest('hex');
const persisted = (sha256Hash: string) => ({ extensions: { persistedQuery: { version: 1, sha256Hash } } });

test('a document is left by its hash, and found by that alone until too many others are', () => {
  const shelf = new Shelf({ persistedMax: 2 });
  const ask = (query: string | null, text: string) => shelf.refusal(query as string, null, persisted(hashOf(text)));
  const texts = [1, 2, 3].map((at) => `{ a${at}: __typename }`);
  assert.equal(ask(null, texts[0]!), 'graphql.documentUnknown');
  for (const text of texts) assert.equal(ask(text, text), '');
  assert.equal(shelf.engine.kept.persisted, 2);
  assert.deepEqual(
    texts.map((text) => ask(null, text)),
    ['graphql.documentUnknown', '', ''],
  );
  assert.equal(ask(texts[0]!, texts[1]!), 'BAD_USER_INPUT');
  assert.equal(ask('{ nothing }', '{ nothing }'), 'BAD_USER_INPUT');
  assert.equal(ask(null, '{ nothing }'), 'graphql.documentUnknown');
});

test('with registered documents only, no other is answered', () => {
  const text = '{ __typename }';
  const documents = { [hashOf(text)]: text, named: '{ named: __typename }' };
  const shelf = new Shelf({}, { documents, onlyDocuments: true });
  assert.equal(shelf.refusal(text), 'BAD_USER_INPUT');
  assert.equal(shelf.refusal(null as never, null, { documentId: 'named' }), '');
  assert.equal(shelf.refusal(null as never, null, { documentId: `sha256:${hashOf(text)}` }), '');
  assert.equal(shelf.refusal(text, null, persisted(hashOf(text))), '');
  assert.equal(shelf.refusal(null as never, null, { documentId: 'other' }), 'graphql.documentUnknown');
});

test('property: no document throws, and each is refused or prepared', () => {
  const shelf = new Shelf();
  const word = fc.constantFrom(
    '{',
    '}',
    '(',
    ')',
    '...',
    'on',
    'query',
    'mutation',
    'subscription',
    'fragment',
    'F',
    'Order',
    'id',
    ':',
    '$v',
    '!',
    '@skip',
    'if',
    'true',
    '"x"',
    '"""',
    '#',
    '1',
    '[',
    ']',
    '=',
    'ordersGetOrder',
    '__schema',
    '\\',
    '\u0000',
    '\ud800',
  );
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(word, { maxLength: 60 }).map((words) => words.join(' ')),
        fc.string({ unit: 'binary' }),
      ),
      (text) => {
        assert.equal(typeof shelf.refusal(text), 'string');
      },
    ),
    { numRuns: 2_000 },
  );
});
