// Requests of HTTP/2 whose sender is not known yet: their bodies wait, and the streams beside them go on.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Exchange } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import { answerBytes, answerProblem } from '../http/answers.ts';
import { hold } from '../http/waiting.ts';
import { DATA, END_STREAM, HEADERS, RST_STREAM } from './codec.ts';
import { frame, number32, Stage } from './testing/stage.ts';

function slowStage(cut = 0) {
  const waiting = new Map<string, (isLetIn?: boolean) => void>();
  const told: string[] = [];
  const stage = new Stage(
    (exchange) => {
      if (exchange.target === '/now') {
        answerBytes(exchange, 200, new Fields(), Buffer.from('now'));
        return;
      }
      const goOn = hold(exchange);
      waiting.set(exchange.target, (isLetIn = true) => {
        goOn(() => {
          told.push(exchange.target);
          if (isLetIn) echo(exchange);
          else answerProblem(exchange, 401, 'no');
        });
      });
    },
    { cut },
  );
  return { stage, waiting, told };
}

function echo(exchange: Exchange): void {
  const parts: Buffer[] = [];
  exchange.body({
    receive(input, start, end) {
      parts.push(Buffer.from(input.subarray(start, end)));
      return end;
    },
    trailers() {},
    finish() {
      const text = `${exchange.method} ${Buffer.concat(parts)}`;
      answerBytes(exchange, 200, Fields.of({ 'content-type': 'text/plain' }), Buffer.from(text));
    },
    lost() {},
  });
}

for (const cut of [0, 1])
  test(`with and without a body, cut at ${cut}; another stream is answered meanwhile`, () => {
    const { stage, waiting, told } = slowStage(cut);
    const client = stage.open();
    client.asks(1, { ':path': '/none' });
    client.asks(3, { ':method': 'POST', ':path': '/body' }, false);
    client.says(frame(DATA, 0, 3, 'hello '), frame(DATA, END_STREAM, 3, 'world'));
    client.asks(5, { ':path': '/now' });
    const texts = () =>
      client
        .frames()
        .filter(({ type, payload }) => type === DATA && payload.length > 0)
        .map(({ stream, payload }) => `${stream} ${payload}`);
    assert.deepEqual(texts(), ['5 now']);
    waiting.get('/body')!();
    assert.deepEqual(texts(), ['3 POST hello world']);
    waiting.get('/none')!();
    assert.deepEqual(texts(), ['1 GET ']);
    assert.deepEqual(told, ['/body', '/none']);
    assert.deepEqual([stage.faults, stage.world.bugs, stage.logged], [[], [], []]);
  });

test('one that is refused, and one that was reset meanwhile', () => {
  const { stage, waiting, told } = slowStage();
  const client = stage.open();
  client.asks(1, { ':method': 'POST', ':path': '/refused' }, false);
  client.says(frame(DATA, 0, 1, 'hello'));
  client.asks(3, { ':path': '/gone' });
  client.says(frame(RST_STREAM, 0, 3, number32(8)));
  client.frames();
  waiting.get('/refused')!(false);
  waiting.get('/gone')!();
  const [head] = client.frames().filter(({ type, stream }) => type === HEADERS && stream === 1);
  assert.deepEqual(head!.list.slice(0, 2), [':status', '401']);
  assert.deepEqual(told, ['/refused']);
  assert.deepEqual([stage.faults, stage.world.bugs, stage.logged], [[], [], []]);
});
