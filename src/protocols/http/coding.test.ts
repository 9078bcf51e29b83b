import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as zlib from 'node:zlib';
import fc from 'fast-check';
import type { BodyReader, Exchange } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import { type SimulatedClient, simulateRequest } from '../../sim/exchange.ts';
import { World } from '../../sim/world.ts';
import { answerText } from './answers.ts';
import { ACCEPTED, CODINGS, codedEtag, codedWhole, decodeBody, isCompressible } from './coding.ts';

/** Reads a body at a pace: pauses after each `pace` bytes until it is let on. */
class Slow implements BodyReader {
  readonly parts: Buffer[] = [];
  readonly told: string[] = [];
  readonly exchange: Exchange;
  readonly pace: number;
  paused = false;
  whenDone = () => {};

  constructor(exchange: Exchange, pace = Number.POSITIVE_INFINITY) {
    this.exchange = exchange;
    this.pace = pace;
  }

  receive(input: Uint8Array, start: number, end: number): number {
    assert.equal(this.paused, false, 'offered while it is paused');
    const to = Math.min(end, start + this.pace);
    this.parts.push(Buffer.from(input.subarray(start, to)));
    if (this.pace !== Number.POSITIVE_INFINITY) {
      this.paused = true;
      this.exchange.pause();
    }
    return to;
  }

  letOn(): void {
    this.paused = false;
    this.exchange.resume();
  }

  trailers(): void {
    this.told.push('trailers');
  }

  finish(): void {
    this.told.push('finish');
    answerText(this.exchange, 200, 'taken');
  }

  lost(): void {
    this.told.push('lost');
  }

  get body(): Buffer {
    return Buffer.concat(this.parts);
  }
}

interface Sent {
  readonly client: SimulatedClient;
  readonly reader: Slow;
  readonly world: World;
}

function send(body: Buffer, coding: string, { bytesMax = 1_000_000, pace = Infinity, cut = 7 } = {}): Sent {
  const world = new World(3);
  let reader!: Slow;
  const client = simulateRequest(
    world,
    (exchange) => {
      reader = new Slow(exchange, pace);
      decodeBody(exchange, reader, bytesMax);
    },
    { method: 'POST', fields: Fields.of({ 'content-encoding': coding }) },
    { cut },
  );
  client.send(body);
  client.end();
  for (let ms = 0; ms < 30_000 && !client.ended && client.failed === null; ms++) {
    world.pass(1);
    if (reader.paused) reader.letOn();
  }
  assert.deepEqual(world.bugs, []);
  return { client, reader, world };
}

const PLAIN = Buffer.from(Array.from({ length: 20_000 }, (_, index) => `line ${index % 300}\n`).join(''));
const CODE: Record<string, (plain: Buffer) => Buffer> = {
  gzip: (plain) => zlib.gzipSync(plain),
  deflate: (plain) => zlib.deflateSync(plain),
  br: (plain) => zlib.brotliCompressSync(plain),
  zstd: (plain) => zlib.zstdCompressSync(plain),
};

for (const [coding, code] of Object.entries(CODE)) {
  test(`a body in ${coding} is decoded, however it is cut (RFC 9110 §8.4)`, () => {
    for (const cut of [1, 50, 0]) {
      const { client, reader } = send(code(PLAIN), coding, { cut });
      assert.ok(reader.body.equals(PLAIN));
      assert.deepEqual(reader.told, ['finish']);
      assert.equal(client.status, 200);
    }
  });

  test(`a reader of ${coding} that takes a part, and pauses, gets all of it in order and nothing while it is paused`, () => {
    for (const cut of [3, 0]) {
      const { reader } = send(code(PLAIN), coding, { cut, pace: 10_000 });
      assert.ok(reader.body.equals(PLAIN));
      assert.deepEqual(reader.told, ['finish']);
    }
  });

  test(`a bomb in ${coding} is 413, and costs its bound (RFC 9110 §15.5.14)`, () => {
    const { client, reader } = send(code(Buffer.alloc(5_000_000)), coding, { bytesMax: 100_000, cut: 0 });
    assert.equal(client.status, 413);
    assert.ok(reader.body.length <= 100_000);
    assert.deepEqual(reader.told, ['lost']);
    const exact = send(code(PLAIN), coding, { bytesMax: PLAIN.length });
    assert.equal(exact.client.status, 200);
    assert.equal(send(code(PLAIN), coding, { bytesMax: PLAIN.length - 1 }).client.status, 413);
  });

  test(`corrupt, cut and overlong data of ${coding} are 400`, () => {
    const coded = code(PLAIN);
    const wrong = [
      Buffer.alloc(100, 0xfe),
      coded.subarray(0, coded.length - 3),
      Buffer.concat([coded, Buffer.from('xyz')]),
    ];
    for (const body of wrong) {
      const { client, reader } = send(body, coding);
      assert.equal(client.status, 400);
      assert.deepEqual(reader.told, ['lost']);
    }
  });
}

test('however a body is cut and read, it is the same; however it is corrupted, it is answered', () => {
  fc.assert(
    fc.property(
      fc.constantFrom(...Object.keys(CODE)),
      fc.uint8Array({ maxLength: 2_000 }),
      fc.integer({ min: 1, max: 200 }),
      fc.integer({ min: 0, max: 300 }),
      fc.integer({ min: 500, max: 50_000 }),
      fc.option(fc.nat(500)),
      (coding, noise, repeats, cut, pace, flip) => {
        const plain = Buffer.concat(Array.from({ length: repeats }, () => noise));
        const coded = Buffer.from(CODE[coding]!(plain));
        if (flip !== null) coded[flip % coded.length]! ^= 0x40;
        const { client, reader } = send(coded, coding, { cut, pace });
        assert.notEqual(client.status, 0);
        if (client.status === 200 && flip === null) assert.ok(reader.body.equals(plain));
        if (flip === null) assert.equal(client.status, 200);
        assert.deepEqual(reader.told, [client.status === 200 ? 'finish' : 'lost']);
      },
    ),
    { numRuns: 60 },
  );
});

test('codings on top of each other are taken off in turn; too many are not (RFC 9110 §8.4)', () => {
  const twice = CODE.br!(CODE.gzip!(PLAIN));
  assert.ok(send(twice, 'gzip, identity, Br').reader.body.equals(PLAIN));
  assert.equal(send(twice, 'gzip, gzip, br').client.status, 415);
  const bomb = CODE.gzip!(CODE.gzip!(Buffer.alloc(20_000_000)));
  assert.equal(send(bomb, 'gzip, gzip', { bytesMax: 200_000 }).client.status, 413);
});

test('an unknown coding is 415 with those that are known (RFC 9110 §15.5.16)', () => {
  for (const coding of ['compress', 'gzip, exi', 'constructor', '__proto__']) {
    const { client, reader } = send(Buffer.from('x'), coding);
    assert.equal(client.status, 415, coding);
    assert.equal(client.fields.get('accept-encoding'), ACCEPTED);
    assert.deepEqual(reader.told, []);
  }
  assert.equal(ACCEPTED, 'gzip, deflate, br, zstd');
});

test('a body without a coding, or with identity, is read as it is', () => {
  const { reader } = send(PLAIN, 'identity', { cut: 0 });
  assert.ok(reader.body.equals(PLAIN));
});

test('a client that goes away in the middle is told', () => {
  const world = new World(3);
  let reader!: Slow;
  const client = simulateRequest(
    world,
    (exchange) => {
      reader = new Slow(exchange);
      decodeBody(exchange, reader, 1_000);
    },
    { method: 'POST', fields: Fields.of({ 'content-encoding': 'gzip' }) },
  );
  client.send(zlib.gzipSync('half').subarray(0, 12));
  world.pass(50);
  client.abort(8);
  world.pass(50);
  assert.deepEqual(reader.told, ['lost']);
});

test('what is worth coding, and what is not', () => {
  for (const yes of [
    'text/html',
    'TEXT/CSS; charset=utf-8',
    'application/json',
    'image/svg+xml',
    'application/problem+json',
    'application/wasm',
  ])
    assert.equal(isCompressible(yes), true, yes);
  for (const no of [
    'text/event-stream',
    'text/event-stream; charset=utf-8',
    'image/png',
    'video/mp4',
    'application/zip',
    'application/octet-stream',
    '',
  ])
    assert.equal(isCompressible(no), false, no);
});

test('a coded body is kept as long as the body, and has a tag of its own (RFC 9110 §8.8.3.3)', () => {
  for (const coding of CODINGS) {
    const coded = codedWhole(PLAIN, coding);
    assert.equal(codedWhole(PLAIN, coding), coded);
    assert.ok(coded.length < PLAIN.length / 5);
  }
  assert.ok(zlib.gunzipSync(codedWhole(PLAIN, 'gzip')).equals(PLAIN));
  assert.equal(codedEtag('"a"', 'gzip'), '"a-gzip"');
  assert.equal(codedEtag('W/"a"', 'br'), 'W/"a-br"');
});
