// Pages that call services with @connectrpc/connect-web, gRPC-Web and Connect, with nothing between Chromium and the server: its
// own page, a page of an origin that is let in, and one that is not.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Browser } from 'playwright-core';
import { Portico } from '../../src/portico.ts';
import { registryBytes } from '../../src/protocols/grpc/testing/registry.ts';
import { describe } from '../../src/resources/services/define.ts';
import { shopService } from '../../src/resources/services/testing/shop.ts';
import { launch, type Site, skip, startSite } from './chromium.ts';

const MODULES = fileURLToPath(new URL('../../node_modules/', import.meta.url));
const IMPORTS = {
  '@bufbuild/protobuf': '@bufbuild/protobuf/dist/esm/index.js',
  '@bufbuild/protobuf/reflect': '@bufbuild/protobuf/dist/esm/reflect/index.js',
  '@bufbuild/protobuf/wire': '@bufbuild/protobuf/dist/esm/wire/index.js',
  '@bufbuild/protobuf/wkt': '@bufbuild/protobuf/dist/esm/wkt/index.js',
  '@bufbuild/protobuf/codegenv1': '@bufbuild/protobuf/dist/esm/codegenv1/index.js',
  '@bufbuild/protobuf/codegenv2': '@bufbuild/protobuf/dist/esm/codegenv2/index.js',
  '@connectrpc/connect': '@connectrpc/connect/dist/esm/index.js',
  '@connectrpc/connect/protocol': '@connectrpc/connect/dist/esm/protocol/index.js',
  '@connectrpc/connect/protocol-connect': '@connectrpc/connect/dist/esm/protocol-connect/index.js',
  '@connectrpc/connect/protocol-grpc-web': '@connectrpc/connect/dist/esm/protocol-grpc-web/index.js',
  '@connectrpc/connect-web': '@connectrpc/connect-web/dist/esm/index.js',
};

/** All modules that a page may want, so that its own origin has them whichever it is. */
function moduleOf(path: string): string {
  return readFileSync(MODULES + path.replace(/^\/modules\//, '').replaceAll('..', ''), 'utf8');
}

function pageOf(base: string): string {
  const imports = Object.fromEntries(Object.entries(IMPORTS).map(([name, path]) => [name, `${base}/modules/${path}`]));
  return `<!doctype html><title>calls</title><script type="importmap">${JSON.stringify({ imports })}</script>`;
}

/** The same calls in each protocol; answers what came of them. */
const CALLS = `async ([base, descriptors]) => {
  const { createFileRegistry, fromBinary } = await import('@bufbuild/protobuf');
  const { FileDescriptorSetSchema } = await import('@bufbuild/protobuf/wkt');
  const { createClient, ConnectError, Code } = await import('@connectrpc/connect');
  const web = await import('@connectrpc/connect-web');
  const bytes = Uint8Array.from(atob(descriptors), (one) => one.charCodeAt(0));
  const service = createFileRegistry(fromBinary(FileDescriptorSetSchema, bytes)).getService('shop.v1.Orders');
  const ways = {
    json: web.createConnectTransport({ baseUrl: base, useHttpGet: true }),
    bytes: web.createConnectTransport({ baseUrl: base, useBinaryFormat: true }),
    grpcWeb: web.createGrpcWebTransport({ baseUrl: base }),
  };
  const done = {};
  for (const [way, transport] of Object.entries(ways)) {
    const calls = createClient(service, transport);
    const refused = async (call) => { try { await call; return 'answered'; } catch (error) { return ConnectError.from(error); } };
    const found = done[way] = {};
    try {
      const order = { customer: 'ann', items: [{ sku: 'tea', quantity: 2, unitPrice: 3.5 }], labels: { gift: 'yes' } };
      const placed = await calls.placeOrder(order);
      found.placed = (await calls.getOrder({ id: placed.id })).labels.gift;
      const sold = await refused(calls.placeOrder({ ...order, items: [{ sku: 'sold-out', quantity: 1, unitPrice: 1 }] }));
      found.sold = [Code[sold.code], sold.rawMessage, sold.details[0].type];
      const invalid = await refused(calls.placeOrder({ ...order, customer: '' }));
      found.invalid = [Code[invalid.code], invalid.details[0].type];
      let header = null, trailer = null;
      const who = await calls.whoAmI({}, { headers: { 'x-hello': 'there' }, onHeader: (h) => header = h.get('x-shop'), onTrailer: (t) => trailer = t.get('x-till') });
      found.metadata = [who.metadata[who.metadata.indexOf('x-hello') + 1], header, trailer];
      let count = 0;
      for await (const { index } of calls.count({ count: 500, size: 100 })) if (index === count) count++;
      found.count = count;
      found.late = Code[(await refused(calls.fail({ how: 'HANG' }, { timeoutMs: 100 }))).code];
      const controller = new AbortController();
      let seen = 0;
      const left = await refused((async () => {
        for await (const tick of calls.count({ count: 100000, size: 1000 }, { signal: controller.signal })) if (++seen === 3) controller.abort();
      })());
      found.left = Code[left.code];
    } catch (error) {
      found.error = String(error);
    }
  }
  return done;
}`;

let browser: Browser;
let portico: Portico;
let friend: Site;
let base = '';
const descriptors = registryBytes([describe(shopService() as never).service]).toString('base64');

before(async () => {
  if (skip !== false) return;
  browser = await launch();
  friend = await startSite('<!doctype html><title>a friend</title>');
  portico = await Portico.start({
    ports: 'ephemeral',
    storage: 'memory',
    services: [shopService() as never],
    http: {
      origins: [`http://localhost:${friend.port}`],
      routes: {
        '/app': () => new Response(pageOf(base), { headers: { 'content-type': 'text/html' } }),
        '/modules/': (request) =>
          new Response(moduleOf(new URL(request.url).pathname), { headers: { 'content-type': 'text/javascript' } }),
      },
    },
  });
  base = portico.urls.http!.replace(/\/$/, '');
});
after(async () => {
  if (skip !== false) return;
  await browser.close();
  await friend[Symbol.asyncDispose]();
  await portico.close();
});

const EXPECTED = {
  placed: 'yes',
  sold: ['FailedPrecondition', 'sold-out is sold out', 'shop.v1.OutOfStock'],
  invalid: ['InvalidArgument', 'google.rpc.BadRequest'],
  metadata: ['there', 'open', '7'],
  count: 500,
  late: 'DeadlineExceeded',
  left: 'Canceled',
};

test('a page of the server’s own calls by Connect as JSON and bytes, and by gRPC-Web', { skip }, async () => {
  const page = await browser.newPage();
  await page.goto(`${base}/app`);
  const done = await page.evaluate(`(${CALLS})(${JSON.stringify([base, descriptors])})`);
  assert.deepEqual(done, { json: EXPECTED, bytes: EXPECTED, grpcWeb: EXPECTED });
  await page.close();
});

test('a page of an origin that is let in does the same', { skip }, async () => {
  const page = await browser.newPage();
  await page.goto(`http://localhost:${friend.port}/`);
  await page.setContent(pageOf(base));
  const done = await page.evaluate(`(${CALLS})(${JSON.stringify([base, descriptors])})`);
  assert.deepEqual(done, { json: EXPECTED, bytes: EXPECTED, grpcWeb: EXPECTED });
  await page.close();
});

test('a page of any other origin calls nothing', { skip }, async () => {
  const page = await browser.newPage();
  await page.goto(`http://evil.test:${friend.port}/`);
  const statuses = await page.evaluate(`(async () => {
    const types = ['application/json', 'application/grpc-web', 'application/connect+json', 'text/plain'];
    const found = [];
    for (const type of types)
      found.push(await fetch(${JSON.stringify(base)} + '/shop.v1.Orders/PlaceOrder', { method: 'POST', body: '{}', headers: { 'content-type': type } }).then(() => 'answered', () => 'refused'));
    return found;
  })()`);
  assert.deepEqual(statuses, ['refused', 'refused', 'refused', 'refused']);
  await page.close();
});
