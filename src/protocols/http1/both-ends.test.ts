// Our client against our server, wherever the bytes are cut: each answer is that of its request.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Exchange } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import { bindLimits } from '../../core/limits.ts';
import { linkPipes } from '../../sim/pipes.ts';
import { Http1Client } from './client.ts';
import { UNKNOWN } from './client-exchange.ts';
import { clientLimits } from './client-limits.ts';
import { Http1Session } from './session.ts';
import { Told } from './testing/scripted.ts';
import { Stage } from './testing/stage.ts';

/** Answers with what it was sent: of a known length, in chunks with a trailer, or until the end for `?close`. */
function echo(exchange: Exchange): void {
  let body = Buffer.alloc(0);
  exchange.body({
    receive(input, start, end) {
      body = Buffer.concat([body, input.subarray(start, end)]);
      return end;
    },
    trailers() {},
    finish() {
      const fields = Fields.of({ 'x-target': exchange.target });
      if (exchange.target.endsWith('early')) exchange.inform(103, Fields.of({ link: '<x>' }));
      if (exchange.target.endsWith('known')) exchange.respond(200, fields, body.length);
      else exchange.respond(200, fields);
      exchange.share(body, 0, body.length);
      exchange.end(Fields.of({ 'x-sum': String(body.length) }));
    },
    lost() {},
  });
}

const request = fc.record({
  method: fc.constantFrom('GET', 'HEAD', 'PUT', 'POST', 'DELETE'),
  end: fc.constantFrom('known', 'early', 'chunked'),
  body: fc.uint8Array({ maxLength: 5_000 }).map((bytes) => Buffer.from(bytes)),
  how: fc.constantFrom('none', 'whole', 'pieces', 'chunks', 'continue'),
});

test('however the bytes are cut and requests pipelined, each answer is that of its request', () => {
  fc.assert(
    fc.property(
      fc.array(request, { minLength: 1, maxLength: 8 }),
      fc.nat(700),
      fc.integer({ min: 1, max: 5 }),
      (requests, cut, pipelineMax) => {
        const stage = new Stage(echo);
        let client!: Http1Client;
        linkPipes(
          stage.world,
          (pipe) => {
            const limits = bindLimits(clientLimits, { pipelineMax });
            client = new Http1Client(pipe, stage.world.turn, limits, { idle() {}, closed() {} });
            return client;
          },
          (pipe) => new Http1Session(pipe, stage.host),
          { cut },
        );
        const asked = requests.map(({ method, end, body, how }, at) => {
          const told = new Told();
          const inPieces = how === 'pieces' || how === 'chunks';
          told.onBegun = () => {
            if (!inPieces) return;
            const half = body.length >> 1;
            told.exchange!.write(body, 0, half);
            if (half < body.length) told.exchange!.write(body, half);
            told.exchange!.end();
          };
          client.send(
            {
              method,
              target: `/${at}/${end}`,
              authority: 'a.test',
              fields: new Fields(),
              ...(how === 'none' ? {} : inPieces ? { length: how === 'chunks' ? UNKNOWN : body.length } : { body }),
              expectContinue: how === 'continue',
            },
            told,
            (exchange) => {
              told.exchange = exchange;
            },
          );
          return told;
        });
        stage.world.pass(10_000);
        assert.deepEqual(stage.world.bugs, []);
        requests.forEach(({ method, body, how }, at) => {
          const { told, body: got } = asked[at]!;
          assert.equal(told.at(-1), 'over ended begun', told.join('\n'));
          assert.equal(told.filter((text) => text.startsWith('200 ')).length, 1);
          assert.ok(told.some((text) => text.includes(`x-target=/${at}/`)));
          assert.ok(got.equals(method === 'HEAD' || how === 'none' ? Buffer.alloc(0) : body));
        });
        assert.equal(client.isIdle, true);
      },
    ),
    { numRuns: 150 },
  );
});
