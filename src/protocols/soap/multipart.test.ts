// Bytes beside the document, both ways (XOP, MTOM), and bodies of parts that are none.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { pack, unpack } from './multipart.ts';
import { Bench, enveloped, SHOP } from './testing/bench.ts';

const XOP = 'http://www.w3.org/2004/08/xop/include';
const FIELDS = {
  'content-type':
    'multipart/related; type="application/xop+xml"; start="<root>"; start-info="text/xml"; boundary="b b"',
};

function packed(document: string, parts: Readonly<Record<string, Buffer>>): Buffer {
  const pieces: (string | Buffer)[] = [
    'preamble\r\n--b b\r\nContent-Type: application/xop+xml; charset=utf-8; type="text/xml"\r\nContent-ID: <root>\r\n\r\n',
    document,
  ];
  for (const [id, bytes] of Object.entries(parts)) pieces.push(`\r\n--b b\r\nContent-ID: <${id}>\r\n\r\n`, bytes);
  return Buffer.concat([...pieces, '\r\n--b b--\r\nepilogue'].map((piece) => Buffer.from(piece as string)));
}

const include = (id: string) => `<x:Include xmlns:x="${XOP}" href="cid:${id}"/>`;
const echo = (raw: string, more = '') =>
  enveloped(
    `<EchoEverything xmlns="${SHOP}"><raw>${raw}</raw><moment>2026-01-01T00:00:00Z</moment>${more}</EchoEverything>`,
  );

test('bytes come as parts and go as parts; short ones stay in the document', async () => {
  const bench = new Bench();
  const large = Buffer.alloc(5_000, '\r\n--b \0\xff', 'latin1');
  const body = packed(echo(include('one%40x'), `<raws>${include('two')}</raws><raws>AAE=</raws>`), {
    'one@x': large,
    two: Buffer.from('ab'),
  });
  const client = await bench.post(body, FIELDS);
  assert.equal(client.status, 200, client.body.toString());
  const type = client.fields.get('content-type')!;
  assert.match(
    type,
    /^multipart\/related; type="application\/xop\+xml"; start="<root\..*"; start-info="text\/xml"; boundary="\w+"$/,
  );
  const parts = unpack(client.body, /boundary="(\w+)"/.exec(type)![1]!, /start="(.*?)"/.exec(type)![1]!, 9)!;
  assert.equal(parts.type, 'text/xml');
  const document = Buffer.from(parts.root).toString();
  const id = /<raw><xop:Include [^>]*href="cid:(.*?)"\/><\/raw>/.exec(document)![1]!;
  assert.deepEqual(Buffer.from(parts.parts.get(id)!), large);
  assert.match(document, /<raws>YWI=<\/raws><raws>AAE=<\/raws>/);
  assert.deepEqual(bench.world.bugs, []);
});

test('a part that is not there, or is not where bytes are, is refused', async () => {
  const bench = new Bench();
  const faultOf = async (document: string, fields: Readonly<Record<string, string>> = FIELDS) =>
    (
      await bench.post(fields === FIELDS ? packed(document, { a: Buffer.from('a') }) : document, fields)
    ).body.toString();
  assert.match(await faultOf(echo(include('b'))), /raw: includes a part that is not there/);
  assert.match(await faultOf(echo(include('a')), {}), /includes a part that is not there/);
  assert.match(await faultOf(echo(`${include('a')}x`)), /text where only elements/);
  assert.match(await faultOf(echo(`${include('a')}${include('a')}`)), /has an element/);
  assert.match(await faultOf(echo('', `<text>${include('a')}</text>`)), /only text may be/);
  assert.match(await faultOf(echo('<y/>')), /only text may be/);
});

test('bodies of parts that cannot be read are refused', async () => {
  const bench = new Bench({ limits: { partsMax: 3 } });
  const whole = packed(echo('AAE='), { a: Buffer.from('a') });
  assert.equal((await bench.post(whole, FIELDS)).status, 200);
  const many = Object.fromEntries(Array.from({ length: 9 }, (_, index) => [`p${index}`, Buffer.from('x')]));
  for (const body of [
    whole.subarray(0, -20),
    Buffer.from(''),
    Buffer.from('--b b--\r\n'),
    Buffer.from(whole.toString('latin1').replace('<root>', '<other>'), 'latin1'),
    Buffer.from(whole.toString('latin1').replace('<a>', '<root>').replace('<root>', '<a>'), 'latin1'),
    Buffer.from(whole.toString('latin1').replace('Content-ID: <a>', 'Content-Type: x/y'), 'latin1'),
    packed(echo(''), many),
  ]) {
    const client = await bench.post(body, FIELDS);
    assert.equal(client.status, 500);
    assert.match(client.body.toString(), /parts of the message cannot be read/);
  }
  assert.match((await bench.post(whole, { 'content-type': 'multipart/related' })).body.toString(), /cannot be read/);
});

test('what is packed is unpacked; any bytes are unpacked or refused', () => {
  const idOf = (index: number) => `p${index}@x`;
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), (parts) => {
      const { body } = pack('<a/>', 'text/xml', parts, idOf, 'edge');
      const found = unpack(body, 'edge', '', 1_000)!;
      assert.equal(Buffer.from(found.root).toString(), '<a/>');
      assert.deepEqual(
        [...found.parts.values()].map((bytes) => [...bytes]),
        parts.map((bytes) => [...bytes]),
      );
      for (let end = 0; end < body.length - 4; end += 7)
        assert.equal(unpack(body.subarray(0, end), 'edge', '', 1_000), null);
    }),
  );
  const piece = fc.constantFrom('--edge', '\r\n', '--', 'Content-ID: <a>', 'Content-Type: text/xml', 'x', ' ');
  fc.assert(fc.property(fc.array(piece), (pieces) => void unpack(Buffer.from(pieces.join('')), 'edge', '', 5)));
});
