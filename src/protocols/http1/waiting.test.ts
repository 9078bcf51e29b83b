// Requests whose sender is not known yet: what follows waits, nothing of a body is lost, and whoever goes is not answered.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Exchange } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import { answerBytes, answerProblem } from '../http/answers.ts';
import { hold } from '../http/waiting.ts';
import { Stage, type StageOptions } from './testing/stage.ts';

/** Answers with the method and the whole body, once `tell` was called for it. */
function slowStage(options: StageOptions = {}) {
  const waiting: ((isLetIn?: boolean) => void)[] = [];
  const told: string[] = [];
  const stage = new Stage((exchange) => {
    const goOn = hold(exchange);
    waiting.push((isLetIn = true) => {
      goOn(() => {
        told.push(exchange.target);
        if (isLetIn) echo(exchange);
        else answerProblem(exchange, 401, 'no');
      });
    });
  }, options);
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

const BODIES = {
  none: 'GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n',
  length: 'POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhello',
  empty: 'POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n',
  chunks: 'POST /a HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n',
};

for (const cut of [0, 1, 7])
  for (const [kind, request] of Object.entries(BODIES))
    test(`a request with a body of ${kind}, cut at ${cut}, and one behind it`, () => {
      const { stage, waiting, told } = slowStage({ cut });
      const client = stage.connect();
      client.says(request + BODIES.none.replace('/a', '/b'));
      assert.equal(client.hears(), '');
      assert.equal(waiting.length, 1);
      waiting[0]!();
      const expected = kind === 'none' ? /GET $/ : kind === 'empty' ? /POST $/ : /POST hello$/;
      assert.match(client.hears(), expected);
      assert.equal(waiting.length, 2);
      waiting[1]!();
      assert.match(client.hears(), /GET $/);
      assert.deepEqual(told, ['/a', '/b']);
      assert.deepEqual([stage.faults, stage.world.bugs, stage.logged], [[], [], []]);
    });

test('a body that comes while it waits is whole, and one that is refused is let pass', () => {
  const { stage, waiting } = slowStage();
  const client = stage.connect();
  client.says('POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhello');
  client.hears();
  client.says('world');
  client.hears();
  waiting[0]!();
  assert.match(client.hears(), /POST helloworld$/);
  client.says('POST /b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhello');
  client.hears();
  waiting[1]!(false);
  assert.match(client.hears(), /^HTTP\/1\.1 401 /);
  client.says(`world${BODIES.none}`);
  client.hears();
  waiting[2]!();
  assert.match(client.hears(), /GET $/);
  assert.deepEqual([stage.faults, stage.world.bugs, stage.logged], [[], [], []]);
});

test('who asks before it sends (Expect) is told once it is known who it is (RFC 9110 §10.1.1)', () => {
  const { stage, waiting } = slowStage();
  const client = stage.connect();
  client.says('POST /a HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n');
  assert.equal(client.hears(), '');
  waiting[0]!();
  assert.match(client.hears(), /^HTTP\/1\.1 100 /);
  client.says('hello');
  assert.match(client.hears(), /POST hello$/);
});

test('who went away is not let in, and a server that stops says so', () => {
  const { stage, waiting, told } = slowStage();
  const gone = stage.connect();
  gone.says(BODIES.length);
  gone.hears();
  gone.peer.pipe.reset(0);
  stage.world.pass(50);
  waiting[0]!();
  assert.deepEqual(told, []);
  const left = stage.connect();
  left.says(BODIES.length);
  left.hears();
  left.server.leave('shutdown', 1_000);
  assert.match(left.hears(), /^HTTP\/1\.1 503 /);
  waiting[1]!();
  assert.deepEqual([told, stage.world.bugs, stage.logged], [[], [], []]);
});
