import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as zlib from 'node:zlib';
import fc from 'fast-check';
import { Fields } from '../../core/fields.ts';
import { FAILED, OK } from '../../core/outcome.ts';
import { REVOKED } from '../../core/pipe.ts';
import type { Reading, Sink, Source } from '../../core/sink.ts';
import { type SimulatedClient, simulateRequest } from '../../sim/exchange.ts';
import type { LinkOptions } from '../../sim/pipes.ts';
import { World } from '../../sim/world.ts';
import { answerRepresentation, type Representation } from './representation.ts';

const AT = 'Sun, 06 Nov 1994 08:49:37 GMT';
const LAST = Date.UTC(1994, 10, 6, 8, 49, 37) + 300;
const TEXT = Buffer.from(Array.from({ length: 1_000 }, (_, index) => `line ${index}\n`).join(''));

/** No coder makes these much smaller. */
function byteAt(at: number): number {
  const mixed = Math.imul(at ^ (at >>> 15), 0x2c1b3c6d);
  return (Math.imul(mixed ^ (mixed >>> 12), 0x297a2d39) >>> 16) & 0xff;
}

/** Bytes that tell where they stand, read in pieces, at once or a turn later. */
class Counted implements Source {
  readonly world: World | null;
  readonly failAt: number;
  given = 0;
  stopped = 0;

  constructor(world: World | null, failAt = Number.POSITIVE_INFINITY) {
    this.world = world;
    this.failAt = failAt;
  }

  static bytes(start: number, end: number): Buffer {
    const made = Buffer.alloc(end - start);
    for (let at = start; at < end; at++) made[at - start] = byteAt(at);
    return made;
  }

  read(start: number, end: number, sink: Sink): Reading {
    let at = start;
    let over = false;
    let waiting = false;
    const give = () => {
      waiting = false;
      while (!over && at < end && sink.room > 0) {
        if (at >= this.failAt) {
          over = true;
          sink.end(FAILED);
          return;
        }
        const size = Math.min(10_000, sink.room, end - at);
        this.given += size;
        at += size;
        sink.bytes(Counted.bytes(at - size, at), 0, size);
        if (this.world !== null) return later();
      }
      if (!over && at === end) {
        over = true;
        sink.end(OK);
      }
    };
    const later = () => {
      if (waiting || over) return;
      waiting = true;
      if (this.world === null) give();
      else this.world.after(1, give);
    };
    later();
    return {
      more: later,
      stop: () => {
        over = true;
        this.stopped++;
      },
    };
  }
}

interface Asked {
  readonly client: SimulatedClient;
  readonly world: World;
}

function ask(
  it: Partial<Representation>,
  fields: Record<string, string> = {},
  { method = 'GET', world = new World(5), ...link }: { method?: string; world?: World } & LinkOptions = {},
): Asked {
  const client = simulateRequest(
    world,
    (exchange) =>
      answerRepresentation(
        exchange,
        { clock: world.turn.clock, entropy: world.random },
        {
          type: 'text/plain',
          etag: '"v1"',
          lastModified: LAST,
          content: TEXT,
          ...it,
        },
      ),
    { method, fields: Fields.of(fields) },
    link,
  );
  client.end();
  for (let ms = 0; ms < 20_000 && !client.ended && client.failed === null; ms++) world.pass(1);
  assert.deepEqual(world.bugs, []);
  return { client, world };
}

const PLAIN = { 'accept-encoding': 'identity' };

test('the whole, with its validators (RFC 9110 §8.8, §15.3.1)', () => {
  const { client } = ask({ fields: Fields.of({ 'cache-control': 'no-cache' }) });
  assert.equal(client.status, 200);
  assert.equal(client.length, TEXT.length);
  assert.ok(client.body.equals(TEXT));
  assert.deepEqual(client.fields.list, [
    ...['cache-control', 'no-cache', 'etag', '"v1"', 'last-modified', AT],
    ...['vary', 'Accept-Encoding', 'accept-ranges', 'bytes', 'content-type', 'text/plain'],
  ]);
});

test('HEAD has the fields of GET and no body (RFC 9110 §9.3.2)', () => {
  const source = new Counted(null);
  for (const content of [TEXT, { source, length: 5_000_000 }])
    for (const coding of ['identity', 'gzip']) {
      const { client } = ask({ content }, { 'accept-encoding': coding }, { method: 'HEAD' });
      const get = ask({ content }, { 'accept-encoding': coding }).client;
      assert.equal(client.status, 200);
      assert.equal(client.length, get.length);
      assert.deepEqual(client.fields.list, get.fields.list);
      assert.equal(client.body.length, 0);
      assert.equal(client.ended, true);
    }
});

test('what is made for one answer has no parts (RFC 9110 §14.3)', () => {
  const { client } = ask({ whole: true, etag: null, lastModified: null }, { range: 'bytes=0-4', ...PLAIN });
  assert.equal(client.status, 200);
  assert.equal(client.fields.get('accept-ranges'), null);
  assert.ok(client.body.equals(TEXT));
});

test('other methods are 405 with Allow (RFC 9110 §15.5.6)', () => {
  const { client } = ask({}, {}, { method: 'DELETE' });
  assert.equal(client.status, 405);
  assert.equal(client.fields.get('allow'), 'GET, HEAD');
});

test('304 has the fields that caches need, and 412 is a problem (RFC 9110 §15.4.5, §15.5.13)', () => {
  for (const fields of [{ 'if-none-match': '"v1"' }, { 'if-modified-since': AT }] as Record<string, string>[]) {
    const { client } = ask(
      { fields: Fields.of({ 'cache-control': 'max-age=5', 'content-language': 'de', 'content-location': '/a' }) },
      fields,
    );
    assert.equal(client.status, 304);
    assert.equal(client.body.length, 0);
    assert.equal(client.fields.get('etag'), '"v1"');
    assert.equal(client.fields.get('cache-control'), 'max-age=5');
    assert.equal(client.fields.get('vary'), 'Accept-Encoding');
    assert.equal(client.fields.get('content-location'), '/a');
    for (const name of ['content-type', 'content-language']) assert.equal(client.fields.get(name), null);
  }
  const failed = ask({}, { 'if-match': '"v0"' }).client;
  assert.equal(failed.status, 412);
  assert.equal(failed.fields.get('etag'), '"v1"');
});

test('one range, and the rest of an interrupted download (RFC 9110 §14.2, §15.3.7.1)', () => {
  const { client } = ask({}, { range: 'bytes=100-199', 'accept-encoding': 'gzip' });
  assert.equal(client.status, 206);
  assert.equal(client.fields.get('content-range'), `bytes 100-199/${TEXT.length}`);
  assert.equal(client.fields.get('content-encoding'), null);
  assert.equal(client.fields.get('etag'), '"v1"');
  assert.equal(client.length, 100);
  assert.ok(client.body.equals(TEXT.subarray(100, 200)));
  const rest = ask({}, { range: 'bytes=500-', 'if-range': '"v1"' }).client;
  assert.ok(rest.body.equals(TEXT.subarray(500)));
  const changed = ask({}, { range: 'bytes=500-', 'if-range': '"v0"' }).client;
  assert.equal(changed.status, 200);
  assert.ok(changed.body.equals(TEXT));
});

test('several ranges are parts of one body (RFC 9110 §14.6, §15.3.7.2)', () => {
  for (const source of [new Counted(null), new Counted(new World(5))]) {
    const world = source.world ?? new World(5);
    const content = { source, length: 1_000_000 };
    const { client } = ask({ content, type: 'video/mp4' }, { range: 'bytes=0-49999,500000-599999,-10' }, { world });
    assert.equal(client.status, 206);
    assert.equal(client.fields.get('content-range'), null);
    const boundary = /boundary=(.+)$/.exec(client.fields.get('content-type')!)![1]!;
    assert.equal(client.length, client.body.length);
    const parts = client.body.toString('latin1').split(`--${boundary}`);
    assert.equal(parts.length, 5);
    assert.equal(parts[4], '--\r\n');
    [
      [0, 50_000],
      [500_000, 600_000],
      [999_990, 1_000_000],
    ].forEach(([start, end], index) => {
      const head = `\r\nContent-Type: video/mp4\r\nContent-Range: bytes ${start}-${end! - 1}/1000000\r\n\r\n`;
      assert.equal(parts[index + 1], `${head}${Counted.bytes(start!, end!).toString('latin1')}\r\n`);
    });
  }
});

test('a range beyond the end is 416 with the length; one that is malformed does not count (RFC 9110 §15.5.17)', () => {
  const { client } = ask({}, { range: `bytes=${TEXT.length}-` });
  assert.equal(client.status, 416);
  assert.equal(client.fields.get('content-range'), `bytes */${TEXT.length}`);
  for (const range of ['bytes=9-1', 'lines=1-2', 'x']) assert.equal(ask({}, { range }).client.status, 200);
  // A condition comes first (§13.2.2), and Range is for GET (§14.2).
  assert.equal(ask({}, { range: 'bytes=99999-', 'if-none-match': '"v1"' }).client.status, 304);
  assert.equal(ask({}, { range: 'bytes=1-2' }, { method: 'HEAD' }).client.status, 200);
});

test('a coding that the client takes, with a tag of its own (RFC 9110 §8.8.3.3, §12.5.3)', () => {
  const { client } = ask({}, { 'accept-encoding': 'gzip' });
  assert.equal(client.fields.get('content-encoding'), 'gzip');
  assert.equal(client.fields.get('etag'), '"v1-gzip"');
  assert.equal(client.fields.get('vary'), 'Accept-Encoding');
  assert.equal(client.length, client.body.length);
  assert.ok(zlib.gunzipSync(client.body).equals(TEXT));
  assert.equal(ask({}, { 'accept-encoding': 'gzip', 'if-none-match': '"v1-gzip"' }).client.status, 304);
  assert.equal(ask({}, { ...PLAIN, 'if-none-match': '"v1-gzip"' }).client.status, 200);
  const own = { fields: Fields.of({ vary: 'Accept' }) };
  assert.equal(ask(own, { 'accept-encoding': 'br' }).client.fields.get('vary'), 'Accept, Accept-Encoding');
});

test('what is small, of another type or coded already stays as it is', () => {
  const gzip = { 'accept-encoding': 'gzip' };
  for (const it of [
    { content: Buffer.alloc(1_023, 'x') },
    { type: 'image/png' },
    { type: 'text/event-stream' },
    { fields: Fields.of({ 'content-encoding': 'br' }) },
  ]) {
    const { client } = ask(it, gzip);
    assert.notEqual(client.fields.get('content-encoding'), 'gzip');
    assert.equal(client.fields.get('vary'), null);
    assert.equal(client.fields.get('etag'), '"v1"');
  }
});

test('what was coded beforehand is sent as it is', () => {
  const coded = { br: zlib.brotliCompressSync(TEXT) };
  const { client } = ask({ coded, type: 'image/x-own' }, { 'accept-encoding': 'gzip, br' });
  assert.equal(client.fields.get('content-encoding'), 'br');
  assert.ok(client.body.equals(coded.br));
  assert.equal(ask({ coded }, { 'accept-encoding': 'gzip' }).client.fields.get('content-encoding'), null);
});

test('a source is coded as it is read, and a long body over several turns', () => {
  const length = 1_000_000;
  const plain = Counted.bytes(0, length);
  for (const [coding, decode] of [
    ['gzip', zlib.gunzipSync],
    ['br', zlib.brotliDecompressSync],
    ['zstd', zlib.zstdDecompressSync],
  ] as const)
    for (const how of ['memory', 'source', 'later'] as const) {
      const world = new World(5);
      const content = how === 'memory' ? plain : { source: new Counted(how === 'later' ? world : null), length };
      const { client } = ask({ content }, { 'accept-encoding': coding }, { world });
      assert.equal(client.length, undefined);
      assert.equal(client.fields.get('content-encoding'), coding);
      assert.ok(decode(client.body).equals(plain), `${coding} ${how}`);
    }
});

test('a slow client holds a large source back', () => {
  for (const kind of ['now', 'later'])
    for (const coding of ['identity', 'zstd']) {
      const world = new World(5);
      const source = new Counted(kind === 'later' ? world : null);
      const client = simulateRequest(
        world,
        (exchange) =>
          answerRepresentation(
            exchange,
            { clock: world.turn.clock, entropy: world.random },
            {
              type: 'text/plain',
              etag: null,
              lastModified: null,
              content: { source, length: 5_000_000_000 },
            },
          ),
        { fields: Fields.of({ 'accept-encoding': coding }) },
        { bounds: { lowMark: 20_000 } },
      );
      world.pass(2);
      client.pipe.pause();
      world.pass(3_000);
      const { given } = source;
      assert.ok(given > 0 && given < 2_500_000, `${given} bytes were read (${kind}, ${coding})`);
      world.pass(1_000);
      assert.equal(source.given, given);
      client.pipe.resume();
      world.pass(100);
      assert.ok(source.given > given, `${kind} ${coding}`);
      client.abort(8);
      world.pass(10);
      assert.equal(source.stopped, 1);
      const last = source.given;
      world.pass(100);
      assert.equal(source.given, last);
      assert.deepEqual(world.bugs, []);
    }
});

test('a source that fails is seen not to be complete', () => {
  for (const coding of ['identity', 'gzip'])
    for (const world of [null, new World(5)]) {
      const content = { source: new Counted(world, 300_000), length: 1_000_000 };
      const { client } = ask({ content }, { 'accept-encoding': coding }, world === null ? {} : { world });
      assert.notEqual(client.failed, null);
      assert.equal(client.ended, false);
    }
});

test('whoever may no longer see it gets no more of it', () => {
  const world = new World(5);
  const source = new Counted(world);
  const client = simulateRequest(
    world,
    (exchange) =>
      answerRepresentation(
        exchange,
        { clock: world.turn.clock, entropy: world.random },
        {
          type: 'video/mp4',
          etag: null,
          lastModified: null,
          content: { source, length: 5_000_000 },
        },
      ),
    {},
  );
  world.pass(20);
  client.link.far.leave(REVOKED, 1_000);
  world.pass(20);
  assert.notEqual(client.failed, null);
  assert.equal(source.stopped, 1);
});

test('however much the kernel takes at a time, the bytes are the same, and the file is done with once', () => {
  const length = 300_000;
  const whole = Counted.bytes(0, length);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 200_000 }), { maxLength: 12 }), fc.boolean(), (takes, isRange) => {
      const world = new World(5);
      let done = 0;
      const source = Object.assign(new Counted(world), { kernelFd: 7, done: () => void done++ });
      let isEmpty = true;
      const client = simulateRequest(
        world,
        (exchange) => {
          exchange.sendFile = (fd, start, end) => {
            assert.equal(fd, 7);
            // What was written before is still on its way.
            const taken = isEmpty ? Math.min(takes.shift() ?? end - start, end - start) : 0;
            if (taken > 0) exchange.share(whole, start, start + taken);
            exchange.flush();
            if (taken === 0 || taken === end - start) return taken;
            isEmpty = false;
            world.after(20, () => {
              isEmpty = true;
              exchange.on.writable(world.turn.clock);
            });
            return taken;
          };
          const surroundings = { clock: world.turn.clock, entropy: world.random };
          const content = { source, length };
          answerRepresentation(exchange, surroundings, {
            type: 'video/mp4',
            etag: '"v1"',
            lastModified: null,
            content,
          });
        },
        { fields: Fields.of(isRange ? { range: 'bytes=1000-249999' } : {}) },
      );
      client.end();
      for (let ms = 0; ms < 20_000 && !client.ended && client.failed === null; ms++) world.pass(1);
      world.pass(1);
      assert.deepEqual(world.bugs, []);
      assert.equal(client.failed, null);
      assert.ok(client.body.equals(isRange ? whole.subarray(1_000, 250_000) : whole));
      assert.equal(done, 1);
    }),
    { numRuns: 60 },
  );
});
