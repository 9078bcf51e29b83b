// Messages written in place, with names compressed (RFC 1035 §4.1.4): into bytes of a fixed length, so that what does not fit
// is cut back and said. It allocates nothing but its dictionary, once.
import { u16 } from '../../bytes/reader.ts';
import { LOWER, nameEnd } from '../../formats/dns/name.ts';
import { formOf, isCompressed, TYPE } from '../../formats/dns/records.ts';
import { HEADER_BYTES } from './wire.ts';

/** Places in the dictionary of names: a power of two. */
const PLACES = 4_096;
/** How many places are looked at before a name goes uncompressed. */
const TRIES = 8;
/** Pointers have fourteen bits. */
const POINTER_MAX = 0x3fff;

const LABELS = new Uint8Array(128);
const HASHES = new Uint32Array(128);

/** Writes one message at a time into `bytes[start..limit)`. */
export class MessageWriter {
  bytes: Uint8Array = new Uint8Array(0);
  start = 0;
  /** The index behind what was written. */
  at = 0;
  /** What must not be written over. */
  limit = 0;
  /** Names in the case in which they were given, at the price of less compression: for transfers. */
  keepsCase = false;
  /** By place: the generation in the upper half, the offset of a name in the lower. */
  private readonly places = new Uint32Array(PLACES);
  private generation = 0;
  /** Which places were taken in this message, in order. */
  private readonly entered = new Uint16Array(PLACES);
  private entries = 0;

  /** Begins a message; `limit` counts from the message's beginning. */
  begin(bytes: Uint8Array, start: number, limit: number): void {
    this.bytes = bytes;
    this.start = start;
    this.limit = Math.min(bytes.length, start + limit);
    this.at = start + HEADER_BYTES;
    this.keepsCase = false;
    this.entries = 0;
    this.generation = (this.generation + 1) & 0xffff;
    if (this.generation === 0) {
      this.places.fill(0);
      this.generation = 1;
    }
    bytes.fill(0, start, start + HEADER_BYTES);
  }

  /** Goes on with a message of that length that was written before; its names are not known. */
  resume(bytes: Uint8Array, start: number, length: number, limit: number): void {
    this.bytes = bytes;
    this.start = start;
    this.at = start + length;
    this.limit = Math.min(bytes.length, start + limit);
  }

  /** Appends a record as it is, its owner uncompressed. */
  recordPlain(offset: number, owner: Uint8Array, type: number, rclass: number, ttl: number, data: Uint8Array): boolean {
    if (this.at + owner.length + 10 + data.length > this.limit) return false;
    this.raw(owner, 0, owner.length);
    this.u16(type);
    this.u16(rclass);
    this.u32(ttl);
    this.u16(data.length);
    this.raw(data, 0, data.length);
    this.setCount(offset, this.count(offset) + 1);
    return true;
  }

  get length(): number {
    return this.at - this.start;
  }

  header(id: number, flags: number): void {
    this.put16(this.start, id);
    this.put16(this.start + 2, flags);
  }

  /** Sets the count of a section: 4 questions, 6 answers, 8 authorities, 10 additionals. */
  setCount(offset: number, count: number): void {
    this.put16(this.start + offset, count);
  }

  count(offset: number): number {
    return u16(this.bytes, this.start + offset);
  }

  private put16(at: number, value: number): void {
    this.bytes[at] = value >>> 8;
    this.bytes[at + 1] = value;
  }

  u8(value: number): boolean {
    if (this.at + 1 > this.limit) return false;
    this.bytes[this.at++] = value;
    return true;
  }

  u16(value: number): boolean {
    if (this.at + 2 > this.limit) return false;
    this.put16(this.at, value);
    this.at += 2;
    return true;
  }

  u32(value: number): boolean {
    if (this.at + 4 > this.limit) return false;
    this.put16(this.at, value >>> 16);
    this.put16(this.at + 2, value);
    this.at += 4;
    return true;
  }

  raw(from: Uint8Array, at: number, end: number): boolean {
    const size = end - at;
    if (this.at + size > this.limit) return false;
    if (size > 64) this.bytes.set(from.subarray(at, end), this.at);
    else for (let index = 0; index < size; index++) this.bytes[this.at + index] = from[at + index]!;
    this.at += size;
    return true;
  }

  /** Appends the question, its name as it was asked, and counts it. */
  question(name: Uint8Array, nameAt: number, type: number, qclass: number): boolean {
    const from = this.at;
    if (!this.name(name, nameAt, true) || !this.u16(type) || !this.u16(qclass)) {
      this.cut(from);
      return false;
    }
    this.setCount(4, this.count(4) + 1);
    return true;
  }

  /**
   * Appends a record with data in its kept form and counts it in the section at `offset` of the header; false when it does not
   * fit, and nothing is written then.
   */
  record(
    offset: number,
    owner: Uint8Array,
    ownerAt: number,
    type: number,
    rclass: number,
    ttl: number,
    data: Uint8Array,
    dataAt: number,
    dataEnd: number,
  ): boolean {
    const from = this.at;
    if (
      this.name(owner, ownerAt, true) &&
      this.u16(type) &&
      this.u16(rclass) &&
      this.u32(ttl) &&
      this.u16(dataEnd - dataAt) &&
      this.rdata(type, data, dataAt, dataEnd)
    ) {
      this.setCount(offset, this.count(offset) + 1);
      return true;
    }
    this.cut(from);
    return false;
  }

  /** Appends data behind its length, which is already written, and mends that. */
  private rdata(type: number, data: Uint8Array, at: number, end: number): boolean {
    if (!isCompressed(type)) return this.raw(data, at, end);
    const from = this.at;
    for (const field of formOf(type)!) {
      const next = field.size(data, at, end);
      // Data that is not of its type is not kept; as it is, were it so.
      if (next < 0) return this.raw(data, at, end);
      if (!(field.name?.compressed === true ? this.name(data, at, true) : this.raw(data, at, next))) return false;
      at = next;
    }
    this.put16(from - 2, this.at - from);
    return true;
  }

  /** Appends OPT and counts it (RFC 6891 §6.1.2). Options are added behind it with `option`. */
  opt(udpBytes: number, rcode: number, version: number, flags: number): boolean {
    if (this.at + 11 > this.limit) return false;
    this.bytes[this.at++] = 0;
    this.u16(TYPE.OPT);
    this.u16(udpBytes);
    this.u8(rcode >>> 4);
    this.u8(version);
    this.u16(flags);
    this.u16(0);
    this.optAt = this.at;
    this.setCount(10, this.count(10) + 1);
    return true;
  }
  private optAt = 0;

  /** Appends an option to the OPT that was written last; false when it does not fit. */
  option(code: number, data: Uint8Array, at: number, end: number): boolean {
    const from = this.at;
    if (!this.u16(code) || !this.u16(end - at) || !this.raw(data, at, end)) {
      this.at = from;
      return false;
    }
    this.put16(this.optAt - 2, this.at - this.optAt);
    return true;
  }

  /**
   * Appends a name, as a pointer as far as it stands in the message already. False when it does not fit; what was written of
   * it is cut by the caller.
   */
  name(name: Uint8Array, nameAt: number, compress: boolean): boolean {
    if (name[nameAt] === 0) return this.u8(0);
    if (!compress) return this.raw(name, nameAt, nameEnd(name, nameAt));
    const labels = this.hashLabels(name, nameAt);
    for (let label = 0; label < labels; label++) {
      const at = LABELS[label]! + nameAt;
      const known = this.find(name, at, HASHES[label]!);
      if (known >= 0) return this.u16(0xc000 | known);
      const size = name[at]! + 1;
      if (this.at + size > this.limit) return false;
      this.enter(HASHES[label]!);
      for (let index = 0; index < size; index++) this.bytes[this.at + index] = name[at + index]!;
      this.at += size;
    }
    return this.u8(0);
  }

  /** The hash of each suffix, from the last label on, and where its first label is. */
  private hashLabels(name: Uint8Array, nameAt: number): number {
    let count = 0;
    for (let at = nameAt; name[at] !== 0; at += name[at]! + 1) LABELS[count++] = at - nameAt;
    let hash = 0x811c9dc5;
    for (let label = count - 1; label >= 0; label--) {
      const at = nameAt + LABELS[label]!;
      const end = at + name[at]!;
      for (let index = at + 1; index <= end; index++) hash = Math.imul(hash ^ LOWER[name[index]!]!, 0x01000193);
      hash = Math.imul(hash ^ 0x100, 0x01000193);
      HASHES[label] = hash;
    }
    return count;
  }

  /** The offset of the name that ends `name` from `at` on, or -1. */
  private find(name: Uint8Array, at: number, hash: number): number {
    const { places, generation } = this;
    let place = (hash ^ (hash >>> 16)) & (PLACES - 1);
    for (let tries = 0; tries < TRIES; tries++) {
      const held = places[place]!;
      if (held >>> 16 !== generation) return -1;
      if (this.isAt(held & 0xffff, name, at)) return held & 0xffff;
      place = (place + 1) & (PLACES - 1);
    }
    return -1;
  }

  /** Whether the name at `offset` of the message is the one at `at`; both in any case unless case is kept. */
  private isAt(offset: number, name: Uint8Array, at: number): boolean {
    const { bytes, start, keepsCase } = this;
    let here = start + offset;
    for (;;) {
      const size = bytes[here]!;
      if (size >= 0xc0) {
        here = start + (((size & 0x3f) << 8) | bytes[here + 1]!);
        continue;
      }
      if (size !== name[at]!) return false;
      if (size === 0) return true;
      for (let index = 1; index <= size; index++) {
        const a = bytes[here + index]!;
        const b = name[at + index]!;
        if (a !== b && (keepsCase || LOWER[a] !== LOWER[b])) return false;
      }
      here += size + 1;
      at += size + 1;
    }
  }

  /** Remembers that a name begins here. */
  private enter(hash: number): void {
    const offset = this.at - this.start;
    if (offset > POINTER_MAX) return;
    const { places, generation } = this;
    let place = (hash ^ (hash >>> 16)) & (PLACES - 1);
    for (let tries = 0; tries < TRIES; tries++) {
      if (places[place]! >>> 16 !== generation) {
        places[place] = ((generation << 16) | offset) >>> 0;
        this.entered[this.entries++] = place;
        return;
      }
      place = (place + 1) & (PLACES - 1);
    }
  }

  /** Forgets what was written from `at` on, and the names that begin there: the last to be entered are the first to go. */
  cut(at: number): void {
    const { places, entered, start } = this;
    while (this.entries > 0) {
      const place = entered[this.entries - 1]!;
      if ((places[place]! & 0xffff) < at - start) break;
      places[place] = 0;
      this.entries--;
    }
    this.at = at;
  }
}
