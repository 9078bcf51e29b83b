// DNS over QUIC upon simulated connections of many streams: RFC 9250 by section.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Mux, MuxSession } from '../../core/mux.ts';
import { Recorder } from '../../core/pipe-suite.ts';
import { NEVER } from '../../core/time.ts';
import { linkMux } from '../../sim/mux.ts';
import { DoqSession } from './mux.ts';
import { Bench, framed, query, type Seen, seen, update } from './testing/bench.ts';

class Client implements MuxSession {
  readonly deadline = NEVER;
  readonly mux: Mux;
  /** How the connection ended: the application's error code; null while it stands. */
  ended: number | null = null;

  constructor(mux: Mux) {
    this.mux = mux;
  }

  opened(): never {
    throw new Error('a server of DNS opens no streams');
  }

  mayOpen(): void {}
  datagram(): void {}
  tick(): void {}
  leave(): void {}

  lost(_cause: string, wire: number): void {
    this.ended = wire;
  }
}

interface Asked {
  readonly stream: Recorder;
  answers(): Seen[];
}

function connect(bench: Bench, cut = 0) {
  let client!: Client;
  const { far } = linkMux(
    bench.world,
    (mux) => (client = new Client(mux)),
    (mux) => new DoqSession(mux, bench.server.responder, bench.server.callerOf(true)),
    { cut },
  );
  const says = (bytes: Uint8Array, ends = true, oneWay = false): Asked => {
    let stream!: Recorder;
    const pipe = client.mux.open(oneWay, (made) => (stream = new Recorder(made)))!;
    pipe.out.copy(bytes, 0, bytes.length);
    pipe.flush();
    if (ends) pipe.end();
    return {
      stream,
      answers() {
        const found: Seen[] = [];
        const { received } = stream;
        for (let at = 0; received.length - at >= 2; ) {
          const to = at + 2 + received.readUInt16BE(at);
          if (to > received.length) break;
          found.push(seen(Uint8Array.from(received.subarray(at + 2, to))));
          at = to;
        }
        return found;
      },
    };
  };
  return { client, far, says, asks: (message: Uint8Array) => says(framed(message)) };
}

test('each stream has a query, its answer and an end behind it, however it is cut (RFC 9250 §4.2)', async () => {
  for (const cut of [0, 1, 3]) {
    const bench = await Bench.open();
    const { asks, client } = connect(bench, cut);
    const asked = ['www.example.', 'no.example.', 'alias.example.'].map((name) => asks(query(name, 'A', { id: 0 })));
    bench.world.pass(500);
    assert.deepEqual(
      asked.map((each) => each.answers().map(({ rcode, id }) => `${id} ${rcode}`)),
      [['0 NOERROR'], ['0 NXDOMAIN'], ['0 NOERROR']],
    );
    for (const { stream } of asked) assert.ok(stream.told.includes('finish'));
    assert.equal(client.ended, null);
  }
});

test('a query is answered before its stream has an end', async () => {
  const bench = await Bench.open();
  const open = connect(bench).says(framed(query('www.example.', 'A', { id: 0 })), false);
  bench.world.pass(100);
  assert.equal(open.answers().length, 1);
});

test('a zone is transferred on one stream, in as many messages as it takes (RFC 9250 §4.2, RFC 5936 §2.2)', async () => {
  const records = Array.from({ length: 3_000 }, (_, index) => `h${index} TXT "${'x'.repeat(40)}"`);
  const zone = ['$TTL 300', '@ SOA ns1 host 1 3600 600 86400 120', ' NS ns1', 'ns1 A 192.0.2.53', ...records, ''];
  const bench = await Bench.open({ zone: zone.join('\n') });
  const { asks } = connect(bench);
  const asked = asks(query('example.', 'AXFR', { id: 0 }));
  bench.world.pass(2_000);
  const answers = asked.answers();
  const all = answers.flatMap(({ answer }) => answer);
  assert.ok(answers.length > 1);
  assert.match(all[0]!, / SOA /);
  assert.equal(all.at(-1), all[0]);
  assert.equal(all.filter((record) => / TXT /.test(record)).length, records.length);
  assert.ok(asked.stream.told.includes('finish'));
});

test('answers are padded to a block where they are asked to be (RFC 9250 §5.4)', async () => {
  const bench = await Bench.open();
  const { asks } = connect(bench);
  const asked = asks(query('www.example.', 'A', { id: 0, options: '000c 0000' }));
  bench.world.pass(100);
  assert.equal(asked.answers()[0]!.size % 468, 0);
});

const PROTOCOL_ERROR = 2;

for (const [what, bytes, ends, oneWay] of [
  ['an id that is not 0 (RFC 9250 §4.2.1)', framed(query('www.example.', 'A', { id: 7 })), true, false],
  ['two queries on one stream (RFC 9250 §4.2)', twice(framed(query('www.example.', 'A', { id: 0 }))), true, false],
  [
    'an end before the query is whole (RFC 9250 §4.3.3)',
    framed(query('www.example.', 'A', { id: 0 })).subarray(0, 9),
    true,
    false,
  ],
  ['an end before anything (RFC 9250 §4.3.3)', Buffer.alloc(0), true, false],
  ['less than a header', framed(Buffer.alloc(11)), true, false],
  ['a stream of one way (RFC 9250 §4.2)', framed(query('www.example.', 'A', { id: 0 })), true, true],
  [
    'a keepalive option (RFC 9250 §5.5.2)',
    framed(query('www.example.', 'A', { id: 0, options: '000b 0000' })),
    true,
    false,
  ],
] as const)
  test(`DOQ_PROTOCOL_ERROR for ${what}`, async () => {
    const bench = await Bench.open();
    const { says, client } = connect(bench);
    says(bytes, ends, oneWay);
    bench.world.pass(200);
    assert.equal(client.ended, PROTOCOL_ERROR);
  });

function twice(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, bytes]);
}

test('a stream that says nothing more is given up, and no other notices', async () => {
  const bench = await Bench.open({ limits: { queryMs: 500 } });
  const { says, asks, client } = connect(bench);
  const slow = says(framed(query('www.example.', 'A', { id: 0 })).subarray(0, 5), false);
  bench.world.pass(600);
  assert.ok(slow.stream.isLost);
  const asked = asks(query('www.example.', 'A', { id: 0 }));
  bench.world.pass(100);
  assert.equal(asked.answers().length, 1);
  assert.equal(client.ended, null);
});

test('an update that came as early data is refused, a query is answered (RFC 9250 §4.5)', async () => {
  const bench = await Bench.open();
  const { far, asks } = connect(bench);
  (far as { early?: boolean }).early = true;
  const change = update('example.', [], [{ name: 'new.example.', type: 'A', data: '192.0.2.1', ttl: 1 }]);
  change.writeUInt16BE(0, 0);
  const changed = asks(change);
  const asked = asks(query('www.example.', 'A', { id: 0 }));
  bench.world.pass(100);
  assert.deepEqual(
    changed.answers().map(({ rcode, opcode }) => `${opcode} ${rcode}`),
    ['UPDATE REFUSED'],
  );
  assert.equal(asked.answers()[0]!.rcode, 'NOERROR');
});
