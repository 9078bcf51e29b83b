// Roll-overs seen through caches: whatever a validator still holds, at every moment there is a chain of trust.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  DELETE_CDNSKEY,
  DELETE_CDS,
  ED25519,
  generateKey,
  keyTag,
  readDelegationSigner,
} from '../../formats/dnssec/keys.ts';
import { firstKeys, type KeyLife, KeyRing, type KeyTiming } from './key-ring.ts';
import { nameOf } from './testing/signed-zones.ts';

const APEX = nameOf('zone.test');
const make = (role: 'ksk' | 'zsk') => generateKey(ED25519, role);

/** What was published from a moment on. */
interface Moment {
  readonly at: number;
  readonly keys: ReadonlySet<number>;
  readonly keySigners: ReadonlySet<number>;
  readonly zoneSigner: number;
  readonly ds: ReadonlySet<number>;
}

/** Everything that some cache may hold at `now` of something with this TTL that takes `spread` to be everywhere. */
function cached(history: readonly Moment[], now: number, age: number): Moment[] {
  return history.filter((moment, index) => {
    const until = history[index + 1]?.at ?? Number.POSITIVE_INFINITY;
    return moment.at <= now && until > now - age;
  });
}

function everyChainHolds(history: readonly Moment[], now: number, timing: KeyTiming): void {
  const keySets = cached(history, now, timing.dnskeyTtl + timing.propagation);
  const signatures = cached(history, now, timing.zoneTtlMax + timing.propagation);
  const signers = cached(history, now, timing.dsTtl + timing.parentPropagation);
  for (const { keys, keySigners } of keySets) {
    for (const { ds } of signers)
      if (ds.size > 0)
        assert.ok(
          [...keySigners].some((tag) => ds.has(tag)),
          `no DS for the keys at ${now}`,
        );
    for (const { zoneSigner } of signatures) assert.ok(keys.has(zoneSigner), `a signature without its key at ${now}`);
  }
}

/** A parent that takes CDS over, some time after it changed; what it answers is seen by all only once it has spread. */
function live(ring: KeyRing, timing: KeyTiming, lagging: number, days: number, rolls: readonly number[]): Moment[] {
  const history: Moment[] = [];
  const asked: { readonly at: number; readonly tags: ReadonlySet<number> }[] = [];
  const step = 600;
  for (let now = 0; now < days * 86_400; now += step) {
    if (rolls.includes(now / step)) ring.roll('ksk', now, make);
    ring.step(now, make);
    const { keySigning, zoneSigning, published, cds } = ring.keys();
    asked.push({ at: now, tags: new Set(cds.map((one) => readDelegationSigner(one)!.tag)) });
    const ds = asked.findLast(({ at }) => at <= now - lagging)?.tags ?? new Set<number>();
    ring.parentHas(ds, now);
    history.push({
      at: now,
      keys: new Set(published.map(keyTag)),
      keySigners: new Set(keySigning.map(({ tag }) => tag)),
      zoneSigner: zoneSigning[0]!.tag,
      ds,
    });
    everyChainHolds(history, now, timing);
    // What is older than every cache need not be looked at again.
    if (history.length > 2_000) history.splice(0, 1_000);
  }
  return history;
}

const seconds = (most: number) => fc.integer({ min: 0, max: most / 600 }).map((count) => count * 600);

test('whatever caches hold, a zone that rolls its keys always validates (RFC 7583 §3.2.1, §3.3.3)', () => {
  fc.assert(
    fc.property(
      fc.record({
        dnskeyTtl: seconds(7_200),
        zoneTtlMax: seconds(14_400),
        dsTtl: seconds(7_200),
        propagation: seconds(3_600),
        parentPropagation: seconds(3_600),
      }),
      seconds(7_200),
      fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 3 }),
      (times, lagging, rolls) => {
        const timing = { ...times, zskLife: 43_200, kskLife: 100_000 };
        const ring = new KeyRing(APEX, firstKeys(make, 0), timing);
        const first = new Set(ring.all.map(({ key }) => key.tag));
        live(ring, timing, lagging, 4, rolls);
        assert.ok(!ring.all.some(({ key }) => first.has(key.tag)), 'both first keys are gone after four days');
        assert.ok(ring.all.length <= 6);
      },
    ),
    { numRuns: 12 },
  );
});

test('a key-signing key waits for the parent, however long that takes', () => {
  const ring = new KeyRing(APEX, firstKeys(make, 0));
  const [old] = ring.keys().keySigning;
  assert.ok(ring.roll('ksk', 100, make));
  assert.ok(!ring.roll('ksk', 200, make), 'one roll-over at a time');
  const fresh = ring.all.find(({ state }) => state === 'announced')!.key;
  assert.equal(ring.keys().cds.length, 2);
  assert.equal(ring.keys().published.length, 2, 'the new key is not in the zone yet');
  ring.step(80 * 86_400, make);
  assert.equal(ring.keys().keySigning[0], old);
  ring.parentHas(new Set([old!.tag, fresh.tag]), 80 * 86_400);
  ring.step(80 * 86_400 + 86_400 + 3_600 - 1, make);
  assert.equal(ring.keys().keySigning[0], old);
  assert.equal(ring.due, 80 * 86_400 + 86_400 + 3_600);
  ring.step(ring.due, make);
  assert.equal(ring.keys().keySigning[0], fresh);
  assert.equal(ring.keys().cds.length, 2, 'the old DS is still wanted while old keys are cached');
  ring.step(ring.due, make);
  assert.equal(ring.keys().cds.length, 1);
  ring.parentHas(new Set([fresh.tag]), ring.all[0]!.since);
  ring.step(ring.all[0]!.since, make);
  assert.deepEqual(
    ring.all.filter(({ role }) => role === 'ksk').map(({ key }) => key),
    [fresh],
  );
});

test('to leave, a zone asks the parent to take its DS away (RFC 8078 §4)', () => {
  const ring = new KeyRing(APEX, firstKeys(make, 0));
  ring.end(true);
  assert.deepEqual(ring.keys().cds, [DELETE_CDS]);
  assert.deepEqual(ring.keys().cdnskey, [DELETE_CDNSKEY]);
  assert.equal(ring.keys().published.length, 2, 'and stays signed meanwhile');
  ring.end(false);
  assert.equal(ring.keys().cds.length, 1);
});

test('lives that were kept go on where they were', () => {
  const ring = new KeyRing(APEX, firstKeys(make, 0));
  ring.roll('zsk', 0, make);
  const kept: KeyLife[] = ring.all.map((life) => ({ ...life }));
  const again = new KeyRing(APEX, kept);
  assert.equal(again.due, ring.due);
  assert.ok(!again.step(again.due - 1, make));
  assert.ok(again.step(again.due, make));
  assert.equal(again.all.filter(({ state }) => state === 'retired').length, 1);
});
