// Calls, faults and headers over SOAP, by what stands on the wire.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8Document } from '../../formats/xml/decode.ts';
import { Bench, ENVELOPES, enveloped, SHOP } from './testing/bench.ts';

const ORDER =
  '<customer>ann</customer><items><sku>pen</sku><quantity>2</quantity><unitPrice>1.5</unitPrice><colour>RED</colour></items>' +
  '<express>false</express><labels><key>gift</key><value>yes &amp; no</value></labels><voucher>V-1</voucher>';
const place = (inner = ORDER) => `<o:PlaceOrder xmlns:o="${SHOP}" xmlns="${SHOP}">${inner}</o:PlaceOrder>`;

for (const version of [11, 12] as const) {
  const type = version === 11 ? 'text/xml' : 'application/soap+xml';

  test(`a call and its answer, SOAP ${version / 10}`, async () => {
    const bench = new Bench();
    const client = await bench.post(enveloped(place(), version), { 'content-type': `${type}; charset=utf-8` });
    assert.equal(client.status, 200, client.body.toString());
    assert.equal(client.fields.get('content-type'), `${type}; charset=utf-8`);
    assert.equal(client.fields.get('x-orders'), '1');
    assert.equal(
      client.body.toString(),
      `<?xml version="1.0" encoding="utf-8"?>\n<soap:Envelope xmlns:soap="${ENVELOPES[version]}"><soap:Body>` +
        `<PlaceOrderResponse xmlns="${SHOP}"><id>order-1</id><customer>ann</customer><items><sku>pen</sku><quantity>2</quantity>` +
        '<unitPrice>1.5</unitPrice><colour>RED</colour></items><express>false</express><labels><key>gift</key>' +
        '<value>yes &amp; no</value></labels><placed>2023-11-14T22:13:20.001Z</placed><voucher>V-1</voucher>' +
        '</PlaceOrderResponse></soap:Body></soap:Envelope>',
    );
    assert.deepEqual(bench.world.bugs, []);
  });
}

test('each code of a service is a fault of one side, with its code as detail', async () => {
  const bench = new Bench();
  const fail = (how: string) => `<Fail xmlns="${SHOP}"><how>${how}</how><message>so &lt;it&gt; is</message></Fail>`;
  const one = await bench.post(enveloped(fail('NOT_FOUND')));
  assert.equal(one.status, 500);
  assert.match(
    one.body.toString(),
    /<faultcode>soap:Client<\/faultcode><faultstring>so &lt;it&gt; is<\/faultstring><detail><Error xmlns="urn:portico:error"><code>NOT_FOUND<\/code>/,
  );
  const two = await bench.post(enveloped(fail('NOT_FOUND'), 12), { 'content-type': 'application/soap+xml' });
  assert.equal(two.status, 400);
  assert.match(
    two.body.toString(),
    /<soap:Value>soap:Sender<\/soap:Value><soap:Subcode><soap:Value xmlns:e="urn:portico:error">e:NOT_FOUND</,
  );
  const three = await bench.post(enveloped(fail('UNAVAILABLE'), 12), { 'content-type': 'application/soap+xml' });
  assert.equal(three.status, 500);
  assert.match(three.body.toString(), /<soap:Value>soap:Receiver</);
});

test('a detail of a type of the service is its element; what is wrong with an input is each violation', async () => {
  const bench = new Bench();
  const gone = await bench.post(enveloped(place(ORDER.replace('pen', 'sold-out'))));
  assert.match(
    gone.body.toString(),
    /<detail type="shop.v1.OutOfStock"><OutOfStock xmlns="urn:portico:shop.v1.Orders"><sku>sold-out<\/sku><left>1<\/left>/,
  );
  const wrong = await bench.post(enveloped(place(ORDER.replace('>2<', '>two<'))));
  assert.match(
    wrong.body.toString(),
    /<code>INVALID_ARGUMENT<\/code>.*<violation><path>items\[0\].quantity<\/path><text>is no whole number/,
  );
  const unknown = await bench.post(enveloped(place(`${ORDER}<shoe/>`)));
  assert.match(unknown.body.toString(), /has no element \{urn:portico:shop.v1.Orders\}shoe/);
  const both = await bench.post(enveloped(place(`${ORDER}<onAccount>true</onAccount>`)));
  assert.match(both.body.toString(), /cannot stand beside voucher/);
});

test('headers: understood, not understood, for others (SOAP 1.1 §4.2.3, SOAP 1.2 §5.4.8)', async () => {
  const bench = new Bench();
  const get = `<GetOrder xmlns="${SHOP}"><id>x</id></GetOrder>`;
  const must = '<h:H xmlns:h="urn:h" s:mustUnderstand="1">a</h:H>';
  const one = await bench.post(enveloped(get, 11, must));
  assert.match(one.body.toString(), /<faultcode>soap:MustUnderstand<\/faultcode>/);
  const two = await bench.post(enveloped(get, 12, must.replace('"1"', '"true"')), {
    'content-type': 'application/soap+xml',
  });
  assert.match(two.body.toString(), /<soap:NotUnderstood xmlns:n="urn:h" qname="n:H"\/>/);
  const other = await bench.post(enveloped(get, 11, must.replace('s:must', 's:actor="urn:next" s:must')));
  assert.match(other.body.toString(), /NOT_FOUND/);
  const optional = await bench.post(enveloped(get, 11, must.replace('"1"', '"0"')));
  assert.match(optional.body.toString(), /NOT_FOUND/);
});

test('WS-Addressing: the answer says what it relates to (WS-Addressing Core §3.4)', async () => {
  const bench = new Bench();
  const head = (more: string) =>
    ['Action:urn:portico:shop.v1.Orders:PlaceOrder', 'MessageID:urn:uuid:1', 'To:http://here/']
      .map((each) => each.split(/:(.*)/s))
      .map(
        ([name, value]) =>
          `<a:${name} xmlns:a="http://www.w3.org/2005/08/addressing" s:mustUnderstand="1">${value}</a:${name}>`,
      )
      .join('') + more;
  const to = (address: string) =>
    `<a:ReplyTo xmlns:a="http://www.w3.org/2005/08/addressing"><a:Address>${address}</a:Address></a:ReplyTo>`;
  const answered = (await bench.post(enveloped(place(), 11, head('')))).body.toString();
  assert.match(answered, /<wsa:Action [^>]*>urn:portico:shop.v1.Orders:PlaceOrderResponse</);
  assert.match(answered, /<wsa:RelatesTo [^>]*>urn:uuid:1</);
  assert.match(
    answered,
    /<wsa:MessageID [^>]*>urn:uuid:[\da-f]{8}-[\da-f]{4}-4[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}</,
  );
  const nowhere = await bench.post(enveloped(place(), 11, head(to('http://www.w3.org/2005/08/addressing/none'))));
  assert.deepEqual([nowhere.status, nowhere.body.length], [202, 0]);
  const away = await bench.post(enveloped(place(), 11, head(to('http://elsewhere/'))));
  assert.match(away.body.toString(), /wsa:OnlyAnonymousAddressSupported/);
  const twice = await bench.post(enveloped(place(), 11, head(head(''))));
  assert.match(twice.body.toString(), /wsa:InvalidAddressingHeader/);
  const other = await bench.post(enveloped(place(), 11, head('').replace(':PlaceOrder', ':GetOrder')));
  assert.match(other.body.toString(), /wsa:ActionMismatch/);
  assert.equal(bench.begun, 2);
});

test('what is no call: paths, methods, media types, versions, actions, streams', async () => {
  const bench = new Bench();
  const get = `<GetOrder xmlns="${SHOP}"><id>x</id></GetOrder>`;
  assert.equal((await bench.ask('PUT', '/soap/shop.v1.Orders', {})).status, 405);
  assert.equal((await bench.ask('GET', '/soap/shop.v1.Orders', {})).status, 405);
  assert.equal((await bench.ask('GET', '/soap/shop.v1.Nothing?wsdl', {})).status, 404);
  assert.equal((await bench.post(get, { 'content-type': 'application/json' })).status, 415);
  const faultOf = async (document: string, fields = {}) => (await bench.post(document, fields)).body.toString();
  assert.match(await faultOf('<Envelope xmlns="urn:else"><Body/></Envelope>'), /VersionMismatch.*/s);
  assert.match(await faultOf('<a/>'), /no SOAP envelope/);
  assert.match(await faultOf(enveloped('')), /body is empty/);
  assert.match(await faultOf(enveloped(get + get)), /second element/);
  assert.match(await faultOf(enveloped(get.replace(SHOP, 'urn:x'))), /no operation \{urn:x\}GetOrder/);
  assert.match(await faultOf(enveloped(`<Count xmlns="${SHOP}"/>`)), /is a stream/);
  assert.match(await faultOf(enveloped(get), { soapaction: '"urn:portico:shop.v1.Orders:Fail"' }), /action is urn/);
  assert.match(await faultOf(enveloped(get), { soapaction: '"urn:portico:shop.v1.Orders:GetOrder"' }), /NOT_FOUND/);
  assert.match(await faultOf(enveloped(get), { soapaction: '""' }), /NOT_FOUND/);
});

test('the documents that attack a parser are refused, and nothing is called', async () => {
  const bench = new Bench({ limits: { depthMax: 20 } });
  const get = `<GetOrder xmlns="${SHOP}"><id>x</id></GetOrder>`;
  const whole = enveloped(get).slice(38);
  const attributes = Array.from({ length: 100 }, (_, index) => ` a${index}=""`).join('');
  const spaces = Array.from({ length: 100 }, (_, index) => ` xmlns:a${index}="u${index}"`).join('');
  for (const [document, says] of [
    [`<!DOCTYPE lolz [<!ENTITY a "x"><!ENTITY b "&a;&a;">]>${whole}`, /document type/],
    [`<!DOCTYPE s SYSTEM "file:///etc/passwd">${whole}`, /document type/],
    [whole.replace('>x<', '>&xxe;<'), /Only the entities/],
    [whole.replace('>x<', '>&#0;<'), /character/],
    [`<?xml-stylesheet href="a"?>${whole}`, /processing instructions/],
    [whole.replace('>x<', `>${'<a>'.repeat(1_000)}<`), /nested|only text/],
    [enveloped(`<GetOrder xmlns="${SHOP}">${'<a>'.repeat(1_000)}</GetOrder>`), /nested|no element/],
    [enveloped(`${'<a>'.repeat(1_000)}`), /no operation/],
    [enveloped('', 11, `<a>${'<a>'.repeat(1_000)}`), /nested/],
    [enveloped(get, 11, `<a${attributes}/>`), /too many attributes/],
    [enveloped(get, 11, `<a${spaces}/>`), /Too many namespaces|too many attributes/],
    [enveloped(get, 11, `<${'a'.repeat(1_000)}/>`), /name is too long/],
    [enveloped(get, 11, '<a/>'.repeat(100)), /too many headers/],
    [whole.slice(0, -1), /ends too early/],
    [`${whole}<a/>`, /beside the one root/],
    [whole.replace('</s:Body>', '</s:Bodi>'), /does not fit/],
    [whole.replace('<s:Body>', '<t:Body>'), /prefix/],
    [whole.replace('>x<', '>\u0001<'), /character/],
  ] as const) {
    const client = await bench.post(document);
    assert.equal(client.status, 500, document.slice(0, 200));
    assert.match(client.body.toString(), says, document.slice(0, 200));
  }
  assert.equal(bench.begun, 0);
  assert.deepEqual(bench.world.bugs, []);
});

test('encodings: UTF-16 with its mark, Latin-1 as it says; others are refused (XML 1.0 §4.3.3)', async () => {
  const bench = new Bench();
  const echo = (text: string) => `<Fail xmlns="${SHOP}"><how>ABORTED</how><message>${text}</message></Fail>`;
  const document = enveloped(echo('h\u00e9')).replace(/^<\?.*?\?>/, '');
  const plain = { 'content-type': 'text/xml' };
  for (const [bytes, fields] of [
    [Buffer.concat([Buffer.of(0xff, 0xfe), Buffer.from(document, 'utf16le')]), plain],
    [Buffer.concat([Buffer.of(0xfe, 0xff), Buffer.from(document, 'utf16le').swap16()]), plain],
    [Buffer.from(`<?xml version="1.0" encoding="ISO-8859-1"?>${document}`, 'latin1'), plain],
    [Buffer.from(document, 'latin1'), { 'content-type': 'text/xml; charset=iso-8859-1' }],
    [Buffer.from(`\ufeff${document}`), plain],
  ] as const)
    assert.match((await bench.post(bytes, fields)).body.toString(), /<faultstring>h\u00e9</);
  assert.match((await bench.post(Buffer.from(document, 'latin1'))).body.toString(), /encoding/);
  assert.match(
    (await bench.post(document, { 'content-type': 'text/xml; charset=ebcdic' })).body.toString(),
    /encoding/,
  );
  assert.ok(!Buffer.isBuffer(utf8Document(Buffer.from([0xff, 0xfe, 0x00, 0xd8]), '')));
});

test('a client that goes away ends its call', async () => {
  const bench = new Bench();
  const client = bench.begin(
    'POST',
    '/soap/shop.v1.Orders',
    { 'content-type': 'text/xml' },
    enveloped(`<Fail xmlns="${SHOP}"><how>HANG</how></Fail>`),
  );
  await bench.until(() => bench.begun === 1);
  client.abort(8);
  await bench.until(() => bench.services.figures.running === 0);
  assert.equal(bench.services.figures.running, 0);
  const after = await bench.post(enveloped(`<WhoAmI xmlns="${SHOP}"/>`));
  assert.match(after.body.toString(), /<cancelled>1</);
  assert.deepEqual(bench.world.bugs, []);
});

test('however the bytes are cut, the conversation is the same', async () => {
  const answers = new Set<string>();
  for (const cut of [0, 1, 7, 100]) {
    const bench = new Bench({ cut });
    answers.add((await bench.post(enveloped(place()))).body.toString());
  }
  assert.equal(answers.size, 1);
});
