// One simulated connection from a seed: a path with faults of its own choosing, streams both ways, moves, key updates. Whatever
// happens, what arrives is right, and all that was asked for arrives.
import assert from 'node:assert/strict';
import { Random } from '../../../sim/random.ts';
import { Pair, type Taken } from './pair.ts';

export function runSeed(seed: number): void {
  const random = new Random(seed);
  const network = {
    latencyMs: 1 + random.below(80),
    loss: random.pick([0, 0, 0.01, 0.05, 0.15]),
    duplicate: random.pick([0, 0, 0.02]),
    reorder: random.pick([0, 0, 0.1]),
    corrupt: random.pick([0, 0, 0.02]),
    ecn: random.chance(0.3),
    congested: random.pick([0, 0.05]),
    mtu: random.pick([1_200, 1_350, 1_500, 65_535]),
    ...(random.chance(0.5) && { rate: 100 + random.below(3_000), waitMs: 20 + random.below(100) }),
  };
  const limits = {
    streamWindowBytes: random.pick([16_384, 65_536, 1_048_576]),
    connectionWindowBytes: random.pick([32_768, 262_144, 4_194_304]),
    streamsMax: random.pick([3, 10, 100]),
    handshakeMs: 300_000,
    idleMs: 300_000,
  };
  const pair = new Pair({
    seed,
    network,
    limits,
    clientLimits: limits,
    // Behind a NAT that forgets only a sign of life from within shows where it went.
    client: { congestion: random.pick(['cubic', 'newreno'] as const), keepAliveMs: 5_000 },
    endpoint: random.chance(0.2) ? { retry: 'always' } : {},
  });
  const told = `seed ${seed}: ${JSON.stringify({ ...network, ...limits })}`;
  const line = pair.dial();
  assert.ok(
    pair.until(() => line.complete, 300_000),
    `${told} no handshake: ${line.state} ${line.closeFault?.text} ${pair.world.bugs}`,
  );
  const wanted: number[] = Array.from({ length: 1 + random.below(12) }, () =>
    random.chance(0.2) ? random.below(400_000) : random.below(20_000),
  );
  const streams: Taken[] = [];
  let moves = random.below(3);
  const asked = [...wanted];
  const done = pair.until(() => {
    while (asked.length > 0) {
      const taken = pair.side.open();
      if (taken === null) break;
      taken.say(String(asked.shift()!));
      taken.pipe.end();
      streams.push(taken);
    }
    if (moves > 0 && line.confirmed && random.chance(0.01)) {
      moves--;
      const host = random.chance(0.5) ? pair.clientPort.local.host : `10.0.1.${random.below(250)}`;
      pair.network.move(pair.clientPort, { host, port: 6_000 + random.below(1_000) });
      if (random.chance(0.5)) line.migrate();
    }
    if (line.confirmed && random.chance(0.005)) line.protections[3]?.update();
    return asked.length === 0 && streams.every(({ finished, lostBy }) => finished || lostBy !== null);
  }, 600_000);
  assert.deepEqual(pair.world.bugs, [], told);
  assert.ok(done, `${told} hangs: ${streams.map(({ total }) => total)} of ${wanted} ${line.state}`);
  streams.forEach((stream, index) => {
    assert.ok(stream.finished, `${told}: stream ${index} ${stream.lostBy} ${line.closeFault?.text}`);
    assert.equal(stream.total, wanted[index], told);
    const { text } = stream;
    for (let at = 0; at < text.length; at += 16_384)
      assert.equal(text.slice(at, at + 16_384), PATTERN.slice(0, Math.min(16_384, text.length - at)), told);
  });
  line.close({ id: 'test.done', wire: 0, spec: '', text: 'done', scope: 'connection' });
  pair.network.options = { latencyMs: 1 };
  assert.ok(
    pair.until(() => pair.client.count === 0 && pair.server.count === 0, 400_000),
    `${told}: left over`,
  );
  assert.deepEqual(pair.world.bugs, [], told);
}

const PATTERN = 'portico '.repeat(2_048);
