// Documents read by offsets: what XML 1.0 and Namespaces in XML 1.0 say, and whatever bytes there may be.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { escapeAttribute, escapeText, isWritable } from './chars.ts';
import { DONE, END, START, TEXT, XmlReader } from './reader.ts';

const BOUNDS = { depthMax: 20, attributesMax: 8, namespacesMax: 8, nameBytesMax: 64, instructions: false };

/** All that a document says, or why it is refused. */
function told(document: string | Buffer, bounds = BOUNDS): string[] {
  const reader = new XmlReader(bounds);
  reader.begin(Buffer.from(document));
  const found: string[] = [];
  for (;;) {
    const step = reader.child();
    if (step === START) {
      const attributes = Array.from({ length: reader.attributes }, (_, index) => {
        const uri = reader.attributeNamespace(index);
        return ` ${uri === '' ? '' : `{${uri}}`}${reader.attributeName(index)}=${reader.attributeText(index)}`;
      });
      found.push(`<${reader.uri === '' ? '' : `{${reader.uri}}`}${reader.local}${attributes.join('')}>`);
    } else if (step === END) found.push('/');
    else if (step === DONE) return found;
    else return [...found, reader.fault?.name ?? reader.problem];
  }
}

/** The text of a root that has nothing else. */
function textOf(content: string): string {
  const reader = new XmlReader(BOUNDS);
  reader.begin(Buffer.from(`<a>${content}</a>`));
  assert.equal(reader.child(), START);
  if (reader.content() !== TEXT) return `! ${reader.fault?.name ?? 'child'}`;
  const text = reader.text.toString('utf8', reader.textFrom, reader.textTo);
  return reader.finish() ? text : '! more';
}

test('elements, attributes and namespaces (Namespaces in XML 1.0 §6)', () => {
  assert.deepEqual(told('<a/>'), ['<a>', '/']);
  assert.deepEqual(told('<?xml version="1.0"?> <!-- c --> <a  b = "1" c=\'&lt;"\' > <b/> </a > '), [
    '<a b=1 c=<">',
    '<b>',
    '/',
    '/',
  ]);
  assert.deepEqual(told('<x:a xmlns:x="u" xmlns="v" x:c="1" c="2"><b xmlns=""/><x:b/></x:a>'), [
    '<{u}a {http://www.w3.org/2000/xmlns/}x=u xmlns=v {u}c=1 c=2>',
    '<b xmlns=>',
    '/',
    '<{u}b>',
    '/',
    '/',
  ]);
  assert.deepEqual(told('<a xml:lang="en"/>'), ['<a {http://www.w3.org/XML/1998/namespace}lang=en>', '/']);
  assert.deepEqual(told('<é-b.c/>'), ['<é-b.c>', '/']);
});

test('white space of attributes is normalised (XML 1.0 §3.3.3), line ends are line feeds (§2.11)', () => {
  assert.deepEqual(told('<a b="1\r\n2\t3&#10;4"/>'), ['<a b=1 2 3\n4>', '/']);
  assert.equal(textOf('1\r\n2\r3\n4&#13;5'), '1\n2\n3\n4\r5');
});

test('text in pieces: references, CDATA, comments (XML 1.0 §2.4, §2.7)', () => {
  assert.equal(textOf(''), '');
  assert.equal(textOf('a &amp;&lt;&gt;&quot;&apos; &#x1F600;&#233; b'), 'a &<>"\' \u{1f600}é b');
  assert.equal(textOf('a<![CDATA[<b>&amp;]]]]><![CDATA[>]]>c'), 'a<b>&amp;]]>c');
  assert.equal(textOf('a<!-- - -->b'), 'ab');
  assert.equal(textOf('<b/>'), '! child');
  assert.equal(textOf(' <b/>'), '! child');
  assert.equal(textOf('a<b/>'), '! children');
  assert.equal(textOf('a]]>'), '! tag');
});

test('what is not well-formed is told by name', () => {
  for (const [document, fault] of [
    ['', 'cut'],
    ['<a', 'cut'],
    ['<a>', 'cut'],
    ['<a b', 'cut'],
    ['<a b="', 'cut'],
    ['<a></a', 'cut'],
    ['<a><![CDATA[', 'mixed'],
    ['x<a/>', 'outside'],
    ['<a/>x', 'outside'],
    ['<a/><b/>', 'outside'],
    ['<a></b>', 'mismatch'],
    ['<a></ab>', 'mismatch'],
    ['</a>', 'outside'],
    ['<a b=1/>', 'tag'],
    ['<a b="1"c="2"/>', 'tag'],
    ['<a b/>', 'tag'],
    ['<a b="<"/>', 'tag'],
    ['<a b="1" b="2"/>', 'twice'],
    ['<a xmlns:x="u" xmlns:y="u" x:b="" y:b=""/>', 'twice'],
    ['<1/>', 'name'],
    ['<a:/>', 'name'],
    ['<:a/>', 'name'],
    ['<a:b:c/>', 'name'],
    ['< a/>', 'name'],
    ['<x:a/>', 'prefix'],
    ['<a x:b=""/>', 'prefix'],
    ['<a xmlns:x=""/>', 'prefix'],
    ['<a xmlns:xml="u"/>', 'prefix'],
    ['<a xmlns:xmlns="u"/>', 'prefix'],
    ['<xmlns:a/>', 'prefix'],
    ['<a>&b;</a>', 'entity'],
    ['<a b="&b;"/>', 'entity'],
    ['<a b="&#x110000;"/>', 'character'],
    ['<a b="&#xD800;"/>', 'character'],
    ['<a b="\uffff"/>', 'character'],
    ['<!DOCTYPE a><a/>', 'dtd'],
    ['<a><!DOCTYPE a></a>', 'dtd'],
    ['<!ELEMENT a ANY><a/>', 'tag'],
    ['<a><!-- -- --></a>', 'comment'],
    ['<?p?><a/>', 'instruction'],
    ['<?xml version="2.0"?><a/>', 'version'],
    ['<?xml encoding="utf-8"?><a/>', 'version'],
    [' <?xml version="1.0"?><a/>', 'instruction'],
    [`<a>${'<a>'.repeat(20)}`, 'depth'],
    [
      `<a ${'bcdefghij'
        .split('')
        .map((name) => `${name}=""`)
        .join(' ')}/>`,
      'attributes',
    ],
    [`<${'a'.repeat(65)}/>`, 'nameLength'],
    [
      `<a xmlns:a="1" xmlns:b="1" xmlns:c="1" xmlns:d="1"><a xmlns:a="1" xmlns:b="1" xmlns:c="1" xmlns:d="1"><a xmlns:e="1"/></a></a>`,
      'namespaces',
    ],
  ] as const)
    assert.equal(told(document).at(-1), fault, document);
});

test('instructions are passed over where they may be', () => {
  const bounds = { ...BOUNDS, instructions: true };
  assert.deepEqual(told('<?p a?><a><?q?><b/></a><?r ?>', bounds), ['<a>', '<b>', '/', '/']);
  assert.equal(told('<a><?xml version="1.0"?></a>', bounds).at(-1), 'instruction');
});

test('a declaration ends with its element', () => {
  assert.equal(told('<a><b xmlns:x="u"/><x:c/></a>').at(-1), 'prefix');
  assert.equal(told('<a><b xmlns:x="u"></b><x:c/></a>').at(-1), 'prefix');
});

test('skip passes over whatever an element has', () => {
  const reader = new XmlReader(BOUNDS);
  reader.begin(Buffer.from('<r><a>t<b x="1"/>&amp;<![CDATA[</a>]]><!-- </a> --></a><c/><d></d></r>'));
  const skipped: string[] = [];
  reader.child();
  while (reader.child() === START) {
    skipped.push(reader.local);
    assert.ok(reader.skip());
  }
  assert.deepEqual(skipped, ['a', 'c', 'd']);
  assert.ok(reader.finish());
});

test('what is escaped comes back', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      fc.pre(isWritable(text));
      assert.equal(textOf(escapeText(text)), text);
      const reader = new XmlReader(BOUNDS);
      reader.begin(Buffer.from(`<a b="${escapeAttribute(text)}"/>`));
      assert.equal(reader.child(), START);
      assert.equal(reader.attribute('', 'b'), text);
    }),
  );
});

test('any bytes are told or refused, and neither throw nor hang', () => {
  const piece = fc.constantFrom(
    ...[
      '<',
      '>',
      '</',
      '/>',
      '<a',
      'a',
      ':',
      '=',
      '"',
      "'",
      ' ',
      '&',
      ';',
      '&#',
      '&lt;',
      '<!--',
      '-->',
      '<![CDATA[',
      ']]>',
      '<?',
      '?>',
      'xmlns',
      '\r',
      '\u0000',
      'é',
      '<!',
    ],
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 40 }), (pieces) => {
      const bytes = Buffer.from(pieces.join(''));
      told(bytes);
      const reader = new XmlReader(BOUNDS);
      reader.begin(bytes);
      if (reader.child() === START) reader.skip();
      reader.begin(bytes);
      if (reader.child() === START) reader.content();
    }),
    { numRuns: 3_000 },
  );
});

test('a document that is cut anywhere is refused, never taken for whole', () => {
  const document = '<?xml version="1.0"?><x:a xmlns:x="u" b="&#233;"><!-- c --><b/> <c>\u{1f600}</c></x:a>';
  const bytes = Buffer.from(document);
  for (let end = 0; end < bytes.length; end++) {
    const reader = new XmlReader(BOUNDS);
    reader.begin(Buffer.from(bytes.subarray(0, end)));
    if (reader.child() === START) reader.skip();
    assert.ok(!reader.finish(), `${end}`);
    // The end of what is offered counts, not that of the memory behind it.
    reader.begin(bytes, 0, end);
    if (reader.child() === START) reader.skip();
    assert.ok(!reader.finish(), `${end}`);
  }
});
