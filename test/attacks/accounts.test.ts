// Attacks on a server with accounts, over real sockets: somebody who may much but not all tries every other way to write the
// name of what is denied; pages use what a browser attaches by itself; who guesses says that each guess is somebody else's.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';
import mqtt, { type MqttClient } from 'mqtt';
import { request, SECRET, SECRET_TOPIC, say, startVictim, type Victim } from './victim.ts';

const PASSWORD = 'correct horse';
/** A password that was not checked before takes its time. */
const SLOWLY = { quietMs: 10_000 };

/** May all of the topics but the house. */
const DENIED = 'dan';
/** May what is his own, and nothing else. */
const NARROW = 'nan';
/** A token of hers is narrowed to `open/#`. */
const OWNER = 'ann';

let victim: Victim;
let port: number;
let scoped = '';

before(async () => {
  victim = await startVictim({
    rules: [
      `allow ${DENIED} publish,subscribe,read,list topics/#`,
      `deny ${DENIED} publish,subscribe,read,list topics/house/#`,
      `allow ${NARROW} publish,subscribe,read topics/open/{account}/#`,
    ],
  });
  port = victim.port('http');
  for (const name of [OWNER, DENIED, NARROW]) await order('account.add', { name, password: PASSWORD });
  const scopes = ['publish,subscribe,read topics/open/#'];
  scoped = String((await order('token.add', { account: OWNER, label: 'narrow', scopes })).token);
});
after(() => victim.portico.close());
beforeEach(() => {
  victim.published.length = 0;
});

async function order(what: string, fields: Readonly<Record<string, unknown>>) {
  const answer = await victim.portico.order({ do: what, ...fields });
  assert.ok(answer.ok, answer.ok ? '' : answer.error);
  return answer as Readonly<Record<string, unknown>>;
}

const basic = (name: string, password = PASSWORD) => ({
  Authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`,
});

const VILLAINS: readonly (readonly [who: string, fields: () => Readonly<Record<string, string>>])[] = [
  ['who is denied it', () => basic(DENIED)],
  ['who is allowed something else', () => basic(NARROW)],
  ['a token that is narrowed', () => ({ Authorization: `Bearer ${scoped}` })],
];

const SOCKET = {
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
};

test('the owner reads it, so that there is something to steal; the others are let in', async () => {
  assert.equal((await request(port, `GET /topics/${SECRET_TOPIC}`, basic(OWNER), SLOWLY)).body, SECRET);
  assert.equal((await request(port, 'PUT /topics/open/nan/a', basic(NARROW), { ...SLOWLY, body: '1' })).status, 201);
  assert.equal(
    (await request(port, 'PUT /topics/open/a', { Authorization: `Bearer ${scoped}` }, { body: '1' })).status,
    201,
  );
  assert.equal((await request(port, 'GET /topics/open/nan/a', basic(DENIED), SLOWLY)).body, '1');
});

// ---- other ways to write a name --------------------------------------------------------------------------------------

/** Ways to `house/secret`, or to what a server that tidies paths would take for it. */
const PATHS = [
  ...['/topics/house/secret', '/topics/house%2Fsecret', '/topics/house%2fsecret', '/topics/%68ouse/secret'],
  ...[
    '//topics/house/secret',
    '/topics//house/secret',
    '/topics/house//secret',
    '/topics/house/secret/',
    '///topics/house/secret',
  ],
  ...[
    '/topics/./house/secret',
    '/topics/open/../house/secret',
    '/topics/open/%2e%2e/house/secret',
    '/topics/%2e/house/secret',
  ],
  ...['/topics/open/nan/../../house/secret', '/topics/open%2F..%2Fhouse%2Fsecret', '/healthz/../topics/house/secret'],
  ...['/topics/house%252Fsecret', '/topics/%2568ouse/secret', '/topics/open/%252e%252e/house/secret'],
  ...['/topics/house/secret;a=b', '/topics;a/house/secret', '/topics/house;/secret', '/topics/open/..;/house/secret'],
  ...['/topics/HOUSE/SECRET', '/Topics/house/secret', '/TOPICS/house/secret', '/topics/House/secret'],
  ...[
    '/topics/house/secret%00',
    '/topics/house%00/secret',
    '/topics/house/secret%20',
    '/topics/house/secret%09',
    '/topics/house/secret.',
  ],
  ...['/topics/house\\secret', '/topics\\house\\secret', '/topics/open/..%5chouse%5csecret', '/topics/house%5Csecret'],
  ...[
    '/topics/house%c0%afsecret',
    '/topics/house%e0%80%afsecret',
    '/topics/house%ef%bc%8fsecret',
    '/topics/%ef%bd%88ouse/secret',
  ],
  ...['/topics/house/secret#', '/topics/house/secret%23', '/topics/house/secret?', '/topics/house/secret?x=/open/nan/'],
  ...[
    '/topics/+/secret',
    '/topics/%2B/secret',
    '/topics/house/+',
    '/topics/house/%23',
    '/topics/%23',
    '/topics/%23/',
    '/topics/house%2F%23',
  ],
  ...[
    '/topics/$share/g/house/secret',
    '/topics/$share/g/%23',
    '/topics',
    '/topics/',
    '/topics?filter=house/%23',
    '/topics?filter=%23',
  ],
  ...[
    'http://localhost/topics/house/secret',
    'http://localhost//topics/house/secret',
    'HTTP://LOCALHOST/topics/house/secret',
  ],
  ...['*', 'topics/house/secret', '/topics/%', '/topics/house/%zz', '/topics/house/secret%', '/%74opics/house/secret'],
];

/** Fields by which some servers take another path or method for the one that was asked. */
const OVERRIDES: readonly Readonly<Record<string, string>>[] = [
  { 'X-Original-URL': `/topics/${SECRET_TOPIC}` },
  { 'X-Rewrite-URL': `/topics/${SECRET_TOPIC}` },
  { 'X-Forwarded-Prefix': '/topics/house', 'X-HTTP-Method-Override': 'DELETE' },
  { 'X-HTTP-Method': 'PUT', 'X-Method-Override': 'PUT', _method: 'PUT' },
];

const STREAMS: readonly Readonly<Record<string, string>>[] = [{ Accept: 'text/event-stream' }, SOCKET];

async function stream(path: string, ...fields: readonly Readonly<Record<string, string>>[]): Promise<string> {
  const all = Object.entries(Object.assign({ Host: `localhost:${port}` }, ...fields) as Record<string, string>);
  const head = [`GET ${path} HTTP/1.1`, ...all.map(([name, value]) => `${name}: ${value}`), '', ''].join('\r\n');
  return (await say(port, head, (text) => text.includes(SECRET))).text;
}

for (const [who, fields] of VILLAINS) {
  test(`${who}: no way of writing the path reads it`, { timeout: 90_000 }, async () => {
    for (const path of PATHS)
      for (const [what, more, query] of [
        ['value', {}, ''],
        ['json', { Accept: 'application/json' }, ''],
        ['history', {}, 'after=0'],
      ] as const) {
        const target = query === '' ? path : `${path}${path.includes('?') ? '&' : '?'}${query}`;
        const { status, body } = await request(port, `GET ${target}`, { ...fields(), ...more });
        assert.ok(!body.includes(SECRET), `${what} ${target}: ${status} ${body}`);
        assert.ok(status < 500, `${what} ${target}: ${status} ${body}`);
        // Where the name is met as it is, it is said that it is not allowed.
        if (path === PATHS[0]) assert.equal(status, 403, `${what} ${target}`);
      }
    await victim.untouched();
  });

  test(`${who}: no way of writing the path writes there, or removes it`, { timeout: 90_000 }, async () => {
    for (const path of PATHS)
      for (const method of ['PUT', 'POST', 'DELETE', 'PATCH']) {
        const body = method === 'DELETE' ? '' : 'stolen';
        const { status } = await request(port, `${method} ${path}`, fields(), { body });
        assert.ok(status < 500, `${method} ${path}: ${status}`);
      }
    for (const more of OVERRIDES)
      await request(port, 'POST /topics/open/nan/x', { ...fields(), ...more }, { body: 'x' });
    await new Promise((resolve) => setTimeout(resolve, 50));
    // A name that only looks like it is a name of its own: of that, whoever may all else may have all he likes.
    const isOf = (line: string) => /^house(?:\/|=)/.test(line);
    assert.deepEqual(victim.published.filter(isOf), []);
    if (who !== VILLAINS[0]![0])
      assert.deepEqual(
        victim.published.filter((line) => !/^open\//.test(line)),
        [],
      );
    assert.equal((await request(port, `GET /topics/${SECRET_TOPIC}`, basic(OWNER))).body, SECRET);
  });

  test(`${who}: streams of events and sockets at those paths have nothing of it`, async () => {
    const paths = PATHS.filter((each) => /secret|%23|\+|%2B/i.test(each));
    const asked = paths.flatMap((path) =>
      STREAMS.map(async (more) => [path, await stream(path, fields(), more)] as const),
    );
    for (const [path, text] of await Promise.all(asked)) assert.ok(!text.includes(SECRET), `${path}: ${text}`);
  });
}

test('streams of events and sockets have it for the owner', async () => {
  for (const more of STREAMS) assert.ok((await stream(PATHS[0]!, basic(OWNER), more)).includes(SECRET));
});

// ---- other protocols -------------------------------------------------------------------------------------------------

const FILTERS = [
  '#',
  '+/+',
  '+/secret',
  'house/+',
  'house/#',
  'house/secret',
  '$share/g/#',
  '$share/g/house/secret',
  '+/#',
];

async function joined(username: string, password: string, more: mqtt.IClientOptions = {}): Promise<MqttClient> {
  const client = await mqtt.connectAsync(victim.portico.urls.mqtt!, {
    reconnectPeriod: 0,
    protocolVersion: 5,
    username,
    password,
    ...more,
  });
  client.on('error', () => {});
  return client;
}

const secretOf = (who: string) => (who === OWNER ? scoped : PASSWORD);

for (const who of [DENIED, NARROW, OWNER])
  test(`MQTT, ${who === OWNER ? 'a token that is narrowed' : who}: no filter hears it, nothing is said there`, async () => {
    const client = await joined(who, secretOf(who));
    const heard: string[] = [];
    client.on('message', (topic, payload) => void heard.push(`${topic}=${String(payload)}`));
    for (const filter of FILTERS) await client.subscribeAsync(filter, { qos: 1 }).catch(() => {});
    const owner = await joined(OWNER, PASSWORD);
    await owner.publishAsync(SECRET_TOPIC, SECRET, { qos: 1, retain: true });
    await owner.publishAsync('open/seen', 'yes', { qos: 1 });
    victim.published.length = 0;
    for (const qos of [1, 2] as const)
      await assert.rejects(client.publishAsync(SECRET_TOPIC, 'stolen', { qos, retain: true }), /Not authorized/);
    // QoS 0 has no answer but the end; an alias, and a second use of it, are no other way.
    client.publish('house/x', 'stolen', { qos: 0, properties: { topicAlias: 1 } });
    client.publish('', 'stolen', { qos: 0, properties: { topicAlias: 1 } });
    await new Promise((resolve) => setTimeout(resolve, 100));
    assert.deepEqual(victim.published, []);
    assert.deepEqual(
      heard.filter((line) => line.startsWith('house')),
      [],
    );
    await owner.endAsync();
    client.end(true);
  });

test('MQTT: a will for what is denied is not published when its client is lost', async () => {
  const will = { topic: 'house/will', payload: Buffer.from('stolen'), qos: 1 as const, retain: true };
  const client = await joined(DENIED, PASSWORD, { will }).catch(() => null);
  client?.stream.destroy();
  await victim.untouched(150);
});

test('MQTT: a session of that name that another left is not theirs', async () => {
  const lasting = { clientId: 'the-owners', clean: false, properties: { sessionExpiryInterval: 60 } };
  const owner = await joined(OWNER, PASSWORD, lasting);
  await owner.subscribeAsync('house/#', { qos: 1 });
  await owner.endAsync();
  const other = await joined(OWNER, PASSWORD);
  await other.publishAsync(SECRET_TOPIC, SECRET, { qos: 1, retain: true });
  await other.endAsync();
  const heard: string[] = [];
  const thief = await joined(DENIED, PASSWORD, { ...lasting, manualConnect: false }).catch(() => null);
  thief?.on('message', (topic) => void heard.push(topic));
  await new Promise((resolve) => setTimeout(resolve, 150));
  assert.deepEqual(heard, []);
  thief?.end(true);
});

for (const who of [DENIED, NARROW, OWNER])
  test(`lines, ${who === OWNER ? 'a token that is narrowed' : who}: no command has it`, async () => {
    const names = [SECRET_TOPIC, 'house%2Fsecret', 'house/secret%20', '%68ouse/secret', '"house/secret"'];
    const commands = names.flatMap((name) => [`LAST ${name}`, `SUB ${name}`, `SUB ${name} after=0`]);
    commands.push(
      ...FILTERS.flatMap((filter) => [`SUB ${filter}`, `SUB ${filter} after=0`]),
      'JSON',
      `LAST ${SECRET_TOPIC}`,
    );
    commands.push('PUT! house/secret stolen', 'PUB! house/x stolen', 'DEL! house/secret', 'PUBB! house/y 6\nstolen');
    const login = `NAME! ${who} ${secretOf(who).replace(' ', '%20')}`;
    const { text } = await say(victim.port('lines'), `${[login, ...commands].join('\n')}\n`);
    assert.match(text, /^\+OK/);
    assert.ok(!text.includes(SECRET), text);
    await victim.untouched();
    assert.equal((await request(port, `GET /topics/${SECRET_TOPIC}`, basic(OWNER))).body, SECRET);
  });

for (const [who, fields] of VILLAINS)
  test(`portico.json, ${who}: no message has it`, async () => {
    const frames = [
      ...FILTERS.flatMap((filter) => [{ subscribe: filter }, { subscribe: filter, after: '0' }]),
      { publish: SECRET_TOPIC, payload: 'stolen', retain: true, id: 1 },
      { publish: 'house/x', payload: 'stolen', id: 2 },
    ].map((message) => masked(JSON.stringify(message)));
    const lines = Object.entries({
      ...fields(),
      ...SOCKET,
      Host: `localhost:${port}`,
      'Sec-WebSocket-Protocol': 'portico.json',
    }).map(([name, value]) => `${name}: ${value}`);
    const head = Buffer.from(`GET / HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n`);
    const { text } = await say(port, Buffer.concat([head, ...frames]));
    assert.match(text, /^HTTP\/1\.1 101 /);
    assert.match(text, /"DENIED"/);
    assert.ok(!text.includes(SECRET), text);
    await victim.untouched();
  });

/** A text frame of a client (RFC 6455 §5.2), with a mask of zeros. */
function masked(text: string): Buffer {
  const bytes = Buffer.from(text);
  const length = bytes.length < 126 ? [0x80 | bytes.length] : [0xfe, bytes.length >> 8, bytes.length & 0xff];
  return Buffer.concat([Buffer.from([0x81, ...length, 0, 0, 0, 0]), bytes]);
}

// ---- what a browser attaches by itself -------------------------------------------------------------------------------

/** With a name and password that the browser keeps for this server. */
const CACHED = () => basic(OWNER);

const WANTS: readonly (readonly [
  what: string,
  start: string,
  fields: Readonly<Record<string, string>>,
  body: string,
])[] = [
  ['read', `GET /topics/${SECRET_TOPIC}`, {}, ''],
  ['events', `GET /topics/${SECRET_TOPIC}`, { Accept: 'text/event-stream' }, ''],
  ['form', 'POST /topics/stolen/a', { 'Content-Type': 'application/x-www-form-urlencoded' }, 'a=b'],
  ['text form', 'POST /topics/stolen/b', { 'Content-Type': 'text/plain' }, 'x'],
  ['file form', 'POST /topics/stolen/c', { 'Content-Type': 'multipart/form-data; boundary=b' }, '--b--'],
  ['put', 'PUT /topics/stolen/d', {}, 'x'],
  ['delete', `DELETE /topics/${SECRET_TOPIC}`, {}, ''],
  ['metrics', 'GET /metrics', {}, ''],
  ['bare socket', `GET /topics/${SECRET_TOPIC}`, SOCKET, ''],
  ['portico.json', 'GET /', { ...SOCKET, 'Sec-WebSocket-Protocol': 'portico.json' }, ''],
  ['mqtt', 'GET /mqtt', { ...SOCKET, 'Sec-WebSocket-Protocol': 'mqtt' }, ''],
];

async function refused(status: number, fields: Readonly<Record<string, string>>, host?: string): Promise<void> {
  for (const [what, start, own, body] of WANTS) {
    const given = { ...own, ...CACHED(), ...fields };
    const answer = await request(port, start, given, host === undefined ? { body } : { body, host });
    assert.equal(answer.status, status, `${what}: ${answer.status} ${answer.body}`);
    assert.ok(!answer.body.includes(SECRET), what);
    assert.ok(!answer.fields.has('access-control-allow-origin'), what);
    // A dialog that asks for the password would be shown for the other site.
    assert.ok(!answer.fields.has('www-authenticate'), what);
  }
  await victim.untouched();
}

const FOREIGN: readonly Readonly<Record<string, string>>[] = [
  { Origin: 'http://evil.example' },
  { Origin: 'null' },
  { Origin: 'http://localhost:1', 'Sec-Fetch-Site': 'same-site' },
  { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'no-cors' },
  { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'iframe' },
  { 'Sec-Fetch-Site': 'same-site', 'Sec-Fetch-Mode': 'websocket' },
];

for (const fields of FOREIGN)
  test(`a page of another site with the user’s own password: ${JSON.stringify(fields)}`, () => refused(403, fields));

test('rebinding, with the user’s own password', async () => {
  await refused(421, {}, 'evil.example');
  await refused(421, { Origin: 'http://evil.example', 'Sec-Fetch-Site': 'same-origin' }, 'evil.example');
});

test('a link that is followed from another site changes nothing', async () => {
  const visit = { 'Sec-Fetch-Site': 'cross-site', 'Sec-Fetch-Mode': 'navigate', 'Sec-Fetch-Dest': 'document' };
  for (const [what, start, own, body] of WANTS) {
    const answer = await request(port, start, { ...own, ...CACHED(), ...visit }, { body });
    const isLink = start.startsWith('GET') && !('Upgrade' in own);
    assert.equal(answer.status === 200, isLink, `${what}: ${answer.status}`);
  }
  await victim.untouched();
});

test('a preflight is answered to nobody, whatever it brings', async () => {
  const asks = { ...CACHED(), Origin: 'http://evil.example', 'Access-Control-Request-Method': 'PUT' };
  const { status, fields } = await request(port, 'OPTIONS /topics/a', asks);
  assert.equal(status, 403);
  assert.ok(![...fields.keys()].some((name) => name.startsWith('access-control')));
});

// ---- guessing --------------------------------------------------------------------------------------------------------

test('who guesses is locked out, whoever he says each time that he is', async () => {
  await order('account.add', { name: 'target', password: PASSWORD });
  const statuses: number[] = [];
  for (let guess = 0; guess < 8; guess++) {
    const fields = { ...basic('target', `guess number ${guess}`), 'X-Client': `${guess}`, 'User-Agent': `${guess}` };
    statuses.push((await request(port, 'GET /topics', fields, SLOWLY)).status);
  }
  assert.ok(
    statuses.slice(0, 5).every((status) => status === 401),
    statuses.join(),
  );
  assert.equal(statuses.at(-1), 429);
  // By another name of the same account, by another protocol, and with the right password: still.
  assert.equal((await request(port, 'GET /topics', basic('TARGET'))).status, 429);
  const { text } = await say(victim.port('lines'), `NAME! target ${PASSWORD.replace(' ', '%20')}\n`);
  assert.match(text, /^-ERR BUSY/);
  await assert.rejects(joined('target', PASSWORD), (error: { code?: number }) => error.code === 0x97);
  // The others are not.
  assert.equal((await request(port, 'GET /topics', basic(OWNER))).status, 200);
});

test('an unknown name cannot be told from a wrong password', async () => {
  const answers = [];
  for (const name of ['dora', DENIED]) {
    const { status, body, fields } = await request(port, 'GET /topics', basic(name, 'not the password'), SLOWLY);
    answers.push([status, body, fields.get('www-authenticate')]);
  }
  assert.deepEqual(answers[0], answers[1]);
});
