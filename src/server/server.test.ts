// The server with protocols made for the test, on real sockets: listeners on all addresses, hosts, ways out, the end.
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import type { DatagramPort } from '../core/datagram.ts';
import { DatagramRecorder } from '../core/datagram-suite.ts';
import type { Log } from '../core/log.ts';
import { SILENT } from '../core/log.ts';
import type { Pipe } from '../core/pipe.ts';
import { Recorder } from '../core/pipe-suite.ts';
import type { Host, Listens, Protocol } from '../core/protocol.ts';
import { NO_EVENTS, PIPE_BOUNDS } from '../core/stream-pipe.ts';
import { dial } from '../transports/socket-pipe.ts';
import { ListenError } from './doors.ts';
import { OPEN_MAX } from './reach.ts';
import type { RegistryLimits } from './registry.ts';
import { type ListenerPlan, Server, serverTurn } from './server.ts';

const DISSECTS_NOTHING = { push: () => [] };

interface Served {
  readonly session: Recorder;
  readonly host: Host;
}

/** A server of one protocol that records, with what it served. */
function house(options: { allow?: string[]; limits?: Partial<RegistryLimits>; log?: Log } = {}) {
  const bugs: string[] = [];
  const turn = serverTurn((error, where) => bugs.push(`${where}: ${String(error)}`));
  const server = new Server<unknown>(turn, {
    resources: {},
    log: options.log ?? SILENT,
    software: 'Test/1',
    outbound: { allow: options.allow ?? [] },
    limits: { leaveMs: 300, ...options.limits },
  });
  const served: Served[] = [];
  const ports: DatagramRecorder[] = [];
  const listens: Listens<unknown>[] = [
    {
      on: 'tcp',
      port: 1,
      standardPort: 1,
      recognises: (bytes, start) => bytes[start] === 0x41,
      pipe: (pipe: Pipe, host: Host) => {
        const session = new Recorder(pipe);
        served.push({ session, host });
        return session;
      },
    },
    {
      on: 'udp',
      port: 1,
      standardPort: 1,
      datagrams: (port: DatagramPort) => {
        const recorder = new DatagramRecorder(port);
        ports.push(recorder);
        return recorder;
      },
    },
  ];
  const protocol: Protocol = {
    name: 'test',
    specs: [],
    limits: {},
    faults: {},
    uses: [],
    listens,
    dissector: () => DISSECTS_NOTHING,
  };
  const plan = (more: Partial<ListenerPlan<unknown>> = {}): ListenerPlan<unknown> => {
    return { protocol, listens: listens[0]!, hosts: ['127.0.0.1', '::1'], port: 0, ...more };
  };
  return { server, served, ports, bugs, plan, udp: listens[1]!, turn };
}

type House = ReturnType<typeof house>;

function client({ turn }: House, host: string, port: number, path?: string): Promise<Recorder> {
  return new Promise((resolve, reject) => {
    dial(
      { host, port, ...(path === undefined ? {} : { path }) },
      null,
      { turn, bounds: PIPE_BOUNDS, events: NO_EVENTS },
      (pipe) => {
        const session = new Recorder(pipe);
        resolve(session);
        return session;
      },
      (_cause, why) => reject(new Error(why)),
    );
  });
}

async function until(done: () => boolean, ms = 5_000): Promise<void> {
  for (const end = Date.now() + ms; !done(); ) {
    assert.ok(Date.now() < end, 'nothing more happens');
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

test('a free port is the same on all addresses, streams and datagrams', async () => {
  const it = house();
  await it.server.listen([it.plan(), it.plan({ listens: it.udp })]);
  const [one, two, three, four] = it.server.standing;
  assert.equal(one!.address!.port, two!.address!.port);
  assert.equal(three!.address!.port, four!.address!.port);
  for (const { address } of [one!, two!]) {
    const session = await client(it, address!.host, address!.port);
    session.say('hello');
  }
  await until(() => it.served.every(({ session }) => session.text === 'hello') && it.served.length === 2);
  await it.server.close();
  await until(() => it.ports.every(({ told }) => told.join() === 'leave,lost ended'));
  assert.deepEqual(it.bugs, []);
});

test('an address that this machine does not have is passed over, unless there is no other', async () => {
  const it = house();
  await it.server.listen([it.plan({ hosts: ['127.0.0.1', '2001:db8::1'] })]);
  assert.equal(it.server.standing.length, 1);
  await assert.rejects(it.server.listen([it.plan({ hosts: ['192.0.2.1'] })]), (error) => {
    assert.ok(error instanceof ListenError);
    assert.match(error.message, /this machine has no such address/);
    return true;
  });
  await it.server.close();
});

test('when one listener fails none is left', async () => {
  const it = house();
  await it.server.listen([it.plan()]);
  const { port } = it.server.standing[0]!.address!;
  const other = house();
  await assert.rejects(
    other.server.listen([other.plan({ listens: other.udp }), other.plan({ port })]),
    /is in use by process/,
  );
  await it.server.close();
  // What the second had opened is closed: its port can be had.
  const third = house();
  await third.server.listen([third.plan({ port })]);
  await third.server.close();
  await other.server.close();
});

test('a Unix socket goes with its server', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'portico-unix-'));
  const path = join(folder, 's');
  const it = house();
  await it.server.listen([it.plan({ path })]);
  const session = await client(it, '', 0, path);
  session.say('x');
  await until(() => it.served[0]?.session.text === 'x');
  await assert.rejects(
    it.server.listen([it.plan({ path: join(folder, 'none', 's') })]),
    /its folder does not exist|cannot listen/,
  );
  await it.server.close();
  assert.equal(existsSync(path), false);
  rmSync(folder, { recursive: true });
});

test('whoever does not leave is cut after the grace, the others are waited for', async () => {
  const it = house();
  await it.server.listen([it.plan()]);
  const { host, port } = it.server.standing[0]!.address!;
  const polite = await client(it, host, port);
  const stubborn = await client(it, host, port);
  await until(() => it.served.length === 2);
  polite.say('a');
  await until(() => it.served.some(({ session }) => session.text === 'a'));
  const began = performance.now();
  const closing = it.server.close();
  await until(() => polite.text === 'goodbye');
  polite.pipe.end();
  await closing;
  const took = performance.now() - began;
  assert.ok(took >= 250 && took < 2_000, `${took} ms`);
  // A peer that neither reads nor writes learns of it only when it does.
  assert.equal(it.server.registry.size, 0);
  assert.equal(stubborn.text, 'goodbye');
  await assert.rejects(client(it, host, port), /ECONNREFUSED/);
  assert.deepEqual(it.bugs, []);
});

test('connections past a bound are refused, and the log says so a few times only', async () => {
  const lines: string[] = [];
  const log: Log = { ...SILENT, info: (text) => void lines.push(text) };
  const it = house({ limits: { connectionsPerAddressMax: 1 }, log });
  await it.server.listen([it.plan()]);
  const { host, port } = it.server.standing[0]!.address!;
  const first = await client(it, host, port);
  for (let count = 0; count < 15; count++) {
    const session = await client(it, host, port).catch(() => null);
    if (session !== null) await until(() => session.isLost);
  }
  assert.equal(it.served.length, 1);
  assert.equal(it.server.registry.figures.refused, 15);
  assert.equal(lines.filter((line) => line.includes('refused')).length, 10);
  first.pipe.end();
  it.served[0]!.session.pipe.end();
  await until(() => it.server.registry.size === 0);
  await client(it, host, port);
  await until(() => it.served.length === 2);
  await it.server.close();
});

test('a session reaches out only where it may, so often as it may, and nothing of it outlives it', async () => {
  const there = house();
  await there.server.listen([there.plan()]);
  const { port } = there.server.standing[0]!.address!;
  const reached: Recorder[] = [];
  const refusals: string[] = [];
  const go = ({ host }: Served, to: string) =>
    host.reach.dial(
      { host: to, port },
      null,
      (pipe) => {
        const session = new Recorder(pipe);
        reached.push(session);
        return session;
      },
      (_cause, why) => void refusals.push(why),
    );
  const closed = house();
  await closed.server.listen([closed.plan()]);
  await client(closed, '127.0.0.1', closed.server.standing[0]!.address!.port);
  await until(() => closed.served.length === 1);
  for (const host of ['127.0.0.1', 'localhost', '::1', '::ffff:127.0.0.1']) go(closed.served[0]!, host);
  await until(() => refusals.length === 4);
  for (const why of refusals.splice(0)) assert.match(why, /is private and not in the list of allowed targets/);
  await closed.server.close();

  const it = house({ allow: ['127.0.0.0/8'] });
  await it.server.listen([it.plan()]);
  const asker = await client(it, '127.0.0.1', it.server.standing[0]!.address!.port);
  await until(() => it.served.length === 1);
  const [one] = it.served;
  for (let count = 0; count < OPEN_MAX + 3; count++) go(one!, '127.0.0.1');
  await until(() => reached.length === OPEN_MAX && refusals.length === 3);
  assert.equal(it.server.registry.size, OPEN_MAX + 1);
  asker.pipe.reset(0);
  await until(() => it.server.registry.size === 0);
  assert.ok(reached.every((session) => session.isLost));
  await until(() => there.server.registry.size === 0);
  await it.server.close();
  await there.server.close();
  assert.deepEqual([...it.bugs, ...there.bugs], []);
});

test('listening once takes one connection, from whom it is for', async () => {
  const it = house();
  await it.server.listen([it.plan({ hosts: ['127.0.0.1'] })]);
  await client(it, '127.0.0.1', it.server.standing[0]!.address!.port);
  await until(() => it.served.length === 1);
  const { host } = it.served[0]!;
  let data: Recorder | null = null;
  let expired = 0;
  const listen = (from: string, ms: number) =>
    host.reach.listenOnce(
      [20_000, 40_000],
      { host: from, port: 0 },
      host.clock.now + ms,
      (pipe) => (data = new Recorder(pipe)),
      () => void expired++,
    );
  const port = await listen('127.0.0.1', 5_000);
  const session = await client(it, '127.0.0.1', port!);
  session.say('data');
  await until(() => (data as Recorder | null)?.text === 'data');
  await assert.rejects(client(it, '127.0.0.1', port!), /ECONNREFUSED/);
  const stranger = await listen('192.0.2.1', 5_000);
  const refused = await client(it, '127.0.0.1', stranger!).catch(() => null);
  if (refused !== null) await until(() => refused.isLost);
  const late = await listen('127.0.0.1', 30);
  await until(() => expired === 1);
  await assert.rejects(client(it, '127.0.0.1', late!), /ECONNREFUSED/);
  await it.server.close();
  assert.deepEqual(it.bugs, []);
});
