// HTTP/3 over QUIC itself: the suite of exchanges with the real handshake, and requests over paths that lose and reorder.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Exchange, ExchangeHandler } from '../../core/exchange.ts';
import { exchangeSuite } from '../../core/exchange-suite.ts';
import { Fields } from '../../core/fields.ts';
import type { NetworkOptions } from '../../sim/datagrams.ts';
import { answerText } from '../http/answers.ts';
import type { AnswerEvents } from '../http/client.ts';
import type { QuicConnection } from '../quic/connection/connection.ts';
import { Pair } from '../quic/testing/pair.ts';
import { Http3Client } from './client.ts';
import { Http3Session } from './session.ts';
import { Stage } from './testing/stage.ts';
import { SuiteClient } from './testing/suite-client.ts';

const BOUNDS = { queueMax: 100, idleMs: 600_000, silenceMs: 300_000, continueMs: 1_000, interimsMax: 5 };

for (const loss of [0, 0.05]) {
  exchangeSuite(`HTTP/3 over QUIC, ${loss * 100} % lost`, () => {
    let routes: ExchangeHandler = () => {};
    const made: { client: SuiteClient; pair: Pair; line: () => QuicConnection; stage: Stage }[] = [];
    return {
      takes: { method: 'CONNECT', status: 200 },
      largeBytes: 4_000_000,
      request(handler, head) {
        routes = handler;
        let client: SuiteClient | undefined;
        let line!: QuicConnection;
        let stage!: Stage;
        const pair: Pair = new Pair({
          network: { loss, latencyMs: 5 },
          server: {
            choose: (_alpn, mux) => {
              line = mux as QuicConnection;
              return new Http3Session(mux, stage.host);
            },
          },
          client: { choose: (_alpn, mux) => (client = new SuiteClient(mux, head)) },
        });
        stage = new Stage((exchange) => routes(exchange), { world: pair.world });
        pair.dial();
        assert.ok(pair.until(() => client !== undefined && line !== undefined));
        client!.start();
        made.push({ client: client!, pair, line: () => line, stage });
        return client!;
      },
      async until(done) {
        for (let step = 0; step < 200_000; step++) {
          if (step > 0 && done()) return;
          for (const { pair } of made) pair.world.pass(1);
        }
        throw new Error('it did not come to that');
      },
      leave: (client, why) =>
        made
          .find((one) => one.client === client)!
          .line()
          .leave(why, 1_000),
      get bugs() {
        return made.flatMap(({ pair, stage }) => [...pair.world.bugs, ...stage.logged]);
      },
    };
  });
}

/** A body as long as its target says. */
function large(exchange: Exchange): void {
  let left = Number(exchange.target.slice(1));
  const piece = Buffer.alloc(10_000, 'p');
  const write = () => {
    for (; left > 0 && exchange.room > 0; left -= Math.min(left, piece.length))
      exchange.share(piece, 0, Math.min(left, piece.length));
    exchange.flush();
    if (left === 0) exchange.end();
  };
  exchange.on = { writable: write, tick() {}, leave() {}, lost() {} };
  exchange.respond(200, new Fields(), left);
  write();
}

/** @param ended which of them, as they end; @param priorities what each says, in its own words */
function over(
  network: NetworkOptions,
  seed: number,
  targets: readonly string[],
  ended: number[] = [],
  priorities: readonly string[] = [],
): number[] {
  let client: Http3Client | undefined;
  let stage!: Stage;
  const pair: Pair = new Pair({
    seed,
    network,
    server: { choose: (_alpn, mux) => new Http3Session(mux, stage.host) },
    client: {
      choose: (_alpn, mux) =>
        (client = new Http3Client(mux, pair.world.turn, pair.world.random, BOUNDS, { idle() {}, closed() {} })),
    },
  });
  const routes: ExchangeHandler = (exchange) =>
    /^\/\d+$/.test(exchange.target) ? large(exchange) : answerText(exchange, 200, exchange.target);
  stage = new Stage(routes, { world: pair.world });
  pair.dial();
  assert.ok(pair.until(() => client !== undefined));
  const came = targets.map(() => -1);
  let open = targets.length;
  const events = (at: number): AnswerEvents => ({
    answered: () => ({
      receive(_input, start, end) {
        came[at]! += end - start;
        return end;
      },
      trailers() {},
      finish: () => void came[at]!++,
      lost() {},
    }),
    over: () => {
      ended.push(at);
      open--;
    },
  });
  for (const [at, target] of targets.entries()) {
    const fields = Fields.of({ 'user-agent': 'a test' });
    if (priorities[at] !== undefined) fields.append('priority', priorities[at]);
    const head = { method: 'GET', target, authority: 'portico.test', fields };
    assert.ok(pair.until(() => client!.hasRoom));
    assert.notEqual(client!.send(head, events(at)), null);
  }
  assert.ok(
    pair.until(() => open === 0, 600_000),
    `seed ${seed}: ${open} are open`,
  );
  assert.deepEqual([...pair.world.bugs, ...stage.logged], []);
  return came;
}

test('sixty requests at once over paths that lose, reorder and double, whatever the seed', () => {
  const targets = Array.from({ length: 60 }, (_, at) => (at % 20 === 7 ? '/50000' : `/text-${at}`));
  const expected = targets.map((target) => (/^\/\d+$/.test(target) ? Number(target.slice(1)) : target.length));
  for (let seed = 1; seed <= 15; seed++)
    assert.deepEqual(
      over({ latencyMs: 10, loss: 0.03, reorder: 0.05, duplicate: 0.02 }, seed, targets),
      expected,
      `seed ${seed}`,
    );
});

test('who is more urgent ends first, then one after the other, and the incremental in turn (RFC 9218 §10)', () => {
  const slow: NetworkOptions = { latencyMs: 20 };
  const four = ['/100000', '/100000', '/100000', '/100000'];
  const order = (priorities: readonly string[]) => {
    const ended: number[] = [];
    over(slow, 1, four, ended, priorities);
    return ended;
  };
  assert.deepEqual(order(['u=7', 'u=5', 'u=3', 'u=0']).slice(2), [1, 0]);
  assert.deepEqual(order(['', '', '', '']), [0, 1, 2, 3]);
  // In turn they end close together, the shortest first.
  const ended: number[] = [];
  over(slow, 1, ['/200000', '/200000', '/30000'], ended, ['i', 'i', 'i']);
  assert.equal(ended[0], 2);
  const oneByOne: number[] = [];
  over(slow, 1, ['/200000', '/200000', '/30000'], oneByOne, []);
  assert.equal(oneByOne[2], 2);
});
