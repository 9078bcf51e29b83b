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
const ways: readonly (readonly [string, OpenBatchSocket | undefined])[] = [
  ['udp', undefined],
  ...(native === null
    ? []
    : [['udp in batches', (...given: Parameters<OpenBatchSocket>) => native.datagrams(...given) ?? -1] as const]),
];

for (const [way, batches] of ways)
  for (const host of ['127.0.0.1', '::1']) {
    datagramSuite(`${way} ${host}`, async () => {
      const bugs: unknown[] = [];
      const turn = new TurnLoop(NODE_LOOP, (error) => void bugs.push(error));
      const ports: OpenPort[] = [];
      return {
        async open(session) {
          const port = await openUdp({ turn, host, port: 0, session, batches });
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
