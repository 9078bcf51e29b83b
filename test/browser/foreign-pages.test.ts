// Pages of other origins in a real browser: none publishes and none reads, whatever they try and wherever they come from.
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import type { Browser, Frame, Page } from 'playwright-core';
import { SECRET, SECRET_TOPIC, startVictim, type Victim } from '../attacks/victim.ts';
import { launch, PAGE, type Site, skip, startSite } from './chromium.ts';

const COMMANDS = `\r\nPUB stolen/words 1\r\nPUT stolen/kept 2\r\nLAST ${SECRET_TOPIC}\r\n`;

let browser: Browser;
let victim: Victim;
let site: Site;

before(async () => {
  if (skip !== false) return;
  browser = await launch();
  victim = await startVictim({ http: { routes: { '/app': () => new Response(PAGE, HTML) } } });
  site = await startSite(PAGE);
});
after(async () => {
  if (skip !== false) return;
  await browser.close();
  await site[Symbol.asyncDispose]();
  await victim.portico.close();
});

const HTML = { headers: { 'content-type': 'text/html' } };

type Read = [what: string, text: string][];

function attack(page: Page | Frame, base: string, ports: readonly number[]): Promise<Read> {
  return page.evaluate(`attack(${JSON.stringify({ base, secret: SECRET_TOPIC, ports, commands: COMMANDS })})`);
}

async function harmless(page: Page | Frame, base: string): Promise<void> {
  const read = await attack(page, base, [victim.port('lines'), victim.port('mqtt')]);
  for (const [what, text] of read) {
    assert.ok(!text.includes(SECRET), `${what} read the secret`);
    assert.notEqual(text, 'open', `${what} was let in`);
  }
  // Everything was tried: an answer that says nothing is not an attack that was forgotten.
  assert.ok(read.length >= 12, JSON.stringify(read));
  await victim.untouched(300);
}

async function withPage(url: string, use: (page: Page) => Promise<void>): Promise<void> {
  const page = await browser.newPage();
  try {
    await page.goto(url);
    await use(page);
  } finally {
    await page.close();
  }
}

/** Opens a frame with the attack within the page, made by `html`; answers its inside. */
async function frameIn(page: Page, html: string): Promise<Frame> {
  await page.evaluate(`document.body.insertAdjacentHTML('beforeend', ${JSON.stringify(html)})`);
  for (let round = 0; round < 200; round++) {
    for (const frame of page.frames())
      if (frame !== page.mainFrame() && (await frame.evaluate('typeof attack').catch(() => '')) === 'function')
        return frame;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return assert.fail('the frame did not come');
}

const escaped = PAGE.replaceAll('&', '&amp;').replaceAll('"', '&quot;');

test('these attacks reach a server that does not defend itself', { skip }, async () => {
  await using naive = await startSite(SECRET, 'text/plain');
  const page = await browser.newPage();
  await page.goto(`http://evil.test:${site.port}/`);
  await attack(page, `http://localhost:${naive.port}`, [naive.port]);
  const expected = [
    `GET /topics/${SECRET_TOPIC}`,
    `GET /topics/${SECRET_TOPIC}?no-cors`,
    'POST /topics/stolen/post',
    'POST /topics/stolen/post-no-cors',
    'POST /topics/stolen/keepalive',
    'OPTIONS /topics/stolen/put',
    `GET /topics/${SECRET_TOPIC}?img`,
    `GET /topics/${SECRET_TOPIC}?script`,
    `GET /topics/${SECRET_TOPIC}?iframe`,
    'GET /topics/%23',
    'GET /ws',
    'GET /mqtt',
    'POST /topics/stolen/beacon',
    'POST /topics/stolen/form-0',
    'POST /topics/stolen/form-1',
    'POST /topics/stolen/form-2',
    'POST /',
    'OPTIONS /',
  ];
  const missing = () => expected.filter((one) => !naive.asked.includes(one));
  // Forms and beacons are on their way when the page is done.
  for (let round = 0; missing().length > 0 && round < 200; round++)
    await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(missing(), []);
  await page.close();
});

for (const [what, host, names] of [
  ['another site', 'evil.test', ['localhost', '127.0.0.1', '[::1]', '0.0.0.0']],
  ['another port of this machine', 'localhost', ['localhost']],
  ['another name of this machine', 'app.localhost', ['localhost']],
] as const)
  for (const name of names)
    test(`a page of ${what}, at http://${name}`, { skip }, () =>
      withPage(`http://${host}:${site.port}/`, (page) => harmless(page, `http://${name}:${victim.port('http')}`)),
    );

test('a page that was led here by a name of its own (DNS rebinding)', { skip }, async () => {
  const base = `http://evil.test:${victim.port('http')}`;
  const page = await browser.newPage();
  // The first answer was the attacker's; from now on the name is this machine.
  await page.route(`${base}/page`, (route) => route.fulfill({ body: PAGE, contentType: 'text/html' }));
  await page.goto(`${base}/page`);
  assert.equal(await page.evaluate('location.origin'), base);
  await harmless(page, base);
  await harmless(page, `http://localhost:${victim.port('http')}`);
  await page.close();
});

test('a sandboxed frame, which has no origin', { skip }, () =>
  withPage(`http://evil.test:${site.port}/`, async (page) => {
    const frame = await frameIn(page, `<iframe sandbox="allow-scripts allow-forms" srcdoc="${escaped}"></iframe>`);
    assert.equal(await frame.evaluate('origin'), 'null');
    await harmless(frame, `http://localhost:${victim.port('http')}`);
  }),
);

test('a sandboxed frame in a page of ours', { skip }, () =>
  withPage(`http://localhost:${victim.port('http')}/app`, async (page) => {
    const frame = await frameIn(page, `<iframe sandbox="allow-scripts allow-forms" srcdoc="${escaped}"></iframe>`);
    await harmless(frame, `http://localhost:${victim.port('http')}`);
  }),
);

test('a frame of a data: address', { skip }, () =>
  withPage(`http://evil.test:${site.port}/`, async (page) => {
    const data = `data:text/html;base64,${Buffer.from(PAGE).toString('base64')}`;
    await harmless(await frameIn(page, `<iframe src="${data}"></iframe>`), `http://localhost:${victim.port('http')}`);
  }),
);

test('a file', { skip }, async () => {
  const folder = await mkdtemp(join(tmpdir(), 'portico-page-'));
  try {
    await writeFile(join(folder, 'page.html'), PAGE);
    await withPage(pathToFileURL(join(folder, 'page.html')).href, (page) =>
      harmless(page, `http://localhost:${victim.port('http')}`),
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});

test('a form that leaves its page, and a window that it opens', { skip }, () =>
  withPage(`http://evil.test:${site.port}/`, async (page) => {
    const base = `http://localhost:${victim.port('http')}`;
    await page.evaluate(`open('${base}/topics/${SECRET_TOPIC}')`);
    await page.evaluate(`{
      const form = document.createElement('form');
      Object.assign(form, { method: 'POST', enctype: 'text/plain', action: '${base}/topics/stolen/left' });
      document.body.append(form);
      form.submit();
    }`);
    await page.waitForURL(`${base}/**`);
    assert.match(await page.evaluate('document.body.innerText'), /http\.origins/);
    await victim.untouched();
    for (const other of page.context().pages()) if (other !== page) await other.close();
  }),
);

test('a page that somebody published as a value has no origin when it is opened', { skip }, async () => {
  const http = `http://localhost:${victim.port('http')}`;
  const put = await fetch(`${http}/topics/page`, {
    method: 'PUT',
    body: PAGE,
    headers: { 'content-type': 'text/html' },
  });
  assert.equal(put.status, 201);
  victim.published.length = 0;
  await withPage(`${http}/topics/page`, async (page) => {
    // Its script does not run at all; what an extension or a person runs in it has no origin.
    assert.equal(await page.evaluate('typeof attack'), 'undefined');
    assert.equal(await page.evaluate('origin'), 'null');
  });
  await victim.untouched();
});
