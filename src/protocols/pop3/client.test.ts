// The client half of POP3 against what servers say: signing in with and without SASL, answers of many lines with their dots
// (RFC 1939 §3), pipelined commands, however it is cut; and any bytes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Fault } from '../../core/fault.ts';
import { Recorder } from '../../core/pipe-suite.ts';
import { NO_EVENTS } from '../../core/stream-pipe.ts';
import { linkPipes } from '../../sim/pipes.ts';
import { World } from '../../sim/world.ts';
import { Pop3Client } from './client.ts';

function talk(server: string, cut = 0, then: (client: Pop3Client) => void = () => {}) {
  const world = new World(1);
  const heard = { state: '', fault: null as Fault | null };
  let far!: Recorder;
  linkPipes(
    world,
    (pipe) => {
      const client: Pop3Client = new Pop3Client(
        pipe,
        { credentials: { account: 'ann', password: 'se cret' }, entropy: world.random, tls: null, tlsRequired: false },
        {
          ready: () => {
            heard.state = 'ready';
            then(client);
          },
          unready: (text) => void (heard.state = text),
          closed: () => {},
        },
        world.turn.clock,
      );
      return client;
    },
    (pipe) => {
      pipe.out.utf8(server);
      pipe.flush();
      far = new Recorder(pipe);
      return far;
    },
    { cut, events: { ...NO_EVENTS, faulted: (_pipe, fault) => void (heard.fault = fault) } },
  );
  world.pass(200);
  return { world, heard, far };
}

const ENTERED = '+OK hi\r\n+OK\r\nSASL PLAIN LOGIN\r\nUIDL\r\n.\r\n+OK in\r\n';

test('it signs in, and reads answers of many lines, pipelined (RFC 1939 §3, RFC 2449 §6.6)', () => {
  for (const cut of [0, 1, 5]) {
    const bodies: string[] = [];
    const { heard, world } = talk(
      `${ENTERED}+OK\r\nSubject: x\r\n\r\n..\r\n..two\r\n.\r\n-ERR [SYS/TEMP] no\r\n+OK bye\r\n`,
      cut,
      (client) => {
        client.say('RETR 1', true, ({ body }) => void bodies.push(body.toString()));
        client.say('RETR 2', true, ({ ok, text }) => void bodies.push(`${ok} ${text}`));
        client.quit(({ ok }) => void bodies.push(`${ok}`));
        assert.throws(() => client.say('DELE 1\r\nQUIT', false, () => {}), RangeError);
      },
    );
    assert.equal(heard.state, 'ready');
    assert.deepEqual(bodies, ['Subject: x\r\n\r\n.\r\n.two\r\n', 'false [SYS/TEMP] no', 'true']);
    assert.deepEqual([heard.fault, world.bugs], [null, []]);
  }
});

test('a server without SASL gets USER and PASS; who is refused is told why', () => {
  assert.equal(talk('+OK hi\r\n-ERR what\r\n+OK\r\n+OK in\r\n').heard.state, 'ready');
  assert.equal(talk('+OK hi\r\n+OK\r\nSASL PLAIN\r\n.\r\n-ERR [AUTH] Not you.\r\n').heard.state, 'Not you.');
  assert.equal(talk('-ERR Not today.\r\n').heard.state, 'Not today.');
});

test('whatever a server says, nothing is thrown, and what is none of POP3 ends it', () => {
  assert.equal(talk('HTTP/1.1 400 Bad Request\r\n').heard.fault?.id, 'pop3.badReply');
  assert.equal(talk(`${ENTERED}+OK unasked\r\n`).heard.fault?.id, 'pop3.badReply');
  const piece = fc.oneof(fc.constantFrom('+OK x\r\n', '-ERR y\r\n', '+ \r\n', '.\r\n', ENTERED), fc.string());
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 10 }), fc.nat(20), (pieces, cut) => {
      assert.deepEqual(talk(pieces.join(''), cut).world.bugs, []);
    }),
    { numRuns: 200 },
  );
});
