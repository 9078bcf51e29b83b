import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { messageOf } from './message.ts';
import { isTopicFilter, isTopicName, matches } from './names.ts';
import { RetainedValues } from './retained.ts';
import { LATER, RetainedWalk } from './retained-walk.ts';
import { House } from './testing/house.ts';

const LEVEL = fc.constantFrom('a', 'b', 'c', '$x', '');
const TOPIC = fc
  .array(LEVEL, { minLength: 1, maxLength: 4 })
  .map((levels) => levels.join('/'))
  .filter(isTopicName);
const FILTER = fc
  .array(fc.oneof(LEVEL, fc.constant('+'), fc.constant('#')), { minLength: 1, maxLength: 4 })
  .map((levels) => levels.join('/'))
  .filter(isTopicFilter);

const message = (topic: string) => messageOf({ topic, payload: Buffer.from('1'), assurance: 0 }, '', 0);

function rest(walk: RetainedWalk, most: number): string[] {
  const found: string[] = [];
  for (;;) {
    const next = walk.next(most);
    if (next === null) return found;
    if (next !== LATER) found.push(next.topic);
  }
}

test('a walk finds what the filter matches, in however many steps', () => {
  fc.assert(
    fc.property(fc.uniqueArray(TOPIC), FILTER, fc.integer({ min: 1, max: 5 }), (topics, filter, most) => {
      const values = new RetainedValues();
      for (const topic of topics) values.set(message(topic));
      const wanted = topics.filter((topic) => matches(filter, topic)).sort();
      assert.deepEqual(rest(new RetainedWalk(values, filter), most).sort(), wanted);
    }),
  );
});

test('what is set during a walk is not found by it, and what is deleted not after that', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(TOPIC),
      fc.array(TOPIC),
      fc.array(TOPIC),
      FILTER,
      fc.nat(5),
      (topics, set, gone, filter, after) => {
        const values = new RetainedValues();
        for (const topic of topics) values.set(message(topic));
        const walk = new RetainedWalk(values, filter);
        const first: string[] = [];
        while (first.length < after) {
          const next = walk.next(1);
          if (next === null) break;
          if (next !== LATER) first.push(next.topic);
        }
        for (const topic of set) values.set(message(topic));
        for (const topic of gone) values.delete(topic);
        const behind = rest(walk, 2);
        const all = [...first, ...behind];
        assert.equal(new Set(all).size, all.length);
        for (const topic of behind) assert.ok(!set.includes(topic) && !gone.includes(topic), topic);
        const kept = topics.filter((topic) => matches(filter, topic) && !set.includes(topic) && !gone.includes(topic));
        for (const topic of kept) assert.ok(all.includes(topic), topic);
      },
    ),
  );
});

test('many retained values are given over several turns, each once, and before what comes live meanwhile', async () => {
  const house = await House.open([{ filter: '#', history: 'none' }]);
  const count = 3_500;
  // The server's own are not committed first.
  const put = (topic: string, text: string) =>
    house.topics.announce({ topic, payload: Buffer.from(text), retain: true, assurance: 0 });
  for (let index = 0; index < count; index++) put(`$SYS/${index}`, 'old');
  await house.pass();
  const listener = house.attach();
  listener.attachment.subscribe({ filter: '$SYS/#', assurance: 0 }, IGNORED, 0);
  assert.equal(listener.got.length, 256);
  // Replaced, and new, before the feed has come to them.
  put('$SYS/3400', 'new');
  put('$SYS/3500', 'new');
  await house.pass(100);
  assert.equal(listener.got.length, count + 1);
  assert.equal(new Set(listener.got).size, count + 1);
  assert.deepEqual(listener.got.slice(-2), ['$SYS/3400=new', '$SYS/3500=new']);
  assert.ok(!listener.got.includes('$SYS/3400=old r'));
  assert.ok(listener.got.slice(0, -2).every((text) => text.endsWith('=old r')));
});

const IGNORED = { settled() {} };
