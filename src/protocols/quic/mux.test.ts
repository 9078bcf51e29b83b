// A connection of QUIC is a mux like any other: core's suite, with the real handshake and packets over a simulated path.
import type { Mux, MuxSession } from '../../core/mux.ts';
import { muxSuite } from '../../core/mux-suite.ts';
import type { Why } from '../../core/pipe.ts';
import type { QuicConnection } from './connection/connection.ts';
import { Pair } from './testing/pair.ts';

muxSuite('QUIC', () => {
  const bugs: unknown[] = [];
  let pair!: Pair;
  return {
    bugs,
    async join(near: (mux: Mux) => MuxSession, far: (mux: Mux) => MuxSession, streamsMax: number) {
      const limits = { streamsMax };
      const lines: QuicConnection[] = [];
      pair = new Pair({
        network: { latencyMs: 5, reorder: 0.1 },
        limits,
        clientLimits: limits,
        client: { choose: (_alpn, mux) => near(mux) },
        server: {
          choose: (_alpn, mux) => {
            lines.push(mux as QuicConnection);
            return far(mux);
          },
        },
      });
      const line = pair.dial();
      pair.until(() => line.confirmed && lines.length > 0, 10_000);
      return { leave: (why: Why) => lines[0]!.leave(why, 1_000) };
    },
    async until(done: () => boolean) {
      const came = pair.until(done, 20_000);
      pair.world.pass(1);
      bugs.push(...pair.world.bugs.splice(0));
      if (!came) throw new Error(`never: ${done}`);
    },
  };
});
