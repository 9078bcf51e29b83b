// The dashboard of the examples in a real browser: what a real MQTT client publishes is seen, what is published on the page
// arrives, and it comes back when the server does.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'playwright-core';
import { type Running, startServer } from '../server-process.ts';
import { launch, skip as noBrowser } from './chromium.ts';

const noClient =
  spawnSync('mosquitto_pub', ['--help']).error === undefined || process.env.CI === 'true'
    ? false
    : 'mosquitto_pub is not installed';
const skip = noBrowser === false ? noClient : noBrowser;

const CONFIG = fileURLToPath(new URL('../../examples/dashboard/portico.config.ts', import.meta.url));

let browser: Browser;
let server: Running;
let folder: string;
let page: Page;
const complaints: string[] = [];

function start(environment: NodeJS.ProcessEnv = {}): Promise<Running> {
  return startServer(['--config', CONFIG, '--data', folder], { PORTICO_PORTS: 'ephemeral', ...environment });
}

before(async () => {
  if (skip !== false) return;
  folder = await mkdtemp(join(tmpdir(), 'portico-dashboard-'));
  server = await start();
  browser = await launch();
  page = await browser.newPage();
  page.on('pageerror', (error) => complaints.push(String(error)));
  page.on('console', (message) => {
    // That a connection is lost when the server stops is what the browser says, not the page.
    if (message.type() === 'error' && !message.text().includes('ERR_')) complaints.push(message.text());
  });
  await page.goto(`${server.urls.http}/dashboard/`);
  await page.waitForSelector('#state[data-state=live]');
});
after(async () => {
  if (skip !== false) return;
  await browser.close();
  await server.kill();
  await rm(folder, { recursive: true });
});

function mosquitto(...parameters: string[]): void {
  const { status, stderr } = spawnSync('mosquitto_pub', ['-p', String(server.port('mqtt')), ...parameters]);
  assert.equal(status, 0, String(stderr));
}

/** Waits until a card has this value; looked at from here, since the page's policy lets nothing be evaluated in it. */
async function shows(topic: string, value: string): Promise<void> {
  const card = page.locator(`.card[data-topic="${topic}"] .value`);
  await until(
    async () => (await card.count()) === 1 && (await card.textContent()) === value,
    async () => `${topic} shows ${(await card.allTextContents()).join()}, not ${value}`,
  );
}

async function until(is: () => Promise<boolean>, says: () => Promise<string>): Promise<void> {
  for (let round = 0; !(await is()); round++) {
    if (round > 400) assert.fail(await says());
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

const cards = (fits: (count: number) => boolean) =>
  until(
    async () => fits(await page.locator('.card').count()),
    async () => `there are ${await page.locator('.card').count()} cards`,
  );

test('what nobody published says how to publish', { skip }, async () => {
  await page.waitForSelector('#empty:not([hidden])');
  assert.match(await page.innerText('#how'), /mosquitto_pub -t sensors\/kitchen/);
});

test('a value of mosquitto_pub is seen as it comes, with a line once there are two', { skip }, async () => {
  mosquitto('-t', 'sensors/kitchen', '-m', '21.5');
  await shows('sensors/kitchen', '21.5');
  assert.equal(await page.locator('.card[data-topic="sensors/kitchen"] .spark path').count(), 0);
  mosquitto('-t', 'sensors/kitchen', '-m', '22.75');
  await shows('sensors/kitchen', '22.75');
  await page.waitForSelector('.card[data-topic="sensors/kitchen"] .spark path');
  mosquitto('-t', 'sensors/garden', '-m', '{"pm25":9}');
  await shows('sensors/garden', '9pm25');
  assert.ok(await page.locator('#empty').isHidden());
});

test('a value is text, whatever is in it', { skip }, async () => {
  mosquitto('-t', 'chat/<b>x', '-m', '<img src=x onerror=alert(1)>');
  await shows('chat/<b>x', '<img src=x onerror=alert(1)>');
  assert.equal(await page.locator('.card img').count(), 0);
});

test('the form publishes, and says when it is stored; a topic that cannot be says why', { skip }, async () => {
  await page.fill('#topic', 'lamps/hall');
  await page.fill('#payload', 'on');
  await page.press('#topic', 'Enter');
  await page.waitForSelector('#said[data-kind=good]');
  await shows('lamps/hall', 'on');
  assert.equal(await (await fetch(`${server.urls.http}/topics/lamps/hall`)).text(), 'on');
  await page.fill('#topic', '$SYS/mine');
  await page.press('#topic', 'Enter');
  await page.waitForSelector('#said[data-kind=bad]');
  assert.match(await page.innerText('#said'), /DENIED/);
});

test('by keyboard: a card opens with its history, Escape closes it, / filters', { skip }, async () => {
  await page.locator('.card[data-topic="sensors/kitchen"]').focus();
  await page.keyboard.press('Enter');
  await page.waitForSelector('#detail:not([hidden])');
  assert.match(await page.innerText('#latest'), /22\.75[\s\S]*21\.5/);
  assert.match((await page.getAttribute('#chart', 'aria-label'))!, /^2 values, from 21\.5 to 22\.75/);
  await page.keyboard.press('Escape');
  assert.ok(await page.locator('#detail').isHidden());
  await page.keyboard.press('/');
  await page.keyboard.type('kitchen');
  await cards((count) => count === 1);
  await page.fill('#filter', '');
  await cards((count) => count > 1);
});

test('it comes back with the server, and with what it missed', { skip }, async () => {
  const ports = { http1: server.port('http'), mqtt: server.port('mqtt') };
  const missed = page.waitForSelector('#state:not([data-state=live])');
  await server.stop();
  await missed;
  const environment = {
    PORTICO_PROTOCOLS_HTTP1_PORT: String(ports.http1),
    PORTICO_PROTOCOLS_MQTT_PORT: String(ports.mqtt),
  };
  server = await start(environment);
  mosquitto('-t', 'sensors/kitchen', '-m', '30');
  await shows('sensors/kitchen', '30');
  await page.waitForSelector('#state[data-state=live]');
  assert.ok(await page.locator('#note').isHidden());
  await shows('lamps/hall', 'on');
});

test('the page had nothing to complain of', { skip }, () => assert.deepEqual(complaints, []));
