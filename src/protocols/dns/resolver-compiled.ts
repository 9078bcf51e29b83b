// Answers of the resolver that were written before, ready to be sent again while they live: found by their question in any case,
// their TTLs lowered by their age. One buffer of places of equal size; nothing is allocated for an answer.

import { u16 } from '../../bytes/reader.ts';
import type { Instant } from '../../core/time.ts';
import { LOWER } from '../../formats/dns/name.ts';
import { HEADER_BYTES } from './wire.ts';

const PLACES = 16_384;
const PLACE_BYTES = 512;
/** until f64 · since f64 · question length u16 · answer length u16 · variant u16 · TTLs u16 · offsets of TTLs u16 each · answer */
const HEAD = 24;
/** Records of one answer; one with more is not kept. */
const TTLS_MAX = 16;
const ANSWER_AT = HEAD + TTLS_MAX * 2;

export class KeptAnswers {
  private readonly store = Buffer.alloc(PLACES * PLACE_BYTES);
  /** Answers given from here. */
  given = 0;

  private placeOf(bytes: Uint8Array, start: number, end: number, variant: number): number {
    let hash = 0x811c9dc5 ^ variant;
    for (let at = start; at < end; at++) hash = Math.imul(hash ^ LOWER[bytes[at]!]!, 0x01000193);
    return (((hash ^ (hash >>> 15)) >>> 0) & (PLACES - 1)) * PLACE_BYTES;
  }

  /** Copies the answer to the question `bytes[start..end)` to `out`; its length, 0 when there is none of at most `most` bytes. */
  find(
    bytes: Uint8Array,
    start: number,
    end: number,
    variant: number,
    now: Instant,
    out: Uint8Array,
    most: number,
  ): number {
    const { store } = this;
    const place = this.placeOf(bytes, start, end, variant);
    const size = end - start;
    if (store.readUInt16LE(place + 16) !== size || store.readUInt16LE(place + 20) !== variant) return 0;
    const length = store.readUInt16LE(place + 18);
    if (length > most || now >= store.readDoubleLE(place)) return 0;
    const from = place + ANSWER_AT;
    const asked = from + HEADER_BYTES;
    for (let at = 0; at < size; at++) if (LOWER[store[asked + at]!] !== LOWER[bytes[start + at]!]) return 0;
    for (let at = 0; at < length; at++) out[at] = store[from + at]!;
    // As it was asked this time.
    for (let at = 0; at < size; at++) out[HEADER_BYTES + at] = bytes[start + at]!;
    this.age(place, out, Math.floor((now - store.readDoubleLE(place + 8)) / 1_000));
    this.given++;
    return length;
  }

  private age(place: number, out: Uint8Array, seconds: number): void {
    if (seconds <= 0) return;
    const { store } = this;
    const count = store.readUInt16LE(place + 22);
    for (let index = 0; index < count; index++) {
      const at = store.readUInt16LE(place + HEAD + index * 2);
      const before = ((out[at]! << 24) | (out[at + 1]! << 16) | (out[at + 2]! << 8) | out[at + 3]!) >>> 0;
      const ttl = Math.max(0, before - seconds);
      out[at] = ttl >>> 24;
      out[at + 1] = ttl >>> 16;
      out[at + 2] = ttl >>> 8;
      out[at + 3] = ttl;
    }
  }

  /** Keeps an answer, without OPT, whose question stands right behind its header. */
  keep(
    bytes: Uint8Array,
    start: number,
    end: number,
    variant: number,
    since: Instant,
    until: Instant,
    answer: Uint8Array,
    length: number,
  ): void {
    if (ANSWER_AT + length > PLACE_BYTES || until <= since) return;
    const { store } = this;
    const place = this.placeOf(bytes, start, end, variant);
    const count = this.ttlsOf(answer, HEADER_BYTES + end - start, length, place);
    if (count < 0) {
      store.writeDoubleLE(0, place);
      return;
    }
    store.writeDoubleLE(until, place);
    store.writeDoubleLE(since, place + 8);
    store.writeUInt16LE(end - start, place + 16);
    store.writeUInt16LE(length, place + 18);
    store.writeUInt16LE(variant, place + 20);
    store.writeUInt16LE(count, place + 22);
    store.set(answer.subarray(0, length), place + ANSWER_AT);
  }

  /** Writes down where the TTLs of the records stand, which are ours and well made; -1 when they are too many. */
  private ttlsOf(answer: Uint8Array, at: number, length: number, place: number): number {
    let count = 0;
    while (at < length) {
      while (answer[at]! !== 0 && answer[at]! < 0xc0) at += answer[at]! + 1;
      at += answer[at] === 0 ? 1 : 2;
      if (count === TTLS_MAX) return -1;
      this.store.writeUInt16LE(at + 4, place + HEAD + count++ * 2);
      at += 10 + u16(answer, at + 8);
    }
    return count;
  }

  clear(): void {
    this.store.fill(0);
  }
}
