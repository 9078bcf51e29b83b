// Lines over a stream and the topics: what commands mean, and what becomes of messages on their way to a connection. One
// server half belongs to one connection.
import type { Caller } from '../../core/caller.ts';
import {
  BUSY,
  DENIED,
  FULL,
  INVALID,
  MISSING,
  OK,
  type Outcome,
  STALE,
  UNKNOWN,
  type Waiter,
} from '../../core/outcome.ts';
import { addressText } from '../../core/peer.ts';
import type { Pipe, Session } from '../../core/pipe.ts';
import type { Host } from '../../core/protocol.ts';
import type { SignInRefusal, SignInWaiter } from '../../resources/accounts/contract.ts';
import type { Resources } from '../../resources/resources.ts';
import type {
  Attachment,
  Gap,
  Match,
  Message,
  Publication,
  SlowPolicy,
  SubscribeOptions,
  Subscriber,
} from '../../resources/topics/contract.ts';
import { frameSlot } from '../../resources/topics/names.ts';
import { base64Frame, jsonFrame, rawFrame, textFrame } from './encode.ts';
import { faults } from './faults.ts';
import type { limits } from './limits.ts';
import { LinesSession, type Subscription, type Upper } from './session.ts';
import type { Encoding } from './words.ts';

export type LinesHost = Host<Resources, typeof limits>;

/** Where frames of messages are kept, for all connections. */
const SLOTS = {
  auto: frameSlot(),
  base64: frameSlot(),
  raw: frameSlot(),
  json: frameSlot(),
  jsonRetained: frameSlot(),
  json64: frameSlot(),
  json64Retained: frameSlot(),
};

const POLICIES: readonly string[] = ['disconnect', 'drop-oldest', 'keep-latest'] satisfies SlowPolicy[];

/** What is said to somebody who was not let in. */
const REFUSED: Readonly<Record<SignInRefusal['refused'], readonly [Outcome, value: number, text: string]>> = {
  wrong: [UNKNOWN, 0, 'this name and password are not known'],
  locked: [BUSY, 0, 'too many sign-ins failed: try again later'],
  plaintext: [DENIED, 0, 'a password in the clear over a network was not looked at: use TLS'],
  busy: [BUSY, 0, 'too many sign-ins are being checked: try again'],
};

const TOO_MANY = 'this connection is subscribed to as many filters as may be';

export class LinesServer implements Upper, Subscriber, Waiter, SignInWaiter {
  private readonly host: LinesHost;
  private readonly session: LinesSession;
  private caller: Caller | null;
  private policy: SlowPolicy = 'disconnect';
  private attachment: Attachment | null = null;
  private readonly filters = new Map<string, Encoding>();
  /** Filters with an encoding of their own: none of them, and no message has to be asked after it. */
  private encoded = 0;
  /** Subscriptions that have not settled, and what they replace. */
  private readonly subscribing = new Map<number, { filter: string; former: Encoding | undefined }>();

  constructor(session: LinesSession, host: LinesHost) {
    this.session = session;
    this.host = host;
    this.caller = this.withoutName();
    if (this.caller !== null) session.pipe.signedIn(this.caller);
  }

  // ---- commands ----------------------------------------------------------------------------------------------------

  publish(number: number, topic: string, payload: Buffer, text: boolean, retain: boolean, sure: boolean): void {
    if (this.caller === null) {
      this.session.settled(number, UNKNOWN, 0);
      return;
    }
    const publication: Publication = {
      topic,
      payload,
      text,
      retain,
      assurance: sure ? 1 : 0,
      from: this.attachment,
    };
    this.host.resources.topics.publish(this.caller, publication, this, number);
  }

  subscribe(number: number, { filter, after, encoding }: Subscription): void {
    const { filters, session, host } = this;
    const former = filters.get(filter);
    if (this.caller === null) {
      session.settled(number, UNKNOWN, 0);
      return;
    }
    if (former === undefined && filters.size >= host.limits.subscriptionsMax) {
      session.settled(number, FULL, 0, TOO_MANY);
      return;
    }
    this.attachment ??= host.resources.topics.attach(this.caller, this, {
      policy: this.policy,
      queueMessagesMax: host.limits.queueMessagesMax,
      queueBytesMax: host.limits.queueBytesMax,
      name: this.nameOf(this.caller),
    });
    this.setFilter(filter, encoding);
    this.subscribing.set(number, { filter, former });
    // One that goes on behind a cursor has seen what is retained: giving it again would be a repeat.
    const options: SubscribeOptions =
      after < 0 ? { filter, assurance: 0 } : { filter, assurance: 0, after, retained: 'never' };
    this.attachment.subscribe(options, this, number);
  }

  private nameOf({ account }: Caller): string {
    const from = `lines/${addressText(this.session.pipe.peer.remote)}`;
    return account === '' ? from : `${from}/${account}`;
  }

  /** Undefined takes the filter away. */
  private setFilter(filter: string, encoding: Encoding | undefined): void {
    const { filters, session } = this;
    if ((filters.get(filter) ?? 'auto') !== 'auto') this.encoded--;
    if (encoding === undefined) filters.delete(filter);
    else {
      filters.set(filter, encoding);
      if (encoding !== 'auto') this.encoded++;
    }
    session.subscriptions = filters.size;
  }

  unsubscribe(number: number, filter: string): void {
    const { attachment } = this;
    if (attachment === null || !this.filters.has(filter)) {
      this.session.settled(number, this.caller === null ? UNKNOWN : MISSING, 0);
      return;
    }
    this.setFilter(filter, undefined);
    attachment.unsubscribe(filter, undefined, this, number);
  }

  last(number: number, topic: string, encoding: Encoding): void {
    const message = this.caller === null ? UNKNOWN : this.host.resources.topics.retained(this.caller, topic);
    if (typeof message === 'number') this.session.settled(number, message, 0);
    else if (message === null) this.session.settled(number, MISSING, 0, 'nothing is retained');
    else this.session.settled(number, OK, message.cursor, '', this.frameOf(message, encoding, true));
  }

  name(number: number, name: string, password: string | null): void {
    if (this.attachment !== null) this.session.settled(number, STALE, 0, 'give the name before the first SUB');
    else {
      const { pipe } = this.session;
      const credentials = { kind: 'password', account: name, password: password ?? '' } as const;
      const answer = this.host.resources.accounts.signIn(credentials, pipe.peer, 'lines', this, number);
      if (answer !== null) this.signedIn(number, answer);
    }
  }

  signedIn(number: number, answer: Caller | SignInRefusal): void {
    if ('refused' in answer) this.session.settled(number, ...REFUSED[answer.refused]);
    else {
      this.caller = answer;
      this.session.pipe.signedIn(answer);
      this.session.settled(number, OK, 0);
    }
  }

  /** Who it is before a name was given: by its certificate, or nobody. */
  private withoutName(): Caller | null {
    const { accounts } = this.host.resources;
    const { peer } = this.session.pipe;
    const certificate = peer.tls?.certificate ?? null;
    const answer =
      certificate === null || accounts.open
        ? null
        : accounts.signIn({ kind: 'certificate', certificate }, peer, 'lines', this, 0);
    return answer !== null && !('refused' in answer) ? answer : accounts.nobody(peer);
  }

  slow(number: number, policy: string): void {
    if (!POLICIES.includes(policy))
      this.session.settled(number, INVALID, 0, 'policies are disconnect, drop-oldest, keep-latest');
    else if (this.attachment !== null) this.session.settled(number, STALE, 0, 'choose before the first SUB');
    else {
      this.policy = policy as SlowPolicy;
      this.session.settled(number, OK, 0);
    }
  }

  settled(number: number, outcome: Outcome, value: number): void {
    const asked = this.subscribing.get(number);
    if (asked === undefined) {
      this.session.settled(number, outcome, value);
      return;
    }
    this.subscribing.delete(number);
    if (outcome !== OK) this.setFilter(asked.filter, asked.former);
    // The value is the assurance, which is always the same here.
    this.session.settled(number, outcome, 0);
  }

  roomy(): void {
    this.attachment?.more();
  }

  gone(): void {
    this.attachment?.detach();
    this.attachment = null;
    this.subscribing.clear();
  }

  // ---- messages ----------------------------------------------------------------------------------------------------

  reserve(): number {
    return this.session.isRoomy ? 1 : 0;
  }

  deliver(message: Message, match: Match): void {
    const encoding = this.encoded === 0 ? 'auto' : this.encodingOf(match);
    this.session.message(this.frameOf(message, encoding, match.retain));
  }

  /** A message that several filters match comes once: raw if one of them asks for that, else base64 if one does. */
  private encodingOf({ filters }: Match): Encoding {
    let encoding: Encoding = 'auto';
    for (const filter of filters) {
      const asked = this.filters.get(filter);
      if (asked === 'raw') return 'raw';
      if (asked === 'base64') encoding = 'base64';
    }
    return encoding;
  }

  private frameOf(message: Message, encoding: Encoding, retained: boolean): Uint8Array {
    const { frames } = message;
    if (!this.session.isJson) {
      const slot = SLOTS[encoding];
      const make = encoding === 'auto' ? textFrame : encoding === 'raw' ? rawFrame : base64Frame;
      return (frames[slot] ??= make(message));
    }
    const always64 = encoding === 'base64';
    const plain = always64 ? SLOTS.json64 : SLOTS.json;
    const slot = retained ? (always64 ? SLOTS.json64Retained : SLOTS.jsonRetained) : plain;
    return (frames[slot] ??= jsonFrame(message, retained, encoding));
  }

  release(): void {
    // Nothing is delivered here that has to be released.
  }

  gap(gap: Gap): void {
    this.session.gap(gap.filter, gap.after, gap.from);
  }

  overflow(): void {
    this.session.fail(faults.tooSlow);
  }

  superseded(): void {
    this.session.leave('revoked', this.host.clock);
  }
}

/** Lines on a stream. */
export function serveLines(pipe: Pipe, host: LinesHost): Session {
  return new LinesSession(pipe, host.limits, host.clock, (session) => new LinesServer(session, host));
}
