// What RFC 6455 leaves to an implementation: pings of ours, bounds, peers that do not read, readers that hold back.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lend } from '../../bytes/pool.ts';
import { faults } from './faults.ts';
import { type FrameOptions, SocketBench } from './testing/bench.ts';

const TEXT = 1;
const BINARY = 2;
const MORE = 0;
const PING = 9;
const PONG = 10;

const part: FrameOptions = { fin: false };

test('a quiet peer is pinged, and left when it does not answer', () => {
  for (const role of ['server', 'client'] as const) {
    const options = { role, limits: { pingMs: 10_000, pongMs: 4_000 } };
    const bench = new SocketBench(options);
    assert.deepEqual(bench.hears(9_990), []);
    assert.deepEqual(bench.hears(20), ['ping']);
    bench.says(bench.frame(PONG));
    assert.deepEqual(bench.hears(9_900), []);
    assert.deepEqual(bench.hears(200), ['ping']);
    // Anything that is heard will do.
    bench.says(bench.frame(TEXT, 'x'));
    assert.deepEqual(bench.hears(9_900), ['text x']);
    assert.deepEqual(bench.hears(4_000), ['ping']);
    assert.deepEqual(bench.hears(200), ['close 1011']);
    assert.deepEqual(bench.faulted, [faults.noPong.id]);
  }
});

test('a peer that we do not read is not judged, and one that still takes what was queued is waited for', () => {
  const limits = { pingMs: 1_000, pongMs: 1_000 };
  const paused = new SocketBench({ limits });
  paused.hears(10);
  paused.echo.messages.pause();
  paused.world.pass(20_000);
  paused.echo.messages.resume();
  paused.says(paused.frame(PONG));
  paused.world.pass(500);
  assert.deepEqual(paused.faulted, []);

  const slow = new SocketBench({ limits });
  slow.hears(10);
  slow.peer.pipe.pause();
  for (let count = 0; count < 40; count++) slow.echo.messages.send(Buffer.alloc(20_000), 0, 20_000, false);
  slow.echo.messages.flush();
  // Some 64 KiB a second: longer than a ping and its pong may take.
  for (let second = 0; second < 8; second++) {
    slow.peer.pipe.pause();
    slow.world.pass(999);
    slow.peer.pipe.resume();
    slow.world.pass(1);
  }
  assert.ok(slow.peer.total < 700_000, String(slow.peer.total));
  assert.deepEqual(slow.faulted, []);
  slow.peer.pipe.pause();
  slow.world.pass(10_000);
  assert.deepEqual(slow.faulted, [faults.noPong.id]);

  // Nor read, nor reading.
  const stuck = new SocketBench({ limits });
  stuck.peer.pipe.pause();
  stuck.echo.messages.send(Buffer.alloc(200_000), 0, 200_000, false);
  stuck.echo.messages.pause();
  stuck.world.pass(1_900);
  assert.deepEqual(stuck.faulted, []);
  stuck.world.pass(2_000);
  assert.deepEqual(stuck.faulted, [faults.noPong.id]);
});

test('§5.5.3 pings of a peer that takes nothing are answered once, with the last', () => {
  const bench = new SocketBench({ bounds: { highMark: 1_000, lowMark: 500 } });
  bench.peer.pipe.pause();
  bench.echo.messages.send(Buffer.alloc(100_000), 0, 100_000, false);
  bench.echo.messages.flush();
  bench.world.pass(100);
  for (let count = 0; count < 5_000; count++) bench.says(bench.frame(PING, `p${count}`));
  bench.world.pass(1_000);
  assert.ok(bench.session.queued < 110_000, String(bench.session.queued));
  bench.peer.pipe.resume();
  const heard = bench.hears(1_000).slice(1);
  assert.deepEqual(heard, ['pong p4999']);
  assert.deepEqual(bench.echo.told, [], 'it did not ask for room');
});

test('§10.4 a message at the bound and one past it [9]', () => {
  const limits = { messageBytesMax: 1_000 };
  const ways: ((bench: SocketBench, size: number) => Buffer[])[] = [
    (bench, size) => [bench.frame(BINARY, Buffer.alloc(size))],
    (bench, size) => [bench.frame(BINARY, Buffer.alloc(size - 1), part), bench.frame(MORE, Buffer.alloc(1))],
    (bench, size) => [
      ...new Array(size).fill(0).map((_, at) => bench.frame(at === 0 ? BINARY : MORE, 'x', part)),
      bench.frame(MORE),
    ],
  ];
  for (const way of ways)
    for (const cut of [0, 5]) {
      const at = new SocketBench({ limits, cut });
      at.says(...way(at, 1_000));
      assert.equal(at.hears(5_000).length, 1);
      assert.deepEqual(at.echo.told, ['binary 1000 bytes']);
      const past = new SocketBench({ limits, cut });
      past.says(...way(past, 1_001));
      assert.deepEqual(past.hears(5_000), ['close 1009']);
      assert.deepEqual(past.faulted, [faults.messageTooBig.id]);
    }
});

test('§5.4 a paused reader stops between messages, in the middle of what came', () => {
  const bench = new SocketBench();
  bench.echo.onMessage = () => bench.echo.messages.pause();
  bench.says(Buffer.concat([1, 2, 3, 4].map((count) => bench.frame(TEXT, `m${count}`))));
  for (const count of [1, 2, 3, 4]) {
    assert.deepEqual(bench.hears(), [`text m${count}`]);
    bench.echo.messages.resume();
    bench.echo.messages.flush();
  }
});

test('the bytes of a message stay as they are while it is told, though it ends the socket', () => {
  const bench = new SocketBench();
  bench.echo.echoes = false;
  let seen = '';
  bench.echo.onMessage = (input, start, end) => {
    bench.echo.messages.end(1000, 'enough of this');
    // What went back to the pool would be somebody else's now.
    lend(end - start).fill(0x55);
    seen = Buffer.from(input.subarray(start, end)).toString();
  };
  bench.says(bench.frame(TEXT, 'frag', part), bench.frame(MORE, 'ment'), bench.frame(TEXT, 'never'));
  assert.deepEqual(bench.hears(), ['close 1000']);
  assert.equal(seen, 'fragment');
  assert.deepEqual(bench.echo.told, ['text fragment']);
});

test('§10.1 a chunk with hundreds of frames; messages of 1 MiB in fragments of 64 to 64Ki bytes [9.3-9.8]', () => {
  const bench = new SocketBench();
  bench.says(Buffer.concat(new Array(500).fill(bench.frame(BINARY, 'x'.repeat(20)))));
  assert.equal(bench.hears(500).length, 500);
  for (const size of [64, 1_024, 65_536]) {
    const count = 262_144 / size;
    const one = new SocketBench();
    for (let at = 0; at < count; at++)
      one.says(one.frame(at === 0 ? TEXT : MORE, 'y'.repeat(size), { fin: at === count - 1 }));
    one.world.pass(5_000);
    assert.deepEqual(one.echo.told, ['text 262144 bytes']);
    assert.ok(one.peer.total > 262_144);
  }
});
