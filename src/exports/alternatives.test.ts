// What Alt-Svc says (RFC 7838), and what is remembered of it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Alternatives, readAltSvc } from './alternatives.ts';

test('where HTTP/3 is spoken, of a list of alternatives (RFC 7838 §3)', () => {
  const rows: [string, [string, number, number] | null][] = [
    ['h3=":8443"; ma=600', ['', 8_443, 600]],
    ['h3=":443"', ['', 443, 86_400]],
    ['h2=":8000", h3="alt.example:50781"; persist=1; ma=3600', ['alt.example', 50_781, 3_600]],
    ['h3-29=":1";ma=5,h3="[2001:db8::1]:2";ma="7"', ['2001:db8::1', 2, 7]],
    ['h3=":1", h3=":2"', ['', 1, 86_400]],
    ['h3=":1"; ma=99999999', ['', 1, 2_592_000]],
    ['clear', null],
    ['', null],
    ['h3=:1', null],
    ['h3=":0"', null],
    ['h3=":65536"', null],
    ['h2=":1"', null],
    ['nonsense, h3=":1"', null],
  ];
  for (const [text, expected] of rows) {
    const found = readAltSvc(text);
    assert.deepEqual(found && [found.host, found.port, found.seconds], expected, text);
  }
});

test('alternatives age, are cleared, and left alone for longer each time they fail', () => {
  const known = new Alternatives();
  const origin = 'https://a.example';
  known.learn(origin, 'h3=":1"; ma=10', 0);
  assert.equal(known.find(origin, 9_999)?.port, 1);
  assert.equal(known.find(origin, 10_000), null);
  known.learn(origin, 'h3=":1"; ma=100000', 0);
  known.learn(origin, null, 0);
  known.failed(origin, 0);
  assert.equal(known.find(origin, 1_999), null);
  assert.equal(known.find(origin, 2_000)?.port, 1);
  known.failed(origin, 2_000);
  // That it is announced again changes nothing.
  known.learn(origin, 'h3=":1"; ma=100000', 2_500);
  assert.equal(known.find(origin, 5_999), null);
  assert.equal(known.find(origin, 6_000)?.port, 1);
  known.worked(origin);
  known.failed(origin, 6_000);
  assert.equal(known.find(origin, 8_000)?.port, 1);
  for (let count = 0; count < 30; count++) known.failed(origin, 8_000);
  assert.equal(known.find(origin, 8_000 + 300_000)?.port, 1);
  // Elsewhere it may work.
  known.failed(origin, 8_000);
  known.learn(origin, 'h3=":2"', 8_001);
  assert.equal(known.find(origin, 8_002)?.port, 2);
  known.learn(origin, 'clear', 0);
  assert.equal(known.find(origin, 0), null);
});

test('so many are remembered, and no more', () => {
  const known = new Alternatives();
  for (let at = 0; at < 3_000; at++) known.learn(`https://${at}.example`, 'h3=":1"', 0);
  assert.equal(known.find('https://0.example', 0), null);
  assert.equal(known.find('https://1975.example', 0), null);
  assert.equal(known.find('https://1976.example', 0)?.port, 1);
});
