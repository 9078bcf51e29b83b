// Stands behind the responder for names that are not of our zones: whoever may is given what the resolver finds, in the form and size
// that his query asks for (RFC 1034 §4.3.1, RFC 4035 §3.2). It finds nothing itself.
import { copyOf } from '../../bytes/reader.ts';
import type { Clock } from '../../core/time.ts';
import { nameText } from '../../formats/dns/name.ts';
import { typeName } from '../../formats/dns/records.ts';
import { isAmong, type Network } from '../../resources/names/networks.ts';
import { endOf, type Finding, SECURE } from './cache.ts';
import type { Answer, Question } from './resolver.ts';
import { KeptAnswers } from './resolver-compiled.ts';
import type { SignedSet } from './resolver-reply.ts';
import { isUnaskable } from './resolver-special.ts';
import { type Asker, LATER, type Responder } from './responder.ts';
import * as W from './wire.ts';

/** One question of a client and what became of it. */
export interface AskedEvent {
  readonly client: string;
  readonly carrier: string;
  readonly name: string;
  readonly type: string;
  readonly rcode: string;
  readonly secure: boolean;
  readonly cached: boolean;
  readonly stale: boolean;
  readonly blocked: boolean;
  readonly ms: number;
}

export interface RecursionOptions {
  readonly ask: (question: Question) => void;
  /** Who may ask beside this machine. */
  readonly clients: readonly Network[];
  readonly clock: Clock;
  /** Told of every question, where somebody wants to know. */
  readonly told: ((event: AskedEvent) => void) | null;
}

const ANSWER = 6;
const AUTHORITY = 8;
const RRSIG = 46;

/** An answer that stands ready is looked up anew after so long, so that what is asked for often is known to be. */
const KEPT_MS = 20_000;

export class Recursion {
  private readonly options: RecursionOptions;
  private readonly kept = new KeptAnswers();

  constructor(options: RecursionOptions) {
    this.options = options;
  }

  offers({ isLocal, host }: Asker): boolean {
    return isLocal || isAmong(host, this.options.clients);
  }

  /** The length of the answer, LATER, or null where that asker may not have it. */
  resolve(responder: Responder, asker: Asker, token: number): number | null {
    const { message } = responder;
    // What we know tells what others asked: it is given to nobody who does not ask himself (RFC 5358 §4).
    if (!this.offers(asker) || !message.wantsRecursion) return null;
    if (isUnaskable(message.qtype)) return responder.refuse(W.EDE.NOT_SUPPORTED);
    const { ask, clock, told } = this.options;
    const ready = this.fromKept(responder);
    if (ready > 0) return ready;
    const began = clock.now;
    const name = Buffer.from(message.qname.copy());
    const type = message.qtype;
    let early: Answer | null = null;
    let late: { readonly query: Uint8Array; readonly asker: Asker } | null = null;
    const done = (answer: Answer) => {
      if (told !== null) told(this.eventOf(asker.carrier, late?.asker.host ?? asker.host, name, type, answer, began));
      if (late === null) early = answer;
      else this.send(responder, late.query, late.asker, asker, token, answer);
    };
    const checkingDisabled = message.isCheckingDisabled;
    ask({ name, type, checkingDisabled, client: asker.host, done });
    if (early !== null) return this.write(responder, early);
    // What tells of an asker is of the datagram that came last: it is kept as it is now.
    const { carrier, host, address, caller, isLocal } = asker;
    late = {
      query: copyOf(message.bytes, message.start, message.end),
      asker: { carrier, host, address, caller, isLocal, answered() {} },
    };
    return LATER;
  }

  /** What an answer depends on beside its question; -1 where it is not to be kept. */
  private variant({ message }: Responder): number {
    // Whoever wants to be told of each question is.
    if (this.options.told !== null || message.tsig >= 0) return -1;
    return (message.flags & (W.CD | W.AD)) | (message.wantsSignatures ? 1 : 0);
  }

  private fromKept(responder: Responder): number {
    const { message, bytes, room } = responder;
    const variant = this.variant(responder);
    if (variant < 0) return 0;
    const { start, questionsEnd } = message;
    const { now } = this.options.clock;
    const length = this.kept.find(message.bytes, start + W.HEADER_BYTES, questionsEnd, variant, now, bytes, room);
    return length > 0 ? responder.ready(length) : 0;
  }

  /** Keeps what was just written, until it is time to look whether it should be asked for anew. */
  private keep(responder: Responder, answer: Answer, length: number): void {
    const variant = this.variant(responder);
    if (variant < 0 || answer.stale || answer.ede >= 0) return;
    const { message, out, bytes } = responder;
    const { now } = this.options.clock;
    let until = now + KEPT_MS;
    for (const step of answer.steps) until = Math.min(until, endOf(step) - step.ttl * 100);
    const additionals = out.count(10);
    if (message.opt >= 0) out.setCount(10, additionals - 1);
    const { start, questionsEnd } = message;
    this.kept.keep(message.bytes, start + W.HEADER_BYTES, questionsEnd, variant, now, until, bytes, length);
    out.setCount(10, additionals);
  }

  private send(responder: Responder, query: Uint8Array, as: Asker, to: Asker, token: number, answer: Answer): void {
    const length = responder.resume(query, as, () => this.write(responder, answer));
    to.answered(token, responder.bytes, 0, Math.max(0, length));
  }

  private write(responder: Responder, answer: Answer): number {
    const { message } = responder;
    responder.extendedError = answer.ede;
    const { steps, rcode } = answer;
    if (steps.length === 0) return responder.simple(rcode);
    responder.begin();
    const signed = message.wantsSignatures;
    let fits = true;
    for (const step of steps) fits = fits && this.writeStep(responder, step, signed);
    // Where only the client would know what it is worth, it is not called authentic (RFC 6840 §5.7, §5.8).
    const asked = signed || message.isAuthentic;
    const authentic = answer.security === SECURE && asked && !message.isCheckingDisabled && !answer.stale;
    const { length } = responder.out;
    const complete = responder.finish(rcode, (authentic ? W.AD : 0) | (fits ? 0 : W.TC));
    if (fits) this.keep(responder, answer, length);
    return complete;
  }

  private writeStep(responder: Responder, step: Finding, signed: boolean): boolean {
    const left = Math.max(0, Math.ceil((endOf(step) - this.options.clock.now) / 1_000));
    if (step.from !== null && !this.writeSet(responder, ANSWER, step.from, left, signed)) return false;
    if (step.set !== null && !this.writeSet(responder, ANSWER, step.set, left, signed)) return false;
    if (step.soa !== null && step.set === null && !this.writeSet(responder, AUTHORITY, step.soa, left, signed))
      return false;
    if (signed)
      for (const proof of step.proofs) if (!this.writeSet(responder, AUTHORITY, proof, left, true)) return false;
    return true;
  }

  private writeSet({ out }: Responder, section: number, set: SignedSet, left: number, signed: boolean): boolean {
    const ttl = Math.min(set.ttl, left);
    for (const data of set.data)
      if (!out.record(section, set.name, 0, set.type, 1, ttl, data, 0, data.length)) return false;
    if (!signed) return true;
    for (const data of set.signatures)
      if (!out.record(section, set.name, 0, RRSIG, 1, ttl, data, 0, data.length)) return false;
    return true;
  }

  private eventOf(
    carrier: string,
    client: string,
    name: Buffer,
    type: number,
    answer: Answer,
    began: number,
  ): AskedEvent {
    const { rcode, security, cached, stale, ede } = answer;
    return {
      ...{ client, carrier, name: nameText(name), type: typeName(type), rcode: W.rcodeName(rcode) },
      ...{ secure: security === SECURE, cached, stale, blocked: ede === W.EDE.BLOCKED },
      ms: Math.round(this.options.clock.now - began),
    };
  }
}
