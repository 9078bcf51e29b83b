// The standard's examples of streams, and any bytes (WHATWG HTML §9.2.6).
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { BAD, MORE } from '../../bytes/reader.ts';
import type { Enveloped } from '../../formats/envelope.ts';
import { EventReader } from './codec.ts';
import { sseDissector } from './dissect.ts';
import { eventFrame, isCarried } from './encode.ts';

/** All events of a stream that comes in pieces, as `type|data|id`. */
function eventsOf(stream: string | Buffer, cut = Number.POSITIVE_INFINITY): string[] {
  const reader = new EventReader(100_000);
  const bytes = Buffer.from(stream);
  const events: string[] = [];
  let kept = Buffer.alloc(0);
  for (let at = 0; at < bytes.length; at += cut) {
    kept = Buffer.concat([kept, bytes.subarray(at, Math.min(bytes.length, at + cut))]);
    for (let next = reader.read(kept, 0, kept.length); next >= 0; next = reader.read(kept, 0, kept.length)) {
      kept = kept.subarray(next);
      if (reader.isEvent) events.push(`${reader.type}|${reader.data}|${reader.id}`);
    }
    if (cut === Number.POSITIVE_INFINITY) break;
  }
  return events;
}

test('the standard’s examples', () => {
  assert.deepEqual(eventsOf('data: YHOO\ndata: +2\ndata: 10\n\n'), ['message|YHOO\n+2\n10|']);
  const blocks = ': test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n';
  assert.deepEqual(eventsOf(blocks), ['message|first event|1', 'message|second event|', 'message| third event|']);
  // The third has no end and is discarded.
  assert.deepEqual(eventsOf('data\n\ndata\ndata\n\ndata:'), ['message||', 'message|\n|']);
  assert.deepEqual(eventsOf('data:test\n\ndata: test\n\n'), ['message|test|', 'message|test|']);
  assert.deepEqual(eventsOf('event: add\ndata: 73857293\n\nevent: remove\ndata: 2153\n\n'), [
    'add|73857293|',
    'remove|2153|',
  ]);
});

test('line ends, byte order mark, NUL in ids, ids without data, unknown fields', () => {
  assert.deepEqual(eventsOf('data: a\r\ndata: b\rdata: c\n\r\n'), ['message|a\nb\nc|']);
  assert.deepEqual(eventsOf('data: a\r\rdata: b\r\n\r\n'), ['message|a|', 'message|b|']);
  assert.deepEqual(eventsOf('\ufeffdata: a\n\n'), ['message|a|']);
  assert.deepEqual(eventsOf('id: 1\ndata: a\n\nid: 2\0\ndata: b\n\n'), ['message|a|1', 'message|b|1']);
  assert.deepEqual(eventsOf('id: 7\n\ndata: a\n\n'), ['message|a|7']);
  assert.deepEqual(eventsOf('x: 1\nDATA: 2\ndata: a\n\n'), ['message|a|']);
});

test('retry is digits', () => {
  const reader = new EventReader(100);
  for (const [text, ms] of [
    ['retry: 10\n\n', 10],
    ['retry: 1s\n\n', -1],
    ['retry:\n\n', -1],
  ] as const) {
    reader.retryMs = -1;
    reader.read(Buffer.from(text), 0, text.length);
    assert.equal(reader.retryMs, ms, text);
  }
});

test('an event that is too long is refused, not waited for', () => {
  const reader = new EventReader(10);
  assert.equal(reader.read(Buffer.from('data: 5678'), 0, 10), MORE);
  assert.equal(reader.read(Buffer.from('data: 56789'), 0, 11), BAD);
  assert.equal(reader.fault?.id, 'sse.eventTooLong');
});

test('however a stream is cut, its events are the same', () => {
  const line = fc.constantFrom('data: a', 'data', 'data:b', 'id: 1', 'id', 'event: x', ':', 'retry: 1', '', 'x');
  const end = fc.constantFrom('\n', '\r\n', '\r');
  fc.assert(
    fc.property(fc.array(fc.tuple(line, end)), fc.integer({ min: 1, max: 9 }), (lines, cut) => {
      const stream = lines.map(([text, terminator]) => text + terminator).join('');
      // An LF at the very end may belong to a CR that ended an event.
      assert.deepEqual(eventsOf(stream, cut), eventsOf(stream));
    }),
  );
});

test('any bytes are read to their end', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void eventsOf(Buffer.from(bytes), 7)));
});

const message = (payload: Uint8Array): Enveloped => ({
  topic: 'a/b',
  payload,
  contentType: '',
  properties: [],
  responseTopic: '',
  correlation: null,
  publisher: '',
  time: 1,
  expiry: Number.POSITIVE_INFINITY,
  retain: false,
  cursor: 5,
});

test('any text without CR comes back as it was, everything else in base64', () => {
  const text = fc.string({ unit: 'binary' }).map((each) => Buffer.from(each));
  const lines = fc
    .array(fc.constantFrom('a', '', ' ', '\n', '\r', '\0', ':'))
    .map((parts) => Buffer.from(parts.join('')));
  const bytes = fc.uint8Array().map((each) => Buffer.from(each));
  fc.assert(
    fc.property(fc.oneof(text, lines, bytes), fc.integer({ min: 1, max: 50 }), (payload, cut) => {
      const [event, ...more] = eventsOf(eventFrame(message(payload), 'text', 'live'), cut);
      assert.deepEqual(more, []);
      if (isCarried(payload)) assert.equal(event, `message|${payload.toString()}|5`);
      else assert.equal(event, `binary|${payload.toString('base64')}|5`);
    }),
  );
});

test('the ways of writing a message', () => {
  const hi = message(Buffer.from('hi'));
  const shown = (mode: 'text' | 'base64' | 'json' | 'json64', kind: 'live' | 'retained' | 'named') =>
    eventFrame(hi, mode, kind).toString();
  assert.equal(shown('text', 'live'), 'id: 5\ndata: hi\n\n');
  assert.equal(shown('text', 'retained'), 'data: hi\n\n');
  assert.equal(shown('text', 'named'), 'event: retained\ndata: hi\n\n');
  assert.equal(shown('base64', 'live'), 'id: 5\ndata: aGk=\n\n');
  assert.equal(shown('json', 'live'), 'id: 5\ndata: {"topic":"a/b","payload":"hi","time":1,"cursor":"5"}\n\n');
  assert.match(shown('json64', 'named'), /^event: retained\ndata: \{"topic":"a\/b","base64":"aGk=",.*"retained":true/);
  const binary = eventFrame(message(Buffer.of(255)), 'text', 'named').toString();
  assert.equal(binary, 'event: retained-binary\ndata: /w==\n\n');
});

test('the inspector shows events', () => {
  const dissector = sseDissector('out', false);
  const bytes = Buffer.from('retry: 1\n\nid: 5\nevent: x\ndata: hi\n\n: quiet\n\ndata: half');
  const pieces = [...dissector.push(bytes, 0, 20), ...dissector.push(bytes, 20, bytes.length)];
  assert.deepEqual(
    pieces.map(({ label, value, start, end }) => [label, value, bytes.toString('utf8', start, end)]),
    [
      ['no event', '', 'retry: 1\n\n'],
      ['event', 'x', 'id: 5\nevent: x\ndata: hi\n\n'],
      ['no event', '', ': quiet\n\n'],
    ],
  );
  assert.deepEqual(
    pieces[1]!.pieces!.map(({ label, value }) => [label, value]),
    [
      ['id', '5'],
      ['data', 'hi'],
    ],
  );
  const late = sseDissector('out', true).push(Buffer.from('f an event\n\ndata: x\n\n'), 0, 21);
  assert.deepEqual(
    late.map(({ value }) => value),
    ['its beginning was not seen', 'message'],
  );
});
