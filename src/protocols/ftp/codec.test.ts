import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ByteWriter } from '../../bytes/writer.ts';
import { MASKED, type Piece } from '../../core/tap.ts';
import {
  CommandLine,
  hostPortText,
  plainHost,
  quoted,
  readExtendedPort,
  readHostPort,
  readTime,
  resolvePath,
  timeText,
  unquoted,
} from './codec.ts';
import { ftpDissector } from './dissect.ts';
import { fits, longLine } from './listing.ts';
import { fromNetText, NetText } from './net-text.ts';

function read(text: string): CommandLine & { readonly told: string } {
  const bytes = Buffer.from(text, 'latin1');
  const line = new CommandLine();
  const out = new ByteWriter(100);
  line.read(bytes, 0, bytes.length, out);
  return Object.assign(line, { told: out.bytes.toString('latin1', 0, out.length) });
}

test('command lines: a verb in any case, one space, and the rest as it is', () => {
  for (const [text, verb, argument] of [
    ['NOOP', 'NOOP', ''],
    ['cwd  a b ', 'CWD', ' a b '],
    ['RETR \xc3\xa4', 'RETR', '\u00e4'],
    ['TOOLONG x', '', ''],
    ['CWD\tx', '', ''],
    ['1234', '', ''],
    ['', '', ''],
  ] as const) {
    const line = read(text);
    assert.deepEqual([line.verb, line.argument, line.isText], [verb, argument, true], text);
  }
  for (const text of ['CWD \xff\xffa', 'CWD \xe4', 'CWD a\0', 'CWD a\rb', 'CWD \x7f'])
    assert.equal(read(text).isText, false, text);
});

test('Telnet: IP and DM before ABOR, with DM gone, options refused (RFC 959 §4.1.3, RFC 854)', () => {
  for (const text of ['\xff\xf4\xff\xf2ABOR', '\xff\xf4\xffABOR', '\xffABOR', 'AB\xff\xf1OR', '\xff\xfb\x01ABOR'])
    assert.equal(read(text).verb, 'ABOR', text);
  assert.equal(read('\xff\xfb\x01\xff\xfd\x03NOOP').told, '\xff\xfe\x01\xff\xfc\x03');
  assert.equal(read('\xff\xfc\x01\xff\xfe\x03NOOP').told, '');
});

test('addresses (RFC 959 §5.3.2, the examples of RFC 2428 §2)', () => {
  assert.deepEqual(readHostPort('132,235,1,2,24,131'), { host: '132.235.1.2', port: 6_275 });
  assert.equal(hostPortText({ host: '132.235.1.2', port: 6_275 }), '132,235,1,2,24,131');
  for (const text of ['', '1,2,3,4,5', '1,2,3,4,5,256', '1,2,3,4,5,6,7', 'a,b,c,d,e,f', '-1,2,3,4,5,6'])
    assert.equal(readHostPort(text), null, text);
  assert.deepEqual(readExtendedPort('|1|132.235.1.2|6275|'), { host: '132.235.1.2', port: 6_275 });
  assert.deepEqual(readExtendedPort('|2|1080::8:800:200C:417A|5282|'), { host: '1080::8:800:200C:417A', port: 5_282 });
  assert.deepEqual(readExtendedPort('!1!1.2.3.4!1!'), { host: '1.2.3.4', port: 1 });
  assert.equal(readExtendedPort('|3|x|1|'), 0);
  for (const text of [
    '',
    '|1|1.2.3.4|1',
    '|1|::1|1|',
    '|2|1.2.3.4|1|',
    '|1|1.2.3.4|65536|',
    '|1|a.b|1|',
    ' 1 1.2.3.4 1 ',
  ])
    assert.equal(readExtendedPort(text), null, text);
  assert.equal(plainHost('::ffff:127.0.0.1'), '127.0.0.1');
  assert.equal(plainHost('0:0:0:0:0:0:0:1'), plainHost('::1'));
});

test('paths in quotes (RFC 959 appendix II), and paths that stay within', () => {
  assert.equal(quoted('/a"b'), '"/a""b"');
  assert.equal(unquoted('"/a""b" made'), '/a"b');
  assert.equal(unquoted('none'), null);
  for (const [here, name, path] of [
    ['', 'a', 'a'],
    ['a/b', 'c', 'a/b/c'],
    ['a/b', '/c', 'c'],
    ['a/b', '../../../../etc', 'etc'],
    ['a', './/b/./c/', 'a/b/c'],
    ['a', '/', ''],
    ['a', '..', ''],
    ['', '...', '...'],
    ['', 'a\\..\\b', 'a\\..\\b'],
  ] as const)
    assert.equal(resolvePath(here, name), path, `${here} ${name}`);
  fc.assert(
    fc.property(
      fc.string(),
      fc.array(fc.constantFrom('..', '.', '/', '//', 'a', 'b c', '~', '\u00e4')),
      (here, parts) => {
        const path = resolvePath(resolvePath('', here), parts.join('/'));
        assert.ok(path.split('/').every((level) => level !== '..' && level !== '.'));
        assert.equal(unquoted(quoted(path)), path);
      },
    ),
  );
});

test('times (RFC 3659 §2.3)', () => {
  assert.equal(timeText(Date.UTC(1998, 5, 15, 10, 0, 45)), '19980615100045');
  assert.equal(readTime('19980615100045.014'), Date.UTC(1998, 5, 15, 10, 0, 45, 14));
  assert.equal(readTime('19980615100060'), Date.UTC(1998, 5, 15, 10, 1, 0));
  for (const text of ['', '1998061510004', '19981315100045', '19980230100045', '19980615240000', '19980615100045.'])
    assert.equal(readTime(text), null, text);
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 4e9 }), (seconds) => readTime(timeText(seconds * 1_000)) === seconds * 1_000),
  );
});

test('patterns of old clients, in linear time', () => {
  for (const [name, pattern, does] of [
    ['a.txt', '*.txt', true],
    ['a.txt', '*', true],
    ['a.txt', 'a?txt', true],
    ['a.txt', '?', false],
    ['', '*', true],
    ['abcabc', 'a*c', true],
    ['abcabd', 'a*c', false],
    ['a*', 'a*', true],
  ] as const)
    assert.equal(fits(name, pattern), does, `${name} ${pattern}`);
  assert.equal(fits('a'.repeat(2_000), `${'*a'.repeat(500)}b`), false);
});

test('the long form, as ls -l writes it', () => {
  const facts = { name: 'a b', folder: false, size: 5, unique: '', mode: 0o640, writable: true, removable: true };
  const wall = Date.UTC(2026, 10, 23);
  assert.equal(
    longLine({ ...facts, modified: wall - 86_400_000 }, wall),
    '-rw-r-----   1 portico  portico            5 Nov 22 00:00 a b',
  );
  assert.equal(
    longLine({ ...facts, modified: 0, folder: true }, wall),
    'drw-r-----   1 portico  portico            0 Jan  1  1970 a b',
  );
});

test('TYPE A, however it is cut, is the same', () => {
  const text = fc
    .array(fc.constantFrom('a', '\r', '\n', '\r\n'), { maxLength: 40 })
    .map((parts) => Buffer.from(parts.join('')));
  fc.assert(
    fc.property(text, fc.array(fc.nat(40), { maxLength: 8 }), fc.integer({ min: 1, max: 5 }), (bytes, cuts, room) => {
      const decode = (pieces: readonly Buffer[]): string => {
        const net = new NetText();
        let got = '';
        const write = (input: Uint8Array, start: number, end: number) => {
          const to = Math.min(end, start + room);
          got += Buffer.from(input.subarray(start, to)).toString();
          return to - start;
        };
        for (const piece of pieces)
          for (let at = 0; at < piece.length; ) at += fromNetText(net, { write }, piece, at, piece.length);
        net.flush({ write });
        return got;
      };
      const encode = (pieces: readonly Buffer[]): string => {
        const net = new NetText();
        return pieces.map((piece) => Buffer.from(net.encode(piece, 0, piece.length)).toString()).join('');
      };
      const places = [0, ...cuts.map((cut) => Math.min(cut, bytes.length)).sort((one, two) => one - two), bytes.length];
      const pieces = places.slice(1).map((to, index) => bytes.subarray(places[index], to));
      assert.equal(decode(pieces), bytes.toString().replaceAll('\r\n', '\n'));
      assert.equal(encode(pieces), bytes.toString().replace(/(?<!\r)\n/g, '\r\n'));
    }),
  );
});

test('what the inspector is shown: commands and replies, passwords and what is not known masked', () => {
  const show = (direction: 'in' | 'out', text: string, cut: number): string[] => {
    const dissector = ftpDissector(direction);
    const bytes = Buffer.from(text, 'latin1');
    const pieces: Piece[] = [];
    for (let at = 0; at < bytes.length; at += cut)
      pieces.push(...dissector.push(bytes, at, Math.min(bytes.length, at + cut)));
    for (const { start, end } of pieces) assert.ok(start < end && end <= bytes.length);
    return pieces.map(({ label, value }) => `${label} ${value}`);
  };
  const said = 'USER ann\r\nPASS secret\r\npasss secret\r\n\r\nRETR a b\r\nNOOP\r\n';
  const told = '220 Hello\r\n211-Features:\r\n MLST\r\n211 End\r\n226\r\n';
  for (const cut of [1, 7, 1_000]) {
    assert.deepEqual(show('in', said, cut), [
      'USER ann',
      `PASS ${MASKED}`,
      `unknown command ${MASKED}`,
      'RETR a b',
      'NOOP ',
    ]);
    assert.deepEqual(show('out', told, cut), ['220 Hello', '211 Features:', 'line  MLST', '211 End', '226 ']);
  }
});
