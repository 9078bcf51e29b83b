// Zones changed by orders: what comes and leaves, what is refused and why, pages, files, and keys that roll over by their parent.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { OPEN_PERMISSIONS } from '../../core/permissions.ts';
import { TYPE } from '../../formats/dns/records.ts';
import { MemoryEngine } from '../../storage/memory/engine.ts';
import { OrderError, type Orders } from '../accounts/orders.ts';
import { APEX, ZoneContents } from './contents.ts';
import { lineOf, listRecords } from './editing.ts';
import { zoneFromMaster } from './master-file.ts';
import { openNames } from './open.ts';
import { ORIGIN, plan, SMALL, withFile } from './testing/zones.ts';
import { zoneOrders } from './zone-orders.ts';

const DAY = 86_400_000;

async function house(signed: boolean) {
  let now = 1_700_000_000_000;
  const opened = await openNames({
    engine: new MemoryEngine(),
    permissions: OPEN_PERMISSIONS,
    zones: [plan(signed ? { signing: { algorithm: 15, nsec3: false } } : {})],
    told: () => {},
    warn: assert.fail,
    wall: () => now,
  });
  const orders: Orders = zoneOrders(opened.names);
  const give = async (what: string, fields: object = {}): Promise<Record<string, unknown>> => {
    const answer = await orders[what]!.run({} as never, { do: what, zone: 'example', ...fields });
    return { ...answer };
  };
  const refused = async (what: string, fields: object, why: RegExp) =>
    assert.rejects(give(what, fields), (error) => error instanceof OrderError && why.test(error.message));
  const lines = async (owner: string) => (await give('zone.records', { owner })).lines as string[];
  return {
    ...opened,
    ...{ give, refused, lines, zone: opened.names.zones()[0]! },
    pass: (ms: number) => {
      now += ms;
    },
  };
}

test('records come, change and leave, each change with a serial of its own', async () => {
  const { give, lines, close } = await house(false);
  const { serial } = (await give('zone.add', {
    records: 'www 60 IN A 192.0.2.1\nwww 60 A 192.0.2.2\n@ MX 10 www',
  })) as {
    serial: number;
  };
  assert.deepEqual(await lines('www'), ['www.example.\t60\tIN\tA\t192.0.2.1', 'www.example.\t60\tIN\tA\t192.0.2.2']);
  assert.ok((await lines('@')).includes('example.\t3600\tIN\tMX\t10 www.example.'));
  assert.equal((await give('zone.add', { records: 'www 60 A 192.0.2.2' })).changed, false);
  const removed = await give('zone.remove', { owner: 'WWW.example.', type: 'A', data: '192.0.2.1' });
  assert.equal(removed.serial, serial + 1);
  assert.deepEqual(await lines('www'), ['www.example.\t60\tIN\tA\t192.0.2.2']);
  await give('zone.remove', { owner: 'www' });
  assert.deepEqual(await lines('www'), []);
  // All of the apex is all but what makes it a zone.
  await give('zone.remove', { owner: '@' });
  assert.deepEqual(
    (await lines('@')).map((line) => line.split('\t')[3]),
    ['SOA', 'NS'],
  );
  close();
});

test('what would make it no zone is refused, with the reason, and changes nothing', async () => {
  const { give, refused, zone, close } = await house(false);
  await give('zone.add', { records: 'www A 192.0.2.1' });
  const { serial } = zone;
  await refused('zone.add', { records: 'other.test. A 192.0.2.1' }, /other\.test\. is not in the zone example/);
  await refused('zone.add', { records: 'www CNAME x' }, /www\.example\. has a CNAME and A/);
  await refused('zone.add', { records: 'x A 192.0.2.1\nx A 300.1.1.1' }, /^line 2: /);
  await refused('zone.add', { records: '@ SOA ns host 1 1 1 1 1' }, /the serial is \d+ already/);
  await refused('zone.remove', { owner: 'no' }, /there is no record at no\.example\./);
  await refused('zone.remove', { owner: 'www', type: 'AAAA' }, /there is no AAAA at/);
  await refused('zone.remove', { owner: 'www', type: 'A', data: '"x' }, /a quotation has no end/);
  await refused('zone.remove', { owner: '@', type: 'SOA' }, /keeps its SOA/);
  await refused('zone.remove', { owner: '@', type: 'NS' }, /a zone keeps a server/);
  await refused('zone.remove', { owner: 'www', type: 'NONE' }, /no type/);
  await refused('zone.records', { zone: 'other' }, /there is no zone other/);
  await refused('zone.keys', {}, /is not signed here/);
  await refused('zone.roll', { role: 'ksk' }, /is not signed here/);
  await refused('zone.import', { file: 'relative.zone' }, /no absolute path/);
  assert.equal(zone.serial, serial);
  close();
});

test('a file becomes the zone: what it has no more leaves, its serial counts where it is newer', async () => {
  await withFile(async (path, write) => {
    for (const signed of [false, true]) {
      const { give, refused, lines, zone, close } = await house(signed);
      await give('zone.add', { records: 'old A 192.0.2.7' });
      write(`${SMALL(1)}www A 192.0.2.1\n`);
      const first = await give('zone.import', { file: path });
      assert.deepEqual(await lines('old'), []);
      assert.ok((await lines('www')).includes('www.example.\t60\tIN\tA\t192.0.2.1'));
      assert.ok(Number(first.added) >= 2 && Number(first.removed) >= 1);
      const { serial } = zone;
      const same = await give('zone.import', { file: path });
      assert.deepEqual([same.removed, same.added, zone.serial], [0, 0, serial], 'the same file changes nothing');
      write(`${SMALL(2026112301)}www A 192.0.2.1\n`);
      await give('zone.import', { file: path });
      assert.equal(zone.serial, 2026112301);
      write('@ 60 NS ns\n');
      await refused('zone.import', { file: path }, /the zone has no SOA/);
      await refused('zone.import', { file: join(path, 'none') }, /cannot be read/);
      if (signed) {
        await refused('zone.add', { records: 'www NSEC x.example. A' }, /made by who signs/);
        assert.ok(zone.contents.setOf(APEX, TYPE.DNSKEY) !== 0);
        assert.ok(zone.contents.setOf(zone.contents.find(Buffer.from('\x03www\x07example\0'), 0), TYPE.RRSIG) !== 0);
      }
      close();
    }
  });
});

test('page by page, however large a page is, it is the whole zone and can be read again', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.stringMatching(/^[a-z]{1,3}(\.[a-z]{1,2})?$/), { maxLength: 30 }),
      fc.integer({ min: 1, max: 40 }),
      (names, most) => {
        const contents = new ZoneContents(ORIGIN);
        const text = names.map((name) => `${name} A 192.0.2.1\n${name} TXT "a b"\n`).join('');
        assert.equal(zoneFromMaster(SMALL(7) + text, ORIGIN, contents), null);
        const lines: string[] = [];
        let after: Uint8Array | null = null;
        for (;;) {
          const { records, next } = listRecords(contents, after, most);
          lines.push(...records.map(lineOf));
          if (next === '') break;
          after = Buffer.from(contents.arena.subarray(contents.name(contents.find(wire(next), 0))));
        }
        assert.equal(lines.length, contents.records);
        const again = new ZoneContents(ORIGIN);
        assert.equal(zoneFromMaster(lines.join('\n'), ORIGIN, again), null);
        assert.equal(again.records, contents.records);
      },
    ),
  );
});

function wire(name: string): Buffer {
  const labels = name.split('.').slice(0, -1);
  return Buffer.concat([
    ...labels.map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`)),
    Buffer.from([0]),
  ]);
}

test('a key-signing key rolls over as the parent takes up what CDS asks for (RFC 7344 §4.1, RFC 7583 §3.3.3)', async () => {
  const { give, refused, zone, pass, close } = await house(true);
  interface Shown {
    readonly role: string;
    readonly tag: number;
    readonly state: string;
    readonly ds: string;
  }
  const keys = async () =>
    ((await give('zone.keys')).keys as Shown[])
      .filter(({ role }) => role === 'ksk')
      .map(({ tag, state }) => ({ tag, state }));
  const cds = () => {
    const found: number[] = [];
    zone.contents.eachAt(APEX, (_name, type, _ttl, at) => {
      if (type === TYPE.CDS) found.push(Buffer.from(zone.contents.arena).readUInt16BE(at));
    });
    return found.sort((a, b) => a - b);
  };
  const [first] = await keys();
  await give('zone.seen');
  assert.deepEqual(cds(), [first!.tag]);
  await give('zone.roll', { role: 'ksk' });
  await refused('zone.roll', { role: 'ksk' }, /is being replaced already/);
  await refused('zone.roll', { role: 'other' }, /ksk or zsk/);
  const second = (await keys()).find(({ tag }) => tag !== first!.tag)!;
  assert.equal(second.state, 'announced');
  assert.deepEqual(
    cds(),
    [first!.tag, second.tag].sort((a, b) => a - b),
  );
  // Nobody above has it: it waits, however long.
  for (let day = 0; day < 10; day++) {
    pass(DAY);
    await zone.resign();
  }
  assert.equal((await keys()).find(({ tag }) => tag === second.tag)!.state, 'announced');
  await give('zone.seen');
  pass(2 * DAY);
  await zone.resign();
  assert.equal((await keys()).find(({ tag }) => tag === second.tag)!.state, 'active');
  for (let day = 0; day < 3; day++) {
    pass(DAY);
    await zone.resign();
  }
  await zone.signing!.parentHas(new Set([second.tag]));
  await zone.resign();
  assert.deepEqual(await keys(), [{ tag: second.tag, state: 'active' }]);
  const settled = await give('zone.sign');
  assert.equal(settled.signed, true);
  assert.deepEqual(cds(), [second.tag]);
  close();
});
