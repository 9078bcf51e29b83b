// Windows, priorities, slow readers, bodies that nobody reads, ends.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Exchange, ExchangeHandler } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import { OVERLOADED, SHUTDOWN } from '../../core/pipe.ts';
import { answerText } from '../http/answers.ts';
import {
  ACK,
  DATA,
  END_HEADERS,
  GOAWAY,
  HEADERS,
  PING,
  PREFACE,
  PRIORITY_UPDATE,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from './codec.ts';
import { ROUTES } from './testing/rules.ts';
import { type Client, type Frame, frame, number32, Stage, settings } from './testing/stage.ts';

const large =
  (size: number): ExchangeHandler =>
  (exchange) => {
    const bytes = Buffer.alloc(size, 'x');
    exchange.respond(200, new Fields(), size);
    exchange.share(bytes, 0, size);
    exchange.flush();
    exchange.end();
  };

const dataOf = (frames: readonly Frame[]) =>
  frames.flatMap(({ type, stream, payload, flags }) =>
    type === DATA ? [`${stream}:${payload.length}${(flags & 1) !== 0 ? '.' : ''}`] : [],
  );

test('the server begins with SETTINGS and a wide window, and acknowledges ours (RFC 9113 §3.4, §6.5.3)', () => {
  const client = new Stage(ROUTES).connect();
  assert.deepEqual(client.hears(), ['SETTINGS 0', 'WINDOW_UPDATE 0 983041']);
  client.says(PREFACE, settings());
  assert.deepEqual(client.hears(), ['SETTINGS 0 ACK']);
});

test('anything but the preface, and but SETTINGS behind it, is refused (§3.4)', () => {
  for (const bytes of [
    Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'),
    Buffer.concat([PREFACE, frame(PING, 0, 0, '12345678')]),
    Buffer.concat([PREFACE, frame(SETTINGS, ACK, 0)]),
  ]) {
    const stage = new Stage(ROUTES);
    const client = stage.connect();
    client.says(bytes);
    assert.equal(client.hears().at(-1), 'GOAWAY 0 PROTOCOL_ERROR');
    assert.deepEqual(stage.faults, ['http2.preface']);
  }
});

test('a window that is made smaller may be below zero, and is waited for (§6.9.2)', () => {
  const client = new Stage(ROUTES).open(4, 3);
  client.asks(1);
  assert.equal(client.hears().at(-1), 'DATA 1 GET');
  client.says(settings(4, 2));
  client.says(frame(WINDOW_UPDATE, 0, 1, number32(1)));
  assert.deepEqual(client.hears(), ['SETTINGS 0 ACK']);
  client.says(frame(WINDOW_UPDATE, 0, 1, number32(1)));
  assert.deepEqual(client.hears(), ['DATA 1  ']);
  client.says(settings(4, 100));
  assert.deepEqual(client.hears(), ['SETTINGS 0 ACK', 'DATA 1 / END_STREAM']);
});

test('the window of the connection holds all streams back, and not what has no body (§6.9.1)', () => {
  const client = new Stage((exchange) => {
    if (exchange.method === 'HEAD') answerText(exchange, 200, 'x');
    else large(50_000)(exchange);
  }).open();
  client.asks(1);
  client.asks(3);
  assert.deepEqual(dataOf(client.frames(100)), ['1:16384', '1:16384', '1:16384', '1:848.', '3:15535']);
  client.asks(5, { ':method': 'HEAD' });
  assert.match(client.hears()[0]!, /^HEADERS 5 :status=200 .*END_STREAM$/);
  client.says(frame(WINDOW_UPDATE, 0, 0, number32(100_000)));
  assert.deepEqual(dataOf(client.frames(100)), ['3:16384', '3:16384', '3:1697.']);
});

test('bodies go by urgency, one after the other, and in turn where they are incremental (RFC 9218 §4, §10)', () => {
  const waiting: Exchange[] = [];
  const client = new Stage((exchange) => void waiting.push(exchange)).open(4, 1_000_000);
  client.says(frame(WINDOW_UPDATE, 0, 0, number32(1_000_000)));
  const asked: [number, string | null][] = [
    [1, null],
    [3, 'u=5'],
    [5, 'u=1, i'],
    [7, 'u=1, i'],
    [9, 'u=0'],
  ];
  for (const [stream, priority] of asked) client.asks(stream, priority === null ? {} : { priority });
  // The client changes its mind about the least urgent.
  client.says(frame(PRIORITY_UPDATE, 0, 0, Buffer.concat([number32(3), Buffer.from('u=0')])));
  client.frames();
  for (const exchange of waiting) large(20_000)(exchange);
  assert.deepEqual(dataOf(client.frames(100)), [
    ...['3:16384', '3:3616.', '9:16384', '9:3616.'],
    ...['5:16384', '7:16384', '5:3616.', '7:3616.'],
    ...['1:16384', '1:3616.'],
  ]);
});

test('a priority that comes before its request is kept for it (RFC 9218 §7.1)', () => {
  const waiting: Exchange[] = [];
  const client = new Stage((exchange) => void waiting.push(exchange)).open();
  client.says(frame(PRIORITY_UPDATE, 0, 0, Buffer.concat([number32(3), Buffer.from('u=0')])));
  client.asks(1);
  client.asks(3);
  client.frames();
  for (const exchange of waiting) large(20_000)(exchange);
  assert.deepEqual(dataOf(client.frames(100)), ['3:16384', '3:3616.', '1:16384', '1:3616.']);
});

test('what waits on a stream is bounded, and its handler told when there is room', () => {
  let told = 0;
  let exchange!: Exchange;
  const stage = new Stage((made) => {
    exchange = made;
    made.respond(200, new Fields());
    made.on = { ...made.on, writable: () => void told++ };
  });
  const client = stage.open();
  client.asks(1);
  client.frames();
  const piece = Buffer.alloc(10_000);
  let written = 0;
  for (; exchange.room > 0; written += piece.length) exchange.share(piece, 0, piece.length);
  exchange.flush();
  assert.ok(written >= 262_144 && written < 280_000, String(written));
  client.frames(100);
  assert.equal(told, 0, 'only a window of it has left');
  client.says(frame(WINDOW_UPDATE, 0, 0, number32(1_000_000)), frame(WINDOW_UPDATE, 0, 1, number32(150_000)));
  client.frames(100);
  assert.equal(told, 1);
  assert.ok(exchange.room > 0);
});

test('no window for what waits is not for ever, and ends one stream only', () => {
  const stage = new Stage((exchange) => large(exchange.target === '/' ? 10 : 1_000)(exchange), {
    limits: { sendMs: 1_000, idleMs: 60_000 },
  });
  const client = stage.open(4, 500);
  client.asks(1, { ':path': '/more' });
  assert.deepEqual(dataOf(client.frames()), ['1:500']);
  client.asks(3);
  assert.deepEqual(client.hears(3_000).slice(1), ['DATA 3 xxxxxxxxxx END_STREAM', 'RST_STREAM 1 ENHANCE_YOUR_CALM']);
  client.asks(5);
  assert.equal(client.hears().at(-1), 'DATA 5 xxxxxxxxxx END_STREAM');
});

test('a client that takes nothing of what is sent is left', () => {
  const stage = new Stage(large(1_000_000), { limits: { sendMs: 1_000 }, window: 10_000 });
  const client = stage.open(4, 10_000_000);
  client.says(frame(WINDOW_UPDATE, 0, 0, number32(10_000_000)));
  client.peer.pipe.pause();
  client.asks(1);
  client.frames(5_000);
  assert.deepEqual(stage.faults, ['http2.slowReader']);
  assert.equal(stage.world.bugs.length, 0);
});

test('requests are not begun while a mebibyte waits to be taken', () => {
  let begun = 0;
  const stage = new Stage(
    (exchange) => {
      begun++;
      large(100_000)(exchange);
    },
    { window: 10_000 },
  );
  const client = stage.open(4, 10_000_000);
  client.says(frame(WINDOW_UPDATE, 0, 0, number32(100_000_000)));
  client.frames();
  client.peer.pipe.pause();
  for (let stream = 1; stream < 200; stream += 2) {
    client.asks(stream);
    client.frames(5);
  }
  assert.ok(begun < 60, `${begun} were begun`);
  client.peer.pipe.resume();
  client.frames(5_000);
  assert.equal(begun, 100);
});

test('of a body that is not read a window comes, and more when it is', () => {
  let exchange!: Exchange;
  let read = 0;
  const stage = new Stage((made) => {
    exchange = made;
    made.body({
      receive(_input, start, end) {
        read += end - start;
        return end;
      },
      trailers() {},
      finish: () => answerText(made, 200, String(read)),
      lost() {},
    });
    made.pause();
  });
  const client = stage.open();
  client.asks(1, { ':method': 'POST' }, false);
  for (let at = 0; at < 4; at++) client.says(frame(DATA, 0, 1, Buffer.alloc(16_000)));
  assert.deepEqual(client.hears(), []);
  assert.equal(read, 0);
  exchange.resume();
  assert.deepEqual(client.hears(), ['WINDOW_UPDATE 1 64000']);
  assert.equal(read, 64_000);
  client.says(frame(DATA, 1, 1, 'end'));
  assert.equal(client.hears().at(-1), 'DATA 1 64003 END_STREAM');
});

test('streams that nobody reads hold the connection back, and no stream that is read', () => {
  const stage = new Stage(
    (exchange) => {
      exchange.body({ receive: (_input, _start, end) => end, trailers() {}, finish() {}, lost() {} });
      if (exchange.target === '/paused') exchange.pause();
    },
    { limits: { connectionWindowBytes: 262_144 } },
  );
  const client = stage.open();
  let credit = 65_535;
  const windows = (ms = 50) => {
    for (const { type, stream, payload } of client.frames(ms))
      if (type === WINDOW_UPDATE && stream === 0) credit += payload.readUInt32BE();
  };
  credit = 262_144;
  for (let stream = 1; stream <= 7; stream += 2) {
    client.asks(stream, { ':method': 'POST', ':path': '/paused' }, false);
    for (let at = 0; at < 4; at++) client.says(frame(DATA, 0, stream, Buffer.alloc(16_000)));
    credit -= 64_000;
    windows();
  }
  // Half of the window is kept unread: no more is given for it.
  assert.ok(credit < 100_000, `${credit} are allowed`);
  assert.deepEqual(stage.faults, []);
});

test('a body that nobody reads is let pass up to a bound, and refused behind the answer (§8.1)', () => {
  const stage = new Stage((exchange) => answerText(exchange, 413, 'no'), { limits: { discardBytesMax: 20_000 } });
  const client = stage.open();
  client.asks(1, { ':method': 'POST' }, false);
  const heard = client.hears();
  assert.equal(heard.at(-1), 'DATA 1 no END_STREAM');
  client.says(frame(DATA, 0, 1, Buffer.alloc(16_000)));
  assert.deepEqual(client.hears(), []);
  client.says(frame(DATA, 0, 1, Buffer.alloc(16_000)));
  assert.deepEqual(client.hears(), ['RST_STREAM 1 NO_ERROR']);
  // One that says beforehand that it is longer is refused at once.
  client.asks(3, { ':method': 'POST', 'content-length': '1000000' }, false);
  assert.deepEqual(client.hears().slice(1), ['DATA 3 no END_STREAM', 'RST_STREAM 3 NO_ERROR']);
  assert.deepEqual(stage.faults, []);
});

test('100-continue is said when somebody wants the body (RFC 9110 §10.1.1)', () => {
  const client = new Stage(ROUTES).open();
  client.asks(1, { ':method': 'POST', expect: '100-continue' }, false);
  assert.deepEqual(client.hears(), ['HEADERS 1 :status=100']);
  client.says(frame(DATA, 1, 1, 'text'));
  assert.equal(client.hears().at(-1), 'DATA 1 text END_STREAM');
});

test('fields that are too many or too long are answered with 431, and the table follows', () => {
  const stage = new Stage(ROUTES, { limits: { headBytesMax: 2_000, fieldsMax: 10 } });
  const client = stage.open();
  client.asks(1, { 'x-long': 'y'.repeat(3_000) });
  assert.match(client.hears().join(' '), /HEADERS 1 :status=431/);
  client.asks(3, Object.fromEntries(Array.from({ length: 20 }, (_, at) => [`x-${at}`, 'y'])));
  assert.match(client.hears().join(' '), /HEADERS 3 :status=431/);
  client.asks(5, { 'x-0': 'y' });
  assert.match(client.hears().join(' '), /HEADERS 5 :status=200/);
});

test('cookies that come apart are one (§8.2.3)', () => {
  let cookie: string | null = null;
  const client = new Stage((exchange) => {
    cookie = exchange.fields.get('cookie');
    answerText(exchange, 200, '');
  }).open();
  const fields = [
    [':method', 'GET'],
    [':scheme', 'http'],
    [':path', '/'],
    ['cookie', 'a=b'],
    ['cookie', 'c=d'],
  ] as const;
  client.says(frame(HEADERS, END_HEADERS | 1, 1, client.block(fields)));
  assert.match(client.hears().join(' '), /:status=200/);
  assert.equal(cookie, 'a=b; c=d');
});

test('a handler that throws fails its request only, and says so in the log', () => {
  const stage = new Stage((exchange) => {
    if (exchange.target === '/late') exchange.respond(200, new Fields(), 10);
    if (exchange.target !== '/') throw new Error('a mistake');
    answerText(exchange, 200, 'fine');
  });
  const client = stage.open();
  client.asks(1, { ':path': '/early' });
  client.asks(3, { ':path': '/late' });
  client.asks(5);
  const heard = client.hears().join(' ');
  assert.match(heard, /HEADERS 1 :status=500/);
  assert.match(heard, /RST_STREAM 3 INTERNAL_ERROR/);
  assert.match(heard, /DATA 5 fine END_STREAM/);
  assert.equal(stage.logged.length, 2);
});

test('an answer that is not as long as it said is reset', () => {
  const client = new Stage((exchange) => {
    exchange.respond(200, new Fields(), 10);
    exchange.share(Buffer.from('short'), 0, 5);
    exchange.end();
  }).open();
  client.asks(1);
  assert.equal(client.hears().at(-1), 'RST_STREAM 1 INTERNAL_ERROR');
});

test('a field that cannot be sent is a bug of the handler’s, and the table stays true', () => {
  const stage = new Stage((exchange) => {
    if (exchange.target === '/bad') answerText(exchange, 200, '', Fields.of({ 'x-good': 'a', 'x-bad': 'a\r\nb' }));
    else answerText(exchange, 200, 'fine', Fields.of({ 'x-good': 'a' }));
  });
  const client = stage.open();
  for (const stream of [1, 3, 5, 7]) client.asks(stream, { ':path': stream === 3 ? '/bad' : '/' });
  const heard = client.hears().join('\n');
  assert.match(heard, /HEADERS 3 :status=500/);
  assert.match(heard, /HEADERS 7 :status=200 server=Portico x-good=a/);
});

test('answers that are alike are the same, whatever stands between them', () => {
  let count = 0;
  const client = new Stage((exchange) => {
    const fields = Fields.of({ etag: `"${count++ % 3}"`, 'content-type': 'text/plain' });
    answerText(exchange, 200, 'x'.repeat(count % 5), fields);
  }).open();
  for (let stream = 1; stream < 60; stream += 2) {
    client.asks(stream);
    const n = (stream - 1) / 2;
    const length = (n + 1) % 5;
    const [head] = client.hears();
    const type = 'content-type=text/plain; charset=utf-8';
    assert.equal(
      head,
      `HEADERS ${stream} :status=200 server=Portico etag="${n % 3}" ${type} content-length=${length}${length === 0 ? ' END_STREAM' : ''}`,
    );
  }
});

// ---- ends ----------------------------------------------------------------------------------------------------------

test('a server that stops says so, takes what was on its way, answers it, and ends (§6.8)', () => {
  const waiting: Exchange[] = [];
  const left: string[] = [];
  const stage = new Stage((exchange) => {
    waiting.push(exchange);
    exchange.on = { ...exchange.on, leave: (why) => void left.push(why) };
  });
  const client = stage.open();
  client.asks(1);
  client.frames();
  client.server.leave(SHUTDOWN, 10_000);
  assert.deepEqual(client.hears(), ['GOAWAY 2147483647 NO_ERROR', 'PING 0']);
  assert.deepEqual(left, [SHUTDOWN]);
  client.asks(3);
  client.says(frame(PING, ACK, 0, Buffer.alloc(8)));
  assert.deepEqual(client.hears(), ['GOAWAY 3 NO_ERROR']);
  client.asks(5);
  assert.deepEqual(client.hears(), ['RST_STREAM 5 REFUSED_STREAM']);
  for (const exchange of waiting) answerText(exchange, 200, 'done');
  assert.deepEqual(
    client.hears().filter((line) => line.startsWith('DATA')),
    ['DATA 1 done END_STREAM', 'DATA 3 done END_STREAM'],
  );
  assert.ok(client.peer.heardEnd);
  assert.deepEqual(stage.faults, []);
});

test('one without requests ends at once; silence does the same; overload says to be calm', () => {
  const idle = new Stage(ROUTES, { limits: { idleMs: 5_000 } });
  for (const go of [
    (client: Client) => client.server.leave(SHUTDOWN, 1_000),
    (client: Client) => void client.frames(6_000),
  ]) {
    const client = idle.open();
    client.asks(1);
    client.frames();
    const before = client.peer.received.length;
    go(client);
    client.frames();
    const bytes = client.peer.received.subarray(before);
    assert.equal(bytes.toString('hex'), '000008070000000000' + '0000000100000000');
    assert.ok(client.peer.heardEnd);
  }
  const client = new Stage(ROUTES).open();
  client.asks(1, { ':path': '/slow' });
  client.frames();
  client.server.leave(OVERLOADED, 1_000);
  assert.equal(client.hears()[0], 'GOAWAY 2147483647 ENHANCE_YOUR_CALM');
});

test('a client that goes away is answered what it asked (§6.8)', () => {
  let waiting!: Exchange;
  const client = new Stage((exchange) => void (waiting = exchange)).open();
  client.asks(1);
  client.says(frame(GOAWAY, 0, 0, Buffer.alloc(8)), frame(GOAWAY, 0, 0, Buffer.alloc(8)));
  assert.deepEqual(client.hears(), ['GOAWAY 1 NO_ERROR']);
  // What it asks nevertheless may be asked again elsewhere (§8.7).
  client.asks(3);
  assert.deepEqual(client.hears(), ['RST_STREAM 3 REFUSED_STREAM']);
  answerText(waiting, 200, 'done');
  assert.equal(client.hears().at(-1), 'DATA 1 done END_STREAM');
  assert.ok(client.peer.heardEnd);
});

test('an end of the client’s side waits for the answers, and is a fault within a frame', () => {
  let waiting!: Exchange;
  const whole = new Stage((exchange) => void (waiting = exchange)).open();
  whole.asks(1);
  whole.peer.pipe.end();
  whole.frames();
  answerText(waiting, 200, 'done');
  assert.equal(whole.hears().at(-1), 'DATA 1 done END_STREAM');
  const stage = new Stage(ROUTES);
  const half = stage.open();
  half.asks(1, { ':method': 'POST' }, false);
  half.says(frame(DATA, 0, 1, 'whole').subarray(0, 11));
  half.peer.pipe.end();
  half.frames();
  assert.deepEqual(stage.faults, ['http2.incomplete']);
});

test('a connection that is cut is told to every request, once', () => {
  const told: string[] = [];
  const stage = new Stage((exchange) => {
    exchange.on = { ...exchange.on, lost: (cause) => void told.push(`${exchange.target} ${cause}`) };
  });
  const client = stage.open();
  client.asks(1, { ':path': '/a' });
  client.asks(3, { ':path': '/b' });
  client.frames();
  client.peer.pipe.reset(0);
  client.frames();
  assert.deepEqual(told, ['/a reset', '/b reset']);
});

test('RST_STREAM ends its request with the code, and no other', () => {
  const told: string[] = [];
  const stage = new Stage((exchange) => {
    exchange.on = { ...exchange.on, lost: (cause, wire) => void told.push(`${exchange.target} ${cause} ${wire}`) };
  });
  const client = stage.open();
  client.asks(1, { ':path': '/a' });
  client.asks(3, { ':path': '/b' });
  client.says(frame(RST_STREAM, 0, 1, number32(8)));
  client.frames();
  assert.deepEqual(told, ['/a reset 8']);
});

test('a preface, SETTINGS, or a header block that does not come is not waited for', () => {
  const stage = new Stage(ROUTES, { limits: { headMs: 1_000 } });
  const silent = stage.connect();
  silent.frames(2_000);
  const half = stage.open();
  half.says(frame(HEADERS, 1, 1, half.block({ ':method': 'GET' })));
  half.frames(2_000);
  const deaf = stage.connect();
  deaf.says(PREFACE, settings());
  assert.deepEqual(deaf.hears(2_000).at(-1), 'GOAWAY 0 SETTINGS_TIMEOUT');
  assert.deepEqual(stage.faults, ['http2.slowHead', 'http2.slowHead', 'http2.settingsUnanswered']);
});

test('a body that comes too slowly ends its request', () => {
  const stage = new Stage(ROUTES, { limits: { bodyMs: 1_000, bodyBytesMin: 100 } });
  const client = stage.open();
  client.asks(1, { ':method': 'POST' }, false);
  for (let at = 0; at < 3; at++) {
    client.says(frame(DATA, 0, 1, Buffer.alloc(110)));
    assert.deepEqual(client.hears(900), []);
  }
  client.says(frame(DATA, 0, 1, Buffer.alloc(10)));
  assert.deepEqual(client.hears(2_500), ['RST_STREAM 1 ENHANCE_YOUR_CALM']);
});

test('after so many requests the client is asked to begin anew', () => {
  const client = new Stage(ROUTES, { limits: { requestsMax: 2 } }).open();
  client.asks(1);
  client.frames();
  client.asks(3);
  const heard = client.hears();
  assert.ok(heard.includes('DATA 3 GET / END_STREAM'), heard.join(' | '));
  assert.ok(heard.some((line) => line.startsWith('GOAWAY')));
  assert.ok(client.peer.heardEnd);
});
