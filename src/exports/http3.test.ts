// `portico/http3` over real sockets of this machine, and the halves by themselves, with no socket at all.
import assert from 'node:assert/strict';
import { randomFillSync } from 'node:crypto';
import { test } from 'node:test';
import { Fields } from '../core/fields.ts';
import { bindLimits } from '../core/limits.ts';
import { SILENT } from '../core/log.ts';
import { clientLimits } from '../protocols/http1/client-limits.ts';
import { identityOf, made, serverExtensions } from '../protocols/quic/tls/testing/certificates.ts';
import { DAY, newKey } from '../security/certificate.ts';
import { connect, Http3Client, type Http3Host, Http3Session, http3Bounds, listen } from './http3.ts';
import { type DatagramPort, type DatagramSession, dialQuic, quicBounds, serveQuic } from './quic.ts';

const TIMEOUT = { timeout: 30_000 };
const own = made({
  name: 'localhost',
  key: newKey(),
  from: Date.now() - DAY,
  to: Date.now() + DAY,
  extensions: serverExtensions(['localhost', '127.0.0.1']),
});

test('a server of requests and responses, and its client', TIMEOUT, async () => {
  const server = await listen({ ...identityOf(own) }, async (request) => {
    const text = await request.text();
    return new Response(`${request.method} ${new URL(request.url).pathname} ${text}`, {
      status: text === '' ? 200 : 201,
    });
  });
  const client = connect({ tls: { verify: false } });
  const at = (path: string) => `https://localhost:${server.port}${path}`;
  const answer = await client.fetch(at('/a'), { method: 'POST', body: 'hello' });
  assert.deepEqual([answer.status, await answer.text()], [201, 'POST /a hello']);
  const many = await Promise.all(
    Array.from({ length: 50 }, (_, index) => client.fetch(at(`/${index}`)).then((got) => got.text())),
  );
  assert.equal(many[49], 'GET /49 ');
  assert.equal(client.figures.connections, 1);
  await server.close();
  await assert.rejects(client.fetch(at('/late')));
  client.close();
});

test('who closes answers what was asked before', TIMEOUT, async () => {
  let go = () => {};
  const held = new Promise<void>((resolve) => (go = resolve));
  let asked = () => {};
  const isAsked = new Promise<void>((resolve) => (asked = resolve));
  const server = await listen({ ...identityOf(own) }, async () => {
    asked();
    await held;
    return new Response('late but whole');
  });
  const client = connect({ tls: { verify: false } });
  const answer = client.fetch(`https://localhost:${server.port}/`);
  await isAsked;
  const closed = server.close();
  go();
  assert.equal(await (await answer).text(), 'late but whole');
  await closed;
  client.close();
});

/** Two ends that hand each other datagrams, and a clock that stands still unless it is moved. */
class Wire {
  readonly clock = { now: 1, wall: Date.now() };
  readonly time = { clock: this.clock };
  private readonly onTheirWay: (() => void)[] = [];
  private readonly ends: (DatagramSession | null)[] = [null, null];

  port(side: 0 | 1): DatagramPort {
    const local = { host: '127.0.0.1', port: 1_000 + side };
    const other = { host: '127.0.0.1', port: 1_001 - side };
    return {
      local,
      ecn: false,
      room: 1_000_000,
      send: (_to, _local, bytes, start, end, segment) => {
        const size = segment === 0 ? end - start : segment;
        for (let at = start; at < end; at += size) {
          const copy = Uint8Array.prototype.slice.call(bytes, at, Math.min(end, at + size));
          this.onTheirWay.push(() => this.ends[1 - side]!.receive(copy, 0, copy.length, local, other, 0, this.clock));
        }
        return true;
      },
      touch() {},
      close() {},
    };
  }

  join(first: DatagramSession, second: DatagramSession): void {
    this.ends[0] = first;
    this.ends[1] = second;
  }

  /** Until nothing happens any more, or it is done. */
  run(isDone: () => boolean): void {
    for (let round = 0; round < 10_000 && !isDone(); round++) {
      for (const end of this.ends) end!.gather?.(this.clock);
      const arrived = this.onTheirWay.splice(0);
      for (const arrive of arrived) arrive();
      if (arrived.length > 0) continue;
      this.clock.now += 1;
      for (const end of this.ends) if (end!.deadline <= this.clock.now) end!.tick(this.clock);
    }
  }
}

test('both halves without a socket, a timer or a promise', () => {
  const wire = new Wire();
  const { clock, time } = wire;
  const entropy = { fill: (into: Uint8Array) => void randomFillSync(into) };
  const failures: unknown[] = [];
  const bug = (error: unknown) => void failures.push(error);
  const host: Http3Host = {
    ...{ clock, entropy, bug },
    limits: http3Bounds(),
    log: SILENT,
    routes: (exchange) => {
      exchange.respond(200, new Fields(), 5);
      exchange.out.ascii('hello');
      exchange.end();
    },
  };
  const server = serveQuic(wire.port(1), {
    ...{ clock, entropy, bug, log: SILENT, limits: quicBounds() },
    startTls: { role: 'server', ...identityOf(own) },
    muxes: [{ name: 'http3', alpn: 'h3', make: (mux) => new Http3Session(mux, host) }],
  });
  const body: string[] = [];
  let ended = '';
  const client = dialQuic(wire.port(0), {
    ...{ entropy, time, bug },
    policy: { role: 'client', serverName: 'localhost', verify: false, alpn: ['h3'] },
    make: (mux) => {
      const spoken = new Http3Client(mux, time, entropy, bindLimits(clientLimits), { idle() {}, closed() {} });
      queue.push(() => {
        spoken.send(
          { method: 'GET', target: '/', authority: 'localhost', fields: new Fields() },
          {
            answered: (status) => {
              body.push(String(status));
              return {
                receive(input, start, end) {
                  body.push(Buffer.from(input.subarray(start, end)).toString());
                  return end;
                },
                trailers() {},
                finish() {},
                lost() {},
              };
            },
            over: (cause) => void (ended = cause),
          },
        );
      });
      return spoken;
    },
  });
  const queue: (() => void)[] = [];
  wire.join(client, server);
  client.dial({ host: '127.0.0.1', port: 1_001 });
  wire.run(() => queue.length > 0);
  for (const step of queue) step();
  wire.run(() => ended !== '');
  assert.deepEqual(failures, []);
  assert.deepEqual([...body, ended], ['200', 'hello', 'ended']);
});
