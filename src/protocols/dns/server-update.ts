// Dynamic updates (RFC 2136): what a message asks to be so, and to become so, worked out against a zone's contents when its
// turn has come. It answers a response code or the changes; making them last is the zone's.
import { ByteWriter } from '../../bytes/writer.ts';
import { LOWER, NameBuffer, within } from '../../formats/dns/name.ts';
import { CLASS, compareSerials, expandRdata, isMetaType, serialAt, TYPE } from '../../formats/dns/records.ts';
import { ADDED, Changes, difference, REMOVED } from '../../resources/names/changes.ts';
import { ZoneContents } from '../../resources/names/contents.ts';
import type { Zone } from '../../resources/names/contract.ts';
import { Message } from './codec.ts';
import { RCODE } from './wire.ts';

const APEX = 1;
/** Records of the zone that one update may make this look at. */
const TOUCHED_MAX = 100_000;

export class Update {
  private readonly message = new Message();
  private readonly origin: Uint8Array;
  private readonly isSigned: boolean;
  private readonly name = new NameBuffer();
  private readonly data = new ByteWriter(70_000);
  private before: ZoneContents;
  private after: ZoneContents;
  private readonly copied = new Set<string>();
  private soa: { data: Uint8Array; ttl: number } | null = null;
  /** Why there are no changes. */
  rcode: number = RCODE.NOERROR;

  /** The message is kept: its bytes are the update's own. */
  constructor(bytes: Uint8Array, { origin, isSigned }: Pick<Zone, 'origin' | 'isSigned'>) {
    this.message.read(bytes, 0, bytes.length);
    this.origin = origin;
    this.isSigned = isSigned;
    this.before = new ZoneContents(origin);
    this.after = new ZoneContents(origin);
  }

  /** What is wrong with the message whatever the zone holds; NOERROR for nothing (RFC 2136 §3.2, §3.4.1). */
  prescan(): number {
    const { message } = this;
    const end = message.answers + message.authorities;
    for (let index = 0; index < end; index++) {
      if (!message.readOwner(index, this.name)) return RCODE.FORMERR;
      if (within(this.name.bytes, 0, this.origin) < 0) return RCODE.NOTZONE;
      const rcode = index < message.answers ? this.scanPrerequisite(index) : this.scanUpdate(index);
      if (rcode !== RCODE.NOERROR) return rcode;
    }
    return RCODE.NOERROR;
  }

  private scanPrerequisite(index: number): number {
    const { message } = this;
    const rclass = message.class[index]!;
    const type = message.type[index]!;
    if (message.ttl[index] !== 0) return RCODE.FORMERR;
    if (rclass === CLASS.ANY || rclass === CLASS.NONE) return this.size(index) === 0 ? RCODE.NOERROR : RCODE.FORMERR;
    return rclass === CLASS.IN && !isMetaType(type) && this.readData(index) ? RCODE.NOERROR : RCODE.FORMERR;
  }

  private scanUpdate(index: number): number {
    const { message } = this;
    const type = message.type[index]!;
    const fine = (holds: boolean) => (holds ? RCODE.NOERROR : RCODE.FORMERR);
    switch (message.class[index]) {
      case CLASS.IN:
        return fine(!isMetaType(type) && this.readData(index));
      case CLASS.ANY:
        return fine(message.ttl[index] === 0 && this.size(index) === 0 && (type === TYPE.ANY || !isMetaType(type)));
      case CLASS.NONE:
        return fine(message.ttl[index] === 0 && !isMetaType(type) && this.readData(index));
      default:
        return RCODE.FORMERR;
    }
  }

  private size(index: number): number {
    return this.message.dataEnd[index]! - this.message.dataAt[index]!;
  }

  /** Reads a record's data into `data`. */
  private readData(index: number): boolean {
    const { message, data } = this;
    data.cut(0);
    const { bytes, dataAt, dataEnd, type } = message;
    return expandRdata(type[index]!, bytes, 0, dataAt[index]!, dataEnd[index]!, data);
  }

  /** The changes; null with `rcode` set when a prerequisite does not hold. */
  work(contents: ZoneContents): Changes | null {
    this.rcode = this.checkPrerequisites(contents);
    if (this.rcode !== RCODE.NOERROR) return null;
    const { message } = this;
    for (let index = message.answers; index < message.answers + message.authorities; index++) {
      message.readOwner(index, this.name);
      this.copy(contents);
      if (this.before.records > TOUCHED_MAX) {
        this.rcode = RCODE.REFUSED;
        return null;
      }
      this.carryOut(index);
    }
    const changes = difference(this.before, this.after);
    const { soa, origin } = this;
    if (soa !== null) changes.push(ADDED, origin, 0, TYPE.SOA, soa.ttl, soa.data, 0, soa.data.length);
    return changes;
  }

  // ---- prerequisites (RFC 2136 §3.2.5) -----------------------------------------------------------------------------

  private checkPrerequisites(contents: ZoneContents): number {
    const { message } = this;
    const expected = new ZoneContents(this.origin);
    for (let index = 0; index < message.answers; index++) {
      message.readOwner(index, this.name);
      const type = message.type[index]!;
      const node = contents.find(this.name.bytes, 0);
      const inUse = node !== 0 && contents.firstSet(node) !== 0;
      const there = type === TYPE.ANY ? inUse : node !== 0 && contents.setOf(node, type) !== 0;
      const rclass = message.class[index]!;
      if (rclass === CLASS.ANY && !there) return type === TYPE.ANY ? RCODE.NXDOMAIN : RCODE.NXRRSET;
      if (rclass === CLASS.NONE && there) return type === TYPE.ANY ? RCODE.YXDOMAIN : RCODE.YXRRSET;
      if (rclass !== CLASS.IN) continue;
      this.readData(index);
      expected.add(this.name.bytes, 0, type, 0, this.data.bytes, 0, this.data.length);
    }
    return this.setsAre(contents, expected) ? RCODE.NOERROR : RCODE.NXRRSET;
  }

  /** Whether each set that is expected is there with exactly these records. */
  private setsAre(contents: ZoneContents, expected: ZoneContents): boolean {
    let same = true;
    expected.each((name, type, _ttl, at, end) => {
      const node = contents.find(expected.arena, name);
      const set = node === 0 ? 0 : contents.setOf(node, type);
      const count = expected.countOf(expected.setOf(expected.find(expected.arena, name), type));
      if (set === 0 || contents.countOf(set) !== count || contents.indexOf(set, expected.arena, at, end) === 0)
        same = false;
    });
    return same;
  }

  // ---- the update itself (RFC 2136 §3.4.2) -------------------------------------------------------------------------

  /** What stands at the name, before and, as far as it is done, after. */
  private copy(contents: ZoneContents): void {
    const { bytes, length } = this.name;
    let key = '';
    for (let index = 0; index < length; index++) key += String.fromCharCode(LOWER[bytes[index]!]!);
    if (this.copied.has(key)) return;
    this.copied.add(key);
    const node = contents.find(bytes, 0);
    if (node === 0) return;
    contents.eachAt(node, (name, type, ttl, at, end) => {
      this.before.add(contents.arena, name, type, ttl, contents.arena, at, end);
      this.after.add(contents.arena, name, type, ttl, contents.arena, at, end);
    });
  }

  private carryOut(index: number): void {
    const { message } = this;
    const type = message.type[index]!;
    if (this.isKept(type)) return;
    switch (message.class[index]) {
      case CLASS.IN:
        this.readData(index);
        this.add(type, message.ttl[index]!);
        return;
      case CLASS.ANY:
        this.removeSets(type);
        return;
      default:
        this.readData(index);
        this.removeRecord(type);
    }
  }

  /** What the signer makes stays as it makes it (RFC 3007 §4). */
  private isKept(type: number): boolean {
    return this.isSigned && SIGNERS.has(type);
  }

  private add(type: number, ttl: number): void {
    const { after, name, data } = this;
    const node = after.find(name.bytes, 0);
    if (type === TYPE.SOA) {
      this.addSoa(ttl);
      return;
    }
    if (node !== 0) {
      const alias = after.setOf(node, TYPE.CNAME);
      // An alias stands alone, and what stands beside one is passed over (RFC 2136 §3.4.2.2).
      if (type === TYPE.CNAME ? alias === 0 && hasOthers(after, node) : alias !== 0 && !BESIDE_ALIAS.has(type)) return;
      if (type === TYPE.CNAME || type === TYPE.DNAME) this.removeAll(node, type);
    }
    after.add(name.bytes, 0, type, ttl, data.bytes, 0, data.length);
  }

  private addSoa(ttl: number): void {
    const { before, data } = this;
    if (within(this.name.bytes, 0, this.origin) !== 0) return;
    const set = before.setOf(APEX, TYPE.SOA);
    if (set === 0) return;
    const serial = data.bytes.readUInt32BE(serialAt(data.bytes, 0));
    const at = serialAt(before.arena, before.firstRecord(set));
    const present = Buffer.from(before.arena.buffer, before.arena.byteOffset).readUInt32BE(at);
    if (compareSerials(serial, present) <= 0) return;
    this.soa = { data: Uint8Array.from(data.bytes.subarray(0, data.length)), ttl };
  }

  private removeSets(type: number): void {
    const { after, name } = this;
    const node = after.find(name.bytes, 0);
    if (node === 0) return;
    if (type !== TYPE.ANY) {
      if (node !== APEX || (type !== TYPE.SOA && type !== TYPE.NS)) this.removeAll(node, type);
      return;
    }
    const types: number[] = [];
    for (let set = after.firstSet(node); set !== 0; set = after.nextSet(set)) types.push(after.typeOf(set));
    for (const each of types) {
      const stays =
        node === APEX && (each === TYPE.SOA || each === TYPE.NS || (this.isSigned && APEX_SIGNERS.has(each)));
      if (!stays && !this.isKept(each)) this.removeAll(node, each);
    }
  }

  private removeAll(node: number, type: number): void {
    const { after } = this;
    const list = new Changes();
    after.eachAt(node, (name, each, ttl, at, end) => {
      if (each === type) list.push(REMOVED, after.arena, name, each, ttl, after.arena, at, end);
    });
    list.each((_direction, name, each, _ttl, at, end, bytes) => after.remove(bytes, name, each, bytes, at, end));
    list.clear();
  }

  private removeRecord(type: number): void {
    const { after, name, data } = this;
    const node = after.find(name.bytes, 0);
    if (node === 0 || type === TYPE.SOA) return;
    // A zone keeps its last server (RFC 2136 §3.4.2.4).
    if (node === APEX && type === TYPE.NS && after.countOf(after.setOf(node, TYPE.NS)) === 1) return;
    after.remove(name.bytes, 0, type, data.bytes, 0, data.length);
  }
}

/** Those of them that a signer has at the apex alone. */
const APEX_SIGNERS: ReadonlySet<number> = new Set([TYPE.DNSKEY, TYPE.NSEC3PARAM, TYPE.CDS, TYPE.CDNSKEY]);
const SIGNERS: ReadonlySet<number> = new Set([TYPE.RRSIG, TYPE.NSEC, TYPE.NSEC3]);

const BESIDE_ALIAS: ReadonlySet<number> = new Set([TYPE.RRSIG, TYPE.NSEC, TYPE.KEY, TYPE.NSEC3]);

function hasOthers(contents: ZoneContents, node: number): boolean {
  for (let set = contents.firstSet(node); set !== 0; set = contents.nextSet(set))
    if (!BESIDE_ALIAS.has(contents.typeOf(set)) && contents.typeOf(set) !== TYPE.CNAME) return true;
  return false;
}
