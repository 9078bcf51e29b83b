import assert from 'node:assert/strict';
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
