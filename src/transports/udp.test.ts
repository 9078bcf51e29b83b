import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { test } from 'node:test';
import { datagramSuite } from '../core/datagram-suite.ts';
import { loadNative } from '../native/native.ts';
import { NODE_LOOP, TurnLoop } from '../server/turn.ts';
import { type OpenPort, openUdp } from './udp.ts';
import { BatchPort, type OpenBatchSocket } from './udp-batches.ts';

const native = loadNative('auto');
// Tests may look at both sides: the native one is what a server passes on.
const inBatches: OpenBatchSocket | undefined =
  native === null ? undefined : (...given) => native.datagrams(...given) ?? -1;
const ways: readonly (readonly [string, OpenBatchSocket | undefined, boolean])[] = [
  ['udp', undefined, false],
  ...(inBatches === undefined
    ? []
    : ([
        ['udp in batches', inBatches, false],
        ['udp in rows', inBatches, true],
      ] as const)),
];

for (const [way, batches, joined] of ways)
  for (const host of ['127.0.0.1', '::1']) {
    datagramSuite(`${way} ${host}`, async () => {
      const bugs: unknown[] = [];
      const turn = new TurnLoop(NODE_LOOP, (error) => void bugs.push(error));
      const ports: OpenPort[] = [];
      return {
        async open(session) {
          const port = await openUdp({ turn, host, port: 0, session, batches, joined });
          assert.equal(port instanceof BatchPort, batches !== undefined);
          ports.push(port);
          return port;
        },
        async until(done) {
          for (let round = 0; round === 0 || !done(); round++) {
            assert.ok(round < 5_000, 'nothing more happens');
            await new Promise((resolve) => setTimeout(resolve, 1));
          }
        },
        bugs,
        dispose: async () => {
          for (const port of ports) port.close();
        },
      };
    });
  }

for (const host of ['127.0.0.1', '::1'])
  test(`rows of datagrams keep their cuts and their marks at ${host}`, { skip: native === null }, async () => {
    const came: { readonly size: number; readonly ecn: number; readonly first: number }[] = [];
    const turn = turnOf();
    const opened = (receive: (size: number, ecn: number, first: number) => void) =>
      openUdp({
        ...{ turn, host, port: 0, batches: inBatches, joined: true },
        session: () => ({
          deadline: Number.POSITIVE_INFINITY,
          receive: (input, start, end, _from, _local, ecn) => receive(end - start, ecn, input[start]!),
          tick() {},
          leave() {},
          lost() {},
        }),
      });
    const receiver = await opened((size, ecn, first) => void came.push({ size, ecn, first }));
    const sender = await opened(() => {});
    assert.deepEqual([sender.ecn, sender.isWhole], [true, true]);
    // More than the kernel cuts in one call, the last one shorter; then one that is alone, and one without a mark.
    const row = Buffer.alloc(1_200 * 150 + 700);
    for (let at = 0, index = 0; at < row.length; at += 1_200) row[at] = index++;
    assert.ok(sender.send(receiver.local, null, row, 0, row.length, 1_200, 2));
    assert.ok(sender.send(receiver.local, null, Buffer.from('alone'), 0, 5, 0, 1));
    assert.ok(sender.send(receiver.local, null, Buffer.from('plain'), 0, 5, 0));
    await settled(() => came.length === 153);
    assert.deepEqual(
      came.slice(0, 151).map(({ size, ecn, first }) => [size, ecn, first]),
      Array.from({ length: 151 }, (_, index) => [index < 150 ? 1_200 : 700, 2, index]),
    );
    assert.deepEqual(
      came.slice(151).map(({ size, ecn }) => [size, ecn]),
      [
        [5, 1],
        [5, 0],
      ],
    );
    receiver.close();
    sender.close();
  });

const turnOf = () => new TurnLoop(NODE_LOOP, (error) => assert.fail(String(error)));

async function settled(done: () => boolean): Promise<void> {
  for (let round = 0; !done(); round++) {
    assert.ok(round < 5_000, 'nothing more happens');
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

function listening(): Promise<ReturnType<typeof createSocket>> {
  const socket = createSocket('udp4');
  return new Promise((resolve) => socket.bind(0, '127.0.0.1', () => resolve(socket)));
}

test('a port with a peer hears nobody else, and is lost when the peer is not there', async () => {
  const peer = await listening();
  const stranger = await listening();
  const heard: string[] = [];
  let lost = '';
  const port = await openUdp({
    turn: turnOf(),
    host: '0.0.0.0',
    port: 0,
    peer: { host: '127.0.0.1', port: peer.address().port },
    session: () => ({
      deadline: Number.POSITIVE_INFINITY,
      receive: (input, start, end) => void heard.push(Buffer.from(input.subarray(start, end)).toString()),
      tick() {},
      leave() {},
      lost: (cause) => {
        lost = cause;
      },
    }),
  });
  const asked = new Promise<number>((resolve) => peer.once('message', (_bytes, from) => resolve(from.port)));
  port.send({ host: '127.0.0.1', port: peer.address().port }, null, Buffer.from('?'), 0, 1, 0);
  const at = await asked;
  stranger.send('wrong', at, '127.0.0.1');
  await new Promise((resolve) => stranger.close(() => resolve(null)));
  peer.send('right', at, '127.0.0.1');
  await settled(() => heard.length > 0);
  assert.deepEqual(heard, ['right']);
  await new Promise((resolve) => peer.close(() => resolve(null)));
  port.send({ host: '127.0.0.1', port: 1 }, null, Buffer.from('?'), 0, 1, 0);
  await settled(() => lost !== '');
  assert.equal(lost, 'unreachable');
});
