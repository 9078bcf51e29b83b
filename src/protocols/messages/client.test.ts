import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { DENIED, GONE, MISSING, OK, type Outcome } from '../../core/outcome.ts';
import type { SimulatedPipe } from '../../sim/pipes.ts';
import { PorticoJsonClient, type PorticoJsonOptions, type ReceivedMessage } from './client.ts';
import { Positions } from './positions.ts';
import { Bench, Talker } from './testing/bench.ts';

/** Writes down what a client is told. */
class Told {
  readonly lines: string[] = [];
  readonly messages: ReceivedMessage[] = [];

  answered(number: number, outcome: Outcome, cursor: number, _detail: string, message: ReceivedMessage | null): void {
    this.lines.push(`#${number} ${outcome} ${cursor}${message === null ? '' : ` ${message.payload}`}`);
  }

  message(message: ReceivedMessage): void {
    this.messages.push(message);
    this.lines.push(`${message.topic}=${message.payload.toString('latin1')}`);
  }

  live(filter: string): void {
    this.lines.push(`live ${filter}`);
  }

  gap(filter: string, after: number, from: number): void {
    this.lines.push(`gap ${filter} ${after} ${from}`);
  }

  refused(outcome: Outcome): void {
    this.lines.push(`refused ${outcome}`);
  }

  roomy(): void {
    this.lines.push('roomy');
  }

  closed(cause: string, wire: number, fault: { id: string } | null): void {
    this.lines.push(`closed ${cause} ${wire}${fault === null ? '' : ` ${fault.id}`}`);
  }
}

function connect(
  bench: Bench,
  options: PorticoJsonOptions = {},
): { client: PorticoJsonClient; told: Told; server: SimulatedPipe; cut(): void } {
  const told = new Told();
  const { peer, server, cut } = bench.join((messages) => new PorticoJsonClient(messages, told, options));
  return { client: peer, told, server, cut };
}

test('the client speaks with the server', async () => {
  const bench = await Bench.open({ policies: 'durable' });
  const { client, told } = connect(bench);
  client.subscribe('c/#');
  client.publish('c/a', 'text', { contentType: 'text/plain', properties: ['n', 'v', 'n', 'w'], expiresIn: 60_000 });
  client.publish('c/b', Buffer.from([0xff, 0]), { retain: true, responseTopic: 'r', correlation: Buffer.of(1) });
  client.publish('$SYS/x', '');
  client.get('c/b');
  client.get('c/none');
  client.unsubscribe('c/#');
  await bench.pass();
  assert.deepEqual(told.lines, [
    `#1 ${OK} 0`,
    'live c/#',
    `#4 ${DENIED} 0`,
    `#5 ${MISSING} 0`,
    `#6 ${MISSING} 0`,
    `#7 ${OK} 0`,
    `#2 ${OK} 1`,
    `#3 ${OK} 2`,
  ]);
  client.get('c/b');
  client.subscribe('c/#', { after: 0 });
  await bench.pass();
  assert.deepEqual(told.lines.slice(8), [`#8 ${OK} 0 \ufffd\0`, `#9 ${OK} 0`, 'c/a=text', 'c/b=\xff\0', 'live c/#']);
  const [first, second] = told.messages;
  assert.partialDeepStrictEqual(first, { contentType: 'text/plain', properties: ['n', 'v', 'n', 'w'], text: true });
  assert.ok(first!.expiry > bench.world.wall());
  assert.partialDeepStrictEqual(second, { responseTopic: 'r', text: false, retain: true, retained: false });
  assert.deepEqual(second!.correlation, Buffer.of(1));
  client.end();
  await bench.pass();
  assert.equal(told.lines.at(-1), 'closed ended 1005');
  assert.equal(client.open, 0);
  assert.deepEqual(bench.world.bugs, []);
});

test('what is open ends with GONE when the connection does', async () => {
  const bench = await Bench.open({ policies: 'durable' });
  const { client, told, cut } = connect(bench);
  client.publish('a', '1');
  cut();
  await bench.pass();
  assert.deepEqual(told.lines, [`#1 ${GONE} 0`, 'closed reset 1006']);
  assert.equal(client.publish('a', '2'), 0);
});

test('a client sends no more than may be open, and is told when there is room', async () => {
  const bench = await Bench.open({ policies: 'durable' });
  const { client, told } = connect(bench, { openMax: 2 });
  assert.deepEqual(
    ['1', '2', '3'].map((text) => client.publish('a', text)),
    [1, 2, 0],
  );
  await bench.pass();
  assert.ok(told.lines.includes('roomy'));
  assert.equal(client.publish('a', '3'), 3);
});

test('a server that does not speak portico.json is left', async () => {
  const bench = await Bench.open();
  for (const [says, fault] of [
    ['{', 'messages.badReply'],
    ['[]', 'messages.badReply'],
    ['{"ack":"1"}', 'messages.badReply'],
    ['{"ack":7}', 'messages.unasked'],
    ['{"topic":"a"}', 'messages.badReply'],
    ['{"topic":1,"payload":""}', 'messages.badReply'],
    ['{"topic":"a","payload":"","properties":[["n"]]}', 'messages.badReply'],
    ['{"error":{}}', 'messages.badReply'],
    ['{"gap":{"filter":"a"}}', 'messages.badReply'],
    ['{"live":"a"}', 'messages.badReply'],
    [Buffer.from('{}'), 'messages.badReply'],
  ] as const) {
    const told = new Told();
    let server!: Talker;
    const { linkMessages } = await import('../../sim/messages.ts');
    linkMessages(
      bench.world,
      (messages) => new PorticoJsonClient(messages, told),
      (messages) => (server = new Talker(messages)),
    );
    server.says('{"more":"of a newer server"}');
    server.says(says);
    await bench.pass();
    assert.match(told.lines.join(), new RegExp(`^closed ended \\d+ ${fault}$`), String(says));
  }
});

test('positions: what is live moves all live filters, history its own', () => {
  const positions = new Positions();
  positions.subscribed('a/#', {});
  positions.subscribed('b/#', { after: 3 });
  assert.deepEqual([positions.after('a/#'), positions.after('b/#'), positions.after('c')], [-1, 3, -1]);
  positions.live('a/#', 10);
  assert.ok(positions.came('b/x', 5, 'b/#'));
  assert.ok(positions.came('a/x', 12, ''));
  assert.deepEqual([positions.after('a/#'), positions.after('b/#')], [12, 5]);
  positions.lost();
  assert.deepEqual([positions.after('a/#'), positions.after('b/#')], [12, 5]);
  positions.live('b/#', 12);
  assert.ok(positions.came('b/x', 13, ''));
  assert.deepEqual([positions.after('a/#'), positions.after('b/#')], [12, 13]);
});

/** What happens in a run: something is published, time passes, the connection is cut, the client comes back. */
type Step = 'a' | 'b' | 'ab' | 'pass' | 'cut' | 'back';

const steps = fc.array(fc.constantFrom<Step>('a', 'b', 'ab', 'pass', 'pass', 'cut', 'back'), { maxLength: 30 });

test('no gap and no repeat over any number of lost connections, with filters that overlap', async () => {
  const filters = ['a/#', '+/x', 'b/x'];
  await fc.assert(
    fc.asyncProperty(steps, fc.constantFrom(0, 30), fc.boolean(), async (run, cut, narrow) => {
      const bench = await Bench.open({ policies: 'durable', cut, narrow });
      let connection = connect(bench);
      for (const filter of filters) connection.client.subscribe(filter);
      await bench.pass(60);
      const { positions } = connection.client;
      const got: string[] = [];
      const published: string[] = [];
      const collect = () => {
        for (const { topic, payload } of connection.told.messages.splice(0)) got.push(`${topic}=${payload}`);
      };
      const publish = (topic: string) => {
        const text = String(published.length);
        published.push(`${topic}=${text}`);
        return bench.house.publish(topic, text);
      };
      let isUp = true;
      for (const step of run) {
        if (step === 'cut' && isUp) {
          connection.cut();
          collect();
          isUp = false;
        } else if (step === 'back' && !isUp) {
          connection = connect(bench, { positions });
          connection.client.resume();
          isUp = true;
          bench.world.pass(4);
        } else if (step === 'pass') bench.world.pass(2);
        else if (step === 'a') await publish('a/x');
        else if (step === 'b') await publish('b/x');
        else if (step === 'ab') for (const topic of ['a/y', 'b/x', 'a/x']) await publish(topic);
      }
      if (!isUp) {
        connection = connect(bench, { positions });
        connection.client.resume();
      }
      await bench.pass(2_000);
      collect();
      assert.deepEqual([...got].sort(byNumber), published);
      assert.deepEqual(bench.world.bugs, []);
    }),
    { numRuns: 200 },
  );
});

function byNumber(one: string, other: string): number {
  return Number(one.split('=')[1]) - Number(other.split('=')[1]);
}
