// What HTTP/3 is for, on the path on which HTTP/2 was measured.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answersInARow, firstByte, median, moving, oneLarge } from './experiments.ts';
import { http2 } from './http2.ts';
import { http3 } from './http3.ts';

const PATH = { latencyMs: 50 };

test('HTTP/3: a first byte takes two round trips, and one to a server that is known', () => {
  const fresh = firstByte(http3, 1, PATH, false);
  assert.ok(fresh >= 200 && fresh <= 210, String(fresh));
  const known = firstByte(http3, 1, PATH, true);
  assert.ok(known >= 100 && known <= 110, String(known));
});

test('HTTP/3: what is lost of one answer holds up that one alone', () => {
  const path = { ...PATH, loss: 0.03 };
  const slowOf = (all: readonly number[]) => all.filter((ms) => ms > 150).length;
  const [two, three] = [http2, http3].map((each) =>
    [1, 2, 3].flatMap((seed) => answersInARow(each, seed, path, 100, 80)),
  );
  assert.equal(three!.length, 300);
  assert.ok(slowOf(three!) * 2 < slowOf(two!), `${slowOf(three!)} of HTTP/3, ${slowOf(two!)} of HTTP/2`);
  assert.ok(median(three!) <= 102, String(median(three!)));
});

test('HTTP/3: a large answer comes whole over a path that loses', () => {
  const lossy = oneLarge(http3, 1, { ...PATH, loss: 0.02 }, 1_000_000);
  assert.ok(lossy < 120_000, String(lossy));
});

test('HTTP/3: a client that moves goes on', () => {
  const { silence, again } = moving(http3, 1, PATH, 1_000_000);
  assert.equal(again, false);
  assert.ok(silence < 250, String(silence));
});
