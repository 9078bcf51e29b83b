// One subscriber: what waits for it, what it was given and has not acknowledged, and what becomes of it when it is slow.
// It lives as long as its connection, or longer when it is durable. It does not know how a message was matched.
import type { Caller } from '../../core/caller.ts';
import { OK, type Waiter } from '../../core/outcome.ts';
import type { AttachOptions, Match, Message, Subscriber, TopicFigures } from './contract.ts';
import { sizeOf } from './message.ts';
import type { Replay } from './replay.ts';
import { LATER } from './retained-walk.ts';
import type { Subscription } from './subscriptions.ts';

/** A stored message that durable subscribers wait for; its record goes when none does any more. */
export interface Stored {
  readonly key: string;
  readonly sequence: number;
  waiting: number;
  /** Where it is noted as done by those that do not wait any more. */
  readonly noted: Set<number>[];
}

/** Retained values for a new subscription, given before all that is live. */
export interface Feed {
  readonly subscription: Subscription;
  /** The next that is still to be given; null at the end; LATER when it pumps by itself in another turn. */
  peek(): { message: Message; match: Match } | null | typeof LATER;
  next(): void;
}

/** One delivery to come, or under way. */
export interface Pending {
  readonly message: Message;
  readonly match: Match;
  /** Null when nothing is stored for it. */
  readonly stored: Stored | null;
  /** 0 until it was reserved. */
  tag: number;
  /** Of assurance 2: it has arrived, only its release is left. */
  released: boolean;
  /** It was handed to a connection before. */
  again: boolean;
}

/** What a subscriber that lasts needs of its keeper. */
export interface DurableKeeper {
  /** The tag of a delivery of assurance 2 is to be known after a crash; `then` once it is, or cannot be. */
  tagged(core: Core, pending: Pending, then: (known: boolean) => void): void;
  /** A tag stands for nothing any more: what it was to stand for was never handed over under it. */
  untagged(core: Core, tag: number): void;
  arrived(core: Core, pending: Pending, waiter: Waiter, token: number): void;
  /** The delivery is over. */
  done(core: Core, pending: Pending): void;
}

/** What was not delivered lately, for `why`. */
export interface Dropped {
  readonly topic: string;
  readonly cursor: number;
  readonly why: 'dropped' | 'expired' | 'denied';
}

const DROPPED_KEPT = 64;

export type MayHear = (caller: Caller, topic: string) => boolean;

export class Core {
  options: AttachOptions;
  readonly durable: string | null;
  /** Whose it is: of its last connection. */
  caller: Caller;
  /** What of the topics that its caller may not have is not handed over, whatever it subscribed to. */
  private readonly mayHear: MayHear;
  readonly subscriptions = new Map<string, Subscription>();
  readonly dropped: Dropped[] = [];
  /** What was published once and may be asked for again. */
  get once(): Set<number> {
    return (this.onces ??= new Set());
  }
  /** Publications of its own that are being committed. */
  committing = 0;
  delivered = 0;
  /**
   * Whether it outlives its connection: what it is to get is stored, and followed until it is acknowledged. A named one
   * that ends with its connection is only superseded by name.
   */
  lasting = false;
  /** How many connections it has had: the last of them is the one that holds it. */
  lives = 0;
  private subscriber: Subscriber | null = null;
  private readonly keeper: DurableKeeper | null;
  private readonly figures: TopicFigures;
  private readonly wall: () => number;
  private waiting: Pending[] = [];
  private first = 0;
  private waitingBytes = 0;
  /** Made when they are needed: most connections have neither. */
  private onces: Set<number> | null = null;
  private flights: Map<number, Pending> | null = null;
  private readonly feeds: Feed[] = [];
  private readonly replays: Replay[] = [];
  private pumping = false;
  /** Deliveries of assurance 2 whose tags are being committed. */
  private tagging = 0;

  constructor(
    durable: string | null,
    caller: Caller,
    mayHear: MayHear,
    options: AttachOptions,
    keeper: DurableKeeper | null,
    figures: TopicFigures,
    wall: () => number,
  ) {
    this.durable = durable;
    this.caller = caller;
    this.mayHear = mayHear;
    this.options = options;
    this.keeper = keeper;
    this.figures = figures;
    this.wall = wall;
  }

  get account(): string {
    return this.caller.account;
  }

  /** Whether its caller may have messages of a topic. */
  hears(topic: string): boolean {
    return this.mayHear(this.caller, topic);
  }

  private get flying(): Map<number, Pending> {
    return (this.flights ??= new Map());
  }

  get isAttached(): boolean {
    return this.subscriber !== null;
  }

  /** Connected, with nothing waiting that a message would have to stand behind. */
  get isReady(): boolean {
    return this.subscriber !== null && this.waiting.length === this.first && this.feeds.length === 0;
  }

  get queued(): number {
    return this.waiting.length - this.first;
  }

  get inFlight(): number {
    return this.flights?.size ?? 0;
  }

  /** Whether a message waits, or was given and not acknowledged; cursor 0 for any of the topic. */
  isWaiting(topic: string, cursor: number): boolean {
    const is = ({ message }: Pending) => message.topic === topic && (cursor === 0 || message.cursor === cursor);
    for (const pending of this.flying.values()) if (is(pending)) return true;
    for (let at = this.first; at < this.waiting.length; at++) if (is(this.waiting[at]!)) return true;
    return false;
  }

  // ---- connections -------------------------------------------------------------------------------------------------

  /** A connection begins. What was not acknowledged is given again, in its order; then what waits. */
  attach(subscriber: Subscriber, options: AttachOptions): void {
    this.options = options;
    this.subscriber = subscriber;
  }

  /** Gives what a new connection has to be given first. */
  resume(): void {
    const { subscriber } = this;
    if (subscriber === null) return;
    for (const pending of [...this.flying.values()]) {
      if (!pending.released && !this.hears(pending.message.topic)) {
        this.flying.delete(pending.tag);
        this.lose(pending, 'denied');
      } else if (pending.released) subscriber.release(pending.tag);
      else if (!pending.again && pending.match.assurance === 2) this.handOverOnce(pending);
      else {
        subscriber.deliver(pending.message, pending.match, pending.tag, pending.again);
        pending.again = true;
      }
    }
    this.pump();
  }

  /** The connection is gone. */
  detach(): void {
    this.subscriber = null;
    this.feeds.length = 0;
    for (const replay of this.replays.splice(0)) replay.stop();
    if (this.lasting) {
      this.forgetUnsure();
      return;
    }
    this.abandon();
  }

  /** Another connection took over. */
  supersede(): void {
    const { subscriber } = this;
    this.detach();
    subscriber?.superseded();
  }

  // ---- deliveries --------------------------------------------------------------------------------------------------

  /** One message for this subscriber. */
  offer(message: Message, match: Match, stored: Stored | null): void {
    if (this.subscriber === null && (match.assurance === 0 || !this.lasting)) return;
    // The plain case: connected, nothing waits, nothing to remember.
    if (this.isReady && this.tagging === 0 && (match.assurance === 0 || !this.lasting)) {
      const tag = this.subscriber!.reserve(message, match);
      if (tag !== 0) {
        this.delivered++;
        this.figures.delivered++;
        this.subscriber!.deliver(message, match, tag, false);
        return;
      }
    }
    this.waiting.push({ message, match, stored, tag: 0, released: false, again: false });
    this.waitingBytes += sizeOf(message);
    if (this.subscriber !== null) this.pump();
    if (this.queued > this.options.queueMessagesMax || this.waitingBytes > this.options.queueBytesMax) this.shed();
  }

  /** Hands over retained values, then what waits, then history, as long as the subscriber has room. */
  pump(): void {
    // `deliver` may lead back here by way of an acknowledgement; the loops below go on with what is there then.
    if (this.pumping) return;
    this.pumping = true;
    this.run();
    this.pumping = false;
  }

  private run(): void {
    while (this.subscriber !== null) {
      if (this.feeds.length > 0) {
        if (!this.feed(this.feeds[0]!)) return;
      } else if (this.queued > 0) {
        if (!this.handOver()) return;
      } else if (this.replays.length > 0) {
        const replay = this.replays[0]!;
        if (!replay.step()) return;
        if (this.replays[0] === replay) this.replays.shift();
      } else return;
    }
  }

  /** One value of a feed; false when there is no room. */
  private feed(feed: Feed): boolean {
    const next = feed.peek();
    if (next === LATER) return false;
    if (next === null) {
      if (this.feeds[0] === feed) this.feeds.shift();
      return true;
    }
    if (!this.replayed(next.message, next.match)) return false;
    feed.next();
    return true;
  }

  /** One message out of the history or the retained values; false when there is no room. */
  replayed(message: Message, match: Match): boolean {
    if (this.subscriber === null || (this.tagging > 0 && match.assurance !== 2)) return false;
    const tag = this.subscriber.reserve(message, match);
    if (tag === 0) return false;
    this.give({ message, match, stored: null, tag: 0, released: false, again: false }, tag);
    return true;
  }

  addFeed(feed: Feed): void {
    this.feeds.push(feed);
    this.pump();
  }

  addReplay(replay: Replay): void {
    this.replays.push(replay);
    this.pump();
  }

  /** The subscription is gone: what it was still to be given first is not given. */
  dropSources(subscription: Subscription): void {
    const fed = this.feeds.findIndex((feed) => feed.subscription === subscription);
    if (fed >= 0) this.feeds.splice(fed, 1);
    const at = this.replays.findIndex((replay) => replay.subscription === subscription);
    if (at < 0) return;
    this.replays[at]!.stop();
    this.replays.splice(at, 1);
  }

  gap(filter: string, after: number, from: number): void {
    this.subscriber?.gap({ filter, after, from });
  }

  live(filter: string, cursor: number): void {
    this.subscriber?.live?.(filter, cursor);
  }

  acknowledge(tag: number): void {
    const pending = this.flying.get(tag);
    if (pending !== undefined) {
      this.flying.delete(tag);
      this.keeper?.done(this, pending);
    }
    this.pump();
  }

  received(tag: number, waiter: Waiter, token: number): void {
    const pending = this.flying.get(tag);
    if (pending === undefined || this.keeper === null) {
      waiter.settled(token, OK, 0);
      return;
    }
    pending.released = true;
    this.keeper.arrived(this, pending, waiter, token);
  }

  // ---- what a start brings back ------------------------------------------------------------------------------------

  /** A delivery that was waiting or under way when the process ended. */
  restore(pending: Pending): void {
    if (pending.tag !== 0) this.flying.set(pending.tag, pending);
    else {
      this.waiting.push(pending);
      this.waitingBytes += sizeOf(pending.message);
    }
  }

  /** Ends all that waits, for a durable subscriber that ends. */
  abandon(): void {
    const all = [...this.flying.values(), ...this.waiting.slice(this.first)];
    this.flying.clear();
    this.waiting = [];
    this.first = 0;
    this.waitingBytes = 0;
    for (const pending of all) this.keeper?.done(this, pending);
  }

  // ---- inside ------------------------------------------------------------------------------------------------------

  /** Hands over the first that waits; false when there is no room. */
  private handOver(): boolean {
    const pending = this.waiting[this.first]!;
    const { message, match } = pending;
    if (message.expiry <= this.wall()) {
      this.shift();
      this.figures.expired++;
      this.lose(pending, 'expired');
      return true;
    }
    // It was allowed when it was published, and waited while the rules changed.
    if (!this.hears(message.topic)) {
      this.shift();
      this.lose(pending, 'denied');
      return true;
    }
    // Nothing overtakes what waits for its tag to be committed.
    if (this.tagging > 0 && match.assurance !== 2) return false;
    const tag = this.subscriber!.reserve(message, match);
    if (tag === 0) return false;
    this.shift();
    this.give(pending, tag);
    return true;
  }

  private give(pending: Pending, tag: number): void {
    const { message, match } = pending;
    this.delivered++;
    this.figures.delivered++;
    // What was stored for a former life that lasted is followed to its end all the same.
    if (match.assurance === 0 || (!this.lasting && pending.stored === null)) {
      this.subscriber!.deliver(message, match, tag, false);
      return;
    }
    pending.tag = tag;
    this.flying.set(tag, pending);
    if (match.assurance === 1) {
      pending.again = true;
      this.subscriber!.deliver(message, match, tag, false);
    } else this.handOverOnce(pending);
  }

  /**
   * Exactly once: the tag is committed before the message leaves, so that after a crash it is the same one and the
   * subscriber knows a repeat.
   */
  private handOverOnce(pending: Pending): void {
    const { subscriber } = this;
    this.tagging++;
    this.keeper!.tagged(this, pending, (known) => {
      this.tagging--;
      if (this.subscriber === subscriber && this.flying.get(pending.tag) === pending && !pending.again) {
        if (known) {
          pending.again = true;
          subscriber!.deliver(pending.message, pending.match, pending.tag, false);
        } else {
          // A disk that is full: the next connection tries again.
          subscriber!.overflow();
        }
      }
      if (this.tagging === 0) this.pump();
    });
  }

  private shift(): Pending {
    const pending = this.waiting[this.first]!;
    this.waiting[this.first++] = undefined as never;
    this.waitingBytes -= sizeOf(pending.message);
    if (this.first === this.waiting.length) {
      this.waiting = [];
      this.first = 0;
    } else if (this.first >= 1_024 && this.first * 2 > this.waiting.length) {
      this.waiting = this.waiting.slice(this.first);
      this.first = 0;
    }
    return pending;
  }

  /** More waits than may: what the policy says. */
  private shed(): void {
    const { policy } = this.options;
    if (policy === 'disconnect' && this.subscriber !== null) {
      const { subscriber } = this;
      if (!this.lasting) {
        this.figures.dropped += this.queued;
        this.detach();
      }
      subscriber.overflow();
      if (!this.lasting) return;
    }
    const { queueMessagesMax, queueBytesMax } = this.options;
    if (policy === 'keep-latest') this.keepLatest();
    while (this.queued > 1 && (this.queued > queueMessagesMax || this.waitingBytes > queueBytesMax)) {
      this.figures.dropped++;
      this.lose(this.shift(), 'dropped');
    }
  }

  /** Drops what a later message of the same topic waits behind. */
  private keepLatest(): void {
    const latest = new Map<string, Pending>();
    for (let at = this.first; at < this.waiting.length; at++)
      latest.set(this.waiting[at]!.message.topic, this.waiting[at]!);
    const all = this.waiting.slice(this.first);
    this.waiting = [];
    this.first = 0;
    this.waitingBytes = 0;
    for (const pending of all) {
      if (latest.get(pending.message.topic) === pending) {
        this.waiting.push(pending);
        this.waitingBytes += sizeOf(pending.message);
      } else {
        this.figures.dropped++;
        this.lose(pending, 'dropped');
      }
    }
  }

  private lose(pending: Pending, why: Dropped['why']): void {
    this.dropped.push({ topic: pending.message.topic, cursor: pending.message.cursor, why });
    if (this.dropped.length > DROPPED_KEPT) this.dropped.shift();
    if (pending.stored !== null) this.keeper?.done(this, pending);
  }

  /** What has assurance 0 does not outlive the connection. */
  private forgetUnsure(): void {
    const kept = [...this.takeBack(), ...this.waiting.slice(this.first).filter(({ match }) => match.assurance > 0)];
    this.waiting = kept;
    this.first = 0;
    this.waitingBytes = kept.reduce((sum, { message }) => sum + sizeOf(message), 0);
  }

  /**
   * Deliveries whose tag was still being committed: nobody has seen it, and the next connection may give it to another
   * delivery. They wait for a tag of that connection's own.
   */
  private takeBack(): Pending[] {
    const back: Pending[] = [];
    for (const [tag, pending] of this.flying) {
      if (pending.again || pending.released) continue;
      this.flying.delete(tag);
      this.keeper?.untagged(this, tag);
      back.push({ ...pending, tag: 0 });
    }
    return back;
  }
}
