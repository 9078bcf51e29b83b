import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Greylist } from './greylist.ts';

test('who comes for the first time comes again, and is known then with his network (RFC 6647 §2.4)', () => {
  let now = 1_000_000;
  const list = new Greylist(60_000, () => now);
  assert.equal(list.isNew('192.0.2.1', 'ann@here'), true);
  now += 59_999;
  assert.equal(list.isNew('192.0.2.1', 'ann@here'), true);
  assert.equal(list.isNew('192.0.2.1', 'bob@here'), true);
  now += 1;
  // Another host of the same sender.
  assert.equal(list.isNew('192.0.2.77', 'Ann@here'), false);
  assert.equal(list.isNew('192.0.2.1', 'new@here'), false);
  assert.equal(list.isNew('192.0.3.1', 'ann@here'), true);
  now += 34 * 86_400_000;
  assert.equal(list.isNew('::ffff:192.0.2.9', 'ann@here'), false);
  now += 36 * 86_400_000;
  assert.equal(list.isNew('192.0.2.1', 'ann@here'), true);
  // Too late counts as the first time.
  now += 2 * 86_400_000;
  assert.equal(list.isNew('192.0.2.1', 'ann@here'), true);
});

test('IPv6 by networks of 64 bits', () => {
  let now = 0;
  const list = new Greylist(1_000, () => now);
  assert.equal(list.isNew('2001:db8:1:2::1', 'ann@here'), true);
  now += 1_000;
  assert.equal(list.isNew('2001:db8:1:2:ffff::9', 'ann@here'), false);
  assert.equal(list.isNew('2001:db8:1:3::1', 'ann@here'), true);
});
