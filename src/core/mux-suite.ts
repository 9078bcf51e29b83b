// What every multiplexed connection must do: joined by the simulated one now, by QUIC and HTTP/2 later. It is imported by
// tests only.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Mux, MuxSession } from './mux.ts';
import { type Cause, type Pipe, type Session, SHUTDOWN, type Why } from './pipe.ts';
import { Recorder } from './pipe-suite.ts';
import { type Clock, NEVER } from './time.ts';

export interface MuxesUnderTest {
  /** Joins two; each side may open `streamsMax` streams at once. Answers how to ask the far side to leave. */
  join(
    near: (mux: Mux) => MuxSession,
    far: (mux: Mux) => MuxSession,
    streamsMax: number,
  ): Promise<{ leave(why: Why): void }>;
  until(done: () => boolean): Promise<void>;
  readonly bugs: unknown[];
}

class MuxRecorder implements MuxSession {
  readonly mux: Mux;
  readonly told: string[] = [];
  readonly streams: Recorder[] = [];
  readonly datagrams: string[] = [];
  deadline = NEVER;

  constructor(mux: Mux) {
    this.mux = mux;
  }

  opened(pipe: Pipe, oneWay: boolean): Session {
    this.told.push(oneWay ? 'one-way' : 'two-way');
    const recorder = new Recorder(pipe);
    this.streams.push(recorder);
    return recorder;
  }

  mayOpen(): void {
    this.told.push('may open');
  }

  datagram(bytes: Uint8Array, start: number, end: number): void {
    this.datagrams.push(Buffer.from(bytes.subarray(start, end)).toString('latin1'));
  }

  tick(_clock: Clock): void {
    this.deadline = NEVER;
    this.told.push('tick');
  }

  leave(why: Why): void {
    this.told.push(`leave ${why}`);
  }

  lost(cause: Cause, wire: number): void {
    assert.ok(
      this.streams.every((stream) => stream.isLost),
      'a stream outlived its connection',
    );
    this.told.push(`lost ${cause} ${wire}`);
  }

  open(oneWay = false): Recorder | null {
    let recorder!: Recorder;
    const pipe = this.mux.open(oneWay, (made) => (recorder = new Recorder(made)));
    return pipe === null ? null : recorder;
  }
}

/** Runs the suite against the connections that `make` makes. */
export function muxSuite(name: string, make: () => MuxesUnderTest): void {
  const on = (what: string, run: (muxes: MuxesUnderTest, a: MuxRecorder, b: MuxRecorder) => Promise<void>): void =>
    void test(`${name}: ${what}`, { timeout: 20_000 }, async () => {
      const muxes = make();
      let a!: MuxRecorder;
      let b!: MuxRecorder;
      const { leave } = await muxes.join(
        (mux) => (a = new MuxRecorder(mux)),
        (mux) => (b = new MuxRecorder(mux)),
        4,
      );
      await run({ ...muxes, leave } as MuxesUnderTest, a, b);
      assert.deepEqual(muxes.bugs, []);
    });

  on('streams are independent, ordered, and opened by either side', async ({ until }, a, b) => {
    const one = a.open()!;
    const two = a.open()!;
    one.say('first');
    two.say('second');
    await until(() => b.streams.length === 2 && b.streams.every((stream) => stream.total > 0));
    b.streams[0]!.pipe.pause();
    const texts = b.streams.map(({ text }) => text).sort();
    assert.deepEqual(texts, ['first', 'second']);
    const back = b.open()!;
    back.say('x'.repeat(100_000));
    await until(() => a.streams[0]?.total === 100_000);
  });

  on('a one-way stream carries bytes and its end, one way', async ({ until }, a, b) => {
    const stream = a.open(true)!;
    stream.say('hello');
    stream.pipe.end();
    await until(() => b.streams[0]?.told.includes('finish') === true);
    assert.deepEqual(b.told, ['one-way']);
    assert.equal(b.streams[0]!.text, 'hello');
  });

  on('the number of streams is bounded, and told when there is room again', async ({ until }, a, b) => {
    const open = Array.from({ length: 4 }, () => a.open()!);
    assert.equal(a.open(), null);
    for (const stream of open) stream.say('x');
    await until(() => b.streams.length === 4);
    open[0]!.pipe.end();
    await until(() => b.streams.some(({ told }) => told.includes('finish')));
    b.streams.find(({ told }) => told.includes('finish'))!.pipe.end();
    await until(() => a.told.includes('may open'));
    assert.notEqual(a.open(), null);
  });

  on('a reset ends one stream with its code and no other', async ({ until }, a, b) => {
    const one = a.open()!;
    const two = a.open()!;
    one.say('1');
    two.say('2');
    await until(() => b.streams.length === 2 && b.streams.every((stream) => stream.total > 0));
    one.pipe.reset(77);
    await until(() => b.streams.some((stream) => stream.isLost));
    const lost = b.streams.find((stream) => stream.isLost)!;
    assert.deepEqual([lost.text, lost.told], ['1', ['lost reset 77']]);
    two.say('!');
    await until(() => b.streams.some((stream) => stream.text === '2!'));
  });

  on('a stream that is not read holds back its own sender only', async ({ until }, a, b) => {
    const slow = a.open()!;
    const fast = a.open()!;
    slow.say('s');
    fast.say('f');
    await until(() => b.streams.length === 2 && b.streams.every((stream) => stream.total > 0));
    b.streams.find(({ text }) => text === 's')!.pipe.pause();
    const piece = Buffer.alloc(10_000);
    for (let round = 0; round < 1_000 && slow.pipe.room > 0; round++) {
      slow.pipe.share(piece, 0, piece.length);
      slow.pipe.flush();
      await until(() => true);
    }
    assert.equal(slow.pipe.room, 0, 'no back-pressure');
    fast.say('x'.repeat(50_000));
    await until(() => b.streams.find(({ text }) => text.startsWith('f'))!.total === 50_001);
  });

  on('datagrams go beside the streams, up to their largest size', async ({ until }, a, b) => {
    const bytes = Buffer.alloc(a.mux.datagramMax + 1, 'd');
    assert.equal(a.mux.datagram(bytes, 0, bytes.length), false);
    assert.equal(a.mux.datagram(bytes, 1, bytes.length), true);
    await until(() => b.datagrams.length === 1);
    assert.equal(b.datagrams[0]!.length, a.mux.datagramMax);
  });

  on('closing loses every stream, then the connection, on both sides, once', async ({ until }, a, b) => {
    a.open()!.say('x');
    await until(() => b.streams.length === 1);
    a.mux.close({ id: 'suite.closed', wire: 9, spec: '', text: '', scope: 'connection' });
    await until(() => b.told.some((line) => line.startsWith('lost')));
    assert.deepEqual(a.told, ['lost fault 9']);
    assert.equal(b.told.filter((line) => line.startsWith('lost')).length, 1);
    assert.equal(a.open(), null);
  });

  on('leave is told to the session', async (muxes, _a, b) => {
    (muxes as MuxesUnderTest & { leave(why: Why): void }).leave(SHUTDOWN);
    assert.deepEqual(b.told, [`leave ${SHUTDOWN}`]);
  });
}
