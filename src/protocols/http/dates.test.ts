import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { dateText, parseDate } from './dates.ts';

const NOW = Date.UTC(2026, 10, 22);
const THEN = Date.UTC(1994, 10, 6, 8, 49, 37);

test('the three forms of a date (RFC 9110 §5.6.7)', () => {
  assert.equal(parseDate('Sun, 06 Nov 1994 08:49:37 GMT', NOW), THEN);
  assert.equal(parseDate('Sunday, 06-Nov-94 08:49:37 GMT', NOW), THEN);
  assert.equal(parseDate('Sun Nov  6 08:49:37 1994', NOW), THEN);
  assert.equal(parseDate('Wed Nov 16 08:49:37 1994', NOW), THEN + 10 * 86_400_000);
});

test('a year of two digits more than fifty years ahead is past (RFC 9110 §5.6.7)', () => {
  const year = (digits: string) => new Date(parseDate(`Sunday, 06-Nov-${digits} 08:49:37 GMT`, NOW)).getUTCFullYear();
  assert.deepEqual(['26', '76', '77', '00', '99'].map(year), [2026, 2076, 1977, 2000, 1999]);
});

test('what is no date is none', () => {
  for (const text of [
    '',
    '0',
    'Sun, 6 Nov 1994 08:49:37 GMT',
    'sun, 06 nov 1994 08:49:37 gmt',
    'Sun, 06 Nov 1994 08:49:37 UTC',
    'Sun, 06 Nov 1994 08:49:37',
    'Sun, 06 Nov 94 08:49:37 GMT',
    'Sun, 31 Jun 1994 08:49:37 GMT',
    'Sun, 00 Jun 1994 08:49:37 GMT',
    'Sun, 06 Nov 1994 24:00:00 GMT',
    'Sun, 06 Nov 1994 08:60:00 GMT',
    'Sun, 06 Nov 1994 08:49:61 GMT',
    ' Sun, 06 Nov 1994 08:49:37 GMT',
    'Tue, 29 Feb 2023 00:00:00 GMT',
  ])
    assert.ok(Number.isNaN(parseDate(text, NOW)), text);
  assert.equal(parseDate('Thu, 29 Feb 2024 00:00:00 GMT', NOW), Date.UTC(2024, 1, 29));
});

test('what is written is the fixed form, and is read back', () => {
  assert.equal(dateText(THEN + 999), 'Sun, 06 Nov 1994 08:49:37 GMT');
  assert.equal(dateText(THEN + 1_000), 'Sun, 06 Nov 1994 08:49:38 GMT');
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 253_402_300_799 }), (second) => {
      const text = dateText(second * 1_000);
      assert.equal(text.length, 29);
      assert.equal(parseDate(text, NOW), second * 1_000);
    }),
  );
});
