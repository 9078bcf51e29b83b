// What every message channel must do: joined by the simulated one now, by WebSocket and data channels later. It is
// imported by tests only.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { MessageSession, Messages } from './messages.ts';
import { type Cause, SHUTDOWN, type Why } from './pipe.ts';
import { type Clock, NEVER } from './time.ts';

export interface MessagesUnderTest {
  join(
    near: (messages: Messages) => MessageSession,
    far: (messages: Messages) => MessageSession,
  ): Promise<{ leaveFar(why: Why): void; cut(): void }>;
  until(done: () => boolean): Promise<void>;
  readonly bugs: unknown[];
}

class MessageRecorder implements MessageSession {
  readonly messages: Messages;
  readonly got: string[] = [];
  readonly told: string[] = [];
  total = 0;
  deadline = NEVER;
  onMessage: (text: string) => void = () => {};

  constructor(messages: Messages) {
    this.messages = messages;
  }

  receive(input: Uint8Array, start: number, end: number, text: boolean): void {
    this.total += end - start;
    const shown = `${text ? 't' : 'b'}:${Buffer.from(input.subarray(start, end)).toString('latin1')}`;
    if (this.got.length < 1_000) this.got.push(shown);
    this.onMessage(shown);
  }

  writable(): void {
    this.told.push('writable');
  }

  tick(_clock: Clock): void {
    this.deadline = NEVER;
    this.told.push('tick');
  }

  leave(why: Why): void {
    this.told.push(`leave ${why}`);
    this.messages.end(1001, 'going away');
  }

  lost(_cause: Cause, wire: number): void {
    this.told.push(`lost ${wire}`);
  }

  say(text: string, asText = true): void {
    const bytes = Buffer.from(text);
    this.messages.send(bytes, 0, bytes.length, asText);
    this.messages.flush();
  }
}

/** Runs the suite against the channels that `make` makes. */
export function messagesSuite(name: string, make: () => MessagesUnderTest): void {
  type Ends = { a: MessageRecorder; b: MessageRecorder; leaveFar(why: Why): void; cut(): void };
  const on = (what: string, run: (under: MessagesUnderTest, ends: Ends) => Promise<void>): void =>
    void test(`${name}: ${what}`, { timeout: 20_000 }, async () => {
      const under = make();
      let a!: MessageRecorder;
      let b!: MessageRecorder;
      const joined = await under.join(
        (messages) => (a = new MessageRecorder(messages)),
        (messages) => (b = new MessageRecorder(messages)),
      );
      await run(under, { a, b, ...joined });
    });

  on('messages arrive whole, in order, as text or binary', async ({ until, bugs }, { a, b }) => {
    a.say('one');
    a.say('', true);
    a.say('\x01\x02', false);
    a.say('x'.repeat(70_000));
    b.say('back');
    await until(() => b.got.length === 4 && a.got.length === 1);
    assert.deepEqual(b.got.slice(0, 3), ['t:one', 't:', 'b:\x01\x02']);
    assert.equal(b.got[3]!.length, 70_002);
    assert.deepEqual(a.got, ['t:back']);
    assert.deepEqual(bugs, []);
  });

  on('a paused reader holds the sender back; writable follows', async ({ until }, { a, b }) => {
    a.say('x');
    await until(() => b.got.length === 1);
    b.messages.pause();
    let sent = 0;
    for (let round = 0; round < 1_000 && a.messages.room > 0; round++) {
      a.say('y'.repeat(10_000));
      sent++;
      await until(() => true);
    }
    assert.equal(a.messages.room, 0, 'no back-pressure');
    b.messages.resume();
    await until(() => b.total === sent * 10_000 + 1);
    await until(() => a.told.includes('writable'));
    assert.deepEqual(a.told, ['writable']);
  });

  on('after pause nothing comes until resume, though it has arrived', async ({ until }, { a, b }) => {
    b.onMessage = () => b.messages.pause();
    for (const text of ['one', 'two', 'three']) a.say(text);
    await until(() => b.got.length === 1);
    for (let round = 0; round < 10; round++) await until(() => true);
    assert.deepEqual(b.got, ['t:one']);
    b.messages.resume();
    assert.deepEqual(b.got, ['t:one'], 'given from within resume');
    await until(() => b.got.length === 2);
    b.onMessage = () => {};
    b.messages.resume();
    await until(() => b.got.length === 3);
  });

  on('an end has a code, and is told once on both sides', async ({ until }, { a, b }) => {
    a.say('last');
    a.messages.end(4_000, 'done');
    a.say('too late');
    await until(() => a.told.length > 0 && b.told.length > 0);
    assert.deepEqual(b.got, ['t:last']);
    assert.deepEqual(b.told, ['lost 4000']);
    assert.equal(a.told.length, 1);
  });

  on('a lost connection is 1006', async ({ until }, { a, b, cut }) => {
    cut();
    await until(() => a.told.length > 0 && b.told.length > 0);
    assert.deepEqual([a.told, b.told], [['lost 1006'], ['lost 1006']]);
  });

  on('leave lets the session say goodbye', async ({ until }, { a, b, leaveFar }) => {
    leaveFar(SHUTDOWN);
    await until(() => a.told.length > 0 && b.told.length > 1);
    assert.deepEqual(a.told, ['lost 1001']);
    assert.equal(b.told[0], `leave ${SHUTDOWN}`);
  });

  on('a deadline is met; a throw ends this channel only', async ({ until, bugs }, { a, b }) => {
    a.deadline = 0.001;
    a.messages.flush();
    await until(() => a.told.includes('tick'));
    b.onMessage = () => {
      throw new Error('a bug of ours');
    };
    a.say('x');
    await until(() => b.told.length > 0 && a.told.length > 1);
    assert.equal(bugs.length, 1);
  });
}
