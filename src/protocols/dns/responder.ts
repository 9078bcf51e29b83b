// Answers queries, whatever brought them: one message in, one out, written in place. It decides what a query is, and what its
// answer must look like; what is in the zones, and who may do what, it asks.
import type { Caller } from '../../core/caller.ts';
import type { Bound } from '../../core/limits.ts';
import type { Clock, Entropy } from '../../core/time.ts';
import { isMetaType, TYPE } from '../../formats/dns/records.ts';
import type { Names, Zone } from '../../resources/names/contract.ts';
import { Chaos } from './chaos.ts';
import { Message } from './codec.ts';
import { Options, writeExtendedError, writeKeepalive, writePadding } from './codec-edns.ts';
import { MessageWriter } from './codec-write.ts';
import { CompiledAnswers } from './compiled.ts';
import { Cookies } from './cookies.ts';
import type { limits } from './limits.ts';
import { AnswerRate, SEND, WITHHOLD } from './rate.ts';
import { Sections } from './sections.ts';
import type { SignedMessages } from './tsig.ts';
import * as W from './wire.ts';

export type DnsLimits = Bound<typeof limits>;

/** Answers: nothing is sent; the answer comes later, by `Asker.answered`. */
export const NOTHING = 0;
export const LATER = -1;

/** Who asks, and over what. */
export interface Asker {
  readonly carrier: 'udp' | 'tcp' | 'tls' | 'https' | 'quic';
  /** The address, as text and as octets. */
  readonly host: string;
  readonly address: Uint8Array;
  /** Who that is, as far as it is known without a key; null for a stranger. */
  readonly caller: Caller | null;
  /** It is of this machine. */
  readonly isLocal: boolean;
  /** The answer to what was answered with LATER. The bytes are borrowed; none when nothing is to be sent. */
  answered(token: number, bytes: Uint8Array, start: number, end: number): void;
  /** Takes the messages of a transfer, one after the other; absent where there can be only one answer. */
  stream?(token: number, messages: AnswerStream): void;
}

/** An answer of several messages, written as there is room for them. */
export interface AnswerStream {
  /** Writes the next into `responder.bytes`; its length, 0 when there is none. */
  next(responder: Responder): number;
  /** The connection is gone, or all was sent. */
  close(): void;
}

/** What a query that is not simply looked up is given to. */
export interface Beyond {
  /** NOTIFY, UPDATE and transfers; the length of the answer in `responder.bytes`, NOTHING or LATER. */
  notify(responder: Responder, asker: Asker, token: number): number;
  update(responder: Responder, asker: Asker, token: number): number;
  transfer(responder: Responder, zone: Zone, asker: Asker, token: number): number;
  /** The records of a topic: character-strings as TXT data; null where the name is of no topic. */
  topic(responder: Responder, zone: Zone, asker: Asker): Uint8Array | null | 'missing';
  /** Whether names of others are resolved for that asker. */
  offers(asker: Asker): boolean;
  /** What no zone of ours is asked for: resolved, where the asker may. Null where it may not. */
  resolve(responder: Responder, asker: Asker, token: number): number | null;
}

export interface ResponderOptions {
  readonly names: Names;
  readonly limits: DnsLimits;
  readonly clock: Clock;
  readonly entropy: Entropy;
  readonly software: string;
  /** What NSID and `id.server` tell. */
  readonly nsid: string;
  readonly beyond: Beyond;
  readonly signed: SignedMessages;
}

/** Octets that padding rounds answers up to where nobody can see their content (RFC 8467 §4.1). */
const PADDING_BLOCK = 468;

export class Responder {
  readonly names: Names;
  readonly limits: DnsLimits;
  readonly cookies: Cookies;
  readonly rate: AnswerRate;
  readonly message = new Message();
  readonly options = new Options();
  readonly out = new MessageWriter();
  /** Answers are written here, from 0 on. */
  readonly bytes = Buffer.alloc(W.MESSAGE_BYTES_MAX);
  readonly sections = new Sections();
  readonly signed: SignedMessages;
  readonly beyond: Beyond;
  readonly clock: Clock;
  private readonly compiled = new CompiledAnswers();
  private readonly chaos: Chaos;
  private readonly nsid: Uint8Array;
  /** Of the query that is being answered. */
  asker!: Asker;
  /** The most octets of the answer. */
  private most = 0;
  private reserve = 0;
  private hasGoodCookie = false;
  /** The asker may have names resolved. */
  private offers = false;
  extendedError = -1;
  extendedText = '';
  readonly figures = { queries: 0, answers: 0, refused: 0, malformed: 0, compiled: 0 };

  constructor(options: ResponderOptions) {
    this.names = options.names;
    this.limits = options.limits;
    this.clock = options.clock;
    this.beyond = options.beyond;
    this.signed = options.signed;
    this.nsid = Buffer.from(options.nsid);
    this.chaos = new Chaos(options.software, options.nsid);
    this.cookies = new Cookies(options.entropy, options.limits.cookieMs, options.clock.wall);
    this.rate = new AnswerRate(options.limits.answersPerSecond, options.limits.slip);
  }

  /**
   * Answers the message `input[start..end)` of an asker: the length of the answer in `bytes`, NOTHING, or LATER: it is given to
   * `asker.answered` with this token then.
   */
  answer(input: Uint8Array, start: number, end: number, asker: Asker, token: number): number {
    const { message } = this;
    this.asker = asker;
    this.figures.queries++;
    this.extendedError = -1;
    this.extendedText = '';
    this.hasGoodCookie = false;
    this.offers = this.beyond.offers(asker);
    this.signed.clear();
    const read = message.read(input, start, end);
    if (end - start < W.HEADER_BYTES || message.isAnswer) return this.ignore();
    if (read < 0) return this.malformed();
    if (!this.options.read(message)) return this.malformed();
    this.bound();
    if (message.ednsVersion > 0) return this.simple(W.RCODE.BADVERS);
    if (message.tsig >= 0 && !this.signed.verify(message, this.clock.wall)) return this.unsigned();
    if (this.options.clientCookieAt >= 0) this.checkCookie();
    switch (message.opcode) {
      case W.OPCODE.QUERY:
        return this.query(token);
      case W.OPCODE.NOTIFY:
        return this.beyond.notify(this, asker, token);
      case W.OPCODE.UPDATE:
        return this.beyond.update(this, asker, token);
      default:
        return this.simple(W.RCODE.NOTIMP);
    }
  }

  /** Takes up a query again whose answer was waited for: `write` answers it as if it had just come. */
  resume(query: Uint8Array, asker: Asker, write: () => number): number {
    const { message } = this;
    this.asker = asker;
    this.extendedError = -1;
    this.extendedText = '';
    this.hasGoodCookie = false;
    this.offers = this.beyond.offers(asker);
    this.signed.clear();
    message.read(query, 0, query.length);
    this.options.read(message);
    this.bound();
    if (message.tsig >= 0) this.signed.verify(message, this.clock.wall);
    if (this.options.clientCookieAt >= 0) this.checkCookie();
    return write();
  }

  private ignore(): number {
    this.figures.malformed++;
    return NOTHING;
  }

  private malformed(): number {
    this.figures.malformed++;
    this.options.clear();
    this.bound();
    // What could not be read is not repeated; OPT only where it was one.
    return this.simple(W.RCODE.FORMERR);
  }

  /** How long the answer may be, and what of that is its OPT's and its signature's. */
  private bound(): void {
    const { message, asker, limits } = this;
    if (asker.carrier !== 'udp') this.most = W.MESSAGE_BYTES_MAX;
    else this.most = Math.min(message.udpBytes, message.opt < 0 ? W.UDP_BYTES_PLAIN : limits.udpBytesMax);
    this.reserve = this.optBytes();
  }

  private optBytes(): number {
    const { message, options, asker } = this;
    if (message.opt < 0) return 0;
    let size = 11;
    if (options.clientCookieAt >= 0) size += 28;
    if (options.nsid) size += 4 + this.nsid.length;
    if (asker.carrier !== 'udp') size += 6;
    return size;
  }

  private checkCookie(): void {
    const { options, message, asker } = this;
    const { clientCookieAt: at, serverCookieEnd: end } = options;
    if (end < 0) return;
    this.hasGoodCookie = this.cookies.isGood(message.bytes, at, end, asker.address, this.clock.wall);
  }

  // ---- queries -----------------------------------------------------------------------------------------------------

  private query(token: number): number {
    const { message } = this;
    if (message.questions !== 1) {
      // One who only wants a cookie asks nothing (RFC 7873 §5.4).
      const asksCookie = message.questions === 0 && this.options.clientCookieAt >= 0;
      return this.simple(asksCookie ? W.RCODE.NOERROR : W.RCODE.FORMERR);
    }
    if (message.answers > 0 || (message.authorities > 0 && message.qtype !== TYPE.IXFR))
      return this.simple(W.RCODE.FORMERR);
    if (message.qclass !== 1) return this.otherClass();
    const { qtype } = message;
    if (qtype === TYPE.OPT || qtype === TYPE.TSIG || qtype === 0) return this.simple(W.RCODE.FORMERR);
    const variant = this.variant();
    if (variant >= 0) {
      const found = this.fromCompiled(variant);
      if (found > 0) return found;
    }
    return this.lookUp(variant, token);
  }

  private otherClass(): number {
    const { message } = this;
    if (message.qclass === 3 && this.chaos.find(message.qname.bytes, message.qtype)) {
      this.begin();
      const { data } = this.chaos;
      this.out.record(6, message.qname.bytes, 0, TYPE.TXT, 3, 0, data, 0, data.length);
      return this.finish(W.RCODE.NOERROR, W.AA);
    }
    return this.refuse(W.EDE.NOT_SUPPORTED);
  }

  /** What an answer depends on beside its question; -1 when it is not kept. */
  private variant(): number {
    const { message } = this;
    const { qtype } = message;
    if (message.tsig >= 0 || this.names.hasViews || isMetaType(qtype)) return -1;
    const stream = this.asker.carrier === 'udp' ? 0 : 4;
    return (message.flags & (W.RD | W.CD)) | (message.wantsSignatures ? 1 : 0) | stream | (this.offers ? 8 : 0);
  }

  private fromCompiled(variant: number): number {
    const { message, bytes, names } = this;
    const { start, questionsEnd } = message;
    const most = this.room;
    const length = this.compiled.find(
      message.bytes,
      start + W.HEADER_BYTES,
      questionsEnd,
      variant,
      names.epoch,
      bytes,
      most,
    );
    if (length === 0) return 0;
    this.figures.compiled++;
    const verdict = this.judge(bytes[3]! & 15);
    return verdict === SEND ? this.ready(length) : this.overRate(verdict);
  }

  /** The octets that an answer may have, without OPT. */
  get room(): number {
    return this.most - this.reserve;
  }

  /** Makes the answer that stands in `bytes`, `length` octets without OPT, the one to this query. */
  ready(length: number): number {
    const { message, bytes, out } = this;
    bytes[0] = message.bytes[message.start]!;
    bytes[1] = message.bytes[message.start + 1]!;
    if (message.opt < 0) return length;
    out.resume(bytes, 0, length, this.most);
    this.writeOpt(bytes[3]! & 15);
    return out.length;
  }

  private lookUp(variant: number, token: number): number {
    const { message, names, asker } = this;
    const { qname, qtype } = message;
    const zone = names.zoneOf(qname.bytes, 0, asker.host, qtype === TYPE.DS);
    if (zone === null) {
      const later = this.beyond.resolve(this, asker, token);
      return later ?? this.refuse(W.EDE.NOT_AUTHORITATIVE);
    }
    if (!zone.usable) {
      this.extendedError = W.EDE.NOT_READY;
      return this.simple(W.RCODE.SERVFAIL);
    }
    if (isMetaType(qtype) && qtype !== TYPE.ANY) {
      if (qtype === TYPE.AXFR || qtype === TYPE.IXFR) return this.beyond.transfer(this, zone, asker, token);
      return this.simple(W.RCODE.NOTIMP);
    }
    if (zone.hasTopics) {
      const topic = this.beyond.topic(this, zone, asker);
      if (topic !== null) return this.topicAnswer(zone, topic);
    }
    return this.fromZone(zone, variant);
  }

  private fromZone(zone: Zone, variant: number): number {
    const { message, names, sections, asker, out } = this;
    const { qname, qtype } = message;
    sections.clear();
    const whole = asker.carrier !== 'udp';
    const rcode = names.answer(zone, sections, qname.bytes, 0, qtype, message.wantsSignatures, whole);
    const verdict = this.judge(rcode);
    if (verdict !== SEND) return this.overRate(verdict);
    this.begin();
    const flags = names.referred ? 0 : W.AA;
    const fits = sections.write(out);
    if (!fits) return this.finish(rcode, flags | W.TC);
    const { length } = out;
    const complete = this.finish(rcode, flags);
    // Additional records may have been left out for want of room: then it is not for everybody.
    if (variant >= 0 && (asker.carrier !== 'udp' || length < this.most - this.reserve - 64))
      this.keepCompiled(variant, length);
    return complete;
  }

  /** Keeps what was written, without OPT. */
  private keepCompiled(variant: number, length: number): void {
    const { message, bytes, names } = this;
    const additionals = this.out.count(10);
    if (message.opt >= 0) this.out.setCount(10, additionals - 1);
    const { start, questionsEnd } = message;
    this.compiled.keep(message.bytes, start + W.HEADER_BYTES, questionsEnd, variant, names.epoch, bytes, length);
    this.out.setCount(10, additionals);
  }

  private topicAnswer(zone: Zone, topic: Uint8Array | 'missing'): number {
    const { message, sections, out, names } = this;
    const found = topic !== 'missing';
    this.begin();
    if (found && (message.qtype === TYPE.TXT || message.qtype === TYPE.ANY)) {
      const { bytes } = message.qname;
      const fits = out.record(6, bytes, 0, TYPE.TXT, 1, 0, topic, 0, topic.length);
      return this.finish(W.RCODE.NOERROR, fits ? W.AA : W.AA | W.TC);
    }
    // No zone has a name like it: what is found is the SOA that says so.
    sections.clear();
    names.answer(zone, sections, message.qname.bytes, 0, TYPE.NULL, false, false);
    sections.write(out);
    return this.finish(found ? W.RCODE.NOERROR : W.RCODE.NXDOMAIN, W.AA);
  }

  // ---- what an answer is made of -----------------------------------------------------------------------------------

  refuse(extendedError: number): number {
    this.figures.refused++;
    this.extendedError = extendedError;
    return this.simple(W.RCODE.REFUSED);
  }

  /** An answer of nothing but a code. */
  simple(rcode: number): number {
    const verdict = this.judge(rcode);
    if (verdict !== SEND) return this.overRate(verdict);
    this.begin();
    return this.finish(rcode, 0);
  }

  /** Begins the answer: the header, and the question as it was asked. */
  begin(): void {
    const { message, out, bytes } = this;
    out.begin(bytes, 0, this.most - this.reserve - this.signed.bytes);
    const { qname } = message;
    if (qname.length > 0 && message.questions > 0) out.question(qname.bytes, 0, message.qtype, message.qclass);
  }

  /** Ends it: header, OPT, signature. Answers its length. */
  finish(rcode: number, flags: number): number {
    const { message, out } = this;
    this.figures.answers++;
    const same = message.flags & (W.OPCODE_BITS | W.RD | W.CD);
    out.header(message.id, W.QR | same | flags | (rcode & 15) | (this.offers ? W.RA : 0));
    out.limit = this.most - this.signed.bytes;
    if (message.opt >= 0) this.writeOpt(rcode);
    out.limit = W.MESSAGE_BYTES_MAX;
    this.signed.sign(out, this.clock.wall);
    return out.length;
  }

  private writeOpt(rcode: number): void {
    const { message, options, out, asker, limits } = this;
    if (!out.opt(limits.udpBytesMax, rcode, 0, message.wantsSignatures ? W.DO : 0)) return;
    if (options.clientCookieAt >= 0) {
      const { clientCookieAt: at } = options;
      const cookie = this.cookies.make(message.bytes, at, asker.address, this.clock.wall);
      out.option(W.OPTION.COOKIE, cookie, 0, cookie.length);
    }
    if (options.nsid) out.option(W.OPTION.NSID, this.nsid, 0, this.nsid.length);
    if (this.extendedError >= 0) writeExtendedError(out, this.extendedError, this.extendedText);
    // Only who asks is told (RFC 7828 §3.2.1), and only where it says something.
    if (options.keepalive && (asker.carrier === 'tcp' || asker.carrier === 'tls')) writeKeepalive(out, limits.idleMs);
    if (options.padding && asker.carrier !== 'udp' && asker.carrier !== 'tcp') writePadding(out, PADDING_BLOCK);
  }

  private unsigned(): number {
    this.begin();
    return this.finish(W.RCODE.NOTAUTH, 0);
  }

  // ---- rate --------------------------------------------------------------------------------------------------------

  /** Whether the answer to this query is sent. */
  private judge(rcode: number): number {
    const { asker, message } = this;
    if (asker.carrier !== 'udp' || asker.isLocal || this.hasGoodCookie) return SEND;
    const error = rcode !== W.RCODE.NOERROR || message.qname.length === 0;
    return this.rate.judge(asker.address, message.qname.bytes, 0, error, this.clock.now);
  }

  private overRate(verdict: number): number {
    if (verdict === WITHHOLD) return NOTHING;
    this.begin();
    return this.finish(W.RCODE.NOERROR, W.TC);
  }
}
