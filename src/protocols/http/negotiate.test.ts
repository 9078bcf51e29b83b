import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Fields } from '../../core/fields.ts';
import { chooseCoding, chooseType, parseAccept, parseMediaType, prefers } from './negotiate.ts';

const accept = (value: string) => Fields.of({ accept: value });

test('media types and their parameters (RFC 9110 §8.3.1)', () => {
  for (const text of [
    'text/html;charset=utf-8',
    'Text/HTML;Charset="utf-8"',
    'text/html; charset="utf-8"',
    'text/html;charset=utf-8 ; ;',
  ]) {
    const media = parseMediaType(text);
    assert.equal(media?.type, 'text/html', text);
    assert.equal(media?.parameters.get('charset'), 'utf-8', text);
  }
  assert.equal(parseMediaType('multipart/mixed; boundary="a;\\"b,c"')?.parameters.get('boundary'), 'a;"b,c');
  for (const wrong of [
    '',
    'text',
    'text/',
    '/html',
    'a/b/c',
    'text/html;charset',
    'text/html;=x',
    'te xt/html',
    'a/b;c="d',
  ])
    assert.equal(parseMediaType(wrong), null, wrong);
});

test('the closest range counts (RFC 9110 §12.5.1)', () => {
  const fields = accept(
    'text/*;q=0.3, text/plain;q=0.7, text/plain;format=flowed, text/plain;format=fixed;q=0.4, */*;q=0.5',
  );
  const weight = (type: string) => {
    // Against a type of a known weight on either side.
    const ranges = parseAccept(fields)!;
    assert.equal(ranges.length, 5);
    for (let q = 0; q <= 10; q++) {
      const against = accept(`${fields.get('accept')}, x/y;q=${q / 10}`);
      if (chooseType(against, ['x/y', type]) === 'x/y') return q / 10;
    }
    return null;
  };
  // The table of §12.5.1.
  assert.equal(weight('text/plain;format=flowed'), 1);
  assert.equal(weight('text/plain'), 0.7);
  assert.equal(weight('text/html'), 0.3);
  assert.equal(weight('image/jpeg'), 0.5);
  assert.equal(weight('text/plain;format=fixed'), 0.4);
  assert.equal(weight('text/html;level=3'), 0.3);
});

test('of types, the first of those wanted most; none when none is taken (RFC 9110 §12.4.2, §15.5.7)', () => {
  const types = ['application/json', 'text/html'];
  assert.equal(chooseType(new Fields(), types), 'application/json');
  assert.equal(chooseType(accept('*/*'), types), 'application/json');
  assert.equal(chooseType(accept('text/html, */*;q=0.9'), types), 'text/html');
  assert.equal(chooseType(accept('text/html;q=0.000, */*;q=0.1'), types), 'application/json');
  assert.equal(chooseType(accept('image/png'), types), null);
  assert.equal(chooseType(accept('application/json;q=0, text/*;q=0'), types), null);
  assert.equal(chooseType(accept(''), types), 'application/json');
  assert.equal(
    chooseType(new Fields().append('accept', 'text/html;q=0.1').append('accept', 'application/json;q=0.2'), types),
    'application/json',
  );
});

test('an event stream is for those who name it above all', () => {
  for (const yes of [
    'text/event-stream',
    'Text/Event-Stream',
    'text/event-stream, */*',
    'application/json;q=0.9, text/event-stream',
    'text/event-stream;q=0.5, */*;q=0.1',
  ])
    assert.equal(prefers(accept(yes), 'text/event-stream'), true, yes);
  for (const no of [
    '*/*',
    'text/*',
    '',
    'application/json, text/event-stream;q=0.5',
    'text/event-stream;q=0',
    'text/event-streams',
  ])
    assert.equal(prefers(accept(no), 'text/event-stream'), false, no);
  assert.equal(prefers(new Fields(), 'text/event-stream'), false);
  const second = new Fields().append('accept', 'text/html;q=0.1').append('accept', 'text/event-stream');
  assert.equal(prefers(second, 'text/event-stream'), true);
});

test('codings (RFC 9110 §12.5.3)', () => {
  const of = (value: string | null) =>
    chooseCoding(value === null ? new Fields() : Fields.of({ 'accept-encoding': value }), ['zstd', 'br', 'gzip']);
  assert.equal(of(null), 'identity');
  assert.equal(of(''), 'identity');
  assert.equal(of('gzip, deflate, br, zstd'), 'zstd');
  assert.equal(of('gzip, deflate, br'), 'br');
  assert.equal(of('GZIP;Q=0.5'), 'gzip');
  assert.equal(of('x-gzip'), 'gzip');
  assert.equal(of('compress'), 'identity');
  assert.equal(of('*'), 'zstd');
  assert.equal(of('*;q=0'), null);
  assert.equal(of('gzip;q=0, *'), 'zstd');
  assert.equal(of('identity;q=0, gzip;q=0.1'), 'gzip');
  assert.equal(of('identity;q=0'), null);
  assert.equal(of('identity;q=0, compress'), null);
  assert.equal(of('identity, gzip;q=0.5'), 'identity');
  assert.equal(of('gzip;q=1.0, identity; q=0.5, *;q=0'), 'gzip');
  assert.equal(of('gzip;q=0'), 'identity');
  assert.equal(of('gzip;q=0.2, br ; q=0.8'), 'br');
});

test('whatever the fields hold, it does not throw', () => {
  fc.assert(
    fc.property(fc.string({ unit: fc.constantFrom(...'ab/*;=,q01."\\ é') }), (text) => {
      chooseType(accept(text), ['text/html']);
      prefers(accept(`text/html${text}`), 'text/html');
      chooseCoding(Fields.of({ 'accept-encoding': text }), ['gzip']);
      parseMediaType(text);
    }),
  );
});
