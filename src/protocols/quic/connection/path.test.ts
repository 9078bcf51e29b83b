// How large packets become on a path: likely sizes upwards, by halves below, and back when nothing large comes through.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LEAST_PACKET, PacketSize } from './path.ts';

/** Asks until the search is over, on a path that takes so much; answers the sizes asked. */
function search(size: PacketSize, takes: number): number[] {
  const asked: number[] = [];
  while (size.isSearching(1_000_000) && asked.length < 100) {
    const next = size.next();
    asked.push(next);
    if (next <= takes) size.acked(next, true);
    else size.lost(next, true, asked.length);
  }
  return asked;
}

test('likely sizes are tried upwards, and the largest that comes through stays (RFC 8899 §5.3)', () => {
  const size = new PacketSize(16_000);
  assert.deepEqual(search(size, 65_000), [1_452, 8_952, 16_000]);
  assert.equal(size.current, 16_000);
});

test('an ordinary path is asked for more three times, and no further', () => {
  const size = new PacketSize(16_000);
  assert.deepEqual(search(size, 1_472), [1_452, 8_952, 8_952, 8_952]);
  assert.equal(size.current, 1_452);
});

test('below the first likely size the limit is found by halves', () => {
  const size = new PacketSize(16_000);
  search(size, 1_380);
  assert.ok(size.current > 1_380 - 16 && size.current <= 1_380, String(size.current));
});

test('a limit of ours, or of the peer, is never gone beyond', () => {
  assert.deepEqual(search(new PacketSize(1_300), 65_000), [1_300]);
  assert.deepEqual(search(new PacketSize(1_200), 65_000), []);
  assert.deepEqual(search(new PacketSize(1_100), 65_000), []);
});

test('a full queue is no black hole: what is lost at once counts once', () => {
  const size = new PacketSize(16_000);
  search(size, 65_000);
  for (let burst = 0; burst < 20; burst++) {
    for (let packet = 0; packet < 50; packet++) assert.equal(size.lost(16_000, false, burst), false);
    size.acked(16_000, false);
  }
  assert.equal(size.current, 16_000);
});

test('when nothing large comes through any more, packets are small again (RFC 8899 §4.3)', () => {
  const size = new PacketSize(16_000);
  search(size, 65_000);
  const shrunk = [1, 2, 3, 4].map((now) => size.lost(16_000, false, now));
  assert.deepEqual(shrunk, [false, false, false, true]);
  assert.equal(size.current, LEAST_PACKET);
  assert.equal(size.isSearching(1_000_000), false);
});

test('a large packet is tried once it is a small part of what may be on its way', () => {
  const size = new PacketSize(16_000);
  assert.equal(size.isSearching(12_000), true);
  size.acked(size.next(), true);
  assert.equal(size.isSearching(12_000), false);
  assert.equal(size.isSearching(80_000), true);
});
