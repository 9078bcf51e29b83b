// Services of other servers behind this one: a REST service by its OpenAPI document, a server of gRPC by reflection, one of
// GraphQL by introspection, each called here by protocols that it does not speak.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import { Portico, type StartOptions } from '../../src/portico.ts';
import { shopService } from '../../src/resources/services/testing/shop.ts';

const FREE: StartOptions = { ports: 'ephemeral', storage: 'memory', hosts: ['127.0.0.1'], control: false };
let partner: Portico;
let portico: Portico;
let isUp = false;
/** Of what the REST service was asked with, by name. */
const heard: (readonly [name: string, value: unknown])[] = [];

const rest = createServer((request, response) => {
  const json = (status: number, value: unknown) =>
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value));
  if (!isUp) return void response.writeHead(503).end();
  if (request.url === '/openapi.json') {
    const pet = { type: 'object', properties: { id: { type: 'integer' }, name: { type: 'string' } } };
    const answers = { 200: { content: { 'application/json': { schema: pet } } } };
    const id = { name: 'id', in: 'path', required: true, schema: { type: 'integer', format: 'int32' } };
    const paths = { '/pets/{id}': { get: { operationId: 'getPet', parameters: [id], responses: answers } } };
    return void json(200, { openapi: '3.1.0', info: { title: 'Pets' }, servers: [{ url: '/v1' }], paths });
  }
  heard.push(...Object.entries(request.headers));
  if (request.headers['x-key'] !== 'sesame') return void json(401, { detail: 'no key' });
  if (request.url === '/v1/pets/7') return void json(200, { id: 7, name: 'Tom' });
  json(404, { detail: `there is nothing at ${request.url}` });
});

before(async () => {
  await new Promise<void>((resolve) => rest.listen(0, '127.0.0.1', resolve));
  partner = await Portico.start({ ...FREE, services: [shopService()] });
  portico = await Portico.start({
    ...FREE,
    outbound: { allow: ['127.0.0.1'] },
    upstreams: [
      {
        name: 'partner.v1.Pets',
        openapi: `http://127.0.0.1:${(rest.address() as AddressInfo).port}/openapi.json`,
        fields: { 'x-key': 'sesame' },
        metadata: ['x-tenant'],
      },
      { name: 'partner.v1.Shop', grpc: partner.urls.http! },
      { name: 'partner.v1.Graph', graphql: `${partner.urls.http}/graphql` },
    ],
  });
  isUp = true;
});
after(async () => {
  await portico?.close();
  await partner?.close();
  rest.close();
});

async function until(service: string): Promise<void> {
  for (let round = 0; ; round++) {
    const { status } = await fetch(`${portico.urls.http}/services/${service}`);
    if (status === 200) return;
    assert.ok(round < 600, `${service} does not appear`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

async function graphql(query: string): Promise<{ data?: Record<string, unknown>; errors?: { message: string }[] }> {
  const answer = await fetch(`${portico.urls.http}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query }),
  });
  return (await answer.json()) as never;
}

test('REST is GraphQL and SOAP here, once it is up', async () => {
  await until('partner.v1.Pets');
  const listed = await graphql('{ __schema { queryType { fields { name } } } }');
  const fields = (listed.data as { __schema: { queryType: { fields: { name: string }[] } } }).__schema.queryType.fields;
  const name = fields.map((each) => each.name).find((each) => /getPet$/i.test(each));
  assert.ok(name !== undefined, fields.map((each) => each.name).join(' '));
  const found = await graphql(`{ ${name}(id: 7) { id name } }`);
  assert.deepEqual(found.data?.[name], { id: '7', name: 'Tom' }, JSON.stringify(found));
  const missing = await graphql(`{ ${name}(id: 8) { id } }`);
  assert.match(missing.errors?.[0]?.message ?? '', /nothing at \/v1\/pets\/8/);
  const envelope =
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>' +
    '<GetPet xmlns="urn:portico:partner.v1.Pets"><id>7</id></GetPet></s:Body></s:Envelope>';
  const soap = await fetch(`${portico.urls.http}/soap/partner.v1.Pets`, {
    method: 'POST',
    headers: { 'content-type': 'text/xml' },
    body: envelope,
  });
  assert.match(await soap.text(), /<name>Tom<\/name>/);
});

test('gRPC is REST here, with its streams and its errors', async () => {
  await until('shop.v1.Orders');
  const url = `${portico.urls.http}/services/shop.v1.Orders`;
  const call = (method: string, input: unknown) =>
    fetch(`${url}/${method}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(input),
    });
  const order = { customer: 'ann', items: [{ sku: 'tea', quantity: 2, unitPrice: 1.5 }], labels: {} };
  const placed = (await (await call('PlaceOrder', order)).json()) as { id: string };
  assert.equal(placed.id, 'order-1');
  assert.equal(((await (await call('GetOrder', { id: placed.id })).json()) as { customer: string }).customer, 'ann');
  const gone = await call('GetOrder', { id: 'no' });
  assert.deepEqual([gone.status, ((await gone.json()) as { detail: string }).detail], [404, 'there is no order no']);
  assert.equal((await (await call('Count', { count: 3 })).text()).split('\n').length, 4);
});

test('GraphQL is REST here', async () => {
  await until('partner.v1.Graph');
  const { methods } = (await (await fetch(`${portico.urls.http}/services/partner.v1.Graph`)).json()) as {
    methods: { name: string }[];
  };
  assert.ok(
    methods.some(({ name }) => /GetOrder/.test(name)),
    JSON.stringify(methods.map(({ name }) => name)),
  );
});

test('the trace of a call and what is named go on with it, and how long there is; nothing else does', async () => {
  await Promise.all(['partner.v1.Pets', 'shop.v1.Orders', 'partner.v1.Graph'].map(until));
  const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const headers = {
    ...{ 'content-type': 'application/json', traceparent, 'x-request-id': 'r1', 'x-tenant': 'seven', 'x-other': 'no' },
    ...{ prefer: 'wait=20' },
  };
  const call = async (method: string, input: object) => {
    const answer = await fetch(`${portico.urls.http}/services/${method}`, {
      ...{ method: 'POST', headers, body: JSON.stringify(input) },
    });
    return (await answer.json()) as { metadata: string[]; hasDeadline: boolean };
  };
  const goneOn = (metadata: readonly string[]) => {
    for (const name of ['traceparent', 'x-request-id'])
      assert.equal(metadata[metadata.indexOf(name) + 1], headers[name as 'traceparent'], name);
    assert.ok(!metadata.includes('x-other'), metadata.join(' '));
  };
  const grpc = await call('shop.v1.Orders/WhoAmI', {});
  goneOn(grpc.metadata);
  assert.deepEqual([grpc.hasDeadline, grpc.metadata.includes('x-tenant')], [true, false]);
  const { methods } = (await (await fetch(`${portico.urls.http}/services/partner.v1.Graph`)).json()) as {
    methods: { name: string }[];
  };
  const whoAmI = methods.map(({ name }) => name).find((name) => /WhoAmI/i.test(name))!;
  const graphed = JSON.stringify(await call(`partner.v1.Graph/${whoAmI}`, {}));
  assert.ok(graphed.includes(traceparent) && graphed.includes('"r1"') && !graphed.includes('x-other'), graphed);
  heard.length = 0;
  await call('partner.v1.Pets/GetPet', { id: 7 });
  goneOn(heard.flat() as string[]);
  const fields = new Map(heard);
  assert.equal(fields.get('x-tenant'), 'seven');
  assert.match(String(fields.get('prefer')), /^wait=(?:1[0-9]|20)$/);
});

test('what may not be reached is not: private addresses have to be allowed', async () => {
  await using other = await Portico.start({ ...FREE, upstreams: [{ name: 'a.B', grpc: partner.urls.http! }] });
  await new Promise((resolve) => setTimeout(resolve, 300));
  assert.equal((await fetch(`${other.urls.http}/services/shop.v1.Orders`)).status, 404);
});
