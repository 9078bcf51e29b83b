// Messages read in place (RFC 1035 §4): the header, the first question, and where each record's parts lie. It keeps no bytes
// of its own but the first question's name, and does not know what a record means.
import { BAD, u16, u32 } from '../../bytes/reader.ts';
import type { Fault } from '../../core/fault.ts';
import { NameBuffer, skipName } from '../../formats/dns/name.ts';
import { TYPE } from '../../formats/dns/records.ts';
import { faults } from './faults.ts';
import { AA, AD, CD, DO, HEADER_BYTES, OPCODE_BITS, QR, RA, RD, TC } from './wire.ts';

/** No message of 65,535 octets has more records: eleven octets are the least that one takes. */
export const RECORDS_MAX = 5_957;

/** Which section a record stands in. */
export const ANSWER = 0;
export const AUTHORITY = 1;
export const ADDITIONAL = 2;

/**
 * One message at a time. What it says is valid until the next `read`, and as long as the bytes are.
 *
 *     0  id   2  flags   4  questions   6  answers   8  authorities   10  additionals
 */
export class Message {
  bytes: Uint8Array = new Uint8Array(0);
  start = 0;
  end = 0;
  /** Why `read` answered BAD. */
  fault: Fault = faults.short;
  id = 0;
  flags = 0;
  questions = 0;
  /** Of the first question; the name in the case in which it was asked. */
  readonly qname = new NameBuffer();
  qtype = 0;
  qclass = 0;
  /** The index behind all questions. */
  questionsEnd = 0;
  /** Records of all sections, in their order, with OPT and TSIG. */
  count = 0;
  answers = 0;
  authorities = 0;
  additionals = 0;
  /** By record: indices into `bytes`, and numbers. */
  owner: Uint32Array = new Uint32Array(64);
  type: Uint32Array = new Uint32Array(64);
  class: Uint32Array = new Uint32Array(64);
  ttl: Uint32Array = new Uint32Array(64);
  dataAt: Uint32Array = new Uint32Array(64);
  dataEnd: Uint32Array = new Uint32Array(64);
  /** Which record is OPT, and TSIG; -1 for none. */
  opt = -1;
  tsig = -1;

  get isAnswer(): boolean {
    return (this.flags & QR) !== 0;
  }
  get opcode(): number {
    return (this.flags & OPCODE_BITS) >>> 11;
  }
  get isAuthoritative(): boolean {
    return (this.flags & AA) !== 0;
  }
  get isTruncated(): boolean {
    return (this.flags & TC) !== 0;
  }
  get wantsRecursion(): boolean {
    return (this.flags & RD) !== 0;
  }
  get offersRecursion(): boolean {
    return (this.flags & RA) !== 0;
  }
  get isAuthentic(): boolean {
    return (this.flags & AD) !== 0;
  }
  get isCheckingDisabled(): boolean {
    return (this.flags & CD) !== 0;
  }
  /** With the upper bits out of OPT (RFC 6891 §6.1.3). */
  get rcode(): number {
    const upper = this.opt < 0 ? 0 : (this.ttl[this.opt]! >>> 24) << 4;
    return upper | (this.flags & 15);
  }
  /** What the sender takes over UDP, as it says; 512 without EDNS. */
  get udpBytes(): number {
    return this.opt < 0 ? 512 : Math.max(512, this.class[this.opt]!);
  }
  get ednsVersion(): number {
    return this.opt < 0 ? 0 : (this.ttl[this.opt]! >>> 16) & 0xff;
  }
  /** The sender wants signatures (RFC 3225). */
  get wantsSignatures(): boolean {
    return this.opt >= 0 && (this.ttl[this.opt]! & DO) !== 0;
  }

  /** Which section record `index` stands in. */
  sectionOf(index: number): number {
    if (index < this.answers) return ANSWER;
    return index < this.answers + this.authorities ? AUTHORITY : ADDITIONAL;
  }

  /**
   * Reads the message `bytes[start..end)`; answers `end`, or BAD with `fault` set. From twelve octets on, `id`, `flags` and the
   * counts are valid even then, and `questionsEnd` is where reading got to, at least the end of the header.
   */
  read(bytes: Uint8Array, start: number, end: number): number {
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.count = 0;
    this.questions = 0;
    this.opt = -1;
    this.tsig = -1;
    this.qname.length = 0;
    if (end - start < HEADER_BYTES) return this.bad(faults.short);
    this.id = u16(bytes, start);
    this.flags = u16(bytes, start + 2);
    this.answers = u16(bytes, start + 6);
    this.authorities = u16(bytes, start + 8);
    this.additionals = u16(bytes, start + 10);
    this.questionsEnd = start + HEADER_BYTES;
    const at = this.readQuestions(u16(bytes, start + 4));
    return at < 0 ? at : this.readRecords(at);
  }

  private readQuestions(count: number): number {
    const { bytes, start, end } = this;
    let at = start + HEADER_BYTES;
    for (let index = 0; index < count; index++) {
      at = index === 0 ? this.qname.read(bytes, start, at, end) : skipName(bytes, at, end);
      if (at < 0) return this.bad(faults.badName);
      if (at + 4 > end) {
        this.qname.length = 0;
        return this.bad(faults.truncatedMessage);
      }
      if (index === 0) {
        // There is nothing before it that a pointer could lead to.
        if (at - start - HEADER_BYTES !== this.qname.length) return this.bad(faults.badName);
        this.qtype = u16(bytes, at);
        this.qclass = u16(bytes, at + 2);
      }
      at += 4;
      this.questions++;
      this.questionsEnd = at;
    }
    return at;
  }

  private readRecords(at: number): number {
    const { bytes, end } = this;
    const total = this.answers + this.authorities + this.additionals;
    if (total > RECORDS_MAX) return this.bad(faults.recordsTooMany);
    if (total > this.owner.length) this.grow(total);
    for (let index = 0; index < total; index++) {
      const owner = at;
      at = skipName(bytes, at, end);
      if (at < 0) return this.bad(faults.badName);
      if (at + 10 > end) return this.bad(faults.truncatedMessage);
      this.owner[index] = owner;
      this.type[index] = u16(bytes, at);
      this.class[index] = u16(bytes, at + 2);
      this.ttl[index] = u32(bytes, at + 4);
      const dataAt = at + 10;
      at = dataAt + u16(bytes, at + 8);
      if (at > end) return this.bad(faults.truncatedMessage);
      this.dataAt[index] = dataAt;
      this.dataEnd[index] = at;
      this.count++;
      const type = this.type[index]!;
      if ((type === TYPE.OPT || type === TYPE.TSIG) && !this.isPseudo(type, index, total)) return BAD;
    }
    return at === end ? at : this.bad(faults.trailing);
  }

  /** Takes note of OPT or TSIG, where it stands where it may. */
  private isPseudo(type: number, index: number, total: number): boolean {
    const inPlace = index >= this.answers + this.authorities;
    if (type === TYPE.OPT) {
      const isLawful = inPlace && this.opt < 0 && this.bytes[this.owner[index]!] === 0;
      if (isLawful) this.opt = index;
      else this.bad(faults.badOpt);
      if (!isLawful) this.opt = -1;
      return isLawful && this.checkOptions(index);
    }
    const isLawful = inPlace && index === total - 1 && this.class[index] === 255;
    if (isLawful) this.tsig = index;
    else this.bad(faults.badTsig);
    return isLawful;
  }

  private checkOptions(index: number): boolean {
    let at = this.dataAt[index]!;
    const end = this.dataEnd[index]!;
    while (at < end) {
      if (at + 4 > end) break;
      at += 4 + u16(this.bytes, at + 2);
    }
    if (at === end) return true;
    this.bad(faults.badOption);
    return false;
  }

  /** Where the first option of that code begins, behind its length; its end is in `optionEnd`. -1 when there is none. */
  option(code: number): number {
    if (this.opt < 0) return -1;
    const end = this.dataEnd[this.opt]!;
    for (let at = this.dataAt[this.opt]!; at < end; ) {
      const from = at + 4;
      const size = u16(this.bytes, at + 2);
      if (u16(this.bytes, at) === code) {
        this.optionEnd = from + size;
        return from;
      }
      at = from + size;
    }
    return -1;
  }
  optionEnd = 0;

  /** Reads the owner of a record into `into`; false when its pointers lead astray. */
  readOwner(index: number, into: NameBuffer): boolean {
    return into.read(this.bytes, this.start, this.owner[index]!, this.end) >= 0;
  }

  private grow(total: number): void {
    const size = Math.max(total, 256);
    this.owner = new Uint32Array(size);
    this.type = new Uint32Array(size);
    this.class = new Uint32Array(size);
    this.ttl = new Uint32Array(size);
    this.dataAt = new Uint32Array(size);
    this.dataEnd = new Uint32Array(size);
  }

  private bad(fault: Fault): number {
    this.fault = fault;
    return BAD;
  }
}
