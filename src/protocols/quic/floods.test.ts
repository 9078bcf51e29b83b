// What a peer may not do, each with what it gets: by packets that are genuine and say what they should not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Fault } from '../../core/fault.ts';
import { Recorder } from '../../core/pipe-suite.ts';
import { Random } from '../../sim/random.ts';
import type { QuicConnection } from './connection/connection.ts';
import { transportFaults as faults } from './faults.ts';
import { bytes, forge } from './testing/forged.ts';
import { Pair } from './testing/pair.ts';

function standing(limits: Readonly<Record<string, number>> = {}): {
  pair: Pair;
  line: QuicConnection;
  far: QuicConnection;
} {
  const pair = new Pair({ limits });
  const line = pair.dial();
  assert.ok(pair.until(() => line.confirmed, 5_000));
  return { pair, line, far: pair.serverLines[0]! };
}

/** Says it and waits for the server's end of the connection, with that fault. */
function ends(name: string, fault: Fault, say: (pair: Pair, line: QuicConnection) => void, limits = {}): void {
  test(name, () => {
    const { pair, line, far } = standing(limits);
    say(pair, line);
    assert.ok(
      pair.until(() => !far.isAlive, 2_000),
      'it goes on',
    );
    assert.equal(far.closeFault?.id, fault.id);
    // Where its ids are made up nothing finds it.
    if (fault !== faults.retireFlood)
      assert.ok(
        pair.until(() => !line.isAlive, 2_000),
        'the peer was not told',
      );
    assert.deepEqual(pair.world.bugs, []);
  });
}

const CHALLENGE = bytes(0x1a, Buffer.alloc(8, 7));
const newId = (sequence: number, retire: number, fill = sequence) =>
  bytes(0x18, sequence, retire, 8, Buffer.alloc(8, fill), Buffer.alloc(16, 9));

ends('an ACK of what was never sent', faults.ackUnsent, (pair, line) => forge(pair, line, bytes(0x02, 5_000, 0, 0, 0)));
ends('a frame that is not known', faults.frameUnknown, (pair, line) => forge(pair, line, bytes(0x21, 0, 0, 0)));
ends('a stream of the server’s that it did not open', faults.streamState, (pair, line) =>
  forge(pair, line, bytes(0x08, 1, Buffer.from('x'))),
);
ends('more streams than allowed: a jump of ids', faults.streamLimit, (pair, line) =>
  forge(pair, line, bytes(0x08, 4_000, Buffer.from('x'))),
);
ends('more on a stream than allowed', faults.streamCredit, (pair, line) =>
  forge(pair, line, bytes(0x0c, 0, 1_048_576, Buffer.from('x'))),
);
ends(
  'more on all streams than allowed',
  faults.connectionCredit,
  (pair, line) => {
    for (let stream = 0; stream < 3; stream++) forge(pair, line, bytes(0x0c, stream * 4, 30_000, Buffer.from('x')));
  },
  { connectionWindowBytes: 65_536 },
);
ends('another final size', faults.finalSize, (pair, line) => {
  forge(pair, line, bytes(0x0f, 0, 5, 1, Buffer.from('x')));
  forge(pair, line, bytes(0x0e, 0, 6, 1, Buffer.from('x')));
});
ends('a handshake with a hole beyond what is kept', faults.cryptoBuffer, (pair, line) =>
  forge(pair, line, bytes(0x06, 400_000, 1, Buffer.from('x'))),
);
ends('HANDSHAKE_DONE from a client', faults.fromServerOnly, (pair, line) => forge(pair, line, bytes(0x1e, 0, 0, 0)));
ends('an id that was issued as another', faults.connectionIdReused, (pair, line) => {
  forge(pair, line, newId(1, 0, 51));
});
ends('more ids than we keep', faults.connectionIdLimit, (pair, line) => {
  for (let sequence = 20; sequence < 40; sequence++) forge(pair, line, newId(sequence, 0));
});
ends(
  'a flood of ids that retire those before',
  faults.retireFlood,
  (pair, line) => {
    // In one packet, so that none of them can be told in between.
    const all: Buffer[] = [];
    for (let sequence = 20; sequence < 60; sequence++) all.push(newId(sequence, sequence));
    for (let at = 0; at < all.length; at += 20) forge(pair, line, Buffer.concat(all.slice(at, at + 20)));
  },
  { retiresMax: 16 },
);
ends('the id of its own packet retired', faults.retireUnknown, (pair, line) => {
  const sequence = 0;
  forge(pair, line, bytes(0x19, sequence, 0, 0));
});
ends('an id retired that was never issued', faults.retireUnknown, (pair, line) =>
  forge(pair, line, bytes(0x19, 900, 0)),
);
ends('a flood of path challenges', faults.pathFlood, (pair, line) => {
  for (let round = 0; round < 30; round++) forge(pair, line, Buffer.concat(Array(10).fill(CHALLENGE)));
});
ends(
  'streams opened and reset, again and again',
  faults.resetFlood,
  (pair, line) => {
    for (let stream = 0; stream < 60; stream++) forge(pair, line, bytes(0x04, stream * 4, 0, 0));
  },
  { resetsMax: 50 },
);
ends(
  'packets with nothing but PING',
  faults.emptyFlood,
  (pair, line) => {
    for (let round = 0; round < 150; round++) forge(pair, line, bytes(0x01, 0, 0, 0));
  },
  { emptiesMax: 100 },
);

test('who acknowledges a number that was left out has not seen what it acknowledges (RFC 9000 §21.4)', () => {
  const { pair, line, far } = standing();
  const stream = pair.side.ask(1_000_000);
  pair.until(() => stream.finished);
  const { skipped } = far.recovery.spaces[2]!;
  assert.ok(skipped > 0);
  forge(pair, line, bytes(0x02, skipped + 1, 0, 0, 1));
  assert.ok(pair.until(() => !far.isAlive, 2_000));
  assert.equal(far.closeFault?.id, faults.ackUnsent.id);
});

test('genuine packets with any frames: no throw, no hang, and an end with a fault', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const { pair, line, far } = standing();
    const random = new Random(seed);
    for (let round = 0; round < 40; round++) {
      const frames = Buffer.alloc(4 + random.below(40));
      random.fill(frames);
      // Types that there are, more often than not.
      if (random.chance(0.9)) frames[0] = random.below(0x20);
      forge(pair, line, frames);
      pair.world.pass(2);
    }
    pair.until(() => !far.isAlive, 3_000);
    assert.deepEqual(pair.world.bugs, [], `seed ${seed}`);
  }
});

test('any datagrams: no throw, no hang, never more than three times as much back', () => {
  let sent = 0;
  let back = 0;
  const pair = new Pair({
    network: {
      drops: (datagram, from) => {
        if (from.port === 443) back += datagram.length;
        return false;
      },
    },
  });
  const random = new Random(5);
  const versions = [0, 1, 0x6b3343cf, 0x1a2a3a4a];
  for (let round = 0; round < 5_000; round++) {
    const datagram = Buffer.alloc(random.below(1_400));
    random.fill(datagram);
    if (datagram.length > 6 && random.chance(0.7)) {
      datagram[0]! |= 0xc0;
      datagram.writeUInt32BE(random.pick(versions), 1);
      datagram[5] = random.pick([0, 8, 20]);
    }
    sent += datagram.length;
    pair.network.carry({ host: '10.1.1.1', port: 99 }, pair.serverAddress, datagram);
    if (round % 50 === 0) pair.world.pass(5);
    assert.ok(back <= 3 * sent);
  }
  pair.world.pass(1_000);
  assert.deepEqual(pair.world.bugs, []);
  assert.equal(pair.server.count, 0);
});

test('what waits to be sent is bounded for all streams together, and each has its part', () => {
  const { pair, far } = standing();
  const piece = Buffer.alloc(10_000);
  const recorders: Recorder[] = [];
  for (let count = 0; count < 90; count++)
    assert.notEqual(
      far.open(true, (pipe) => {
        recorders.push(new Recorder(pipe));
        return recorders.at(-1)!;
      }),
      null,
    );
  for (const { pipe } of recorders) while (pipe.room > 0) pipe.share(piece, 0, piece.length);
  const held = recorders.reduce((sum, { pipe }) => sum + pipe.queued, 0);
  assert.ok(held <= 16_777_216 + 90 * piece.length, String(held));
  for (const { pipe } of recorders) assert.ok(pipe.queued >= 65_536);
  for (const { pipe } of recorders) {
    pipe.end();
    pipe.flush();
  }
  assert.ok(
    pair.until(() => recorders.every(({ isLost }) => isLost), 60_000),
    'not all of it went',
  );
  assert.deepEqual(pair.world.bugs, []);
});
