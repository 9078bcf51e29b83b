// The resolver over a simulated internet: right answers by way of good and bad servers, and none that somebody else would have it give.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TYPE } from '../../formats/dns/records.ts';
import { PLAIN_NSEC3 } from '../../formats/dnssec/nsec.ts';
import { SIGNING_POLICY } from '../../resources/names/zone-signer.ts';
import { seedOf } from '../../sim/random.ts';
import { BOGUS, INSECURE, SECURE } from './cache.ts';
import type { ResolverSettings } from './resolver.ts';
import { BlockList } from './resolver-blocks.ts';
import {
  a,
  addressesOf,
  nameOf,
  SimulatedInternet,
  type SimulatedServer,
  SimulatedZone,
} from './testing/simulated-servers.ts';
import { EDE, RCODE } from './wire.ts';

const SEED = seedOf(process.env.PORTICO_SEED);

interface House {
  readonly net: SimulatedInternet;
  readonly root: SimulatedZone;
  readonly tld: SimulatedZone;
  readonly leaf: SimulatedZone;
  readonly plain: SimulatedZone;
  readonly rootServer: SimulatedServer;
  readonly tldServer: SimulatedServer;
  readonly leafServer: SimulatedServer;
  readonly plainServer: SimulatedServer;
}

/** A root, `test`, a signed `leaf.test` and an unsigned `plain.test`, each on its own server. */
function house(
  options: {
    readonly nsec3?: boolean;
    readonly settings?: Partial<ResolverSettings>;
    readonly limits?: Readonly<Record<string, number>>;
    readonly change?: (zones: {
      root: SimulatedZone;
      tld: SimulatedZone;
      leaf: SimulatedZone;
      plain: SimulatedZone;
    }) => void;
    readonly loss?: number;
    readonly anchored?: boolean;
  } = {},
): House {
  const net = new SimulatedInternet(SEED, { latencyMs: 5, loss: options.loss ?? 0 });
  const policy = options.nsec3 === true ? { ...SIGNING_POLICY, nsec3: PLAIN_NSEC3 } : SIGNING_POLICY;
  const root = new SimulatedZone('', true, policy);
  const tld = new SimulatedZone('test', true, policy);
  const leaf = new SimulatedZone('leaf.test', true, policy);
  const plain = new SimulatedZone('plain.test', false);
  root.put('', TYPE.NS, nameOf('ns.root-servers.test'));
  root.delegate(tld, 'ns.nic.test', '10.0.1.1');
  tld.put('test', TYPE.NS, nameOf('ns.nic.test')).put('ns.nic.test', TYPE.A, a('10.0.1.1'));
  tld.delegate(leaf, 'ns.leaf.test', '10.0.2.1').delegate(plain, 'ns.plain.test', '10.0.3.1');
  leaf.put('leaf.test', TYPE.NS, nameOf('ns.leaf.test')).put('ns.leaf.test', TYPE.A, a('10.0.2.1'));
  leaf.put('www.leaf.test', TYPE.A, a('192.0.2.1')).put('alias.leaf.test', TYPE.CNAME, nameOf('www.plain.test'));
  leaf.put('*.wild.leaf.test', TYPE.A, a('192.0.2.9')).put('old.leaf.test', TYPE.DNAME, nameOf('plain.test'));
  leaf.put('a.b.c.leaf.test', TYPE.A, a('192.0.2.5'));
  plain.put('plain.test', TYPE.NS, nameOf('ns.plain.test')).put('ns.plain.test', TYPE.A, a('10.0.3.1'));
  plain.put('www.plain.test', TYPE.A, a('192.0.2.2'));
  options.change?.({ root, tld, leaf, plain });
  for (const zone of [root, tld, leaf, plain]) zone.sign(net.seconds);
  const rootServer = net.server('10.0.0.53', root);
  const tldServer = net.server('10.0.1.1', tld);
  const leafServer = net.server('10.0.2.1', leaf);
  const plainServer = net.server('10.0.3.1', plain);
  const anchors = options.anchored === false ? [] : [{ zone: nameOf(''), signers: [], keys: [root.key!.data] }];
  net.resolve(
    { roots: [{ name: nameOf('ns.root-servers.test'), addresses: ['10.0.0.53'] }], anchors, ...options.settings },
    options.limits,
  );
  return { net, root, tld, leaf, plain, rootServer, tldServer, leafServer, plainServer };
}

for (const nsec3 of [false, true]) {
  const kind = nsec3 ? 'NSEC3' : 'NSEC';
  test(`a signed name, its denial, wildcard and alias are found and proved from the root (${kind}, seed ${SEED})`, () => {
    const { net } = house({ nsec3 });
    const found = net.ask('www.leaf.test');
    assert.deepEqual(addressesOf(found), ['192.0.2.1']);
    assert.equal(found.security, SECURE);
    assert.equal(found.cached, false);
    assert.equal(net.ask('WWW.leaf.TEST').cached, true);
    const absent = net.ask('nothing.leaf.test');
    assert.deepEqual([absent.rcode, absent.security], [RCODE.NXDOMAIN, SECURE]);
    const typeless = net.ask('www.leaf.test', TYPE.MX);
    assert.deepEqual([typeless.rcode, typeless.security, typeless.steps.at(-1)!.kind], [0, SECURE, 'nodata']);
    const wild = net.ask('x.wild.leaf.test');
    assert.deepEqual([addressesOf(wild), wild.security], [['192.0.2.9'], SECURE]);
    assert.equal(net.ask('y.wild.leaf.test', TYPE.MX).security, SECURE);
    assert.equal(net.ask('b.c.leaf.test').steps.at(-1)!.kind, 'nodata', 'an empty non-terminal');
    const alias = net.ask('alias.leaf.test');
    assert.deepEqual([addressesOf(alias), alias.steps.length], [['192.0.2.2'], 2]);
    assert.equal(alias.security, INSECURE, 'the end of the alias is not signed, with proof');
    const renamed = net.ask('www.old.leaf.test');
    assert.deepEqual(addressesOf(renamed), ['192.0.2.2']);
    assert.equal(net.ask('www.plain.test').security, INSECURE);
    assert.deepEqual(net.world.bugs, []);
  });
}

test('each server is shown no more of a name than it must see (RFC 9156)', () => {
  const { net, rootServer, tldServer, leafServer } = house({ anchored: false });
  net.ask('a.b.c.leaf.test', TYPE.TXT);
  assert.deepEqual(rootServer.asked, ['test 1']);
  assert.deepEqual(tldServer.asked, ['leaf.test 1']);
  assert.deepEqual(leafServer.asked, ['c.leaf.test 1', 'b.c.leaf.test 1', 'a.b.c.leaf.test 16']);
  const straight = house({ anchored: false, settings: { minimises: false } });
  straight.net.ask('a.b.c.leaf.test', TYPE.TXT);
  assert.deepEqual(straight.rootServer.asked, ['a.b.c.leaf.test 16']);
});

test('what is denied once is denied again from the same proof, without asking (RFC 8198)', () => {
  for (const nsec3 of [false, true]) {
    const { net, leafServer } = house({ nsec3 });
    for (let index = 0; index < 40; index++) net.ask(`zz${index}.leaf.test`);
    const before = leafServer.asked.length;
    for (let index = 100; index < 200; index++) {
      const answer = net.ask(`zz${index}.leaf.test`);
      assert.deepEqual([answer.rcode, answer.security], [RCODE.NXDOMAIN, SECURE]);
    }
    const asked = leafServer.asked.length - before;
    assert.ok(asked <= 6, `${asked} of 100 random names were asked for`);
    assert.deepEqual(addressesOf(net.ask('www.leaf.test')), ['192.0.2.1'], 'and what is there is found');
  }
});

test('wrong signatures, missing ones and wrong keys are bogus: no answer, but for who judges himself', () => {
  const breaks: readonly [string, (house: House) => void, number][] = [
    [
      'other data',
      ({ leafServer }) => {
        leafServer.manners.data = (name, type) =>
          type === TYPE.A ? [{ name, type, ttl: 300, data: [a('6.6.6.6')] }] : null;
      },
      EDE.BOGUS,
    ],
    [
      'no signatures',
      ({ leaf }) => {
        leaf.signer = null;
      },
      EDE.DNSKEY_MISSING,
    ],
    [
      'another key',
      ({ leaf, net }) => {
        const other = new SimulatedZone('leaf.test', true);
        for (const set of leaf.map.all()) other.map.put(set);
        leaf.signer = other.sign(net.seconds).signer;
      },
      EDE.DNSKEY_MISSING,
    ],
    [
      'old signatures',
      ({ leaf, net }) => {
        leaf.sign(net.seconds - 40 * 86_400);
      },
      EDE.EXPIRED,
    ],
  ];
  for (const [what, wreck, ede] of breaks) {
    const all = house();
    wreck(all);
    const answer = all.net.ask('www.leaf.test');
    assert.deepEqual([answer.rcode, answer.ede], [RCODE.SERVFAIL, ede], what);
    assert.equal(answer.security, BOGUS);
    const own = all.net.ask('www.leaf.test', TYPE.A, true);
    assert.equal(own.rcode, RCODE.NOERROR, `${what}, with CD`);
    assert.equal(addressesOf(own).length, 1);
    assert.deepEqual(addressesOf(all.net.ask('www.plain.test')), ['192.0.2.2'], 'others are not touched');
  }
});

test('a server that tells wrong is left for one that tells right', () => {
  const all = house({
    change: ({ tld }) => {
      tld.put('leaf.test', TYPE.NS, nameOf('ns.leaf.test'), nameOf('bad.leaf.test'));
      tld.put('bad.leaf.test', TYPE.A, a('10.0.2.2'));
    },
  });
  const bad = all.net.server('10.0.2.2', all.leaf);
  bad.manners.data = (name, type) => (type === TYPE.A ? [{ name, type, ttl: 300, data: [a('6.6.6.6')] }] : null);
  for (const name of ['www.leaf.test', 'x.wild.leaf.test', 'a.b.c.leaf.test'])
    assert.equal(all.net.ask(name).security, SECURE, name);
});

test('bad manners of servers: lost packets, streams only, no EDNS, other case, refusals, cookies', () => {
  const manners: readonly [string, Partial<SimulatedServer['manners']>][] = [
    ['truncates', { truncates: true }],
    ['no EDNS', { noEdns: true }],
    ['other case', { changesCase: true }],
    ['cookies', { cookies: true }],
  ];
  for (const [what, own] of manners) {
    const { net, plainServer } = house();
    Object.assign(plainServer.manners, own);
    assert.deepEqual(addressesOf(net.ask('www.plain.test')), ['192.0.2.2'], what);
    net.ask('other.plain.test');
  }
  for (let round = 0; round < 5; round++) {
    const { net } = house({ loss: 0.2 });
    assert.deepEqual(addressesOf(net.ask('www.leaf.test')), ['192.0.2.1'], `loss, seed ${SEED}`);
  }
  const refusing = house();
  refusing.plainServer.manners.refuses = true;
  const answer = refusing.net.ask('www.plain.test');
  assert.deepEqual([answer.rcode, answer.ede], [RCODE.SERVFAIL, EDE.NO_REACHABLE_AUTHORITY]);
  const count = refusing.plainServer.asked.length;
  refusing.net.ask('www.plain.test');
  assert.equal(refusing.plainServer.asked.length, count, 'a failure is remembered for a while (RFC 9520)');
});

test('a server that keeps no case is believed over a stream, and asked without it from then on', () => {
  const { net, plainServer } = house({ anchored: false });
  plainServer.manners.changesCase = true;
  net.ask('www.plain.test');
  const { suspicious } = net.resolver.counters;
  assert.ok(suspicious >= 1);
  net.ask('second.plain.test');
  assert.equal(net.resolver.counters.suspicious, suspicious);
});

test('records that a server may not speak of are not believed (RFC 2181 §5.4.1)', () => {
  const { net, plainServer } = house({ anchored: false });
  plainServer.manners.forge = ({ out, query }) => {
    const name = query.qname.copy();
    out.record(6, name, 0, TYPE.A, 1, 300, a('192.0.2.2'), 0, 4);
    // Records of others in every section: an address of the bank, a delegation of everything, glue for the root.
    const bank = nameOf('www.leaf.test');
    out.record(6, bank, 0, TYPE.A, 1, 86_400, a('6.6.6.6'), 0, 4);
    const evil = nameOf('ns.plain.test');
    out.record(8, nameOf('test'), 0, TYPE.NS, 1, 86_400, evil, 0, evil.length);
    out.record(8, nameOf(''), 0, TYPE.NS, 1, 86_400, evil, 0, evil.length);
    out.record(10, nameOf('ns.leaf.test'), 0, TYPE.A, 1, 86_400, a('10.0.3.1'), 0, 4);
    out.record(10, nameOf('ns.nic.test'), 0, TYPE.A, 1, 86_400, a('10.0.3.1'), 0, 4);
    return true;
  };
  assert.deepEqual(addressesOf(net.ask('www.plain.test')), ['192.0.2.2']);
  assert.deepEqual(addressesOf(net.ask('www.leaf.test')), ['192.0.2.1']);
  net.world.pass(400_000);
  assert.deepEqual(addressesOf(net.ask('www.leaf.test')), ['192.0.2.1']);
});

test('who cannot see the question does not guess the answer: ports, ids, case (RFC 5452)', () => {
  const { net } = house({ anchored: false });
  // The attacker knows when and what is asked, and answers first, from the right address, with ids and ports of his choice.
  let packets = 0;
  net.onQuery.push((from, to, query) => {
    if (to.host !== '10.0.3.1') return;
    const forged = Buffer.concat([query, Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 1, 0, 0, 0, 4, 6, 6, 6, 6])]);
    forged.writeUInt16BE(0x8400, 2);
    forged.writeUInt16BE(1, 6);
    forged.writeUInt16BE(0, 10);
    const short = Buffer.concat([forged.subarray(0, query.length - 23), forged.subarray(query.length)]);
    for (let guess = 0; guess < 400; guess++) {
      const copy = Buffer.from(short);
      copy.writeUInt16BE(net.world.random.below(65_536), 0);
      // Half of the packets even go to the right port.
      const port = guess % 2 === 0 ? from.port : 1_024 + net.world.random.below(64_000);
      net.network.carry({ host: '10.0.3.1', port: 53 }, { host: from.host, port }, copy);
      packets++;
    }
  });
  for (let round = 0; round < 20; round++) {
    const answer = net.ask(`www${round === 0 ? '' : round}.plain.test`);
    assert.ok(!addressesOf(answer).includes('6.6.6.6'), `poisoned, seed ${SEED}`);
  }
  assert.ok(packets >= 8_000);
  assert.ok(net.resolver.counters.suspicious > 0, 'streams were taken once guesses came');
});

test('a delegation to names that must be looked up first costs little (NXNS)', () => {
  const targets = 60;
  const { net, tldServer, plainServer } = house({
    anchored: false,
    change: ({ plain }) => {
      for (let child = 0; child < 5; child++) {
        const names = Array.from({ length: targets }, (_, index) => nameOf(`n${child}-${index}.leaf.test`));
        plain.put(`evil${child}.plain.test`, TYPE.NS, ...names);
      }
    },
  });
  net.ask('www.plain.test');
  net.ask('www.leaf.test');
  const before = net.resolver.counters.asks;
  for (let child = 0; child < 5; child++) assert.equal(net.ask(`x.evil${child}.plain.test`).rcode, RCODE.SERVFAIL);
  const each = (net.resolver.counters.asks - before) / 5;
  assert.ok(each <= 12, `${each} queries for one question`);
  assert.ok(tldServer.asked.length < 20 && plainServer.asked.length < 30);
});

test('zones whose servers are named in one another are given up, not waited for', () => {
  const { net } = house({
    anchored: false,
    change: ({ tld }) => {
      tld.put('one.test', TYPE.NS, nameOf('ns.two.test')).put('two.test', TYPE.NS, nameOf('ns.one.test'));
    },
  });
  assert.equal(net.ask('www.one.test').rcode, RCODE.SERVFAIL);
  assert.equal(net.resolver.pending, 0);
});

test('keys with one tag and signatures without number are checked only so many times (CVE-2023-50387)', () => {
  const { net, leafServer } = house({ limits: { signaturesPerQuestion: 30 } });
  leafServer.manners.data = (name, type) => {
    if (type !== TYPE.A) return null;
    const signatures = Array.from({ length: 200 }, (_, index) => {
      const data = Buffer.alloc(18 + 11 + 64, index);
      Buffer.from([0, 1, 15, 3, 0, 0, 1, 44, 0xff, 0, 0, 0, 0, 0, 0, 1]).copy(data);
      nameOf('leaf.test').copy(data, 18);
      data.writeUInt32BE(net.seconds + 1_000, 8);
      data.writeUInt16BE(leafServer.zones[0]!.key!.tag, 16);
      return data;
    });
    return [
      { name, type, ttl: 300, data: [a('6.6.6.6')] },
      { name, type: TYPE.RRSIG, ttl: 300, data: signatures },
    ];
  };
  assert.equal(net.ask('www.leaf.test').rcode, RCODE.SERVFAIL);
});

test('equal questions are one; each client has its share; strange names do not fill memory', () => {
  const { net, plainServer } = house({ limits: { questionsPerClient: 50, cacheBytes: 65_536, questions: 2_000 } });
  net.ask('www.plain.test');
  const before = plainServer.asked.length;
  let answers = 0;
  for (let index = 0; index < 40; index++) net.begin('same.plain.test', () => answers++);
  net.world.pass(1_000);
  assert.equal(answers, 40);
  assert.equal(plainServer.asked.length - before, 1);
  const rcodes = new Map<number, number>();
  for (let index = 0; index < 1_000; index++)
    net.begin(`r${index}.plain.test`, ({ rcode }) => rcodes.set(rcode, (rcodes.get(rcode) ?? 0) + 1), 'flooder');
  assert.equal(rcodes.get(RCODE.SERVFAIL), 950, 'beyond its share it is told at once');
  let other = -1;
  net.begin('innocent.plain.test', ({ rcode }) => (other = rcode), 'another');
  net.world.pass(30_000);
  assert.equal(other, RCODE.NXDOMAIN);
  for (let index = 0; index < 3_000; index++) net.ask(`f${index}.plain.test`);
  assert.ok(net.resolver.cache.bytes <= 65_536);
  assert.ok(net.resolver.cache.evicted > 1_000);
  assert.equal(net.resolver.pending, 0);
});

test('a denial lives as long as its SOA says (RFC 2308 §5); what is there, as long as its TTL', () => {
  const { net, plainServer } = house({ anchored: false });
  net.ask('nothing.plain.test');
  net.ask('www.plain.test');
  const count = plainServer.asked.length;
  net.world.pass(299_000);
  assert.equal(net.ask('nothing.plain.test').cached, true);
  net.world.pass(2_000);
  assert.equal(net.ask('nothing.plain.test').cached, false);
  assert.equal(net.ask('www.plain.test').cached, false);
  assert.ok(plainServer.asked.length > count);
});

test('what is asked for near its end is fetched anew before it ends', () => {
  const { net, plainServer } = house({ anchored: false });
  net.ask('www.plain.test');
  const count = plainServer.asked.length;
  net.world.pass(280_000);
  assert.equal(net.ask('www.plain.test').cached, true);
  net.world.pass(30_000);
  assert.equal(plainServer.asked.length, count + 1);
  assert.equal(net.ask('www.plain.test').cached, true, 'it never ran out');
});

test('when nobody answers any more, what was known is said again, marked (RFC 8767)', () => {
  const { net, plainServer, tldServer } = house({ anchored: false });
  net.ask('www.plain.test');
  net.ask('nothing.plain.test');
  plainServer.manners.silent = tldServer.manners.silent = true;
  net.world.pass(400_000);
  const began = net.world.now();
  const answer = net.ask('www.plain.test');
  assert.deepEqual([addressesOf(answer), answer.stale, answer.ede], [['192.0.2.2'], true, EDE.STALE]);
  assert.equal(answer.steps[0]!.ttl, 30);
  assert.ok(net.world.now() - began <= 1_900);
  const gone = net.ask('nothing.plain.test');
  assert.deepEqual([gone.rcode, gone.ede], [RCODE.NXDOMAIN, EDE.STALE_NXDOMAIN]);
  net.world.pass(90_000_000);
  assert.equal(net.ask('www.plain.test').rcode, RCODE.SERVFAIL, 'but not after a day');
});

test('forwarders are asked for all or for some zones, and judged like others', () => {
  const upstream = house();
  const net = upstream.net;
  // A recursive server in front of the house: it answers from the zones themselves.
  const forwarder = net.server('10.0.9.9', upstream.leaf, upstream.tld, upstream.root);
  const to = [{ host: '10.0.9.9', port: 53, carrier: 'udp' as const }];
  net.resolve({
    roots: [{ name: nameOf('ns.root-servers.test'), addresses: ['10.0.0.53'] }],
    forward: [{ zone: nameOf('leaf.test'), to }],
    anchors: [{ zone: nameOf(''), signers: [], keys: [upstream.root.key!.data] }],
  });
  const before = upstream.leafServer.asked.length;
  assert.equal(net.ask('www.leaf.test').security, SECURE);
  assert.ok(forwarder.asked.includes('www.leaf.test 1'));
  assert.equal(upstream.leafServer.asked.length, before);
});

test('blocked names are not asked for, nor aliases that lead to them', () => {
  const blocks = new BlockList();
  assert.equal(
    blocks.add(
      '# ads\n0.0.0.0 www.plain.test tracker.leaf.test\n||ads.leaf.test^\n@@||good.ads.leaf.test^\nno name here\n',
    ),
    1,
  );
  assert.equal(blocks.size, 3);
  const { net } = house({ settings: { blocks } });
  const answer = net.ask('x.tracker.leaf.test');
  assert.deepEqual([answer.rcode, answer.ede], [RCODE.NXDOMAIN, EDE.BLOCKED]);
  assert.equal(net.ask('alias.leaf.test').ede, EDE.BLOCKED);
  assert.notEqual(net.ask('good.ads.leaf.test').ede, EDE.BLOCKED);
  const pointed = house({ settings: { blocks, blockedTo: [Buffer.from([0, 0, 0, 0])] } });
  assert.deepEqual(addressesOf(pointed.net.ask('www.plain.test')), ['0.0.0.0']);
});

test('names that only this machine can know are not asked for (RFC 6761)', () => {
  const { net, rootServer } = house();
  assert.deepEqual(addressesOf(net.ask('localhost')), ['127.0.0.1']);
  assert.deepEqual(addressesOf(net.ask('any.localhost')), ['127.0.0.1']);
  for (const name of ['printer.local', 'x.onion', '1.1.168.192.in-addr.arpa', 'x.invalid'])
    assert.equal(net.ask(name, TYPE.PTR).rcode, RCODE.NXDOMAIN, name);
  assert.deepEqual(rootServer.asked, []);
});

test('addresses that may not be asked are not, though a zone names them', () => {
  const { net, plainServer } = house({ settings: { mayAsk: (host) => host !== '10.0.3.1' } });
  assert.equal(net.ask('www.plain.test').rcode, RCODE.SERVFAIL);
  assert.deepEqual(plainServer.asked, []);
});

test('a signed zone on its parent’s own server, of which no referral tells, is judged by its own keys', () => {
  const all = house();
  const child = new SimulatedZone('sub.leaf.test', true).put('www.sub.leaf.test', TYPE.A, a('192.0.2.77'));
  const bare = new SimulatedZone('bare.leaf.test', false).put('www.bare.leaf.test', TYPE.A, a('192.0.2.78'));
  for (const zone of [child, bare])
    zone.put(zone === child ? 'sub.leaf.test' : 'bare.leaf.test', TYPE.NS, nameOf('ns.leaf.test'));
  all.leaf.delegate(child, 'ns.leaf.test', null).delegate(bare, 'ns.leaf.test', null);
  all.leaf.sign(all.net.seconds);
  child.sign(all.net.seconds);
  all.leafServer.zones.push(child, bare);
  assert.equal(all.net.ask('www.sub.leaf.test').security, SECURE);
  const answer = all.net.ask('www.bare.leaf.test');
  assert.deepEqual([addressesOf(answer), answer.security], [['192.0.2.78'], INSECURE]);
});
