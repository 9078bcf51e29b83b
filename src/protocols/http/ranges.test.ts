import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Random } from '../../sim/random.ts';
import { type ByteRange, contentRange, multipart, parseRanges, UNSATISFIABLE, unsatisfiedRange } from './ranges.ts';

const of = (text: string, length = 10_000) => {
  const ranges = parseRanges(text, length);
  return Array.isArray(ranges) ? ranges.map(({ start, end }) => `${start}-${end - 1}`).join() : ranges;
};

test('the examples of RFC 9110 §14.1.2', () => {
  assert.equal(of('bytes=0-499'), '0-499');
  assert.equal(of('bytes=500-999'), '500-999');
  assert.equal(of('bytes=-500'), '9500-9999');
  assert.equal(of('bytes=9500-'), '9500-9999');
  assert.equal(of('bytes=0-0,-1'), '0-0,9999-9999');
  assert.equal(of('bytes= 0-999, 4500-5499, -1000'), '0-999,4500-5499,9000-9999');
  assert.equal(of('bytes=500-600,601-999'), '500-999');
  assert.equal(of('bytes=500-700,601-999'), '500-999');
});

test('ranges beyond the end are cut, or cannot be satisfied (RFC 9110 §14.1.2, §15.5.17)', () => {
  assert.equal(of('bytes=9000-99999'), '9000-9999');
  assert.equal(of('bytes=-99999'), '0-9999');
  assert.equal(of('bytes=10000-'), UNSATISFIABLE);
  assert.equal(of('bytes=10000-20000,30000-'), UNSATISFIABLE);
  assert.equal(of('bytes=-0'), UNSATISFIABLE);
  assert.equal(of('bytes=0-', 0), UNSATISFIABLE);
  assert.equal(of('bytes=20000-,0-1'), '0-1');
  assert.equal(unsatisfiedRange(47_022), 'bytes */47022');
});

test('what is no valid range of bytes does not count (RFC 9110 §14.2)', () => {
  for (const text of [
    '',
    'bytes',
    'bytes=',
    'bytes=,',
    'items=0-5',
    'bytes=5-4',
    'bytes=a-b',
    'bytes=-',
    'bytes=1',
    'bytes=--5',
    'bytes=1-2-3',
    'bytes=0x1-2',
    'bytes=+1-2',
  ])
    assert.equal(of(text), null, text);
  // The unit is case-insensitive (§14.1).
  assert.equal(of('Bytes=0-1'), '0-1');
});

test('many small ranges, or overlapping ones, cost no more than the whole (RFC 9110 §17.15)', () => {
  const many = Array.from({ length: 17 }, (_, index) => `${index * 500}-${index * 500 + 1}`);
  assert.equal(of(`bytes=${many.slice(0, 16).join()}`)?.split(',').length, 16);
  assert.equal(of(`bytes=${many.join()}`), null);
  assert.equal(of(`bytes=${'0-,'.repeat(10)}`), '0-9999');
  assert.equal(of(`bytes=${'0-,'.repeat(100_000)}`), null);
});

test('ranges are within the representation, apart, and hold every byte that was asked for', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(3_000), fc.nat(3_000)), { minLength: 1, maxLength: 10 }),
      fc.integer({ min: 1, max: 2_500 }),
      (pairs, length) => {
        const asked = pairs.map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
        const ranges = parseRanges(`bytes=${asked.map(([a, b]) => `${a}-${b}`).join()}`, length);
        if (ranges === UNSATISFIABLE) return void assert.ok(asked.every(([a]) => a >= length));
        assert.ok(ranges !== null);
        const sorted = [...ranges].sort((a, b) => a.start - b.start);
        sorted.forEach(({ start, end }, index) => {
          assert.ok(start >= 0 && start < end && end <= length);
          if (index > 0) assert.ok(start > sorted[index - 1]!.end);
        });
        for (const [a, b] of asked)
          if (a < length) assert.ok(ranges.some(({ start, end }) => start <= a && Math.min(b + 1, length) <= end));
      },
    ),
  );
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'0123456789-, bytes=') }), (text) => void of(`bytes=${text}`)),
  );
});

test('several ranges in one body (RFC 9110 §14.6)', () => {
  const ranges: ByteRange[] = [
    { start: 500, end: 1_000 },
    { start: 7_000, end: 8_000 },
  ];
  const parts = multipart(ranges, 'application/pdf', 8_000, new Random(1));
  const boundary = /^multipart\/byteranges; boundary=([0-9a-f]{32})$/.exec(parts.type)![1]!;
  const body = `${parts.before[0]}A${parts.before[1]}B${parts.after}`;
  assert.equal(
    body,
    [
      `--${boundary}`,
      'Content-Type: application/pdf',
      'Content-Range: bytes 500-999/8000',
      '',
      'A',
      `--${boundary}`,
      'Content-Type: application/pdf',
      'Content-Range: bytes 7000-7999/8000',
      '',
      'B',
      `--${boundary}--`,
      '',
    ].join('\r\n'),
  );
  assert.equal(parts.length, body.length - 2 + 500 + 1_000);
  assert.equal(contentRange(ranges[0]!, 8_000), 'bytes 500-999/8000');
});
