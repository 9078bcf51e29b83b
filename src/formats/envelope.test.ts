import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Enveloped, quoted, writeEnvelope, writeGap } from './envelope.ts';

const message = (more: Partial<Enveloped> = {}): Enveloped => ({
  topic: 'a/b',
  payload: Buffer.from('hi'),
  contentType: '',
  properties: [],
  responseTopic: '',
  correlation: null,
  publisher: '',
  time: 1_000,
  expiry: Number.POSITIVE_INFINITY,
  retain: false,
  cursor: 0,
  ...more,
});

test('what is not there is left out', () => {
  assert.equal(writeEnvelope(message()), '{"topic":"a/b","payload":"hi","time":1000}');
});

test('everything a message has', () => {
  const whole = message({
    contentType: 'text/plain',
    properties: ['a', '1', 'a', '2'],
    responseTopic: 'r',
    correlation: Buffer.of(255),
    publisher: 'ann',
    expiry: 2_000,
    retain: true,
    cursor: 9_007_199_254_740_991,
  });
  assert.deepEqual(JSON.parse(writeEnvelope(whole, { retained: true })), {
    topic: 'a/b',
    payload: 'hi',
    contentType: 'text/plain',
    properties: [
      ['a', '1'],
      ['a', '2'],
    ],
    responseTopic: 'r',
    correlation: '/w==',
    publisher: 'ann',
    time: 1_000,
    expiry: 2_000,
    retain: true,
    retained: true,
    cursor: '9007199254740991',
  });
});

test('a payload that is not UTF-8, or when asked, is base64', () => {
  assert.equal(JSON.parse(writeEnvelope(message({ payload: Buffer.of(0xff, 0) }))).base64, '/wA=');
  const asked = JSON.parse(writeEnvelope(message(), { base64: true }));
  assert.equal(asked.base64, 'aGk=');
  assert.equal(asked.payload, undefined);
});

test('any payload comes back, on one line', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.string({ unit: 'binary' }), (payload, topic) => {
      const json = writeEnvelope(message({ payload, topic }));
      assert.doesNotMatch(json, /\p{Cc}|\u2028|\u2029/u);
      const read = JSON.parse(json) as Record<string, string>;
      const back = read.base64 === undefined ? Buffer.from(read.payload!) : Buffer.from(read.base64, 'base64');
      assert.deepEqual(Buffer.from(payload), back);
      assert.equal(read.topic, topic);
    }),
  );
});

test('text comes back', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.equal(JSON.parse(quoted(text)), text);
    }),
  );
});

test('a gap', () => {
  assert.equal(writeGap('a/#', 3, 9), '{"gap":{"filter":"a/#","after":"3","from":"9"}}');
});
