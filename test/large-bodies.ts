// Bodies that are larger than memory should ever hold, both ways over real sockets: sent as fast as the socket takes them
// to somebody who reads late and slowly. Used by the suite with some hundred megabytes and by the soak with gigabytes.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientRequest, type IncomingMessage, request } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { SILENT } from '../src/core/log.ts';
import { OK } from '../src/core/outcome.ts';
import type { Reading, Sink, Source } from '../src/core/sink.ts';
import { Portico } from '../src/portico.ts';
import { answerRepresentation } from '../src/protocols/http/representation.ts';
import { http1 } from '../src/protocols/http1/index.ts';
import type { Resources } from '../src/resources/resources.ts';
import { ENTROPY, Server, serverTurn } from '../src/server/server.ts';

/** What may wait on the way: the buffers of two sockets and what the server holds of a body. */
const HELD_MAX = 24 * 1_048_576;
/** How far the process may grow while it happens; garbage that is not collected yet is most of it. */
const GROWTH_MAX = 192 * 1_048_576;
const PIECE = Buffer.alloc(65_536, 'large ');

export interface Course {
  /** The most that had been sent and was not read. */
  readonly heldMost: number;
  /** By how much the process grew. */
  readonly growth: number;
  readonly ms: number;
}

class Watch {
  sent = 0;
  read = 0;
  heldMost = 0;
  private readonly before: number;
  private readonly began = performance.now();
  private most: number;
  private readonly timer: NodeJS.Timeout;

  constructor() {
    this.before = process.memoryUsage().rss;
    this.most = this.before;
    this.timer = setInterval(() => {
      this.most = Math.max(this.most, process.memoryUsage().rss);
    }, 20);
  }

  add(sent: number, read: number): void {
    this.sent += sent;
    this.read += read;
    this.heldMost = Math.max(this.heldMost, this.sent - this.read);
  }

  course(): Course {
    clearInterval(this.timer);
    const { heldMost, most, before, began } = this;
    return { heldMost, growth: most - before, ms: performance.now() - began };
  }
}

/** Uploads `size` bytes to a handler that does not read for a while, and slowly at first. */
export async function upload(size: number): Promise<Course> {
  const watch = new Watch();
  await using portico = await Portico.start({
    ports: 'ephemeral',
    storage: 'memory',
    http: {
      routes: {
        '/upload': async (sent) => {
          await wait(500);
          let reads = 0;
          for await (const chunk of sent.body!) {
            watch.add(0, chunk.length);
            if (reads++ < 20) await wait(20);
          }
          return new Response(String(watch.read));
        },
      },
    },
  });
  const out = request(`${portico.urls.http}/upload`, { method: 'PUT', headers: { 'content-length': size } });
  const answer = once(out, 'response') as Promise<[IncomingMessage]>;
  await writeAll(out, size, watch);
  const [response] = await answer;
  assert.equal(response.statusCode, 200);
  assert.equal(Buffer.concat(await response.toArray()).toString(), String(size));
  return checked(watch);
}

async function writeAll(out: ClientRequest, size: number, watch: Watch): Promise<void> {
  for (let left = size; left > 0; ) {
    const piece = left < PIECE.length ? PIECE.subarray(0, left) : PIECE;
    left -= piece.length;
    watch.add(piece.length, 0);
    if (!out.write(piece)) await once(out, 'drain');
  }
  out.end();
}

/** Downloads `size` bytes that a handler makes as they are pulled, to a client that does not read for a while. */
export async function download(size: number): Promise<Course> {
  const watch = new Watch();
  await using portico = await Portico.start({
    ports: 'ephemeral',
    storage: 'memory',
    http: {
      routes: {
        '/download': () => {
          let left = size;
          const body = new ReadableStream<Uint8Array>({
            pull(controller) {
              const piece = left < PIECE.length ? PIECE.subarray(0, left) : PIECE;
              left -= piece.length;
              watch.add(piece.length, 0);
              controller.enqueue(piece);
              if (left === 0) controller.close();
            },
          });
          return new Response(body, { headers: { 'content-length': String(size) } });
        },
      },
    },
  });
  const out = request(`${portico.urls.http}/download`);
  out.end();
  const [response] = (await once(out, 'response')) as [IncomingMessage];
  assert.equal(response.headers['content-length'], String(size));
  await readLate(response, watch);
  assert.equal(watch.read, size);
  return checked(watch);
}

/** A source that is read a turn later, as a file is, and counts what it gave. */
class Made implements Source {
  private readonly watch: Watch;

  constructor(watch: Watch) {
    this.watch = watch;
  }

  read(start: number, end: number, sink: Sink): Reading {
    let at = start;
    let waits = false;
    let over = false;
    const give = () => {
      waits = false;
      for (let pieces = 0; !over && at < end && sink.room > 0; pieces++) {
        if (pieces === 4) return later();
        const size = Math.min(PIECE.length, end - at);
        at += size;
        this.watch.add(size, 0);
        sink.bytes(PIECE, 0, size);
      }
      if (over || at < end) return;
      over = true;
      sink.end(OK);
    };
    const later = () => {
      if (waits || over) return;
      waits = true;
      setImmediate(give);
    };
    later();
    const stop = () => {
      over = true;
    };
    return { more: later, stop };
  }
}

/** Downloads all but the first byte of a representation of `size` bytes from a source, to a client that does not read for a while. */
export async function represent(size: number): Promise<Course> {
  const watch = new Watch();
  const turn = serverTurn((error) => assert.fail(String(error)));
  const server: Server<Resources> = new Server<Resources>(turn, {
    resources: {} as Resources,
    log: SILENT,
    software: 'Portico/test',
    outbound: { allow: [] },
    routes: (exchange) =>
      answerRepresentation(
        exchange,
        { clock: turn.clock, entropy: ENTROPY },
        {
          type: 'video/mp4',
          etag: '"large"',
          lastModified: null,
          content: { source: new Made(watch), length: size },
        },
      ),
  });
  const listens = http1.listens.find(({ on }) => on === 'tcp')!;
  await server.listen([{ protocol: http1, listens, hosts: ['127.0.0.1'], port: 0 }], []);
  const out = request(`http://127.0.0.1:${server.standing[0]!.address!.port}/`, { headers: { range: 'bytes=1-' } });
  out.end();
  const [response] = (await once(out, 'response')) as [IncomingMessage];
  assert.equal(response.statusCode, 206);
  assert.equal(response.headers['content-range'], `bytes 1-${size - 1}/${size}`);
  await readLate(response, watch);
  assert.equal(watch.read, size - 1);
  await server.close();
  turn.stop();
  return checked(watch);
}

/** Not for a while, slowly at first, and then as fast as it goes. */
async function readLate(response: IncomingMessage, watch: Watch): Promise<void> {
  await wait(500);
  let reads = 0;
  for await (const chunk of response) {
    watch.add(0, (chunk as Buffer).length);
    if (reads++ < 20) await wait(20);
  }
}

function checked(watch: Watch): Course {
  const course = watch.course();
  assert.ok(course.heldMost < HELD_MAX, `${course.heldMost} bytes were under way at once`);
  assert.ok(course.growth < GROWTH_MAX, `the process grew by ${course.growth} bytes`);
  return course;
}
