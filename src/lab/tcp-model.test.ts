import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Pipe } from '../core/pipe.ts';
import { Recorder } from '../core/pipe-suite.ts';
import { DatagramNetwork, type NetworkOptions } from '../sim/datagrams.ts';
import { World } from '../sim/world.ts';
import { TcpModel, type TcpOptions } from './tcp-model.ts';

const SERVER = { host: '10.0.0.1', port: 443 };
const CLIENT = { host: '10.0.0.2', port: 50_000 };

function joined(seed: number, options: NetworkOptions, tcp: TcpOptions = {}) {
  const world = new World(seed);
  const network = new DatagramNetwork(world, options);
  const ends: { client?: Recorder; server?: Recorder } = {};
  const server = new TcpModel(world, false, null, tcp, (pipe: Pipe) => (ends.server = new Recorder(pipe)));
  network.open(SERVER, (port) => server.start(port));
  const client = new TcpModel(world, true, SERVER, tcp, (pipe: Pipe) => (ends.client = new Recorder(pipe)));
  network.open(CLIENT, (port) => client.start(port));
  return { world, network, client, server, ends };
}

test('a handshake of TCP and TLS takes two round trips before the client may ask', () => {
  const { world, client, ends } = joined(1, { latencyMs: 50 });
  world.pass(1_000);
  assert.ok(client.openAt >= 200 && client.openAt < 203, String(client.openAt));
  assert.ok(ends.server !== undefined);
});

test('bytes arrive whole and in order, whatever is lost, doubled and mixed up', () => {
  for (let seed = 1; seed <= 40; seed++) {
    const { world, ends } = joined(seed, { latencyMs: 20, loss: 0.05, duplicate: 0.02, reorder: 0.05 });
    world.pass(60_000);
    const sent = Buffer.alloc(200_000);
    for (let at = 0; at < sent.length; at++) sent[at] = (at * 7 + (at >> 8)) & 255;
    ends.server!.pipe.share(sent, 0, sent.length);
    ends.server!.pipe.flush();
    ends.server!.pipe.end();
    world.pass(120_000);
    assert.ok(ends.client!.received.equals(sent), `seed ${seed}: ${ends.client!.received.length} bytes`);
    assert.ok(ends.client!.told.includes('finish'), `seed ${seed}`);
    assert.deepEqual(world.bugs, []);
  }
});

test('a lost segment holds up all that was sent behind it', () => {
  const { world, network, ends } = joined(1, { latencyMs: 50 });
  world.pass(1_000);
  const { pipe } = ends.server!;
  const say = () => {
    pipe.share(Buffer.alloc(1_440), 0, 1_440);
    pipe.flush();
  };
  network.options = { latencyMs: 50, loss: 1 };
  say();
  world.pass(1);
  network.options = { latencyMs: 50 };
  for (let count = 0; count < 5; count++) {
    say();
    world.pass(5);
  }
  world.pass(60);
  assert.equal(ends.client!.total, 0);
  world.pass(100);
  assert.equal(ends.client!.total, 6 * 1_440);
});

test('a path that is gone ends both, after their tries', () => {
  const { world, network, ends } = joined(1, { latencyMs: 50 });
  world.pass(1_000);
  network.options = { loss: 1 };
  ends.client!.say('x');
  world.pass(3_600_000);
  assert.ok(ends.client!.isLost);
});
