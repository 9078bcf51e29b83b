import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { faults } from './faults.ts';
import { limits } from './limits.ts';
import { Bench, type BenchOptions } from './testing/bench.ts';
import { HELP_LINES } from './words.ts';

type Case = readonly [send: string | Uint8Array, options?: BenchOptions];

/** For each fault of a stream, bytes that are it. */
const BYTES: Readonly<Record<Exclude<keyof typeof faults, 'idle' | 'tooSlow'>, readonly Case[]>> = {
  http: [
    ['GET / HTTP/1.1\r\nHost: a\r\n\r\n'],
    ['PUT /x HTTP/1.1\r\n\r\nPUB a 1\n'],
    ['POST / HTTP/1.0\n\nPUB a 1\n'],
    ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
    ['\n\nPUB / http/1.1\n'],
  ],
  tls: [[Buffer.from('16030100c2010000be', 'hex')], [Buffer.of(0x16)]],
  firstUnknown: [['EHLO example.org\r\n'], ['{"publish":1}\n'], [Buffer.of(0x10, 0x0a)], ['PUBLISH a b\n']],
  unknownTooMany: [[`PING\n${'NOPE\n'.repeat(11)}`], ['PING\nNOPE\n', { limits: { unknownMax: 0 } }]],
  lineTooLong: [
    [`PUB a ${'x'.repeat(20_000)}`],
    [`PUB a ${'x'.repeat(20_000)}\n`],
    // The listener keeps less than a line may have.
    [`PUB a ${'x'.repeat(3_000)}`, { bounds: { inputMax: 2_000 } }],
  ],
  badLength: [['PUBB a\n'], ['PUBB a x\n'], ['PUBB a -1\n'], ['PUBB a 1 2\n'], ['PUBB a 1234567890\n'], ['PUTB\n']],
  payloadTooLong: [['PUBB a 1048577\n'], ['PUTB! a 999999999\n']],
};

for (const [name, cases] of Object.entries(BYTES)) {
  test(`fault: ${name}`, async () => {
    const fault = faults[name as keyof typeof faults];
    for (const [send, options] of cases) {
      for (const cut of [0, 1, 7]) {
        const bench = await Bench.open({ ...options, cut });
        const watcher = bench.connect(0);
        watcher.says('SUB #\n');
        watcher.hears();
        const a = bench.connect();
        a.says(send);
        const said = a.hears(60_000);
        assert.ok(said.endsWith(` - ${fault.text}\n`), `${said} for ${send}`);
        assert.match(said, /(?:^|\n)-ERR [A-Z]+ - [^\n]+\n$/);
        assert.deepEqual(bench.faulted, [fault.id]);
        assert.ok(a.peer.told.includes('finish'));
        assert.equal(watcher.hears(), '', 'nothing of it was done');
        assert.deepEqual(bench.world.bugs, []);
      }
    }
  });
}

test('fault: idle', async () => {
  const bench = await Bench.open();
  const a = bench.connect();
  const b = bench.connect();
  const c = bench.connect();
  b.says('SUB a\n');
  // A byte now and then is no command.
  for (let ms = 0; ms < limits.idleMs.default; ms += 10_000) {
    c.says('x');
    bench.world.pass(10_000);
  }
  bench.world.pass(1_000);
  assert.equal(a.hears(), '-ERR LATE - nothing was said for too long\n');
  assert.equal(c.hears(), '-ERR LATE - nothing was said for too long\n');
  assert.equal(b.hears(), '');
  b.says('UNSUB a\n');
  bench.world.pass(limits.idleMs.default + 1_000);
  assert.match(b.hears(), /^-ERR LATE/);
  assert.deepEqual(bench.faulted, [faults.idle.id, faults.idle.id, faults.idle.id]);
});

test('limits: at the bound and one past it', async () => {
  const says = async (text: string, bounds: Record<string, number>) => {
    const bench = await Bench.open({ limits: bounds });
    const a = bench.connect();
    a.says(text);
    const said = a.hears(1_000);
    assert.deepEqual(bench.world.bugs, []);
    return said;
  };
  const line = (size: number) => `PUB! a ${'x'.repeat(size - 7)}\n`;
  assert.equal(await says(line(64), { lineBytesMax: 64 }), '+OK\n');
  assert.match(await says(line(65), { lineBytesMax: 64 }), /^-ERR FULL - the line/);
  assert.equal(await says('PUBB! a 10\n0123456789', { payloadBytesMax: 10 }), '+OK\n');
  assert.match(await says('PUBB! a 11\n01234567890', { payloadBytesMax: 10 }), /^-ERR FULL - the payload/);
  const unknown = (count: number) => `PING\n${'NO\n'.repeat(count)}PING\n`;
  assert.match(await says(unknown(3), { unknownMax: 3 }), /\+PONG\n$/);
  assert.match(await says(unknown(4), { unknownMax: 3 }), /too many unknown commands\n$/);
  const subscriptions = 'SUB! a\nSUB! b\nSUB! a\nSUB! c\nUNSUB! a\nSUB! c\n';
  assert.match(
    await says(subscriptions, { subscriptionsMax: 2 }),
    /^\+OK\n\+OK\n\+OK\n-ERR FULL SUB! [^\n]+\n\+OK\n\+OK\n$/,
  );
  assert.equal(await says(subscriptions, { subscriptionsMax: 3 }), '+OK\n'.repeat(6));
});

test('limits: a listener keeps enough for the longest line', async () => {
  const bench = await Bench.open({ limits: { lineBytesMax: limits.lineBytesMax.most } });
  const a = bench.connect(100);
  a.says(`PUB! a ${'x'.repeat(limits.lineBytesMax.most - 7)}\n`);
  assert.equal(a.hears(60_000), '+OK\n');
});

test('limits: idleMs', async () => {
  const bench = await Bench.open({ limits: { idleMs: 1_000 } });
  const a = bench.connect();
  assert.equal(a.hears(990), '');
  a.says('PING\n');
  assert.equal(a.hears(990), '+PONG\n');
  assert.match(a.hears(30), /^-ERR LATE/);
});

test('limits: as many commands as may be unanswered, and the peer waits', async () => {
  const bench = await Bench.open({ limits: { unansweredMax: 4 }, policies: 'durable' });
  const a = bench.connect();
  const { topics } = bench.house;
  let most = 0;
  let underWay = 0;
  const { publish } = topics;
  topics.publish = (caller, publication, waiter, token) => {
    most = Math.max(most, ++underWay);
    publish.call(
      topics,
      caller,
      publication,
      {
        settled: (number, outcome, value) => {
          underWay--;
          waiter.settled(number, outcome, value);
        },
      },
      token,
    );
  };
  a.says('PUB! a 1\n'.repeat(50));
  await bench.house.pass(500);
  assert.equal(a.hears(), Array.from({ length: 50 }, (_none, index) => `+OK ${index + 1}\n`).join(''));
  assert.equal(most, 4);
});

test('limits: a peer that does not read its answers is not read', async () => {
  const bench = await Bench.open({ bounds: { highMark: 10_000, lowMark: 2_000 } });
  const a = bench.connect();
  a.peer.pipe.pause();
  const flood = 'HELP\n'.repeat(1_000);
  for (let round = 0; round < 20; round++) a.says(flood);
  bench.world.pass(1_000);
  assert.ok(a.server.queued < 12_000, `${a.server.queued} bytes wait`);
  a.peer.pipe.resume();
  a.hears(60_000);
  assert.equal(a.peer.total, 20_000 * HELP_LINES.join('+ \n').concat('+ \n').length);
});

test('docs/lines.md says what the limits are, and has the sections that faults name', () => {
  const page = readFileSync(new URL('../../../docs/lines.md', import.meta.url), 'utf8');
  for (const [name, row] of Object.entries(limits)) assert.ok(page.includes(`| \`${name}\` | ${row.default} |`), name);
  for (const { spec } of [...Object.values(faults), ...Object.values(limits)])
    assert.match(page, new RegExp(`^#+ ${spec.slice('docs/lines.md §'.length)}$`, 'm'), spec);
});
