import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DatagramRecorder } from '../../core/datagram-suite.ts';
import { bindLimits } from '../../core/limits.ts';
import { SILENT } from '../../core/log.ts';
import type { Pipe, Session } from '../../core/pipe.ts';
import { type PipesUnderTest, pipeSuite, Recorder, SUITE_BOUNDS } from '../../core/pipe-suite.ts';
import type { Host } from '../../core/protocol.ts';
import type { Reach } from '../../core/reach.ts';
import { OPEN_ACCOUNTS } from '../../resources/accounts/open-accounts.ts';
import type { Resources } from '../../resources/resources.ts';
import { House } from '../../resources/topics/testing/house.ts';
import { DatagramNetwork } from '../../sim/datagrams.ts';
import { linkPipes } from '../../sim/pipes.ts';
import { World } from '../../sim/world.ts';
import { wireDissector } from './dissect.ts';
import { wire, wireListens } from './index.ts';
import { limits } from './limits.ts';
import { proxyPipe } from './proxy.ts';
import { DatagramProxy } from './proxy-datagrams.ts';
import { type RecordSummary, Tail } from './record.ts';

type Connected = (pipe: Pipe) => Session;

/** A way out into a simulated world: dialling joins a pipe with what `far` makes, or is refused. */
function reachIn(world: World, far: Connected | null, network?: DatagramNetwork): Reach {
  let port = 50_000;
  return {
    dial(_target, _tls, connected, refused) {
      const off = world.after(5, () => {
        if (far === null) refused('unreachable', 'nobody is there');
        else linkPipes(world, connected, far, { bounds: SUITE_BOUNDS });
      });
      return off;
    },
    listenOnce: async () => null,
    datagrams: async (_family, session) => network?.open({ host: '10.0.0.5', port: port++ }, session) ?? null,
  };
}

// The proxy between the two ends of the suite: whatever a pipe must do, two pipes with a proxy between must do as well,
// but for what only the pipe itself can promise.
for (const cut of [0, 7]) {
  const open = async (): Promise<PipesUnderTest> => {
    const world = new World(cut + 1);
    return {
      async join(near, far) {
        let last!: ReturnType<typeof linkPipes>;
        const reach: Reach = {
          ...reachIn(world, null),
          dial(_target, _tls, connected) {
            last = linkPipes(world, connected, far, { bounds: SUITE_BOUNDS, cut });
            return () => {};
          },
        };
        const first = linkPipes(
          world,
          near,
          (pipe) => proxyPipe(pipe, reach, { host: 'x', port: 1 }, 60_000, world.turn.clock),
          { bounds: SUITE_BOUNDS, cut },
        );
        return { near: first.near, far: last.far };
      },
      async until(done) {
        world.pass(4);
        for (let ms = 0; !done(); ms++) {
          assert.ok(ms < 60_000, 'nothing more happens');
          world.pass(1);
        }
      },
      bugs: world.bugs,
      tls: null,
      resets: true,
      dispose: async () => {},
    };
  };
  pipeSuite(`through a proxy, cut ${cut}`, open);
}

test('what is sent before the upstream stands waits with the peer; an end is carried', () => {
  const world = new World(1);
  let peer!: Recorder;
  let upstream!: Recorder;
  let reached = 0;
  const reach = reachIn(world, (pipe) => {
    reached++;
    return (upstream = new Recorder(pipe));
  });
  linkPipes(
    world,
    (pipe) => (peer = new Recorder(pipe)),
    (pipe) => proxyPipe(pipe, reach, { host: 'x', port: 1 }, 1_000, world.turn.clock),
  );
  peer.say('early');
  peer.pipe.end();
  world.pass(2);
  assert.equal(reached, 0);
  world.pass(50);
  assert.equal(upstream.text, 'early');
  assert.ok(upstream.told.includes('finish'));
  upstream.say('late answer');
  upstream.pipe.end();
  world.pass(50);
  assert.equal(peer.text, 'late answer');
  assert.ok(peer.isLost && upstream.isLost);
  assert.deepEqual(world.bugs, []);
});

test('an upstream that cannot be reached resets; a peer that goes gives up dialling', () => {
  const world = new World(1);
  let peer!: Recorder;
  linkPipes(
    world,
    (pipe) => (peer = new Recorder(pipe)),
    (pipe) => proxyPipe(pipe, reachIn(world, null), { host: 'x', port: 1 }, 1_000, world.turn.clock),
  );
  world.pass(50);
  assert.deepEqual(peer.told, ['lost reset']);
  let made = 0;
  const reach = reachIn(world, (pipe) => {
    made++;
    return new Recorder(pipe);
  });
  linkPipes(
    world,
    (pipe) => (peer = new Recorder(pipe)),
    (pipe) => proxyPipe(pipe, reach, { host: 'x', port: 1 }, 1_000, world.turn.clock),
    { latencyMs: 1 },
  );
  peer.pipe.reset(0);
  world.pass(50);
  assert.equal(made, 0);
  assert.deepEqual(world.bugs, []);
});

test('silence both ways ends both; while one speaks the other may be quiet', () => {
  const world = new World(1);
  let peer!: Recorder;
  let upstream!: Recorder;
  linkPipes(
    world,
    (pipe) => (peer = new Recorder(pipe)),
    (pipe) =>
      proxyPipe(
        pipe,
        reachIn(world, (made) => (upstream = new Recorder(made))),
        { host: 'x', port: 1 },
        1_000,
        world.turn.clock,
      ),
  );
  world.pass(10);
  for (let round = 0; round < 5; round++) {
    upstream.say('.');
    world.pass(900);
  }
  assert.equal(peer.text, '.....');
  world.pass(1_500);
  assert.ok(peer.told.includes('finish') && upstream.told.includes('finish'));
  assert.deepEqual(world.bugs, []);
});

const TARGET = { host: '10.0.0.9', port: 53 };
const BOUNDS = { flowsMax: 2, flowIdleMs: 1_000, flowWaitingMax: 2 };

const settle = () => new Promise((resolve) => setImmediate(resolve));

test('datagrams: each address has its own way back, within bounds', async () => {
  const world = new World(1);
  const network = new DatagramNetwork(world);
  const at = { host: '10.0.0.1', port: 5_353 };
  let proxy!: DatagramProxy;
  const reach = reachIn(world, null, network);
  network.open(at, (port) => (proxy = new DatagramProxy(port, reach, TARGET, BOUNDS)));
  let upstream!: DatagramRecorder;
  network.open(TARGET, (port) => (upstream = new DatagramRecorder(port)));
  upstream.answer = (text, from) => upstream.say(from, text.toUpperCase());
  const peers = [1, 2, 3].map((number) => {
    let peer!: DatagramRecorder;
    network.open({ host: '10.0.1.1', port: 2_000 + number }, (port) => (peer = new DatagramRecorder(port)));
    return peer;
  });
  for (const text of ['a', 'b', 'c']) peers[0]!.say(at, text);
  peers[1]!.say(at, 'second');
  peers[2]!.say(at, 'third');
  world.pass(5);
  await settle();
  world.pass(10);
  assert.deepEqual(peers[0]!.received, ['A', 'B'], 'one more than may wait was dropped');
  assert.deepEqual(peers[1]!.received, ['SECOND']);
  assert.deepEqual(peers[2]!.received, [], 'more addresses than may be');
  assert.equal(proxy.figures.dropped, 2);
  // Nobody but the upstream can answer.
  let stranger!: DatagramRecorder;
  network.open({ host: '10.0.0.66', port: 53 }, (port) => (stranger = new DatagramRecorder(port)));
  stranger.say(upstream.from[0]!, 'forged');
  world.pass(10);
  assert.equal(peers[0]!.received.length, 2);
  world.pass(1_500);
  assert.equal(proxy.size, 0, 'idle ones are forgotten');
  peers[2]!.say(at, 'third');
  world.pass(5);
  await settle();
  world.pass(10);
  assert.deepEqual(peers[2]!.received, ['THIRD']);
  proxy.leave();
  assert.equal(proxy.size, 0);
  assert.deepEqual(world.bugs, []);
});

test('the recorder publishes what a connection was, with its last bytes', async () => {
  const house = await House.open();
  const { world, topics } = house;
  const host = {
    resources: { accounts: OPEN_ACCOUNTS, topics },
    limits: bindLimits(limits, { recordBytesMax: 10, idleMs: 1_000 }),
    clock: world.turn.clock,
    entropy: world.random,
    reach: reachIn(world, null),
    log: SILENT,
    software: 'test',
  } as unknown as Host<Resources>;
  const [stream, datagrams] = wireListens({ kind: 'record', port: 1, name: 'a/b' });
  assert.ok(stream?.on === 'tcp' && datagrams?.on === 'udp');
  const listener = house.attach();
  await house.subscribe(listener, 'record/#');
  let peer!: Recorder;
  linkPipes(
    world,
    (pipe) => (peer = new Recorder(pipe)),
    (pipe) => stream.pipe(pipe, host),
  );
  peer.say('0123456');
  world.pass(20);
  peer.say('789abcdef');
  peer.pipe.end();
  await house.pass(100);
  assert.equal(peer.text, '');
  const summary = (index: number) => JSON.parse(String(listener.messages[index]!.payload)) as RecordSummary;
  const { bytes, ms, cause, tail, carrier } = summary(0);
  assert.deepEqual([bytes, ms, cause, carrier], [16, 20, 'ended', 'simulated']);
  assert.equal(Buffer.from(tail, 'base64').toString(), '6789abcdef');
  const network = new DatagramNetwork(world);
  network.open({ host: '10.0.0.1', port: 9 }, (port) => datagrams.datagrams(port, host));
  let sender!: DatagramRecorder;
  network.open({ host: '10.0.0.2', port: 9 }, (port) => (sender = new DatagramRecorder(port)));
  sender.say({ host: '10.0.0.1', port: 9 }, 'a datagram of more');
  await house.pass(100);
  assert.equal(summary(1).remote, '10.0.0.2:9');
  assert.equal(Buffer.from(summary(1).tail, 'base64').toString(), 'am of more');
  assert.deepEqual(sender.received, []);
  assert.equal((await house.publish('x', 'y'))[0], 0);
  assert.deepEqual(world.bugs, []);
});

test('the last bytes, however they come', () => {
  for (const most of [0, 1, 7, 64, 1_000]) {
    for (const step of [1, 3, 64, 999]) {
      const all = Buffer.from(Array.from({ length: 2_000 }, (_none, index) => index & 0xff));
      const tail = new Tail(most);
      for (let at = 0; at < all.length; at += step) {
        tail.add(all, at, Math.min(all.length, at + step));
        const until = Math.min(all.length, at + step);
        assert.ok(tail.bytes().equals(all.subarray(Math.max(0, until - most), until)), `${most} ${step} ${at}`);
      }
      assert.equal(tail.total, all.length);
    }
  }
});

test('what a configuration may name, and what is wrong with the rest', () => {
  assert.deepEqual(wire.listens, [], 'nothing listens unless it is named');
  assert.deepEqual(
    wireListens({ kind: 'echo', port: 7 }).map(({ on }) => on),
    ['tcp', 'udp'],
  );
  assert.equal(wireListens({ kind: 'discard', port: 9 }).length, 2);
  for (const target of ['tcp://localhost:80', 'tcp://[::1]:80/', 'unix:/run/x'])
    assert.equal(wireListens({ kind: 'proxy', port: 1, target })[0]!.on, 'tcp', target);
  for (const target of ['udp://127.0.0.1:53', 'UDP://[::1]:53'])
    assert.equal(wireListens({ kind: 'proxy', port: 1, target })[0]!.on, 'udp', target);
  for (const target of [
    '',
    'localhost:80',
    'tcp://x',
    'tcp://x:0',
    'tcp://x:70000',
    'udp://localhost:53',
    'unix:',
    'ftp://x:1',
  ])
    assert.throws(() => wireListens({ kind: 'proxy', port: 1, target }), RangeError, target);
  assert.throws(() => wireListens({ kind: 'record', port: 1, name: '#' }), RangeError);
});

test('bytes without a grammar are shown as they are', () => {
  const dissector = wireDissector('in', false);
  assert.deepEqual(dissector.push(Buffer.from('abc'), 1, 3), [{ label: '2 bytes', value: '6263', start: 0, end: 2 }]);
  assert.deepEqual(dissector.push(Buffer.from('d'), 0, 1), [{ label: '1 bytes', value: '64', start: 2, end: 3 }]);
  assert.deepEqual(dissector.push(Buffer.from('d'), 1, 1), []);
});
