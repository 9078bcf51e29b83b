// Both ways of coding, the private streams and the public whole-buffer calls, held to the same.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as zlib from 'node:zlib';
import fc from 'fast-check';
import { BAD } from '../bytes/reader.ts';
import { type Coder, FINISH, type Flush, FORMATS, makeCoderOf, NONE, OVER, STREAMING, SYNC } from './compress.ts';

const NOTHING = Buffer.alloc(0);
const TAIL = Buffer.from([0, 0, 0xff, 0xff]);

class Gathered {
  parts: Buffer[] = [];
  coded(bytes: Uint8Array, start: number, end: number): void {
    this.parts.push(Buffer.from(bytes.subarray(start, end)));
  }
  take(): Buffer {
    const whole = Buffer.concat(this.parts);
    this.parts = [];
    return whole;
  }
}

function run(coder: Coder, input: Buffer, flush: Flush): Buffer | number {
  const sink = new Gathered();
  const at = coder.push(input, 0, input.length, flush, sink);
  return at < 0 ? at : sink.take();
}

function whole(coder: Coder, input: Buffer, flush: Flush): Buffer {
  const out = run(coder, input, flush);
  assert.ok(typeof out !== 'number', `answered ${String(out)}`);
  return out;
}

test('this Node has the private streams, and zstd', () => {
  assert.equal(STREAMING, true);
  assert.ok(FORMATS.includes('zstd'));
});

for (const way of ['stream', 'whole'] as const) {
  for (const format of FORMATS) {
    test(`${way} ${format}: whatever goes in comes out, however it is cut`, () => {
      fc.assert(
        fc.property(
          fc.array(fc.uint8Array({ maxLength: 3_000 }), { maxLength: 6 }),
          fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 5_000 })),
          fc.integer({ min: 1, max: 400 }),
          (pieces, room, cut) => {
            const encoder = makeCoderOf(way, format, 'encode');
            const sink = new Gathered();
            for (const piece of pieces) assert.equal(encoder.push(piece, 0, piece.length, NONE, sink), piece.length);
            let asked = 0;
            do {
              encoder.push(NOTHING, 0, 0, FINISH, sink, room);
              assert.ok(asked++ < 30_000, 'it does not end');
            } while (encoder.more);
            const packed = sink.take();
            assert.equal(encoder.made, packed.length);
            const decoder = makeCoderOf(way, format, 'decode');
            for (let at = 0; at < packed.length; ) {
              const end = Math.min(packed.length, at + cut);
              const next = decoder.push(packed, at, end, NONE, sink, room);
              assert.ok(next >= at && (next > at || decoder.more));
              at = next;
            }
            do assert.equal(decoder.push(NOTHING, 0, 0, FINISH, sink, room), 0);
            while (decoder.more);
            assert.ok(sink.take().equals(Buffer.concat(pieces)));
            encoder.close();
            decoder.close();
          },
        ),
        { numRuns: 30 },
      );
    });

    test(`${way} ${format}: a bomb costs no more than its bound`, () => {
      const plain = Buffer.alloc(8 * 1_048_576);
      const packed = whole(makeCoderOf(way, format, 'encode'), plain, FINISH);
      const sink = new Gathered();
      const decoder = makeCoderOf(way, format, 'decode', { outMax: 100_000 });
      assert.equal(decoder.push(packed, 0, packed.length, FINISH, sink), OVER);
      assert.ok(sink.take().length <= 100_000);
      decoder.close();
      const exact = makeCoderOf(way, format, 'decode', { outMax: plain.length });
      assert.equal(whole(exact, packed, FINISH).length, plain.length);
    });

    test(`${way} ${format}: corrupt and cut data are BAD, and reset makes it new`, () => {
      const plain = Buffer.from('some text, and some more text '.repeat(20));
      const packed = whole(makeCoderOf(way, format, 'encode'), plain, FINISH);
      const decoder = makeCoderOf(way, format, 'decode');
      assert.equal(run(decoder, packed.subarray(0, packed.length - 5), FINISH), BAD);
      decoder.reset();
      assert.ok(whole(decoder, packed, FINISH).equals(plain));
      decoder.reset();
      assert.equal(run(decoder, Buffer.alloc(50, 0xff), FINISH), BAD);
      decoder.close();
    });

    test(`${way} ${format}: whatever bytes neither throw nor hang`, () => {
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
          const decoder = makeCoderOf(way, format, 'decode', { outMax: 10_000 });
          const at = decoder.push(bytes, 0, bytes.length, FINISH, new Gathered());
          assert.ok(at <= bytes.length);
          decoder.close();
        }),
        { numRuns: 100 },
      );
    });
  }

  test(`${way}: an answer never passes the room that was given`, () => {
    const packed = zlib.deflateRawSync(Buffer.alloc(100_000, 'abc'));
    const decoder = makeCoderOf(way, 'deflate-raw', 'decode');
    const sink = new Gathered();
    let at = 0;
    let total = 0;
    do {
      at = decoder.push(packed, at, packed.length, SYNC, sink, 777);
      const { length } = sink.take();
      assert.ok(length <= 777);
      total += length;
    } while (decoder.more);
    assert.equal(total, 100_000);
  });

  test(`${way}: a flush that is given the least room ends, with one mark`, () => {
    const text = Buffer.from('text '.repeat(20));
    for (const format of FORMATS)
      for (const flush of [SYNC, FINISH] as const)
        for (let room = 1; room < 20; room++) {
          const encoder = makeCoderOf(way, format, 'encode');
          const once = makeCoderOf(way, format, 'encode');
          const sink = new Gathered();
          let at = 0;
          let asked = 0;
          do {
            at = encoder.push(text, at, text.length, flush, sink, room);
            assert.ok(at >= 0 && asked++ < 200);
          } while (encoder.more);
          assert.ok(sink.take().equals(whole(once, text, flush)));
          encoder.close();
          once.close();
        }
  });

  test(`${way}: the vectors of RFC 7692 §7.2.3`, () => {
    const hello = Buffer.from('f248cdc9c90700', 'hex');
    // §7.2.3.1 one compressed message; the tail is put back before it is decoded (§7.2.2).
    const decoder = makeCoderOf(way, 'deflate-raw', 'decode');
    assert.equal(whole(decoder, Buffer.concat([hello, TAIL]), SYNC).toString(), 'Hello');
    // §7.2.3.2 the second message uses the first's window.
    assert.equal(whole(decoder, Buffer.concat([Buffer.from('f200110000', 'hex'), TAIL]), SYNC).toString(), 'Hello');
    decoder.reset();
    assert.equal(run(decoder, Buffer.concat([Buffer.from('f200110000', 'hex'), TAIL]), SYNC), BAD);
    decoder.reset();
    // §7.2.3.3 a block without compression.
    assert.equal(
      whole(decoder, Buffer.concat([Buffer.from('000500faff48656c6c6f00', 'hex'), TAIL]), SYNC).toString(),
      'Hello',
    );
    decoder.reset();
    // §7.2.3.4 a block with BFINAL: the stream ends there, what follows is not consumed.
    const final = Buffer.from('f348cdc9c9070000', 'hex');
    assert.equal(whole(decoder, Buffer.concat([final, TAIL]), SYNC).toString(), 'Hello');
    decoder.reset();
    // §7.2.3.5 two blocks in one message.
    assert.equal(
      whole(
        decoder,
        Buffer.concat([Buffer.from('f248050000 00ffffcac9c90700'.replace(' ', ''), 'hex'), TAIL]),
        SYNC,
      ).toString(),
      'Hello',
    );
  });

  test(`${way}: context is taken over from one SYNC to the next, until reset (RFC 7692 §7.1.1)`, () => {
    const message = Buffer.from(JSON.stringify({ id: 12_345, name: 'a message like many others', value: [1, 2, 3] }));
    const encoder = makeCoderOf(way, 'deflate-raw', 'encode');
    const decoder = makeCoderOf(way, 'deflate-raw', 'decode');
    const sizes: number[] = [];
    for (let round = 0; round < 600; round++) {
      const packed = whole(encoder, message, SYNC);
      assert.ok(packed.subarray(packed.length - 4).equals(TAIL));
      sizes.push(packed.length);
      assert.ok(whole(decoder, packed, SYNC).equals(message));
    }
    assert.ok(sizes[1]! < sizes[0]! / 3, `${sizes[0]} then ${sizes[1]}`);
    encoder.reset();
    assert.equal(whole(encoder, message, SYNC).length, sizes[0]);
  });

  test(`${way}: a small window holds (RFC 7692 §7.1.2)`, () => {
    const encoder = makeCoderOf(way, 'deflate-raw', 'encode', { windowBits: 9, memLevel: 1, level: 9 });
    const decoder = makeCoderOf(way, 'deflate-raw', 'decode', { windowBits: 9 });
    const noise = Buffer.from(Array.from({ length: 3_000 }, (_, index) => (index * 7_919) >> (index % 5)));
    for (let round = 0; round < 3; round++) assert.ok(whole(decoder, whole(encoder, noise, SYNC), SYNC).equals(noise));
  });
}

test('coders may be pushed from within another’s sink', () => {
  const plain = Buffer.alloc(200_000, 'nested ');
  const packed = zlib.gzipSync(plain);
  const outer = makeCoderOf('stream', 'gzip', 'decode');
  const inner = makeCoderOf('stream', 'br', 'encode');
  const sink = new Gathered();
  outer.push(packed, 0, packed.length, FINISH, {
    coded: (bytes, start, end) => void inner.push(bytes, start, end, SYNC, sink),
  });
  inner.push(NOTHING, 0, 0, FINISH, sink);
  assert.ok(zlib.brotliDecompressSync(sink.take()).equals(plain));
});

test('gzip of several members is one body, and the formats are those of zlib (RFC 1952 §2.2)', () => {
  const decoder = makeCoderOf('stream', 'gzip', 'decode');
  const packed = Buffer.concat([zlib.gzipSync('one '), zlib.gzipSync('two')]);
  assert.equal(whole(decoder, packed, FINISH).toString(), 'one two');
});

test('a zstd window of more than 8 MiB is refused (RFC 9659 §3)', () => {
  const packed = zlib.zstdCompressSync(Buffer.alloc(100_000, 'x'), {
    params: { [zlib.constants.ZSTD_c_windowLog]: 27 },
  });
  // With its size known, the frame is of one segment and needs no window; without, it names its own.
  assert.ok(packed.length > 0);
  const stream = makeCoderOf('stream', 'zstd', 'encode', { windowBits: 25 });
  const sink = new Gathered();
  stream.push(Buffer.alloc(100_000, 'x'), 0, 100_000, NONE, sink);
  stream.push(NOTHING, 0, 0, FINISH, sink);
  const large = sink.take();
  assert.equal(run(makeCoderOf('stream', 'zstd', 'decode'), large, FINISH), BAD);
});
