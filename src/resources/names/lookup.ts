// What a zone answers to a question (RFC 1034 §4.3.2 as made exact by RFC 4592, RFC 6672, RFC 2308 and RFC 4035 §3.1): an
// exact match, a wildcard, an alias, a referral, or that there is none. It writes nothing itself: sets go to a sink.
import { copyOf, u32 } from '../../bytes/reader.ts';
import { joinNames, nameEnd, within } from '../../formats/dns/name.ts';
import { serialAt, TYPE, targetAt } from '../../formats/dns/records.ts';
import { APEX, CUT, type ZoneContents } from './contents.ts';
import { denyName, denyType, denyWildcardType, proveNoCloser } from './denial.ts';

export const ANSWER = 0;
export const AUTHORITY = 1;
export const ADDITIONAL = 2;
export type Section = typeof ANSWER | typeof AUTHORITY | typeof ADDITIONAL;

/** Takes what is answered, set by set. */
export interface AnswerSink {
  /**
   * A whole set, under the name `owner[ownerAt…]`, with its signatures where `signed`. `must`: without it the answer is not
   * complete; another is left out where it does not fit.
   */
  set(
    section: Section,
    owner: Uint8Array,
    ownerAt: number,
    zone: ZoneContents,
    set: number,
    ttl: number,
    signatures: number,
    must: boolean,
  ): void;
  /** One record that was made up: an alias from DNAME. */
  made(section: Section, owner: Uint8Array, type: number, ttl: number, data: Uint8Array): void;
}

export const NOERROR = 0;
export const NXDOMAIN = 3;
export const YXDOMAIN = 6;

/** Aliases that are followed within one answer. */
const CHAIN_MAX = 16;

const NO_NAME = new Uint8Array(1);

/** One question at a time. */
export class Lookup {
  /** The answer is not this zone's own: a referral. */
  referral = false;
  private contents: ZoneContents;
  private sink: AnswerSink;
  private signed = false;
  /** Over a stream there is room for everything that ANY asks for. */
  private whole = false;
  private qtype = 0;
  private name: Uint8Array = NO_NAME;
  private nameAt = 0;

  constructor(contents: ZoneContents, sink: AnswerSink) {
    this.contents = contents;
    this.sink = sink;
  }

  /** Answers the response code. The name is at or below the zone's origin. */
  answer(
    contents: ZoneContents,
    sink: AnswerSink,
    name: Uint8Array,
    nameAt: number,
    qtype: number,
    signed: boolean,
    whole: boolean,
  ): number {
    this.contents = contents;
    this.sink = sink;
    this.name = name;
    this.nameAt = nameAt;
    this.qtype = qtype;
    this.signed = signed;
    this.whole = whole;
    this.referral = false;
    for (let chain = 0; chain < CHAIN_MAX; chain++) {
      const rcode = this.step();
      if (rcode >= 0) return rcode;
    }
    return NOERROR;
  }

  /** One name; the response code, or -1 to go on with the name that an alias led to. */
  private step(): number {
    const { contents } = this;
    let node = contents.find(this.name, this.nameAt);
    const exact = node !== 0;
    let at = this.nameAt;
    while (node === 0) {
      at += this.name[at]! + 1;
      node = contents.find(this.name, at);
    }
    const above = this.topmostCut(node, exact);
    if (above !== 0) {
      // Of what is above the name, the highest counts: below it nothing is this zone's own.
      if ((contents.flags(above) & CUT) !== 0) {
        if (!(exact && above === node && this.qtype === TYPE.DS)) return this.refer(above);
      } else return this.substitute(above);
    }
    if (exact && !this.isOnlyHash(node)) return this.at(node, 0);
    const wildcard = exact ? 0 : contents.wildcardBelow(node);
    if (wildcard !== 0) return this.at(wildcard, node);
    this.negative();
    if (this.signed) denyName(contents, this.sink, this.name, this.nameAt, exact ? contents.parent(node) : node);
    return NXDOMAIN;
  }

  /** A name that exists only as an owner of NSEC3 does not exist (RFC 5155 §7.2.8). */
  private isOnlyHash(node: number): boolean {
    const { contents } = this;
    if (contents.setOf(node, TYPE.NSEC3) === 0 || contents.hasChildren(node)) return false;
    for (let set = contents.firstSet(node); set !== 0; set = contents.nextSet(set)) {
      const type = contents.typeOf(set);
      if (type !== TYPE.NSEC3 && type !== TYPE.RRSIG) return false;
    }
    return true;
  }

  /** The cut nearest to the apex at or above a node; a DNAME at the name itself does not count (RFC 6672 §2.3). */
  private topmostCut(node: number, exact: boolean): number {
    const { contents } = this;
    let found = 0;
    for (let at = node; at !== 0; at = contents.parent(at)) {
      const flags = contents.flags(at);
      if (flags !== 0 && ((flags & CUT) !== 0 || !exact || at !== node)) found = at;
    }
    return found;
  }

  /** The name is at `node`; `encloser` is not 0 when that is a wildcard below it. */
  private at(node: number, encloser: number): number {
    const { contents, qtype } = this;
    const alias = contents.setOf(node, TYPE.CNAME);
    if (alias !== 0 && !AT_ALIAS.has(qtype)) {
      this.give(ANSWER, alias, node, true);
      if (encloser !== 0 && this.signed) proveNoCloser(contents, this.sink, this.name, this.nameAt, encloser);
      return this.follow(contents.arena, contents.firstRecord(alias));
    }
    const found = qtype === TYPE.ANY ? this.any(node) : this.one(node);
    if (!found) this.negative();
    if (!this.signed) return NOERROR;
    const { name, nameAt, sink } = this;
    if (encloser === 0) {
      if (!found) denyType(contents, sink, node);
    } else if (found) proveNoCloser(contents, sink, name, nameAt, encloser);
    else denyWildcardType(contents, sink, name, nameAt, node, encloser);
    return NOERROR;
  }

  private one(node: number): boolean {
    const { contents, qtype } = this;
    const set = contents.setOf(node, qtype);
    if (set === 0) return false;
    this.give(ANSWER, set, node, true);
    this.addTargets(set);
    return true;
  }

  /** All sets; over UDP one of them is enough (RFC 8482 §4.1). */
  private any(node: number): boolean {
    const { contents } = this;
    let found = false;
    for (let set = contents.firstSet(node); set !== 0; set = contents.nextSet(set)) {
      const type = contents.typeOf(set);
      if (type === TYPE.RRSIG || type === TYPE.NSEC3) continue;
      this.give(ANSWER, set, node, true);
      found = true;
      if (!this.whole) break;
    }
    return found;
  }

  /** The name is now what an alias leads to, where that is within the zone. */
  private follow(target: Uint8Array, at: number): number {
    if (within(target, at, this.contents.origin) < 0) return NOERROR;
    this.name = target;
    this.nameAt = at;
    return -1;
  }

  /** The name lies below a DNAME: it stands for one below its target (RFC 6672 §3.2). */
  private substitute(node: number): number {
    const { contents } = this;
    const set = contents.setOf(node, TYPE.DNAME);
    const { arena } = contents;
    const owner = contents.name(node);
    this.sink.set(ANSWER, arena, owner, contents, set, contents.ttlOf(set), this.signaturesAt(node), true);
    const prefixEnd = within(this.name, this.nameAt, arena, owner);
    const target = copyOf(arena, contents.firstRecord(set), nameEnd(arena, contents.firstRecord(set)));
    const prefix = new Uint8Array(prefixEnd - this.nameAt + 1);
    prefix.set(this.name.subarray(this.nameAt, prefixEnd));
    const name = joinNames(prefix, target);
    // It would be too long.
    if (name === null) return YXDOMAIN;
    const from = this.name.slice(this.nameAt, nameEnd(this.name, this.nameAt));
    this.sink.made(ANSWER, from, TYPE.CNAME, contents.ttlOf(set), name);
    return this.follow(name, 0);
  }

  /** What is asked for is another zone's: its servers, and where they are (RFC 1034 §4.3.2 step 3b). */
  private refer(node: number): number {
    const { contents } = this;
    this.referral = true;
    const set = contents.setOf(node, TYPE.NS);
    const owner = contents.name(node);
    this.sink.set(AUTHORITY, contents.arena, owner, contents, set, contents.ttlOf(set), 0, true);
    if (this.signed) {
      const ds = contents.setOf(node, TYPE.DS);
      if (ds !== 0) this.give(AUTHORITY, ds, node, true, contents.arena, owner);
      else denyType(contents, this.sink, node);
    }
    this.glue(set, owner);
    return NOERROR;
  }

  private glue(set: number, cut: number): void {
    const { contents } = this;
    const { arena } = contents;
    let record = contents.firstRecord(set);
    for (let left = contents.countOf(set); left > 0; left--) {
      if (within(arena, record, contents.origin) >= 0) {
        const node = contents.find(arena, record);
        // Without the addresses of servers below the cut nobody gets there (RFC 9471 §2.1).
        const must = within(arena, record, arena, cut) >= 0;
        if (node !== 0) this.addresses(node, record, must, false);
      }
      record = contents.recordEnd(record) + 2;
    }
  }

  /** The addresses of what the records of a set lead to, as far as the zone has them. */
  private addTargets(set: number): void {
    const { contents } = this;
    const { arena } = contents;
    const type = contents.typeOf(set);
    if (targetAt(type, 0) < 0) return;
    let record = contents.firstRecord(set);
    for (let left = contents.countOf(set); left > 0; left--) {
      const target = targetAt(type, record);
      const node =
        arena[target] === 0 ? 0 : within(arena, target, contents.origin) < 0 ? 0 : contents.find(arena, target);
      if (node !== 0) this.addresses(node, target, false, this.signed && this.topmostCut(node, true) === 0);
      record = contents.recordEnd(record) + 2;
    }
  }

  private addresses(node: number, name: number, must: boolean, signed: boolean): void {
    const { contents } = this;
    for (const type of ADDRESS_TYPES) {
      const set = contents.setOf(node, type);
      const signatures = signed ? this.signaturesAt(node) : 0;
      if (set !== 0)
        this.sink.set(ADDITIONAL, contents.arena, name, contents, set, contents.ttlOf(set), signatures, must);
    }
  }

  private give(
    section: Section,
    set: number,
    node: number,
    must: boolean,
    owner: Uint8Array = this.name,
    ownerAt = this.nameAt,
  ): void {
    const { contents } = this;
    this.sink.set(section, owner, ownerAt, contents, set, contents.ttlOf(set), this.signaturesAt(node), must);
  }

  /** The set of RRSIG beside another, where signatures are wanted; 0 for none. */
  private signaturesAt(node: number): number {
    return this.signed ? this.contents.setOf(node, TYPE.RRSIG) : 0;
  }

  /** There is none: SOA says for how long (RFC 2308 §3, §5). */
  private negative(): void {
    const { contents } = this;
    const set = contents.setOf(APEX, TYPE.SOA);
    if (set === 0) return;
    const minimum = u32(contents.arena, serialAt(contents.arena, contents.firstRecord(set)) + 16);
    const ttl = Math.min(minimum, contents.ttlOf(set));
    const name = contents.name(APEX);
    this.sink.set(AUTHORITY, contents.arena, name, contents, set, ttl, this.signaturesAt(APEX), true);
  }
}

/** What is answered at an alias itself (RFC 1034 §3.6.2, RFC 4035 §3.1). */
const AT_ALIAS: ReadonlySet<number> = new Set([TYPE.CNAME, TYPE.ANY, TYPE.RRSIG, TYPE.NSEC]);
const ADDRESS_TYPES = [TYPE.A, TYPE.AAAA];
