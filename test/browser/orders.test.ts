// The orders of the examples: one service used from its page in a real browser, a Python gRPC client and a Python SOAP client,
// as its README has them.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { missing, run } from '../clients.ts';
import { type Running, runCommand, startServer } from '../server-process.ts';
import { launch, skip as noBrowser } from './chromium.ts';

const TIMEOUT = { timeout: 60_000 };
const PYTHON = '/usr/bin/python3';
const EXAMPLE = fileURLToPath(new URL('../../examples/orders/', import.meta.url));

async function lacks(modules: string): Promise<string | false> {
  const none = missing(PYTHON, '-c', '');
  if (none !== false || process.env.CI === 'true') return none;
  const { code } = await run(PYTHON, '-c', `import ${modules}`);
  return code === 0 ? false : `Python has not all of ${modules}`;
}

const noGrpc = await lacks('grpc, grpc_tools');
const noZeep = await lacks('zeep');

let server: Running;
let folder: string;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'portico-orders-'));
  server = await startServer(['--config', join(EXAMPLE, 'portico.config.ts'), '--storage', 'memory'], {
    PORTICO_PORTS: 'ephemeral',
  });
});
after(async () => {
  await server.kill();
  rmSync(folder, { recursive: true });
});

test('the page places orders by REST and sees them by WebSocket', { ...TIMEOUT, skip: noBrowser }, async () => {
  const browser = await launch();
  try {
    const page = await browser.newPage();
    const complaints: string[] = [];
    page.on('pageerror', (error) => complaints.push(String(error)));
    await page.goto(`${server.urls.http}/shop/`);
    const order = page.getByRole('button', { name: 'Order' });
    await page.getByRole('textbox', { name: 'article' }).fill('lamp');
    await order.click();
    await page.getByText('1 lamp for ann').waitFor();
    await page.getByText(/^Order \S+ is placed\.$/).waitFor();
    await page.getByRole('spinbutton', { name: 'quantity' }).fill('0');
    await order.click();
    await page.locator('p.wrong').waitFor();
    assert.match(await page.locator('p').innerText(), /^items\[0\]\.quantity /);
    await page.getByRole('spinbutton', { name: 'quantity' }).fill('1');
    await page.getByRole('textbox', { name: 'article' }).fill('unicorn');
    await order.click();
    await page.getByText('unicorns are sold out').waitFor();
    // What others place comes as well.
    const { code, errors } = await runCommand([
      'call',
      server.urls.mqtt!,
      'example.v1.Orders.Place',
      '{"customer":"bob","items":[{"sku":"book","quantity":3}]}',
    ]);
    assert.equal(code, 0, errors);
    await page.getByText('3 book for bob').waitFor();
    assert.deepEqual(complaints, []);
  } finally {
    await browser.close();
  }
});

test('the gRPC client, with modules made from what portico export writes', { ...TIMEOUT, skip: noGrpc }, async () => {
  const proto = join(folder, 'proto');
  const exported = await runCommand(['export', 'proto', join(EXAMPLE, 'orders.ts'), '--out', proto]);
  assert.equal(exported.code, 0, exported.errors);
  const compiled = await run(
    PYTHON,
    ...['-m', 'grpc_tools.protoc', '-I', proto, '--python_out', folder, '--grpc_python_out', folder],
    ...['example/v1.proto', 'google/api/annotations.proto', 'google/api/http.proto'],
  );
  assert.equal(compiled.code, 0, compiled.error);
  const { out, error } = await run(
    'env',
    `PYTHONPATH=${folder}`,
    PYTHON,
    join(EXAMPLE, 'grpc_client.py'),
    new URL(server.urls.http!).host,
  );
  assert.match(out, /^order \S+ of grpc, placed \d\d:\d\d\nNOT_FOUND there is no order none\nwatched \S+\n$/, error);
});

test('the SOAP client, with nothing but the WSDL', { ...TIMEOUT, skip: noZeep }, async () => {
  const { out, error } = await run(PYTHON, join(EXAMPLE, 'soap_client.py'), server.urls.http!);
  assert.match(out, /^order \S+ of soap, placed \d\d:\d\d\nthere is no order none\n$/, error);
});
