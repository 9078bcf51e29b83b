// Every behaviour both ways: by the system calls, where this machine has them, and by their twin.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, type TestContext, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { loadNative, type Native, NODE_VERSIONS, nativeState } from './native.ts';
import { PLAIN } from './plain.ts';
import { readTcpInfo, TCP_INFO_BYTES } from './tcp-info.ts';

const EAGAIN = -11;
const EBADF = -9;
const folder = mkdtempSync(join(tmpdir(), 'portico-native-'));
after(() => rmSync(folder, { recursive: true }));

const HAS_CALLS =
  ['linux-x64'].includes(`${process.platform}-${process.arch}`) && NODE_VERSIONS.includes(process.versions.node);

test('it is on where it was tried, and says why where it is not', () => {
  assert.equal(loadNative('auto') !== null, HAS_CALLS, nativeState().why);
  assert.equal(nativeState().on, HAS_CALLS);
  assert.equal(loadNative('off'), null);
  assert.deepEqual(nativeState(), { on: false, why: 'it is turned off' });
  assert.equal(loadNative('auto', { node: '27.0.0', platform: 'linux-x64' }), null);
  assert.match(nativeState().why, /not tried on Node 27\.0\.0, only on 26\.10\.0/);
  assert.equal(loadNative('auto', { node: '26.10.0', platform: 'darwin-arm64' }), null);
  assert.match(nativeState().why, /not for darwin-arm64/);
});

const NATIVE_URL = JSON.stringify(new URL('./native.ts', import.meta.url).href);
const PROGRAM = `import { loadNative, nativeState } from ${NATIVE_URL}; loadNative('auto');
  process.emitWarning('another'); console.log(JSON.stringify(nativeState()));`;

function run(...flags: string[]): { state: { on: boolean; why: string }; warnings: string } {
  const said = join(folder, 'stderr');
  const fd = openSync(said, 'w');
  const args = [...flags, '--input-type=module', '-e', PROGRAM];
  const out = execFileSync(process.execPath, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', fd] });
  closeSync(fd);
  return { state: JSON.parse(out), warnings: execFileSync('cat', [said], { encoding: 'utf8' }) };
}

test('the warning of node:ffi is not shown; others are', { skip: !HAS_CALLS }, () => {
  const { state, warnings } = run();
  assert.equal(state.on, true);
  assert.doesNotMatch(warnings, /FFI|Experimental/);
  assert.match(warnings, /another/);
});

test('a Node that may not, or has it not, goes on without', { skip: !HAS_CALLS }, () => {
  const without: readonly (readonly string[])[] = [['--no-experimental-ffi'], ['--permission', '--allow-fs-read=*']];
  for (const flags of without) {
    const { state } = run(...flags);
    assert.equal(state.on, false, flags.join());
    assert.notEqual(state.why, '');
  }
});

test('TCP_INFO is read by the offsets of linux/tcp.h; what a kernel does not tell is null', () => {
  const view = new DataView(new ArrayBuffer(TCP_INFO_BYTES));
  view.setUint8(0, 8);
  for (const [at, value] of [
    [16, 1_448],
    [24, 3],
    [32, 2],
    [68, 250],
    [72, 125],
    [80, 10],
    [100, 7],
  ] as const)
    view.setUint32(at, value, true);
  view.setBigUint64(104, 0xffff_ffff_ffff_ffffn, true);
  view.setBigUint64(120, 4_294_967_297n, true);
  view.setBigUint64(128, 99n, true);
  view.setBigUint64(160, 1_000_000n, true);
  const whole = {
    state: 'close-wait',
    roundTripUs: 250,
    roundTripVarianceUs: 125,
    retransmits: 7,
    congestionWindow: 10,
    segmentBytes: 1_448,
    unackedSegments: 3,
    lostSegments: 2,
    pacingRate: null,
    deliveryRate: 1_000_000,
    bytesAcked: 4_294_967_297,
    bytesReceived: 99,
  };
  assert.deepEqual(readTcpInfo(view, TCP_INFO_BYTES), whole);
  assert.deepEqual(readTcpInfo(view, 128), { ...whole, deliveryRate: null, bytesReceived: null });
  assert.equal(readTcpInfo(view, 103), null);
});

interface Link {
  readonly near: Socket;
  readonly far: Socket;
  /** Of the near end. */
  readonly fd: number;
}

async function link(t: TestContext): Promise<Link> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as { port: number };
  const accepted = new Promise<Socket>((resolve) => server.once('connection', resolve));
  const near = connect(port, '127.0.0.1');
  const far = await accepted;
  if (near.connecting) await new Promise<void>((resolve) => near.once('connect', resolve));
  for (const socket of [near, far]) socket.on('error', () => {});
  const { fd } = (near as unknown as { _handle: { fd: number } })._handle;
  t.after(() => {
    near.destroy();
    far.destroy();
    server.close();
  });
  return { near, far, fd };
}

function fileOf(content: Buffer): number {
  const path = join(folder, `file-${content.length}`);
  writeFileSync(path, content);
  return openSync(path, 'r');
}

/** Sends all, waiting while the socket is full. */
async function sendAll(native: Native, fd: number, file: number, from: number, to: number): Promise<number> {
  let waits = 0;
  for (let at = from; at < to; ) {
    const sent = native.sendfile(fd, file, at, to - at);
    if (sent === EAGAIN) {
      waits++;
      await wait(2);
      continue;
    }
    assert.ok(sent > 0, `answered ${sent} at ${at}`);
    at += sent;
  }
  return waits;
}

const PATTERN = Buffer.alloc(9_000_000, 'the bytes of a file, each at its place; ');

const WAYS: readonly (readonly [name: string, make: () => Native])[] = [
  ['plain', () => PLAIN],
  ...(HAS_CALLS ? [['calls', () => loadNative('auto')!] as const] : []),
];

for (const [way, make] of WAYS) {
  test(`${way}: a range of a file arrives whole, past a full socket`, async (t) => {
    const held = await link(t);
    const file = fileOf(PATTERN);
    const chunks: Buffer[] = [];
    const ended = new Promise<void>((resolve) => held.far.once('end', resolve));
    // Nobody reads at first, so that the socket fills up.
    const sending = sendAll(make(), held.fd, file, 7, PATTERN.length - 3);
    await wait(30);
    held.far.on('data', (chunk: Buffer) => chunks.push(chunk));
    const waits = await sending;
    held.near.end();
    await ended;
    assert.ok(waits > 0, 'the socket was never full');
    assert.ok(Buffer.concat(chunks).equals(PATTERN.subarray(7, PATTERN.length - 3)));
    closeSync(file);
  });

  test(`${way}: the end of the file is 0, and nothing is sent`, async (t) => {
    const held = await link(t);
    const file = fileOf(Buffer.from('short'));
    assert.equal(make().sendfile(held.fd, file, 2, 1_000), 3);
    assert.equal(make().sendfile(held.fd, file, 5, 1_000), 0);
    assert.equal(make().sendfile(held.fd, file, 500, 1), 0);
    const got = await new Promise<string>((resolve) => held.far.once('data', (data) => resolve(String(data))));
    assert.equal(got, 'ort');
    closeSync(file);
  });

  test(`${way}: a descriptor that is wrong or closed is an error number, and the process goes on`, async (t) => {
    const held = await link(t);
    const file = fileOf(Buffer.from('short'));
    const native = make();
    for (const none of [0x7fff_fff0, 999_999]) {
      assert.equal(native.sendfile(none, file, 0, 5), EBADF);
      assert.equal(native.sendfile(held.fd, none, 0, 5), EBADF);
      assert.equal(native.tcpInfo(none), null);
    }
    for (const none of [-1, 1.5, Number.NaN, 2 ** 40]) {
      assert.ok(native.sendfile(none, file, 0, 5) < 0);
      assert.ok(native.sendfile(held.fd, none, 0, 5) < 0);
      assert.equal(native.tcpInfo(none), null);
    }
    for (const count of [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY])
      assert.ok(native.sendfile(held.fd, file, 0, count) < 0, `count ${count}`);
    for (const offset of [-1, 0.5, Number.NaN]) assert.ok(native.sendfile(held.fd, file, offset, 1) < 0);
    closeSync(file);
    assert.equal(native.sendfile(held.fd, file, 0, 5), EBADF);
    // A file is no connection.
    const other = fileOf(Buffer.from('short'));
    assert.equal(native.tcpInfo(other), null);
    closeSync(other);
  });

  test(`${way}: a peer that went away is an error, not a signal`, async (t) => {
    const held = await link(t);
    const file = fileOf(PATTERN);
    const native = make();
    held.far.resetAndDestroy();
    // Descriptors that Node closes by itself are no longer ours: this turn sees the error before it does.
    let sent = 0;
    for (let tries = 0; tries < 1_000 && sent >= 0; tries++) sent = native.sendfile(held.fd, file, 0, 1_000);
    assert.ok([-32, -104].includes(sent), `answered ${sent}`);
    closeSync(file);
  });

  test(`${way}: what the kernel says of a connection`, async (t) => {
    const held = await link(t);
    await new Promise<void>((resolve) => {
      held.far.once('data', () => resolve());
      held.near.write('twelve bytes');
    });
    const info = make().tcpInfo(held.fd);
    if (way === 'plain') assert.equal(info, null);
    else {
      assert.equal(info!.state, 'established');
      assert.ok(info!.roundTripUs > 0 && info!.roundTripUs < 10_000_000);
      assert.ok(info!.congestionWindow > 0 && info!.segmentBytes >= 500);
      assert.equal(info!.bytesReceived, 0);
      assert.ok(info!.bytesAcked === 12 || info!.bytesAcked === 13, String(info!.bytesAcked));
    }
  });
}

test('the ways of handles are those of this Node, and none where it is turned off', { skip: !HAS_CALLS }, () => {
  const ways = loadNative('auto')!.handles()!;
  assert.notEqual(ways.readAt, ways.errorAt);
  assert.ok(ways.state.length > Math.max(ways.readAt, ways.errorAt));
  assert.equal(PLAIN.handles(), null);
});

test('ciphers are there with the calls, made once, and none where it is turned off', { skip: !HAS_CALLS }, () => {
  const native = loadNative('auto')!;
  assert.ok(native.ciphers() !== null);
  assert.equal(native.ciphers(), native.ciphers());
  assert.equal(PLAIN.ciphers(), null);
});

test('pointers hold while the heap is collected and moved', { skip: !HAS_CALLS }, async (t) => {
  const held = await link(t);
  const native = loadNative('auto')!;
  for (let round = 0; round < 20_000; round++) {
    const litter = new Uint8Array(512).fill(round);
    assert.equal(native.tcpInfo(held.fd)?.state, 'established');
    assert.equal(litter[511], round & 0xff);
  }
});
