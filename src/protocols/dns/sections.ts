// The sections of an answer while it is looked up: sets in the order in which they were found, written out section by section
// once all are known. A set that must be there and does not fit truncates the answer (RFC 2181 §9).
import type { ZoneContents } from '../../resources/names/contents.ts';
import type { AnswerSink, Section } from '../../resources/names/lookup.ts';
import type { MessageWriter } from './codec-write.ts';

const RRSIG = 46;
/** Offsets of the counts in the header, by section. */
const COUNTS = [6, 8, 10] as const;
/** Sets of one answer: a chain of aliases, proofs, the addresses of some servers. */
const SETS_MAX = 512;

interface Found {
  section: Section;
  owner: Uint8Array;
  ownerAt: number;
  zone: ZoneContents | null;
  set: number;
  type: number;
  ttl: number;
  signatures: number;
  must: boolean;
  data: Uint8Array;
}

const NONE = new Uint8Array(0);

export class Sections implements AnswerSink {
  /** Kept for the next answer. */
  private readonly found: Found[] = [];
  private count = 0;
  private out: MessageWriter | null = null;

  clear(): void {
    this.count = 0;
  }

  set(
    section: Section,
    owner: Uint8Array,
    ownerAt: number,
    zone: ZoneContents,
    set: number,
    ttl: number,
    signatures: number,
    must: boolean,
  ): void {
    const found = this.next();
    if (found === null || this.isRepeated(zone, set, section, owner, ownerAt)) return;
    this.count++;
    found.section = section;
    found.owner = owner;
    found.ownerAt = ownerAt;
    found.zone = zone;
    found.set = set;
    found.ttl = ttl;
    found.signatures = signatures;
    found.must = must;
  }

  made(section: Section, owner: Uint8Array, type: number, ttl: number, data: Uint8Array): void {
    const found = this.next();
    if (found === null) return;
    this.count++;
    found.section = section;
    found.owner = owner;
    found.ownerAt = 0;
    found.zone = null;
    found.type = type;
    found.ttl = ttl;
    found.must = true;
    found.data = data;
  }

  /** The addresses of one server that several records name, a proof that proves twice. */
  private isRepeated(zone: ZoneContents, set: number, section: Section, owner: Uint8Array, ownerAt: number): boolean {
    for (let index = 0; index < this.count; index++) {
      const other = this.found[index]!;
      if (other.zone !== zone || other.set !== set) continue;
      // A wildcard's set may stand under several names; what is in the answer need not be added.
      if (section > 0 || (other.owner === owner && other.ownerAt === ownerAt)) return true;
    }
    return false;
  }

  private next(): Found | null {
    if (this.count === SETS_MAX) return null;
    return (this.found[this.count] ??= {
      section: 0,
      owner: NONE,
      ownerAt: 0,
      zone: null,
      set: 0,
      type: 0,
      ttl: 0,
      signatures: 0,
      must: false,
      data: NONE,
    });
  }

  /** Writes all; false when what must be there does not fit. */
  write(out: MessageWriter): boolean {
    this.out = out;
    for (let section = 0; section < 3; section++) {
      for (let index = 0; index < this.count; index++) {
        const found = this.found[index]!;
        if (found.section !== section) continue;
        const from = out.at;
        const offset = COUNTS[section]!;
        const counted = out.count(offset);
        if (this.writeFound(found, offset)) continue;
        out.cut(from);
        out.setCount(offset, counted);
        if (found.must) return false;
      }
    }
    return true;
  }

  private writeFound(found: Found, offset: number): boolean {
    const { zone, owner, ownerAt, set, ttl } = found;
    const out = this.out!;
    if (zone === null) return out.record(offset, owner, ownerAt, found.type, 1, ttl, found.data, 0, found.data.length);
    const { arena } = zone;
    const type = zone.typeOf(set);
    let record = zone.firstRecord(set);
    for (let left = zone.countOf(set); left > 0; left--) {
      const end = zone.recordEnd(record);
      if (!out.record(offset, owner, ownerAt, type, 1, ttl, arena, record, end)) return false;
      record = end + 2;
    }
    return found.signatures === 0 || this.writeSignatures(found, type, offset);
  }

  private writeSignatures({ zone, owner, ownerAt, signatures, ttl }: Found, type: number, offset: number): boolean {
    const { arena } = zone!;
    const out = this.out!;
    let record = zone!.firstRecord(signatures);
    for (let left = zone!.countOf(signatures); left > 0; left--) {
      const end = zone!.recordEnd(record);
      const covers = (arena[record]! << 8) | arena[record + 1]!;
      if (covers === type && !out.record(offset, owner, ownerAt, RRSIG, 1, ttl, arena, record, end)) return false;
      record = end + 2;
    }
    return true;
  }
}
