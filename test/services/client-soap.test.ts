// The typed client over SOAP, and `portico call` by a WSDL: values, errors with typed details, who calls, deadlines.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createClient, ServiceError } from '../../src/exports/client.ts';
import { Portico } from '../../src/portico.ts';
import { shopService } from '../../src/resources/services/testing/shop.ts';

const TIMEOUT = { timeout: 60_000 };
const QUIET = { ports: 'ephemeral', storage: 'memory', log: { level: 'silent' } } as const;
const ITEM = { sku: 'a', quantity: 2, unitPrice: 1.5 };
const ORDER = { customer: 'ann', items: [ITEM], labels: { gift: 'yes' }, voucher: 'x' };

async function codeOf(call: Promise<unknown>): Promise<ServiceError> {
  try {
    await call;
  } catch (error) {
    assert.ok(error instanceof ServiceError, String(error));
    return error;
  }
  assert.fail('it was answered');
}

test('the typed client over SOAP', TIMEOUT, async () => {
  const shop = shopService();
  await using portico = await Portico.start({ ...QUIET, services: [shop] });
  await using client = await createClient(shop, portico.urls.http!.replace('http:', 'soap:'));
  const order = await client.PlaceOrder(ORDER);
  assert.deepEqual([order.id, order.labels, order.voucher], ['order-1', { gift: 'yes' }, 'x']);
  assert.ok(order.placed instanceof Date);
  const missing = await codeOf(client.GetOrder({ id: 'none' }));
  assert.deepEqual([missing.code, missing.message], ['NOT_FOUND', 'there is no order none']);
  const soldOut = await codeOf(client.PlaceOrder({ ...ORDER, items: [{ ...ITEM, sku: 'sold-out' }] }));
  assert.deepEqual(soldOut.details, [{ type: 'shop.v1.OutOfStock', value: { sku: 'sold-out', left: 1 } }]);
  const late = await codeOf(client.Fail({ how: 'HANG' }, { timeoutMs: 100 }));
  assert.equal(late.code, 'DEADLINE_EXCEEDED');
  const abort = new AbortController();
  const hanging = codeOf(client.Fail({ how: 'HANG' }, { signal: abort.signal }));
  abort.abort();
  assert.equal((await hanging).code, 'CANCELLED');
  let headers: readonly string[] = [];
  const who = await client.WhoAmI({}, { metadata: ['x-trace', 'abc'], onHeaders: (given) => (headers = given) });
  assert.equal(who.metadata[who.metadata.indexOf('x-trace') + 1], 'abc');
  assert.equal(headers[headers.indexOf('x-shop') + 1], 'open');
  const stream = client.Count({ count: 1 });
  assert.equal((await codeOf(stream.next())).code, 'UNIMPLEMENTED');
  const unwritable = await codeOf(client.Fail({ how: 'OK', message: '\u0001' }));
  assert.deepEqual([unwritable.code, /^message has a character/.test(unwritable.message)], ['INVALID_ARGUMENT', true]);
});

test('a password goes in a field of HTTP or in the message', TIMEOUT, async () => {
  const shop = shopService();
  await using portico = await Portico.start({ ...QUIET, services: [shop] });
  const url = portico.urls.http!.replace('http:', 'soap:');
  for (const usernameToken of [undefined, 'text', 'digest'] as const) {
    const way = usernameToken === undefined ? {} : { usernameToken };
    await using client = await createClient(shop, url, { user: 'bob', password: 'päss', ...way });
    assert.equal((await client.WhoAmI({})).account, 'bob', usernameToken ?? 'basic');
  }
});

test('nobody there, and no such service', TIMEOUT, async () => {
  const shop = shopService();
  await using nobody = await createClient(shop, 'soap://127.0.0.1:9');
  assert.equal((await codeOf(nobody.GetOrder({ id: '1' }))).code, 'UNAVAILABLE');
  await using portico = await Portico.start(QUIET);
  await using client = await createClient(shop, portico.urls.http!.replace('http:', 'soap:'));
  assert.equal((await codeOf(client.GetOrder({ id: '1' }))).code, 'UNIMPLEMENTED');
});
