// The records of one zone in memory: a few buffers and one hash table, so that a million records cost some eighty bytes each.
// A node is a number; what stands at it is a chain of sets. It does not know what is answered with them.
import { copyOf, u16, u32 } from '../../bytes/reader.ts';
import { compareNames, hashName, LOWER, nameEnd, sameName } from '../../formats/dns/name.ts';
import { coveredType, TYPE } from '../../formats/dns/records.ts';

/** In the flags of a node: it has NS below the apex, or DNAME: nothing below it is this zone's own. */
export const CUT = 1;
export const DNAME_HERE = 2;

/** A set: next set u32 · type u16 · count u16 · TTL u32 · bytes u32, then each record: length u16 · data. */
const SET_HEAD = 16;

/** The most octets of the records of one set: no more can be answered. */
export const SET_BYTES_MAX = 65_000;

/** The node of the zone's own name. */
export const APEX = 1;

/** Of the table's places, how many of eight are taken before it grows. */
const FILLED = 5;

const STAR = Uint8Array.of(1, 0x2a);

export class ZoneContents {
  readonly origin: Uint8Array;
  /** Names and sets. Offset 0 is nothing. */
  arena: Uint8Array;
  private used = 32;
  /** Bytes of the arena that nothing leads to any more. */
  private garbage = 0;
  private nodes = 1;
  private nameAt: Uint32Array;
  private sets: Uint32Array;
  private parents: Uint32Array;
  private children: Uint32Array;
  private flagsOf: Uint8Array;
  private table: Uint32Array;
  /** Records, and nodes that exist. */
  records = 0;
  live = 0;
  private ordered: Uint32Array | null = null;
  private hashed: Uint32Array | null = null;

  constructor(origin: Uint8Array, expected = 16) {
    this.origin = origin;
    this.arena = new Uint8Array(Math.max(1_024, expected * 48));
    const size = Math.max(32, expected + 8);
    this.nameAt = new Uint32Array(size);
    this.sets = new Uint32Array(size);
    this.parents = new Uint32Array(size);
    this.children = new Uint32Array(size);
    this.flagsOf = new Uint8Array(size);
    this.table = new Uint32Array(tableSize(size));
    this.newNode(origin, 0, 0);
  }

  /** Bytes that it holds. */
  get bytes(): number {
    return this.arena.length + this.nameAt.length * 17 + this.table.length * 4;
  }

  /** A copy that goes its own way. */
  clone(): ZoneContents {
    const copy = Object.create(ZoneContents.prototype) as ZoneContents;
    return Object.assign(copy, this, {
      arena: copyOf(this.arena, 0, this.arena.length),
      nameAt: this.nameAt.slice(),
      sets: this.sets.slice(),
      parents: this.parents.slice(),
      children: this.children.slice(),
      flagsOf: this.flagsOf.slice(),
      table: this.table.slice(),
    });
  }

  // ---- nodes -------------------------------------------------------------------------------------------------------

  /** The node of a name, if it exists: has records, or something below it; 0 for none. */
  find(name: Uint8Array, at: number): number {
    const node = this.probe(name, at);
    return node !== 0 && this.exists(node) ? node : 0;
  }

  /** The wildcard right below a node, or 0. */
  wildcardBelow(node: number): number {
    const nameAt = this.nameAt[node]!;
    const size = nameEnd(this.arena, nameAt) - nameAt;
    if (size > 253) return 0;
    SCRATCH.set(STAR);
    SCRATCH.set(this.arena.subarray(nameAt, nameAt + size), 2);
    return this.find(SCRATCH, 0);
  }

  exists(node: number): boolean {
    return this.sets[node] !== 0 || this.children[node] !== 0 || node === APEX;
  }

  hasChildren(node: number): boolean {
    return this.children[node] !== 0;
  }

  parent(node: number): number {
    return this.parents[node]!;
  }

  flags(node: number): number {
    return this.flagsOf[node]!;
  }

  /** Where the node's name begins in the arena. */
  name(node: number): number {
    return this.nameAt[node]!;
  }

  private probe(name: Uint8Array, at: number): number {
    const { table, arena, nameAt } = this;
    const mask = table.length - 1;
    for (let place = hashName(name, at) & mask; ; place = (place + 1) & mask) {
      const node = table[place]!;
      if (node === 0 || sameName(arena, nameAt[node]!, name, at)) return node;
    }
  }

  /** The node of a name at or below the origin, made if need be, with all between. */
  private ensure(name: Uint8Array, at: number): number {
    const node = this.probe(name, at);
    if (node !== 0) return node;
    const parent = this.ensure(name, at + name[at]! + 1);
    return this.newNode(name, at, parent);
  }

  private newNode(name: Uint8Array, at: number, parent: number): number {
    if (this.nodes >= this.nameAt.length) this.growNodes();
    const node = this.nodes++;
    const end = nameEnd(name, at);
    const place = this.room(end - at);
    this.arena.set(name.subarray(at, end), place);
    this.nameAt[node] = place;
    this.parents[node] = parent;
    this.sets[node] = 0;
    this.children[node] = 0;
    this.flagsOf[node] = 0;
    if (this.nodes * 8 > this.table.length * FILLED) this.rehash(this.table.length * 2);
    else this.enter(node);
    if (node === APEX) this.live = 1;
    return node;
  }

  private enter(node: number): void {
    const { table } = this;
    const mask = table.length - 1;
    let place = hashName(this.arena, this.nameAt[node]!) & mask;
    while (table[place] !== 0) place = (place + 1) & mask;
    table[place] = node;
  }

  private rehash(size: number): void {
    this.table = new Uint32Array(size);
    for (let node = 1; node < this.nodes; node++) this.enter(node);
  }

  private growNodes(): void {
    const size = this.nameAt.length + (this.nameAt.length >> 1) + 64;
    this.nameAt = grown(this.nameAt, size);
    this.sets = grown(this.sets, size);
    this.parents = grown(this.parents, size);
    this.children = grown(this.children, size);
    const flags = new Uint8Array(size);
    flags.set(this.flagsOf);
    this.flagsOf = flags;
  }

  /** Room for that many bytes at the arena's end. */
  private room(size: number): number {
    const at = this.used;
    if (at + size > this.arena.length) {
      const arena = new Uint8Array(Math.max(at + size, this.arena.length + (this.arena.length >> 1)));
      arena.set(this.arena.subarray(0, at));
      this.arena = arena;
    }
    this.used = at + size;
    return at;
  }

  // ---- sets --------------------------------------------------------------------------------------------------------

  /** The first set at a node, or 0. */
  firstSet(node: number): number {
    return this.sets[node]!;
  }

  nextSet(set: number): number {
    return u32(this.arena, set);
  }

  /** The set of that type at a node, or 0. */
  setOf(node: number, type: number): number {
    const { arena } = this;
    let set = this.sets[node]!;
    while (set !== 0 && u16(arena, set + 4) !== type) set = u32(arena, set);
    return set;
  }

  typeOf(set: number): number {
    return u16(this.arena, set + 4);
  }

  countOf(set: number): number {
    return u16(this.arena, set + 6);
  }

  ttlOf(set: number): number {
    return u32(this.arena, set + 8);
  }

  /** Of one record: a signature's is that of what it covers (RFC 4034 §3.1.4). */
  ttlAt(set: number, record: number): number {
    return this.typeOf(set) === TYPE.RRSIG ? u32(this.arena, record + 4) : this.ttlOf(set);
  }

  /** Where the first record's data begins; its length is the two octets before. */
  firstRecord(set: number): number {
    return set + SET_HEAD + 2;
  }

  recordEnd(record: number): number {
    return record + u16(this.arena, record - 2);
  }

  /** Adds a record. False when it is there already, or the set is full. Its set takes the TTL (RFC 2181 §5.2). */
  add(
    name: Uint8Array,
    nameAt: number,
    type: number,
    ttl: number,
    data: Uint8Array,
    dataAt: number,
    dataEnd: number,
  ): boolean {
    const node = this.ensure(name, nameAt);
    const existed = this.exists(node);
    const set = this.setOf(node, type);
    if (set !== 0) {
      if (!this.append(node, set, ttl, data, dataAt, dataEnd)) return false;
    } else {
      const size = SET_HEAD + 2 + dataEnd - dataAt;
      const at = this.room(size);
      this.putHead(at, this.sets[node]!, type, 1, ttl, size - SET_HEAD);
      this.putRecord(at + SET_HEAD, data, dataAt, dataEnd);
      this.sets[node] = at;
      if (!existed) this.born(node);
      this.reflag(node);
    }
    this.records++;
    if (type === TYPE.NSEC3) this.hashed = null;
    return true;
  }

  private append(node: number, set: number, ttl: number, data: Uint8Array, dataAt: number, dataEnd: number): boolean {
    if (this.indexOf(set, data, dataAt, dataEnd) !== 0) {
      this.put32(set + 8, ttl);
      return false;
    }
    const bytes = u32(this.arena, set + 12);
    const more = 2 + dataEnd - dataAt;
    if (bytes + more > SET_BYTES_MAX) return false;
    let at = set;
    if (set + SET_HEAD + bytes === this.used) this.room(more);
    else at = this.moveSet(node, set, bytes, more);
    this.putRecord(at + SET_HEAD + bytes, data, dataAt, dataEnd);
    this.putHead(at, u32(this.arena, at), u16(this.arena, at + 4), u16(this.arena, at + 6) + 1, ttl, bytes + more);
    return true;
  }

  /** Writes a set anew at the end, with room for `more`. */
  private moveSet(node: number, set: number, bytes: number, more: number): number {
    const at = this.room(SET_HEAD + bytes + more);
    this.arena.copyWithin(at, set, set + SET_HEAD + bytes);
    this.garbage += SET_HEAD + bytes;
    this.relink(node, set, at);
    return at;
  }

  private relink(node: number, from: number, to: number): void {
    if (this.sets[node] === from) {
      this.sets[node] = to;
      return;
    }
    let set = this.sets[node]!;
    while (u32(this.arena, set) !== from) set = u32(this.arena, set);
    this.put32(set, to);
  }

  /** The record with that data, or 0. */
  indexOf(set: number, data: Uint8Array, dataAt: number, dataEnd: number): number {
    const { arena } = this;
    const size = dataEnd - dataAt;
    let record = set + SET_HEAD + 2;
    for (let left = u16(arena, set + 6); left > 0; left--) {
      const length = u16(arena, record - 2);
      if (length === size) {
        let index = 0;
        while (index < size && LOWER[arena[record + index]!] === LOWER[data[dataAt + index]!]) index++;
        if (index === size && this.isSame(set, record, data, dataAt, size)) return record;
      }
      record += length + 2;
    }
    return 0;
  }

  /** Data that differs in case alone is the same where that case is a name's (RFC 2136 §1.1.1, RFC 4343). */
  private isSame(set: number, record: number, data: Uint8Array, dataAt: number, size: number): boolean {
    const { arena } = this;
    let exact = true;
    for (let index = 0; exact && index < size; index++) exact = arena[record + index] === data[dataAt + index];
    return exact || CASELESS.has(u16(arena, set + 4));
  }

  /** Removes a record; false when there was none. */
  remove(name: Uint8Array, nameAt: number, type: number, data: Uint8Array, dataAt: number, dataEnd: number): boolean {
    const node = this.probe(name, nameAt);
    const set = node === 0 ? 0 : this.setOf(node, type);
    const record = set === 0 ? 0 : this.indexOf(set, data, dataAt, dataEnd);
    if (record === 0) return false;
    const { arena } = this;
    const size = dataEnd - dataAt + 2;
    if (u16(arena, set + 6) === 1) this.unlink(node, set);
    else {
      const bytes = u32(arena, set + 12);
      arena.copyWithin(record - 2, record - 2 + size, set + SET_HEAD + bytes);
      this.putHead(set, u32(arena, set), type, u16(arena, set + 6) - 1, u32(arena, set + 8), bytes - size);
      this.garbage += size;
    }
    this.records--;
    if (type === TYPE.NSEC3) this.hashed = null;
    return true;
  }

  private unlink(node: number, set: number): void {
    this.garbage += SET_HEAD + u32(this.arena, set + 12);
    this.relink(node, set, u32(this.arena, set));
    this.reflag(node);
    if (!this.exists(node)) this.died(node);
  }

  setTtl(set: number, ttl: number): void {
    this.put32(set + 8, ttl);
  }

  private born(node: number): void {
    this.live++;
    this.ordered = null;
    const parent = this.parents[node]!;
    if (parent === 0) return;
    const existed = this.exists(parent);
    this.children[parent]!++;
    if (!existed) this.born(parent);
  }

  private died(node: number): void {
    this.live--;
    this.ordered = null;
    const parent = this.parents[node]!;
    this.children[parent]!--;
    if (!this.exists(parent)) this.died(parent);
  }

  private reflag(node: number): void {
    let flags = node !== APEX && this.setOf(node, TYPE.NS) !== 0 ? CUT : 0;
    if (this.setOf(node, TYPE.DNAME) !== 0) flags |= DNAME_HERE;
    this.flagsOf[node] = flags;
  }

  private putHead(at: number, next: number, type: number, count: number, ttl: number, bytes: number): void {
    const { arena } = this;
    this.put32(at, next);
    arena[at + 4] = type >>> 8;
    arena[at + 5] = type;
    arena[at + 6] = count >>> 8;
    arena[at + 7] = count;
    this.put32(at + 8, ttl);
    this.put32(at + 12, bytes);
  }

  private putRecord(at: number, data: Uint8Array, dataAt: number, dataEnd: number): void {
    const { arena } = this;
    const size = dataEnd - dataAt;
    arena[at] = size >>> 8;
    arena[at + 1] = size;
    for (let index = 0; index < size; index++) arena[at + 2 + index] = data[dataAt + index]!;
  }

  private put32(at: number, value: number): void {
    const { arena } = this;
    arena[at] = value >>> 24;
    arena[at + 1] = value >>> 16;
    arena[at + 2] = value >>> 8;
    arena[at + 3] = value;
  }

  // ---- all of it ---------------------------------------------------------------------------------------------------

  /** All nodes that exist, the apex first, in canonical order (RFC 4034 §6.1). Valid until the next change. */
  order(): Uint32Array {
    this.ordered ??= this.sorted((node) => this.exists(node));
    return this.ordered;
  }

  /** Those with NSEC3, in the order of their hashes. */
  hashOrder(): Uint32Array {
    this.hashed ??= this.sorted((node) => this.setOf(node, TYPE.NSEC3) !== 0);
    return this.hashed;
  }

  private sorted(wanted: (node: number) => boolean): Uint32Array {
    const found = new Uint32Array(this.nodes);
    let count = 0;
    for (let node = 1; node < this.nodes; node++) if (wanted(node)) found[count++] = node;
    const { arena, nameAt } = this;
    return found.slice(0, count).sort((a, b) => compareNames(arena, arena, nameAt[a]!, nameAt[b]!));
  }

  /** How many numbers nodes have: those from 1 to below it may exist. */
  get nodesEnd(): number {
    return this.nodes;
  }

  /** Whether so much of it is garbage that writing it anew is worth while. */
  get isWasteful(): boolean {
    return this.garbage > 65_536 && this.garbage * 2 > this.used;
  }

  /** The same, without garbage. */
  compacted(): ZoneContents {
    const copy = new ZoneContents(this.origin, this.live);
    this.each((name, type, ttl, data, end) => copy.add(this.arena, name, type, ttl, this.arena, data, end));
    return copy;
  }

  /** Visits all records: the offsets of name and data in the arena. */
  each(visit: (name: number, type: number, ttl: number, data: number, end: number) => void): void {
    for (let node = 1; node < this.nodes; node++) this.eachAt(node, visit);
  }

  eachAt(node: number, visit: (name: number, type: number, ttl: number, data: number, end: number) => void): void {
    const name = this.nameAt[node]!;
    for (let set = this.sets[node]!; set !== 0; set = this.nextSet(set)) {
      let record = this.firstRecord(set);
      for (let left = this.countOf(set); left > 0; left--) {
        const end = this.recordEnd(record);
        visit(name, this.typeOf(set), this.ttlAt(set, record), record, end);
        record = end + 2;
      }
    }
  }

  /** How many of a set of RRSIG cover that type. */
  signatures(set: number, type: number): number {
    let count = 0;
    let record = this.firstRecord(set);
    for (let left = this.countOf(set); left > 0; left--) {
      if (coveredType(this.arena, record) === type) count++;
      record = this.recordEnd(record) + 2;
    }
    return count;
  }
}

const SCRATCH = new Uint8Array(258);

/** Types whose data is names and numbers only, so that octets that differ in the case of letters are compared as names. */
const CASELESS: ReadonlySet<number> = new Set([TYPE.NS, TYPE.CNAME, TYPE.PTR, TYPE.DNAME, TYPE.MX, TYPE.SRV, TYPE.SOA]);

function tableSize(nodes: number): number {
  let size = 64;
  while (size * FILLED < nodes * 8) size *= 2;
  return size;
}

function grown(array: Uint32Array, size: number): Uint32Array {
  const larger = new Uint32Array(size);
  larger.set(array);
  return larger;
}
