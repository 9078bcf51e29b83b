// Services by SOAP as docs/soap.md has them: python3-zeep, npm soap and curl against a running server, each with every type of
// the model, over both versions; and what is on the wire against the schema that is published, by libxml2.
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Client, createClientAsync, WSSecurity } from 'soap';
import type { Portico } from '../../src/portico.ts';
import { serveShop } from '../../src/protocols/soap/testing/serving.ts';
import { missing, run } from '../clients.ts';

/** Debian's, which has what Debian's packages bring. */
const PYTHON = '/usr/bin/python3';
const XSD = 'http://www.w3.org/2001/XMLSchema';
const noZeep = missing(PYTHON, '-c', 'import zeep') || (await zeepIsMissing());

async function zeepIsMissing(): Promise<string | false> {
  if (process.env.CI === 'true') return false;
  const { code } = await run(PYTHON, '-c', 'import zeep, lxml');
  return code === 0 ? false : 'python3-zeep is not installed';
}

let portico: Portico;
let url = '';
let folder = '';
before(async () => {
  portico = await serveShop();
  url = `${portico.urls.http!}/soap/shop.v1.Orders`;
  folder = mkdtempSync(join(tmpdir(), 'portico-soap-'));
});
after(async () => {
  rmSync(folder, { recursive: true });
  await portico.close();
});

const EVERYTHING = {
  flag: true,
  small: -5,
  natural: 4_294_967_295,
  large: '-9223372036854775808',
  largeNatural: '18446744073709551615',
  single: 1.5,
  real: 1e300,
  text: ' h\u00e9 \u{1f600} <&> "\' ',
  raw: 'AAH/',
  moment: '2026-01-02T03:04:05.678Z',
  span: 'PT1.5S',
  whatever: '{"a":[1,null]}',
  colour: 'BLUE',
  item: { sku: 'a', quantity: 1, unitPrice: 2 },
  maybeFlag: false,
  maybeSmall: 0,
  maybeLarge: '7',
  maybeReal: 0.1,
  maybeText: 'm',
  maybeRaw: '',
  maybeMoment: '1969-12-31T23:59:59.000Z',
  maybeColour: 'RED',
  presetText: 'p',
  presetSmall: 1,
  flags: [true, false],
  smalls: [1, -1],
  larges: ['1', '9007199254740993'],
  reals: [0.5, 1],
  texts: ['a', 'b'],
  raws: ['AA==', 'AQI='],
  moments: ['2026-01-02T00:00:00Z', '2027-01-02T00:00:00Z'],
  colours: ['RED', 'GREEN'],
  items: [
    { sku: 'x', quantity: 1, unitPrice: 2 },
    { sku: 'y', quantity: 3, unitPrice: 4.5, colour: 'GREEN' },
  ],
  textByName: [{ key: 'k', value: 'v' }],
  largeByName: [{ key: 'k', value: '5' }],
  itemByName: [{ key: 'k', value: { sku: 'x', quantity: 1, unitPrice: 2 } }],
  chosenItem: { sku: 'c', quantity: 1, unitPrice: 2 },
};

const TREE = { root: { name: 'a', children: [{ name: 'b', children: [{ name: 'c' }] }, { name: 'd' }] } };

const ZEEP = `
import base64, datetime, isodate, json, sys
from lxml import etree
import zeep
from zeep.plugins import HistoryPlugin
from zeep.helpers import serialize_object
url, everything, tree = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])

def given(value, key=''):
    if isinstance(value, dict): return {k: given(v, k) for k, v in value.items()}
    if isinstance(value, list): return [given(v, key) for v in value]
    if key in ('raw', 'maybeRaw', 'raws'): return base64.b64decode(value)
    if key in ('moment', 'maybeMoment', 'moments'): return isodate.parse_datetime(value)
    if key == 'span': return isodate.parse_duration(value)
    if key in ('large', 'largeNatural', 'maybeLarge', 'larges'): return int(value)
    return value

def plain(value):
    if isinstance(value, dict): return {k: plain(v) for k, v in value.items() if v is not None and v != []}
    if isinstance(value, list): return [plain(v) for v in value]
    return value

told = []
for port in ('OrdersSoap11', 'OrdersSoap12'):
    history = HistoryPlugin()
    client = zeep.Client(url + '?wsdl', plugins=[history])
    service = client.bind('Orders', port)
    schema = etree.XMLSchema(etree.fromstring(zeep.Transport().load(url + '?xsd=types')))
    def valid(envelope):
        body = envelope['envelope'].find('{*}Body')
        schema.assertValid(etree.fromstring(etree.tostring(body[0])))
    sent = given(everything)
    sent['largeByName'][0]['value'] = 5
    got = plain(serialize_object(service.EchoEverything(**sent), dict))
    sent['maybeRaw'] = None
    got.pop('maybeRaw', None)
    assert got == plain(sent), (got, plain(sent))
    valid(history.last_sent); valid(history.last_received)
    # The one element of an answer is the answer.
    assert plain(serialize_object(service.EchoTree(**tree), dict)) == plain(tree['root'])
    valid(history.last_sent); valid(history.last_received)
    order = service.PlaceOrder(customer='zoe', items=[dict(sku='pen', quantity=2, unitPrice=1.5)], labels=[dict(key='a', value='b')], card=dict(number='123456789012', holder='Z'))
    valid(history.last_sent); valid(history.last_received)
    assert service.GetOrder(id=order.id).card.holder == 'Z'
    assert service.CancelOrder(id=order.id) is None
    for call in (lambda: service.GetOrder(id=order.id), lambda: service.GetOrder(id=''), lambda: service.PlaceOrder(customer='z', items=[dict(sku='sold-out', quantity=2, unitPrice=1)])):
        try:
            call()
            raise SystemExit('no fault')
        except zeep.exceptions.Fault as fault:
            codes = fault.detail.find('.//{urn:portico:error}code')
            told.append([fault.code, [str(each.localname) for each in fault.subcodes or []], codes.text])
print(json.dumps(told))
`;

test('zeep reads the WSDL, calls with every type, is given each error; all of it is valid by the schema', {
  skip: noZeep,
}, async () => {
  const script = join(folder, 'calls.py');
  writeFileSync(script, ZEEP);
  const { out, error, code } = await run(PYTHON, script, url, JSON.stringify(EVERYTHING), JSON.stringify(TREE));
  assert.equal(code, 0, error);
  assert.deepEqual(JSON.parse(out), [
    ['soap:Client', [], 'NOT_FOUND'],
    ['soap:Client', [], 'INVALID_ARGUMENT'],
    ['soap:Client', [], 'FAILED_PRECONDITION'],
    ['soap:Sender', ['NOT_FOUND'], 'NOT_FOUND'],
    ['soap:Sender', ['INVALID_ARGUMENT'], 'INVALID_ARGUMENT'],
    ['soap:Sender', ['FAILED_PRECONDITION'], 'FAILED_PRECONDITION'],
  ]);
});

test('zeep signs in with a UsernameToken, and addresses its messages since the WSDL has actions', {
  skip: noZeep,
}, async () => {
  const script = join(folder, 'headers.py');
  writeFileSync(
    script,
    `
import json, sys, zeep
from zeep.plugins import HistoryPlugin
from zeep.wsse.username import UsernameToken
told = []
for token in (UsernameToken('ann', 'secret'), UsernameToken('bob', 'secret', use_digest=True)):
    history = HistoryPlugin()
    client = zeep.Client(sys.argv[1] + '?wsdl', wsse=token, plugins=[history])
    told.append(client.service.WhoAmI().account)
    sent = history.last_sent['envelope'].find('.//{http://www.w3.org/2005/08/addressing}MessageID').text
    answer = history.last_received['envelope']
    assert answer.find('.//{http://www.w3.org/2005/08/addressing}RelatesTo').text == sent
    assert answer.find('.//{http://www.w3.org/2005/08/addressing}Action').text.endswith(':WhoAmIResponse')
print(json.dumps(told))
`,
  );
  const { out, error } = await run(PYTHON, script, url);
  assert.equal(out, '["ann", "bob"]\n', error);
});

type Answered = [result: Record<string, unknown>, raw: string];
type Calls = Client & Record<string, (input: unknown) => Promise<Answered>>;

for (const forceSoap12Headers of [false, true])
  test(`npm soap calls with every type, SOAP ${forceSoap12Headers ? 1.2 : 1.1}`, async () => {
    const client = (await createClientAsync(`${url}?wsdl`, { forceSoap12Headers })) as Calls;
    const [result, raw] = await client.EchoEverythingAsync!(EVERYTHING);
    // It makes numbers of what is too long for them; what stood on the wire is right.
    assert.match(raw, /<large>-9223372036854775808<\/large><largeNatural>18446744073709551615<\/largeNatural>/);
    assert.match(raw, /<larges>1<\/larges><larges>9007199254740993<\/larges>/);
    const { moment, item, text, colours, chosenItem, itemByName } = result;
    assert.deepEqual(
      { moment, item, text, colours, chosenItem, itemByName },
      {
        moment: new Date(EVERYTHING.moment),
        item: EVERYTHING.item,
        text: EVERYTHING.text.trim(),
        colours: EVERYTHING.colours,
        chosenItem: EVERYTHING.chosenItem,
        itemByName: EVERYTHING.itemByName,
      },
    );
    assert.deepEqual((await client.EchoTreeAsync!(TREE))[0], TREE);
    const error = await client.GetOrderAsync!({ id: 'none' }).then(
      () => assert.fail('there is none'),
      (thrown: { root: { Envelope: { Body: { Fault: Record<string, { Error: { code: string } }> } } } }) => thrown,
    );
    const { Fault } = error.root.Envelope.Body;
    assert.equal((Fault.detail ?? Fault.Detail)!.Error.code, 'NOT_FOUND');
  });

test('npm soap signs in with a token in the message; a recorded one is not taken again', async () => {
  const client = (await createClientAsync(`${url}?wsdl`)) as Calls;
  client.setSecurity(new WSSecurity('ann', 'secret', { hasNonce: true, passwordType: 'PasswordDigest' }));
  const [result] = await client.WhoAmIAsync!({});
  assert.equal(result.account, 'ann');
  const recorded = client.lastRequest!;
  const again = await fetch(url, { method: 'POST', headers: { 'content-type': 'text/xml' }, body: recorded });
  assert.equal(again.status, 500);
  assert.match(await again.text(), /wsse:FailedAuthentication/);
});

test('npm soap sends bytes beside the document and reads them so (MTOM)', async () => {
  const client = (await createClientAsync(`${url}?wsdl`, { parseReponseAttachments: true })) as Calls & {
    EchoEverythingAsync: (input: unknown, options: object) => Promise<Answered>;
  };
  const bytes = randomBytes(100_000);
  await client.EchoEverythingAsync(
    {
      raw: { 'xop:Include': { attributes: { 'xmlns:xop': 'http://www.w3.org/2004/08/xop/include', href: 'cid:big' } } },
      moment: EVERYTHING.moment,
      span: 'PT0S',
      presetText: '',
      presetSmall: 0,
    },
    {
      forceMTOM: true,
      attachments: [{ mimetype: 'application/octet-stream', contentId: 'big', name: 'big', body: bytes }],
    },
  );
  const parts = client.lastResponseAttachments!.parts;
  assert.equal(parts.length, 1);
  const digest = (content: Uint8Array) => createHash('sha256').update(content).digest('hex');
  assert.equal(digest(parts[0]!.body), digest(bytes));
});

test('curl: the page of SOAP word by word', { skip: missing('curl') }, async () => {
  const wsdl = await run('curl', '-sS', `${url}?wsdl`);
  assert.match(wsdl.out, new RegExp(`<soap:address location="${url.replaceAll('.', '\\.')}"/>`));
  const schema = await run('curl', '-sS', `${url}?xsd=types`);
  assert.match(schema.out, new RegExp(`^<\\?xml version="1.0" encoding="utf-8"\\?>\n<xsd:schema xmlns:xsd="${XSD}"`));
  const envelope = `
<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>
  <GetOrder xmlns="urn:portico:shop.v1.Orders"><id>order-0</id></GetOrder>
</s:Body></s:Envelope>`;
  const called = await run('curl', '-sSi', url, '-H', 'Content-Type: text/xml; charset=utf-8', '-d', envelope);
  assert.match(called.out, /^HTTP\/1\.1 500 .*<code>NOT_FOUND<\/code><message>there is no order order-0</s);
});
