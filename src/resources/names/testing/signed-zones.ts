// Names, sets and small zones for the tests of DNSSEC, without the codec.
import { type RecordSet, TYPE_DNAME, TYPE_NS, TYPE_SOA } from '../../../formats/dnssec/canonical.ts';
import { DIGEST_SHA256, makeDelegationSigner, type SigningKey } from '../../../formats/dnssec/keys.ts';
import { keyOf, labelCount, lastLabels } from '../../../formats/dnssec/names.ts';
import type { ZoneKeys, ZoneSource } from '../zone-signer.ts';

/** A name of plain labels; `''` and `'.'` are the root. */
export function nameOf(text: string): Buffer {
  const parts = text.split('.').filter((label) => label !== '');
  return Buffer.concat([
    ...parts.map((label) => Buffer.concat([Buffer.from([label.length]), Buffer.from(label, 'latin1')])),
    Buffer.from([0]),
  ]);
}

/** A set with data that its type may have, different for each `value`. */
export function set(name: Buffer, type: number, value: number, ttl = 3600): RecordSet {
  return { name, type, ttl, data: [dataOf(type, value)] };
}

function dataOf(type: number, value: number): Buffer {
  if (type === TYPE_NS) return nameOf(`ns${value}.elsewhere.test`);
  if (type === 15) return Buffer.concat([Buffer.from([0, 10]), nameOf(`mail${value}.zone.test`)]);
  if (type === 16) return Buffer.from([1, 0x61 + (value % 20)]);
  if (type === 43) return Buffer.concat([Buffer.from([0, value, 15, 2]), Buffer.alloc(32, value)]);
  return Buffer.from([192, 0, 2, value & 255]);
}

export function soa(apex: Buffer, serial: number): RecordSet {
  const numbers = Buffer.alloc(20);
  numbers.writeUInt32BE(serial, 0);
  for (const [index, value] of [7200, 600, 86_400, 300].entries()) numbers.writeUInt32BE(value, 4 + index * 4);
  const data = Buffer.concat([nameOf('ns.zone.test'), nameOf('host.zone.test'), numbers]);
  return { name: apex, type: TYPE_SOA, ttl: 3600, data: [data] };
}

export function keysOf(keySigning: readonly SigningKey[], zoneSigning: readonly SigningKey[]): ZoneKeys {
  const published = [...new Set([...keySigning, ...zoneSigning])].map(({ data }) => data);
  return { keySigning, zoneSigning, published, cds: [], cdnskey: [], ttl: 3600 };
}

export function delegationSigner(zone: Buffer, key: SigningKey): RecordSet {
  return { name: zone, type: 43, ttl: 3600, data: [makeDelegationSigner(zone, key, DIGEST_SHA256)] };
}

/** A zone held in a map. */
export class MapZone implements ZoneSource {
  readonly apex: Buffer;
  private readonly names = new Map<string, { readonly name: Buffer; readonly sets: Map<number, RecordSet> }>();

  constructor(apex: Buffer) {
    this.apex = apex;
  }

  /** Puts a set in place of the one of its type; one without data takes it away. */
  put(set: RecordSet): void {
    const key = keyOf(set.name);
    const node = this.names.get(key) ?? { name: set.name, sets: new Map<number, RecordSet>() };
    if (set.data.length > 0) node.sets.set(set.type, set);
    else node.sets.delete(set.type);
    if (node.sets.size > 0) this.names.set(key, node);
    else this.names.delete(key);
  }

  has(name: Buffer, type: number): boolean {
    return this.names.get(keyOf(name))?.sets.has(type) === true;
  }

  setsAt(name: Buffer): Iterable<RecordSet> {
    return this.names.get(keyOf(name))?.sets.values() ?? [];
  }

  *namesWithin(name: Buffer): Generator<Buffer> {
    for (const [key, node] of [...this.names]) if (key.startsWith(keyOf(name))) yield node.name;
  }

  *all(): Generator<RecordSet> {
    for (const { sets } of this.names.values()) yield* sets.values();
  }

  isBelowCut(name: Buffer): boolean {
    for (let labels = labelCount(name) - 1; labels >= labelCount(this.apex); labels--) {
      const above = lastLabels(name, labels);
      if (this.has(above, TYPE_DNAME)) return true;
      if (labels > labelCount(this.apex) && this.has(above, TYPE_NS)) return true;
    }
    return false;
  }
}
