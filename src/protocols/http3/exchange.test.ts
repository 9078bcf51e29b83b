// HTTP/3 is one of the carriers of exchanges.
import type { ExchangeHandler } from '../../core/exchange.ts';
import { exchangeSuite } from '../../core/exchange-suite.ts';
import type { SimulatedMux } from '../../sim/mux.ts';
import { Stage } from './testing/stage.ts';
import { SuiteClient } from './testing/suite-client.ts';

for (const cut of [0, 1, 7, 1_000]) {
  exchangeSuite(`HTTP/3, cut ${cut}`, () => {
    let routes: ExchangeHandler = () => {};
    const stage = new Stage((exchange) => routes(exchange), { cut });
    const servers = new Map<SuiteClient, SimulatedMux>();
    return {
      takes: { method: 'CONNECT', status: 200 },
      request(handler, head) {
        routes = handler;
        const { client, server } = stage.join((mux) => new SuiteClient(mux, head));
        client.start();
        servers.set(client, server);
        return client;
      },
      async until(done) {
        for (let step = 0; step < 200_000; step++) {
          if (step > 0 && done()) return;
          stage.world.pass(1);
        }
        throw new Error('it did not come to that');
      },
      leave: (client, why) => servers.get(client as SuiteClient)!.leave(why),
      get bugs() {
        return [...stage.world.bugs, ...stage.logged];
      },
    };
  });
}
