// A list of records that leave and come, in one buffer: what an update does, what is kept of it, and what IXFR sends. It does
// not know to which zone it belongs.
import { u16, u32 } from '../../bytes/reader.ts';
import { ByteWriter } from '../../bytes/writer.ts';
import { nameEnd } from '../../formats/dns/name.ts';
import { TYPE } from '../../formats/dns/records.ts';
import type { ZoneContents } from './contents.ts';

export const REMOVED = 0;
export const ADDED = 1;
export type Direction = typeof REMOVED | typeof ADDED;

/** The most bytes of one list: a zone that is larger comes in several. */
const BYTES_MAX = 1 << 30;

/** Visited once a record; offsets into the list's bytes. False ends the visit. */
export type ChangeVisitor = (
  direction: Direction,
  name: number,
  type: number,
  ttl: number,
  data: number,
  end: number,
  bytes: Uint8Array,
) => void;

/** direction u8 · name · type u16 · TTL u32 · length u16 · data, again and again. */
export class Changes {
  private readonly out: ByteWriter = new ByteWriter(BYTES_MAX);
  removed = 0;
  added = 0;

  get count(): number {
    return this.removed + this.added;
  }

  get size(): number {
    return this.out.length;
  }

  push(
    direction: Direction,
    name: Uint8Array,
    nameAt: number,
    type: number,
    ttl: number,
    data: Uint8Array,
    at: number,
    end: number,
  ): void {
    const { out } = this;
    if (direction === ADDED) this.added++;
    else this.removed++;
    out.u8(direction);
    out.copy(name, nameAt, nameEnd(name, nameAt));
    out.u16(type);
    out.u32(ttl);
    out.u16(end - at);
    out.copy(data, at, end);
  }

  /** Bytes that are kept; the list is empty afterwards. */
  take(): Uint8Array {
    const bytes = Uint8Array.from(this.out.bytes.subarray(0, this.out.length));
    this.clear();
    return bytes;
  }

  clear(): void {
    this.out.clear();
    this.removed = 0;
    this.added = 0;
  }

  each(visit: ChangeVisitor): void {
    eachChange(this.out.bytes, 0, this.out.length, visit);
  }
}

export function eachChange(bytes: Uint8Array, at: number, stop: number, visit: ChangeVisitor): void {
  while (at < stop) {
    const direction = bytes[at]! as Direction;
    const name = at + 1;
    const head = nameEnd(bytes, name);
    const data = head + 8;
    const end = data + u16(bytes, head + 6);
    visit(direction, name, u16(bytes, head), u32(bytes, head + 2), data, end, bytes);
    at = end;
  }
}

/** Carries out what a list says. */
export function applyChanges(contents: ZoneContents, bytes: Uint8Array, at = 0, stop = bytes.length): void {
  eachChange(bytes, at, stop, (direction, name, type, ttl, data, end) => {
    if (direction === ADDED) contents.add(bytes, name, type, ttl, bytes, data, end);
    else contents.remove(bytes, name, type, bytes, data, end);
  });
}

/** Takes back what a list did, from its end on. Each of its records must have done something. */
export function undoChanges(contents: ZoneContents, bytes: Uint8Array): void {
  const starts: number[] = [];
  eachChange(bytes, 0, bytes.length, (_direction, name) => starts.push(name - 1));
  for (const start of starts.toReversed())
    eachChange(bytes, start, start + 1, (direction, name, type, ttl, data, end) => {
      if (direction === ADDED) contents.remove(bytes, name, type, bytes, data, end);
      else contents.add(bytes, name, type, ttl, bytes, data, end);
    });
}

/** What leads from one state of a zone to another. SOA is left out: whoever changes a zone says which serial it has then. */
export function difference(from: ZoneContents, to: ZoneContents): Changes {
  const changes = new Changes();
  const compare = (direction: Direction, one: ZoneContents, other: ZoneContents) =>
    one.each((name, type, ttl, data, end) => {
      if (type === TYPE.SOA) return;
      const node = other.find(one.arena, name);
      const set = node === 0 ? 0 : other.setOf(node, type);
      // Signatures have the TTL of what they cover, not of their set.
      const sameTtl = type === TYPE.RRSIG || (set !== 0 && other.ttlOf(set) === ttl);
      const there = set !== 0 && sameTtl && other.indexOf(set, one.arena, data, end) !== 0;
      if (!there) changes.push(direction, one.arena, name, type, ttl, one.arena, data, end);
    });
  compare(REMOVED, from, to);
  compare(ADDED, to, from);
  return changes;
}
