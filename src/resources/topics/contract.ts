// Topics as protocols see them: messages, publishing, attaching a subscriber, durable subscribers that outlive their
// connection. Nothing here, and nothing behind it, knows which protocol is calling.
import type { Caller } from '../../core/caller.ts';
import type { Outcome, Waiter } from '../../core/outcome.ts';

/**
 * How surely a message is to arrive: 0 at most once, 1 at least once, 2 exactly once. A delivery has the lesser of what the
 * publisher and the subscriber asked for.
 */
export type Assurance = 0 | 1 | 2;

/** One message, immutable, shared by all that it is delivered to. */
export interface Message {
  readonly topic: string;
  readonly payload: Uint8Array;
  /** `''` for none. */
  readonly contentType: string;
  /** Whether the publisher said that the payload is UTF-8 text. */
  readonly text: boolean;
  /** Name, value, name, value; names may repeat. */
  readonly properties: readonly string[];
  readonly responseTopic: string;
  readonly correlation: Uint8Array | null;
  /** The publisher's account. */
  readonly publisher: string;
  /** When it was taken, in milliseconds since 1970. */
  readonly time: number;
  /** When it is of no more use, in milliseconds since 1970; Infinity for never. */
  readonly expiry: number;
  /** It was published to become the topic's retained value. */
  readonly retain: boolean;
  readonly assurance: Assurance;
  /** Its place in the history, ever growing; 0 where the topic keeps none. */
  readonly cursor: number;
  /**
   * What protocols encoded it to, by a slot from `frameSlot()`: encoded once, shared by all subscribers of that protocol.
   * Not kept with the message.
   */
  readonly frames: (Uint8Array | undefined)[];
}

/** What a publisher gives. `payload` and `correlation` must be immutable from now on: copy what was borrowed. */
export interface Publication {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly contentType?: string;
  readonly text?: boolean;
  readonly properties?: readonly string[];
  readonly responseTopic?: string;
  readonly correlation?: Uint8Array | null;
  /** How long it is of use, in milliseconds; absent for ever. */
  readonly expiryMs?: number;
  /** It becomes the topic's retained value; an empty payload clears that. */
  readonly retain?: boolean;
  readonly assurance: Assurance;
  /** Whose publication it is, for subscriptions that do not want their own. */
  readonly from?: Attachment | null;
  /**
   * With `from`: publish this once, however often it is asked, until `from.forget(once)`. The number and the message are
   * committed together; a repeat settles OK without publishing.
   */
  readonly once?: number;
  /** What was made of it already, by slot: see `Message.frames`. */
  readonly frames?: (Uint8Array | undefined)[] | undefined;
}

/** What is done for a subscriber that does not keep up: see the limits of the topics. */
export type SlowPolicy = 'disconnect' | 'drop-oldest' | 'keep-latest';

/** Which retained values a new subscription is given first. */
export type RetainedHandling = 'always' | 'when-new' | 'never';

export interface SubscribeOptions {
  /** Levels joined by `/`, with `+` and `#`. */
  readonly filter: string;
  readonly assurance: Assurance;
  /** Members of one group share the messages: each goes to one of them. */
  readonly group?: string;
  readonly noLocal?: boolean;
  /** Deliver with the publisher's retain flag rather than cleared. */
  readonly retainAsPublished?: boolean;
  readonly retained?: RetainedHandling;
  /** A number of the subscriber's own that deliveries carry; 0 for none. */
  readonly identifier?: number;
  /** Begin with the history behind this cursor; absent for what comes from now on. 0 is all that there is. */
  readonly after?: number;
}

/** Why and how a message reaches a subscriber. One for all subscriptions of that subscriber that it matched. */
export interface Match {
  readonly assurance: Assurance;
  /** The identifiers of the subscriptions that matched, without 0. */
  readonly identifiers: readonly number[];
  /** The filters that matched, as they were subscribed. */
  readonly filters: readonly string[];
  /** What the delivery's retain flag is: set for a retained value that a new subscription is given first. */
  readonly retain: boolean;
}

/** A part of the history that could not be given: it begins behind `after`, or the topic keeps none. */
export interface Gap {
  readonly filter: string;
  readonly after: number;
  /** The cursor of the first that follows, 0 when there is none. */
  readonly from: number;
}

/** A protocol's connection as topics see it. All calls come from the event loop and must not throw. */
export interface Subscriber {
  /**
   * A place for one more delivery: a tag above 0 that stands for it until it is acknowledged (assurance 1 and 2, never one
   * that is in use), 1 for assurance 0, or 0 when there is no room: call `attachment.more()` once there is.
   */
  reserve(message: Message, match: Match): number;
  /** One delivery. `again`: it was delivered before and not acknowledged. Assurance 1 and 2 end with `acknowledge(tag)`. */
  deliver(message: Message, match: Match, tag: number, again: boolean): void;
  /** A delivery of assurance 2 that was `received(tag)` before this connection: only its release is still to be done. */
  release(tag: number): void;
  /** What follows does not join on to what was asked for. */
  gap(gap: Gap): void;
  /**
   * All that matches comes as it is published from now on: a subscription without `after` has begun, or the history
   * behind `after` has been given. `cursor` is the newest there is: go on behind it after a lost connection.
   */
  live?(filter: string, cursor: number): void;
  /** Too slow, with the policy `disconnect`: end the connection. */
  overflow(): void;
  /** Another connection took over the durable subscriber: end this one. Nothing more is delivered. */
  superseded(): void;
}

export interface AttachOptions {
  readonly policy: SlowPolicy;
  /** Messages and bytes that may wait for the subscriber. */
  readonly queueMessagesMax: number;
  readonly queueBytesMax: number;
  /** What it is called in `why` and in metrics: a client id, an address. */
  readonly name: string;
}

/** A subscriber's hold on the topics. */
export interface Attachment {
  /** Null when the subscriber is not durable. */
  readonly durable: string | null;
  /**
   * Adds a subscription, or replaces the one with the same filter and group. Settles OK with the assurance that is
   * granted, after what is durable about it was committed; retained values and history follow, in order with what is
   * live. INVALID (the filter), DENIED, FULL (too many subscriptions), UNSUPPORTED. Answers of a durable subscriber come in
   * the order of the calls.
   */
  subscribe(options: SubscribeOptions, waiter: Waiter, token: number): void;
  /** Settles OK, or MISSING when there was none. */
  unsubscribe(filter: string, group: string | undefined, waiter: Waiter, token: number): void;
  /** There is room again after `reserve` answered 0. */
  more(): void;
  /** A delivery of assurance 1, or the release of one of assurance 2, is done. */
  acknowledge(tag: number): void;
  /** A delivery of assurance 2 has arrived and must not be repeated. Settles when that is committed: release it then. */
  received(tag: number, waiter: Waiter, token: number): void;
  /** Ends what `once` began. Settles when it is committed; MISSING when nothing was begun, which is no fault. */
  forget(once: number, waiter: Waiter, token: number): void;
  /** Numbers that `once` was given and that were not forgotten. */
  isOnce(once: number): boolean;
  /** How long a durable subscriber lasts without a connection, in ms; Infinity for ever, 0 ends it on `detach`. */
  keep(ms: number): void;
  /** The connection is gone. A durable subscriber stays for as long as it is kept; another ends. */
  detach(): void;
}

export interface DurableOptions extends AttachOptions {
  readonly id: string;
  /** Forget what there was under this id. */
  readonly fresh: boolean;
  readonly keepMs: number;
}

/** What a message is published with when its publisher went away without saying so. */
export interface Will {
  readonly publication: Publication;
  readonly delayMs: number;
}

/** A page of history. */
export interface History {
  readonly messages: readonly Message[];
  /** What was asked for is not all there. */
  readonly gap: Gap | null;
  /** Go on from here. */
  readonly cursor: number;
}

/** Why a message did not reach a subscriber. */
export interface WhyAnswer {
  readonly subscriber: string;
  readonly reason:
    | 'delivered'
    | 'waiting'
    | 'no filter matches'
    | 'denied'
    | 'expired'
    | 'dropped'
    | 'its own'
    | 'another of its group'
    | 'not connected';
  readonly detail: string;
}

export interface Topics {
  /**
   * Takes a message. Settles OK with its cursor (0 where the topic keeps no history) after all that must last is
   * committed; DENIED, INVALID (the topic), FULL, BUSY, FAILED. A topic without history is dispatched, and settled, before
   * this returns where nothing of the same publisher or topic is still being committed.
   */
  publish(caller: Caller, publication: Publication, waiter: Waiter, token: number): void;
  /** How many subscribers, durable ones included, a topic has now. */
  matching(topic: string): number;
  attach(caller: Caller, subscriber: Subscriber, options: AttachOptions): Attachment;
  /**
   * Attaches to a durable subscriber, made if need be; one that is attached elsewhere is superseded. What was not
   * acknowledged is delivered again, once this has settled: OK with 1 when there was one before, else 0; DENIED when it
   * is another account's; FULL.
   */
  attachDurable(
    caller: Caller,
    subscriber: Subscriber,
    options: DurableOptions,
    waiter: Waiter,
    token: number,
  ): Attachment;
  /**
   * Sets the will of an attachment; null takes it back. `detach` publishes it, `delayMs` later, and not at all when its
   * durable subscriber is attached to again by then. A durable subscriber's will lasts with it, also over a crash.
   */
  arm(attachment: Attachment, caller: Caller, will: Will | null): void;
  /** The retained value of a topic; null when there is none or it has expired. */
  retained(caller: Caller, topic: string): Message | null | Outcome;
  /** Visits retained values that a filter matches. */
  eachRetained(caller: Caller, filter: string, visit: (message: Message) => void): Outcome;
  /** The history of a filter behind a cursor, at most `most` messages. */
  history(caller: Caller, filter: string, after: number, most: number): Promise<History | Outcome>;
  /** The cursor up to which everything has been handed out: a subscription that begins now goes on behind it. */
  readonly head: number;
  /** Why a message with this cursor (or the last on the topic, 0) did or did not reach subscribers. */
  why(caller: Caller, topic: string, cursor: number): WhyAnswer[] | Outcome;
  /** Figures for metrics and `$SYS`. */
  readonly figures: TopicFigures;
}

export interface TopicFigures {
  published: number;
  delivered: number;
  dropped: number;
  expired: number;
  retained: number;
  subscriptions: number;
  attached: number;
  durables: number;
}
