import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import type { Field, MessageType } from '../../formats/schema/types.ts';
import type { ClientOf } from './client.ts';
import { defineService, describe } from './define.ts';
import { DefinitionError } from './from-zod.ts';
import { shopService } from './testing/shop.ts';
import { bytes, duration } from './zod-types.ts';

function described(output: z.ZodObject, types: Record<string, z.ZodType> = {}) {
  const definition = defineService({
    name: 'a.v1.Service',
    types,
    methods: { Do: { input: z.object({}), output, handler: () => ({}) as never } },
  });
  return describe(definition);
}

function fieldOf(schema: z.ZodType): Field {
  const { service } = described(z.object({ field: schema }));
  return service.methods.get('Do')!.output.fields[0]!;
}

test('each type of zod is a type of the model', () => {
  const rows: [z.ZodType, string, Partial<Field>][] = [
    [z.string(), 'string', { required: true, optional: false }],
    [z.string().optional(), 'string', { required: false, optional: true }],
    [z.boolean(), 'bool', {}],
    [z.int32(), 'int32', {}],
    [z.uint32(), 'uint32', {}],
    [z.int64(), 'int64', {}],
    [z.bigint(), 'int64', {}],
    [z.uint64(), 'uint64', {}],
    [z.float32(), 'float', { constraints: { finite: true } }],
    [z.number().gt(1).lte(5), 'double', { constraints: { min: 1, minExclusive: true, max: 5, finite: true } }],
    [z.int().min(0).max(100), 'int32', { constraints: { min: 0, max: 100 } }],
    [z.int().min(0).max(4e9), 'uint32', { constraints: { min: 0, max: 4e9 } }],
    [z.date(), 'timestamp', {}],
    [duration({ max: 5 }), 'duration', { constraints: { max: 5 } }],
    [bytes({ max: 5 }).describe('raw'), 'bytes', { constraints: { maxLength: 5 }, description: 'raw' }],
    [z.instanceof(Uint8Array), 'bytes', {}],
    [z.json(), 'any', { required: false }],
    [z.email(), 'string', { constraints: { format: 'email' } }],
    [z.string().min(2).regex(/^a/).max(4), 'string', { constraints: { minLength: 2, maxLength: 4, pattern: '^a' } }],
    [
      z.array(z.string().min(1)).max(3),
      'string',
      { many: 'list', each: { minLength: 1 }, constraints: { maxLength: 3 } },
    ],
    [z.record(z.string(), z.int64()), 'int64', { many: 'map', mapKey: 'string' }],
    [z.string().default('x'), 'string', { preset: 'x', required: false, optional: true }],
  ];
  for (const [schema, name, rest] of rows) {
    const field = fieldOf(schema);
    assert.equal(field.type.name, name);
    for (const [key, value] of Object.entries(rest))
      assert.deepEqual(field[key as keyof Field], value, `${name} ${key}`);
  }
});

test('types are named by their author, else after where they stand', () => {
  const Colour = z.enum(['RED', 'BLUE']);
  const Item = z.object({ colour: Colour, size: z.enum(['S', 'M']), parts: z.array(z.object({ name: z.string() })) });
  const { service } = described(z.object({ item: Item.optional(), again: z.array(Item) }), { Item, Colour });
  assert.deepEqual([...service.schema.types.keys()].sort(), [
    'a.v1.Colour',
    'a.v1.DoRequest',
    'a.v1.DoResponse',
    'a.v1.Item',
    'a.v1.ItemParts',
    'a.v1.ItemSize',
  ]);
});

test('what no protocol could carry is refused with the mend', () => {
  const rows: [z.ZodType, RegExp][] = [
    [z.string().nullable(), /no protocol of services has null: use \.optional\(\)/],
    [z.union([z.string(), z.number()]), /oneof\(\)/],
    [z.array(z.array(z.string())), /an object around it/],
    [z.tuple([z.string()]), /use z\.object/],
    [z.coerce.number(), /leave out `coerce`/],
    [z.custom<string>(() => true), /bytes\(\), duration\(\)/],
    [z.enum(['with space']), /cannot be a value of an enum/],
    [z.string().transform((text) => text.length), /cannot be transformed/],
    [z.looseObject({}), /z\.record/],
    [z.string().catch('x'), /leave out \.catch\(\)/],
  ];
  for (const [schema, text] of rows) {
    const attempt = () => fieldOf(schema);
    assert.throws(
      attempt,
      (error: Error) => error instanceof DefinitionError && text.test(error.message),
      String(text),
    );
    assert.throws(attempt, /DoResponse\.field|a\.v1\.Service\.Do/);
  }
});

test('a definition in plain JavaScript is told what it lacks', () => {
  const method = { input: z.object({}), output: z.object({}), handler: () => ({}) };
  const rows: [string, object, RegExp][] = [
    ['a.v1.S', { Do: { ...method, input: undefined } }, /DoRequest: it is no schema of zod 4/],
    ['a.v1.S', { Do: { ...method, output: { parse() {} } } }, /DoResponse: it is no schema of zod 4/],
    ['a.v1.S', { Do: { ...method, handler: undefined } }, /a\.v1\.S\.Do: it has no handler/],
    ['a.v1.S', { Do: { ...method, kind: 'stream' } }, /its kind is unary, server, client, both/],
    ['a.v1.S', { doIt: method }, /a method has a name like GetOrder/],
    ['Orders', { Do: method }, /a name with its package, like shop\.v1\.Orders/],
    ['a.v1.S', { Do: { ...method, http: 'v1/orders' } }, /not a verb and a path/],
  ];
  for (const [name, methods, text] of rows)
    assert.throws(() => describe(defineService({ name, methods: methods as never })), text);
});

test('a preset that is made anew each time is no preset of the description', () => {
  const fresh = fieldOf(z.number().default(() => Date.now()));
  assert.equal(fresh.preset, undefined);
  const { handlers } = described(z.object({ at: z.number().default(() => Date.now()) }));
  assert.ok(handlers.get('Do')!.refineOutput !== null);
});

test('zod is asked again only where the description does not say all', () => {
  const plain = described(z.object({ text: z.string().min(1), all: z.array(z.int32()) })).handlers.get('Do')!;
  assert.equal(plain.refineOutput, null);
  const deep = z.object({ inner: z.object({ text: z.string().refine((text) => text !== 'no') }) });
  assert.ok(described(deep).handlers.get('Do')!.refineOutput !== null);
});

test('the shop has every type, every kind, and closed references', () => {
  const { service } = describe(shopService());
  const scalars = new Set<string>();
  for (const type of service.schema.types.values()) {
    if (type.kind !== 'message') continue;
    for (const { type: each } of (type as MessageType).fields)
      if (each.kind === 'scalar') scalars.add(each.name);
      else assert.ok(service.schema.types.has(each.name), each.name);
  }
  assert.deepEqual([...scalars].sort(), [
    'any',
    'bool',
    'bytes',
    'double',
    'duration',
    'float',
    'int32',
    'int64',
    'string',
    'timestamp',
    'uint32',
    'uint64',
  ]);
  assert.deepEqual([...new Set([...service.methods.values()].map(({ kind }) => kind))].sort(), [
    'both',
    'client',
    'server',
    'unary',
  ]);
});

test('the compiler knows what handlers are given, what they answer, and what a client has', () => {
  const input = z.object({ a: z.string() });
  const output = z.object({ b: z.number(), c: z.string().default('x') });
  const definition = defineService({
    name: 'a.v1.Typed',
    methods: {
      Right: { input, output, handler: ({ a }, call) => ({ b: a.length + call.metadata.length }) },
      // @ts-expect-error `b` is a number
      Wrong: { input, output, handler: ({ a }) => ({ b: a }) },
      // @ts-expect-error a stream of outputs is an async iterable
      One: { kind: 'server', input, output, handler: () => ({ b: 1 }) },
      Many: {
        kind: 'both',
        input,
        output,
        handler: async function* (inputs) {
          for await (const { a } of inputs) yield { b: a.length };
        },
      },
    },
  });
  const use = async (client: ClientOf<typeof definition>) => {
    const { b, c } = await client.Right({ a: 'x' });
    const texts: [number, string] = [b, c];
    // @ts-expect-error there is no such field
    await client.Right({ d: 5 });
    for await (const each of client.Many([{ a: 'x' }])) texts[0] += each.b;
    // @ts-expect-error there is no such method
    client.Other();
  };
  assert.equal(typeof use, 'function');
  assert.equal(definition.methods.get('Many')?.kind, 'both');
});
