import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Caller } from '../../core/caller.ts';
import { Fields } from '../../core/fields.ts';
import type { Peer } from '../../core/peer.ts';
import { OPEN_ACCOUNTS } from '../../resources/accounts/open-accounts.ts';
import { FewAccounts } from '../../resources/accounts/testing/few-accounts.ts';
import { readCredentials } from './credentials.ts';
import { type Asked, Guard, isRefusal, originEntryProblem, type Refusal } from './guard.ts';
import { HostList, hostEntryProblem, hostOf } from './hosts.ts';

const LOOPBACK: Peer = {
  carrier: 'tcp',
  remote: { host: '127.0.0.1', port: 40_000 },
  local: { host: '127.0.0.1', port: 8080 },
  tls: null,
  below: null,
  stream: null,
};
const SECURE: Peer = {
  ...LOOPBACK,
  carrier: 'tls',
  tls: { version: 'TLSv1.3', cipher: '', alpn: null, serverName: null, certificate: null },
  below: LOOPBACK,
};

function ask(fields: Record<string, string> | Fields = {}, over: Partial<Asked> = {}): Asked {
  const list = fields instanceof Fields ? fields : Fields.of(fields);
  const base = { method: 'GET', target: '/topics/a', authority: 'localhost:8080', upgrade: '', peer: LOOPBACK };
  return { ...base, fields: list, ...over };
}

const guard = new Guard({ accounts: OPEN_ACCOUNTS, hosts: ['127.0.0.1', '::1'], origins: [] });
const welcoming = new Guard({
  accounts: OPEN_ACCOUNTS,
  hosts: [],
  origins: ['http://localhost:3000', 'https://App.example:443'],
});

function statusOf(asked: Asked, by = guard): number {
  return by.check(asked)?.status ?? 200;
}

const TO_HOSTS: readonly (readonly [authority: string, status: number])[] = [
  ['localhost', 200],
  ['localhost:8080', 200],
  ['localhost:1', 200],
  ['LOCALHOST:8080', 200],
  ['localhost.:8080', 200],
  ['app.localhost:8080', 200],
  ['a.b.localhost', 200],
  ['127.0.0.1:8080', 200],
  ['127.255.0.9', 200],
  ['[::1]:8080', 200],
  ['[0:0:0:0:0:0:0:1]', 200],
  ['[::ffff:127.0.0.1]', 200],
  ['', 200],
  ['evil.example', 421],
  ['evil.example:8080', 421],
  ['evil.example.', 421],
  ['localhost.evil.example', 421],
  ['evillocalhost', 421],
  ['localhost..', 421],
  ['.localhost', 421],
  ['127.0.0.1.nip.io', 421],
  ['127-0-0-1.example', 421],
  ['127.0.0.1.', 421],
  ['2130706433', 421],
  ['0x7f.1', 421],
  ['0x7f000001', 421],
  ['0177.0.0.1', 421],
  ['127.1', 421],
  ['127.0.0.01', 421],
  ['127.0.0.256', 421],
  ['0.0.0.0:8080', 421],
  ['[::]:8080', 421],
  ['[fe80::1]', 421],
  ['[fe80::1%25lo]', 421],
  ['[::1%25lo]', 421],
  ['10.0.0.1', 421],
  ['localhost@evil.example', 421],
  ['evil.example#localhost', 421],
  ['%6cocalhost', 421],
  ['localhost:8080:8080', 421],
  ['localhost:x', 421],
  ['xn--localhost-', 421],
  ['lоcalhost', 421],
];

for (const [authority, status] of TO_HOSTS)
  test(`Host ${authority || '(empty)'}: ${status}`, () => assert.equal(statusOf(ask({}, { authority })), status));

test('a Host that was refused stays so, and one that was let in stays so, however often', () => {
  for (let round = 0; round < 200; round++) {
    assert.equal(statusOf(ask({}, { authority: 'evil.example' })), 421);
    assert.equal(statusOf(ask({}, { authority: `n${round}.localhost` })), 200);
  }
});

test('the address by which a client came is a host, its name is not', () => {
  const peer: Peer = { ...LOOPBACK, local: { host: '192.0.2.7', port: 80 }, remote: { host: '192.0.2.9', port: 1 } };
  assert.equal(statusOf(ask({}, { authority: '192.0.2.7', peer })), 200);
  assert.equal(statusOf(ask({}, { authority: '192.0.2.8', peer })), 421);
  assert.equal(statusOf(ask({}, { authority: '192.0.2.7' })), 421);
});

test('hosts of the configuration: names, all below a name, addresses; never "all addresses"', () => {
  const list = new HostList(['Box.local', '*.dev.example', '192.0.2.1', 'FE80::1', '0.0.0.0', '::']);
  const has = (authority: string) => list.has(authority, null);
  for (const own of ['box.local', 'box.local.:80', 'a.dev.example', 'a.b.dev.example', '192.0.2.1', '[fe80:0::1]:8'])
    assert.ok(has(own), own);
  for (const foreign of ['dev.example', 'evildev.example', 'x.box.local', '0.0.0.0', '[::]', '192.0.2.10'])
    assert.ok(!has(foreign), foreign);
  assert.equal(hostEntryProblem('*.example'), null);
  for (const entry of ['*', '', 'http://a', 'a:80', 'a b', '*.1.2.3.4', '*.*.a', '0x7f.1', 'user@a'])
    assert.match(hostEntryProblem(entry)!, /is no host/, entry);
  assert.throws(() => new HostList(['*']), RangeError);
});

test('what is a host never changes by being read again', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.domain(), fc.ipV4(), fc.ipV4Extended(), fc.ipV6()), (text) => {
      const host = hostOf(text);
      if (host !== null) assert.equal(hostOf(host), host);
    }),
  );
});

test('Host is not looked at on a Unix socket, where no name leads', () => {
  const peer: Peer = { ...LOOPBACK, carrier: 'unix', remote: null, local: null };
  assert.equal(statusOf(ask({}, { authority: 'docker', peer })), 200);
  assert.equal(statusOf(ask({ origin: 'http://evil.example' }, { authority: 'docker', peer })), 403);
});

const FROM_ORIGINS: readonly (readonly [origin: string, authority: string, status: number])[] = [
  ['http://localhost:8080', 'localhost:8080', 200],
  ['http://LOCALHOST:8080', 'localhost:8080', 200],
  ['http://localhost', 'localhost:80', 200],
  ['http://localhost:80', 'localhost', 200],
  ['http://[::1]:8080', '[::1]:8080', 200],
  ['http://localhost:8081', 'localhost:8080', 403],
  ['http://localhost', 'localhost:8080', 403],
  ['https://localhost:8080', 'localhost:8080', 403],
  ['http://127.0.0.1:8080', 'localhost:8080', 403],
  ['http://localhost.:8080', 'localhost:8080', 403],
  ['http://localhost:8080.evil.example', 'localhost:8080', 403],
  ['http://evil.example', 'localhost:8080', 403],
  ['http://evil.example:8080', 'localhost:8080', 403],
  ['null', 'localhost:8080', 403],
  ['', 'localhost:8080', 403],
  ['http://', '', 403],
  ['http://0.0.0.0:8080', 'localhost:8080', 403],
  ['http://0:8080', 'localhost:8080', 403],
  ['file://', 'localhost:8080', 403],
  ['file:///etc/passwd', 'localhost:8080', 403],
  ['chrome-extension://aapbdbdomjkkjkaonfhkkikfgjllcleb', 'localhost:8080', 403],
  ['moz-extension://5b1c7f2e-7e0f-4f0f-9c2f-000000000000', 'localhost:8080', 403],
  ['http://localhost:8080/', 'localhost:8080', 403],
  ['http://user@localhost:8080', 'localhost:8080', 403],
  ['http://localhost:8080 http://evil.example', 'localhost:8080', 403],
  ['http://localhost:8080, http://localhost:8080', 'localhost:8080', 403],
  ['http://localhost:99999', 'localhost:8080', 403],
  ['ws://localhost:8080', 'localhost:8080', 403],
  ['localhost:8080', 'localhost:8080', 403],
];

for (const [origin, authority, status] of FROM_ORIGINS)
  test(`Origin ${origin || '(empty)'} at ${authority || '(no host)'}: ${status}`, () => {
    for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'OPTIONS'])
      assert.equal(statusOf(ask({ origin }, { authority, method })), status, method);
    // WebSockets are read by whoever opened them: nothing but Origin stands before that (RFC 6455 §10.2).
    assert.equal(statusOf(ask({ origin }, { authority, upgrade: 'websocket' })), status);
    // What the page says of itself in another field does not help it.
    if (status !== 200) assert.equal(statusOf(ask({ origin, 'sec-fetch-site': 'same-origin' }, { authority })), status);
  });

test('behind TLS the own origin is of https', () => {
  assert.equal(statusOf(ask({ origin: 'https://localhost:8080' }, { peer: SECURE })), 200);
  assert.equal(statusOf(ask({ origin: 'https://localhost' }, { peer: SECURE, authority: 'localhost:443' })), 200);
  assert.equal(statusOf(ask({ origin: 'http://localhost:8080' }, { peer: SECURE })), 403);
  // A stream of HTTP/2 stands on the connection that has the facts.
  assert.equal(statusOf(ask({ origin: 'https://localhost:8080' }, { peer: { ...LOOPBACK, below: SECURE } })), 200);
});

test('two Origins are none', () => {
  const fields = new Fields().append('origin', 'http://localhost:8080').append('origin', 'http://localhost:8080');
  assert.equal(statusOf(ask(fields)), 403);
});

test('an origin of the list is let in, its neighbours are not', () => {
  const status = (origin: string) => statusOf(ask({ origin, 'sec-fetch-site': 'cross-site' }), welcoming);
  assert.equal(status('http://localhost:3000'), 200);
  assert.equal(status('https://app.example'), 200);
  assert.equal(status('https://app.example:443'), 200);
  for (const origin of [
    'https://localhost:3000',
    'http://localhost:3001',
    'http://app.example',
    'https://x.app.example',
  ])
    assert.equal(status(origin), 403, origin);
  assert.equal(status('null'), 403);
});

test('the list of origins takes origins only, and never all of them', () => {
  for (const entry of ['http://a', 'https://a.b:8443', 'chrome-extension://abc', 'http://[::1]:3000'])
    assert.equal(originEntryProblem(entry), null, entry);
  for (const entry of ['*', 'null']) assert.match(originEntryProblem(entry)!, /every page there is/);
  for (const entry of ['a.b', 'http://a/', 'http://a/b', 'http://*.a', 'http://', '', 'http://a:x', 'http://u@a'])
    assert.match(originEntryProblem(entry)!, /is no origin/, entry);
  assert.throws(() => new Guard({ accounts: OPEN_ACCOUNTS, hosts: [], origins: ['*'] }), RangeError);
});

test('a refusal says which key lets it in', () => {
  assert.match(guard.check(ask({ origin: 'http://a.example' }))!.detail, /http:\/\/a\.example .*http\.origins/);
  assert.match(guard.check(ask({ origin: 'null' }))!.detail, /no origin.*http\.origins/);
  assert.match(guard.check(ask({ 'sec-fetch-site': 'cross-site' }))!.detail, /http\.origins/);
  assert.match(guard.check(ask({}, { authority: 'box.local:80' }))!.detail, /name box\.local\. .*http\.hosts/);
  assert.ok(guard.check(ask({ origin: `http://${'a'.repeat(9_000)}` }))!.detail.length < 400);
});

const VISIT = { 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'document' };
const BY_SITE: readonly (readonly [
  what: string,
  fields: Record<string, string>,
  over: Partial<Asked>,
  status: number,
])[] = [
  ['none: typed into the address bar', { 'sec-fetch-site': 'none', ...VISIT }, {}, 200],
  ['same-origin', { 'sec-fetch-site': 'same-origin', 'sec-fetch-mode': 'cors' }, {}, 200],
  [
    'image of another site',
    { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' },
    {},
    403,
  ],
  [
    'script of the same site',
    { 'sec-fetch-site': 'same-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'script' },
    {},
    403,
  ],
  ['frame', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'iframe' }, {}, 403],
  ['object', { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate', 'sec-fetch-dest': 'object' }, {}, 403],
  ['link', { 'sec-fetch-site': 'cross-site', ...VISIT }, {}, 200],
  ['link of the same site', { 'sec-fetch-site': 'same-site', ...VISIT }, {}, 200],
  ['form that posts', { 'sec-fetch-site': 'cross-site', ...VISIT }, { method: 'POST' }, 403],
  ['navigation that upgrades', { 'sec-fetch-site': 'cross-site', ...VISIT }, { upgrade: 'websocket' }, 403],
  [
    'WebSocket without Origin',
    { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'websocket' },
    { upgrade: 'websocket' },
    403,
  ],
  ['what is not known', { 'sec-fetch-site': 'sideways' }, {}, 403],
  ['nothing', { 'sec-fetch-site': '' }, {}, 403],
];

for (const [what, fields, over, status] of BY_SITE)
  test(`Sec-Fetch-Site, ${what}: ${status}`, () => assert.equal(statusOf(ask(fields, over)), status));

test('of two Sec-Fetch-Site the stricter counts, of two modes neither', () => {
  for (const order of [
    ['same-origin', 'cross-site'],
    ['cross-site', 'same-origin'],
  ]) {
    const fields = new Fields().append('sec-fetch-site', order[0]!).append('sec-fetch-site', order[1]!);
    assert.equal(statusOf(ask(fields)), 403);
  }
  const fields = Fields.of({ 'sec-fetch-site': 'cross-site', ...VISIT }).append('sec-fetch-mode', 'navigate');
  assert.equal(statusOf(ask(fields)), 403);
});

test('Referer is not looked at: who attacks leaves it out', () => {
  assert.equal(statusOf(ask({ referer: 'http://evil.example/' })), 200);
});

// ---- who asks --------------------------------------------------------------------------------------------------------

function admitted(answer: Caller | Refusal | null): Caller {
  assert.ok(answer !== null && !isRefusal(answer), JSON.stringify(answer));
  return answer;
}

function refused(answer: Caller | Refusal | null): Refusal {
  assert.ok(answer !== null && isRefusal(answer), JSON.stringify(answer));
  return answer;
}

const basic = (text: string | Uint8Array) => `Basic ${Buffer.from(text).toString('base64')}`;
const signedIn = (authorization: string) => guard.admit(ask({ authorization }));

test('while open, any name and password is that name (RFC 7617 §2)', () => {
  assert.deepEqual(admitted(guard.admit(ask())), { account: '', scopes: null, origin: 'local', epoch: 0 });
  assert.equal(admitted(signedIn('Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==')).account, 'Aladdin');
  // RFC 7617 §2.1: "test" and "123£" in UTF-8.
  assert.equal(admitted(signedIn('Basic dGVzdDoxMjPCow==')).account, 'test');
  assert.deepEqual(readCredentials('Basic dGVzdDoxMjPCow=='), {
    scheme: 'basic',
    account: 'test',
    password: '123£',
    token: '',
  });
  assert.equal(admitted(signedIn(basic('Zoë:'))).account, 'Zoë');
  assert.equal(admitted(signedIn(basic('a:b:c'))).account, 'a');
  assert.equal(readCredentials(basic('a:b:c'))!.password, 'b:c');
  assert.equal(admitted(signedIn(basic(':secret'))).account, '');
  assert.equal(admitted(signedIn(`bAsIc   ${Buffer.from('a:b').toString('base64')}`)).account, 'a');
  assert.equal(admitted(signedIn('Basic YTo')).account, 'a');
});

test('credentials that cannot be read are 400', () => {
  const bad = [
    '',
    'Basic',
    'Basic ',
    'Basic !',
    'Basic YTpi YTpi',
    'Basic YTpi=',
    'Basic YTp=',
    'Basic =',
    'Basic YT-_',
  ];
  const texts: (string | Uint8Array)[] = ['nocolon', 'a\0:b', 'a:\n', 'a\u0085:b', Uint8Array.of(0xff, 0x3a, 0x61)];
  for (const authorization of [...bad, ...texts.map(basic), basic(`a:${'b'.repeat(9_000)}`)])
    assert.equal(refused(signedIn(authorization)).status, 400, authorization.slice(0, 40));
  const twice = new Fields().append('authorization', basic('a:b')).append('authorization', basic('a:b'));
  assert.equal(refused(guard.admit(ask(twice))).status, 400);
});

test('tokens and other schemes are 401 with what to do instead', () => {
  const token = refused(signedIn('Bearer abc.def'));
  assert.equal(token.status, 401);
  // RFC 6750 §3.1
  assert.match(token.fields!['www-authenticate']!, /^Bearer .*error="invalid_token", Basic realm="Portico"/);
  for (const scheme of ['Digest username="a"', 'Negotiate abc']) {
    const answer = refused(signedIn(scheme));
    assert.equal(answer.status, 401);
    assert.equal(answer.fields!['www-authenticate'], 'Basic realm="Portico", charset="UTF-8"');
  }
});

for (const name of [
  ...['forwarded', 'via', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-forwarded-whatever'],
  ...['x-real-ip', 'cf-connecting-ip', 'true-client-ip', 'x-client-ip', 'fly-client-ip'],
])
  test(`${name} makes a stranger of a local program`, () => {
    const asked = ask({ [name]: '127.0.0.1' });
    const answer = refused(guard.admit(asked));
    assert.equal(answer.status, 401);
    assert.match(answer.detail, /proxy/);
    assert.ok(answer.fields?.['www-authenticate'] !== undefined);
    assert.equal(refused(guard.admit(ask({ [name]: '', authorization: basic('a:b') }))).status, 401);
    // What answers anybody answers also here, and knows that it is not a local program.
    assert.equal(admitted(guard.admit(asked, true)).origin, 'remote');
  });

test('strangers by address, and by what the connection said', () => {
  const far: Peer = { ...LOOPBACK, remote: { host: '192.0.2.9', port: 1 } };
  assert.equal(refused(guard.admit(ask({}, { peer: far }))).status, 401);
  assert.equal(refused(guard.admit(ask({}, { peer: { ...LOOPBACK, forwarded: true } }))).status, 401);
  assert.equal(
    admitted(guard.admit(ask({}, { peer: { ...LOOPBACK, carrier: 'unix', remote: null } }))).origin,
    'local',
  );
});

test('a page is refused before it is asked who it is, also where anyone is answered', () => {
  assert.equal(refused(guard.admit(ask({ origin: 'null', via: '1.1 a' }), true)).status, 403);
  assert.equal(refused(guard.admit(ask({}, { authority: 'evil.example' }), true)).status, 421);
});

test('with accounts, nobody comes in without one', () => {
  const closed = new Guard({ accounts: new FewAccounts(), hosts: [], origins: [] });
  assert.equal(refused(closed.admit(ask())).status, 401);
  assert.equal(refused(closed.admit(ask({ authorization: basic('a:b') }))).status, 401);
  assert.equal(admitted(closed.admit(ask(), true)).account, '');
});

// ---- what answers carry ----------------------------------------------------------------------------------------------

const record = (fields: Fields | null) => (fields === null ? null : Object.fromEntries(fields));

test('answers to programs carry nothing more', () => {
  assert.equal(guard.answerFields(ask({ accept: '*/*', 'user-agent': 'curl/8.5.0' })), null);
  assert.equal(welcoming.answerFields(ask()), null);
});

test('answers to browsers may not be read as something else, nor by somebody else', () => {
  const expected = { 'x-content-type-options': 'nosniff', 'cross-origin-resource-policy': 'same-origin' };
  assert.deepEqual(record(guard.answerFields(ask({ 'sec-fetch-site': 'none' }))), expected);
  assert.deepEqual(record(guard.answerFields(ask({ 'user-agent': 'Mozilla/5.0 (X11)' }))), expected);
  assert.deepEqual(record(guard.answerFields(ask({ origin: 'http://localhost:8080' }))), expected);
  assert.deepEqual(record(guard.answerFields(ask({ origin: 'http://evil.example' }))), expected);
  assert.deepEqual(record(welcoming.answerFields(ask({ 'sec-fetch-site': 'none' }))), { ...expected, vary: 'Origin' });
});

test('answers to an origin of the list may be read by it', () => {
  const fields = record(welcoming.answerFields(ask({ origin: 'http://localhost:3000' })))!;
  assert.equal(fields['access-control-allow-origin'], 'http://localhost:3000');
  assert.equal(fields.vary, 'Origin');
  assert.equal(fields['access-control-expose-headers'], '*');
  assert.equal(fields['cross-origin-resource-policy'], undefined);
  assert.equal(fields['access-control-allow-credentials'], undefined);
});

const preflight = (fields: Record<string, string>, by = welcoming) =>
  record(
    by.preflight(
      ask(
        { origin: 'http://localhost:3000', 'access-control-request-method': 'PUT', ...fields },
        { method: 'OPTIONS' },
      ),
    ),
  );

test('a preflight of an origin of the list is answered with what it may do', () => {
  const fields = preflight({ 'access-control-request-headers': 'content-type, x-mine' })!;
  assert.equal(fields['access-control-allow-origin'], 'http://localhost:3000');
  assert.match(fields['access-control-allow-methods']!, /\bPUT\b/);
  assert.equal(fields['access-control-allow-headers'], 'content-type, x-mine');
  assert.equal(fields['access-control-allow-private-network'], undefined);
  assert.match(fields.vary!, /^Origin,/);
  assert.equal(
    preflight({ 'access-control-request-private-network': 'true' })!['access-control-allow-private-network'],
    'true',
  );
  assert.equal(preflight({ 'access-control-request-headers': 'a\tb: c' })!['access-control-allow-headers'], undefined);
  assert.equal(
    preflight({ 'access-control-request-headers': 'a'.repeat(2_000) })!['access-control-allow-headers'],
    undefined,
  );
});

test('a preflight of another origin is refused before that; other OPTIONS are the routes’', () => {
  const asked = { origin: 'http://evil.example', 'access-control-request-method': 'PUT' };
  assert.equal(statusOf(ask(asked, { method: 'OPTIONS' }), welcoming), 403);
  assert.equal(welcoming.preflight(ask({ origin: 'http://localhost:3000' }, { method: 'OPTIONS' })), null);
  assert.equal(welcoming.preflight(ask({ 'access-control-request-method': 'PUT' }, { method: 'OPTIONS' })), null);
  assert.equal(
    welcoming.preflight(ask({ origin: 'http://localhost:3000', 'access-control-request-method': 'PUT' })),
    null,
  );
});

test('whatever stands in the fields, a page of no listed origin is refused', () => {
  const names = ['sec-fetch-site', 'sec-fetch-mode', 'sec-fetch-dest', 'referer', 'user-agent', 'authorization', 'via'];
  const values = ['same-origin', 'none', 'navigate', 'document', 'http://localhost:8080/', 'Basic YTpi', 'Mozilla/5.0'];
  const field = fc.tuple(fc.constantFrom(...names), fc.oneof(fc.constantFrom(...values), fc.string()));
  fc.assert(
    fc.property(fc.array(field), fc.nat(8), fc.oneof(fc.string(), fc.webUrl()), (given, at, origin) => {
      fc.pre(!/^http:\/\/localhost:8080$/i.test(origin));
      const fields = new Fields();
      for (const [index, [name, value]] of given.entries()) {
        if (index === at) fields.append('origin', origin);
        fields.append(name, value);
      }
      if (at >= given.length) fields.append('origin', origin);
      assert.equal(statusOf(ask(fields)), 403);
    }),
  );
});
