import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Turned } from '../core/turn.ts';
import { Random } from '../sim/random.ts';
import { TimerWheel } from './wheel.ts';

class Item extends Turned {
  due = Number.POSITIVE_INFINITY;
  work(): void {}
  tick(): void {}
}

test('ten thousand deadlines, moved and removed at random, are met in time and never early', () => {
  const random = new Random(7);
  let now = 12_345.6;
  const wheel = new TimerWheel(now);
  const items = Array.from({ length: 10_000 }, () => new Item());
  const met = new Map<Item, number>();
  const spans = [1, 10, 300, 70_000, 20_000_000, 5_000_000_000];
  for (const item of items) {
    item.due = now + random.below(1_000_000) / 1_000_000 + random.below(random.pick(spans));
    wheel.schedule(item, item.due);
  }
  for (const item of items) {
    if (random.chance(0.2)) {
      // Later: it stays where it is and is asked again when it is looked at.
      item.due += random.below(100_000);
    } else if (random.chance(0.25)) {
      item.due = now + random.below(1_000);
      wheel.schedule(item, item.due);
    } else if (random.chance(0.1)) {
      wheel.remove(item);
      item.due = Number.POSITIVE_INFINITY;
    }
  }
  for (let round = 0; round < 200_000; round++) {
    const next = wheel.next();
    if (next === Number.POSITIVE_INFINITY) break;
    now = Math.max(now, next + random.below(2_000) / 1_000);
    wheel.advance(now, (item) => {
      const { due } = item as Item;
      if (due > now) wheel.schedule(item, due);
      else met.set(item as Item, now);
    });
  }
  for (const item of items) {
    const at = met.get(item);
    if (item.due === Number.POSITIVE_INFINITY) assert.equal(at, undefined);
    else assert.ok(at !== undefined && at >= item.due && at < item.due + 3, `due ${item.due}, met ${at}`);
  }
});

test('an item that is removed while another of its slot is dealt with is not dealt with', () => {
  const wheel = new TimerWheel(0);
  const [a, b] = [new Item(), new Item()];
  for (const item of [a, b]) wheel.schedule(item, 5);
  const seen: Turned[] = [];
  wheel.advance(10, (item) => {
    seen.push(item);
    wheel.remove(a);
    wheel.remove(b);
    wheel.schedule(a, 20);
  });
  assert.equal(wheel.next(), 20);
  assert.ok(seen.length <= 2);
});
