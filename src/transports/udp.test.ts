import assert from 'node:assert/strict';
import { datagramSuite } from '../core/datagram-suite.ts';
import { NODE_LOOP, TurnLoop } from '../server/turn.ts';
import { openUdp, type UdpPort } from './udp.ts';

for (const host of ['127.0.0.1', '::1']) {
  datagramSuite(`udp ${host}`, async () => {
    const bugs: unknown[] = [];
    const turn = new TurnLoop(NODE_LOOP, (error) => void bugs.push(error));
    const ports: UdpPort[] = [];
    return {
      async open(session) {
        const port = await openUdp({ turn, host, port: 0, session });
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
