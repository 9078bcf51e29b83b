// The attacks of pages, proxies and other names on the HTTP port, over real sockets: whatever is asked, a refusal has
// nothing of the topics in it and does nothing to them. What the fields mean is the guard's unit test.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Answer, request, SECRET, SECRET_TOPIC, say, startVictim, type Victim } from './victim.ts';

const FRIEND = 'http://localhost:3000';

let victim: Victim;
let port: number;

before(async () => {
  victim = await startVictim({ http: { origins: [FRIEND], hosts: ['box.example'] } });
  port = victim.port('http');
});
after(() => victim.portico.close());

type Given = Readonly<Record<string, string>>;

const SOCKET: Given = {
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
};

/** Everything that a page would want: to read, to listen, to change. */
const WANTS: readonly (readonly [what: string, start: string, fields: Given, body: string])[] = [
  ['read', `GET /topics/${SECRET_TOPIC}`, {}, ''],
  ['list', 'GET /topics', {}, ''],
  ['history', `GET /topics/${SECRET_TOPIC}?after=0`, {}, ''],
  ['wait', `GET /topics/${SECRET_TOPIC}?after=0&wait=1`, {}, ''],
  ['head', `HEAD /topics/${SECRET_TOPIC}`, {}, ''],
  ['events', `GET /topics/${SECRET_TOPIC}`, { Accept: 'text/event-stream' }, ''],
  ['post', 'POST /topics/stolen/post', { 'Content-Type': 'text/plain' }, 'x'],
  ['put', 'PUT /topics/stolen/put', {}, 'x'],
  ['delete', `DELETE /topics/${SECRET_TOPIC}`, {}, ''],
  ['bare socket', `GET /topics/${SECRET_TOPIC}`, SOCKET, ''],
  ['portico.json', 'GET /ws', { ...SOCKET, 'Sec-WebSocket-Protocol': 'portico.json' }, ''],
  ['mqtt', 'GET /mqtt', { ...SOCKET, 'Sec-WebSocket-Protocol': 'mqtt' }, ''],
  ['health', 'GET /healthz', {}, ''],
  ['nothing', 'GET /nothing/here', {}, ''],
];

async function allRefused(status: number, attack: Given, host?: string | null): Promise<Answer> {
  let last: Answer | null = null;
  for (const [what, start, fields, body] of WANTS) {
    const given = { ...fields, ...attack };
    const answer = await request(port, start, given, host === undefined ? { body } : { body, host });
    assert.equal(answer.status, status, `${what}: ${answer.status} ${answer.body}`);
    assert.ok(!answer.body.includes(SECRET), what);
    assert.ok(!answer.fields.has('access-control-allow-origin'), what);
    if (!start.startsWith('HEAD')) assert.equal(answer.fields.get('content-type'), 'application/problem+json', what);
    if (!start.startsWith('HEAD')) last = answer;
  }
  await victim.untouched();
  return last!;
}

// ---- names -----------------------------------------------------------------------------------------------------------

for (const host of [
  ...['evil.example', 'EVIL.example:80', 'evil.example.', 'localhost.evil.example', '127.0.0.1.nip.io'],
  ...['2130706433', '0x7f.1', '0x7f000001', '0177.0.0.1', '127.1', '0', '0.0.0.0', '[::]', '[::ffff:0.0.0.0]'],
])
  test(`rebinding: Host ${host} is no name of this server`, async () => {
    const { body } = await allRefused(421, {}, host);
    assert.match(body, /http\.hosts/);
    // The page is same-origin with itself then, and says so.
    await allRefused(421, { Origin: `http://${host}`, 'Sec-Fetch-Site': 'same-origin' }, host);
  });

for (const host of [
  'localhost',
  'LocalHost',
  'localhost.',
  '127.0.0.1',
  '[::1]',
  'a.localhost',
  'box.example',
  'BOX.EXAMPLE:1',
])
  test(`Host ${host} is one`, async () => {
    const { status, body } = await request(port, `GET /topics/${SECRET_TOPIC}`, {}, { host });
    assert.equal(status, 200, body);
    assert.equal(body, SECRET);
  });

test('a Host that is none is refused by the codec', async () => {
  for (const host of [
    'localhost@evil.example',
    'evil.example@localhost',
    'a b',
    'localhost/x',
    '[::1%25lo]',
    'a\\b',
    'localhost:x',
  ]) {
    const { status, body } = await request(port, `GET /topics/${SECRET_TOPIC}`, {}, { host });
    assert.equal(status, 400, host);
    assert.ok(!body.includes(SECRET));
  }
  const twice = await request(port, `GET /topics/${SECRET_TOPIC}`, [['Host', 'evil.example']]);
  assert.equal(twice.status, 400);
  const same = await request(port, `GET /topics/${SECRET_TOPIC}`, [['Host', `localhost:${port}`]]);
  assert.equal(same.status, 400);
  assert.equal((await request(port, 'GET /topics', {}, { host: null })).status, 400);
});

test('the target names the host where it has one (RFC 9112 §3.2.2)', async () => {
  assert.equal((await request(port, `GET http://evil.example/topics/${SECRET_TOPIC}`)).status, 421);
  const { status } = await request(port, `GET http://localhost:${port}/topics/${SECRET_TOPIC}`);
  assert.equal(status, 200);
});

test('each request of a connection is looked at by itself', async () => {
  const get = (host: string, more = '') => `GET /topics/${SECRET_TOPIC} HTTP/1.1\r\nHost: ${host}\r\n${more}\r\n`;
  const all = get('localhost') + get('evil.example') + get('localhost', 'Origin: null\r\n') + get('localhost');
  const { text } = await say(port, all);
  assert.deepEqual(
    [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status),
    ['200', '421', '403', '200'],
  );
  assert.equal(text.split(SECRET).length - 1, 2);
});

// ---- origins ---------------------------------------------------------------------------------------------------------

for (const origin of [
  ...['null', '', 'http://evil.example', 'https://localhost', 'http://localhost', 'http://0.0.0.0', 'file://'],
  ...['chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllcleb', 'moz-extension://5b1c7f2e', 'http://localhost:3001'],
  ...[
    'http://localhost:3000/',
    'http://localhost:3000.evil.example',
    'http://x@localhost:3000',
    'https://localhost:3000',
  ],
])
  test(`Origin ${origin || '(empty)'} is refused`, async () => {
    const { body } = await allRefused(403, { Origin: origin });
    assert.match(body, /http\.origins/);
    await allRefused(403, { Origin: origin, 'Sec-Fetch-Site': 'same-origin', Referer: `http://localhost:${port}/` });
  });

test('the origin of another name of this same server is another origin', async () => {
  await allRefused(403, { Origin: `http://127.0.0.1:${port}` });
  await allRefused(403, { Origin: `https://localhost:${port}` });
  await allRefused(403, { Origin: `http://localhost:${port + 1}` });
});

test('two Origins are refused, whatever they are', async () => {
  const own = `http://localhost:${port}`;
  const twice = [
    ['Origin', own],
    ['Origin', own],
  ] as const;
  assert.equal((await request(port, `GET /topics/${SECRET_TOPIC}`, twice)).status, 403);
  assert.equal((await request(port, `GET /topics/${SECRET_TOPIC}`, { Origin: `${own}, ${own}` })).status, 403);
});

test('Sec-Fetch-Site: another site reads and changes nothing without saying who it is', async () => {
  for (const site of ['cross-site', 'same-site', 'sideways'])
    for (const [mode, destination] of [
      ['no-cors', 'image'],
      ['no-cors', 'script'],
      ['no-cors', 'empty'],
      ['navigate', 'iframe'],
      ['navigate', 'embed'],
      ['websocket', 'websocket'],
    ])
      await allRefused(403, { 'Sec-Fetch-Site': site, 'Sec-Fetch-Mode': mode!, 'Sec-Fetch-Dest': destination! });
});

const FOLLOWED = { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document' };

test('a link from another site opens what it leads to; a form that posts and an upgrade do not pass for one', async () => {
  const opened = await request(port, `GET /topics/${SECRET_TOPIC}`, FOLLOWED);
  assert.equal(opened.status, 200);
  assert.equal(opened.fields.get('cross-origin-resource-policy'), 'same-origin');
  const form = { ...FOLLOWED, 'Content-Type': 'text/plain', Origin: 'null' };
  assert.equal((await request(port, 'POST /topics/stolen/form', form, { body: 'a=b' })).status, 403);
  const { Origin: _, ...unsaid } = form;
  assert.equal((await request(port, 'POST /topics/stolen/form', unsaid, { body: 'a=b' })).status, 403);
  assert.equal((await request(port, 'GET /topics/a', { ...FOLLOWED, ...SOCKET })).status, 403);
  await victim.untouched();
});

test('what somebody published as a page has no origin when it is opened', async () => {
  const own = { Origin: `http://localhost:${port}`, 'Content-Type': 'text/html', 'Access-Control-Allow-Origin': '*' };
  const put = await request(port, 'PUT /topics/page', own, {
    body: '<script>fetch("/topics/a",{method:"POST"})</script>',
  });
  assert.ok(put.status < 300, put.body);
  const { fields } = await request(port, 'GET /topics/page', { ...FOLLOWED, Accept: 'text/html' });
  assert.equal(fields.get('content-type'), 'text/html');
  assert.match(fields.get('content-security-policy')!, /\bsandbox\b(?!.*allow-)/);
  assert.equal(fields.get('x-content-type-options'), 'nosniff');
  assert.ok(!fields.has('access-control-allow-origin'));
  victim.published.length = 0;
});

// ---- origins that are let in -----------------------------------------------------------------------------------------

test('a page of an origin of the list reads, and its browser lets it', async () => {
  const { status, body, fields } = await request(port, `GET /topics/${SECRET_TOPIC}`, {
    Origin: FRIEND,
    'Sec-Fetch-Site': 'same-site',
    'Sec-Fetch-Mode': 'cors',
  });
  assert.equal(status, 200);
  assert.equal(body, SECRET);
  assert.equal(fields.get('access-control-allow-origin'), FRIEND);
  assert.match(fields.get('vary')!, /\bOrigin\b/);
  assert.ok(!fields.has('access-control-allow-credentials'));
});

test('it is told also what went wrong', async () => {
  const { status, fields } = await request(port, 'GET /topics/nothing', { Origin: FRIEND });
  assert.equal(status, 404);
  assert.equal(fields.get('access-control-allow-origin'), FRIEND);
});

test('a preflight says what it may do; that of another origin is refused', async () => {
  const wants = {
    'Access-Control-Request-Method': 'PUT',
    'Access-Control-Request-Headers': 'content-type',
    'Access-Control-Request-Private-Network': 'true',
  };
  const { status, fields, body } = await request(port, 'OPTIONS /topics/a', { ...wants, Origin: FRIEND });
  assert.equal(status, 204);
  assert.equal(body, '');
  assert.equal(fields.get('access-control-allow-origin'), FRIEND);
  assert.match(fields.get('access-control-allow-methods')!, /\bPUT\b/);
  assert.equal(fields.get('access-control-allow-headers'), 'content-type');
  assert.equal(fields.get('access-control-allow-private-network'), 'true');
  for (const origin of ['http://evil.example', 'null']) {
    const refused = await request(port, 'OPTIONS /topics/a', { ...wants, Origin: origin });
    assert.equal(refused.status, 403);
    assert.ok(![...refused.fields.keys()].some((name) => name.startsWith('access-control')));
  }
  const asked = await request(port, 'OPTIONS /topics/a');
  assert.equal(asked.status, 204);
  assert.match(asked.fields.get('allow')!, /PUT/);
});

// ---- proxies and credentials -----------------------------------------------------------------------------------------

for (const name of [
  ...['Forwarded', 'Via', 'X-Forwarded-For', 'X-Forwarded-Host', 'X-FORWARDED-PROTO', 'X-Forwarded-Anything'],
  ...['X-Real-IP', 'CF-Connecting-IP', 'True-Client-IP'],
])
  test(`${name} makes a stranger, who is not let in without accounts`, async () => {
    for (const [what, start, fields, body] of WANTS) {
      const answer = await request(port, start, { ...fields, [name]: '127.0.0.1' }, { body });
      // Whether it is up is told to anybody: what stands in front asks.
      assert.equal(answer.status, what === 'health' ? 200 : 401, what);
      assert.ok(!answer.body.includes(SECRET), what);
      if (answer.status === 401) assert.match(answer.fields.get('www-authenticate')!, /^Basic /, what);
      if (answer.status === 401 && what !== 'head') assert.match(answer.body, /no accounts.*proxy/, what);
    }
    await victim.untouched();
  });

test('a name does not help a stranger, and no token exists', async () => {
  const Authorization = `Basic ${Buffer.from('owner:x').toString('base64')}`;
  assert.equal((await request(port, 'GET /topics', { Authorization, Via: '1.1 a' })).status, 401);
  assert.equal((await request(port, 'GET /topics', { Authorization })).status, 200);
  const token = await request(port, 'GET /topics', { Authorization: 'Bearer abc' });
  assert.equal(token.status, 401);
  assert.match(token.fields.get('www-authenticate')!, /invalid_token/);
  for (const malformed of ['Basic', 'Basic ###', 'Basic bm9jb2xvbg==', 'Basic /zph'])
    assert.equal((await request(port, 'GET /topics', { Authorization: malformed })).status, 400, malformed);
});

test('the name that was given is the publisher', async () => {
  const Authorization = `Basic ${Buffer.from('Zoë:x').toString('base64')}`;
  const put = await request(port, 'PUT /topics/named', { Authorization }, { body: '1' });
  assert.ok(put.status < 300, put.body);
  const { body } = await request(port, 'GET /topics/named', { Accept: 'application/json' });
  assert.match(body, /"publisher":"Zoë"/);
  victim.published.length = 0;
});
