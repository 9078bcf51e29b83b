// Zones as people and programs change them: records as text, named and listed page by page, added, removed and replaced. It makes
// changes and carries none out.
import { copyOf } from '../../bytes/reader.ts';
import { ByteWriter } from '../../bytes/writer.ts';
import { nameEnd, nameFrom, nameText, sameName, within } from '../../formats/dns/name.ts';
import { isMetaType, rdataText, readRdata, TYPE, typeFrom, typeName, Words } from '../../formats/dns/records.ts';
import { ADDED, Changes, difference } from './changes.ts';
import { APEX, ZoneContents } from './contents.ts';
import type { Zone } from './contract.ts';
import { nodeProblem, readMaster } from './master-file.ts';
import { isMadeBySigner } from './signed-zone.ts';
import { isNewer, serialOf, soaOf, withSoaSerial } from './zone.ts';

/** A record as a master file has it; names are absolute. */
export interface TextRecord {
  readonly name: string;
  readonly ttl: number;
  readonly type: string;
  readonly data: string;
}

export interface ListedRecords {
  readonly records: readonly TextRecord[];
  /** Go on behind this name; '' at the end. */
  readonly next: string;
}

/** What leaves: all of a name, of its type, or one record. */
export interface Removal {
  readonly name: string;
  readonly type?: string | undefined;
  readonly data?: string | undefined;
}

export interface Edit {
  readonly remove: readonly Removal[];
  /** Lines of a master file. */
  readonly add: string;
}

/** Names that one edit may touch. */
const TOUCHED_MAX = 10_000;
const DATA_MAX = 70_000;
const TTL = 3_600;

/** A name as it is written in a zone: `@`, relative, or absolute with its dot. Null when it is none, or outside of the zone. */
export function nameWithin({ origin }: Zone, text: string): Uint8Array | null {
  const name = nameFrom(text, origin);
  return name !== null && within(name, 0, origin) >= 0 ? name : null;
}

/** Records in canonical order, SOA first, whole names at a time; behind the name `after` where that is not ''. */
export function listRecords(contents: ZoneContents, after: Uint8Array | null, most: number): ListedRecords {
  const order = contents.order();
  let index = after === null ? 0 : order.indexOf(contents.find(after, 0)) + 1;
  const records: TextRecord[] = [];
  let last = 0;
  for (; index < order.length && records.length < most; index++) {
    last = order[index]!;
    records.push(...recordsAt(contents, last));
  }
  return { records, next: index < order.length ? nameText(contents.arena, contents.name(last)) : '' };
}

/** What stands at one name; SOA first. */
export function recordsAt(contents: ZoneContents, node: number): TextRecord[] {
  const found: TextRecord[] = [];
  contents.eachAt(node, (name, type, ttl, at, end) => {
    const { arena } = contents;
    const record = { name: nameText(arena, name), ttl, type: typeName(type), data: rdataText(type, arena, at, end) };
    if (type === TYPE.SOA) found.unshift(record);
    else found.push(record);
  });
  return found;
}

/** A record as a line of a master file. */
export function lineOf({ name, ttl, type, data }: TextRecord): string {
  return `${name}\t${ttl}\tIN\t${type}\t${data}`;
}

/** The changes that an edit comes to; a sentence where it cannot be made. */
export function editOf(zone: Zone, contents: ZoneContents, { remove, add }: Edit): Changes | string {
  const editing = new Editing(zone, contents);
  for (const each of remove) {
    const wrong = editing.remove(each);
    if (wrong !== null) return wrong;
  }
  const wrong = add === '' ? null : editing.add(add);
  return wrong ?? editing.changes();
}

/** The changes that make a zone as a file has it. What the signer makes is its own; the serial grows whatever the file says. */
export function importOf(zone: Zone, contents: ZoneContents, fresh: ZoneContents): Changes {
  const changes = new Changes();
  difference(contents, fresh).each((direction, name, type, ttl, at, end, bytes) => {
    if (zone.isSigned && isMadeBySigner(type, sameName(bytes, name, zone.origin, 0))) return;
    changes.push(direction, bytes, name, type, ttl, bytes, at, end);
  });
  const [before, soa] = [soaOf(contents), soaOf(fresh)];
  if (soa === null || before === null) return changes;
  const isNewest = isNewer(soa.serial, before.serial);
  const isSame =
    Buffer.compare(withSoaSerial(soa.data, 0), withSoaSerial(before.data, 0)) === 0 && soa.ttl === before.ttl;
  // Without an SOA of its own, a change gets the next serial.
  if (isSame && !isNewest) return changes;
  const data = withSoaSerial(soa.data, isNewest ? soa.serial : (before.serial + 1) >>> 0 || 1);
  changes.push(ADDED, zone.origin, 0, TYPE.SOA, soa.ttl, data, 0, data.length);
  return changes;
}

/** Names that are touched, as they are and as they become. */
class Editing {
  private readonly zone: Zone;
  private readonly contents: ZoneContents;
  private readonly before: ZoneContents;
  private readonly after: ZoneContents;
  private readonly touched = new Set<string>();
  private soa: { readonly data: Uint8Array; readonly ttl: number } | null = null;

  constructor(zone: Zone, contents: ZoneContents) {
    this.zone = zone;
    this.contents = contents;
    this.before = new ZoneContents(zone.origin);
    this.after = new ZoneContents(zone.origin);
  }

  changes(): Changes | string {
    const { after, soa, zone } = this;
    for (let node = 1; node < after.nodesEnd; node++) {
      const problem = nodeProblem(after, node);
      if (problem !== null) return `${nameText(after.arena, after.name(node))} ${problem}`;
    }
    if (this.before.setOf(APEX, TYPE.NS) !== 0 && after.setOf(APEX, TYPE.NS) === 0) return 'a zone keeps a server: NS';
    const changes = difference(this.before, after);
    if (soa !== null) changes.push(ADDED, zone.origin, 0, TYPE.SOA, soa.ttl, soa.data, 0, soa.data.length);
    return changes;
  }

  /** Copies what stands at a name, once. */
  private touch(name: Uint8Array, at: number): boolean {
    const key = nameText(name, at).toLowerCase();
    if (this.touched.has(key)) return true;
    if (this.touched.size >= TOUCHED_MAX) return false;
    this.touched.add(key);
    const { contents } = this;
    const node = contents.find(name, at);
    if (node === 0) return true;
    contents.eachAt(node, (owner, type, ttl, data, end) => {
      this.before.add(contents.arena, owner, type, ttl, contents.arena, data, end);
      this.after.add(contents.arena, owner, type, ttl, contents.arena, data, end);
    });
    return true;
  }

  private isSigners(type: number, name: Uint8Array): boolean {
    return this.zone.isSigned && isMadeBySigner(type, sameName(name, 0, this.zone.origin, 0));
  }

  remove({ name: text, type: typeText, data: dataText }: Removal): string | null {
    const name = nameWithin(this.zone, text);
    if (name === null) return `${text} is not in the zone ${this.zone.name}`;
    const type = typeText === undefined ? TYPE.ANY : typeFrom(typeText);
    if (type < 0 || (typeText !== undefined && isMetaType(type))) return `${typeText} is no type of a record`;
    if (type === TYPE.SOA) return 'a zone keeps its SOA';
    if (!this.touch(name, 0)) return `more than ${TOUCHED_MAX} names at once`;
    const { after } = this;
    const node = after.find(name, 0);
    const gone: (readonly [type: number, data: Uint8Array])[] = [];
    if (dataText !== undefined) {
      const data = dataOf(type, dataText, this.zone.origin);
      if (typeof data === 'string') return data;
      gone.push([type, data]);
    } else if (node !== 0)
      after.eachAt(node, (_name, each, _ttl, at, end) => {
        const stays = each === TYPE.SOA || this.isSigners(each, name);
        // All of the apex is all but what makes it a zone.
        const isZone = typeText === undefined && each === TYPE.NS && sameName(name, 0, this.zone.origin, 0);
        if (!stays && !isZone && (typeText === undefined || each === type))
          gone.push([each, copyOf(after.arena, at, end)]);
      });
    let removed = 0;
    for (const [each, data] of gone) if (after.remove(name, 0, each, data, 0, data.length)) removed++;
    if (removed > 0) return null;
    return `there is no ${typeText ?? 'record'}${dataText === undefined ? '' : ` ${dataText}`} at ${nameText(name)}`;
  }

  add(text: string): string | null {
    const { zone, after } = this;
    const record = (owner: Uint8Array, type: number, ttl: number, data: Uint8Array, end: number): string | null => {
      if (within(owner, 0, zone.origin) < 0) return `${nameText(owner)} is not in the zone ${zone.name}`;
      if (this.isSigners(type, owner)) return `${typeName(type)} is made by who signs the zone`;
      const name = copyOf(owner, 0, nameEnd(owner, 0));
      if (!this.touch(name, 0)) return `more than ${TOUCHED_MAX} names at once`;
      if (type === TYPE.SOA) return this.addSoa(name, ttl, copyOf(data, 0, end));
      after.add(name, 0, type, ttl, data, 0, end);
      return null;
    };
    const wrong = readMaster(`$TTL ${TTL}\n${text}\n`, { origin: zone.origin, record });
    return wrong === null ? null : `line ${Math.max(1, wrong.line - 1)}: ${wrong.text}`;
  }

  private addSoa(name: Uint8Array, ttl: number, data: Uint8Array): string | null {
    const { zone, contents } = this;
    if (!sameName(name, 0, zone.origin, 0)) return 'only the zone itself has an SOA';
    const present = serialOf(contents);
    const fresh = new ZoneContents(zone.origin);
    fresh.add(zone.origin, 0, TYPE.SOA, ttl, data, 0, data.length);
    if (!isNewer(serialOf(fresh), present)) return `the serial is ${present} already`;
    this.soa = { data, ttl };
    return null;
  }
}

/** Record data as octets, or what is wrong with its text. */
function dataOf(type: number, text: string, origin: Uint8Array): Uint8Array | string {
  const words = Words.of(text);
  const out = new ByteWriter(DATA_MAX);
  const wrong = words === null ? 'a quotation has no end' : readRdata(type, words, out, origin);
  return wrong === null ? copyOf(out.bytes, 0, out.length) : `${typeName(type)} ${text}: ${wrong}`;
}
