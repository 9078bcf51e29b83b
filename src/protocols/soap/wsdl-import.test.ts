// WSDL 1.1 of others as services: the styles, the types of XML Schema both ways, what is left out, and what is refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ClientOperation, soapAnswer, soapRequest } from './client.ts';
import { loadWsdl, WsdlError } from './wsdl-documents.ts';
import { type ImportedService, importWsdl } from './wsdl-import.ts';

const AT = 'http://partner.test/dir/shop.wsdl';
const TERMS = {
  sender: null,
  header: '',
  metadata: [],
  now: Date.UTC(2026, 0, 2, 3, 4, 5),
  random: (size: number) => Buffer.alloc(size, 7),
};

interface Given {
  readonly schema?: string;
  readonly schemaAttributes?: string;
  readonly messages?: string;
  readonly portType?: string;
  readonly binding?: string;
  readonly extra?: string;
  readonly soap?: '' | '12';
}

const ELEMENTS = `<wsdl:message name="In"><wsdl:part name="p" element="t:Call"/></wsdl:message>
<wsdl:message name="Out"><wsdl:part name="p" element="t:CallResponse"/></wsdl:message>`;

/** A WSDL with one operation, `Call`. */
function wsdl(given: Given): string {
  const { schema = '', schemaAttributes = '', messages = ELEMENTS, binding, extra = '', soap = '' } = given;
  const body = '<soap:body use="literal"/>';
  return `<?xml version="1.0"?><wsdl:definitions targetNamespace="urn:t" xmlns:wsdl="http://schemas.xmlsoap.org/wsdl/"
  xmlns:soap="http://schemas.xmlsoap.org/wsdl/soap${soap}/" xmlns:t="urn:t" xmlns:xs="http://www.w3.org/2001/XMLSchema">
  <wsdl:documentation>A shop.</wsdl:documentation>
  <wsdl:types><xs:schema targetNamespace="urn:t" elementFormDefault="qualified" ${schemaAttributes}>${schema}</xs:schema></wsdl:types>
  ${messages}
  <wsdl:portType name="P">${
    given.portType ??
    '<wsdl:operation name="Call"><wsdl:input message="t:In"/><wsdl:output message="t:Out"/></wsdl:operation>'
  }</wsdl:portType>
  <wsdl:binding name="B" type="t:P"><soap:binding transport="http://schemas.xmlsoap.org/soap/http" style="document"/>${
    binding ??
    `<wsdl:operation name="Call"><soap:operation soapAction="urn:t:Call"/><wsdl:input>${body}</wsdl:input><wsdl:output>${body}</wsdl:output></wsdl:operation>`
  }</wsdl:binding>
  <wsdl:service name="S"><wsdl:port name="Port" binding="t:B"><soap:address location="http://partner.test/call"/></wsdl:port></wsdl:service>
  ${extra}</wsdl:definitions>`;
}

async function imported(
  text: string,
  more: Readonly<Record<string, string>> = {},
  port = '',
): Promise<ImportedService> {
  const documents = await loadWsdl(AT, async (url) => {
    const found = url === AT ? text : more[url];
    if (found === undefined) throw new Error(`nothing at ${url}`);
    return { bytes: Buffer.from(found), charset: '' };
  });
  return importWsdl(documents, { name: 'partner.v1.Shop', port, safe: [] });
}

async function operationOf(given: Given): Promise<ClientOperation> {
  return (await imported(wsdl(given))).operations.get('Call')!;
}

/** What stands in the Body of the request for a value. */
function sent(operation: ClientOperation, value: unknown): string {
  const request = soapRequest(operation, value, TERMS);
  assert.ok('body' in request, JSON.stringify(request));
  return /<soap:Body>(.*)<\/soap:Body>/s.exec(String(request.body))![1]!.replace(/ xmlns:\w+="[^"]*"/g, '');
}

/** What the content of a Body is read as. */
function read(operation: ClientOperation, body: string, status = 200): unknown {
  const text = `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Header><x/></e:Header><e:Body>${body}</e:Body></e:Envelope>`;
  const answer = soapAnswer(operation, status, 'text/xml; charset=utf-8', Buffer.from(text));
  return answer.status ?? answer.value;
}

/** A schema in which Call and CallResponse have the same content. */
const echo = (content: string, more = '') =>
  `<xs:complexType name="Thing">${content}</xs:complexType><xs:element name="Call" type="t:Thing"/>
  <xs:element name="CallResponse" type="t:Thing"/>${more}`;

/** A value goes out as it is written, and is read of the same. */
async function thereAndBack(content: string, value: object, written: string, more = ''): Promise<void> {
  const operation = await operationOf({ schema: echo(content, more) });
  assert.equal(sent(operation, value), `<n1:Call>${written}</n1:Call>`);
  const back = read(operation, `<n1:CallResponse xmlns:n1="urn:t">${written}</n1:CallResponse>`);
  assert.deepEqual(JSON.parse(shown(back)), JSON.parse(shown(value)));
}

const shown = (value: unknown) =>
  JSON.stringify(value, (_key, each: unknown) => (typeof each === 'bigint' ? `${each}n` : each));

const one = (name: string, type: string, more = '') => `<xs:element name="${name}" type="${type}" ${more}/>`;
const sequence = (inner: string) => `<xs:sequence>${inner}</xs:sequence>`;

test('document/literal: names, actions and where it goes', async () => {
  const { service, operations, notes } = await imported(wsdl({ schema: echo(sequence(one('orderId', 'xs:int'))) }));
  assert.deepEqual([service.name, service.description, notes], ['partner.v1.Shop', 'A shop.', []]);
  const operation = operations.get('Call')!;
  assert.equal(operation.method.input.name, 'partner.v1.Thing');
  const request = soapRequest(operation, { orderId: 5 }, TERMS);
  assert.ok('body' in request);
  assert.equal(operation.location, 'http://partner.test/call');
  assert.deepEqual(
    [request.fields['content-type'], request.fields.soapaction],
    ['text/xml; charset=utf-8', '"urn:t:Call"'],
  );
  assert.match(
    String(request.body),
    /<n1:Call xmlns:xsi="[^"]+" xmlns:n1="urn:t"><n1:orderId>5<\/n1:orderId><\/n1:Call>/,
  );
});

test('SOAP 1.2 has its action beside its media type (SOAP 1.2 Part 2 §6.5)', async () => {
  const operation = await operationOf({ schema: echo(sequence(one('a', 'xs:int'))), soap: '12' });
  const request = soapRequest(operation, { a: 1 }, TERMS);
  assert.ok('body' in request);
  assert.equal(request.fields['content-type'], 'application/soap+xml; charset=utf-8; action="urn:t:Call"');
  assert.match(String(request.body), /http:\/\/www\.w3\.org\/2003\/05\/soap-envelope/);
});

test('scalars of XML Schema', async () => {
  const types: readonly (readonly [string, unknown, string])[] = [
    ['boolean', true, 'true'],
    ['byte', -128, '-128'],
    ['unsignedShort', 65_535, '65535'],
    ['long', -5n, '-5'],
    ['integer', 5n, '5'],
    ['positiveInteger', 7n, '7'],
    ['decimal', '1.10', '1.10'],
    ['double', 0.5, '0.5'],
    ['string', ' a<b ', ' a&lt;b '],
    ['token', 'x', 'x'],
    ['anyURI', 'urn:x', 'urn:x'],
    ['date', '2026-01-02+01:00', '2026-01-02+01:00'],
    ['gYear', '2026', '2026'],
    ['dateTime', new Date(0), '1970-01-01T00:00:00.000Z'],
    ['duration', 1_500, 'PT1.5S'],
    ['base64Binary', Buffer.from([1, 2]), 'AQI='],
    ['hexBinary', Buffer.from([1, 255]), '01FF'],
    ['NMTOKENS', ['a', 'b'], 'a b'],
  ];
  for (const [type, value, written] of types)
    await thereAndBack(sequence(one('v', `xs:${type}`)), { v: value }, `<n1:v>${written}</n1:v>`);
});

test('enumerations, by names that are words and by words that are none; lists of them', async () => {
  const colour = `<xs:simpleType name="Colour"><xs:restriction base="xs:string"><xs:enumeration value="RED"/>
    <xs:enumeration value="light blue"/><xs:enumeration value="1.5"/></xs:restriction></xs:simpleType>
    <xs:simpleType name="Colours"><xs:list itemType="t:Plain"/></xs:simpleType>
    <xs:simpleType name="Plain"><xs:restriction base="xs:token"><xs:enumeration value="A"/><xs:enumeration value="RED"/>
    </xs:restriction></xs:simpleType>`;
  const content = sequence(one('c', 't:Colour', 'maxOccurs="3"') + one('l', 't:Colours'));
  const value = { c: ['RED', 'light_blue', '_1_5'], l: ['A', 'Plain_RED'] };
  const written = '<n1:c>RED</n1:c><n1:c>light blue</n1:c><n1:c>1.5</n1:c><n1:l>A RED</n1:l>';
  await thereAndBack(content, value, written, colour);
});

test('sequence, all, attributes, simple content, extension, inner types, lists, groups, references', async () => {
  const price = `<xs:complexType name="Price"><xs:simpleContent><xs:extension base="xs:decimal">
    <xs:attribute name="currency" type="xs:string" use="required"/></xs:extension></xs:simpleContent></xs:complexType>`;
  await thereAndBack(
    `<xs:all>${one('price', 't:Price')}</xs:all><xs:attribute name="id" type="xs:int"/>`,
    { price: { value: '9.90', currency: 'E"' } },
    '<n1:price currency="E&#34;">9.90</n1:price>',
    price,
  );
  const base = `<xs:complexType name="Base">${sequence(one('a', 'xs:int'))}<xs:attribute name="x"/></xs:complexType>
    <xs:complexType name="Derived"><xs:complexContent><xs:extension base="t:Base">${sequence(one('b', 'xs:int'))}
    </xs:extension></xs:complexContent></xs:complexType>`;
  await thereAndBack(
    sequence(one('d', 't:Derived', 'minOccurs="0" maxOccurs="unbounded"')),
    {
      d: [
        { a: 1, b: 2, x: 'y' },
        { a: 3, b: 4 },
      ],
    },
    '<n1:d x="y"><n1:a>1</n1:a><n1:b>2</n1:b></n1:d><n1:d><n1:a>3</n1:a><n1:b>4</n1:b></n1:d>',
    base,
  );
  const group = `<xs:group name="G">${sequence(one('g', 'xs:string'))}</xs:group><xs:element name="Ref" type="xs:int"/>
    <xs:attributeGroup name="AG"><xs:attribute name="at" type="xs:boolean"/></xs:attributeGroup>`;
  const inner = `<xs:element name="in"><xs:complexType>${sequence(one('deep', 'xs:int'))}</xs:complexType></xs:element>`;
  const content = `${sequence(`<xs:group ref="t:G"/><xs:element ref="t:Ref"/>${inner}`)}<xs:attributeGroup ref="t:AG"/>`;
  const operation = await operationOf({ schema: echo(content, group) });
  assert.equal(
    sent(operation, { g: 's', ref: 5, in: { deep: 1 }, at: true }),
    '<n1:Call at="true"><n1:g>s</n1:g><n1:Ref>5</n1:Ref><n1:in><n1:deep>1</n1:deep></n1:in></n1:Call>',
  );
});

test('a type that others extend: xsi:type says what is there', async () => {
  const extension = (
    name: string,
    base: string,
    inner: string,
    more = '',
  ) => `<xs:complexType name="${name}"${more}><xs:complexContent>
    <xs:extension base="t:${base}">${sequence(inner)}</xs:extension></xs:complexContent></xs:complexType>`;
  const types = (
    abstract: string,
  ) => `<xs:complexType name="Shape" ${abstract}>${sequence(one('id', 'xs:int'))}<xs:attribute name="x"/>
    </xs:complexType>${extension('Circle', 'Shape', one('r', 'xs:int'))}${extension('Ring', 'Circle', one('hole', 'xs:int'))}`;
  const content = sequence(one('shape', 't:Shape', 'maxOccurs="unbounded"'));
  const operation = await operationOf({ schema: echo(content, types('')) });
  const value = {
    shape: [{ shape: { id: 1 } }, { circle: { id: 2, r: 5, x: 'y' } }, { ring: { id: 3, r: 4, hole: 1 } }],
  };
  const written =
    '<n1:shape><n1:id>1</n1:id></n1:shape><n1:shape xsi:type="n1:Circle" x="y"><n1:id>2</n1:id><n1:r>5</n1:r></n1:shape>' +
    '<n1:shape xsi:type="n1:Ring"><n1:id>3</n1:id><n1:r>4</n1:r><n1:hole>1</n1:hole></n1:shape>';
  assert.equal(sent(operation, value), `<n1:Call>${written}</n1:Call>`);
  const xmlns = 'xmlns:n1="urn:t" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"';
  assert.deepEqual(read(operation, `<n1:CallResponse ${xmlns}>${written}</n1:CallResponse>`), value);
  const odd = `<n1:CallResponse ${xmlns}><n1:shape xsi:type="n1:Newer"><n1:id>7</n1:id><n1:new/></n1:shape></n1:CallResponse>`;
  assert.deepEqual(read(operation, odd), { shape: [{ shape: { id: 7 } }] });
  const abstract = await operationOf({ schema: echo(content, types('abstract="true"')) });
  assert.deepEqual(read(abstract, odd), { shape: [{}] });
  const kinds = abstract.method.service.schema.types.get('partner.v1.AnyShape');
  assert.deepEqual(kinds?.kind === 'message' && kinds.fields.map(({ name, oneof }) => [name, oneof]), [
    ['circle', 'kind'],
    ['ring', 'kind'],
  ]);
});

test('an element that others may stand for is a choice of them (XML Schema Part 1 §3.3.6.4)', async () => {
  const elements = `<xs:element name="Head" type="xs:int" abstract="true"/><xs:element name="A" type="xs:int" substitutionGroup="t:Head"/>
    <xs:element name="B" type="xs:string" substitutionGroup="t:Head"/><xs:element name="C" type="xs:int" substitutionGroup="t:B"/>`;
  const operation = await operationOf({ schema: echo(sequence('<xs:element ref="t:Head"/>'), elements) });
  assert.deepEqual(
    operation.method.input.fields.map(({ name, oneof }) => [name, oneof]),
    [
      ['a', 'choice'],
      ['b', 'choice'],
      ['c', 'choice'],
    ],
  );
  await thereAndBack(sequence('<xs:element ref="t:Head"/>'), { c: 5 }, '<n1:C>5</n1:C>', elements);
  const many = sequence('<xs:element ref="t:Head" maxOccurs="9"/>');
  await thereAndBack(many, { a: [1, 2], b: ['x'], c: [] }, '<n1:A>1</n1:A><n1:A>2</n1:A><n1:B>x</n1:B>', elements);
});

test('a choice is a oneof; one that repeats is lists; nil stands for what must be there and is not', async () => {
  const choice = sequence(`<xs:choice>${one('a', 'xs:int')}${one('b', 'xs:string')}</xs:choice>${one('c', 'xs:int')}`);
  await thereAndBack(choice, { b: 'x', c: 1 }, '<n1:b>x</n1:b><n1:c>1</n1:c>');
  const operation = await operationOf({ schema: echo(choice) });
  assert.deepEqual(
    operation.method.input.fields.map(({ oneof }) => oneof),
    ['choice', 'choice', undefined],
  );
  const many = `<xs:choice maxOccurs="unbounded">${one('a', 'xs:int')}${one('b', 'xs:string')}</xs:choice>`;
  await thereAndBack(many, { a: [1, 2], b: ['x'] }, '<n1:a>1</n1:a><n1:a>2</n1:a><n1:b>x</n1:b>');
  const nil = sequence(one('n', 'xs:int', 'nillable="true"'));
  const nilling = await operationOf({ schema: echo(nil) });
  assert.equal(sent(nilling, {}), '<n1:Call><n1:n xsi:nil="true"/></n1:Call>');
  const xsi = 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"';
  assert.deepEqual(read(nilling, `<CallResponse ${xsi} xmlns="urn:t"><n xsi:nil="true"/></CallResponse>`), {});
});

test('types that contain themselves; unqualified elements', async () => {
  const tree = echo(
    sequence(one('name', 'xs:string') + one('child', 't:Thing', 'minOccurs="0" maxOccurs="unbounded"')),
  );
  const operation = await operationOf({ schema: tree, schemaAttributes: '' });
  const value = { name: 'a', child: [{ name: 'b', child: [] }] };
  assert.equal(
    sent(operation, value),
    '<n1:Call><n1:name>a</n1:name><n1:child><n1:name>b</n1:name></n1:child></n1:Call>',
  );
  const text = wsdl({ schema: echo(sequence(one('name', 'xs:string'))) }).replace('elementFormDefault="qualified"', '');
  const unqualified = (await imported(text)).operations.get('Call')!;
  assert.equal(sent(unqualified, { name: 'a' }), '<n1:Call><name>a</name></n1:Call>');
  // Some answer with namespaces all the same.
  assert.deepEqual(read(unqualified, '<CallResponse xmlns="urn:t"><name>b</name></CallResponse>'), { name: 'b' });
});

test('an answer is taken as it comes: what is missing, what nobody knows, in another order', async () => {
  const operation = await operationOf({ schema: echo(sequence(one('a', 'xs:int') + one('b', 'xs:int'))) });
  assert.deepEqual(read(operation, '<r><new><er/>text</new><b>2</b></r>'), { b: 2 });
  assert.equal(operation.method.output.fields[0]!.required, false);
  assert.deepEqual(read(operation, ''), {});
  const bad = read(operation, '<r><a>x</a></r>') as { code: string; message: string };
  assert.deepEqual([bad.code, bad.message], ['INTERNAL', 'the answer cannot be read: a is no whole number of 32 bits']);
});

test('what is only an input is required and bounded', async () => {
  const name = `<xs:simpleType name="N"><xs:restriction base="xs:string"><xs:maxLength value="3"/></xs:restriction></xs:simpleType>`;
  const schema = `${name}<xs:element name="Call"><xs:complexType>${sequence(one('n', 't:N') + one('o', 't:N', 'minOccurs="0"'))}
    </xs:complexType></xs:element><xs:element name="CallResponse"><xs:complexType/></xs:element>`;
  const { method } = await operationOf({ schema });
  assert.deepEqual([method.input.name, method.output.name], ['partner.v1.CallRequest', 'partner.v1.CallResponse']);
  assert.deepEqual(
    method.input.fields.map(({ required, constraints }) => [required, constraints]),
    [
      [true, { maxLength: 3 }],
      [false, { maxLength: 3 }],
    ],
  );
});

test('rpc/literal: parts are elements without a namespace (WS-I Basic Profile 1.1 R2735)', async () => {
  const messages = `<wsdl:message name="In"><wsdl:part name="a" type="xs:int"/><wsdl:part name="b" type="t:Pair"/></wsdl:message>
    <wsdl:message name="Out"><wsdl:part name="result" type="xs:string"/></wsdl:message>`;
  const body = '<soap:body use="literal" namespace="urn:rpc"/>';
  const binding = `<wsdl:operation name="Call"><soap:operation soapAction="" style="rpc"/><wsdl:input>${body}</wsdl:input>
    <wsdl:output>${body}</wsdl:output></wsdl:operation>`;
  const schema = `<xs:complexType name="Pair">${sequence(one('x', 'xs:int'))}</xs:complexType>`;
  const operation = await operationOf({ schema, messages, binding });
  const request = soapRequest(operation, { a: 1, b: { x: 2 } }, TERMS);
  assert.ok('body' in request);
  const prefixes = new Map(
    [...String(request.body).matchAll(/xmlns:(n\d)="([^"]+)"/g)].map(([, prefix, uri]) => [uri!, prefix!]),
  );
  const [rpc, t] = [prefixes.get('urn:rpc'), prefixes.get('urn:t')];
  assert.equal(sent(operation, { a: 1, b: { x: 2 } }), `<${rpc}:Call><a>1</a><b><${t}:x>2</${t}:x></b></${rpc}:Call>`);
  assert.deepEqual(read(operation, '<m:CallResponse xmlns:m="urn:rpc"><result>ok</result></m:CallResponse>'), {
    result: 'ok',
  });
});

test('a bare element with a value alone; an operation without an answer', async () => {
  const schema = '<xs:element name="Call" type="xs:string"/><xs:element name="CallResponse" type="xs:int"/>';
  const operation = await operationOf({ schema });
  assert.equal(sent(operation, { value: 'a&b' }), '<n1:Call>a&amp;b</n1:Call>');
  assert.deepEqual(read(operation, '<CallResponse xmlns="urn:t">5</CallResponse>'), { value: 5 });
  const portType = '<wsdl:operation name="Call"><wsdl:input message="t:In"/></wsdl:operation>';
  const oneWay = await operationOf({ schema, portType });
  const answer = soapAnswer(oneWay, 202, '', Buffer.alloc(0));
  assert.deepEqual([answer.status, 'value' in answer && answer.value], [null, {}]);
});

test('what nothing describes is JSON: text as text, elements by their names', async () => {
  await thereAndBack(
    sequence('<xs:element name="any"/>'),
    { any: { a: 'x', b: ['1', '2'], c: { d: '' } } },
    '<n1:any><a>x</a><b>1</b><b>2</b><c><d></d></c></n1:any>',
  );
});

test('schemas that are imported and included, relative to where they stand; round in a ring', async () => {
  const schema = `<xs:import namespace="urn:o" schemaLocation="types/o.xsd"/>
    <xs:element name="Call" type="o:Thing" xmlns:o="urn:o"/><xs:element name="CallResponse" type="o:Thing" xmlns:o="urn:o"/>`;
  const xs = 'xmlns:xs="http://www.w3.org/2001/XMLSchema"';
  const { operations } = await imported(wsdl({ schema }), {
    'http://partner.test/dir/types/o.xsd': `<xs:schema ${xs} targetNamespace="urn:o" xmlns:o="urn:o" elementFormDefault="qualified">
      <xs:include schemaLocation="../chameleon.xsd"/><xs:import namespace="urn:t" schemaLocation="../shop.wsdl"/>
      <xs:complexType name="Thing">${sequence('<xs:element name="a" type="o:Small"/>')}</xs:complexType></xs:schema>`,
    'http://partner.test/dir/chameleon.xsd': `<xs:schema ${xs}><xs:include schemaLocation="chameleon.xsd"/>
      <xs:complexType name="Small">${sequence('<xs:element name="b" type="Number"/>')}</xs:complexType>
      <xs:simpleType name="Number"><xs:restriction base="xs:int"/></xs:simpleType></xs:schema>`,
  });
  assert.equal(
    sent(operations.get('Call')!, { a: { b: 1 } }).replace(/n\d/g, 'n'),
    '<n:Call><n:a><b>1</b></n:a></n:Call>',
  );
});

test('a fault is told by its code, its side and what it declares', async () => {
  const fault = `<xs:element name="Gone"><xs:complexType>${sequence(one('id', 'xs:int'))}</xs:complexType></xs:element>`;
  const operation = await operationOf({
    schema: echo(sequence(one('a', 'xs:int')), fault),
    messages: `${ELEMENTS}<wsdl:message name="GoneFault"><wsdl:part name="f" element="t:Gone"/></wsdl:message>`,
    portType: `<wsdl:operation name="Call"><wsdl:input message="t:In"/><wsdl:output message="t:Out"/>
      <wsdl:fault name="Gone" message="t:GoneFault"/></wsdl:operation>`,
  });
  const told = (code: string, detail: string, status = 500) =>
    read(operation, `<e:Fault><faultcode>${code}</faultcode><faultstring>no</faultstring>${detail}</e:Fault>`, status);
  assert.deepEqual(told('e:Server', '<detail><g:Gone xmlns:g="urn:t"><g:id>7</g:id></g:Gone></detail>'), {
    ...{ code: 'FAILED_PRECONDITION', message: 'no' },
    details: [{ type: 'partner.v1.Gone', value: { id: 7 } }],
  });
  assert.deepEqual(told('e:Client', '<detail>words<x><y>1</y></x></detail>'), {
    ...{ code: 'INVALID_ARGUMENT', message: 'no' },
    details: [{ type: 'x', value: { y: '1' } }],
  });
  assert.deepEqual(told('e:Server.Database', ''), { code: 'UNKNOWN', message: 'no', details: [] });
  assert.deepEqual(told('wsse:FailedAuthentication', ''), { code: 'UNAUTHENTICATED', message: 'no', details: [] });
  assert.equal((told('e:Server', '', 503) as { code: string }).code, 'UNAVAILABLE');
  const page = soapAnswer(operation, 502, 'text/html', Buffer.from('<html>'));
  assert.deepEqual(page.status?.code, 'UNAVAILABLE');
  const twelve = `<e:Fault><e:Code><e:Value>e:Sender</e:Value><e:Subcode><e:Value>x:Y</e:Value></e:Subcode></e:Code>
    <e:Reason><e:Text xml:lang="en">why</e:Text></e:Reason></e:Fault>`;
  assert.deepEqual(read(operation, twelve, 400), { code: 'INVALID_ARGUMENT', message: 'why', details: [] });
});

test('MTOM: bytes that came beside the envelope (XOP §2.1)', async () => {
  const operation = await operationOf({ schema: echo(sequence(one('raw', 'xs:base64Binary'))) });
  const envelope = `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body><r><raw>
    <xop:Include xmlns:xop="http://www.w3.org/2004/08/xop/include" href="cid:a%40b"/></raw></r></e:Body></e:Envelope>`;
  const body =
    `--x\r\nContent-Type: application/xop+xml; charset=utf-8; type="text/xml"\r\nContent-ID: <r>\r\n\r\n${envelope}` +
    '\r\n--x\r\nContent-Type: image/png\r\nContent-ID: <a@b>\r\nContent-Transfer-Encoding: binary\r\n\r\n\u0001\u0002\r\n--x--\r\n';
  const answer = soapAnswer(operation, 200, 'multipart/related; boundary=x; start="<r>"', Buffer.from(body));
  assert.deepEqual('value' in answer && answer.value, { raw: Buffer.from([1, 2]) });
});

test('who calls: the digest is of nonce, time and password (WS-Security UsernameToken Profile 1.1 §3.1)', async () => {
  const operation = await operationOf({ schema: echo(sequence(one('a', 'xs:int'))) });
  const header = (way: 'text' | 'digest' | 'basic') => {
    const request = soapRequest(operation, { a: 1 }, { ...TERMS, sender: { way, user: 'a&n', password: 'p<w' } });
    assert.ok('body' in request);
    return `${request.fields.authorization ?? ''}${request.body}`;
  };
  assert.match(header('basic'), /^Basic YSZuOnA8dw==(?!.*Security)/s);
  assert.match(
    header('text'),
    /<wsse:Username>a&amp;n<.*#PasswordText">p&lt;w<.*<wsu:Created>2026-01-02T03:04:05.000Z</s,
  );
  // SHA-1 of 16 times 0x07, 2026-01-02T03:04:05.000Z and p<w.
  assert.match(
    header('digest'),
    /#PasswordDigest">17E\/CZoPeHs8K6C\+jO4pz4BT7X8=<.*#Base64Binary">BwcHBwcHBwcHBwcHBwcHBw==</s,
  );
});

test('what has no form here is left out, and says why; what is no WSDL is refused', async () => {
  const left = async (given: Given) => {
    const two = `${wsdl(given)}`;
    return imported(two).then(
      () => assert.fail('it has an operation'),
      (error: Error) => error.message,
    );
  };
  const encoded = `<wsdl:operation name="Call"><soap:operation soapAction=""/><wsdl:input><soap:body use="encoded"/></wsdl:input></wsdl:operation>`;
  assert.match(await left({ schema: echo(sequence('')), binding: encoded }), /SOAP encoding/);
  assert.match(await left({ schema: echo(sequence(one('a', 't:Nothing'))) }), /there is no type \{urn:t\}Nothing/);
  const pairs = `<xs:sequence maxOccurs="unbounded">${one('a', 'xs:int')}${one('b', 'xs:int')}</xs:sequence>`;
  assert.match(await left({ schema: echo(pairs) }), /a sequence that repeats/);
  assert.match(await left({ schema: '', messages: '' }), /there is no message \{urn:t\}In/);
  await assert.rejects(imported('<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'), /document type declaration is never read/);
  await assert.rejects(imported('<a/>'), /is no WSDL/);
  await assert.rejects(imported('<description xmlns="http://www.w3.org/ns/wsdl"/>'), /WSDL 2\.0/);
  const outside = wsdl({ schema: '<xs:include schemaLocation="file:///etc/passwd"/>' });
  await assert.rejects(imported(outside), /is not fetched from there/);
  await assert.rejects(imported(wsdl({ schema: echo(sequence('')) }), {}, 'Other'), /no port Other; there are Port/);
});

test('parts of a message that go as headers are not in the body', async () => {
  const messages = `${ELEMENTS.replace('</wsdl:message>', '<wsdl:part name="session" element="t:Session"/></wsdl:message>')}`;
  const binding = `<wsdl:operation name="Call"><soap:operation soapAction="x"/><wsdl:input><soap:body use="literal"/>
    <soap:header message="t:In" part="session" use="literal"/></wsdl:input><wsdl:output><soap:body use="literal"/></wsdl:output>
    </wsdl:operation>`;
  const schema = echo(sequence(one('a', 'xs:int')), '<xs:element name="Session" type="xs:string"/>');
  assert.equal(sent(await operationOf({ schema, messages, binding }), { a: 1 }), '<n1:Call><n1:a>1</n1:a></n1:Call>');
});

test('numbers and words that are empty in an answer are absent', async () => {
  const colour = `<xs:simpleType name="C"><xs:restriction base="xs:string"><xs:enumeration value="A"/></xs:restriction></xs:simpleType>
    <xs:simpleType name="D"><xs:restriction base="xs:string"><xs:enumeration value="a b"/></xs:restriction></xs:simpleType>`;
  const parts = `${one('n', 'xs:int')}${one('c', 't:C')}${one('d', 't:D')}${one('s', 'xs:string')}${one('l', 'xs:int', 'maxOccurs="9"')}`;
  const operation = await operationOf({ schema: echo(sequence(parts), colour) });
  const answer = '<r><n/><c> </c><d></d><s/><l>1</l><l/><l>2</l></r>';
  assert.deepEqual(JSON.parse(shown(read(operation, answer))), { s: '', l: [1, 2] });
});

test('a port of a policy that asks for WS-Addressing has its headers', async () => {
  const policy = `<wsp:Policy wsu:Id="P" xmlns:wsp="http://schemas.xmlsoap.org/ws/2004/09/policy"
    xmlns:wsu="http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd"><wsp:ExactlyOne><wsp:All>
    <wsaw:UsingAddressing xmlns:wsaw="http://www.w3.org/2006/05/addressing/wsdl"/></wsp:All></wsp:ExactlyOne></wsp:Policy>`;
  const text = wsdl({ schema: echo(sequence(one('a', 'xs:int'))), extra: policy, soap: '12' }).replace(
    '<wsdl:binding name="B" type="t:P">',
    '<wsdl:binding name="B" type="t:P"><wsp:PolicyReference URI="#P" xmlns:wsp="http://schemas.xmlsoap.org/ws/2004/09/policy"/>',
  );
  const request = soapRequest((await imported(text)).operations.get('Call')!, { a: 1 }, TERMS);
  assert.ok('body' in request);
  const body = String(request.body);
  assert.match(
    body,
    /<wsa:Action [^>]+>urn:t:Call<.*<wsa:MessageID [^>]+>urn:uuid:[0-9a-f-]{36}<.*<wsa:To [^>]+>http:\/\/partner\.test\/call</,
  );
});

test('types deep in types, and one of many operations that cannot be', async () => {
  const deep = Array.from(
    { length: 2_000 },
    (_, at) => `<xs:complexType name="T${at}">${sequence(one('t', `t:T${at + 1}`, 'minOccurs="0"'))}</xs:complexType>`,
  ).join('');
  const end = `<xs:complexType name="T2000">${sequence('')}</xs:complexType>`;
  await assert.rejects(imported(wsdl({ schema: echo(sequence(one('t', 't:T0')), deep + end) })), /nested too deeply/);
  const name = (text: string) =>
    text.replaceAll('Call', 'Other').replaceAll('"In"', '"In2"').replaceAll('t:In', 't:In2');
  const messages = `${ELEMENTS}<wsdl:message name="In2"><wsdl:part name="p" element="t:Other"/></wsdl:message>`;
  const operation = '<wsdl:operation name="Call"><wsdl:input message="t:In"/></wsdl:operation>';
  const bound = `<wsdl:operation name="Call"><wsdl:input><soap:body use="literal"/></wsdl:input></wsdl:operation>`;
  const bad = `<xs:element name="Other"><xs:complexType>${sequence(`${one('ok', 't:Thing')}${one('a', 't:No')}`)}</xs:complexType></xs:element>`;
  const { operations, notes, service } = await imported(
    wsdl({
      schema: echo(sequence(one('a', 'xs:int')), bad),
      messages,
      portType: operation + name(operation),
      binding: bound + name(bound),
    }),
  );
  assert.deepEqual([...operations.keys()], ['Call']);
  assert.match(notes.join(), /the operation Other is left out: there is no type \{urn:t\}No/);
  assert.deepEqual([...service.schema.types.keys()].sort(), ['google.protobuf.Empty', 'partner.v1.Thing']);
});

/** A text with some of it gone, doubled or put elsewhere. */
const damaged = (text: string) =>
  fc
    .array(fc.tuple(fc.nat(text.length), fc.nat(40), fc.constantFrom('cut', 'double', '<', '"', 'x', '&')), {
      maxLength: 4,
    })
    .map((edits) =>
      edits.reduce((given, [at, length, what]) => {
        const middle = what === 'cut' ? '' : what === 'double' ? given.slice(at, at + length).repeat(2) : what;
        return given.slice(0, at) + middle + given.slice(at + length);
      }, text),
    );

test('whatever is in a description, it is imported or refused', async () => {
  const schema = echo(
    sequence(one('a', 'xs:int') + one('b', 't:Thing', 'minOccurs="0"') + one('c', 't:C')),
    '<xs:simpleType name="C"><xs:restriction base="xs:string"><xs:enumeration value="A"/></xs:restriction></xs:simpleType>',
  );
  const property = fc.asyncProperty(damaged(wsdl({ schema })), async (text) => {
    try {
      for (const operation of (await imported(text)).operations.values()) {
        const request = soapRequest(operation, {}, TERMS);
        assert.ok('body' in request);
        read(operation, '<x/>');
      }
    } catch (error) {
      assert.ok(error instanceof WsdlError || /^nothing at /.test((error as Error).message), String(error));
    }
  });
  await fc.assert(property, { numRuns: 2_000 });
});

test('whatever is in an answer, it is a value or a status', async () => {
  const operation = await operationOf({
    schema: echo(sequence(one('a', 'xs:int') + one('b', 't:Thing', 'minOccurs="0"'))),
  });
  const answer = (body: string) =>
    `<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>${body}</e:Body></e:Envelope>`;
  const texts = [
    answer('<t:CallResponse xmlns:t="urn:t"><t:a>1</t:a><t:b><t:a>2</t:a></t:b></t:CallResponse>'),
    answer(
      '<e:Fault><faultcode>e:Server</faultcode><faultstring>no</faultstring><detail><a><b>c</b></a></detail></e:Fault>',
    ),
  ];
  const property = fc.property(fc.oneof(...texts.map(damaged)), fc.constantFrom(200, 500, 404), (text, status) => {
    const told = soapAnswer(operation, status, 'text/xml', Buffer.from(text));
    assert.ok(told.status === null ? 'value' in told : typeof told.status.code === 'string');
  });
  fc.assert(property, { numRuns: 3_000 });
});

test('groups that grow without end, and deep ones, stop', async () => {
  const groups = Array.from(
    { length: 24 },
    (_, at) =>
      `<xs:group name="G${at}"><xs:sequence><xs:group ref="t:G${at + 1}"/><xs:group ref="t:G${at + 1}"/></xs:sequence></xs:group>`,
  ).join('');
  const schema = `${groups}<xs:group name="G24">${sequence(one('a', 'xs:int', 'minOccurs="0"'))}</xs:group>${echo(sequence('<xs:group ref="t:G0"/>'))}`;
  await assert.rejects(imported(wsdl({ schema })), /too large/);
  const ring = `<xs:group name="R">${sequence('<xs:group ref="t:R"/>')}</xs:group>${echo(sequence('<xs:group ref="t:R"/>'))}`;
  await assert.rejects(imported(wsdl({ schema: ring })), /nested too deeply/);
});
