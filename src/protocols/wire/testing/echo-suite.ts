// What an echo must do on every carrier there is: joined by the simulated, TCP and Unix pipes, and by each that comes
// later; and the same for datagrams.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DatagramRecorder, type PortsUnderTest } from '../../../core/datagram-suite.ts';
import { ENDED, type Pipe } from '../../../core/pipe.ts';
import { type PipesUnderTest, Recorder } from '../../../core/pipe-suite.ts';
import { EchoDatagrams, EchoSession } from '../echo.ts';

/** How long an echo of the suite waits in silence. */
const IDLE_MS = 60_000;

const CLOCK = { now: 0, wall: 0 };

/** The session that a carrier's far end is given. */
export const echoing = (pipe: Pipe): EchoSession => new EchoSession(pipe, IDLE_MS, CLOCK);

/** Random-looking bytes of which none equals its neighbours for long. */
function pattern(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  for (let at = 0; at < size; at++) bytes[at] = (at * 31 + (at >>> 8) * 17) & 0xff;
  return bytes;
}

export function echoSuite(name: string, open: () => Promise<PipesUnderTest>): void {
  const on = (what: string, run: (pipes: PipesUnderTest, peer: Recorder) => Promise<void>) =>
    void test(`echo over ${name}: ${what}`, { timeout: 20_000 }, async () => {
      const pipes = await open();
      try {
        let peer!: Recorder;
        await pipes.join((pipe) => (peer = new Recorder(pipe)), echoing);
        await run(pipes, peer);
        assert.deepEqual(pipes.bugs, []);
      } finally {
        await pipes.dispose();
      }
    });

  on('what is said comes back, also behind the end', async ({ until }, peer) => {
    peer.say('hello');
    await until(() => peer.text === 'hello');
    const bytes = pattern(30_000);
    peer.pipe.out.copy(bytes, 0, bytes.length);
    peer.pipe.flush();
    peer.pipe.end();
    await until(() => peer.told.includes('finish'));
    assert.equal(peer.total, 30_005);
    assert.ok(peer.received.subarray(5).equals(bytes));
    await until(() => peer.isLost);
    assert.deepEqual(peer.told, ['finish', `lost ${ENDED}`]);
  });

  on('a peer that does not listen is not read, and loses nothing', async ({ until }, peer) => {
    peer.pipe.pause();
    const bytes = pattern(50_000);
    let sent = 0;
    const fill = () => {
      for (; peer.pipe.room > 0 && sent < 3_000_000; sent += bytes.length) {
        peer.pipe.share(bytes, 0, bytes.length);
        peer.pipe.flush();
      }
    };
    peer.writable = fill;
    fill();
    for (let round = 0; round < 20; round++) await until(() => true);
    let wrong = -1;
    peer.onReceive = (input, start, end) => {
      const before = peer.total - (end - start);
      for (let at = start; at < end && wrong < 0; at++)
        if (input[at] !== bytes[(before + at - start) % bytes.length]) wrong = before + at - start;
    };
    peer.pipe.resume();
    await until(() => peer.total === sent && sent >= 3_000_000);
    assert.equal(wrong, -1);
    peer.pipe.end();
    await until(() => peer.isLost);
  });

  on('a reset ends it', async ({ until }, peer) => {
    peer.say('x');
    await until(() => peer.text === 'x');
    peer.pipe.reset(0);
    await until(() => peer.isLost);
  });
}

export function echoDatagramSuite(name: string, open: () => Promise<PortsUnderTest>): void {
  test(`echo over ${name}: each datagram comes back to where it came from`, { timeout: 10_000 }, async () => {
    const ports = await open();
    try {
      let peer!: DatagramRecorder;
      let other!: DatagramRecorder;
      await ports.open((port) => (peer = new DatagramRecorder(port)));
      await ports.open((port) => (other = new DatagramRecorder(port)));
      const echo = await ports.open((port) => new EchoDatagrams(port));
      const sent = ['one', '', 'x'.repeat(1_200)];
      for (const text of sent) assert.ok(peer.say(echo.local, text));
      await ports.until(() => peer.received.length === sent.length);
      assert.deepEqual([...peer.received].sort(), [...sent].sort());
      assert.deepEqual(other.received, []);
      assert.deepEqual(peer.from[0], echo.local);
      assert.deepEqual(ports.bugs, []);
      echo.close();
    } finally {
      await ports.dispose();
    }
  });
}
