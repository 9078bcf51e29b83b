// HTTP/2 is one of the carriers of exchanges.
import type { ExchangeHandler } from '../../core/exchange.ts';
import { exchangeSuite } from '../../core/exchange-suite.ts';
import { linkPipes, type SimulatedPipe } from '../../sim/pipes.ts';
import { Http2Session } from './session.ts';
import { Stage } from './testing/stage.ts';
import { SuiteClient } from './testing/suite-client.ts';

for (const cut of [0, 1, 7, 1_000]) {
  exchangeSuite(`HTTP/2, cut ${cut}`, () => {
    let routes: ExchangeHandler = () => {};
    const stage = new Stage((exchange) => routes(exchange));
    const servers = new Map<SuiteClient, SimulatedPipe>();
    return {
      takes: { method: 'CONNECT', status: 200 },
      request(handler, head) {
        routes = handler;
        let client!: SuiteClient;
        const { far } = linkPipes(
          stage.world,
          (pipe) => (client = new SuiteClient(pipe, head)),
          (pipe) => new Http2Session(pipe, stage.host),
          { cut },
        );
        servers.set(client, far);
        return client;
      },
      async until(done) {
        for (let step = 0; step < 200_000; step++) {
          if (step > 0 && done()) return;
          stage.world.pass(1);
        }
        throw new Error('it did not come to that');
      },
      leave: (client, why) => servers.get(client as SuiteClient)!.leave(why, 1_000),
      get bugs() {
        return [...stage.world.bugs, ...stage.logged, ...stage.faults];
      },
    };
  });
}
