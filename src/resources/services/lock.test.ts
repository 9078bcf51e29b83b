import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { z } from 'zod';
import { defineService, describe } from './define.ts';
import { changesOf, type LockedService, locked, lockedOf, numbersOf, readLock, retire, writeLock } from './lock.ts';
import { shopService } from './testing/shop.ts';

function serviceOf(shape: z.core.$ZodLooseShape, lock?: LockedService, more: Record<string, z.ZodType> = {}) {
  const Thing = z.object(shape as z.core.$ZodShape);
  const definition = defineService({
    name: 'a.v1.Service',
    types: { Thing, ...more },
    methods: { Get: { input: z.object({}), output: Thing, handler: () => ({}) as never } },
  });
  return describe(definition, numbersOf(lock)).service;
}

function numbers(service: ReturnType<typeof serviceOf>) {
  return Object.fromEntries(service.methods.get('Get')!.output.fields.map(({ name, number }) => [name, number]));
}

const texts = (lock: LockedService, service: ReturnType<typeof serviceOf>) =>
  changesOf(lock, service)
    .filter(({ breaks }) => breaks)
    .map(({ place, text }) => `${place}: ${text}`);

const lock = lockedOf(serviceOf({ one: z.string(), two: z.int32(), colour: z.enum(['RED', 'BLUE']) }));

test('known fields keep their numbers in whatever order they stand, and new ones get the next', () => {
  const service = serviceOf(
    { new: z.string(), two: z.int32(), one: z.string(), colour: z.enum(['BLUE', 'GREEN', 'RED']) },
    lock,
  );
  assert.deepEqual(numbers(service), { one: 1, two: 2, colour: 3, new: 4 });
  const colour = service.schema.types.get('a.v1.ThingColour');
  assert.deepEqual(colour?.kind === 'enum' && colour.values, [
    { name: 'RED', number: 0 },
    { name: 'BLUE', number: 1 },
    { name: 'GREEN', number: 2 },
  ]);
  assert.deepEqual(texts(lock, service), []);
  assert.deepEqual(
    changesOf(lock, service).map(({ place, text }) => `${place} ${text}`),
    ['a.v1.Thing.new is new, with number 4', 'a.v1.ThingColour.GREEN is new, with number 2'],
  );
});

test('what old clients rely on is not changed in silence, and the words say what to do', () => {
  const rows: [z.core.$ZodLooseShape, RegExp][] = [
    [
      { two: z.int32(), colour: z.enum(['RED', 'BLUE']) },
      /Thing\.one: the field \(number 1\) is gone.*--retire a\.v1\.Thing\.one/,
    ],
    [
      { one: z.int32(), two: z.int32(), colour: z.enum(['RED', 'BLUE']) },
      /Thing\.one: its type was string and is int32: put it back/,
    ],
    [{ one: z.array(z.string()), two: z.int32(), colour: z.enum(['RED', 'BLUE']) }, /was string and is list of string/],
    [{ one: z.string(), two: z.int32(), colour: z.enum(['RED']) }, /ThingColour\.BLUE: the value \(number 1\) is gone/],
    [{ one: z.string(), two: z.int32(), colour: z.object({}) }, /ThingColour: was an enum and is a message/],
  ];
  for (const [shape, text] of rows) {
    const found = texts(lock, serviceOf(shape, lock));
    assert.equal(found.length, 1, found.join('\n'));
    assert.match(found[0]!, text);
  }
  // A .proto has numbers of its own.
  const other = serviceOf({ two: z.int32(), one: z.string(), colour: z.enum(['RED', 'BLUE']) });
  assert.deepEqual(texts(lock, other), [
    'a.v1.Thing.one: its number was 1 and is 2: give it its old number',
    'a.v1.Thing.two: its number was 2 and is 1: give it its old number',
  ]);
});

test('what a caller has to give is not more than old clients give; what he gets may be', () => {
  const service = (extra: z.core.$ZodLooseShape, lock?: LockedService) => {
    const Part = z.object({ name: z.string(), ...extra } as z.core.$ZodShape);
    const definition = defineService({
      name: 'a.v1.Service',
      types: { Part },
      methods: {
        Put: {
          input: z.object({ parts: z.array(Part), ...extra } as z.core.$ZodShape),
          output: z.object({}),
          handler: () => ({}),
        },
        Get: { input: z.object({}), output: z.object(extra as z.core.$ZodShape), handler: () => ({}) as never },
      },
    });
    return describe(definition, numbersOf(lock)).service;
  };
  const before = lockedOf(service({}));
  const found = texts(before, service({ more: z.string() }, before));
  assert.deepEqual(
    found.map((text) => text.split(',')[0]),
    ['a.v1.PutRequest.more: must be given', 'a.v1.Part.more: must be given'],
  );
  assert.deepEqual(texts(before, service({ more: z.string().optional() }, before)), []);
  assert.deepEqual(texts(before, service({ more: z.string().default('x') }, before)), []);
  const optional = lockedOf(service({ more: z.string().optional() }));
  assert.equal(texts(optional, service({ more: z.string() }, optional)).length, 2);
  assert.deepEqual(texts(lockedOf(service({ more: z.string() })), service({ more: z.string() })), []);
});

test('a definition that brings its lock has its numbers wherever it is described', () => {
  const definition = (shape: z.core.$ZodLooseShape, lock?: { version: number; services: object }) => {
    const Thing = z.object(shape as z.core.$ZodShape);
    const methods = { Get: { input: z.object({}), output: Thing, handler: () => ({}) as never } };
    return defineService({ name: 'a.v1.Service', types: { Thing }, methods, ...(lock === undefined ? {} : { lock }) });
  };
  const before = describe(definition({ one: z.string(), two: z.string() })).service;
  const given = { version: 1, services: { 'a.v1.Service': lockedOf(before) } };
  const after = describe(definition({ zero: z.string(), two: z.string(), one: z.string() }, given)).service;
  assert.deepEqual(numbers(after), { one: 1, two: 2, zero: 3 });
});

test('methods that are gone or changed are told', () => {
  const before = lockedOf(describe(shopService()).service);
  const definition = defineService({
    name: 'shop.v1.Orders',
    methods: {
      GetOrder: { kind: 'server', input: z.object({}), output: z.object({}), handler: async function* () {} },
    },
  });
  const found = changesOf(before, describe(definition, numbersOf(before)).service).filter(({ breaks }) => breaks);
  const get = found.filter(({ place }) => place === 'shop.v1.Orders/GetOrder').map(({ text }) => text);
  assert.match(get[0]!, /its kind was unary and is server/);
  assert.match(get[1]!, /its output was shop\.v1\.Order and is shop\.v1\.GetOrderResponse/);
  assert.match(
    found.find(({ place }) => place === 'shop.v1.Orders/Chat')!.text,
    /the method is gone.*--retire shop\.v1\.Orders\/Chat/,
  );
  assert.match(found.find(({ place }) => place === 'shop.v1.OutOfStock')!.text, /the type is gone/);
});

test('a number that was given up is never given again', () => {
  const [retired, unknown] = retire(lock, 'a.v1.Service', ['a.v1.Thing.colour', 'a.v1.Thing.none']);
  assert.deepEqual(unknown, ['a.v1.Thing.none']);
  const service = serviceOf({ one: z.string(), two: z.int32(), three: z.string() }, retired);
  assert.deepEqual(numbers(service), { one: 1, two: 2, three: 4 });
  assert.deepEqual(texts(retired, service), []);
  const next = locked(retired, service);
  assert.deepEqual(
    numbers(serviceOf({ one: z.string(), two: z.int32(), three: z.string(), colour: z.string() }, next)),
    {
      one: 1,
      two: 2,
      three: 4,
      colour: 5,
    },
  );
  // From a .proto, which could.
  const again = {
    ...next,
    types: { ...next.types, 'a.v1.Thing': { ...next.types['a.v1.Thing'], fields: {} } },
  } as LockedService;
  assert.match(
    texts(again, serviceOf({ a: z.string(), b: z.string(), c: z.string() }))[0]!,
    /has number 3, which was that of colour/,
  );
});

test('the file is the same however it came to be, and is read back', () => {
  const { service } = describe(shopService());
  const text = writeLock({ version: 1, services: { 'shop.v1.Orders': lockedOf(service) } });
  const read = readLock(text);
  assert.ok(!(read instanceof Error));
  assert.equal(writeLock(read), text);
  assert.deepEqual(changesOf(read.services['shop.v1.Orders'], service), []);
  for (const bad of ['{', '[]', '{"version":2}', '{"version":1}', 'null'])
    assert.ok(readLock(bad) instanceof Error, bad);
});

test('however fields come and go, no number is ever used twice', () => {
  const names = ['a', 'b', 'c', 'd', 'e'];
  fc.assert(
    fc.property(fc.array(fc.subarray(names), { minLength: 1, maxLength: 8 }), (steps) => {
      const meaning = new Map<number, string>();
      let at: LockedService | undefined;
      let generation = 0;
      const born = new Map<string, number>();
      for (const step of steps) {
        generation++;
        if (at !== undefined) {
          const had = Object.keys((at.types['a.v1.Thing'] as { fields: object }).fields);
          const lost = had.filter((name) => !step.includes(name));
          for (const name of lost) born.delete(name);
          [at] = retire(
            at,
            'a.v1.Service',
            lost.map((name) => `a.v1.Thing.${name}`),
          );
        }
        const service = serviceOf(Object.fromEntries(step.map((name) => [name, z.string()])), at);
        if (at !== undefined) assert.deepEqual(texts(at, service), []);
        for (const [name, number] of Object.entries(numbers(service))) {
          if (!born.has(name)) born.set(name, generation);
          const called = `${name} of ${born.get(name)}`;
          assert.equal(meaning.get(number) ?? called, called);
          meaning.set(number, called);
        }
        at = locked(at, service);
      }
    }),
    { numRuns: 60 },
  );
});
