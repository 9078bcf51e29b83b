import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DENIED, GONE, MISSING, OK, type Outcome } from '../../core/outcome.ts';
import type { Pipe } from '../../core/pipe.ts';
import { Recorder } from '../../core/pipe-suite.ts';
import { NO_EVENTS } from '../../core/stream-pipe.ts';
import { FewAccounts } from '../../resources/accounts/testing/few-accounts.ts';
import { linkPipes } from '../../sim/pipes.ts';
import { World } from '../../sim/world.ts';
import { LinesClient, type LinesClientOptions, type ReceivedMessage } from './client.ts';
import { type DatagramEvents, LinesDatagramClient } from './datagram-client.ts';
import { serveLines } from './server.ts';
import { Bench } from './testing/bench.ts';

/** Writes down what a client is told. */
class Told {
  readonly lines: string[] = [];

  answered(number: number, outcome: Outcome, value: number, _text: string, message: ReceivedMessage | null): void {
    this.lines.push(`#${number} ${outcome} ${value}${message === null ? '' : ` ${text(message)}`}`);
  }

  message(message: ReceivedMessage): void {
    this.lines.push(text(message));
  }

  gap(filter: string, after: number, from: number): void {
    this.lines.push(`gap ${filter} ${after} ${from}`);
  }

  refused(outcome: Outcome, command: string): void {
    this.lines.push(`refused ${outcome} ${command}`);
  }

  roomy(): void {
    this.lines.push('roomy');
  }

  closed(cause: string, fault: { id: string } | null): void {
    this.lines.push(`closed ${cause}${fault === null ? '' : ` ${fault.id}`}`);
  }
}

function text({ topic, payload, cursor }: ReceivedMessage): string {
  return `${topic}=${payload.toString('latin1')}@${cursor}`;
}

for (const cut of [0, 1, 7]) {
  test(`the client speaks with the server, cut ${cut}`, async () => {
    const bench = await Bench.open({ policies: 'durable' });
    const told = new Told();
    let client!: LinesClient;
    linkPipes(
      bench.world,
      (pipe: Pipe) => (client = new LinesClient(pipe, told)),
      (pipe) => serveLines(pipe, bench.host),
      { cut },
    );
    client.name('ann lee', 'secret');
    client.subscribe('c/#');
    client.publish('c/a b', Buffer.from('1\n2'));
    client.send('$SYS/x', Buffer.from('no'));
    client.publish('c/r', Buffer.from([0xff, 0]), true);
    client.last('c/r');
    client.last('c/none');
    client.publish('$SYS/y', Buffer.from('no'));
    client.ping();
    client.unsubscribe('c/#');
    client.clear('c/r');
    client.slow('drop-oldest');
    await bench.house.pass(2_000);
    const { lines } = told;
    const messages = lines.filter((line) => line.startsWith('c/'));
    assert.deepEqual(messages, ['c/a b=1\n2@1', 'c/r=\xff\0@2']);
    assert.deepEqual(
      lines.filter((line) => !line.startsWith('c/')).map((line) => line.replace(/^#10 0 \d+$/, '#10 done')),
      [
        `#1 ${OK} 0`,
        `#2 ${OK} 0`,
        `#3 ${OK} 1`,
        `refused ${DENIED} PUBB`,
        `#4 ${OK} 2`,
        `#5 ${OK} 2 c/r=\xff\0@2`,
        `#6 ${MISSING} 0`,
        `#7 ${DENIED} 0`,
        `#8 ${OK} 0`,
        `#9 ${OK} 0`,
        '#10 done',
        '#11 6 0',
      ],
    );
    client.subscribe('c/#', 1);
    client.subscribe('z', 9_999);
    await bench.house.pass(1_000);
    assert.match(lines.splice(-5).join('|'), /^#12 0 0\|c\/r=..@2\|c\/r=@\d\|#13 0 0\|gap z 9999 0$/s);
    client.quit();
    await bench.house.pass(1_000);
    assert.equal(lines.at(-1), 'closed ended');
    assert.equal(client.open, 0);
    assert.deepEqual(bench.world.bugs, []);
  });
}

function against(options: LinesClientOptions = {}): {
  server: Recorder;
  told: Told;
  client: LinesClient;
  world: World;
} {
  const world = new World(1);
  const told = new Told();
  let server!: Recorder;
  let client!: LinesClient;
  linkPipes(
    world,
    (pipe) => (client = new LinesClient(pipe, told, options)),
    (pipe) => (server = new Recorder(pipe)),
    { events: NO_EVENTS },
  );
  return { server, told, client, world };
}

test('a server that does not speak Lines is left', () => {
  for (const [says, fault] of [
    ['+OK\n', 'lines.unasked'],
    ['+OK x\n', 'lines.badReply'],
    ['-NO\n', 'lines.badReply'],
    ['%zz 1\n', 'lines.badReply'],
    ['MSGB a\n', 'lines.badReply'],
    ['MSGB a 1 0\nxy', 'lines.badReply'],
    ['MSGB a 11 0\n', 'lines.replyTooLong'],
    ['GAP a 1\n', 'lines.badReply'],
    ['CHALLENGE 00\n', 'lines.unasked'],
    ['x'.repeat(70_000), 'lines.badReply'],
  ] as const) {
    const { server, told, world } = against({ payloadBytesMax: 10 });
    server.say(says);
    world.pass(5_000);
    server.pipe.end();
    world.pass(5_000);
    assert.deepEqual(told.lines, [`closed fault ${fault}`], says.slice(0, 50));
    assert.deepEqual(world.bugs, []);
  }
});

test('what was asked is answered when the connection goes; text messages and goodbyes are understood', () => {
  const { server, told, client, world } = against();
  client.publish('a', Buffer.from('1'));
  server.say('a%20b hello there\nB64 c aGk=\n-ERR GONE - bye\n');
  world.pass(10);
  server.pipe.reset(0);
  world.pass(10);
  assert.deepEqual(told.lines, ['a b=hello there@0', 'c=hi@0', `refused ${GONE} -`, `#1 ${GONE} 0`, 'closed reset']);
});

test('leaving says goodbye', () => {
  const { server, client, world } = against();
  client.leave('shutdown');
  world.pass(10);
  assert.equal(server.text, 'QUIT\n');
  assert.ok(server.told.includes('finish'));
});

const SERVER = { host: '192.0.2.1', port: 7000 };

async function datagrams(loss = 0): Promise<{ bench: Bench; client: LinesDatagramClient; said: string[] }> {
  // Beyond loopback only who is granted something without a name is heard.
  const accounts = new FewAccounts();
  accounts.anonymous = true;
  const bench = await Bench.open({ accounts });
  bench.serveDatagrams(SERVER);
  bench.network.options = { loss };
  const said: string[] = [];
  const events: DatagramEvents = {
    subscribed: (filter, seconds) => void said.push(`subscribed ${filter} ${seconds}`),
    published: (topic, cursor) => void said.push(`published ${topic} ${cursor}`),
    message: (topic, payload) => void said.push(`${topic}=${payload.toString('latin1')}`),
    tooBig: (topic, length) => void said.push(`too big ${topic} ${length}`),
    refused: (outcome, command) => void said.push(`refused ${outcome} ${command}`),
    unanswered: (filter) => void said.push(`unanswered ${filter}`),
    closed: () => void said.push('closed'),
  };
  let client!: LinesDatagramClient;
  const port = { host: '192.0.2.9', port: 9 };
  bench.network.open(
    port,
    (made) => (client = new LinesDatagramClient(made, { to: SERVER, leaseSeconds: 30 }, events)),
  );
  return { bench, client, said };
}

test('the datagram client answers the challenge, renews its leases, and gets messages', async () => {
  const { bench, client, said } = await datagrams();
  const { world } = bench;
  client.subscribe('a b/#', world.turn.clock);
  world.pass(100);
  assert.deepEqual(said.splice(0), ['subscribed a b/# 30']);
  client.publish('a b/c', Buffer.from('1\n'), { sure: true });
  client.publish('a b/d', Buffer.alloc(3_000));
  client.publish('$SYS', Buffer.from('1'), { retain: true });
  world.pass(100);
  assert.deepEqual(said.splice(0), ['a b/c=1\n', 'published a b/c 0', 'too big a b/d 3000', `refused ${DENIED} PUTB`]);
  // Through several periods of the nonce.
  for (let minute = 0; minute < 10; minute++) {
    world.pass(60_000);
    client.publish('a b/c', Buffer.from([minute]));
    world.pass(100);
    assert.equal(said.filter((line) => line.startsWith('a b/c=')).length, minute + 1);
  }
  client.last('nothing');
  client.unsubscribe('a b/#');
  said.length = 0;
  client.publish('a b/c', Buffer.from('late'));
  world.pass(100);
  assert.ok(!said.some((line) => line.startsWith('a b')), said.join());
  client.leave();
  assert.equal(said.at(-1), 'closed');
  assert.deepEqual(world.bugs, []);
});

test('the datagram client asks again over a bad network, and gives up where nobody answers', async () => {
  const { bench, client, said } = await datagrams(0.2);
  const { world } = bench;
  client.subscribe('x', world.turn.clock);
  world.pass(60_000);
  assert.ok(said.includes('subscribed x 30'), said.join());
  bench.network.options = { loss: 1 };
  world.pass(200_000);
  assert.equal(said.at(-1), 'unanswered x');
});
