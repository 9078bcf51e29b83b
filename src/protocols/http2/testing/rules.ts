// Rules of the standard as rows: what a client says on a fresh connection, and what it must hear. Each runs with the bytes
// as they were sent and cut, and must be the same.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ExchangeHandler } from '../../../core/exchange.ts';
import { Fields } from '../../../core/fields.ts';
import { answerText } from '../../http/answers.ts';
import { type Client, Stage } from './stage.ts';

/** What answers in these tests: `/echo` says what it was sent, `/slow` never, `/large` much, others at once. */
export const ROUTES: ExchangeHandler = (exchange) => {
  const { method, target } = exchange;
  if (target === '/slow') return;
  if (target === '/large') {
    const bytes = Buffer.alloc(200_000, 'x');
    exchange.respond(200, new Fields(), bytes.length);
    exchange.share(bytes, 0, bytes.length);
    exchange.flush();
    exchange.end();
    return;
  }
  if (method !== 'POST') {
    answerText(exchange, 200, `${method} ${target}`);
    return;
  }
  let text = '';
  exchange.body({
    receive(input, start, end) {
      text += Buffer.from(input.subarray(start, end)).toString('latin1');
      return end;
    },
    trailers: (fields) => void (text += ` ${fields.list.join('=')}`),
    finish: () => answerText(exchange, 200, text),
    lost() {},
  });
};

export interface Rule {
  /** With its clause. */
  readonly what: string;
  readonly says: (client: Client) => void;
  /** What is heard, of all frames: the first that is not SETTINGS, WINDOW_UPDATE or a head. */
  readonly hears: string;
  readonly limits?: Readonly<Record<string, number>>;
}

const GOES_ON = /^(?:GOAWAY|RST_STREAM)/;

/** A connection error ends the connection; after a stream error, and what is allowed, another request is answered. */
export function checkRules(rules: readonly Rule[]): void {
  for (const { what, says, hears, limits = {} } of rules) {
    test(what, () => {
      for (const cut of [0, 1, 13]) {
        const stage = new Stage(ROUTES, { cut, limits });
        const client = stage.open();
        says(client);
        const heard = client.hears(2_000);
        const told = heard.find((line) => GOES_ON.test(line)) ?? heard.find((line) => /^DATA/.test(line)) ?? 'nothing';
        assert.equal(told, hears, `cut ${cut}: ${heard.join(' | ')}`);
        if (hears.startsWith('GOAWAY') && !hears.endsWith(' NO_ERROR')) {
          assert.ok(client.peer.heardEnd, 'the connection goes on');
          assert.equal(stage.faults.length, 1);
        } else {
          client.asks(2_001);
          const after = client.hears(2_000);
          // Where the window is small only the beginning comes.
          assert.ok(
            after.some((line) => line.startsWith('DATA 2001 G')),
            after.join(' | '),
          );
        }
        assert.deepEqual(stage.logged, []);
        assert.deepEqual(stage.world.bugs, []);
      }
    });
  }
}
