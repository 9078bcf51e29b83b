// Bodies and If fields of WebDAV: those of RFC 4918, and whatever else may come.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { readIf, readXml, writeElement } from './codec.ts';

test('a property is kept with all that is in it (RFC 4918 §4.4)', () => {
  const body = readXml(
    Buffer.from(
      '<?xml version="1.0"?><D:set xmlns:D="DAV:" xmlns:Z="urn:z"><Z:a b="&lt;" xml:lang="en">one <Z:i/> &amp; two<c/></Z:a></D:set>',
    ),
  );
  const again = readXml(Buffer.from(writeElement(body!).replace('<D:set', '<D:set xmlns:D="DAV:"')));
  assert.deepEqual(again, body);
  const [value] = body!.children;
  assert.ok(typeof value === 'object');
  assert.equal(value.uri, 'urn:z');
  assert.deepEqual(
    value.children.map((each) => (typeof each === 'string' ? each : each.local)),
    ['one ', 'i', ' & two', 'c'],
  );
});

test('documents that fetch, nest without end or are none are refused (RFC 4918 §20.6)', () => {
  for (const text of [
    '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>',
    '<!DOCTYPE a [<!ENTITY x "xxxx">]><a>&x;</a>',
    '<a>'.repeat(100) + '</a>'.repeat(100),
    '<a>',
    '<a></b>',
    'text',
    '<a/><b/>',
    '<D:a/>',
  ])
    assert.equal(readXml(Buffer.from(text)), null, text.slice(0, 40));
  fc.assert(fc.property(fc.string({ maxLength: 200 }), (text) => void readXml(Buffer.from(`<a>${text}</a>`))));
});

test('If: lists, resources, negation, entity tags (RFC 4918 §10.4.6 to §10.4.11)', () => {
  assert.deepEqual(readIf('(<urn:uuid:1> ["I am an ETag"]) (["I am another ETag"])'), [
    {
      resource: '',
      conditions: [
        { not: false, token: 'urn:uuid:1', etag: null },
        { not: false, token: null, etag: '"I am an ETag"' },
      ],
    },
    { resource: '', conditions: [{ not: false, token: null, etag: '"I am another ETag"' }] },
  ]);
  assert.deepEqual(
    readIf('</resource1> (<urn:uuid:1> [W/"A"]) (Not <DAV:no-lock>)')?.map(({ resource }) => resource),
    ['/resource1', '/resource1'],
  );
  assert.deepEqual(
    readIf('(Not <urn:uuid:1> <urn:uuid:2>)')?.[0]?.conditions.map(({ not }) => not),
    [true, false],
  );
  for (const text of ['', '()', '(x)', '(<a>', '<a>', '(<a>) x', '(<a>)'.repeat(65)])
    assert.equal(readIf(text), null, text);
  fc.assert(fc.property(fc.string({ maxLength: 100 }), (text) => void readIf(`(${text}`)));
});
