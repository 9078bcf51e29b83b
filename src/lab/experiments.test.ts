// What is known of HTTP/2 over TCP beforehand, and so must come out.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answersInARow, firstByte, median, moving, oneLarge } from './experiments.ts';
import { http2 } from './http2.ts';

const PATH = { latencyMs: 50 };

test('HTTP/2: a first byte takes three round trips, with a ticket as well', () => {
  for (const resumed of [false, true]) {
    const ms = firstByte(http2, 1, PATH, resumed);
    assert.ok(ms >= 300 && ms <= 310, `${resumed}: ${ms}`);
  }
});

test('HTTP/2: what is lost of one answer holds up those behind it', () => {
  const clean = answersInARow(http2, 1, PATH, 100, 10);
  assert.equal(clean.length, 100);
  assert.ok(median(clean) >= 100 && median(clean) <= 102);
  const lossy = answersInARow(http2, 1, { ...PATH, loss: 0.03 }, 100, 10);
  assert.equal(lossy.length, 100);
  // Each loss is a round trip at least for all that were asked within it.
  assert.ok(lossy.filter((ms) => ms > 150).length >= 20, String(lossy.filter((ms) => ms > 150).length));
});

test('HTTP/2: a large answer comes whole, slower where more is lost', () => {
  const clean = oneLarge(http2, 1, PATH, 1_000_000);
  const lossy = oneLarge(http2, 1, { ...PATH, loss: 0.02 }, 1_000_000);
  assert.ok(clean > 400 && clean < 2_000, String(clean));
  assert.ok(lossy > clean && lossy < 120_000, String(lossy));
});

test('HTTP/2: a client that moves has to dial again', () => {
  const { silence, again } = moving(http2, 1, PATH, 1_000_000);
  assert.ok(again);
  assert.ok(silence >= 300 && silence < 500, String(silence));
});
