// Forms: however the bytes are cut the parts are the same, and whatever comes ends without a throw.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BAD } from '../../bytes/reader.ts';
import { boundaryOf, FormReader } from './form.ts';

/** Reads as a connection would: what is left waits for more. */
function read(pieces: readonly Buffer[]): { parts: [string | null, string][]; fault: string | null; isDone: boolean } {
  const parts: [string | null, string][] = [];
  const reader = new FormReader('b', 200, 10, {
    begin: ({ filename }) => void parts.push([filename, '']),
    bytes(input, start, end) {
      parts.at(-1)![1] += Buffer.from(input.subarray(start, end)).toString('latin1');
      return end - start;
    },
    end() {},
  });
  let kept = Buffer.alloc(0);
  for (const piece of pieces) {
    kept = Buffer.concat([kept, piece]);
    for (let at = 0; ; ) {
      const next = at < kept.length ? reader.read(kept, at, kept.length) : -1;
      if (next === BAD) return { parts, fault: reader.fault!.id, isDone: false };
      if (next < 0) {
        kept = kept.subarray(at);
        break;
      }
      at = next;
    }
  }
  return { parts, fault: null, isDone: reader.isDone };
}

function cut(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const pieces: Buffer[] = [];
  let at = 0;
  for (const size of sizes) pieces.push(bytes.subarray(at, (at += size)));
  return [...pieces, bytes.subarray(at)];
}

const FORM = Buffer.from(
  '--b\r\nContent-Disposition: form-data; name="note"\r\n\r\ntext\r\n' +
    '--b\r\ncontent-disposition: form-data; name="f"; filename="a %22b%22.txt"\r\nContent-Type: text/plain\r\n\r\nline\r\n--not\r\n-\r\n' +
    '--b\r\nContent-Disposition: form-data; name="e"; filename=""\r\n\r\n\r\n--b--\r\n',
);

test('a form, however it is cut (RFC 7578 §4)', () => {
  const whole = read([FORM]);
  assert.deepEqual(whole, {
    parts: [
      [null, 'text'],
      ['a "b".txt', 'line\r\n--not\r\n-'],
      ['', ''],
    ],
    fault: null,
    isDone: true,
  });
  fc.assert(
    fc.property(fc.array(fc.nat(40), { maxLength: 30 }), (sizes) => {
      assert.deepEqual(read(cut(FORM, sizes)), whole);
    }),
  );
});

test('any bytes end without a throw, and a head has a bound', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => void read([Buffer.from('--b\r\n'), Buffer.from(bytes)])),
  );
  assert.equal(read([Buffer.from(`--b\r\n${'x'.repeat(300)}`)]).fault, 'files.longPart');
  const part = '--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n\r\n';
  assert.equal(read([Buffer.from(part.repeat(11))]).fault, 'files.manyParts');
});

test('boundaries (RFC 2046 §5.1.1)', () => {
  assert.equal(boundaryOf('multipart/form-data; boundary=abc'), 'abc');
  assert.equal(boundaryOf('Multipart/Form-Data; charset=utf-8; boundary="a b"'), 'a b');
  for (const type of [null, 'text/plain', 'multipart/form-data', 'multipart/mixed; boundary=x'])
    assert.equal(boundaryOf(type), null);
});
