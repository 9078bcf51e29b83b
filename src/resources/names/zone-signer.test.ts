// Zones signed whole, incrementally and by other keys: always the same zone, with every signature and every proof in order.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type RecordSet,
  readSignature,
  TYPE_DNSKEY,
  TYPE_DS,
  TYPE_NS,
  TYPE_NSEC,
  TYPE_RRSIG,
} from '../../formats/dnssec/canonical.ts';
import { Denial } from '../../formats/dnssec/denial.ts';
import { ED25519, generateKey, readKey, type SigningKey } from '../../formats/dnssec/keys.ts';
import { isWildcard, isWithin, keyOf, labelCount, lastLabels, wildcardUnder } from '../../formats/dnssec/names.ts';
import { PLAIN_NSEC3 } from '../../formats/dnssec/nsec.ts';
import { verifySet } from '../../formats/dnssec/signing.ts';
import { DenialChain } from './denial-chain.ts';
import { keysOf, MapZone, nameOf, set, soa } from './testing/signed-zones.ts';
import { SIGNING_POLICY, type SigningPolicy, ZoneSigner } from './zone-signer.ts';

const NOW = 1_800_000_000;
const KSK = generateKey(ED25519, 'ksk');
const ZSK = generateKey(ED25519, 'zsk');
const POLICIES: readonly SigningPolicy[] = [
  SIGNING_POLICY,
  { ...SIGNING_POLICY, nsec3: PLAIN_NSEC3 },
  { ...SIGNING_POLICY, nsec3: { iterations: 2, salt: Buffer.from('aabb', 'hex') }, optOut: true },
];

function finish<Result>(work: Generator<void, Result>): Result {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}

/** Records by owner, type and data, without signatures' own bytes: what two ways of signing must agree on. */
function picture(sets: Iterable<RecordSet>): string[] {
  const lines: string[] = [];
  for (const { name, type, ttl, data } of sets)
    for (const one of data) {
      const shown =
        type === TYPE_RRSIG ? `${readSignature(one)!.covered} by ${readSignature(one)!.tag}` : one.toString('hex');
      lines.push(`${keyOf(name)} ${type} ${ttl} ${shown}`);
    }
  return lines.sort();
}

function everySignatureHolds(zone: MapZone, signer: ZoneSigner, keys: readonly SigningKey[], now: number): void {
  const signed = [...signer.all()];
  const plain = [...signed.filter(({ type }) => type !== TYPE_RRSIG), ...zone.all()];
  for (const rrsig of signed) {
    if (rrsig.type !== TYPE_RRSIG) continue;
    for (const data of rrsig.data) {
      const { covered, tag } = readSignature(data)!;
      const over = plain.find(({ name, type }) => type === covered && keyOf(name) === keyOf(rrsig.name));
      assert.ok(over !== undefined, `a signature over type ${covered}, which is not there`);
      const key = keys.find((one) => one.tag === tag)!;
      assert.equal(verifySet(over, data, readKey(key.data)!, zone.apex, now), null);
    }
  }
}

/** Whether the name exists in the zone: owns records that are not occluded, or has such below it. */
function shape(zone: MapZone) {
  const visible = [...zone.all()].filter(({ name }) => !zone.isBelowCut(name));
  const owners = new Map<string, Set<number>>();
  for (const { name, type } of visible) {
    const types = owners.get(keyOf(name)) ?? new Set();
    owners.set(keyOf(name), types.add(type));
  }
  return {
    typesAt: (name: Buffer) => owners.get(keyOf(name)) ?? new Set<number>(),
    exists: (name: Buffer) => [...owners.keys()].some((key) => key.startsWith(keyOf(name))),
  };
}

function everyProofHolds(zone: MapZone, signer: ZoneSigner, queries: readonly Buffer[]): void {
  const { typesAt, exists } = shape(zone);
  const { chain, policy } = signer;
  for (const name of queries) {
    if (!isWithin(name, zone.apex) || zone.isBelowCut(name)) continue;
    const denial = (sets: RecordSet[]) => new Denial(zone.apex, sets);
    if (exists(name)) {
      const types = typesAt(name);
      const cut = types.has(TYPE_NS) && name.length > zone.apex.length;
      if (cut && !types.has(TYPE_DS)) {
        const proof = denial(chain.unsignedDelegation(name)).unsignedDelegation(name);
        assert.equal(proof, policy.optOut ? 'insecure' : 'proved', `delegation ${name}`);
      }
      if (!cut) {
        const proof = denial(chain.noType(name)).noType(name, 999);
        // Below an opt-out chain an empty name may stand over delegations alone, and is not shown then.
        if (!policy.optOut || types.size > 0) assert.equal(proof, 'proved', `no data at ${name}`);
        if (!policy.optOut || types.size > 0)
          assert.equal(denial(chain.noType(name)).noName(name), 'unproved', 'a name that is there is not denied');
        for (const type of types) assert.equal(denial([...chain.all()]).noType(name, type), 'unproved', `type ${type}`);
      }
      continue;
    }
    let labels = labelCount(name) - 1;
    while (!exists(lastLabels(name, labels))) labels--;
    const wildcard = wildcardUnder(lastLabels(name, labels))!;
    // Empty non-terminals over unsigned delegations alone are not shown by an opt-out chain (RFC 5155 §7.1, erratum 3441).
    if (policy.optOut && typesAt(lastLabels(name, labels)).size === 0) continue;
    if (exists(wildcard)) {
      if (policy.optOut && typesAt(wildcard).size === 0) continue;
      assert.equal(denial(chain.noName(name)).noName(name), 'unproved');
      assert.match(denial(chain.expanded(name, wildcard)).expanded(name, labels), /^(?:proved|insecure)$/);
      if ((!policy.optOut || typesAt(wildcard).size > 0) && !typesAt(wildcard).has(TYPE_NS))
        assert.match(denial(chain.noTypeOfWildcard(name, wildcard)).noType(name, 999), /^(?:proved|insecure)$/);
    } else {
      assert.equal(denial(chain.noName(name)).noName(name), policy.optOut ? 'insecure' : 'proved', `no name ${name}`);
      assert.equal(denial(chain.noName(name)).noType(name, 1) === 'proved', false, 'no name is not no data');
    }
  }
}

const labels = fc.constantFrom('a', 'b', 'c', '*', 'x');
const names = fc.array(labels, { maxLength: 3 }).map((parts) => nameOf([...parts, 'zone', 'test'].join('.')));
const changes = fc.array(
  fc.record({ name: names, type: fc.constantFrom(1, 15, 16, TYPE_NS, TYPE_DS), there: fc.boolean() }),
  { maxLength: 30 },
);

function apply(zone: MapZone, change: { name: Buffer; type: number; there: boolean }, turn: number): boolean {
  const { name, type, there } = change;
  if (name.length === zone.apex.length && (type === TYPE_NS || type === TYPE_DS)) return false;
  if (isWildcard(name) && (type === TYPE_NS || type === TYPE_DS)) return false;
  // A DS stands at a delegation alone.
  if (type === TYPE_DS && there && !zone.has(name, TYPE_NS)) return false;
  zone.put(there ? set(name, type, turn) : { ...set(name, type, turn), data: [] });
  if (type === TYPE_NS && !there) zone.put({ ...set(name, TYPE_DS, turn), data: [] });
  return true;
}

for (const [index, policy] of POLICIES.entries())
  test(`a zone changed step by step is signed as one signed whole; every proof holds (policy ${index})`, () => {
    fc.assert(
      fc.property(changes, fc.array(names, { maxLength: 12 }), (steps, queries) => {
        const zone = new MapZone(nameOf('zone.test'));
        zone.put(soa(zone.apex, 1));
        zone.put(set(zone.apex, TYPE_NS, 0));
        const keys = keysOf([KSK], [ZSK]);
        const signer = new ZoneSigner(zone.apex, keys, policy);
        const held = new Map<RecordSet, true>();
        const keep = ({ added, removed }: { added: RecordSet[]; removed: RecordSet[] }) => {
          for (const one of removed) assert.ok(held.delete(one), 'what is removed was there');
          for (const one of added) held.set(one, true);
        };
        keep(finish(signer.sign(zone, NOW)));
        for (const [turn, step] of steps.entries()) {
          if (!apply(zone, step, turn)) continue;
          zone.put(soa(zone.apex, turn + 2));
          const touched = [{ name: zone.apex, type: 6 }, step];
          if (step.type === TYPE_NS) touched.push({ name: step.name, type: TYPE_DS, there: false });
          keep(signer.update(zone, touched, NOW));
        }
        const whole = new ZoneSigner(zone.apex, keys, policy);
        finish(whole.sign(zone, NOW));
        assert.deepEqual(picture(signer.all()), picture(whole.all()));
        assert.deepEqual(picture(held.keys()), picture(whole.all()), 'the changes together make the zone');
        everySignatureHolds(zone, signer, [KSK, ZSK], NOW);
        const known = [...zone.all()].map(({ name }) => name);
        everyProofHolds(zone, signer, [...queries, ...known]);
        const again = DenialChain.of(zone.apex, signer.chain.all())!;
        for (const name of queries)
          assert.deepEqual(
            picture(again.noName(name)),
            picture(signer.chain.noName(name)),
            'the chain read from records',
          );
      }),
      { numRuns: 60 },
    );
  });

function sampleZone(): MapZone {
  const zone = new MapZone(nameOf('zone.test'));
  zone.put(soa(zone.apex, 1));
  zone.put(set(zone.apex, TYPE_NS, 0));
  for (const name of ['www', 'mail', 'a.b.c']) zone.put(set(nameOf(`${name}.zone.test`), 1, 7));
  return zone;
}

test('signatures near their end are made anew, some at a time, and are due again later', () => {
  const zone = sampleZone();
  const signer = new ZoneSigner(zone.apex, keysOf([KSK], [ZSK]));
  finish(signer.sign(zone, NOW));
  const first = signer.due;
  assert.ok(first > NOW && first < NOW + 7 * 86_400);
  assert.deepEqual(signer.refresh(zone, NOW), { added: [], removed: [] });
  const later = NOW + 8 * 86_400;
  const count = [...signer.all()].filter(({ type }) => type === TYPE_RRSIG).length;
  let renewed = 0;
  for (let turn = 0; turn < 100 && signer.due <= later; turn++) {
    const { added, removed } = signer.refresh(zone, later, 3);
    assert.equal(added.length, removed.length);
    renewed += added.length;
  }
  assert.equal(renewed, count);
  everySignatureHolds(zone, signer, [KSK, ZSK], NOW + 16 * 86_400);
});

test('another zone-signing key signs everything but the keys anew', () => {
  const zone = sampleZone();
  const signer = new ZoneSigner(zone.apex, keysOf([KSK], [ZSK]));
  finish(signer.sign(zone, NOW));
  const next = generateKey(ED25519, 'zsk');
  finish(signer.rekey(zone, { ...keysOf([KSK], [next]), published: [KSK.data, ZSK.data, next.data] }, NOW + 60));
  for (const { type, data } of signer.all()) {
    if (type !== TYPE_RRSIG) continue;
    const { covered, tag } = readSignature(data[0]!)!;
    assert.equal(tag, covered === TYPE_DNSKEY ? KSK.tag : next.tag);
  }
  everySignatureHolds(zone, signer, [KSK, next], NOW + 60);
});

test('a chain of another zone, or none, is no chain', () => {
  assert.equal(DenialChain.of(nameOf('zone.test'), []), null);
  const zone = sampleZone();
  const signer = new ZoneSigner(zone.apex, keysOf([KSK], [ZSK]));
  finish(signer.sign(zone, NOW));
  const sets = [...signer.chain.all()];
  assert.ok(sets.every(({ type }) => type === TYPE_NSEC));
  const denial = new Denial(nameOf('other.test'), sets);
  assert.ok(denial.isEmpty);
  assert.equal(denial.noName(nameOf('nothing.zone.test')), 'unproved');
});
