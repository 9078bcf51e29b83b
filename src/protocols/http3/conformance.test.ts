// Rules of the standard as rows: what a client says, and what it must hear, however its bytes are cut.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { ExchangeHandler } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import { SHUTDOWN } from '../../core/pipe.ts';
import type { Recorder } from '../../core/pipe-suite.ts';
import { answerText } from '../http/answers.ts';
import * as C from './codec.ts';
import { type Client, frame, GET, integers, Stage, section, settings } from './testing/stage.ts';

const ROUTES: ExchangeHandler = (exchange) => {
  const { method, target } = exchange;
  if (target === '/slow') return;
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

const FAULT_NAMES: Readonly<Record<string, number>> = { ...C } as unknown as Record<string, number>;

interface Rule {
  readonly what: string;
  /** Answers the stream whose end is looked at, where it is one stream's. */
  readonly says: (client: Client) => Recorder | undefined;
  /** The error that is told; '' for none. */
  readonly ends: string;
  readonly limits?: Readonly<Record<string, number>>;
  /** The client says nothing of its own before. */
  readonly bare?: boolean;
}

const head = (more: Readonly<Record<string, string>> = {}) => frame(C.HEADERS, section({ ...GET, ...more }));
const list = (...fields: [string, string][]) => frame(C.HEADERS, section(fields));
const said = (client: Client, ...parts: Buffer[]) => void client.says(client.control, ...parts);
const whole = (client: Client, ...parts: Buffer[]) => {
  const stream = client.request(...parts);
  stream.pipe.end();
  return stream;
};
const POST = { ':method': 'POST' };

function check(scope: 'connection' | 'stream', rules: readonly Rule[]): void {
  for (const { what, says, ends, limits = {}, bare } of rules) {
    test(what, () => {
      for (const cut of [0, 1, 13]) {
        const stage = new Stage(ROUTES, { cut, limits });
        const client = bare === true ? stage.connect() : stage.open();
        const stream = says(client);
        client.pass(500);
        const wire = ends === '' ? 0 : FAULT_NAMES[ends]!;
        if (scope === 'connection') {
          assert.equal(client.ended, ends === '' ? null : `ended 0x${wire.toString(16)}`, `cut ${cut}`);
        } else {
          assert.equal(client.ended, null, `cut ${cut}`);
          const heard = client.hears(stream!);
          if (ends === '') assert.ok(heard.at(-1) === 'finish', heard.join(' | '));
          else assert.equal(heard.at(-1), `lost reset ${wire}`, heard.join(' | '));
        }
        if (client.ended === null && bare !== true) {
          const after = client.asks({ ':path': '/after' });
          client.pass();
          assert.ok(client.hears(after).includes('DATA GET /after'), client.hears(after).join(' | '));
        }
        assert.deepEqual([...stage.logged, ...stage.world.bugs], []);
      }
    });
  }
}

check('connection', [
  {
    what: 'a second control stream (RFC 9114 §6.2.1)',
    says: (client) => void client.oneWay(integers(C.CONTROL_STREAM), settings()),
    ends: 'H3_STREAM_CREATION_ERROR',
  },
  {
    what: 'a second encoder stream (RFC 9204 §4.2)',
    says: (client) => void [client.oneWay(integers(2)), client.oneWay(integers(2))],
    ends: 'H3_STREAM_CREATION_ERROR',
  },
  {
    what: 'a second decoder stream (RFC 9204 §4.2)',
    says: (client) => void [client.oneWay(integers(3)), client.oneWay(integers(3))],
    ends: 'H3_STREAM_CREATION_ERROR',
  },
  {
    what: 'a push stream of a client (RFC 9114 §6.2.2)',
    says: (client) => void client.oneWay(integers(C.PUSH_STREAM, 0)),
    ends: 'H3_STREAM_CREATION_ERROR',
  },
  {
    what: 'a control stream that does not begin with SETTINGS (RFC 9114 §6.2.1)',
    says: (client) => void client.oneWay(integers(C.CONTROL_STREAM), frame(C.GOAWAY, integers(0))),
    ends: 'H3_MISSING_SETTINGS',
    bare: true,
  },
  {
    what: 'a frame that means nothing before SETTINGS (RFC 9114 §6.2.1)',
    says: (client) => void client.oneWay(integers(C.CONTROL_STREAM), frame(0x21)),
    ends: 'H3_MISSING_SETTINGS',
    bare: true,
  },
  {
    what: 'a control stream that ends (RFC 9114 §6.2.1)',
    says: (client) => void client.control.pipe.end(),
    ends: 'H3_CLOSED_CRITICAL_STREAM',
  },
  {
    what: 'a control stream that is reset (RFC 9114 §6.2.1)',
    says: (client) => void client.control.pipe.reset(1),
    ends: 'H3_CLOSED_CRITICAL_STREAM',
  },
  {
    what: 'an encoder stream that ends (RFC 9204 §4.2)',
    says: (client) => void client.oneWay(integers(2)).pipe.end(),
    ends: 'H3_CLOSED_CRITICAL_STREAM',
  },
  {
    what: 'a decoder stream that ends (RFC 9204 §4.2)',
    says: (client) => void client.oneWay(integers(3)).pipe.end(),
    ends: 'H3_CLOSED_CRITICAL_STREAM',
  },
  { what: 'SETTINGS twice (RFC 9114 §7.2.4)', says: (client) => said(client, settings()), ends: 'H3_FRAME_UNEXPECTED' },
  ...[C.DATA, C.HEADERS, C.PUSH_PROMISE].map((type) => ({
    what: `${C.FRAME_NAMES[type]} on the control stream (RFC 9114 §7.2)`,
    says: (client: Client) => said(client, frame(type, integers(0))),
    ends: 'H3_FRAME_UNEXPECTED',
  })),
  ...[0x2, 0x6, 0x8, 0x9].flatMap((type) => [
    {
      what: `frame 0x${type} of HTTP/2 on the control stream (RFC 9114 §7.2.8)`,
      says: (client: Client) => said(client, frame(type)),
      ends: 'H3_FRAME_UNEXPECTED',
    },
    {
      what: `frame 0x${type} of HTTP/2 on a request (RFC 9114 §7.2.8)`,
      says: (client: Client) => void client.request(head(), frame(type)),
      ends: 'H3_FRAME_UNEXPECTED',
    },
  ]),
  ...[C.SETTINGS, C.GOAWAY, C.CANCEL_PUSH, C.MAX_PUSH_ID, C.PUSH_PROMISE, C.PRIORITY_UPDATE].map((type) => ({
    what: `${C.FRAME_NAMES[type]} on a request (RFC 9114 §7.2, RFC 9218 §7.2)`,
    says: (client: Client) => void client.request(frame(type, integers(0))),
    ends: 'H3_FRAME_UNEXPECTED',
  })),
  {
    what: 'DATA before HEADERS (RFC 9114 §4.1)',
    says: (client) => void client.request(frame(C.DATA, 'x')),
    ends: 'H3_FRAME_UNEXPECTED',
  },
  {
    what: 'DATA after trailers (RFC 9114 §4.1)',
    says: (client) => void client.request(head(POST), list(['a', 'b']), frame(C.DATA, 'x')),
    ends: 'H3_FRAME_UNEXPECTED',
  },
  {
    what: 'HEADERS after trailers (RFC 9114 §4.1)',
    says: (client) => void client.request(head(POST), list(['a', 'b']), list(['a', 'b'])),
    ends: 'H3_FRAME_UNEXPECTED',
  },
  {
    what: 'a frame that is cut short by the end of its stream (RFC 9114 §7.1)',
    says: (client) => void whole(client, head(POST), frame(C.DATA, 'four').subarray(0, 4)),
    ends: 'H3_FRAME_ERROR',
  },
  {
    what: 'a head that is cut short by the end of its stream (RFC 9114 §7.1)',
    says: (client) => void whole(client, head().subarray(0, 7)),
    ends: 'H3_FRAME_ERROR',
  },
  {
    what: 'SETTINGS that end within (RFC 9114 §7.1)',
    says: (client) => void client.oneWay(integers(C.CONTROL_STREAM), frame(C.SETTINGS, integers(6))),
    ends: 'H3_FRAME_ERROR',
    bare: true,
  },
  {
    what: 'GOAWAY with more than a number (RFC 9114 §7.1)',
    says: (client) => said(client, frame(C.GOAWAY, integers(0, 0))),
    ends: 'H3_FRAME_ERROR',
  },
  {
    what: 'a setting that comes twice (RFC 9114 §7.2.4)',
    says: (client) => void client.oneWay(integers(C.CONTROL_STREAM), settings(6, 1, 6, 1)),
    ends: 'H3_SETTINGS_ERROR',
    bare: true,
  },
  ...[2, 3, 4, 5].map((id) => ({
    what: `setting ${id} of HTTP/2 (RFC 9114 §7.2.4.1)`,
    says: (client: Client) => void client.oneWay(integers(C.CONTROL_STREAM), settings(id, 1)),
    ends: 'H3_SETTINGS_ERROR',
    bare: true,
  })),
  ...[C.ENABLE_CONNECT_PROTOCOL, C.H3_DATAGRAM].map((id) => ({
    what: `${C.SETTING_NAMES[id]} is 0 or 1 (RFC 9220 §3, RFC 9297 §2.1.1)`,
    says: (client: Client) => void client.oneWay(integers(C.CONTROL_STREAM), settings(id, 2)),
    ends: 'H3_SETTINGS_ERROR',
    bare: true,
  })),
  {
    what: 'MAX_PUSH_ID that becomes less (RFC 9114 §7.2.7)',
    says: (client) => said(client, frame(C.MAX_PUSH_ID, integers(9)), frame(C.MAX_PUSH_ID, integers(8))),
    ends: 'H3_ID_ERROR',
  },
  {
    what: 'CANCEL_PUSH of what was never promised (RFC 9114 §7.2.3)',
    says: (client) => said(client, frame(C.CANCEL_PUSH, integers(0))),
    ends: 'H3_ID_ERROR',
  },
  {
    what: 'GOAWAY that names more than before (RFC 9114 §5.2)',
    says: (client) => said(client, frame(C.GOAWAY, integers(0)), frame(C.GOAWAY, integers(1))),
    ends: 'H3_ID_ERROR',
  },
  {
    what: 'PRIORITY_UPDATE of what is no request (RFC 9218 §7.2)',
    says: (client) => said(client, frame(C.PRIORITY_UPDATE, integers(2))),
    ends: 'H3_ID_ERROR',
  },
  {
    what: 'an instruction to the table that cannot be followed (RFC 9204 §4.3)',
    says: (client) => void client.oneWay(integers(2), Buffer.from('00', 'hex')),
    ends: 'QPACK_ENCODER_STREAM_ERROR',
  },
  {
    what: 'an acknowledgment of nothing (RFC 9204 §4.4.1)',
    says: (client) => void client.oneWay(integers(3), Buffer.from('80', 'hex')),
    ends: 'QPACK_DECODER_STREAM_ERROR',
  },
  {
    what: 'an increment of nothing (RFC 9204 §4.4.3)',
    says: (client) => void client.oneWay(integers(3), Buffer.from('00', 'hex')),
    ends: 'QPACK_DECODER_STREAM_ERROR',
  },
  {
    what: 'an increment beyond what was inserted (RFC 9204 §4.4.3)',
    says: (client) => void client.oneWay(integers(3), Buffer.from('3f00', 'hex')),
    ends: 'QPACK_DECODER_STREAM_ERROR',
  },
  {
    what: 'a section that cannot be decompressed (RFC 9204 §2.2)',
    says: (client) => void client.request(frame(C.HEADERS, Buffer.from('000080', 'hex'))),
    ends: 'QPACK_DECOMPRESSION_FAILED',
  },
  {
    what: 'more streams that wait for the table than may (RFC 9204 §2.1.2)',
    says: (client) => {
      for (let at = 0; at < 3; at++) client.request(frame(C.HEADERS, Buffer.from('020080', 'hex')));
      return undefined;
    },
    ends: 'QPACK_DECOMPRESSION_FAILED',
    limits: { blockedMax: 2 },
  },
  {
    what: 'a frame of the control stream that is too long (RFC 9114 §10.5)',
    says: (client) => said(client, integers(C.GOAWAY, 100_000)),
    ends: 'H3_EXCESSIVE_LOAD',
  },
  {
    what: 'requests that are reset as soon as they are made (RFC 9114 §10.5)',
    says: (client) => {
      for (let at = 0; at < 40 && client.ended === null; at++) {
        const stream = client.request(head({ ':path': '/slow' }));
        client.pass(5);
        stream.pipe.reset(C.H3_REQUEST_CANCELLED);
        client.pass(5);
      }
      return undefined;
    },
    ends: 'H3_EXCESSIVE_LOAD',
    limits: { resetsAtOnce: 20, resetsPerSecond: 1 },
  },
  {
    what: 'frames that mean nothing, without end (RFC 9114 §10.5)',
    says: (client) => said(client, Buffer.concat(Array.from({ length: 30 }, () => frame(0x21)))),
    ends: 'H3_EXCESSIVE_LOAD',
    limits: { idleFramesAtOnce: 20, idleFramesPerSecond: 1 },
  },
  {
    what: 'DATA without a byte, without end (RFC 9114 §10.5)',
    says: (client) => void client.request(head(POST), Buffer.concat(Array.from({ length: 40 }, () => frame(C.DATA)))),
    ends: 'H3_EXCESSIVE_LOAD',
    limits: { idleFramesAtOnce: 20, idleFramesPerSecond: 1 },
  },
]);

const malformed = (what: string, ...fields: [string, string][]): Rule => ({
  what: `${what} (RFC 9114 §4.1.2)`,
  says: (client) => whole(client, list(...fields)),
  ends: 'H3_MESSAGE_ERROR',
});
const M: [string, string] = [':method', 'GET'];
const S: [string, string] = [':scheme', 'https'];
const A: [string, string] = [':authority', 'a.test'];
const P: [string, string] = [':path', '/'];

check('stream', [
  malformed('a pseudo-header field that comes twice', M, M, S, A, P),
  malformed('a pseudo-header field that is missing', S, A, P),
  malformed('a request without a path', M, S, A),
  malformed('a path that is empty', M, S, A, [':path', '']),
  malformed('a pseudo-header field that is not one', M, S, A, P, [':foo', 'x']),
  malformed('a pseudo-header field of answers', M, S, A, P, [':status', '200']),
  malformed('a pseudo-header field behind others', M, S, A, ['a', 'b'], P),
  malformed('an upper-case name', M, S, A, P, ['Accept', 'x']),
  malformed('a field about the connection', M, S, A, P, ['connection', 'close']),
  malformed('TE beyond trailers', M, S, A, P, ['te', 'gzip']),
  malformed('a line end within a value', M, S, A, P, ['a', 'b\r\nc: d']),
  malformed('Host that is another', M, S, A, P, ['host', 'b.test']),
  malformed('an authority with a user in it', M, S, [':authority', 'me@a.test'], P),
  malformed('CONNECT with a path', [':method', 'CONNECT'], A, P),
  malformed('a body that is not as long as it says', M, S, A, P, ['content-length', '5']),
  {
    what: 'a body that is longer than it says (RFC 9114 §4.1.2)',
    says: (client) => client.request(head({ ...POST, 'content-length': '3' }), integers(C.DATA, 4)),
    ends: 'H3_MESSAGE_ERROR',
  },
  {
    what: 'a pseudo-header field in trailers (RFC 9114 §4.3)',
    says: (client) => client.request(head(POST), list([':path', '/'])),
    ends: 'H3_MESSAGE_ERROR',
  },
  {
    what: 'a stream that ends before a request (RFC 9114 §4.1)',
    says: (client) => whole(client),
    ends: 'H3_REQUEST_INCOMPLETE',
  },
  {
    what: 'a stream that ends behind frames that mean nothing (RFC 9114 §4.1)',
    says: (client) => whole(client, frame(0x21, 'x')),
    ends: 'H3_REQUEST_INCOMPLETE',
  },
  {
    what: 'more requests at once than are taken (RFC 9114 §4.1.1)',
    says: (client) => {
      for (let at = 0; at < 2; at++) client.asks({ ':path': '/slow' });
      client.pass(50);
      const refused = client.asks({ ':path': '/slow' });
      client.pass(50);
      for (const stream of client.open) if (stream !== refused) stream.pipe.reset(C.H3_REQUEST_CANCELLED);
      return refused;
    },
    ends: 'H3_REQUEST_REJECTED',
    limits: { streamsMax: 2 },
  },
  {
    what: 'a section longer than is taken (RFC 9114 §10.5.1)',
    says: (client) => client.request(integers(C.HEADERS, 2_000)),
    ends: 'H3_EXCESSIVE_LOAD',
    limits: { sectionBytesMax: 1_024 },
  },
  {
    what: 'frames that mean nothing are let pass on a request (RFC 9114 §9)',
    says: (client) =>
      whole(
        client,
        frame(0x21, 'grease'),
        head(POST),
        frame(0x40),
        frame(C.DATA, 'x'),
        frame(0x21 + 0x1f * 1_000_000, 'y'),
      ),
    ends: '',
  },
  {
    what: 'streams and settings that mean nothing are let pass (RFC 9114 §6.2.3, §7.2.4.1)',
    says: (client) => {
      client.oneWay(integers(0x21, 1, 2, 3));
      said(client, frame(0x21, 'x'), frame(C.MAX_PUSH_ID, integers(3)), frame(C.PRIORITY_UPDATE, Buffer.from('\0u=1')));
      return client.asks();
    },
    ends: '',
  },
]);

test('a body with trailers is read, and answered (RFC 9114 §4.1)', () => {
  for (const cut of [0, 1]) {
    const client = new Stage(ROUTES, { cut }).open();
    const stream = whole(client, head(POST), frame(C.DATA, 'one '), frame(C.DATA, 'two'), list(['sum', '3']));
    client.pass();
    assert.deepEqual(client.hears(stream).slice(1), ['DATA one two sum=3', 'finish']);
  }
});

test('fields beyond what is taken get 431', () => {
  const client = new Stage(ROUTES, { limits: { headBytesMax: 1_024 } }).open();
  const stream = client.asks({ big: 'x'.repeat(1_000) });
  client.pass();
  assert.match(client.hears(stream)[0]!, /^HEADERS :status=431/);
});

test('what came as early data is answered if it is safe, and with 425 if not (RFC 8470 §5.2)', () => {
  const client = new Stage(ROUTES, { early: true }).open();
  const safe = client.asks();
  const other = client.asks(POST);
  client.pass();
  assert.match(client.hears(safe)[0]!, /^HEADERS :status=200/);
  assert.match(client.hears(other)[0]!, /^HEADERS :status=425/);
});

test('whoever waits with its body for 100 is told (RFC 9110 §10.1.1)', () => {
  const client = new Stage(ROUTES).open();
  const stream = client.request(head({ ...POST, expect: '100-continue' }));
  client.pass();
  assert.deepEqual(client.hears(stream), ['HEADERS :status=100']);
  client.says(stream, frame(C.DATA, 'x'));
  stream.pipe.end();
  client.pass();
  assert.ok(client.hears(stream).includes('DATA x'));
});

test('a section that waits for the table is read once its entries come, however late (RFC 9204 §2.2.1)', () => {
  for (const cut of [0, 1]) {
    const client = new Stage(ROUTES, { cut }).open();
    const encoder = client.oneWay(integers(C.ENCODER_STREAM));
    const fields = Buffer.concat([section(GET).subarray(2), Buffer.from('80', 'hex')]);
    const stream = client.request(frame(C.HEADERS, Buffer.concat([Buffer.from('0200', 'hex'), fields])));
    stream.pipe.end();
    client.pass();
    assert.deepEqual(client.hears(stream), []);
    client.says(encoder, Buffer.from('3fe11f', 'hex'), Buffer.from('4161026869', 'hex'));
    client.pass();
    assert.ok(client.hears(stream).includes('DATA GET /'), client.hears(stream).join(' | '));
    // Its table is acknowledged, and the section.
    const decoder = client.theirs.find(({ received }) => received[0] === C.DECODER_STREAM)!;
    assert.deepEqual([...decoder.received], [C.DECODER_STREAM, 0x01, 0x80]);
  }
});

test('a server that leaves says so, answers what it took, refuses what comes later, and ends (RFC 9114 §5.2)', () => {
  const finish: (() => void)[] = [];
  const stage = new Stage((exchange) => void finish.push(() => answerText(exchange, 200, 'done')));
  const client = stage.open();
  const first = client.asks();
  client.pass();
  client.server.leave(SHUTDOWN);
  client.pass(100);
  const control = client.theirs.find(({ received }) => received[0] === C.CONTROL_STREAM)!;
  const goaways = () => control.received.toString('hex').match(/07(?:08ffffffff.{8}|01..)/g);
  assert.deepEqual(goaways(), ['0708fffffffffffffe00']);
  client.pass(600);
  assert.deepEqual(goaways(), ['0708fffffffffffffe00', '070104']);
  const late = client.asks();
  client.pass(20);
  assert.deepEqual(client.hears(late), [`lost reset ${C.H3_REQUEST_REJECTED}`]);
  finish[0]!();
  client.pass(20);
  assert.ok(client.hears(first).includes('DATA done'));
  client.pass(500);
  assert.equal(client.ended, 'ended 0x100');
});

test('a connection that is silent is closed', () => {
  const client = new Stage(ROUTES, { limits: { idleMs: 1_000 } }).open();
  client.pass(900);
  assert.equal(client.ended, null);
  client.pass(500);
  assert.equal(client.ended, 'ended 0x100');
});

test('a head that does not come, and a body that comes too slowly, are not waited for', () => {
  const client = new Stage(ROUTES, { limits: { headMs: 1_000, bodyMs: 1_000 } }).open();
  const silent = client.request(head().subarray(0, 3));
  const slow = client.request(head(POST), frame(C.DATA, 'x'));
  client.pass(3_000);
  assert.deepEqual(client.hears(silent), [`lost reset ${C.H3_REQUEST_CANCELLED}`]);
  assert.deepEqual(client.hears(slow), [`lost reset ${C.H3_EXCESSIVE_LOAD}`]);
});

test('a handler that throws ends its own request', () => {
  const stage = new Stage((exchange) => {
    if (exchange.target === '/late') {
      exchange.respond(200, new Fields(), 10);
      exchange.out.ascii('half');
    }
    throw new Error('a bug');
  });
  const client = stage.open();
  const one = client.asks();
  const two = client.asks({ ':path': '/late' });
  client.pass();
  assert.match(client.hears(one)[0]!, /^HEADERS :status=500/);
  assert.equal(client.hears(two).at(-1), `lost reset ${C.H3_INTERNAL_ERROR}`);
  assert.equal(stage.logged.length, 2);
});

test('any bytes on any stream neither throw nor hang', () => {
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 40 }),
    fc.constantFrom(head(), head(POST), frame(C.DATA, 'abc'), settings(1, 100), integers(2), integers(3), frame(0x21)),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.boolean(), fc.array(piece, { maxLength: 5 })), { maxLength: 6 }), (streams) => {
      const stage = new Stage(ROUTES, { cut: 5 });
      const client = stage.open();
      for (const [oneWay, parts] of streams) {
        if (client.ended !== null) break;
        const stream = oneWay
          ? client.oneWay(...parts.map((part) => Buffer.from(part)))
          : client.request(...parts.map((part) => Buffer.from(part)));
        if (parts.length % 2 === 0) stream.pipe.end();
        client.pass(20);
      }
      assert.deepEqual([...stage.logged, ...stage.world.bugs], []);
    }),
    { numRuns: 300 },
  );
});
