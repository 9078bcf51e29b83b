import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Bench } from './testing/bench.ts';

const topic = fc.constantFrom('a', 'a/b', 'b', '$SYS/x', '#', '');
const filter = fc.constantFrom('a', 'a/#', '+', '#', 'b', 'a/#/b');
const cursor = fc.constantFrom('0', '2', '1000');
const id = fc.option(fc.oneof(fc.nat(9), fc.string({ maxLength: 3 })), { nil: undefined });

const request = fc.oneof(
  fc.record(
    { publish: topic, payload: fc.string(), retain: fc.boolean(), id },
    { requiredKeys: ['publish', 'payload'] },
  ),
  fc.record({ publish: topic, base64: fc.constantFrom('', 'AAEC', '/w==') }),
  fc.record({ publish: topic, json: fc.jsonValue({ maxDepth: 2 }), id }),
  fc.record(
    { subscribe: filter, after: cursor, encoding: fc.constantFrom('auto', 'base64'), echo: fc.boolean(), id },
    { requiredKeys: ['subscribe'] },
  ),
  fc.record({ unsubscribe: filter, id }),
  fc.record({ get: topic, id }),
  fc.record({ call: fc.string(), id }),
  fc.jsonValue({ maxDepth: 1 }),
);

/** What is said to a series of requests. Times are of the run, not of the conversation. */
async function conversation(requests: readonly unknown[], cut: number): Promise<unknown[]> {
  const bench = await Bench.open({ policies: 'durable', cut });
  const talker = bench.talk();
  for (const one of requests) {
    talker.says(JSON.stringify(one));
    await bench.pass(60);
  }
  assert.deepEqual(bench.world.bugs, []);
  assert.equal(talker.closed, '');
  return talker.heard().map((said) => JSON.parse(JSON.stringify(said, (key, value) => (key === 'time' ? 0 : value))));
}

test('however the bytes are cut, the conversation is the same', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(request, { maxLength: 12 }), fc.constantFrom(1, 7, 50), async (requests, cut) => {
      assert.deepEqual(await conversation(requests, cut), await conversation(requests, 0));
    }),
    { numRuns: 60 },
  );
});

test('whatever is asked with an id is answered once', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(request, { maxLength: 12 }), async (requests) => {
      const bench = await Bench.open({ policies: 'durable' });
      const talker = bench.talk();
      const all = requests.map((one, number) =>
        typeof one === 'object' && one !== null && !Array.isArray(one) ? { ...one, id: `n${number}` } : null,
      );
      for (const one of all) if (one !== null) talker.says(one);
      await bench.pass(200);
      const answered = talker.heard().flatMap((said) => ('ack' in said ? said.ack : 'error' in said ? said.id : []));
      const asked = all.flatMap((one) => (one === null ? [] : one.id));
      assert.deepEqual([...answered].sort(), asked.sort());
    }),
    { numRuns: 60 },
  );
});

test('any frames neither throw nor hang, on a bare topic and in portico.json', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.uint8Array({ maxLength: 40 }), fc.string({ unit: 'binary', maxLength: 40 }), fc.boolean())),
      fc.webPath(),
      fc.webQueryParameters(),
      async (frames, path, query) => {
        const bench = await Bench.open({ limits: { messageBytesMax: 64 } });
        for (const target of [undefined, '/topics/a', `/topics${path}?${query}`]) {
          const talker = bench.talk(target);
          for (const [bytes, text, isText] of frames) talker.says(isText ? text.toWellFormed() : bytes);
          await bench.pass(20);
        }
        assert.deepEqual(bench.world.bugs, []);
      },
    ),
    { numRuns: 60 },
  );
});
