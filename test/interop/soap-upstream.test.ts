// SOAP services of others behind this server, each called by protocols that they do not speak: npm soap's server, Spyne in Python, and
// a server of our own kind with every type there and back.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { listen } from 'soap';
import { Portico, type StartOptions } from '../../src/portico.ts';
import { shopService } from '../../src/resources/services/testing/shop.ts';
import { run } from '../clients.ts';

const PYTHON = '/usr/bin/python3';
const FREE: StartOptions = { ports: 'ephemeral', storage: 'memory', hosts: ['127.0.0.1'], control: false };
const noSpyne = await spyneIsMissing();
const folder = mkdtempSync(join(tmpdir(), 'portico-soap-upstream-'));

async function spyneIsMissing(): Promise<string | false> {
  if (process.env.CI === 'true') return false;
  const { code } = await run(PYTHON, '-c', 'import spyne, lxml');
  return code === 0 ? false : 'python3-spyne is not installed';
}

let partner: Portico;
let npm: Server;
let python: ChildProcess | null = null;
let portico: Portico;

const NPM_WSDL = `<?xml version="1.0"?>
<wsdl:definitions name="Stock" targetNamespace="urn:stock" xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/"
  xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap/" xmlns:s="urn:stock" xmlns:xs="http://www.w3.org/2001/XMLSchema">
  <wsdl:types><xs:schema targetNamespace="urn:stock" elementFormDefault="qualified">
    <xs:simpleType name="Size"><xs:restriction base="xs:string"><xs:enumeration value="small"/><xs:enumeration value="very large"/>
    </xs:restriction></xs:simpleType>
    <xs:complexType name="Item"><xs:sequence><xs:element name="Name" type="xs:string"/><xs:element name="Price" type="xs:decimal"/>
      <xs:element name="Size" type="s:Size"/><xs:element name="Tags" type="xs:string" minOccurs="0" maxOccurs="unbounded"/>
      </xs:sequence></xs:complexType>
    <xs:element name="Find"><xs:complexType><xs:sequence><xs:element name="Name" type="xs:string"/>
      <xs:element name="Limit" type="xs:int" minOccurs="0"/></xs:sequence></xs:complexType></xs:element>
    <xs:element name="FindResponse"><xs:complexType><xs:sequence><xs:element name="Item" type="s:Item" minOccurs="0"
      maxOccurs="unbounded"/></xs:sequence></xs:complexType></xs:element>
    <xs:element name="NoSuch"><xs:complexType><xs:sequence><xs:element name="Name" type="xs:string"/></xs:sequence></xs:complexType></xs:element>
  </xs:schema></wsdl:types>
  <wsdl:message name="Find"><wsdl:part name="parameters" element="s:Find"/></wsdl:message>
  <wsdl:message name="FindResponse"><wsdl:part name="parameters" element="s:FindResponse"/></wsdl:message>
  <wsdl:message name="NoSuch"><wsdl:part name="fault" element="s:NoSuch"/></wsdl:message>
  <wsdl:portType name="Stock"><wsdl:operation name="Find"><wsdl:input message="s:Find"/><wsdl:output message="s:FindResponse"/>
    <wsdl:fault name="NoSuch" message="s:NoSuch"/></wsdl:operation></wsdl:portType>
  <wsdl:binding name="Stock" type="s:Stock"><soap:binding style="document" transport="http://schemas.xmlsoap.org/soap/http"/>
    <wsdl:operation name="Find"><soap:operation soapAction="urn:stock:Find"/><wsdl:input><soap:body use="literal"/></wsdl:input>
    <wsdl:output><soap:body use="literal"/></wsdl:output><wsdl:fault name="NoSuch"><soap:fault name="NoSuch" use="literal"/></wsdl:fault>
    </wsdl:operation></wsdl:binding>
  <wsdl:service name="Stock"><wsdl:port name="Stock" binding="s:Stock"><soap:address location="http://elsewhere.test/stock"/>
  </wsdl:port></wsdl:service></wsdl:definitions>`;

/** What npm's server was sent in headers. */
const headersHeard: string[] = [];

interface Find {
  readonly Name: string;
  readonly Limit?: number;
}

async function startNpm(): Promise<void> {
  npm = createServer((_request, response) => response.writeHead(404).end());
  npm.listen(0, '127.0.0.1');
  await once(npm, 'listening');
  const items = [
    { Name: 'tea & co', Price: '1.10', Size: 'very large', Tags: ['a', 'b'] },
    { Name: 'tea', Price: '20', Size: 'small' },
  ];
  const find = ({ Name, Limit = 9 }: Find) => {
    if (Name !== 'none') return { Item: items.filter((item) => item.Name.startsWith(Name)).slice(0, Number(Limit)) };
    throw {
      Fault: {
        ...{ faultcode: 'soap:Server', faultstring: 'there is no such thing' },
        detail: { 's:NoSuch': { attributes: { 'xmlns:s': 'urn:stock' }, 's:Name': Name } },
      },
    };
  };
  const soap = listen(npm, '/stock', { Stock: { Stock: { Find: find } } }, NPM_WSDL);
  soap.on('headers', (headers) => headersHeard.push(JSON.stringify(headers)));
  soap.authenticate = (security: unknown) => {
    const { UsernameToken } = (security ?? {}) as {
      UsernameToken?: { Username: string; Password: { $value: string } };
    };
    return UsernameToken?.Username === 'ann' && UsernameToken.Password.$value === 's<cret';
  };
}

const SPYNE = `
import datetime, decimal, sys
from socketserver import ThreadingMixIn
from wsgiref.simple_server import make_server, WSGIRequestHandler, WSGIServer
from spyne import (Application, Array, Boolean, ByteArray, ComplexModel, Date, DateTime, Decimal, Double, Enum, Fault, Integer, Integer32,
    Iterable, Mandatory, ServiceBase, Unicode, XmlAttribute, rpc)
from spyne.protocol.soap import Soap11
from spyne.server.wsgi import WsgiApplication

Colour = Enum('RED', 'light blue', type_name='Colour')

class Point(ComplexModel):
    __namespace__ = 'urn:points'
    unit = XmlAttribute(Unicode)
    x = Integer32(min_occurs=1)
    y = Double

class Everything(ComplexModel):
    __namespace__ = 'urn:everything'
    flag = Boolean
    number = Integer
    price = Decimal
    text = Unicode
    raw = ByteArray
    moment = DateTime
    day = Date
    colour = Colour
    point = Point
    points = Array(Point)
    words = Unicode(max_occurs='unbounded')

class Spyned(ServiceBase):
    @rpc(Everything, _returns=Everything)
    def echo(ctx, value):
        return value

    @rpc(Unicode, Integer32, _returns=Iterable(Unicode))
    def repeat(ctx, word, times):
        for _ in range(times):
            yield word

    @rpc(_returns=Unicode)
    def fail(ctx):
        raise Fault('Client.Nothing', 'there is nothing')

    @rpc(_body_style='bare', _returns=Unicode)
    def nothing(ctx):
        return 'bare'

class Quiet(WSGIRequestHandler):
    def log_message(self, *args): pass

class Threads(ThreadingMixIn, WSGIServer):
    daemon_threads = True

application = Application([Spyned], 'urn:spyned', in_protocol=Soap11(validator='lxml'), out_protocol=Soap11())
server = make_server('127.0.0.1', 0, WsgiApplication(application), server_class=Threads, handler_class=Quiet)
print(server.server_port, flush=True)
server.serve_forever()
`;

async function startSpyne(): Promise<string> {
  const script = join(folder, 'spyned.py');
  writeFileSync(script, SPYNE);
  python = spawn(PYTHON, ['-W', 'ignore', script], { stdio: ['ignore', 'pipe', 'ignore'] });
  for await (const line of createInterface({ input: python.stdout! })) return `http://127.0.0.1:${line.trim()}/?wsdl`;
  throw new Error('spyne did not start');
}

before(async () => {
  partner = await Portico.start({ ...FREE, services: [shopService()] });
  await startNpm();
  const spyne = noSpyne === false ? await startSpyne() : null;
  const stock = join(folder, 'stock.wsdl');
  writeFileSync(stock, NPM_WSDL);
  const at = `http://127.0.0.1:${(npm.address() as AddressInfo).port}/stock`;
  portico = await Portico.start({
    ...FREE,
    outbound: { allow: ['127.0.0.1'] },
    upstreams: [
      {
        ...{ name: 'npm.v1.Stock', soap: stock, soapAddress: at, soapQueries: ['Find'] },
        soapSecurity: { user: 'ann', password: 's<cret' },
        soapHeader: '<k:Key xmlns:k="urn:key">sesame</k:Key>',
      },
      { name: 'open.v1.Stock', soap: `${at}?wsdl`, soapAddress: at },
      { name: 'ours.v1.Orders', soap: `${partner.urls.http}/soap/shop.v1.Orders?wsdl`, metadata: ['x-tenant'] },
      {
        ...{
          name: 'twelve.v1.Orders',
          soap: `${partner.urls.http}/soap/shop.v1.Orders?wsdl`,
          soapPort: 'OrdersSoap12',
        },
        soapSecurity: { user: 'bob', password: 'x', type: 'digest' as const },
      },
      ...(spyne === null ? [] : [{ name: 'spyne.v1.Spyned', soap: spyne }]),
    ],
  });
});
after(async () => {
  await portico?.close();
  await partner?.close();
  npm?.close();
  npm?.closeAllConnections();
  if (python !== null) {
    python.kill();
    await once(python, 'exit');
  }
  rmSync(folder, { recursive: true });
});

async function until(service: string): Promise<void> {
  for (let round = 0; ; round++) {
    const { status } = await fetch(`${portico.urls.http}/services/${service}`);
    if (status === 200) return;
    assert.ok(round < 600, `${service} does not appear`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

interface Answered {
  readonly status: number;
  readonly json: Record<string, unknown> & { readonly detail?: string; readonly code?: string };
}

async function rest(method: string, input: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Answered> {
  const answer = await fetch(`${portico.urls.http}/services/${method}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(input),
  });
  return { status: answer.status, json: (await answer.json()) as Answered['json'] };
}

test('npm soap is REST here: names, decimals, enumerations, lists, faults that are declared, who calls', async () => {
  await until('npm.v1.Stock');
  const { json } = await rest('npm.v1.Stock/Find', { name: 'tea' });
  assert.deepEqual(json, {
    item: [
      { name: 'tea & co', price: '1.10', size: 'very_large', tags: ['a', 'b'] },
      { name: 'tea', price: '20', size: 'small', tags: [] },
    ],
  });
  assert.equal(((await rest('npm.v1.Stock/Find', { name: 'tea', limit: 1 })).json.item as unknown[]).length, 1);
  assert.match(headersHeard[0] ?? '', /"Key":"sesame"/);
  const none = await rest('npm.v1.Stock/Find', { name: 'none' });
  assert.equal(none.json.code, 'FAILED_PRECONDITION', JSON.stringify(none));
  assert.deepEqual(
    [none.json.detail, JSON.stringify(none.json.details)],
    ['there is no such thing', '[{"@type":"type.googleapis.com/npm.v1.NoSuch","name":"none"}]'],
  );
  const invalid = await rest('npm.v1.Stock/Find', {});
  assert.deepEqual([invalid.status, invalid.json.code], [400, 'INVALID_ARGUMENT']);
});

test('who does not say who calls is refused by npm soap', async () => {
  await until('open.v1.Stock');
  const { json } = await rest('open.v1.Stock/Find', { name: 'tea' });
  assert.equal(json.code, 'UNAUTHENTICATED');
  assert.match(json.detail ?? '', /Invalid username or password/i);
});

test('npm soap is GraphQL and gRPC here', async () => {
  await until('npm.v1.Stock');
  const ask = async (query: string) => {
    const answer = await fetch(`${portico.urls.http}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query }),
    });
    return (await answer.json()) as { data: Record<string, { item?: unknown; name?: string }>; errors?: unknown };
  };
  const { data } = await ask('{ __schema { queryType { fields { name } } } }');
  const { fields } = (data as unknown as { __schema: { queryType: { fields: { name: string }[] } } }).__schema
    .queryType;
  const name = fields.map((field) => field.name).find((field) => /npm.*find$/i.test(field))!;
  assert.ok(name !== undefined, fields.map((field) => field.name).join(' '));
  const found = await ask(`{ ${name}(name: "tea", limit: 1) { item { name price size tags } } }`);
  assert.deepEqual(
    found.data?.[name]?.item,
    [{ name: 'tea & co', price: '1.10', size: 'very_large', tags: ['a', 'b'] }],
    JSON.stringify(found),
  );
  const { carrierFor } = await import('../../src/exports/client.ts');
  const { callOver } = await import('../../src/resources/services/client.ts');
  const carrier = await carrierFor(portico.urls.http!.replace('http:', 'grpc:'), {});
  const over = {
    kindOf: () => 'unary' as const,
    begin: (
      service: string,
      method: string,
      terms: { metadata: readonly string[]; timeoutMs: number },
      receiver: never,
    ) => carrier.begin(service, method, { ...terms, kind: 'unary' }, receiver),
  };
  const answer = await callOver(over as never, 'npm.v1.Stock', 'Find', { name: 'tea', limit: 1 });
  assert.deepEqual(answer, { item: [{ name: 'tea & co', price: '1.10', size: 'very_large', tags: ['a', 'b'] }] });
  await carrier.close();
});

test('the trace of a call goes on with it, and nothing else does', async () => {
  await until('ours.v1.Orders');
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const fields = { traceparent, 'x-tenant': 'seven', 'x-other': 'stays' };
  const metadata = (await rest('ours.v1.Orders/WhoAmI', {}, fields)).json.metadata as string[];
  assert.equal(metadata[metadata.indexOf('traceparent') + 1], traceparent);
  assert.equal(metadata[metadata.indexOf('x-tenant') + 1], 'seven');
  assert.ok(!metadata.includes('stays'), metadata.join(' '));
});

const EVERYTHING = {
  ...{ flag: true, number: '123456789012', price: '1.10', text: ' a <&> ö \u{1f600} ', raw: 'AAH/' },
  ...{ moment: '2026-01-02T03:04:05.678Z', day: '2026-01-02', colour: 'light_blue' },
  point: { x: -5, y: 0.25, unit: 'mm' },
  points: { point: [{ x: 1, y: 2, unit: 'm' }, { x: 3 }] },
  words: ['', 'b'],
};

test('Spyne is REST here: every type there and back, lists, faults, bare', { skip: noSpyne }, async () => {
  await until('spyne.v1.Spyned');
  const echoed = await rest('spyne.v1.Spyned/Echo', { value: EVERYTHING });
  assert.deepEqual(echoed.json, { echoResult: EVERYTHING }, JSON.stringify(echoed.json));
  const repeated = await rest('spyne.v1.Spyned/Repeat', { word: 'x', times: 3 });
  assert.deepEqual(repeated.json, { repeatResult: { string: ['x', 'x', 'x'] } });
  const failed = await rest('spyne.v1.Spyned/Fail', {});
  assert.deepEqual([failed.json.code, failed.json.detail], ['INVALID_ARGUMENT', 'there is nothing']);
  assert.deepEqual((await rest('spyne.v1.Spyned/Nothing', {})).json, { value: 'bare' });
});

const ITEM = { sku: 'a', quantity: 2, unitPrice: 1.5, colour: 'RED' };
const OURS = {
  ...{ flag: true, small: -5, natural: 4_294_967_295, large: '-9223372036854775808' },
  ...{ largeNatural: '18446744073709551615', single: 1.5, real: 1e300, text: 'ö\u{1f600} <&> "\'', raw: 'AAH/' },
  ...{ moment: '2024-02-29T12:00:00.123Z', span: '1.500s', whatever: { a: [1, null] }, colour: 'BLUE', nothing: {} },
  ...{ item: ITEM, maybeFlag: false, maybeSmall: 0, maybeLarge: '7', maybeReal: 0.1, maybeText: '', maybeRaw: '' },
  ...{ maybeMoment: '1969-12-31T23:59:59.000Z', maybeColour: 'RED', presetText: 'p', presetSmall: 1 },
  ...{ flags: [false, true], smalls: [1, -1], larges: ['1', '-1'], reals: [0.5, -0.25], texts: ['', 'b'] },
  ...{ raws: ['AA=='], moments: ['1969-12-31T23:59:59.000Z'], colours: ['RED', 'GREEN'], items: [ITEM] },
  ...{ textByName: { a: 'b' }, largeByName: { a: '5' }, itemByName: { a: ITEM }, chosenItem: ITEM },
};
const TREE = { root: { name: 'a', children: [{ name: 'b', children: [{ name: 'c', children: [] }] }] } };

for (const service of ['ours.v1.Orders', 'twelve.v1.Orders'])
  test(`a server of our own kind, by its WSDL: every type and every error there and back (${service})`, async () => {
    await until(service);
    assert.deepEqual((await rest(`${service}/EchoEverything`, OURS)).json, OURS);
    assert.deepEqual((await rest(`${service}/EchoTree`, TREE)).json, TREE);
    const order = { customer: 'ann', items: [ITEM], labels: {}, voucher: 'x' };
    const placed = (await rest(`${service}/PlaceOrder`, order)).json as { id: string };
    assert.match(placed.id, /^order-\d+$/);
    assert.equal((await rest(`${service}/GetOrder`, { id: placed.id })).json.customer, 'ann');
    assert.deepEqual((await rest(`${service}/CancelOrder`, { id: placed.id })).json, {});
    const gone = await rest(`${service}/GetOrder`, { id: placed.id });
    assert.deepEqual([gone.status, gone.json.detail], [404, `there is no order ${placed.id}`]);
    const soldOut = await rest(`${service}/PlaceOrder`, { ...order, items: [{ ...ITEM, sku: 'sold-out' }] });
    assert.deepEqual([soldOut.json.code, soldOut.json.detail], ['FAILED_PRECONDITION', 'sold-out is sold out']);
    const invalid = await rest(`${service}/PlaceOrder`, { ...order, items: [{ ...ITEM, quantity: 0 }] });
    assert.equal(invalid.json.code, 'INVALID_ARGUMENT');
    assert.match(JSON.stringify(invalid.json.violations), /items\[0\]\.quantity/);
    const who = (await rest(`${service}/WhoAmI`, {})).json;
    assert.equal(who.account, service === 'twelve.v1.Orders' ? 'bob' : '');
  });

test('what may not be reached is not, also where a WSDL of this machine leads', async () => {
  const said: string[] = [];
  const say = (text: string, fields: unknown) => void said.push(`${text} ${JSON.stringify(fields)}`);
  const stock = join(folder, 'inner.wsdl');
  writeFileSync(stock, NPM_WSDL.replace('http://elsewhere.test/stock', `${partner.urls.http}/`));
  await using other = await Portico.start({
    ...FREE,
    logger: { debug() {}, info: say, warn: say, error: say },
    upstreams: [
      { name: 'a.v1.B', soap: `${partner.urls.http}/soap/shop.v1.Orders?wsdl` },
      { name: 'a.v1.C', soap: stock },
    ],
  });
  const until = async (what: RegExp) => {
    while (!said.some((each) => what.test(each))) await new Promise((resolve) => setTimeout(resolve, 20));
  };
  await until(/does not say what it has.*a\.v1\.B/);
  assert.equal((await fetch(`${other.urls.http}/services/a.v1.B`)).status, 404);
  await until(/is there.*a\.v1\.C/);
  const called = await fetch(`${other.urls.http}/services/a.v1.C/Find`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"name":"tea"}',
  });
  assert.equal(called.status, 503);
});
