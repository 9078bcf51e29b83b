// What is held of messages for the next who asks: whole, bounded, and with the message that it is of.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MAIL_LIMITS } from './limits.ts';
import { HeldPlaces, Recent } from './recent.ts';

test('stretches are held one behind the other', () => {
  const recent = new Recent(1_048_576);
  const place = recent.keep(Buffer.from('abcdefgh'), [1, 3, 6, 8], 4);
  const other = recent.keep(Buffer.from('zz'), [0, 2], 2);
  assert.equal(recent.at(place)!.toString(), 'bcgh');
  assert.equal(recent.at(other)!.toString(), 'zz');
  assert.equal(recent.at(0), null);
});

test('what is long is not held, and the oldest go for the newest', () => {
  const recent = new Recent(1_048_576);
  const long = Buffer.alloc(MAIL_LIMITS.heldEntryBytesMax + 1);
  assert.equal(recent.keep(long, [0, long.length], long.length), 0);
  const places = Array.from({ length: 3_000 }, (_, at) => {
    const bytes = Buffer.alloc(1_000, at);
    return recent.keep(bytes, [0, 1_000], 1_000);
  });
  const left = places.flatMap((place, at) => (recent.at(place) === null ? [] : [at]));
  assert.ok(left.length > 700 && left.length <= 1_048, String(left.length));
  for (const at of left) assert.deepEqual(recent.at(places[at]!), Buffer.alloc(1_000, at));
});

test('a view that somebody has does not change when its block goes', () => {
  const recent = new Recent(524_288);
  const held = recent.at(recent.keep(Buffer.from('kept'), [0, 4], 4))!;
  const more = Buffer.alloc(30_000, 1);
  for (let at = 0; at < 100; at++) recent.keep(more, [0, more.length], more.length);
  assert.equal(held.toString(), 'kept');
});

test('places go along with their messages', () => {
  const places = new HeldPlaces(4);
  assert.equal(places.bytes, 0);
  places.set('envelope', 3, 7);
  assert.equal(places.get('envelope', 3), 7);
  assert.equal(places.get('header', 3), 0);
  assert.equal(places.bytes, 32);
  places.move(3, 0);
  places.clear(3);
  assert.deepEqual([places.get('envelope', 0), places.get('envelope', 3)], [7, 0]);
  places.grow(8);
  assert.deepEqual([places.get('envelope', 0), places.bytes], [7, 64]);
});
