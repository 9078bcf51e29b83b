// Sessions that go on, 0-RTT and what keeps it from being taken twice, and HelloRetryRequest.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Ticket, VERSION_1, VERSION_2, type Version } from '../crypto.ts';
import { SUITES } from '../protection/suites.ts';
import { opened, sealed } from '../protection/testing/packets.ts';
import { faults } from './faults.ts';
import { clientHandshake, EarlyGuard, GROUPS, serverHandshake, Tickets } from './index.ts';
import {
  CLIENT,
  client as clientOf,
  FROM,
  HOST,
  identityOf,
  made,
  NOW,
  ROOT,
  serverExtensions,
} from './testing/certificates.ts';
import {
  agree,
  CLIENT_POLICY,
  deliver,
  done,
  EARLY,
  End,
  type Given,
  INITIAL,
  pair,
  run,
  SERVER_PARAMETERS,
  SERVER_POLICY,
  seeded,
} from './testing/ends.ts';
import { changed, extensionsOf, message } from './testing/messages.ts';

const DAY = 86_400_000;
const LIMITS = { earlyAgeMs: 10_000, earlySeenMax: 1_000 };

/** What a server keeps, new for each test. */
function keeping() {
  return { tickets: new Tickets([Buffer.alloc(48, 7)], seeded(3)), guard: new EarlyGuard(NOW - DAY, LIMITS) };
}

function ticketOf(given: Given): Ticket {
  const { client } = done(given);
  assert.equal(client.tickets.length, 1);
  return client.tickets[0]!;
}

test('RFC 8446 §2.2: a session goes on without certificates, with each suite and group', () => {
  for (const suite of SUITES)
    for (const group of GROUPS) {
      const server = keeping();
      const own = { suites: [suite], groups: [group] };
      const ticket = ticketOf({ server, client: own });
      const { client } = done({ server, client: { ...own, ticket }, wall: NOW + 60_000 });
      assert.equal(client.handshake.resumed, true);
      assert.deepEqual(client.handshake.peerChain, []);
      // And on again with the ticket that came of it.
      const again = done({ server, client: { ...own, ticket: client.tickets[0]! }, wall: NOW + 120_000 });
      assert.equal(again.client.handshake.resumed, true);
    }
});

test('a ticket that does not fit is passed over, and a whole handshake follows', () => {
  const server = keeping();
  const ticket = ticketOf({ server });
  const whole = (given: Given) => assert.equal(done(given).server.handshake.resumed, false);
  whole({ server, client: { ticket: { ...ticket, ticket: Buffer.alloc(200, 1) } } });
  whole({ server: { tickets: new Tickets([Buffer.alloc(48, 8)], seeded(3)) }, client: { ticket } });
  whole({ server: {}, client: { ticket } });
  whole({ server, client: { ticket }, wall: NOW + DAY + 1 });
  whole({ server, client: { ticket: { ...ticket, expires: NOW + 9 * DAY } }, wall: NOW + DAY + 1 });
  whole({ server, client: { ticket, policy: { serverName: `a.${HOST}` } } });
  whole({ server, client: { ticket: { ...ticket, serverName: `a.${HOST}` }, policy: { serverName: `a.${HOST}` } } });
  whole({ server: { ...server, version: VERSION_2 }, client: { ticket, version: VERSION_2 } });
  whole({ server: { ...server, suites: [SUITES[1]!] }, client: { ticket } });
  whole({ server, client: { ticket, suites: [SUITES[1]!] } });
  whole({ server, client: { ticket: { ...ticket, alpn: 'other' } } });
});

test('RFC 8446 §4.2.11: a ticket whose secret is another ends it', () => {
  const server = keeping();
  const ticket = ticketOf({ server });
  const both = pair({ server, client: { ticket: { ...ticket, secret: Buffer.alloc(32) } } });
  run(both);
  assert.equal(both.server.fault, faults.binder);
});

test('keys of tickets change: what the old one sealed is opened as long as it is there', () => {
  const [old, fresh] = [Buffer.alloc(48, 1), Buffer.alloc(48, 2)];
  const ticket = ticketOf({ server: { tickets: new Tickets([old], seeded(3)) } });
  const both = { tickets: new Tickets([fresh, old], seeded(3)) };
  assert.equal(done({ server: both, client: { ticket } }).client.handshake.resumed, true);
  const after = { tickets: new Tickets([fresh], seeded(3)) };
  assert.equal(done({ server: after, client: { ticket } }).client.handshake.resumed, false);
  assert.throws(() => new Tickets([], seeded(3)), RangeError);
  assert.throws(() => new Tickets([Buffer.alloc(16)], seeded(3)), RangeError);
});

test('a client that has to show a certificate shows it again where its session has none', () => {
  const server = keeping();
  const ticket = ticketOf({ server });
  const policy = { clientCertificate: 'required' as const, authorities: ROOT.pem };
  const { server: end } = done({ server: { ...server, policy }, client: { ticket, policy: CLIENT } });
  assert.equal(end.handshake.resumed, false);
  assert.equal(end.handshake.peerChain.length, 1);
});

test('a session ends with the certificate of its client', () => {
  const server = { ...keeping(), policy: { clientCertificate: 'required' as const, authorities: ROOT.pem } };
  const short = made({
    name: 'me',
    issuer: ROOT,
    from: FROM,
    to: NOW + 60_000,
    extensions: serverExtensions(['me'], '1.3.6.1.5.5.7.3.2'),
  });
  const policy = identityOf(short);
  const ticket = ticketOf({ server, client: { policy } });
  assert.equal(done({ server, client: { policy, ticket }, wall: NOW + 59_000 }).server.handshake.resumed, true);
  const late = pair({ server, client: { policy, ticket }, wall: NOW + 61_000 });
  run(late);
  assert.equal(late.server.handshake.resumed, false);
  assert.equal(late.server.fault, faults.certificateExpired);
});

test('a chain that no ticket has room for, and no ticket', () => {
  const server = { ...keeping(), policy: { clientCertificate: 'required' as const, authorities: ROOT.pem } };
  const long = identityOf(
    clientOf('me', ROOT),
    ...Array.from({ length: 9 }, (_, at) => made({ name: 'x'.repeat(2_000 + at) })),
  );
  const { client } = done({ server, client: { policy: long } });
  assert.equal(client.tickets.length, 0);
});

// ---- 0-RTT ----

test('RFC 9001 §4.6: 0-RTT with the keys of the session, then the handshake goes on', () => {
  const server = keeping();
  const ticket = ticketOf({ server });
  assert.equal(ticket.early, true);
  assert.deepEqual(ticket.parameters, SERVER_PARAMETERS);
  const both = pair({ server, client: { ticket, early: true }, wall: NOW + 60_000 });
  assert.deepEqual(both.client.told, ['keys 1 seal']);
  run(both);
  assert.deepEqual([both.client.fault, both.server.fault], [null, null]);
  assert.deepEqual(both.server.told.slice(0, 3), ['parameters', 'keys 1 open', 'keys 2 seal open']);
  assert.ok(both.client.handshake.early && both.server.handshake.early);
  const packet = sealed(both.client.protections.get(EARLY)!, 0, Buffer.from('GET / early'));
  assert.equal(String(opened(both.server.protections.get(EARLY)!, packet, 0)), 'GET / early');
  assert.ok(!both.client.told.includes('early refused'));
});

test('RFC 8446 §8: a hello with 0-RTT that is heard twice is taken once, and the handshake goes on', () => {
  const server = keeping();
  const ticket = ticketOf({ server });
  const both = pair({ server, client: { ticket, early: true } });
  const hello = both.client.sent[0]!.bytes;
  run(both);
  assert.equal(both.server.handshake.early, true);
  const other = pair({ server });
  deliver(other.server, INITIAL, hello, other.clock);
  assert.equal(other.server.fault, null);
  assert.equal(other.server.handshake.early, false);
  assert.equal(other.server.handshake.resumed, true);
  // Another hello with the same ticket is another.
  const second = pair({ server, client: { ticket, early: true, entropy: seeded(77) } });
  run(second);
  assert.equal(second.server.handshake.early, true);
});

function refused(given: Given): void {
  const both = done(given);
  assert.equal(both.server.handshake.early, false);
  assert.equal(both.client.handshake.early, false);
  assert.ok(both.client.told.includes('early refused'));
  assert.ok(both.client.told.indexOf('early refused') < both.client.told.indexOf('keys 3 seal open'));
  assert.equal(both.client.told.filter((what) => what === 'early refused').length, 1);
  assert.ok(!both.server.told.includes('keys 1 open'));
}

test('RFC 8446 §4.2.10: 0-RTT is refused on other terms, too late, too early, without a guard, over another hello', () => {
  const server = keeping();
  const ticket = ticketOf({ server });
  const client = { ticket, early: true };
  refused({ server: { tickets: server.tickets }, client });
  refused({ server, client, serverParameters: Buffer.from('010480000002050480000fff', 'hex') });
  refused({ server: { ...server, policy: { alpn: ['hq-interop'] } }, client });
  // The client says that its ticket is older than it is, or younger.
  refused({ server, client: { ...client, ticket: { ...ticket, ageAdd: (ticket.ageAdd + 11_000) >>> 0 } } });
  refused({ client, wall: NOW + 60_000, ...full(server) });
  refused({ server: { ...server, guard: new EarlyGuard(NOW + 1, LIMITS) }, client });
  refused({ server: { ...server, groups: [GROUPS[3]!] }, client });
  refused({ server: { tickets: new Tickets([Buffer.alloc(48, 8)], seeded(3)), guard: server.guard }, client });
});

/** A guard that has seen as much as it can remember. */
function full({ tickets }: ReturnType<typeof keeping>): Given {
  const guard = new EarlyGuard(NOW - DAY, { earlyAgeMs: 10_000, earlySeenMax: 1 });
  assert.ok(guard.take(Buffer.from('one'), NOW + 60_000, NOW + 60_000));
  return { server: { tickets, guard } };
}

test('what belongs to one connection is no other terms: ids, tokens, unknown and in another order', () => {
  const server = keeping();
  const parameters = (id: string) => Buffer.from(`0f02${id}050480001000010480000002401b02abcd0002${id}`, 'hex');
  const ticket = ticketOf({ server, serverParameters: parameters('0102') });
  const both = done({ server, client: { ticket, early: true }, serverParameters: SERVER_PARAMETERS });
  assert.equal(both.server.handshake.early, true);
  const again = done({
    server,
    client: { ticket, early: true, entropy: seeded(5) },
    serverParameters: parameters('0506'),
  });
  assert.equal(again.server.handshake.early, true);
});

test('a client does not try 0-RTT unasked, or with a ticket that does not allow it', () => {
  const server = keeping();
  const ticket = ticketOf({ server });
  assert.ok(!done({ server, client: { ticket } }).client.told.includes('keys 1 seal'));
  const plain = ticketOf({ server: { tickets: server.tickets } });
  assert.equal(plain.early, false);
  assert.ok(!done({ server, client: { ticket: plain, early: true } }).client.told.includes('keys 1 seal'));
});

test('the guard forgets what can no longer be replayed', () => {
  const guard = new EarlyGuard(0, { earlyAgeMs: 1_000, earlySeenMax: 10 });
  for (let wall = 5_000; wall < 100_000; wall += 500) {
    const binder = Buffer.from(String(wall));
    assert.equal(guard.take(binder, wall, wall), true);
    assert.equal(guard.take(binder, wall, wall + 999), false);
    assert.equal(guard.take(binder, wall, wall + 1_001), false);
  }
});

test('RFC 9368 §2.3: a server goes over to another version as it hears the parameters; 0-RTT is of the one before', () => {
  const server = keeping();
  const ticket = ticketOf({ server });
  const version: { now: Version } = { now: VERSION_1 };
  const live = <Options extends object>(options: Options) =>
    Object.defineProperty(options, 'version', { enumerable: true, get: () => version.now }) as Options & {
      version: Version;
    };
  const [client, other] = [new End('client'), new End('server')];
  const clock = { now: 0, wall: NOW };
  const own = { policy: CLIENT_POLICY, entropy: seeded(1), ticket, early: true };
  client.handshake = clientHandshake(live(own), client);
  other.handshake = serverHandshake(live({ ...server, policy: SERVER_POLICY, entropy: seeded(2) }), other);
  other.parameters = () => {
    version.now = VERSION_2;
    other.handshake.begin(SERVER_PARAMETERS, clock);
    return null;
  };
  client.handshake.begin(SERVER_PARAMETERS, clock);
  run({ client, server: other, clock });
  assert.deepEqual([client.fault, other.fault], [null, null]);
  assert.ok(other.handshake.early && client.handshake.early);
  const packet = sealed(client.protections.get(EARLY)!, 0, Buffer.from('GET / early'));
  assert.equal(String(opened(other.protections.get(EARLY)!, packet, 0)), 'GET / early');
  agree({ client, server: other, clock });
  assert.equal(client.tickets[0]!.version, VERSION_2);
});

// ---- HelloRetryRequest ----

test('RFC 8446 §4.1.4: a group that no share was sent of is asked for', () => {
  for (const group of GROUPS.slice(1)) {
    const { client, server } = done({ client: { shares: 1 }, server: { groups: [group] } });
    assert.equal(client.handshake.group, group.name);
    // The client's parameters are told once.
    assert.deepEqual(server.told.filter((what) => what === 'parameters').length, 1);
  }
});

test('RFC 8446 §4.1.4: a session goes on over HelloRetryRequest, with each suite', () => {
  for (const suite of SUITES) {
    const server = { ...keeping(), suites: [suite] };
    const ticket = ticketOf({ server });
    const { client } = done({ server: { ...server, groups: [GROUPS[3]!] }, client: { ticket } });
    assert.equal(client.handshake.resumed, true);
  }
});

test('RFC 8446 §4.2.2: a cookie comes back as it was', () => {
  const { client, clock } = pair({ client: { shares: 1 } });
  const first = client.sent.shift()!.bytes;
  const retry = retryRequest('002c000600040102030400330002001d002b00020304');
  deliver(client, INITIAL, retry, clock);
  assert.equal(client.fault, null);
  const second = client.sent.shift()!.bytes;
  const found = new Map(extensionsOf(second));
  assert.equal(found.get(44)!.toString('hex'), '000401020304');
  assert.equal(found.get(51)!.readUInt16BE(2), 0x1d);
  // All else is as it was (§4.1.2).
  const without = (bytes: Buffer) => changed(changed(bytes, 44, null), 51, null).toString('hex');
  assert.equal(without(second), without(first));
  deliver(client, INITIAL, retry, clock);
  assert.equal(client.fault, faults.retryAgain);
});

function retryRequest(extensions: string): Buffer {
  const random = 'cf21ad74e59a6111be1d8c021e65b891c2a211167abb8c5e079e09e2c8a8339c';
  const size = (extensions.length / 2).toString(16).padStart(4, '0');
  return message(2, Buffer.from(`0303${random}00130100${size}${extensions}`, 'hex'));
}

test('RFC 8446 §4.1.4: a HelloRetryRequest that asks for nothing new, or for what was not offered', () => {
  const heard = (extensions: string) => {
    const { client, clock } = pair({ client: { groups: GROUPS.slice(0, 3) } });
    deliver(client, INITIAL, retryRequest(extensions), clock);
    return client.fault;
  };
  assert.equal(heard('002b00020304'), faults.retryIdle);
  assert.equal(heard('00330002001d002b00020304'), faults.retryIdle);
  assert.equal(heard('003300020018002b00020304'), faults.group);
  assert.equal(heard('003300020017'), faults.version);
  assert.equal(heard('003300020017002b000203040029000000'), faults.malformed);
  assert.equal(heard('003300020017002b0002030400290002 0000'.replace(' ', '')), faults.notOffered);
  assert.equal(heard('003300020017002b00020304002c00020000'), faults.malformed);
});

test('RFC 8446 §4.1.2: the second hello is the first with what was asked for, and nothing else', () => {
  const asked = () => {
    const both = pair({ client: { shares: 1 }, server: { groups: [GROUPS[2]!] } });
    deliver(both.server, INITIAL, both.client.sent.shift()!.bytes, both.clock);
    deliver(both.client, INITIAL, both.server.sent.shift()!.bytes, both.clock);
    return { ...both, second: both.client.sent.shift()!.bytes };
  };
  const heard = (change: (second: Buffer) => Buffer) => {
    const { server, second, clock } = asked();
    deliver(server, INITIAL, change(second), clock);
    return server.fault;
  };
  assert.equal(
    heard((second) => second),
    null,
  );
  assert.equal(
    heard((second) => changed(second, 51, '0000')),
    faults.retryIgnored,
  );
  assert.equal(
    heard((second) => changed(second, 51, `0024001d0020${'09'.repeat(32)}`)),
    faults.retryIgnored,
  );
  assert.equal(
    heard((second) => {
      const other = Buffer.from(second);
      other[10]! ^= 1;
      return other;
    }),
    faults.retryIgnored,
  );
  assert.equal(
    heard((second) => changed(second, 57, '0104800000020f0403010203')),
    faults.retryIgnored,
  );
});
