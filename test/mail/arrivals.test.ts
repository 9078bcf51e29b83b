// Events of new mail: the first at once, those close behind it together, none lost at the end.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../src/core/time.ts';
import type { Turn, Turned } from '../../src/core/turn.ts';
import type { Publication } from '../../src/resources/topics/contract.ts';
import { Arrivals } from '../../src/running/mail/arrivals.ts';

function stage() {
  const clock = { now: 1_000, wall: 0 };
  const touched = new Set<Turned>();
  const turn: Turn = {
    clock,
    touch: (item) => void touched.add(item),
    forget: (item) => void touched.delete(item),
    bug: (error) => {
      throw error;
    },
  };
  const published: Publication[] = [];
  const arrivals = new Arrivals(turn, { announce: (publication) => published.push(publication) });
  const event = (uid: number, folder = 'INBOX') =>
    arrivals.told({
      ...{ mailbox: 'ann@example.org', folder, uid, size: 1, from: '', to: [], subject: '', messageId: '' },
    });
  const pass = (ms: number) => {
    clock.now += ms;
    for (const item of touched) if (item.due <= clock.now) item.tick(clock satisfies Clock);
  };
  return { published, arrivals, event, pass };
}

const uids = (published: readonly Publication[]) =>
  published.map(({ payload }) => (JSON.parse(Buffer.from(payload).toString()) as { uid: number }).uid);

test('the first event is told at once, those close behind it together and in their order', () => {
  const { published, event, pass } = stage();
  event(1);
  assert.deepEqual(uids(published), [1]);
  event(2);
  event(3);
  assert.deepEqual(uids(published), [1]);
  pass(19);
  assert.deepEqual(uids(published), [1]);
  pass(1);
  assert.deepEqual(uids(published), [1, 2, 3]);
  event(4);
  pass(20);
  assert.deepEqual(uids(published), [1, 2, 3, 4]);
  pass(50);
  event(5);
  assert.deepEqual(uids(published), [1, 2, 3, 4, 5]);
});

test('no more than a thousand wait, and none does at the end', () => {
  const { published, arrivals, event } = stage();
  for (let uid = 1; uid <= 1_001; uid++) event(uid);
  assert.equal(published.length, 1_001);
  event(1_002);
  assert.equal(published.length, 1_001);
  arrivals.close();
  assert.equal(published.length, 1_002);
});

test('what would be a wildcard in the name of a folder is written as an escape', () => {
  const { published, event } = stage();
  event(1, 'a+b/#c%');
  assert.equal(published[0]!.topic, 'mail/ann@example.org/a%2Bb/%23c%25');
});
