import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { BUSY, OK } from '../../core/outcome.ts';
import { OPEN_PERMISSIONS } from '../../core/permissions.ts';
import { nameFrom, nameText } from '../../formats/dns/name.ts';
import { rdataText, TYPE, typeFrom, typeName } from '../../formats/dns/records.ts';
import type { Engine } from '../../storage/engine.ts';
import { MemoryEngine } from '../../storage/memory/engine.ts';
import { SqliteEngine } from '../../storage/sqlite/engine.ts';
import { ADDED, applyChanges, type Changes, difference, REMOVED } from './changes.ts';
import { APEX, ZoneContents } from './contents.ts';
import { type AnswerSink, Lookup, NOERROR, NXDOMAIN, YXDOMAIN } from './lookup.ts';
import { readMaster, writeMaster, zoneFromMaster } from './master-file.ts';
import type { NameEvent } from './names.ts';
import { isAmong, networkFrom } from './networks.ts';
import { contentsOf, openNames, ZoneFileError, type ZonePlan } from './open.ts';
import { address, change, HOST, ORIGIN, plan, SMALL, withFile } from './testing/zones.ts';
import { serialOf } from './zone.ts';

const ZONE = `
$TTL 300
@       SOA   ns1 host 1 3600 600 86400 120
        NS    ns1
        NS    ns.elsewhere.net.
ns1     A     192.0.2.53
        AAAA  2001:db8::53
www     A     192.0.2.1
        A     192.0.2.2
mail    A     192.0.2.25
@       MX    10 mail
alias   CNAME www
far     CNAME www.elsewhere.net.
loop1   CNAME loop2
loop2   CNAME loop1
nothing CNAME nowhere
a.b.c   TXT   "deep"
*.wild  TXT   "any"
sub.wild TXT  "one"
*.cwild CNAME www
child   NS    ns.child
        NS    ns1
ns.child A    192.0.2.99
        DS    1 13 2 00
old     DNAME new
x.new   A     192.0.2.7
_s._tcp SRV   1 2 80 www
svc     HTTPS 1 www alpn=h2
`;

function zone(text = ZONE, origin = ORIGIN): ZoneContents {
  const contents = new ZoneContents(origin);
  assert.equal(zoneFromMaster(text, origin, contents), null);
  return contents;
}

/** Records of each section as text, without TTLs. */
class Told implements AnswerSink {
  readonly sections: string[][] = [[], [], []];

  set(section: number, owner: Uint8Array, ownerAt: number, contents: ZoneContents, set: number, ttl: number): void {
    let record = contents.firstRecord(set);
    for (let left = contents.countOf(set); left > 0; left--) {
      const end = contents.recordEnd(record);
      const type = contents.typeOf(set);
      const text = rdataText(type, contents.arena, record, end);
      this.sections[section]!.push(
        `${nameText(owner, ownerAt)} ${typeName(type)} ${type === TYPE.SOA ? `${ttl}` : text}`,
      );
      record = end + 2;
    }
  }

  made(section: number, owner: Uint8Array, type: number, _ttl: number, data: Uint8Array): void {
    this.sections[section]!.push(`${nameText(owner)} ${typeName(type)} ${rdataText(type, data, 0, data.length)}`);
  }
}

function ask(contents: ZoneContents, name: string, type: string, whole = true) {
  const told = new Told();
  const lookup = new Lookup(contents, told);
  const rcode = lookup.answer(contents, told, nameFrom(name)!, 0, typeFrom(type), false, whole);
  return { rcode, referral: lookup.referral, sections: told.sections };
}

const SOA = ['example. SOA 120'];

const TABLE: readonly {
  readonly what: string;
  readonly ask: readonly [string, string];
  readonly rcode?: number;
  readonly referral?: boolean;
  readonly answer?: readonly string[];
  readonly authority?: readonly string[];
  readonly additional?: readonly string[];
}[] = [
  {
    what: 'an exact match (RFC 1034 §4.3.2 3a)',
    ask: ['www.example.', 'A'],
    answer: ['www.example. A 192.0.2.1', 'www.example. A 192.0.2.2'],
  },
  {
    what: 'in the case in which it was asked',
    ask: ['WWW.eXample.', 'A'],
    answer: ['WWW.eXample. A 192.0.2.1', 'WWW.eXample. A 192.0.2.2'],
  },
  {
    what: 'no such type (RFC 2308 §2.2), the TTL of the SOA its minimum',
    ask: ['www.example.', 'TXT'],
    authority: SOA,
  },
  { what: 'no such name (RFC 2308 §2.1)', ask: ['no.example.', 'A'], rcode: NXDOMAIN, authority: SOA },
  { what: 'a name with nothing but names below it (RFC 4592 §2.2.2)', ask: ['c.example.', 'A'], authority: SOA },
  { what: 'and one more', ask: ['b.c.example.', 'TXT'], authority: SOA },
  { what: 'below it nothing', ask: ['x.c.example.', 'TXT'], rcode: NXDOMAIN, authority: SOA },
  {
    what: 'an alias is followed (RFC 1034 §3.6.2)',
    ask: ['alias.example.', 'A'],
    answer: ['alias.example. CNAME www.example.', 'www.example. A 192.0.2.1', 'www.example. A 192.0.2.2'],
  },
  { what: 'an alias itself', ask: ['alias.example.', 'CNAME'], answer: ['alias.example. CNAME www.example.'] },
  {
    what: 'an alias that leads out of the zone',
    ask: ['far.example.', 'A'],
    answer: ['far.example. CNAME www.elsewhere.net.'],
  },
  {
    what: 'an alias that leads nowhere (RFC 6604 §3)',
    ask: ['nothing.example.', 'A'],
    rcode: NXDOMAIN,
    answer: ['nothing.example. CNAME nowhere.example.'],
    authority: SOA,
  },
  {
    what: 'an alias without that type',
    ask: ['alias.example.', 'TXT'],
    answer: ['alias.example. CNAME www.example.'],
    authority: SOA,
  },
  { what: 'a wildcard (RFC 4592 §3.3.1)', ask: ['foo.wild.example.', 'TXT'], answer: ['foo.wild.example. TXT "any"'] },
  {
    what: 'a wildcard covers more than one label',
    ask: ['a.b.wild.example.', 'TXT'],
    answer: ['a.b.wild.example. TXT "any"'],
  },
  { what: 'a wildcard without that type (RFC 4592 §2.2.1)', ask: ['foo.wild.example.', 'A'], authority: SOA },
  { what: 'a name that exists keeps a wildcard off', ask: ['sub.wild.example.', 'A'], authority: SOA },
  { what: 'also below it', ask: ['x.sub.wild.example.', 'TXT'], rcode: NXDOMAIN, authority: SOA },
  { what: 'the wildcard itself', ask: ['*.wild.example.', 'TXT'], answer: ['*.wild.example. TXT "any"'] },
  {
    what: 'an alias out of a wildcard',
    ask: ['q.cwild.example.', 'AAAA'],
    answer: ['q.cwild.example. CNAME www.example.'],
    authority: SOA,
  },
  {
    what: 'a referral with glue (RFC 1034 §4.3.2 3b)',
    ask: ['x.y.child.example.', 'A'],
    referral: true,
    authority: ['child.example. NS ns.child.example.', 'child.example. NS ns1.example.'],
    additional: ['ns.child.example. A 192.0.2.99', 'ns1.example. A 192.0.2.53', 'ns1.example. AAAA 2001:db8::53'],
  },
  {
    what: 'a referral at the cut',
    ask: ['child.example.', 'NS'],
    referral: true,
    authority: ['child.example. NS ns.child.example.', 'child.example. NS ns1.example.'],
    additional: ['ns.child.example. A 192.0.2.99', 'ns1.example. A 192.0.2.53', 'ns1.example. AAAA 2001:db8::53'],
  },
  {
    what: 'glue is no answer',
    ask: ['ns.child.example.', 'A'],
    referral: true,
    authority: ['child.example. NS ns.child.example.', 'child.example. NS ns1.example.'],
    additional: ['ns.child.example. A 192.0.2.99', 'ns1.example. A 192.0.2.53', 'ns1.example. AAAA 2001:db8::53'],
  },
  { what: 'DS is the zone above’s own (RFC 4035 §3.1.4.1)', ask: ['child.example.', 'DS'], authority: SOA },
  {
    what: 'below a DNAME (RFC 6672 §3.2)',
    ask: ['x.old.example.', 'A'],
    answer: ['old.example. DNAME new.example.', 'x.old.example. CNAME x.new.example.', 'x.new.example. A 192.0.2.7'],
  },
  { what: 'at a DNAME (RFC 6672 §2.3)', ask: ['old.example.', 'A'], authority: SOA },
  {
    what: 'servers of a service are added (RFC 2782)',
    ask: ['_s._tcp.example.', 'SRV'],
    answer: ['_s._tcp.example. SRV 1 2 80 www.example.'],
    additional: ['www.example. A 192.0.2.1', 'www.example. A 192.0.2.2'],
  },
  {
    what: 'exchangers too (RFC 1035 §3.3.9)',
    ask: ['example.', 'MX'],
    answer: ['example. MX 10 mail.example.'],
    additional: ['mail.example. A 192.0.2.25'],
  },
  {
    what: 'and HTTPS (RFC 9460 §4.2)',
    ask: ['svc.example.', 'HTTPS'],
    answer: ['svc.example. HTTPS 1 www.example. alpn="h2"'],
    additional: ['www.example. A 192.0.2.1', 'www.example. A 192.0.2.2'],
  },
  { what: 'a type that nobody knows', ask: ['www.example.', 'TYPE65280'], authority: SOA },
];

test('what a zone answers, by clause', async (context) => {
  const contents = zone();
  for (const row of TABLE) {
    await context.test(row.what, () => {
      const found = ask(contents, ...row.ask);
      assert.equal(found.rcode, row.rcode ?? NOERROR);
      assert.equal(found.referral, row.referral ?? false);
      assert.deepEqual(found.sections, [row.answer ?? [], row.authority ?? [], row.additional ?? []]);
    });
  }
});

test('a DNAME that would make a name too long says so (RFC 6672 §2.2)', () => {
  const contents = zone(`@ 1 SOA a b 1 1 1 1 1\n@ 1 NS a\nd 1 DNAME ${'t'.repeat(63)}.${'u'.repeat(63)}.long\n`);
  const name = `${'x'.repeat(63)}.${'y'.repeat(63)}.d.example.`;
  assert.equal(ask(contents, name, 'A').rcode, YXDOMAIN);
});

test('aliases in a circle end', () => {
  const { rcode, sections } = ask(zone(), 'loop1.example.', 'A');
  assert.equal(rcode, NOERROR);
  assert.ok(sections[0]!.length >= 2 && sections[0]!.length < 40);
});

test('ANY is answered with one set over UDP (RFC 8482 §4.1), with all over a stream', () => {
  assert.equal(ask(zone(), 'example.', 'ANY', false).sections[0]!.length, 1);
  assert.equal(ask(zone(), 'example.', 'ANY', true).sections[0]!.length, 4);
});

test('what is removed is not there, and what it alone kept in being neither (RFC 4592 §2.2.2)', () => {
  const contents = zone();
  const deep = nameFrom('a.b.c.example.')!;
  assert.ok(contents.remove(deep, 0, TYPE.TXT, Uint8Array.of(4, 0x64, 0x65, 0x65, 0x70), 0, 5));
  for (const name of ['a.b.c.example.', 'b.c.example.', 'c.example.'])
    assert.equal(ask(contents, name, 'A').rcode, NXDOMAIN);
  assert.ok(!contents.remove(deep, 0, TYPE.TXT, Uint8Array.of(4, 0x64, 0x65, 0x65, 0x70), 0, 5));
});

// ---- master files ----------------------------------------------------------------------------------------------------

function lines(text: string, origin = ORIGIN): string[] | string {
  const found: string[] = [];
  const wrong = readMaster(text, {
    origin,
    include: (path) => (path === 'more' ? { text: 'inc A 192.0.2.8\n$ORIGIN sub\nq A 192.0.2.9' } : 'no'),
    record: (owner, type, ttl, data, end) => {
      found.push(`${nameText(owner)} ${ttl} ${typeName(type)} ${rdataText(type, data, 0, end)}`);
      return null;
    },
  });
  return wrong === null ? found : `${wrong.line}: ${wrong.text}`;
}

test('master files: origins, TTLs, owners that are left out, brackets, comments (RFC 1035 §5.1, RFC 2308 §4)', () => {
  assert.deepEqual(lines('$TTL 1h\na A 192.0.2.1 ; one\n  A 192.0.2.2\n\nb IN 5 A 192.0.2.3\nc 6 IN A 192.0.2.4'), [
    'a.example. 3600 A 192.0.2.1',
    'a.example. 3600 A 192.0.2.2',
    'b.example. 5 A 192.0.2.3',
    'c.example. 6 A 192.0.2.4',
  ]);
  assert.deepEqual(lines('@ 5 SOA ns host ( 1 ; serial\n 2\n 3 4 5 )\nwww A 192.0.2.1'), [
    'example. 5 SOA ns.example. host.example. 1 2 3 4 5',
    'www.example. 5 A 192.0.2.1',
  ]);
  // Without any TTL, that of the SOA's minimum.
  assert.deepEqual(lines('@ SOA ns host 1 2 3 4 77\n'), ['example. 77 SOA ns.example. host.example. 1 2 3 4 77']);
  assert.deepEqual(lines('$ORIGIN other.\n$TTL 1\na\\.b TXT "x;y(" "\\"" c\\;d\n'), [
    'a\\.b.other. 1 TXT "x;y(" "\\"" "c;d"',
  ]);
  assert.deepEqual(lines('$TTL 1\nx A 192.0.2.1\n$INCLUDE more in.example.\n A 192.0.2.2'), [
    'x.example. 1 A 192.0.2.1',
    'inc.in.example. 1 A 192.0.2.8',
    'q.sub.in.example. 1 A 192.0.2.9',
    'x.example. 1 A 192.0.2.2',
  ]);
  assert.deepEqual(lines('$TTL 1\r\na TYPE731 \\# 6 abcdef 012345\r\n'), ['a.example. 1 TYPE731 \\# 6 ABCDEF012345']);
});

test('master files that are wrong are refused with the line', () => {
  const wrong: readonly (readonly [string, RegExp])[] = [
    ['a A 192.0.2.1', /1: .*no TTL/],
    ['$TTL 1\n\na A 300.1.1.1', /3: A: /],
    ['  A 192.0.2.1', /1: the first record has no name/],
    ['a 1 FOO x', /FOO is neither/],
    ['a 1 CH A 192.0.2.1', /class/],
    ['a 1 TXT "open\nb', /1: a quotation/],
    ['a 1 SOA a b ( 1 2 3 4', /1: a \( has no \)/],
    ['$FOO x', /\$FOO is not known/],
    ['$INCLUDE /etc/passwd', /\$INCLUDE \/etc\/passwd: no/],
    ['a 1 ANY x', /not a type of records/],
    ['a..b 1 A 192.0.2.1', /not a name/],
  ];
  for (const [text, expected] of wrong) assert.match(String(lines(text)), expected, text);
});

test('what is no zone is refused', () => {
  const problem = (text: string) => zoneFromMaster(text, ORIGIN, new ZoneContents(ORIGIN))?.text ?? '';
  const soa = '@ 1 SOA a b 1 1 1 1 1\n';
  assert.match(problem('@ 1 NS a'), /no SOA/);
  assert.match(problem(soa), /no NS/);
  assert.match(problem(`${soa}@ 1 SOA a b 2 1 1 1 1\n@ 1 NS a`), /more than one SOA/);
  assert.match(problem(`${soa}@ 1 NS a\nx 1 CNAME a\nx 1 A 192.0.2.1`), /RFC 1034 §3\.6\.2/);
  assert.match(problem(`${soa}@ 1 NS a\nx 1 CNAME a\nx 1 CNAME b`), /RFC 2181 §10\.1/);
  assert.match(problem(`${soa}@ 1 NS a\nx.other. 1 A 192.0.2.1`), /not in the zone/);
});

test('a zone that is written is read as it was', () => {
  const contents = zone();
  const text = [...writeMaster(contents)].join('');
  const again = zone(text);
  assert.equal(difference(contents, again).count, 0);
  assert.equal(serialOf(again), serialOf(contents));
  assert.equal(again.records, contents.records);
});

// ---- properties ------------------------------------------------------------------------------------------------------

const LABELS = ['a', 'b', 'C', '*', 'x'];
const record = fc.record({
  name: fc.array(fc.constantFrom(...LABELS), { maxLength: 3 }).map((parts) => [...parts, 'example.'].join('.')),
  type: fc.constantFrom(TYPE.A, TYPE.TXT, TYPE.NS),
  value: fc.nat(5),
});

function dataOf(type: number, value: number): Uint8Array {
  if (type === TYPE.A) return Uint8Array.of(192, 0, 2, value);
  if (type === TYPE.TXT) return Uint8Array.of(1, 0x41 + value);
  return nameFrom(`n${value}.example.`)!;
}

test('contents are what a plain list of records would be, whatever comes and goes', () => {
  const step = fc.record({ add: fc.boolean(), record });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      let contents = new ZoneContents(ORIGIN);
      const model = new Map<string, { name: string; type: number; value: number }>();
      for (const { add, record: each } of steps) {
        const key = `${each.name.toLowerCase()} ${each.type} ${each.value}`;
        const name = nameFrom(each.name)!;
        const data = dataOf(each.type, each.value);
        if (add) assert.equal(contents.add(name, 0, each.type, 60, data, 0, data.length), !model.has(key));
        else assert.equal(contents.remove(name, 0, each.type, data, 0, data.length), model.has(key));
        if (add) model.set(key, each);
        else model.delete(key);
      }
      for (let round = 0; round < 2; round++) {
        assert.equal(contents.records, model.size);
        let seen = 0;
        contents.each((name, type, _ttl, at, end) => {
          const value = rdataText(type, contents.arena, at, end);
          seen++;
          const found = [...model.values()].some(
            (each) =>
              each.type === type &&
              each.name.toLowerCase() === nameText(contents.arena, name).toLowerCase() &&
              rdataText(type, dataOf(type, each.value), 0, dataOf(type, each.value).length) === value,
          );
          assert.ok(found);
        });
        assert.equal(seen, model.size);
        // A name exists when something stands at it or below it.
        for (const { name } of model.values()) {
          for (let at = name; at.length > 'example.'.length; at = at.slice(at.indexOf('.') + 1))
            assert.notEqual(contents.find(nameFrom(at)!, 0), 0);
        }
        assert.equal([...contents.order()].length, contents.live);
        contents = contents.compacted();
      }
    }),
    { numRuns: 300 },
  );
});

test('the difference of two states leads from one to the other', () => {
  const state = fc.array(record, { maxLength: 40 });
  fc.assert(
    fc.property(state, state, (one, other) => {
      const [from, to] = [one, other].map((records) => {
        const contents = new ZoneContents(ORIGIN);
        for (const { name, type, value } of records) {
          const data = dataOf(type, value);
          contents.add(nameFrom(name)!, 0, type, 60, data, 0, data.length);
        }
        return contents;
      });
      const copy = from!.clone();
      applyChanges(copy, difference(from!, to!).take());
      assert.equal(difference(copy, to!).count, 0);
      assert.equal(copy.records, to!.records);
    }),
    { numRuns: 300 },
  );
});

test('networks hold their addresses', () => {
  const networks = ['10.0.0.0/8', '2001:db8::/33', '192.0.2.7'].map((text) => networkFrom(text)!);
  for (const host of ['10.1.2.3', '::ffff:10.9.9.9', '2001:db8:7fff::1', '192.0.2.7'])
    assert.ok(isAmong(host, networks), host);
  for (const host of ['11.0.0.1', '2001:db8:8000::', '192.0.2.8', '', 'x']) assert.ok(!isAmong(host, networks), host);
  for (const text of ['10.0.0.0/33', '1.2.3', 'x/8', '10.0.0.0/', '::/129'])
    assert.equal(networkFrom(text), null, text);
});

// ---- zones that last -------------------------------------------------------------------------------------------------

async function opened(engine: Engine, plans: readonly ZonePlan[] = [plan()]) {
  const events: NameEvent[] = [];
  const warnings: string[] = [];
  const { names } = await openNames({
    engine,
    permissions: OPEN_PERMISSIONS,
    zones: plans,
    told: (event) => events.push(event),
    warn: (text) => warnings.push(text),
    wall: () => 1_700_000_000_000,
  });
  return { names, zone: names.zones()[0]!, events, warnings };
}

test('changes of a zone from a file last, with their journal, and are told', async () => {
  await withFile(async (path, write) => {
    write(SMALL(5));
    const folder = mkdtempSync(join(tmpdir(), 'portico-names-store-'));
    try {
      let engine = await SqliteEngine.open(folder, { onFatal: assert.fail });
      let { zone, events } = await opened(engine, [plan({ kind: 'file', file: path })]);
      assert.equal(zone.serial, 5);
      assert.equal(await change(zone, address(ADDED, 1)), OK);
      assert.equal(await change(zone, address(ADDED, 2)), OK);
      assert.equal(await change(zone, address(REMOVED, 1)), OK);
      assert.equal(zone.serial, 8);
      assert.deepEqual(events.at(-1), { event: 'changed', zone: 'example', serial: 8, removed: 1, added: 0 });
      await engine.close();

      engine = await SqliteEngine.open(folder, { onFatal: assert.fail });
      ({ zone } = await opened(engine, [plan({ kind: 'file', file: path })]));
      assert.equal(zone.serial, 8);
      assert.deepEqual(ask(zone.contents, 'h.example.', 'A').sections[0], ['h.example. A 192.0.2.2']);
      assert.deepEqual(
        zone.since(6)!.map(({ from, to }) => [from, to]),
        [
          [6, 7],
          [7, 8],
        ],
      );
      assert.equal(zone.since(4), null);
      await engine.close();

      // The file has changed: its older serial does not count, a newer one does.
      write(SMALL(7));
      engine = await SqliteEngine.open(folder, { onFatal: assert.fail });
      const kept = await opened(engine, [plan({ kind: 'file', file: path })]);
      assert.equal(kept.zone.serial, 8);
      assert.match(kept.warnings[0]!, /has changed, but its serial 7 is not above 8/);
      await engine.close();
      write(SMALL(9));
      engine = await SqliteEngine.open(folder, { onFatal: assert.fail });
      const renewed = await opened(engine, [plan({ kind: 'file', file: path })]);
      assert.equal(renewed.zone.serial, 9);
      assert.equal(ask(renewed.zone.contents, 'h.example.', 'A').rcode, NXDOMAIN);
      await engine.close();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

test('a state is written whole now and then, and the changes behind it go', async () => {
  const engine = new MemoryEngine();
  const soa = (changes: Changes) => {
    const data = Uint8Array.from([...nameFrom('n.')!, ...nameFrom('h.')!, ...new Array<number>(19).fill(0), 1]);
    changes.push(ADDED, ORIGIN, 0, TYPE.SOA, 60, data, 0, data.length);
  };
  const first = await opened(engine);
  assert.equal(await change(first.zone, soa), OK);
  const filler = Uint8Array.from([250, ...new Array<number>(250).fill(65)]);
  for (let round = 0; round < 12; round++) {
    const outcome = await change(first.zone, (changes) => {
      for (let index = 0; index < 400; index++)
        changes.push(ADDED, nameFrom(`t${round}-${index}.example.`)!, 0, TYPE.TXT, 60, filler, 0, filler.length);
    });
    assert.equal(outcome, OK);
  }
  assert.ok(first.zone.state.generation > 1);
  assert.equal(first.zone.contents.records, 4_802);
});

test('changes are made one after the other, and past the bound they are refused', async () => {
  const { zone } = await opened(new MemoryEngine());
  const outcomes = await Promise.all(Array.from({ length: 1_100 }, () => change(zone, () => {})));
  assert.ok(outcomes.includes(BUSY));
  assert.equal(outcomes[0], OK);
});

test('who reads a state goes on with it while it changes', async () => {
  const { zone } = await opened(new MemoryEngine());
  await change(zone, (changes) => {
    const data = Uint8Array.from([0, 0, ...new Array<number>(20).fill(0)]);
    changes.push(ADDED, ORIGIN, 0, TYPE.SOA, 60, data, 0, data.length);
  });
  const pinned = zone.pin();
  await change(zone, address(ADDED, 1));
  assert.equal(pinned.contents.find(HOST, 0), 0);
  assert.notEqual(zone.contents.find(HOST, 0), 0);
  pinned.release();
  assert.equal(zone.contents.setOf(APEX, TYPE.SOA) > 0, true);
});

test('a file that cannot be read says where', async () => {
  await withFile(async (path, write) => {
    write('$TTL 1\n@ SOA a b 1 1 1 1 1\n@ NS a\nx A nonsense\n');
    assert.throws(
      () => contentsOf(path, ORIGIN),
      (error) => error instanceof ZoneFileError && error.message.includes(`${path}:4: A:`),
    );
    write('$TTL 1\n@ SOA a b 1 1 1 1 1\n@ NS a\n$INCLUDE ../../etc/hostname\n');
    assert.throws(() => contentsOf(path, ORIGIN), /\$INCLUDE .*: (?:is not in the folder|cannot be read)/);
  });
});

test('a zone that is made by updates alone begins with an SOA and a server', async () => {
  const { zone } = await opened(new MemoryEngine());
  assert.equal(zone.serial, 1);
  assert.deepEqual(ask(zone.contents, 'example.', 'NS').sections[0], ['example. NS ns.example.']);
  assert.equal(await change(zone, address(ADDED, 1)), OK);
  assert.equal(zone.serial, 2);
});

test('views: the first zone that a client is let to see (longest name first)', async () => {
  const inner = networkFrom('10.0.0.0/8')!;
  const sub = nameFrom('sub.example.')!;
  const { names } = await opened(new MemoryEngine(), [
    plan({ clients: [inner] }),
    plan({ view: 1 }),
    plan({ name: 'sub.example', origin: sub }),
  ]);
  const name = nameFrom('x.example.')!;
  assert.deepEqual(names.zoneOf(name, 0, '10.2.3.4', false)!.clients, [inner]);
  assert.equal(names.zoneOf(name, 0, '192.0.2.1', false)!.clients, null);
  assert.equal(names.zoneOf(nameFrom('y.sub.example.')!, 0, '10.1.1.1', false)!.name, 'sub.example');
  assert.equal(names.zoneOf(sub, 0, '10.1.1.1', true)!.name, 'example');
  assert.equal(names.zoneOf(nameFrom('other.')!, 0, '10.1.1.1', false), null);
});
