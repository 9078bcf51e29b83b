// Every test case of quic-interop by its name, ours against ours over simulated paths (http3 has its own folder). The addresses
// of the runner's network, 15 ms each way unless the case says otherwise.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { NetworkOptions } from '../../sim/datagrams.ts';
import type { QuicConnection } from './connection/connection.ts';
import { type Ticket, VERSION_1, VERSION_2 } from './crypto.ts';
import { SUITES } from './protection/suites.ts';
import { Pair, type PairOptions } from './testing/pair.ts';

const PATH: NetworkOptions = { latencyMs: 15, rate: 1_250, waitMs: 50 };

function pairOf(options: PairOptions = {}): Pair {
  return new Pair({ ...options, network: { ...PATH, ...options.network } });
}

function shaken(pair: Pair, line: QuicConnection, ms = 60_000): void {
  assert.ok(
    pair.until(() => line.complete, ms),
    `no handshake: ${line.state} ${line.closeFault?.text}`,
  );
}

/** Asks for files of these sizes and waits for all of them. */
function transfers(pair: Pair, sizes: readonly number[], ms = 120_000): void {
  const streams = sizes.map((size) => pair.side.ask(size));
  const done = pair.until(() => streams.every(({ finished }) => finished), ms);
  assert.ok(done, `seed ${pair.world.random}: ${streams.map(({ total }) => total)} ${pair.world.bugs}`);
  assert.deepEqual(
    streams.map(({ total }) => total),
    sizes,
  );
  assert.deepEqual(pair.world.bugs, []);
}

test('handshake', () => {
  const pair = pairOf();
  const line = pair.dial();
  shaken(pair, line, 1_000);
  transfers(pair, [1_024]);
  assert.ok(pair.until(() => line.confirmed, 1_000));
  // One round trip for the handshake, and a turn or two of the simulation.
  assert.equal(line.peer.tls?.version, 'TLSv1.3');
});

test('transfer: several files with flow control', () => {
  const pair = pairOf({ clientLimits: { streamWindowBytes: 65_536, connectionWindowBytes: 131_072 } });
  shaken(pair, pair.dial());
  transfers(pair, [2_000_000, 3_000_000, 500_000]);
});

test('longrtt: three quarters of a second each way', () => {
  const pair = pairOf({ network: { latencyMs: 750 } });
  const line = pair.dial();
  shaken(pair, line);
  transfers(pair, [100_000]);
  assert.ok(line.confirmed);
});

test('chacha20: the only suite of the client', () => {
  const pair = pairOf();
  assert.ok(SUITES.some(({ code }) => code === 0x1303));
  const line = new Pair({ network: PATH, client: { suites: SUITES.filter(({ code }) => code === 0x1303) } });
  const dialled = line.dial();
  shaken(line, dialled);
  assert.equal(dialled.handshake.suite, 0x1303);
  transfers(line, [300_000]);
  assert.deepEqual(pair.world.bugs, []);
});

test('multiplexing: 1,999 small files over as many streams', () => {
  const pair = pairOf();
  shaken(pair, pair.dial());
  const wanted = 1_999;
  const streams: { finished: boolean; total: number }[] = [];
  const done = pair.until(() => {
    for (let next = streams.length; next < wanted; next++) {
      const taken = pair.side.open();
      if (taken === null) break;
      taken.say('32');
      taken.pipe.end();
      streams.push(taken);
    }
    return streams.length === wanted && streams.every(({ finished }) => finished);
  });
  assert.ok(done, `${streams.length}`);
  assert.ok(streams.every(({ total }) => total === 32));
  assert.deepEqual(pair.world.bugs, []);
});

test('retry: the address is proven first', () => {
  const pair = pairOf({ endpoint: { retry: 'always' } });
  const line = pair.dial();
  shaken(pair, line);
  assert.notEqual(line.retryId, null);
  transfers(pair, [50_000]);
});

function ticketOf(pair: Pair): Ticket {
  const tickets: Ticket[] = [];
  const first = pair.dial({ onTicket: (ticket) => tickets.push(ticket) });
  shaken(pair, first);
  transfers(pair, [1_024]);
  assert.ok(
    pair.until(() => tickets.length > 0, 5_000),
    'no ticket',
  );
  first.close({ id: 'test.done', wire: 0, spec: '', text: 'done', scope: 'connection' });
  pair.until(() => first.state === 'gone', 10_000);
  return tickets[0]!;
}

test('resumption', () => {
  const pair = pairOf();
  const ticket = ticketOf(pair);
  const second = pair.dial({ ticket });
  shaken(pair, second);
  assert.ok(second.handshake.resumed);
  transfers(pair, [5_000]);
});

test('zerortt: requests leave with the first packet', () => {
  const pair = pairOf();
  const ticket = ticketOf(pair);
  const from = pair.world.now();
  const second = pair.dial({ ticket, early: true });
  const stream = pair.side.ask(1_000);
  assert.ok(pair.until(() => stream.total > 0, 5_000));
  // One round trip to the first byte.
  assert.ok(pair.world.now() - from < 36, `${pair.world.now() - from} ms`);
  assert.ok(pair.until(() => stream.finished, 5_000));
  assert.ok(second.handshake.early);
  assert.deepEqual(pair.world.bugs, []);
});

test('zerortt that is refused is sent again', () => {
  const pair = pairOf();
  const ticket = ticketOf(pair);
  // Another server has other keys for tickets.
  const other = pairOf({ seed: 2, client: { policy: pair.clientPolicy } });
  other.world.pass(20_000);
  other.dial({ ticket, early: true });
  const stream = other.side.ask(1_000);
  assert.ok(other.until(() => stream.finished || other.side.lostBy !== null, 5_000));
  assert.deepEqual(other.world.bugs, []);
});

test('blackhole: two seconds of nothing in the middle', () => {
  const pair = pairOf();
  shaken(pair, pair.dial());
  const stream = pair.side.ask(3_000_000);
  pair.until(() => stream.total > 500_000);
  pair.network.options = { ...PATH, loss: 1 };
  pair.world.pass(2_000);
  pair.network.options = PATH;
  assert.ok(pair.until(() => stream.finished));
  assert.equal(stream.total, 3_000_000);
});

test('keyupdate: in the middle of a transfer', () => {
  const pair = pairOf();
  const line = pair.dial();
  shaken(pair, line);
  const stream = pair.side.ask(2_000_000);
  pair.until(() => stream.total > 200_000);
  assert.ok(line.protections[3]!.update());
  assert.equal(line.protections[3]!.phase, 1);
  assert.ok(pair.until(() => stream.finished));
  assert.equal(pair.serverLines[0]!.protections[3]!.phase, 1);
  assert.deepEqual(pair.world.bugs, []);
});

test('ecn: marks are set, counted and found good', () => {
  const pair = pairOf({ network: { ecn: true, congested: 0.02 } });
  const line = pair.dial();
  shaken(pair, line);
  transfers(pair, [1_000_000]);
  assert.equal(pair.serverLines[0]!.recovery.marking, 'good');
  assert.ok(pair.serverLines[0]!.recovery.congestion.recoveryAt > 0, 'CE is congestion');
});

test('amplificationlimit: not more than three times what came before the address is proven', () => {
  const bytes = { client: 0, server: 0 };
  let proven = false;
  const pair = pairOf({
    network: {
      drops: (datagram, from) => {
        if (from.port === 443) {
          bytes.server += datagram.length;
          if (!proven) assert.ok(bytes.server <= 3 * bytes.client, `${bytes.server} to ${bytes.client}`);
          return false;
        }
        // What the client says after its first flight is lost for a while.
        if (bytes.client >= 1_200 && pair.world.now() < 900) return true;
        bytes.client += datagram.length;
        if (pair.world.now() >= 900) proven = true;
        return false;
      },
    },
  });
  const line = pair.dial();
  shaken(pair, line);
  transfers(pair, [5_000]);
});

for (const [name, network] of [
  ['handshakeloss', { loss: 0.3 }],
  ['handshakecorruption', { corrupt: 0.3 }],
] as const)
  test(`${name}: 50 connections at three tenths`, () => {
    for (let seed = 1; seed <= 50; seed++) {
      const pair = pairOf({ seed, network, limits: { handshakeMs: 300_000 }, clientLimits: { handshakeMs: 300_000 } });
      const line = pair.dial();
      shaken(pair, line, 300_000);
      transfers(pair, [1_024], 300_000);
    }
  });

for (const [name, network] of [
  ['transferloss', { loss: 0.02 }],
  ['transfercorruption', { corrupt: 0.02 }],
] as const)
  test(`${name}: 2 MB at one in fifty`, () => {
    const pair = pairOf({ seed: 7, network });
    shaken(pair, pair.dial());
    transfers(pair, [2_000_000]);
  });

test('ipv6', () => {
  const pair = pairOf({
    addresses: [
      { host: 'fd00::2', port: 5_000 },
      { host: 'fd00::1', port: 443 },
    ],
  });
  shaken(pair, pair.dial());
  transfers(pair, [50_000]);
});

test('v2: a server that prefers it goes over to it in the handshake', () => {
  const pair = pairOf({ server: { versions: [VERSION_2, VERSION_1] } });
  const line = pair.dial();
  shaken(pair, line);
  assert.equal(line.version, VERSION_2);
  assert.equal(line.originalVersion, VERSION_1);
  transfers(pair, [50_000]);
});

test('v2 from the first packet on', () => {
  const pair = pairOf({ server: { versions: [VERSION_2] }, client: { versions: [VERSION_2] } });
  const line = pair.dial();
  shaken(pair, line);
  assert.equal(line.version, VERSION_2);
  transfers(pair, [50_000]);
});

test('rebind-port: a NAT gives another port in the middle', () => {
  // Who only listens shows where it went by a sign of life.
  const pair = pairOf({ client: { keepAliveMs: 1_000 } });
  const line = pair.dial();
  shaken(pair, line);
  const stream = pair.side.ask(2_000_000);
  for (const port of [5_001, 5_002, 5_003]) {
    const from = stream.total;
    pair.until(() => stream.total > from + 300_000);
    pair.network.move(pair.clientPort, { host: pair.clientPort.local.host, port });
  }
  assert.ok(pair.until(() => stream.finished));
  assert.equal(stream.total, 2_000_000);
  assert.equal(pair.serverLines[0]!.path.remote.port, 5_003);
  assert.ok(pair.serverLines[0]!.path.validated);
});

test('rebind-addr: a NAT gives another address in the middle', () => {
  // Who only listens shows where it went by a sign of life.
  const pair = pairOf({ client: { keepAliveMs: 1_000 } });
  shaken(pair, pair.dial());
  const stream = pair.side.ask(2_000_000);
  pair.until(() => stream.total > 300_000);
  pair.network.move(pair.clientPort, { host: '10.9.9.9', port: 777 });
  assert.ok(pair.until(() => stream.finished));
  assert.equal(stream.total, 2_000_000);
  assert.equal(pair.serverLines[0]!.path.remote.host, '10.9.9.9');
});

test('connectionmigration: the client goes elsewhere by itself, with another connection id', () => {
  const pair = pairOf();
  const line = pair.dial();
  shaken(pair, line);
  const stream = pair.side.ask(2_000_000);
  pair.until(() => stream.total > 300_000);
  const before = Buffer.from(line.peersIds.id).toString('hex');
  pair.network.move(pair.clientPort, { host: '10.0.7.7', port: 7_777 });
  line.migrate();
  assert.notEqual(Buffer.from(line.peersIds.id).toString('hex'), before);
  assert.ok(pair.until(() => stream.finished));
  assert.equal(stream.total, 2_000_000);
  assert.equal(pair.serverLines[0]!.path.remote.host, '10.0.7.7');
});
