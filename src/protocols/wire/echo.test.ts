import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { DatagramRecorder, type PortsUnderTest } from '../../core/datagram-suite.ts';
import type { Pipe, Session } from '../../core/pipe.ts';
import { type PipesUnderTest, Recorder, SUITE_BOUNDS } from '../../core/pipe-suite.ts';
import { NO_EVENTS, type StreamPipe } from '../../core/stream-pipe.ts';
import { NODE_LOOP, TurnLoop } from '../../server/turn.ts';
import { DatagramNetwork } from '../../sim/datagrams.ts';
import { linkPipes } from '../../sim/pipes.ts';
import { World } from '../../sim/world.ts';
import { dial } from '../../transports/socket-pipe.ts';
import { listenStream } from '../../transports/tcp.ts';
import { openUdp } from '../../transports/udp.ts';
import { DiscardDatagrams, DiscardSession, EchoDatagrams, EchoSession } from './echo.ts';
import { echoDatagramSuite, echoSuite } from './testing/echo-suite.ts';

function untilIn(world: World): (done: () => boolean) => Promise<void> {
  return async (done) => {
    world.pass(1);
    for (let ms = 0; !done(); ms++) {
      assert.ok(ms < 60_000, 'nothing more happens');
      world.pass(1);
    }
  };
}

async function until(done: () => boolean): Promise<void> {
  for (let round = 0; round === 0 || !done(); round++) {
    assert.ok(round < 20_000, 'nothing more happens');
    await new Promise((resolve) => setTimeout(resolve, round < 50 ? 0 : 1));
  }
}

for (const cut of [0, 1, 7]) {
  echoSuite(`simulated pipes, cut ${cut}`, async () => {
    const world = new World(cut + 1);
    return {
      // Three megabytes byte by byte would be too many events: larger pieces here, the small ones below.
      join: async (near, far) => linkPipes(world, near, far, { cut: cut * 1_000, bounds: SUITE_BOUNDS }),
      until: untilIn(world),
      bugs: world.bugs,
      tls: null,
      resets: true,
      dispose: async () => {},
    };
  });

  test(`echo over simulated pipes: cut into pieces of at most ${cut} bytes`, () => {
    const world = new World(cut + 1);
    let peer!: Recorder;
    linkPipes(
      world,
      (pipe) => (peer = new Recorder(pipe)),
      (pipe) => new EchoSession(pipe, 1_000, world.turn.clock),
      { cut },
    );
    const text = Array.from({ length: 400 }, (_none, index) => `${index} `).join('');
    peer.say(text);
    peer.pipe.end();
    world.pass(10_000);
    assert.equal(peer.text, text);
    assert.ok(peer.isLost);
    assert.deepEqual(world.bugs, []);
  });
}

async function sockets(where: { host: string } | { path: string }): Promise<PipesUnderTest> {
  const bugs: unknown[] = [];
  const turn = new TurnLoop(NODE_LOOP, (error) => void bugs.push(error));
  const making = { turn, bounds: SUITE_BOUNDS, events: NO_EVENTS };
  const pipes: StreamPipe[] = [];
  let accept!: (pipe: Pipe) => Session;
  const listening = await listenStream({
    ...making,
    ...where,
    port: 0,
    admit: () => true,
    accept: (pipe) => accept(pipe),
    opened: (pipe) => void pipes.push(pipe),
  });
  return {
    async join(near, far) {
      accept = far;
      const target =
        'path' in where ? { host: '', port: 0, path: where.path } : { ...where, port: listening.address!.port };
      const client = await new Promise<StreamPipe>((resolve, reject) => {
        const connected = (pipe: Pipe) => {
          resolve(pipe as StreamPipe);
          return near(pipe);
        };
        dial(target, null, making, connected, (_cause, why) => reject(new Error(why)));
      });
      pipes.push(client);
      await until(() => pipes.length >= 2);
      return { near: client, far: pipes[0]! };
    },
    until,
    bugs,
    tls: null,
    resets: 'host' in where,
    async dispose() {
      for (const pipe of pipes) pipe.reset(0);
      await listening.close();
    },
  };
}

echoSuite('tcp', () => sockets({ host: '127.0.0.1' }));
echoSuite('tcp over IPv6', () => sockets({ host: '::1' }));
echoSuite('unix socket', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'portico-'));
  const pipes = await sockets({ path: join(folder, 's') });
  return {
    ...pipes,
    async dispose() {
      await pipes.dispose();
      rmSync(folder, { recursive: true });
    },
  };
});

for (const host of ['127.0.0.1', '::1']) {
  echoDatagramSuite(`udp ${host}`, async (): Promise<PortsUnderTest> => {
    const bugs: unknown[] = [];
    const turn = new TurnLoop(NODE_LOOP, (error) => void bugs.push(error));
    const ports: { close(): void }[] = [];
    return {
      async open(session) {
        const port = await openUdp({ turn, host, port: 0, session });
        ports.push(port);
        return port;
      },
      until,
      bugs,
      dispose: async () => {
        for (const port of ports) port.close();
      },
    };
  });
}

echoDatagramSuite('simulated datagrams', async () => {
  const world = new World(1);
  const network = new DatagramNetwork(world);
  let port = 1_024;
  return {
    open: async (session) => network.open({ host: '10.0.0.1', port: port++ }, session),
    until: untilIn(world),
    bugs: world.bugs,
    dispose: async () => {},
  };
});

test('an echo does not answer itself, nor a service that would answer it', () => {
  const world = new World(1);
  const network = new DatagramNetwork(world);
  const at = { host: '10.0.0.1', port: 7_007 };
  const echo = network.open(at, (port) => new EchoDatagrams(port));
  network.open({ host: '10.0.0.2', port: 7_007 }, (port) => new DiscardDatagrams(port));
  let service!: DatagramRecorder;
  network.open({ host: '10.0.0.2', port: 19 }, (port) => (service = new DatagramRecorder(port)));
  service.say(at, 'chargen');
  const bytes = Buffer.from('round and round');
  echo.send(at, null, bytes, 0, bytes.length, 0);
  echo.send({ host: '10.0.0.2', port: 7_007 }, null, bytes, 0, bytes.length, 0);
  const steps = world.run(1_000);
  assert.deepEqual(service.received, []);
  assert.ok(steps < 50, `${steps} steps`);
});

test('discard says nothing and reads all; both end when idle', () => {
  const world = new World(1);
  let a!: Recorder;
  let b!: Recorder;
  const faulted: string[] = [];
  const options = {
    events: { ...NO_EVENTS, faulted: (_pipe: unknown, fault: { id: string }) => void faulted.push(fault.id) },
  };
  linkPipes(
    world,
    (pipe) => (a = new Recorder(pipe)),
    (pipe) => new DiscardSession(pipe, 1_000, world.turn.clock),
    options,
  );
  linkPipes(
    world,
    (pipe) => (b = new Recorder(pipe)),
    (pipe) => new EchoSession(pipe, 1_000, world.turn.clock),
    options,
  );
  a.say('x'.repeat(100_000));
  world.pass(500);
  b.say('x');
  world.pass(600);
  assert.deepEqual(faulted, ['wire.idle']);
  assert.equal(a.total, 0);
  assert.ok(a.told.includes('finish'));
  world.pass(1_000);
  assert.deepEqual(faulted, ['wire.idle', 'wire.idle']);
  assert.equal(b.text, 'x');
  assert.deepEqual(world.bugs, []);
});
