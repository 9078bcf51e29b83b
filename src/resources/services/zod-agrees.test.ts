// The check and zod say the same of the same values, whatever the schema: what zod takes passes, and what the check takes,
// where zod is not asked any more, zod takes as well.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import { checkOf } from '../../formats/schema/check.ts';
import type { Violation } from '../../formats/schema/types.ts';
import { defineService, describe } from './define.ts';
import { bytes, duration, oneof } from './zod-types.ts';

/** A schema, and values that may or may not be right. */
interface Kind {
  readonly schema: z.ZodType;
  readonly values: fc.Arbitrary<unknown>;
}

const text = fc.oneof(
  fc.string({ maxLength: 8 }),
  fc.constantFrom(
    'a@example.com',
    '127.0.0.1',
    '::1',
    '2024-02-29',
    '2023-02-29',
    'example.com',
    'https://a.example/x',
  ),
  fc.emailAddress(),
  fc.uuid(),
  fc.webUrl(),
  fc.ipV4(),
  fc.ipV6(),
);
const real = fc.oneof(
  { weight: 6, arbitrary: fc.integer({ min: -10, max: 30 }) },
  fc.double(),
  fc.integer(),
  fc.constantFrom(0.3, 1.1, 1e21, -0, 2 ** 31, 2 ** 32, 2 ** 53, Number.NaN),
);
const big = fc.oneof(
  { weight: 4, arbitrary: fc.bigInt({ min: -5n, max: 30n }) },
  fc.bigInt(),
  fc.constantFrom(0n, 2n ** 63n, 2n ** 64n - 1n, -(2n ** 63n), -1n),
);

/** Mostly right ones. */
function mostly(right: fc.Arbitrary<string>): fc.Arbitrary<string> {
  return fc.oneof({ weight: 4, arbitrary: right }, { weight: 1, arbitrary: text });
}

const bounds = fc.record({ min: fc.integer({ min: -20, max: 20 }), span: fc.integer({ min: 0, max: 20 }) });

const leaf: fc.Arbitrary<Kind> = fc.oneof(
  fc.constantFrom<Kind>(
    { schema: z.string(), values: text },
    { schema: z.boolean(), values: fc.oneof(fc.boolean(), fc.constant('true')) },
    { schema: z.int32(), values: real },
    { schema: z.uint32(), values: real },
    { schema: z.int(), values: real },
    { schema: z.number(), values: real },
    { schema: z.float32(), values: real },
    { schema: z.int64(), values: big },
    { schema: z.uint64(), values: big },
    { schema: z.date(), values: fc.date({ min: new Date('0001-01-01'), max: new Date('9999-12-31') }) },
    { schema: z.enum(['RED', 'BLUE']), values: fc.constantFrom('RED', 'BLUE', 'GREEN') },
    { schema: z.literal('ONE'), values: fc.constantFrom('ONE', 'TWO') },
    { schema: z.email(), values: mostly(fc.emailAddress()) },
    { schema: z.uuid(), values: mostly(fc.uuid()) },
    { schema: z.url(), values: mostly(fc.webUrl()) },
    { schema: z.ipv4(), values: mostly(fc.ipV4()) },
    { schema: z.ipv6(), values: mostly(fc.ipV6()) },
    {
      schema: z.iso.date(),
      values: mostly(
        fc
          .date({ min: new Date('1000-01-01'), max: new Date('9999-12-31'), noInvalidDate: true })
          .map((date) => date.toISOString().slice(0, 10)),
      ),
    },
    {
      schema: z.iso.datetime(),
      values: fc.oneof(
        text,
        fc.date({ noInvalidDate: true }).map((date) => date.toISOString()),
      ),
    },
    { schema: z.hostname(), values: mostly(fc.domain()) },
    { schema: z.base64(), values: mostly(fc.base64String()) },
    { schema: z.string().startsWith('a'), values: mostly(fc.string().map((rest) => `a${rest}`)) },
    { schema: z.string().regex(/^[a-m]+$/), values: mostly(fc.stringMatching(/^[a-m]+$/)) },
    { schema: z.string().regex(/^[a-m]+$/i), values: mostly(fc.stringMatching(/^[a-mA-M]+$/)) },
    { schema: z.number().multipleOf(0.1), values: real },
    { schema: z.int32().multipleOf(3), values: real },
    { schema: bytes({ max: 3 }), values: fc.uint8Array({ maxLength: 5 }) },
    { schema: duration({ min: 0 }), values: fc.double({ min: -1e9, max: 1e9 }) },
    { schema: z.json(), values: fc.jsonValue() },
    { schema: z.string().refine((value) => value.length !== 3), values: text },
  ),
  bounds.map(
    ({ min, span }): Kind => ({
      schema: z
        .number()
        .min(min)
        .max(min + span),
      values: real,
    }),
  ),
  bounds.map(
    ({ min, span }): Kind => ({
      schema: z
        .int32()
        .gt(min)
        .lt(min + span),
      values: real,
    }),
  ),
  bounds.map(
    ({ min, span }): Kind => ({
      schema: z
        .int64()
        .gte(BigInt(min))
        .lt(BigInt(min + span)),
      values: big,
    }),
  ),
  bounds.map(
    ({ span }): Kind => ({
      schema: z
        .string()
        .min(span >> 2)
        .max(span),
      values: text,
    }),
  ),
);

const field: fc.Arbitrary<Kind> = fc.oneof(
  leaf,
  leaf.map(
    ({ schema, values }): Kind => ({ schema: schema.optional(), values: fc.option(values, { nil: undefined }) }),
  ),
  fc.tuple(leaf, fc.nat(3)).map(([{ schema, values }, min]): Kind => {
    return {
      schema: z
        .array(schema)
        .min(min)
        .max(min + 2),
      values: fc.array(values, { maxLength: 6 }),
    };
  }),
  leaf.map(({ schema, values }): Kind => {
    return {
      schema: z.record(z.string(), schema),
      values: fc.dictionary(fc.string(), values, { maxKeys: 3, noNullPrototype: true }),
    };
  }),
);

const message: fc.Arbitrary<Kind> = fc.letrec<{ message: Kind; field: Kind }>((tie) => ({
  field: fc.oneof({ maxDepth: 2 }, field, tie('message')),
  message: fc.array(tie('field'), { minLength: 1, maxLength: 3 }).map((fields): Kind => {
    const shape = Object.fromEntries(fields.map(({ schema }, index) => [`f${index}`, schema]));
    const values = Object.fromEntries(fields.map(({ values }, index) => [`f${index}`, values]));
    return { schema: z.object(shape), values: fc.record(values) };
  }),
})).message;

const cases = message.chain(({ schema, values }) => values.map((value) => ({ schema: schema as z.ZodObject, value })));

test('what zod takes, the check takes; what the check takes alone, zod takes', () => {
  let taken = 0;
  fc.assert(
    fc.property(cases, ({ schema, value }) => {
      const { service, handlers } = describe(
        defineService({
          name: 'a.v1.S',
          methods: { Do: { input: schema, output: z.object({}), handler: () => ({}) } },
        }),
      );
      const method = service.methods.get('Do')!;
      const violations: Violation[] = [];
      const checked = checkOf(service.schema, method.input)(value, violations);
      const parsed = schema.safeParse(value);
      if (parsed.success) {
        taken++;
        assert.deepEqual(violations, []);
      }
      if (violations.length > 0 || handlers.get('Do')!.refineInput !== null) return;
      const after = schema.safeParse(checked);
      assert.ok(after.success, `${JSON.stringify(after.error?.issues)} of ${fc.stringify(checked)}`);
    }),
    { numRuns: 2_000 },
  );
  assert.ok(taken > 100);
});

test('at most one of a oneof', () => {
  const schema = z.object({ ...oneof('o', { a: z.string(), b: z.int32() }) });
  const { service } = describe(
    defineService({ name: 'a.v1.S', methods: { Do: { input: schema, output: schema, handler: (input) => input } } }),
  );
  const check = checkOf(service.schema, service.methods.get('Do')!.input);
  fc.assert(
    fc.property(
      fc.record({ a: fc.option(fc.string(), { nil: undefined }), b: fc.option(fc.integer(), { nil: undefined }) }),
      (value) => {
        const violations: Violation[] = [];
        check(value, violations);
        assert.equal(violations.length, value.a !== undefined && value.b !== undefined ? 1 : 0);
      },
    ),
  );
});
