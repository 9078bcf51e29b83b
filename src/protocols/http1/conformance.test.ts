// Every rule of RFC 9112, and of RFC 9110 where it meets the wire, that a client can break or a server can: by clause.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Exchange } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import { answerText } from '../http/answers.ts';
import { collectBody } from '../http/collect.ts';
import { Stage, type StageOptions } from './testing/stage.ts';

/** Answers with what it was asked, body included. */
function mirror(exchange: Exchange): void {
  collectBody(exchange, 100_000, (body) =>
    answerText(
      exchange,
      200,
      `<${exchange.method} ${exchange.target} @${exchange.authority} ${body.toString('latin1')}>\n`,
    ),
  );
}

interface Answers {
  readonly text: string;
  readonly statuses: readonly number[];
  /** What the mirror said of each request. */
  readonly said: readonly string[];
  /** The server has ended the connection. */
  readonly closed: boolean;
  readonly faults: readonly string[];
}

function talk(input: string | Uint8Array, options: StageOptions = {}, ms = 50): Answers {
  const stage = new Stage(mirror, options);
  const talked = stage.connect();
  talked.says(input);
  const text = talked.hears(ms);
  assert.deepEqual(stage.world.bugs, []);
  return {
    text,
    statuses: [...text.matchAll(/^HTTP\/1\.1 (\d{3}) /gm)].map(([, status]) => Number(status)),
    said: [...text.matchAll(/^<([^>]*)>$/gm)].map(([, said]) => said!),
    closed: talked.peer.told.includes('finish'),
    faults: stage.faults,
  };
}

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n';

/** What is refused: name, input, status. The connection is closed, and what follows is not answered. */
const REFUSED: readonly [clause: string, input: string, status: number][] = [
  ['RFC 9112 §2.2: a bare LF ends no line', 'GET / HTTP/1.1\nHost: a\n\n', 400],
  ['RFC 9112 §2.2: a bare LF ends no field line', 'GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n', 400],
  ['RFC 9112 §2.2: a bare CR in a request line', 'GET /\rx HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['RFC 9112 §2.2: a bare CR in a field value', 'GET / HTTP/1.1\r\nHost: a\r\nX: b\rY: c\r\n\r\n', 400],
  ['RFC 9112 §2.2: space before the first field', 'GET / HTTP/1.1\r\n Host: a\r\n\r\n', 400],
  ['RFC 9112 §2.2: many empty lines before a request', `\r\n\r\n\r\n\r\n\r\n\r\n${GET}`, 400],
  ['RFC 9112 §2.3: the version is of these letters', 'GET / http/1.1\r\nHost: a\r\n\r\n', 400],
  ['RFC 9112 §2.3: a version without a dot', 'GET / HTTP/11\r\nHost: a\r\n\r\n', 400],
  ['RFC 9112 §2.3: a version of two digits', 'GET / HTTP/1.10\r\nHost: a\r\n\r\n', 400],
  ['RFC 9110 §2.5: another major version', 'GET / HTTP/2.0\r\nHost: a\r\n\r\n', 505],
  ['RFC 9110 §2.5: the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505],
  ['RFC 9112 §3: no version at all', 'GET /\r\n\r\n', 400],
  ['RFC 9112 §3: two spaces', 'GET  / HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['RFC 9112 §3: a tab for a space', 'GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['RFC 9112 §3: a space behind the version', 'GET / HTTP/1.1 \r\nHost: a\r\n\r\n', 400],
  ['RFC 9112 §3: a space in the target', 'GET /a b HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['RFC 9112 §3.1: a method that is no token', 'GE(T / HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['RFC 9112 §3.2: a fragment', 'GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['RFC 9112 §3.2: a target that is no path', 'GET a/b HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['RFC 9112 §3.2: no Host', 'GET / HTTP/1.1\r\n\r\n', 400],
  ['RFC 9112 §3.2: two Hosts', 'GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n', 400],
  ['RFC 9112 §3.2: a Host with userinfo', 'GET / HTTP/1.1\r\nHost: u@a\r\n\r\n', 400],
  ['RFC 9112 §3.2: a Host with a path', 'GET / HTTP/1.1\r\nHost: a/b\r\n\r\n', 400],
  ['RFC 9112 §3.2: a Host of two', 'GET / HTTP/1.1\r\nHost: a, b\r\n\r\n', 400],
  ['RFC 9112 §3.2: two Hosts in HTTP/1.0', 'GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n', 400],
  ['RFC 9112 §3.2.2: an absolute form with userinfo', 'GET http://u:p@a/ HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['RFC 9112 §3.2.2: an absolute form of another scheme', 'GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['RFC 9112 §3.2.3: CONNECT without a port', 'CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['RFC 9112 §3.2.3: CONNECT to a path', 'CONNECT /a HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['RFC 9112 §3.2.4: the asterisk is for OPTIONS', 'GET * HTTP/1.1\r\nHost: a\r\n\r\n', 400],
  ['RFC 9112 §5.1: space before the colon', 'GET / HTTP/1.1\r\nHost : a\r\n\r\n', 400],
  ['RFC 9112 §5.1: a tab before the colon', 'GET / HTTP/1.1\r\nHost: a\r\nX\t: b\r\n\r\n', 400],
  ['RFC 9112 §5: a field without a name', 'GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n', 400],
  ['RFC 9112 §5: a field without a colon', 'GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n', 400],
  ['RFC 9112 §5: a name that is no token', 'GET / HTTP/1.1\r\nHost: a\r\nX(y: b\r\n\r\n', 400],
  ['RFC 9112 §5.2: a folded field', 'GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n', 400],
  ['RFC 9110 §5.5: NUL in a value', 'GET / HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n', 400],
  ['RFC 9110 §5.5: another control in a value', 'GET / HTTP/1.1\r\nHost: a\r\nX: b\x1bc\r\n\r\n', 400],
  ['RFC 9110 §5.5: DEL in a value', 'GET / HTTP/1.1\r\nHost: a\r\nX: b\x7f\r\n\r\n', 400],
  ['RFC 9112 §6.1: chunked in HTTP/1.0', 'POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 400],
  ['RFC 9112 §6.1: both lengths', post('Content-Length: 3\r\nTransfer-Encoding: chunked', '0\r\n\r\n'), 400],
  [
    'RFC 9112 §6.1: both lengths, the other way',
    post('Transfer-Encoding: chunked\r\nContent-Length: 3', '0\r\n\r\n'),
    400,
  ],
  ['RFC 9112 §6.1: a coding that is not known', post('Transfer-Encoding: gzip, chunked', '0\r\n\r\n'), 501],
  ['RFC 9112 §6.3: chunked is not last', post('Transfer-Encoding: chunked, gzip', ''), 400],
  ['RFC 9112 §6.3: identity', post('Transfer-Encoding: identity', ''), 400],
  ['RFC 9112 §6.1: chunked twice', post('Transfer-Encoding: chunked, chunked', '0\r\n\r\n'), 400],
  [
    'RFC 9112 §6.1: chunked twice in two fields',
    post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', ''),
    400,
  ],
  ['smuggling: a coding almost chunked', post('Transfer-Encoding: xchunked', ''), 400],
  ['smuggling: chunked in quotes', post('Transfer-Encoding: "chunked"', ''), 400],
  ['smuggling: chunked with a parameter', post('Transfer-Encoding: chunked;a=b', ''), 400],
  ['smuggling: chunked behind a vertical tab', post('Transfer-Encoding: \x0bchunked', ''), 400],
  ['smuggling: an empty coding', post('Transfer-Encoding:', ''), 400],
  ['smuggling: a coding in the name', post('Transfer-Encoding : chunked', ''), 400],
  ['RFC 9112 §6.3: a length that is no number', post('Content-Length: x', ''), 400],
  ['RFC 9112 §6.3: a negative length', post('Content-Length: -1', ''), 400],
  ['RFC 9112 §6.3: a length with a sign', post('Content-Length: +3', 'abc'), 400],
  ['RFC 9112 §6.3: a length in hex', post('Content-Length: 0x3', 'abc'), 400],
  ['RFC 9112 §6.3: an empty length', post('Content-Length:', 'abc'), 400],
  ['RFC 9112 §6.3: two lengths that differ', post('Content-Length: 3\r\nContent-Length: 4', 'abc'), 400],
  ['RFC 9112 §6.3: two lengths in one field', post('Content-Length: 3, 3', 'abc'), 400],
  ['RFC 9112 §6.3: two lengths that agree', post('Content-Length: 3\r\nContent-Length: 3', 'abc'), 400],
  ['RFC 9112 §6.3: a length past all numbers', post('Content-Length: 99999999999999999999', ''), 400],
  ['RFC 9112 §7.1: a chunk size of no digits', chunked('\r\nabc'), 400],
  ['RFC 9112 §7.1: a chunk size of other letters', chunked('g\r\n'), 400],
  ['RFC 9112 §7.1: a chunk size with 0x', chunked('0x3\r\nabc\r\n0\r\n\r\n'), 400],
  ['RFC 9112 §7.1: a chunk size with a sign', chunked('+3\r\nabc\r\n0\r\n\r\n'), 400],
  ['RFC 9112 §7.1: a chunk size behind a space', chunked(' 3\r\nabc\r\n0\r\n\r\n'), 400],
  ['RFC 9112 §7.1: a chunk size before a space', chunked('3 \r\nabc\r\n0\r\n\r\n'), 400],
  ['RFC 9112 §7.1: a chunk size past all numbers', chunked('fffffffffffffffff\r\n'), 400],
  ['RFC 9112 §7.1: a chunk size ended by a bare LF', chunked('3\nabc\r\n0\r\n\r\n'), 400],
  ['RFC 9112 §7.1: a chunk longer than its size', chunked('3\r\nabcd\r\n0\r\n\r\n'), 400],
  ['RFC 9112 §7.1: chunk data ended by a bare LF', chunked('3\r\nabc\n0\r\n\r\n'), 400],
  ['RFC 9112 §7.1: chunk data ended by a bare CR', chunked('3\r\nabc\r0\r\n\r\n'), 400],
  ['RFC 9112 §7.1.1: a bare LF in an extension', chunked('3;a\nb\r\nabc\r\n0\r\n\r\n'), 400],
  ['RFC 9112 §7.1.1: a bare CR in an extension', chunked('3;a\rb\r\nabc\r\n0\r\n\r\n'), 400],
  ['RFC 9112 §7.1.2: a malformed trailer', chunked('0\r\nX : b\r\n\r\n'), 400],
  ['RFC 9112 §7.1.2: a trailer ended by a bare LF', chunked('0\r\nX: b\n\r\n'), 400],
  ['RFC 9110 §10.1.1: another expectation', 'GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n', 417],
  ['garbage', '\x16\x03\x01\x02\x00\x01\x00\x01', 400],
];

function post(fields: string, body: string): string {
  return `POST / HTTP/1.1\r\nHost: a\r\n${fields}\r\n\r\n${body}`;
}

function chunked(body: string): string {
  return post('Transfer-Encoding: chunked', body);
}

for (const [clause, input, status] of REFUSED) {
  test(`refused: ${clause}`, () => {
    for (const cut of [0, 1]) {
      const { statuses, closed, said, text, faults } = talk(`${input}${GET}`, { cut }, 300);
      assert.deepEqual(statuses, [status]);
      assert.match(text, /\r\nConnection: close\r\n/);
      assert.match(text, /application\/problem\+json/);
      assert.ok(closed, 'the connection goes on');
      assert.deepEqual(said, []);
      assert.equal(faults.length, 1);
    }
  });
}

/** What is taken: name, input, what the mirror says of each. */
const TAKEN: readonly [clause: string, input: string, said: readonly string[]][] = [
  ['RFC 9112 §2.2: an empty line before a request', `\r\n${GET}`, ['GET / @a ']],
  [
    'RFC 9112 §2.2: an empty line behind a body',
    `${post('Content-Length: 1', 'x')}\r\n${GET}`,
    ['POST / @a x', 'GET / @a '],
  ],
  ['RFC 9110 §2.5: a higher minor version', 'GET / HTTP/1.7\r\nHost: a\r\n\r\n', ['GET / @a ']],
  ['RFC 9112 §3.1: methods are told apart by case', 'get / HTTP/1.1\r\nHost: a\r\n\r\n', ['get / @a ']],
  ['RFC 9112 §3.2: an empty Host', 'GET / HTTP/1.1\r\nHost:\r\n\r\n', ['GET / @ ']],
  ['RFC 9112 §3.2: a Host with a port', 'GET / HTTP/1.1\r\nHost: a:80\r\n\r\n', ['GET / @a:80 ']],
  ['RFC 9112 §3.2: a Host in brackets', 'GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n', ['GET / @[::1]:80 ']],
  ['RFC 9112 §3.2: HTTP/1.0 needs no Host', 'GET / HTTP/1.0\r\n\r\n', ['GET / @ ']],
  [
    'RFC 9112 §3.2.2: an absolute form, whose authority counts',
    'GET http://b/x?y HTTP/1.1\r\nHost: a\r\n\r\n',
    ['GET http://b/x?y @b '],
  ],
  ['RFC 9112 §3.2.4: the asterisk', 'OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n', ['OPTIONS * @a ']],
  [
    'RFC 9110 §5.1: names without regard to case',
    'POST / HTTP/1.1\r\nhOST: a\r\ncONTENT-lENGTH: 2\r\n\r\nhi',
    ['POST / @a hi'],
  ],
  ['RFC 9110 §5.5: space around a value', 'GET / HTTP/1.1\r\nHost:\t a \t\r\n\r\n', ['GET / @a ']],
  ['RFC 9110 §5.5: bytes above 0x7F', 'GET / HTTP/1.1\r\nHost: a\r\nX: \xff\r\n\r\n', ['GET / @a ']],
  ['RFC 9112 §6.1: chunked in any case', post('tRANSFER-eNCODING: Chunked', '0\r\n\r\n'), ['POST / @a ']],
  ['RFC 9112 §6.2: a body of known length', post('Content-Length: 5', 'hello'), ['POST / @a hello']],
  ['RFC 9112 §6.2: a length of zero', `${post('Content-Length: 0', '')}${GET}`, ['POST / @a ', 'GET / @a ']],
  ['RFC 9112 §6.3: no length is no body', `POST / HTTP/1.1\r\nHost: a\r\n\r\n${GET}`, ['POST / @a ', 'GET / @a ']],
  [
    'RFC 9112 §6.3: GET with a body',
    `GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi${GET}`,
    ['GET / @a hi', 'GET / @a '],
  ],
  ['RFC 9112 §7.1: chunks', chunked('5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n'), ['POST / @a hello world']],
  [
    'RFC 9112 §7.1: sizes in either case, with zeros before',
    chunked('0000A\r\n0123456789\r\n00a\r\n0123456789\r\n000\r\n\r\n'),
    ['POST / @a 01234567890123456789'],
  ],
  ['RFC 9112 §7.1.1: extensions are passed over', chunked('3;a;b=c;d="e"\r\nabc\r\n0;last\r\n\r\n'), ['POST / @a abc']],
  ['RFC 9112 §7.1.1: bad white space before an extension', chunked('3 ;a=b\r\nabc\r\n0\r\n\r\n'), ['POST / @a abc']],
  [
    'RFC 9112 §7.1.2: trailers are not fields',
    chunked('0\r\nContent-Length: 9\r\nX: y\r\n\r\n') + GET,
    ['POST / @a ', 'GET / @a '],
  ],
  [
    'RFC 9112 §9.3.2: pipelining, in order',
    `GET /1 HTTP/1.1\r\nHost: a\r\n\r\n${post('Content-Length: 1', '2')}GET /3 HTTP/1.1\r\nHost: a\r\n\r\n`,
    ['GET /1 @a ', 'POST / @a 2', 'GET /3 @a '],
  ],
  [
    'a target in UTF-8, as curl sends it',
    Buffer.from('GET /é HTTP/1.1\r\nHost: a\r\n\r\n').toString('latin1'),
    ['GET /\xc3\xa9 @a '],
  ],
];

for (const [clause, input, said] of TAKEN) {
  test(`taken: ${clause}`, () => {
    for (const cut of [0, 1, 5]) {
      const bytes = Buffer.from(input, 'latin1');
      const answers = talk(bytes, { cut }, 1_000);
      assert.deepEqual(answers.said, said);
      assert.deepEqual(answers.faults, []);
    }
  });
}

/** How connections go on: name, input, statuses, whether it is closed behind them. */
const GOES_ON: readonly [clause: string, input: string, statuses: readonly number[], closed: boolean][] = [
  ['RFC 9112 §9.3: HTTP/1.1 goes on', GET, [200], false],
  [
    'RFC 9112 §9.3: close ends it, and what follows',
    `GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n${GET}`,
    [200],
    true,
  ],
  [
    'RFC 9112 §9.3: close among other options',
    'GET / HTTP/1.1\r\nHost: a\r\nConnection: x, Close\r\n\r\n',
    [200],
    true,
  ],
  ['RFC 9112 §9.3: HTTP/1.0 ends', `GET / HTTP/1.0\r\n\r\n${GET}`, [200], true],
  [
    'RFC 9112 §9.3: HTTP/1.0 with keep-alive goes on',
    `GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n${GET}`,
    [200, 200],
    false,
  ],
];

for (const [clause, input, statuses, closed] of GOES_ON) {
  test(`goes on: ${clause}`, () => {
    const answers = talk(input, { cut: 3 }, 500);
    assert.deepEqual(answers.statuses, statuses);
    assert.equal(answers.closed, closed);
    if (closed) assert.match(answers.text, /\r\nConnection: close\r\n/);
    assert.deepEqual(answers.faults, []);
  });
}

test('RFC 9112 §9.3: HTTP/1.0 is told that it goes on', () => {
  assert.match(talk('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n').text, /\r\nConnection: keep-alive\r\n/);
});

test('RFC 9110 §6.6.1: an answer has a Date', () => {
  assert.match(talk(GET).text, /\r\nDate: Fri, 15 Jan 2027 \d\d:\d\d:\d\d GMT\r\n/);
});

test('RFC 9110 §9.3.2: HEAD has the fields and no body', () => {
  const { text } = talk(`HEAD / HTTP/1.1\r\nHost: a\r\n\r\n${GET}`);
  const [head, rest] = text.split('\r\n\r\n', 2);
  assert.match(head!, /\r\nContent-Length: 13(?:\r\n|$)/);
  assert.match(rest!, /^HTTP\/1\.1 200 OK/);
});

/** What a handler that answers with something of unknown length, trailers and all, looks like on the wire. */
function openEnded(request: string, status = 200): string {
  const stage = new Stage((exchange) => {
    exchange.respond(status, Fields.of({ 'x-a': 'b' }));
    exchange.out.ascii('one');
    exchange.flush();
    exchange.out.ascii('two');
    exchange.end(Fields.of({ 'x-sum': '1', 'content-length': '9' }));
  });
  const { says, hears } = stage.connect();
  says(request);
  return hears().replace(/Date: [^\r]*/, 'Date: D');
}

test('RFC 9112 §7.1: a body of unknown length is chunked, what was written in one turn as one', () => {
  const text = openEnded(GET);
  const head = 'HTTP/1.1 200 OK\r\nDate: D\r\nServer: Portico\r\nX-A: b\r\nTransfer-Encoding: chunked\r\n\r\n';
  assert.equal(text, `${head}6\r\nonetwo\r\n0\r\nX-Sum: 1\r\n\r\n`);
});

test('RFC 9112 §6.1: HTTP/1.0 gets no chunks but the end of the connection', () => {
  const text = openEnded('GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n');
  assert.match(text, /\r\nConnection: close\r\n\r\nonetwo$/);
  assert.doesNotMatch(text, /chunked/);
});

test('RFC 9110 §8.6, RFC 9112 §6.1: 204 and 304 have neither length nor coding nor body', () => {
  for (const status of [204, 304]) {
    const text = openEnded(GET, status);
    assert.doesNotMatch(text, /Content-Length|Transfer-Encoding|one/);
    assert.ok(text.endsWith('\r\n\r\n'));
  }
});

test('RFC 9110 §15.3.6: 205 has a length of zero', () => {
  const text = openEnded(GET, 205);
  assert.match(text, /\r\nContent-Length: 0\r\n/);
  assert.ok(text.endsWith('\r\n\r\n'));
});

test('RFC 9110 §10.1.1: 100 is sent when the body is wanted, and not before', () => {
  const stage = new Stage(mirror);
  const { says, hears } = stage.connect();
  says(post('Content-Length: 3\r\nExpect: 100-Continue', ''));
  assert.equal(hears(), 'HTTP/1.1 100 Continue\r\n\r\n');
  says('abc');
  assert.match(hears(), /<POST \/ @a abc>/);
});

test('RFC 9110 §10.1.1: a final answer in place of 100 ends the connection', () => {
  const stage = new Stage((exchange) => answerText(exchange, 403, 'no'));
  const { says, hears, peer } = stage.connect();
  says(post('Content-Length: 3\r\nExpect: 100-continue', ''));
  const text = hears();
  assert.match(text, /^HTTP\/1\.1 403 [\s\S]*\r\nConnection: close\r\n/);
  assert.ok(peer.told.includes('finish'));
});

test('RFC 9110 §10.1.1: HTTP/1.0 gets no 100', () => {
  const { statuses, said } = talk('POST / HTTP/1.0\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc');
  assert.deepEqual(statuses, [200]);
  assert.deepEqual(said, ['POST / @ abc']);
});

test('RFC 9110 §15.2: HTTP/1.0 gets no interim answers', () => {
  const stage = new Stage((exchange) => {
    exchange.inform(103, Fields.of({ link: '</a>' }));
    answerText(exchange, 200, 'x');
  });
  const { says, hears } = stage.connect();
  says('GET / HTTP/1.0\r\n\r\n');
  assert.match(hears(), /^HTTP\/1\.1 200/);
});

test('RFC 9110 §7.8: an upgrade needs its option in Connection, HTTP/1.1, and no body', () => {
  const asked: string[] = [];
  const stage = new Stage((exchange) => {
    asked.push(exchange.upgrade);
    answerText(exchange, 200, '');
  });
  const { says, hears } = stage.connect();
  says('GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\n');
  says('GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n');
  says('GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: h2c, websocket\r\n\r\n');
  says('GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\nContent-Length: 1\r\n\r\nx');
  says('GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n');
  hears();
  assert.deepEqual(asked, ['websocket', '', 'websocket', '', '']);
});

test('RFC 9112 §3: a request line past its bound gets 414, fields past theirs 431', () => {
  const long = 'x'.repeat(8_001);
  const bounds = { limits: { requestLineBytesMax: 8_000, headBytesMax: 1_024, fieldsMax: 10 } };
  for (const cut of [0, 700]) {
    assert.deepEqual(talk(`GET /${long} HTTP/1.1\r\nHost: a\r\n\r\n`, { ...bounds, cut }, 200).statuses, [414]);
    assert.deepEqual(talk(`GET /${long}`, { ...bounds, cut }, 200).statuses, [414]);
    assert.deepEqual(talk(`GET / HTTP/1.1\r\nX: ${long}`, { ...bounds, cut }, 200).statuses, [431]);
    const many = Array.from({ length: 11 }, (_, index) => `X-${index}: a\r\n`).join('');
    assert.deepEqual(talk(`GET / HTTP/1.1\r\n${many}`, { ...bounds, cut }, 200).statuses, [431]);
    const trailers = chunked(`0\r\nX: ${'y'.repeat(1_100)}`);
    assert.deepEqual(talk(trailers, { ...bounds, cut }, 200).statuses, [431]);
    const extension = chunked(`1;${'e'.repeat(70)}`);
    assert.deepEqual(talk(extension, { limits: { chunkExtensionBytesMax: 64 }, cut }, 200).statuses, [400]);
  }
});

test('RFC 9110 §15.5.9: a slow head gets 408; silence is only closed', () => {
  const slow = talk('GET / HTTP/1.1\r\nHost', { limits: { headMs: 1_000 } }, 1_100);
  assert.deepEqual([slow.statuses, slow.closed], [[408], true]);
  const silent = talk('', { limits: { headMs: 1_000 } }, 1_100);
  assert.deepEqual([silent.text, silent.closed, silent.faults], ['', true, []]);
  const idle = talk(GET, { limits: { idleMs: 2_000 } }, 2_100);
  assert.deepEqual([idle.statuses, idle.closed, idle.faults], [[200], true, []]);
});

test('RFC 9110 §15.5.9: a head that comes byte by byte is not waited for longer', () => {
  const stage = new Stage(mirror, { limits: { headMs: 1_000 } });
  const { says, hears } = stage.connect();
  let text = '';
  for (const letter of 'GET / HTTP/1.1\r\nHost: a') {
    says(letter);
    text += hears(100);
  }
  assert.match(text, /^HTTP\/1\.1 408 /);
});

test('RFC 9110 §15.5.9: a body that trickles gets 408; one that its reader holds back does not', () => {
  const limits = { bodyMs: 1_000, bodyBytesMin: 100 };
  const stage = new Stage(mirror, { limits });
  const { says, hears } = stage.connect();
  says(post('Content-Length: 1000', ''));
  let text = '';
  for (let step = 0; step < 12; step++) {
    says('x');
    text += hears(100);
  }
  assert.match(text, /^HTTP\/1\.1 408 /);

  let held!: Exchange;
  const patient = new Stage(
    (exchange) => {
      held = exchange;
      mirror(exchange);
    },
    { limits },
  ).connect();
  patient.says(post('Content-Length: 3', 'a'));
  patient.hears();
  held.pause();
  patient.says('bc');
  assert.equal(patient.hears(5_000), '');
  held.resume();
  assert.match(patient.hears(), /<POST \/ @a abc>/);
});

test('RFC 9112 §8: a connection that ends within a message', () => {
  for (const input of [
    'GET / HT',
    'GET / HTTP/1.1\r\nHost: a\r\n',
    post('Content-Length: 5', 'ab'),
    chunked('5\r\nab'),
  ]) {
    const stage = new Stage(mirror);
    const { peer, says, hears } = stage.connect();
    says(input);
    hears();
    peer.pipe.end();
    assert.match(hears(), /^HTTP\/1\.1 400 /, input);
    assert.equal(stage.world.bugs.length, 0);
  }
});

test('RFC 9112 §9.6: what was asked before the end of the stream is still answered', () => {
  const stage = new Stage(mirror);
  const { peer, says, hears } = stage.connect();
  says(GET + GET);
  peer.pipe.end();
  assert.equal(hears().match(/200 OK/g)?.length, 2);
});

test('RFC 9112 §9.3: a long body that nobody reads closes the connection behind the answer', () => {
  const stage = new Stage((exchange) => answerText(exchange, 413, 'no'), { limits: { discardBytesMax: 100 } });
  const { says, hears, peer } = stage.connect();
  says(post('Content-Length: 50', 'x'.repeat(50)) + post('Content-Length: 5000', ''));
  const text = hears();
  assert.equal(text.match(/413/g)?.length, 2);
  assert.equal(text.match(/Connection: close/g)?.length, 1);
  assert.ok(peer.told.includes('finish'));
});

test('RFC 9110 §15.6.1: a handler that throws is answered with 500, and the connection goes on', () => {
  let calls = 0;
  const stage = new Stage((exchange) => {
    if (calls++ === 0) throw new Error('a bug of ours');
    answerText(exchange, 200, 'fine');
  });
  const { says, hears } = stage.connect();
  says(GET + GET);
  assert.deepEqual(hears().match(/^HTTP\/1\.1 \d+/gm), ['HTTP/1.1 500', 'HTTP/1.1 200']);
  assert.deepEqual(stage.logged, ['a bug in what answers a request']);
});

test('RFC 9112 §11.1: a handler cannot split an answer', () => {
  const stage = new Stage((exchange) =>
    answerText(exchange, 200, 'x', new Fields().append('x-a', 'b\r\nSet-Cookie: c')),
  );
  const { says, hears } = stage.connect();
  says(GET);
  const text = hears();
  assert.match(text, /^HTTP\/1\.1 500 /);
  assert.doesNotMatch(text, /Set-Cookie/);
});

test('RFC 9112 §6.3: an answer that is not as long as it said is cut, not padded', () => {
  const stage = new Stage((exchange) => {
    exchange.respond(200, new Fields(), 10);
    exchange.out.ascii('short');
    exchange.end();
  });
  const { peer, says, hears } = stage.connect();
  says(GET);
  hears();
  assert.ok(peer.told.some((told) => told.startsWith('lost reset')));
});

test('RFC 9112 §9.3.2: who takes no answers is not answered ahead, goes on when it does, and is cut in the end', () => {
  const begin = (ms: number) => {
    const stage = new Stage((exchange) => answerText(exchange, 200, 'x'.repeat(1_000)), {
      bounds: { highMark: 8_192, lowMark: 2_048 },
      limits: { sendMs: 1_000 },
    });
    const talked = stage.connect();
    talked.hears();
    talked.peer.pipe.pause();
    talked.says('GET / HTTP/1.1\r\nHost: a\r\n\r\n'.repeat(200));
    stage.world.pass(ms);
    return { stage, ...talked };
  };
  const patient = begin(500);
  assert.ok(patient.server.queued < 16_384, `${patient.server.queued}`);
  patient.peer.pipe.resume();
  assert.equal(patient.hears(500).match(/HTTP\/1\.1 200 /g)?.length, 200);
  assert.deepEqual(patient.stage.faults, []);
  const late = begin(5_000);
  assert.deepEqual(late.stage.faults, ['http1.slowReader']);
  assert.equal(late.server.isAlive, false);
});

test('RFC 9110 §9.3.2: a refusal of HEAD has no content either', () => {
  const refused = talk('HEAD / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n');
  assert.deepEqual([refused.statuses, refused.closed], [[400], true]);
  assert.match(refused.text, /\r\n\r\n$/);
});
