// The fields that are held for listings: what is kept of a header, and what goes when there is no more room.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isListed, Listed } from './listed.ts';

const header = (subject: string, more = '') =>
  Buffer.from(`Received: by x\r\nSubject: ${subject}\r\n${more}From: a@b\r\nX-Other: y\r\n\r\nThe body.`);

test('fields stand as they came, folds and all, in their order', () => {
  const listed = new Listed();
  const place = listed.keep(header('one\r\n two', 'To: c@d\r\n'));
  assert.equal(listed.at(place)!.toString(), 'Subject: one\r\n two\r\nTo: c@d\r\nFrom: a@b\r\n');
  const empty = listed.keep(Buffer.from('X-Other: y\r\n\r\n'));
  assert.equal(listed.at(empty)!.length, 0);
  assert.equal(isListed('subject'), true);
  assert.equal(isListed('x-other'), false);
});

test('what is too long is not held', () => {
  const listed = new Listed();
  assert.equal(listed.keep(header('s'.repeat(40_000))), 0);
});

test('memory is bounded: the oldest go, and those that are left are whole', () => {
  const listed = new Listed(1_048_576);
  const places: number[] = [];
  for (let at = 0; at < 5_000; at++) places.push(listed.keep(header(`${at} ${'s'.repeat(1_000)}`)));
  const left = places.flatMap((place, at) => (listed.at(place) === null ? [] : [at]));
  assert.ok(left.length > 500 && left.length < 1_100, String(left.length));
  assert.equal(left.at(-1), 4_999);
  for (const at of left) assert.ok(listed.at(places[at]!)!.toString().startsWith(`Subject: ${at} sss`));
});
