// Zones that we sign, checked by others: BIND's and NLnet Labs' verifiers over every algorithm and both kinds of denial.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import type { RecordSet } from '../../src/formats/dnssec/canonical.ts';
import * as keys from '../../src/formats/dnssec/keys.ts';
import { PLAIN_NSEC3 } from '../../src/formats/dnssec/nsec.ts';
import { keysOf, MapZone, nameOf, set, soa } from '../../src/resources/names/testing/signed-zones.ts';
import { SIGNING_POLICY, type SigningPolicy, ZoneSigner } from '../../src/resources/names/zone-signer.ts';
import { missing, run } from '../clients.ts';

const folder = mkdtempSync(join(tmpdir(), 'portico-dnssec-'));
after(() => rmSync(folder, { recursive: true }));

function textOf(name: Buffer): string {
  let text = '';
  for (let at = 0; name[at]! > 0; at += name[at]! + 1)
    text += `${name.toString('latin1', at + 1, at + 1 + name[at]!)}.`;
  return text === '' ? '.' : text;
}

/** A master file in the form that needs no knowledge of types (RFC 3597 §5). */
function masterFile(sets: Iterable<RecordSet>): string {
  let text = '';
  for (const { name, type, ttl, data } of sets)
    for (const one of data) text += `${textOf(name)} ${ttl} IN TYPE${type} \\# ${one.length} ${one.toString('hex')}\n`;
  return text;
}

function exampleZone(): MapZone {
  const zone = new MapZone(nameOf('zone.test'));
  const at = (text: string) => nameOf(text === '' ? 'zone.test' : `${text}.zone.test`);
  zone.put(soa(zone.apex, 1));
  zone.put({ name: zone.apex, type: 2, ttl: 3600, data: [at('ns'), at('host')] });
  const hosts = ['ns', 'host', 'www', '*.wild', 'deep.below.empty', 'mail'];
  for (const [index, name] of hosts.entries()) zone.put(set(at(name), 1, index));
  for (const name of ['', 'mail']) zone.put(set(at(name), 15, 5));
  zone.put(set(at('www'), 16, 3));
  zone.put(set(at('signed'), 2, 1));
  zone.put(set(at('signed'), 43, 9));
  zone.put(set(at('unsigned'), 2, 2));
  zone.put(set(at('empty.unsigned2'), 2, 2));
  zone.put({ name: at('glued'), type: 2, ttl: 3600, data: [at('ns.glued')] });
  zone.put(set(at('ns.glued'), 1, 77));
  zone.put({ name: at('alias'), type: 5, ttl: 60, data: [at('www')] });
  return zone;
}

function finish<Result>(work: Generator<void, Result>): Result {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
  }
}

async function passes(command: string, ...args: string[]): Promise<void> {
  const { code, out, error } = await run(command, ...args);
  assert.equal(code, 0, `${command} ${args.join(' ')}: ${out}${error}`);
}

const skip = missing('dnssec-verify', '-V') || missing('named-checkzone', '-v') || missing('ldns-verify-zone', '-v');

const POLICIES: Readonly<Record<string, SigningPolicy>> = {
  NSEC: SIGNING_POLICY,
  NSEC3: { ...SIGNING_POLICY, nsec3: PLAIN_NSEC3 },
  'NSEC3 opt-out': { ...SIGNING_POLICY, nsec3: PLAIN_NSEC3, optOut: true },
};
const ALGORITHMS = [keys.RSASHA256, keys.RSASHA512, keys.ECDSAP256, keys.ECDSAP384, keys.ED25519, keys.ED448];

for (const [kind, policy] of Object.entries(POLICIES))
  for (const algorithm of ALGORITHMS)
    test(`a zone of ${keys.ALGORITHMS[algorithm]!.name} with ${kind}, changed after signing, passes every verifier`, {
      skip,
    }, async () => {
      const zone = exampleZone();
      const pair = keysOf([keys.generateKey(algorithm, 'ksk')], [keys.generateKey(algorithm, 'zsk')]);
      const signer = new ZoneSigner(zone.apex, pair, policy);
      const now = Math.floor(Date.now() / 1000);
      finish(signer.sign(zone, now));
      // A name comes, a delegation goes, another gets a key; then the whole must still hang together.
      const changed = [
        { ...set(nameOf('new.below.zone.test'), 1, 50) },
        { ...set(nameOf('glued.zone.test'), 2, 0), data: [] },
        { ...set(nameOf('unsigned.zone.test'), 43, 4) },
        soa(zone.apex, 2),
      ];
      for (const one of changed) zone.put(one);
      signer.update(zone, changed, now);
      const file = join(folder, `${algorithm}-${kind.replace(' ', '-')}.zone`);
      writeFileSync(
        file,
        masterFile([soa(zone.apex, 2), ...[...zone.all()].filter(({ type }) => type !== 6), ...signer.all()]),
      );
      // BIND reads generic types into its own when it rewrites; the signatures stay.
      const plain = `${file}.plain`;
      await passes('named-checkzone', '-i', 'local', '-D', '-o', plain, 'zone.test', file);
      await passes('dnssec-verify', '-o', 'zone.test', plain);
      await passes('ldns-verify-zone', '-V', '1', plain);
    });
