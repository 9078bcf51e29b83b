import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DatagramRecorder } from '../../core/datagram-suite.ts';
import type { Address } from '../../core/peer.ts';
import { FewAccounts } from '../../resources/accounts/testing/few-accounts.ts';
import type { LinesDatagrams } from './datagrams.ts';
import { limits } from './limits.ts';
import { Bench, type BenchOptions } from './testing/bench.ts';

interface Field {
  readonly bench: Bench;
  readonly served: LinesDatagrams;
  /** A peer; on loopback unless said. */
  peer(port: number, host?: string): Peer;
}

interface Peer {
  readonly recorder: DatagramRecorder;
  says(text: string | Uint8Array): void;
  /** The datagrams that came since the last call. */
  hears(ms?: number): string[];
}

const LOOPBACK: Address = { host: '127.0.0.1', port: 7000 };

async function field(options: BenchOptions = {}, at: Address = LOOPBACK): Promise<Field> {
  const bench = await Bench.open(options);
  const served = bench.serveDatagrams(at);
  return {
    bench,
    served,
    peer(port, host = '127.0.0.1') {
      let recorder!: DatagramRecorder;
      bench.network.open({ host, port }, (made) => (recorder = new DatagramRecorder(made)));
      return {
        recorder,
        says(text) {
          const bytes = Buffer.from(text);
          recorder.port.send(at, null, bytes, 0, bytes.length, 0);
          bench.world.pass(5);
        },
        hears(ms = 20) {
          bench.world.pass(ms);
          return recorder.received.splice(0);
        },
      };
    },
  };
}

const over = (what: string, options: BenchOptions, run: (field: Field) => void | Promise<void>): void =>
  void test(what, async () => {
    const made = await field(options);
    await run(made);
    assert.deepEqual(made.bench.world.bugs, []);
  });

over('one datagram publishes, a lease receives', {}, ({ peer, bench }) => {
  const a = peer(1);
  const b = peer(2);
  b.says('SUB sensors/#\n');
  assert.deepEqual(b.hears(), []);
  a.says('PUB sensors/a 21.5\n');
  a.says('PUB sensors/a 22\r\n');
  a.says('PUB sensors/b line\nbreaks and \0 as they are');
  a.says('PUBB sensors/c 4\nab\n\n');
  assert.deepEqual(b.hears(), [
    'sensors/a 21.5\n',
    'sensors/a 22\n',
    'sensors/b line\nbreaks and \0 as they are\n',
    'sensors/c ab\n\n\n',
  ]);
  assert.deepEqual(a.hears(), []);
  const stream = bench.connect();
  stream.says('SUB sensors/#\nPUB sensors/d 1\n');
  assert.equal(stream.hears(), 'sensors/d 1\n');
  assert.deepEqual(b.hears(), ['sensors/d 1\n']);
});

over('retained values first; LAST; DEL; answers where they are asked for', {}, ({ peer }) => {
  const a = peer(1);
  a.says('PUT! r/x 7');
  assert.deepEqual(a.hears(), ['+OK 0 r/x\n']);
  a.says('LAST r/x');
  assert.deepEqual(a.hears(), ['r/x 7\n']);
  a.says('SUB! r/+ lease=10');
  assert.deepEqual(a.hears(), ['+OK 10 r/+\n', 'r/x 7\n']);
  a.says('SUB! r/+ lease=20');
  assert.deepEqual(a.hears(), ['+OK 20 r/+\n'], 'renewed, not given again');
  a.says('UNSUB! r/+');
  assert.deepEqual(a.hears(), ['+OK 0 r/+\n']);
  a.says('DEL r/x');
  a.hears();
  a.says('LAST r/x');
  assert.deepEqual(a.hears(), ['-ERR MISSING LAST nothing is retained\n']);
  a.says('PING');
  assert.deepEqual(a.hears(), ['+PONG\n']);
});

over('a lease ends unless it is renewed', {}, ({ peer, served, bench }) => {
  const a = peer(1);
  const b = peer(2);
  b.says('SUB x');
  b.says('SUB y lease=200');
  bench.world.pass(limits.leaseMs.default - 1_000);
  a.says('PUB x 1');
  assert.deepEqual(b.hears(), ['x 1\n']);
  bench.world.pass(1_000);
  a.says('PUB x 2');
  a.says('PUB y 2');
  assert.deepEqual(b.hears(), ['y 2\n']);
  assert.equal(served.figures.leases, 1);
  bench.world.pass(200_000);
  assert.equal(served.figures.leases, 0);
  assert.equal(bench.house.topics.figures.attached, 0);
});

over('lease bounds: at least a second, at most what the limit says', {}, ({ peer }) => {
  const a = peer(1);
  a.says('SUB! x lease=0');
  a.says('SUB! y lease=999999999');
  assert.deepEqual(a.hears(), ['+OK 1 x\n', '+OK 3600 y\n']);
});

const anonymous = new FewAccounts();
anonymous.anonymous = true;

over('an address beyond loopback must show that it can receive', { accounts: anonymous }, ({ peer, served, bench }) => {
  const a = peer(1, '192.0.2.7');
  const b = peer(2, '192.0.2.7');
  a.says('PUT x 1');
  for (const command of ['SUB x', 'LAST x', 'UNSUB x', 'SUB x nonce=0000000000000000']) {
    a.says(command);
    assert.match(a.hears().join(), /^CHALLENGE [0-9a-f]{16}\n$/, command);
  }
  assert.equal(served.figures.leases, 0);
  a.says('LAST x');
  const nonce = /[0-9a-f]{16}/.exec(a.hears()[0]!)![0];
  b.says(`SUB x nonce=${nonce}`);
  assert.match(b.hears().join(), /^CHALLENGE/, 'another port is another address');
  a.says(`LAST x nonce=${nonce}`);
  assert.deepEqual(a.hears(), ['x 1\n']);
  a.says(`SUB! x nonce=${nonce}`);
  assert.deepEqual(a.hears(), ['+OK 60 x\n', 'x 1\n']);
  a.says('SUB! x');
  assert.match(a.hears().join(), /^CHALLENGE/, 'renewing needs it as well');
  bench.world.pass(2 * limits.nonceMs.default);
  a.says(`SUB! x nonce=${nonce}`);
  assert.match(a.hears().join(), /^CHALLENGE/, 'an old one no longer holds');
});

over('nothing is answered that would be much larger than what came', {}, ({ peer, served }) => {
  const a = peer(1, '192.0.2.7');
  const before = served.figures.withheld;
  let sent = 0;
  let got = 0;
  for (const text of [
    'PING',
    'SUB',
    'PUB',
    'NAME x',
    'HELP',
    'PUB $SYS/a x',
    'LAST a',
    'PUB a%2',
    'PUB! x y',
    'SUB a b',
  ]) {
    a.says(text);
    sent += text.length + 28;
    for (const answer of a.hears()) {
      assert.ok(answer.length + 28 <= 3 * (text.length + 28), `${text}: ${answer}`);
      got += answer.length + 28;
    }
  }
  assert.ok(got < 3 * sent);
  assert.ok(served.figures.withheld >= before);
});

over('what is no command is not answered, nor is anything from ourselves', {}, ({ peer, served }) => {
  const a = peer(1);
  for (const text of [
    '',
    '\n',
    'GET / HTTP/1.1',
    '+OK 1 x',
    '-ERR INVALID SUB no',
    'CHALLENGE 00',
    'sensors/a 1',
    'PUBB a x',
    'PUBB a 3',
  ])
    a.says(text);
  assert.deepEqual(a.hears(), []);
  assert.equal(served.figures.ignored, 9);
  const bytes = Buffer.from('PING');
  served.receive(bytes, 0, 4, LOOPBACK, LOOPBACK, -1, served.host.clock);
  assert.equal(served.figures.ignored, 10);
});

over('what is for TCP only, and what is wrong', {}, ({ peer }) => {
  const a = peer(1);
  for (const [text, says] of [
    ['SUB a after=3', /^-ERR INVALID SUB this is for TCP\n$/],
    ['SUB a encoding=raw', /^-ERR INVALID SUB this is for TCP\n$/],
    ['JSON', /^-ERR UNSUPPORTED JSON/],
    ['HELP', /^-ERR UNSUPPORTED HELP/],
    ['PUB', /^-ERR INVALID PUB there is no topic/],
    ['PUB a\nPUB b 1', /^-ERR INVALID PUB one command a datagram/],
    ['PUBB a 9\nabc', /^-ERR INVALID PUBB the datagram is shorter/],
    ['UNSUB never', /^-ERR MISSING UNSUB/],
    ['SUB a/#/b', /^-ERR INVALID SUB/],
    ['PUB $SYS/a b', /^-ERR DENIED PUB/],
    [Buffer.from('5055422080ff2031', 'hex'), /^-ERR INVALID PUB this is not UTF-8/],
  ] as const) {
    a.says(text);
    assert.match(a.hears().join(), says, String(text));
  }
});

over('a message that does not fit is told of', { limits: { datagramBytesMax: 100 } }, ({ peer, served }) => {
  const a = peer(1);
  a.says('SUB #');
  a.says(`PUB t ${'x'.repeat(97)}`);
  a.says(`PUB t ${'x'.repeat(98)}`);
  a.says(`PUB t ${'x'.repeat(5_000)}`);
  assert.deepEqual(a.hears(), [`t ${'x'.repeat(97)}\n`, 'TOOBIG t 98\n', 'TOOBIG t 5000\n']);
  assert.equal(served.figures.tooBig, 2);
});

test('limits of leases: at the bound and one past it', async () => {
  const { peer, served } = await field({ limits: { leasesMax: 3, leasesPerHostMax: 2, leaseFiltersMax: 2 } });
  const a = peer(1);
  for (const filter of ['a', 'b', 'c']) a.says(`SUB! ${filter}`);
  assert.match(a.hears().join(''), /^\+OK 60 a\n\+OK 60 b\n-ERR FULL SUB! /);
  peer(2).says('SUB a');
  const c = peer(3);
  c.says('SUB a');
  assert.match(c.hears().join(), /^-ERR BUSY SUB/);
  peer(1, '127.0.0.2').says('SUB a');
  const e = peer(1, '127.0.0.3');
  e.says('SUB a');
  assert.match(e.hears().join(), /^-ERR BUSY SUB/);
  assert.equal(served.figures.leases, 3);
  a.says('UNSUB a');
  a.says('UNSUB b');
  e.says('SUB! a');
  assert.deepEqual(e.hears(), ['+OK 60 a\n']);
});

test('where accounts are needed there is no way in by datagram', async () => {
  const { peer, served } = await field({ accounts: new FewAccounts() });
  const a = peer(1);
  a.says('PUB a 1');
  a.says('SUB a');
  assert.match(a.hears().join(''), /^-ERR UNKNOWN PUB [^\n]*\n-ERR UNKNOWN SUB [^\n]*\n$/);
  assert.equal(served.figures.leases, 0);
});

test('a port without room keeps the latest of each topic', async () => {
  const { peer, bench, served } = await field({ limits: { leaseQueueMessagesMax: 2 } });
  const a = peer(1);
  a.says('SUB #');
  bench.network.options = { perTurn: 1_300 };
  const stream = bench.connect();
  stream.says(Array.from({ length: 20 }, (_none, index) => `PUB t/${index % 2} ${index}${'.'.repeat(500)}\n`).join(''));
  const got = a.hears(1_000).map((text) => text.split('.')[0]);
  assert.deepEqual(got.slice(-2).sort(), ['t/0 18', 't/1 19']);
  assert.ok(got.length < 20, got.join());
  assert.equal(served.figures.leases, 1);
});

test('leaving ends all leases', async () => {
  const { peer, bench, served } = await field();
  peer(1).says('SUB a');
  served.leave();
  assert.equal(bench.house.topics.figures.attached, 0);
});

test('leases end when nobody is let in any more', async () => {
  const accounts = new FewAccounts();
  accounts.anonymous = true;
  const { peer, served } = await field({ accounts });
  const a = peer(1);
  a.says('SUB! a');
  assert.match(a.hears().join(''), /^\+OK/);
  assert.equal(served.figures.leases, 1);
  accounts.anonymous = false;
  accounts.permissions = { ...accounts.permissions, epoch: 8 };
  accounts.revoke('nobody');
  assert.equal(served.figures.leases, 0);
  a.says('SUB! a');
  assert.match(a.hears().join(''), /^-ERR UNKNOWN SUB! /);
});
