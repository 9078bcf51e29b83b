// What every byte stream must do, whatever carries it: joined by the simulated, TCP and Unix pipes, and by each carrier
// that comes later. It is imported by tests only.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Fault } from './fault.ts';
import { type Cause, ENDED, FAULT, type Pipe, type Session, SHUTDOWN, type Why } from './pipe.ts';
import type { StreamPipe } from './stream-pipe.ts';
import { type Clock, NEVER } from './time.ts';
import type { TlsPolicy } from './tls.ts';

/** Two joined pipes; `near` is the side that a client would be on. */
export interface JoinedPipes {
  readonly near: StreamPipe;
  readonly far: StreamPipe;
}

export interface PipesUnderTest {
  /** Joins two sessions. Input of at most `inputMax` bytes is kept, `highMark` may be queued. */
  join(near: (pipe: Pipe) => Session, far: (pipe: Pipe) => Session): Promise<JoinedPipes>;
  /** Lets things happen until `done` answers true. */
  until(done: () => boolean): Promise<void>;
  /** Errors that the guards caught so far. */
  readonly bugs: unknown[];
  /** Policies with which the two sides can handshake; null where the carrier has no TLS. */
  readonly tls: { server: TlsPolicy; client: TlsPolicy } | null;
  /** Whether the peer of a reset can tell it from an end. */
  readonly resets: boolean;
  /** False where an end of one side ends both ways, as in messages: what the other side says then goes nowhere. */
  readonly halfCloses?: boolean;
  dispose(): Promise<void>;
}

/** The bounds that pipes are made with for the suite. */
export const SUITE_BOUNDS = { inputMax: 1_000, highMark: 100_000, lowMark: 20_000, outMax: 1_000_000, lingerMs: 500 };

const BROKEN: Fault = { id: 'suite.broken', wire: 7, spec: '', text: 'Broken.', scope: 'connection' };

/** A session that writes down what it is told. */
export class Recorder implements Session {
  readonly pipe: Pipe;
  readonly told: string[] = [];
  deadline = NEVER;
  received = Buffer.alloc(0);
  total = 0;
  /** How much of each offer to take; all by default. */
  take: (offered: number) => number = (offered) => offered;
  onReceive: ((input: Uint8Array, start: number, end: number) => void) | null = null;

  constructor(pipe: Pipe) {
    this.pipe = pipe;
  }

  receive(input: Uint8Array, start: number, end: number, _clock: Clock): number {
    const taken = Math.min(end, start + this.take(end - start));
    this.total += taken - start;
    // Larger conversations are counted, not kept.
    if (this.received.length < 300_000) this.received = Buffer.concat([this.received, input.subarray(start, taken)]);
    this.onReceive?.(input, start, end);
    return taken;
  }

  overlong(_clock: Clock): void {
    this.told.push('overlong');
    this.say('too long');
    this.pipe.fail(BROKEN);
  }

  writable(_clock: Clock): void {
    this.told.push('writable');
  }

  tick(clock: Clock): void {
    assert.ok(clock.now >= this.deadline, `tick at ${clock.now}, before ${this.deadline}`);
    this.deadline = NEVER;
    this.told.push('tick');
  }

  finish(_clock: Clock): void {
    this.told.push('finish');
  }

  leave(why: Why, _clock: Clock): void {
    this.told.push(`leave ${why}`);
    this.say('goodbye');
    this.pipe.end();
  }

  lost(cause: Cause, wire: number, _clock: Clock): void {
    this.told.push(`lost ${cause}${wire === 0 ? '' : ` ${wire}`}`);
  }

  say(text: string): void {
    this.pipe.out.utf8(text);
    this.pipe.flush();
  }

  get text(): string {
    return this.received.toString('latin1');
  }

  /** The other side has ended: said so, or failed where that is all that the carrier can say. */
  get heardEnd(): boolean {
    return this.isLost || this.told.includes('finish');
  }

  get isLost(): boolean {
    return this.told.some((line) => line.startsWith('lost'));
  }
}

interface Ends extends JoinedPipes {
  readonly a: Recorder;
  readonly b: Recorder;
}

type On = (what: string, run: (pipes: PipesUnderTest, join: () => Promise<Ends>) => Promise<void>) => void;

/** Runs the suite against the pipes that `open` makes. */
export function pipeSuite(name: string, open: () => Promise<PipesUnderTest>): void {
  const on: On = (what, run) =>
    test(`${name}: ${what}`, { timeout: 20_000 }, async () => {
      const pipes = await open();
      try {
        await run(pipes, async () => {
          let a: Recorder | null = null;
          let b: Recorder | null = null;
          const joined = await pipes.join(
            (pipe) => (a = new Recorder(pipe)),
            (pipe) => (b = new Recorder(pipe)),
          );
          await pipes.until(() => a !== null && b !== null);
          return { near: joined.near, far: joined.far, a: a!, b: b! };
        });
      } finally {
        await pipes.dispose();
      }
    });
  conversation(on);
  keeping(on);
  pressure(on);
  endings(on);
  failing(on);
  handingOver(on);
}

function conversation(on: On): void {
  on('bytes arrive whole and in order, both ways', async ({ until, bugs }, join) => {
    const { a, b } = await join();
    let sent = '';
    for (let index = 0; index < 500; index++) {
      const text = `${index} ${'x'.repeat(index % 50)}\n`;
      sent += text;
      a.say(text);
    }
    b.say('hello');
    await until(() => b.text.length === sent.length && a.text === 'hello');
    assert.equal(b.text, sent);
    assert.deepEqual(bugs, []);
  });

  on('written and shared bytes keep their order, small and large', async ({ until }, join) => {
    const { a, b } = await join();
    const large = Buffer.alloc(50_000, 'L');
    const small = Buffer.from('(shared)');
    a.pipe.out.ascii('one');
    a.pipe.share(large, 10, 50_000);
    a.pipe.out.ascii('two');
    a.pipe.share(small, 1, 7);
    a.pipe.out.ascii('three');
    a.pipe.flush();
    assert.equal(a.pipe.queued, 3 + 49_990 + 3 + 6 + 5);
    await until(() => b.total === 50_007);
    assert.equal(b.text, `one${'L'.repeat(49_990)}twosharedthree`);
    assert.equal(large[0], 0x4c);
  });

  on('a deadline is met once, also when it was set by something else than input', async ({ until }, join) => {
    const { a, far, b } = await join();
    // The pipe's own clock is not shown to sessions but by their calls.
    let now = 0;
    b.onReceive = () => {};
    b.tick = function (this: Recorder, clock: Clock) {
      if (now === 0) {
        now = clock.now;
        this.deadline = clock.now + 20;
      } else {
        assert.ok(clock.now >= now + 20);
        this.deadline = NEVER;
        this.told.push('tick');
      }
    };
    b.deadline = 0;
    far.flush();
    await until(() => b.told.includes('tick'));
    assert.deepEqual(b.told, ['tick']);
    a.say('x');
    await until(() => b.text === 'x');
    assert.deepEqual(b.told, ['tick']);
  });
}

function keeping(on: On): void {
  on('what is not consumed is offered again with more behind it', async ({ until, bugs }, join) => {
    const { a, b } = await join();
    // Consumes whole lines only.
    let offered = 0;
    b.receive = function (this: Recorder, input, start, end) {
      offered++;
      let at = start;
      for (let index = start; index < end; index++) if (input[index] === 10) at = index + 1;
      this.received = Buffer.concat([this.received, input.subarray(start, at)]);
      return at;
    };
    a.say('a line\nhalf');
    await until(() => offered > 0 && b.text === 'a line\n');
    a.say(' a line\nand more');
    await until(() => b.text === 'a line\nhalf a line\n');
    a.say('\n');
    await until(() => b.text === 'a line\nhalf a line\nand more\n');
    assert.deepEqual(bugs, []);
  });

  on('kept bytes have a bound: the session refuses in its own words', async ({ until }, join) => {
    const { a, b } = await join();
    b.take = () => 0;
    a.say('x'.repeat(999));
    a.say('y'.repeat(1_000));
    await until(() => a.text === 'too long' && a.heardEnd);
    assert.deepEqual(b.told, ['overlong']);
    a.pipe.end();
    await until(() => b.isLost && a.isLost);
    assert.deepEqual(b.told, ['overlong', `lost ${FAULT}`]);
  });

  on('a full buffer of which something is consumed is no fault', async ({ until }, join) => {
    const { a, b } = await join();
    b.take = (offered) => Math.max(1, offered - 500);
    for (let index = 0; index < 20; index++) a.say('x'.repeat(400));
    await until(() => b.total >= 7_500);
    assert.deepEqual(b.told, []);
  });
}

function pressure(on: On): void {
  on('pause keeps what comes, resume offers it in a later step', async ({ until, bugs }, join) => {
    const { a, b } = await join();
    b.take = (offered) => Math.min(offered, 5 - b.total);
    b.onReceive = () => {
      if (b.total === 5) b.pipe.pause();
    };
    a.say('first');
    await until(() => b.text === 'first');
    a.say('second');
    a.say('third');
    for (let round = 0; round < 10; round++) await until(() => true);
    assert.equal(b.text, 'first');
    b.onReceive = null;
    b.take = (offered) => offered;
    b.pipe.resume();
    assert.equal(b.text, 'first', 'offered from within resume');
    await until(() => b.text === 'firstsecondthird');
    assert.deepEqual(bugs, []);
  });

  on('a pause takes back a resume of the same turn', async ({ until }, join) => {
    const { a, b } = await join();
    b.take = (offered) => Math.min(offered, 1 - b.total);
    b.onReceive = () => b.pipe.pause();
    a.say('xy');
    await until(() => b.text === 'x');
    b.take = (offered) => offered;
    b.pipe.resume();
    b.pipe.pause();
    for (let round = 0; round < 10; round++) await until(() => true);
    assert.equal(b.text, 'x');
    b.pipe.resume();
    await until(() => b.text === 'xy');
  });

  on('a session that pauses in the middle is offered the rest after resuming', async ({ until }, join) => {
    const { a, b } = await join();
    b.take = () => 1;
    b.onReceive = () => b.pipe.pause();
    a.say('abc');
    for (const expected of ['a', 'ab', 'abc']) {
      await until(() => b.text === expected);
      b.pipe.resume();
    }
    assert.deepEqual(b.told, []);
  });

  on('a peer that does not read makes room 0, and writable follows once when it reads', async ({ until }, join) => {
    const { a, b } = await join();
    b.onReceive = () => b.pipe.pause();
    a.say('x');
    await until(() => b.text === 'x');
    const piece = Buffer.alloc(10_000, 'p');
    let written = 0;
    // Sockets have buffers of their own: go on until ours fill too.
    while (a.pipe.room > 0 || written < 1_000_000) {
      for (; a.pipe.room > 0; written += piece.length) {
        a.pipe.share(piece, 0, piece.length);
        a.pipe.flush();
      }
      if (a.pipe.queued >= SUITE_BOUNDS.highMark) {
        const before = a.pipe.queued;
        for (let round = 0; round < 20; round++) await until(() => true);
        if (a.pipe.queued === before) break;
      }
    }
    assert.equal(a.pipe.room, 0);
    a.told.length = 0;
    b.onReceive = null;
    b.pipe.resume();
    await until(() => b.total === written + 1);
    await until(() => a.told.includes('writable'));
    assert.deepEqual(a.told, ['writable']);
    assert.ok(a.pipe.room > 0);
  });
}

function endings(on: On): void {
  on('an end reaches the peer behind all bytes; the other way stays open', async ({ until, halfCloses }, join) => {
    const { a, b } = await join();
    a.say('x'.repeat(200_000));
    a.pipe.end();
    await until(() => b.told.includes('finish'));
    assert.equal(b.total, 200_000);
    if (halfCloses !== false) assert.equal(a.isLost, false);
    b.say('answer');
    b.pipe.end();
    await until(() => a.isLost && b.isLost);
    if (halfCloses !== false) assert.equal(a.text, 'answer');
    assert.deepEqual(a.told, ['finish', `lost ${ENDED}`]);
    assert.deepEqual(b.told, ['finish', `lost ${ENDED}`]);
  });

  on('the end of stream is told after kept bytes, and waits for resume', async ({ until }, join) => {
    const { a, b } = await join();
    b.take = () => 1;
    b.onReceive = () => b.pipe.pause();
    a.say('abc');
    a.pipe.end();
    for (const expected of ['a', 'ab', 'abc']) {
      await until(() => b.text === expected);
      assert.deepEqual(b.told, []);
      b.pipe.resume();
    }
    await until(() => b.told.includes('finish'));
    b.pipe.end();
    await until(() => a.isLost && b.isLost);
  });

  on('a peer that never ends is cut after the linger', async ({ until, halfCloses }, join) => {
    // Where an end ends both ways the peer has no say in it.
    if (halfCloses === false) return;
    const { a, b } = await join();
    a.say('bye');
    a.pipe.end();
    await until(() => a.isLost);
    assert.deepEqual(a.told, ['lost timeout']);
    // A carrier may show a reset behind the end only to one that writes or ends.
    b.pipe.end();
    await until(() => b.isLost);
    assert.equal(b.text, 'bye');
  });

  on('a reset is seen by both, once', async ({ until, resets }, join) => {
    const { a, b } = await join();
    a.say('x');
    await until(() => b.text === 'x');
    a.pipe.reset(5);
    await until(() => a.isLost && (b.isLost || b.told.includes('finish')));
    assert.equal(a.told.length, 1);
    assert.match(a.told[0]!, /^lost reset/);
    if (resets) assert.match(b.told.join(), /^lost reset/);
    b.pipe.end();
    await until(() => b.isLost);
    assert.equal(b.told.filter((line) => line.startsWith('lost')).length, 1);
    // Late calls on a dead pipe do nothing.
    a.say('late');
    a.pipe.pause();
    a.pipe.resume();
    a.pipe.end();
    a.pipe.reset(0);
    a.pipe.fail(BROKEN);
    assert.equal(a.told.length, 1);
  });

  on('leave lets the session say goodbye, and cuts when the peer does not follow', async ({ until }, join) => {
    const { a, b, far } = await join();
    a.say('x');
    await until(() => b.text === 'x');
    far.leave(SHUTDOWN, 100);
    await until(() => b.isLost && a.text === 'goodbye');
    assert.equal(b.told[0], `leave ${SHUTDOWN}`);
    a.pipe.end();
    await until(() => a.isLost);
  });
}

function failing(on: On): void {
  on('a fault sends what was written, reads no more and ends', async ({ until }, join) => {
    const { a, b } = await join();
    b.onReceive = () => {
      if (b.text !== 'bad') return;
      b.say('no');
      b.pipe.fail(BROKEN);
    };
    a.say('bad');
    await until(() => a.text === 'no' && a.heardEnd);
    a.say('ignored');
    a.pipe.end();
    await until(() => b.isLost && a.isLost);
    assert.equal(b.text, 'bad');
    assert.deepEqual(b.told, [`lost ${FAULT}`]);
  });

  on('a throw is a bug that ends this pipe only', async (pipes, join) => {
    const { until, bugs } = pipes;
    const { a, b } = await join();
    const other = await join();
    b.onReceive = () => {
      throw new Error('a bug of ours');
    };
    a.say('x');
    await until(() => b.isLost);
    a.pipe.end();
    await until(() => a.isLost);
    assert.equal(bugs.length, 1);
    assert.deepEqual(b.told, ['lost bug']);
    other.a.say('still here');
    await until(() => other.b.text === 'still here');
  });

  on('ending, failing and resetting from within receive wait until it returns', async ({ until, bugs }, join) => {
    for (const how of ['reset', 'fail', 'end'] as const) {
      const { a, b } = await join();
      b.onReceive = () => {
        if (how === 'reset') b.pipe.reset(1);
        else if (how === 'fail') b.pipe.fail(BROKEN);
        else b.pipe.end();
        assert.equal(b.isLost, false, 'lost from within receive');
      };
      a.say('x');
      await until(() => b.text === 'x');
      a.pipe.end();
      await until(() => a.isLost && b.isLost);
      assert.equal(b.told.filter((line) => line.startsWith('lost')).length, 1);
    }
    assert.deepEqual(bugs, []);
  });
}

function handingOver(on: On): void {
  on('become hands the unconsumed bytes to the next session', async ({ until, bugs }, join) => {
    const { a, b } = await join();
    const next = new Recorder(b.pipe);
    b.receive = function (this: Recorder, input, start, end) {
      const at = input.indexOf(10, start);
      if (at < 0 || at >= end) return start;
      this.received = Buffer.from(input.subarray(start, at));
      this.pipe.become(next);
      return at + 1;
    };
    a.say('upgr');
    a.say('ade\nfor the next');
    await until(() => next.text === 'for the next');
    assert.equal(b.text, 'upgrade');
    a.say(', and more');
    await until(() => next.text === 'for the next, and more');
    a.pipe.end();
    await until(() => next.told.includes('finish'));
    b.pipe.end();
    await until(() => next.isLost);
    assert.deepEqual(b.told, [], 'the first session heard of what came after it');
    assert.deepEqual(bugs, []);
  });

  on('become from outside a call offers kept bytes in a later step', async ({ until }, join) => {
    const { a, b } = await join();
    b.take = () => 0;
    a.say('kept');
    let offered = false;
    b.onReceive = () => {
      offered = true;
    };
    await until(() => offered);
    const next = new Recorder(b.pipe);
    b.pipe.become(next);
    assert.equal(next.text, '');
    await until(() => next.text === 'kept');
  });

  on('secure hands over after the handshake', async ({ until, tls, bugs }, join) => {
    if (tls === null) return;
    const { a, b } = await join();
    const nextA = new Recorder(a.pipe);
    const nextB = new Recorder(b.pipe);
    b.onReceive = () => {
      if (b.text !== 'STARTTLS') return;
      b.say('go ahead');
      b.pipe.secure(tls.server, nextB);
    };
    a.onReceive = () => {
      if (a.text === 'go ahead') a.pipe.secure(tls.client, nextA);
    };
    a.say('STARTTLS');
    await until(() => b.pipe.peer.tls !== null && a.pipe.peer.tls !== null);
    nextA.say('in secret');
    await until(() => nextB.text === 'in secret');
    nextB.say('indeed');
    await until(() => nextA.text === 'indeed');
    assert.deepEqual(bugs, []);
  });

  on('bytes sent ahead of the handshake are a fault', async ({ until, tls }, join) => {
    if (tls === null) return;
    const { a, b } = await join();
    const next = new Recorder(b.pipe);
    b.take = (offered) => Math.min(8 - b.total, offered);
    b.onReceive = () => {
      if (b.text === 'STARTTLS') b.pipe.secure(tls.server, next);
    };
    a.say('STARTTLSinjected');
    await until(() => a.told.includes('finish'));
    assert.equal(next.text, '');
    a.pipe.end();
    await until(() => b.told.length > 0);
    assert.deepEqual(b.told, [`lost ${FAULT}`]);
  });
}
