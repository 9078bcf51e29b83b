// The client half of server-sent events, by the examples of the standard.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { AGAIN, EventStream, type ServerEvent, STOP, STREAM } from './client.ts';

function events(text: string | Buffer, cuts: readonly number[] = [], stream = new EventStream()): ServerEvent[] {
  const bytes = Buffer.from(text);
  const got: ServerEvent[] = [];
  assert.equal(stream.answered(200, 'text/event-stream', null), STREAM);
  const at = [0, ...cuts.filter((cut) => cut < bytes.length).sort((one, two) => one - two), bytes.length];
  for (let index = 1; index < at.length; index++) {
    // As a carrier does, the bytes are overwritten once they were taken.
    const piece = Buffer.from(bytes.subarray(at[index - 1], at[index]));
    assert.equal(
      stream.receive(piece, 0, piece.length, (event) => got.push(event)),
      null,
    );
    piece.fill(0x58);
  }
  return got;
}

const shown = (all: readonly ServerEvent[]) => all.map(({ type, data, id }) => `${type}|${data}|${id}`);

/** WHATWG HTML §9.2.5 and §9.2.6: the examples, and the rules that they do not show. */
const VECTORS: [string, string, string[]][] = [
  ['stock ticker', 'data: YHOO\ndata: +2\ndata: 10\n\n', ['message|YHOO\n+2\n10|']],
  [
    'ids, a comment, an id that is reset',
    ': test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n',
    ['message|first event|1', 'message|second event|', 'message| third event|'],
  ],
  ['empty data; what is not ended is dropped', 'data\n\ndata\ndata\n\ndata:', ['message||', 'message|\n|']],
  [
    'one space behind the colon is none of the value',
    'data:test\n\ndata: test\n\n',
    ['message|test|', 'message|test|'],
  ],
  [
    'names of events',
    'event: add\ndata: 7\n\nevent: remove\ndata: 2\n\nevent:\ndata: x\n\n',
    ['add|7|', 'remove|2|', 'message|x|'],
  ],
  [
    'CR, LF and CRLF end lines',
    'data: a\r\rdata: b\n\ndata: c\r\n\r\ndata: d\r\n\n',
    ['message|a|', 'message|b|', 'message|c|', 'message|d|'],
  ],
  ['a byte order mark, once', '\ufeffdata: a\n\n\ufeffdata: b\n\n', ['message|a|']],
  ['an id with NUL is ignored', 'id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n', ['message|a|1', 'message|b|1']],
  ['unknown fields are ignored', 'foo: bar\ndata: a\nDATA: b\n\n', ['message|a|']],
  ['a name without data is no event, and is forgotten', 'event: x\n\ndata: a\n\n', ['message|a|']],
];

for (const [name, text, expected] of VECTORS) {
  test(`vector: ${name}`, () => {
    assert.deepEqual(shown(events(text)), expected);
    for (let cut = 1; cut < Buffer.byteLength(text); cut++) assert.deepEqual(shown(events(text, [cut])), expected);
    const all = Array.from({ length: Buffer.byteLength(text) }, (_, at) => at);
    assert.deepEqual(shown(events(text, all)), expected);
  });
}

test('however the bytes are cut, the events are the same', () => {
  const word = fc.constantFrom(
    'data',
    'data: ',
    'id: 7',
    'event: e',
    'retry: 5',
    ':',
    '\r',
    '\n',
    '\r\n',
    '\n\n',
    'ä',
    ' ',
  );
  fc.assert(
    fc.property(fc.array(word, { maxLength: 40 }), fc.array(fc.nat(120), { maxLength: 10 }), (words, cuts) => {
      const text = words.join('');
      assert.deepEqual(shown(events(text, cuts)), shown(events(text)));
    }),
  );
});

test('the last id is kept for the next stream, also one that came without data', () => {
  const stream = new EventStream({ lastEventId: '3' });
  assert.deepEqual(shown(events('data: a\n\n', [], stream)), ['message|a|3']);
  events('id: 9\n\nid: 10\ndata: not ended', [], stream);
  assert.equal(stream.lastEventId, '9');
  stream.waitMs();
  assert.deepEqual(shown(events('data: b\n\n', [], stream)), ['message|b|9']);
});

test('retry is digits, and failures in a row wait longer', () => {
  const stream = new EventStream({ retryMs: 100 });
  events('retry: 1x\nretry: -1\nretry:\n\n', [], stream);
  assert.equal(stream.waitMs(), 100);
  events('retry: 50\n\n', [], stream);
  assert.deepEqual([stream.waitMs(), stream.waitMs(), stream.waitMs()], [50, 100, 200]);
  for (let round = 0; round < 20; round++) stream.waitMs();
  assert.equal(stream.waitMs(), 30_000);
  events('', [], stream);
  assert.equal(stream.waitMs(), 50);
  const patient = new EventStream({ retryMs: 90_000 });
  assert.equal(patient.waitMs(), 90_000);
  assert.equal(patient.waitMs(), 90_000);
});

test('what is a stream, what is tried again, and what is not (§9.2.3)', () => {
  const stream = new EventStream({ retryMs: 10 });
  assert.equal(stream.answered(200, 'text/event-stream; charset=utf-8', null), STREAM);
  assert.equal(stream.answered(200, 'TEXT/Event-Stream', null), STREAM);
  for (const [status, type] of [
    [204, null],
    [200, null],
    [200, 'text/event-streams'],
    [200, 'text/html'],
    [301, 'text/event-stream'],
    [401, 'application/problem+json'],
    [500, 'text/event-stream'],
  ] as const)
    assert.equal(stream.answered(status, type, null), STOP, `${status} ${type}`);
  assert.equal(stream.answered(503, null, '4'), AGAIN);
  assert.deepEqual([stream.waitMs(), stream.waitMs()], [4_000, 20]);
});

test('an event in many pieces is searched for its end once', () => {
  const stream = new EventStream();
  assert.equal(stream.answered(200, 'text/event-stream', null), STREAM);
  const line = Buffer.from(`data: ${'x'.repeat(58)}\r\n`);
  const got: ServerEvent[] = [];
  const began = performance.now();
  for (let round = 0; round < 120_000; round++)
    assert.equal(
      stream.receive(line, 0, line.length, (event) => got.push(event)),
      null,
    );
  stream.receive(Buffer.from('\n'), 0, 1, (event) => got.push(event));
  assert.equal(got[0]!.data.length, 120_000 * 59 - 1);
  // Searched anew for each piece these would be 400 billion bytes.
  assert.ok(performance.now() - began < 20_000);
});

test('an event that is too long is a fault', () => {
  const stream = new EventStream({ eventBytesMax: 100 });
  assert.equal(stream.answered(200, 'text/event-stream', null), STREAM);
  const long = Buffer.from(`data: ${'x'.repeat(200)}`);
  assert.equal(stream.receive(long, 0, long.length, () => assert.fail())?.id, 'sse.eventTooLong');
});
