// The page to try GraphQL in Chromium: it reads the schema, asks, subscribes over both carriers, and reaches nobody else.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { until } from '../clients.ts';
import { ask, type GraphqlHouse, openGraphql } from '../interop/graphql-house.ts';
import { launch, skip } from './chromium.ts';

let browser: Browser;
let house: GraphqlHouse;
let page: Page;
const reached = new Set<string>();
const complaints: string[] = [];

before(async () => {
  if (skip !== false) return;
  // A stream of events that is stopped is noticed when something is sent.
  house = await openGraphql({ limits: { keepAliveMs: 200 } });
  browser = await launch();
  page = await browser.newPage();
  page.on('request', (request) => reached.add(new URL(request.url()).host));
  page.on('console', (message) => message.type() === 'error' && complaints.push(message.text()));
  page.on('pageerror', (error) => complaints.push(String(error)));
  await page.goto(house.url);
});
after(async () => {
  if (skip !== false) return;
  await browser.close();
  await house.close();
  assert.deepEqual(house.bugs, []);
});

const answers = () => page.locator('#answers').innerText();

test('it shows the schema, and a click on a field writes an operation', { skip }, async () => {
  await page.getByRole('button', { name: 'ordersGetOrder', exact: true }).waitFor();
  await page.getByRole('searchbox').fill('placeorder');
  await page.getByRole('button', { name: 'ordersPlaceOrder', exact: true }).click();
  const query = await page.locator('#query').inputValue();
  assert.ok(query.startsWith('mutation OrdersPlaceOrder($customer: String!, $items: [LineItemInput!]!'));
  const variables = JSON.parse(await page.locator('#variables').inputValue()) as Record<string, unknown>;
  await page
    .locator('#variables')
    .fill(JSON.stringify({ ...variables, customer: 'ann', items: [{ sku: 'pen', quantity: 1, unitPrice: 2 }] }));
  await page.locator('#run').click();
  await shows(async () => (await answers()).includes('"id": "order-1"'), 'an order');
  assert.match(await page.locator('#status').innerText(), /^200 in \d+ ms$/);
  await page.getByRole('searchbox').fill('LineItem');
  await page.getByRole('button', { name: 'LineItem', exact: true }).click();
  assert.match(await page.locator('#docs').innerText(), /object LineItem[\s\S]*unitPrice: Float!/);
});

test('an error is shown as one', { skip }, async () => {
  await page.locator('#query').fill('{ ordersGetOrder(id: "none") { id } }');
  await page.keyboard.press('Control+Enter');
  await page.locator('#answers .wrong').waitFor();
  assert.ok((await answers()).includes('NOT_FOUND'));
});

for (const carrier of ['ws', 'sse'])
  test(`a subscription over ${carrier} shows what comes until it is stopped`, { skip }, async () => {
    await page.locator('#carrier').selectOption(carrier);
    await page.locator('#query').fill('subscription { topic(filter: "page/#") { payload } }');
    await page.locator('#run').click();
    await until(() => house.topics.figures.attached === 1, 'a subscriber');
    for (const payload of ['one', 'two'])
      await ask(house.url, 'mutation($payload: String) { publish(topic: "page/a", payload: $payload) { cursor } }', {
        payload,
      });
    await shows(async () => (await answers()).includes('"payload": "two"'), 'both');
    await page.locator('#run').click();
    await until(() => house.topics.figures.attached === 0, 'an end');
  });

test('it reached nobody else, and nothing in it was refused', { skip }, () => {
  assert.deepEqual([...reached], [`127.0.0.1:${house.port}`]);
  assert.deepEqual(complaints, []);
});

async function shows(done: () => Promise<boolean>, what: string): Promise<void> {
  for (let round = 0; !(await done()); round++) {
    assert.ok(round < 500, `${what} does not happen`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
