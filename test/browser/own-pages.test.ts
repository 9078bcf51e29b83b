// Pages that may use the server, in a real browser: its own, and those of an origin that the configuration names.
import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { after, before, test } from 'node:test';
import { connect } from 'node:tls';
import type { Browser, Page } from 'playwright-core';
import { SECRET, SECRET_TOPIC, startVictim, type Victim } from '../attacks/victim.ts';
import { launch, type Site, skip, startSite } from './chromium.ts';

let browser: Browser;
let friend: Site;
let house: Victim;

before(async () => {
  if (skip !== false) return;
  browser = await launch();
  friend = await startSite('<!doctype html><title>a friend</title>');
  const app = () => new Response('<!doctype html><title>app</title>', { headers: { 'content-type': 'text/html' } });
  const origins = [`http://friend.evil.test:${friend.port}`, `http://localhost:${friend.port}`];
  house = await startVictim({ http: { routes: { '/app': app }, origins } });
});
after(async () => {
  if (skip !== false) return;
  await browser.close();
  await friend[Symbol.asyncDispose]();
  await house.portico.close();
});

/** What the server shows for localhost. */
function certificateOf(port: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: 'localhost', servername: 'localhost', rejectUnauthorized: false }, () => {
      resolve(socket.getPeerCertificate().raw);
      socket.end();
    });
    socket.on('error', reject);
  });
}

/** Reads, writes, listens and talks to `base`, as a page of a user's would; answers what came of it. */
const USES = `async (base, secret) => {
  const done = {};
  const url = (path) => base + path;
  done.read = await (await fetch(url('/topics/' + secret))).text();
  const put = await fetch(url('/topics/own/put'), {
    method: 'PUT', body: '{"a":1}', headers: { 'content-type': 'application/json', 'x-property-room': 'hall' },
  });
  done.put = put.status;
  done.etag = put.headers.get('etag') !== null;
  done.missing = (await (await fetch(url('/topics/nothing'))).json()).status;
  done.posted = (await fetch(url('/topics/own/post'), { method: 'POST', body: 'x' })).status;
  done.named = (await fetch(url('/topics/own/named'), {
    method: 'POST', body: 'x', headers: { authorization: 'Basic ' + btoa('ann:x') },
  })).status;
  done.deleted = (await fetch(url('/topics/own/put'), { method: 'DELETE' })).status;
  const events = new EventSource(url('/topics/own/%23?envelope=json&retained=no'));
  await new Promise((resolve, reject) => { events.onopen = resolve; events.onerror = () => reject(new Error('events')); });
  const event = new Promise((resolve) => { events.onmessage = ({ data }) => resolve(JSON.parse(data)); });
  const opened = (path, protocols) => new Promise((resolve, reject) => {
    const socket = new WebSocket(url(path).replace(/^http/, 'ws'), protocols);
    socket.onopen = () => resolve(socket);
    socket.onerror = () => reject(new Error(path));
  });
  const bare = await opened('/topics/own/bare', []);
  const echoed = new Promise((resolve) => { bare.onmessage = ({ data }) => resolve(data); });
  bare.send('over a bare socket');
  done.bare = await echoed;
  const { topic, payload } = await event;
  done.event = topic + '=' + payload;
  const json = await opened('/ws', ['portico.json']);
  const answer = new Promise((resolve) => { json.onmessage = ({ data }) => resolve(JSON.parse(data)); });
  json.send(JSON.stringify({ publish: 'own/json', payload: 'x', id: 7 }));
  done.ack = (await answer).ack;
  done.mqtt = (await opened('/mqtt', ['mqtt'])).protocol;
  events.close();
  return done;
}`;

const DONE = {
  read: SECRET,
  put: 201,
  etag: true,
  missing: 404,
  posted: 201,
  named: 201,
  deleted: 204,
  bare: 'over a bare socket',
  event: 'own/bare=over a bare socket',
  ack: 7,
  mqtt: 'mqtt',
};

async function uses(url: string, base: string): Promise<void> {
  const page: Page = await browser.newPage();
  try {
    await page.goto(url);
    assert.deepEqual(await page.evaluate(`(${USES})(${JSON.stringify(base)}, ${JSON.stringify(SECRET_TOPIC)})`), DONE);
  } finally {
    await page.close();
  }
  // What the page saw of it is what happened.
  const expected = [
    'own/put={"a":1}',
    'own/post=x',
    'own/named=x',
    'own/put=',
    'own/bare=over a bare socket',
    'own/json=x',
  ];
  assert.deepEqual(house.published.splice(0), expected);
}

for (const name of ['localhost', '127.0.0.1', '[::1]', 'app.localhost'])
  test(`a page of the server's own, at http://${name}`, { skip }, () => {
    const base = `http://${name}:${house.port('http')}`;
    return uses(`${base}/app`, base);
  });

test('a page of the server’s own over TLS: HTTP/2 carries its requests, its events and, beside them, its sockets', {
  skip,
}, async () => {
  const base = `https://localhost:${house.port('https')}`;
  const spki = new X509Certificate(await certificateOf(house.port('https'))).publicKey.export({
    type: 'spki',
    format: 'der',
  });
  const pin = createHash('sha256').update(spki).digest('base64');
  const plain = browser;
  browser = await launch(`--ignore-certificate-errors-spki-list=${pin}`);
  try {
    await uses(`${base}/app`, base);
    const page = await browser.newPage();
    await page.goto(`${base}/app`);
    assert.equal(await page.evaluate('performance.getEntriesByType("navigation")[0].nextHopProtocol'), 'h2');
    await page.close();
  } finally {
    await browser.close();
    browser = plain;
  }
});

for (const name of ['localhost', 'friend.evil.test'])
  test(`a page of an origin that http.origins names, http://${name}`, { skip }, () =>
    uses(`http://${name}:${friend.port}/`, `http://localhost:${house.port('http')}`),
  );

test('a link from another site opens a page, and a reload does', { skip }, async () => {
  const page = await browser.newPage();
  await page.goto(`http://evil.test:${friend.port}/`);
  await page.evaluate(`location.href = 'http://localhost:${house.port('http')}/app'`);
  await page.waitForURL('**/app');
  assert.equal(await page.title(), 'app');
  await page.reload();
  assert.equal(await page.title(), 'app');
  await page.close();
});
