// Sizes of packets, silence, resets without state, versions, preferred addresses, datagrams: what a path may do to a connection.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { VERSION_1, VERSION_2 } from './crypto.ts';
import { Pair } from './testing/pair.ts';

test('packets grow to what the path takes', () => {
  for (const [mtu, least] of [
    [1_500, 1_452],
    [1_300, 1_280],
    [1_200, 1_200],
  ] as const) {
    const pair = new Pair({ network: { mtu } });
    const line = pair.dial();
    pair.until(() => line.confirmed);
    const stream = pair.side.ask(1_000_000);
    assert.ok(pair.until(() => stream.finished));
    const { current } = pair.serverLines[0]!.size;
    assert.ok(current >= least && current <= mtu, `${current} for ${mtu}`);
  }
});

test('a path that takes less than before: back to the least', () => {
  const pair = new Pair({ network: { mtu: 1_500, latencyMs: 10, rate: 1_250 } });
  const line = pair.dial();
  pair.until(() => line.confirmed);
  const stream = pair.side.ask(2_000_000);
  pair.until(() => stream.total > 700_000);
  assert.ok(pair.serverLines[0]!.size.current > 1_400);
  pair.network.options = { mtu: 1_250, latencyMs: 10, rate: 1_250 };
  assert.ok(
    pair.until(() => stream.finished),
    `${stream.total}`,
  );
  assert.equal(pair.serverLines[0]!.size.current, 1_200);
});

test('silence ends a connection on both sides, and a sign of life keeps it', () => {
  const pair = new Pair({ limits: { idleMs: 5_000 }, clientLimits: { idleMs: 8_000 } });
  const line = pair.dial();
  pair.until(() => line.confirmed);
  pair.world.pass(5_500);
  assert.equal(line.state, 'gone');
  assert.equal(pair.server.count, 0);
  assert.deepEqual(pair.side.lostBy, ['timeout', 0]);

  const kept = new Pair({ limits: { idleMs: 5_000 }, client: { keepAliveMs: 2_000 } });
  const alive = kept.dial();
  kept.until(() => alive.confirmed);
  kept.world.pass(60_000);
  assert.equal(alive.state, 'open');
});

test('an idle connection says nothing at all', () => {
  let count = 0;
  const pair = new Pair({ network: { drops: () => count++ < 0 } });
  const line = pair.dial();
  pair.until(() => line.confirmed);
  pair.world.pass(2_000);
  const before = count;
  pair.world.pass(20_000);
  assert.equal(count, before);
});

test('a server that has forgotten says so, and the client believes it (RFC 9000 §10.3)', () => {
  const secret = Buffer.alloc(32, 3);
  const pair = new Pair({ endpoint: { secret } });
  const line = pair.dial();
  pair.until(() => line.confirmed);
  pair.world.pass(100);
  for (const each of pair.serverLines) each.vanish('reset', 0);
  assert.equal(pair.server.count, 0);
  const stream = pair.side.ask(1_000);
  assert.ok(pair.until(() => line.state === 'gone', 5_000));
  assert.deepEqual(pair.side.lostBy, ['reset', 0]);
  assert.deepEqual(stream.lostBy, ['reset', 0]);
});

test('no version in common: the client is told, and ends', () => {
  const pair = new Pair({ server: { versions: [VERSION_1] }, client: { versions: [VERSION_2] } });
  const line = pair.dial();
  assert.ok(pair.until(() => line.state === 'gone', 2_000));
  assert.equal(pair.server.count, 0);
});

test('a preferred address is gone to once the handshake is confirmed (RFC 9000 §9.6)', () => {
  const elsewhere = { host: '10.0.0.9', port: 4_433 };
  const pair = new Pair({ server: { preferred: { v4: elsewhere, v6: null } } });
  // The server hears there as well.
  pair.network.alias(elsewhere, pair.serverPort);
  const line = pair.dial();
  pair.until(() => line.confirmed);
  assert.ok(pair.until(() => line.path.remote.host === elsewhere.host, 5_000));
  const stream = pair.side.ask(100_000);
  assert.ok(pair.until(() => stream.finished));
});

test('datagrams go beside the streams, and some are lost', () => {
  const pair = new Pair({ network: { loss: 0.1 } });
  const line = pair.dial();
  pair.until(() => line.confirmed);
  for (let index = 0; index < 100; index++) {
    line.datagram(Buffer.from(`datagram ${index}`), 0, 11);
    pair.world.pass(5);
  }
  pair.world.pass(1_000);
  const came = pair.serverSides[0]!.datagrams.length;
  assert.ok(came > 60 && came < 100, `${came}`);
});

test('closing tells the peer the code, once, and both are gone in the end', () => {
  const pair = new Pair();
  const line = pair.dial();
  pair.until(() => line.confirmed);
  pair.side.ask(5_000_000);
  pair.world.pass(20);
  line.close({ id: 'test.enough', wire: 0x10c, spec: '', text: 'enough', scope: 'connection' });
  assert.ok(pair.until(() => pair.server.count === 0 && pair.client.count === 0, 5_000));
  assert.deepEqual(pair.serverSides[0]!.lostBy, ['ended', 0x10c]);
  assert.deepEqual(pair.side.lostBy, ['fault', 0x10c]);
  assert.deepEqual(pair.world.bugs, []);
});
