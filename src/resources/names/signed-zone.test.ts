import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { OK } from '../../core/outcome.ts';
import { OPEN_PERMISSIONS } from '../../core/permissions.ts';
import { rdataText, TYPE } from '../../formats/dns/records.ts';
import { SqliteEngine } from '../../storage/sqlite/engine.ts';
import { ADDED } from './changes.ts';
import { APEX, type ZoneContents } from './contents.ts';
import { openNames } from './open.ts';
import { address, change, HOST, plan, SMALL, withFile } from './testing/zones.ts';

const DAY = 86_400_000;

/** Data of all records of a type at the apex. */
function apexData(contents: ZoneContents, type: number): string[] {
  const found: string[] = [];
  contents.eachAt(APEX, (_name, each, _ttl, at, end) => {
    if (each === type) found.push(rdataText(type, contents.arena, at, end));
  });
  return found;
}

test('a signed zone keeps its keys, renews its signatures, and rolls its signing key over without a gap', async () => {
  await withFile(async (path, write) => {
    write(SMALL(5));
    const folder = mkdtempSync(join(tmpdir(), 'portico-names-signed-'));
    let now = 1_700_000_000_000;
    const open = async () => {
      const engine = await SqliteEngine.open(folder, { onFatal: assert.fail });
      const { names, close } = await openNames({
        engine,
        permissions: OPEN_PERMISSIONS,
        zones: [plan({ kind: 'file', file: path, signing: { algorithm: 15, nsec3: false } })],
        told: () => {},
        warn: () => {},
        wall: () => now,
      });
      return { zone: names.zones()[0]!, engine, close };
    };
    try {
      let { zone, engine, close } = await open();
      const keys = apexData(zone.contents, TYPE.DNSKEY).sort();
      assert.equal(keys.length, 2);
      assert.equal(apexData(zone.contents, TYPE.NSEC).length, 1);
      const expiry = () =>
        apexData(zone.contents, TYPE.RRSIG)
          .map((text) => text.split(' ')[4]!)
          .sort();
      const [first] = expiry();
      const { serial } = zone;
      assert.equal(await change(zone, address(ADDED, 1)), OK);
      // The signatures of what came and of the SOA are in the journal: secondaries are told of them.
      assert.equal(zone.since(serial)!.length, 1);
      const node = zone.contents.find(HOST, 0);
      assert.ok(zone.contents.setOf(node, TYPE.RRSIG) !== 0 && zone.contents.setOf(node, TYPE.NSEC) !== 0);
      close();
      await engine.close();

      now += DAY;
      ({ zone, engine, close } = await open());
      assert.deepEqual(apexData(zone.contents, TYPE.DNSKEY).sort(), keys);
      assert.ok(zone.serial > serial);
      now += 9 * DAY;
      await zone.resign();
      await change(zone, () => {});
      assert.ok(expiry()[0]! > first!);
      // The next signing key is published first, and signs once every cache has it.
      const states: number[] = [];
      for (let day = 0; day < 95; day++) {
        now += DAY;
        await zone.resign();
        await change(zone, () => {});
        states.push(apexData(zone.contents, TYPE.DNSKEY).length);
        const ends = expiry().map((text) =>
          Date.UTC(Number(text.slice(0, 4)), Number(text.slice(4, 6)) - 1, Number(text.slice(6, 8))),
        );
        assert.ok(
          ends.every((end) => end > now),
          `day ${day}`,
        );
      }
      assert.ok(states.includes(3));
      const after = apexData(zone.contents, TYPE.DNSKEY).sort();
      assert.equal(after.length, 2);
      assert.equal(after.filter((key) => keys.includes(key)).length, 1);
      close();
      await engine.close();
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
