// The client half of portico.json on one socket: requests out with a number each, answers and messages in. Where to go on
// after a lost connection it keeps in positions, which the next client is made with. The caller dials.
import type { Fault } from '../../core/fault.ts';
import type { MessageSession, Messages } from '../../core/messages.ts';
import { GONE, OK, type Outcome } from '../../core/outcome.ts';
import type { Cause, Why } from '../../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import type { Call, CallReceiver } from '../../resources/services/contract.ts';
import { type CallSocket, ClientCall } from './client-calls.ts';
import { replyFaults } from './faults.ts';
import { Positions } from './positions.ts';
import { type Answer, type CallReply, readReply } from './replies.ts';
import {
  type CallSettings,
  callText,
  getText,
  type PublishOptions,
  publishText,
  type ReceivedMessage,
  type SubscribeOptions,
  subscribeText,
  unsubscribeText,
} from './requests.ts';
import { refusedStatus } from './words.ts';

export type { PublishOptions, ReceivedMessage, SubscribeOptions } from './requests.ts';

/** What a client is told. */
export interface PorticoJsonEvents {
  /**
   * A request ended; `cursor` is that of what was published, `message` what `get` found. GONE for all that is open when
   * the connection ends: whether it was done is not known.
   */
  answered(number: number, outcome: Outcome, cursor: number, detail: string, message: ReceivedMessage | null): void;
  message(message: ReceivedMessage): void;
  /** A filter's history has been given: from now on what is published comes. */
  live(filter: string, cursor: number): void;
  gap(filter: string, after: number, from: number): void;
  /** An error that answers nothing that was asked. */
  refused(outcome: Outcome, detail: string): void;
  /** There is room for requests again. */
  roomy(): void;
  closed(cause: Cause, wire: number, fault: Fault | null): void;
}

export interface PorticoJsonOptions {
  /** Those of the connection before: go on with `resume()`. */
  readonly positions?: Positions;
  /** Requests that may be open. */
  readonly openMax?: number;
}

/** Ends a connection without fault (RFC 6455 §7.4.1). */
const NORMAL = 1000;

const GONE_STATUS = { code: 'UNAVAILABLE', message: 'the connection is gone', details: [] } as const;

const PLAIN = 0;
const SUBSCRIBE = 1;
const UNSUBSCRIBE = 2;

interface Asked {
  readonly kind: typeof PLAIN | typeof SUBSCRIBE | typeof UNSUBSCRIBE;
  readonly filter: string;
}

const ASKED: Asked = { kind: PLAIN, filter: '' };

export class PorticoJsonClient implements MessageSession, CallSocket {
  readonly deadline: Instant = NEVER;
  readonly positions: Positions;
  private readonly messages: Messages;
  private readonly events: PorticoJsonEvents;
  private readonly openMax: number;
  private readonly asked = new Map<number, Asked>();
  /** Filters that `resume` has asked for. */
  private readonly resumed = new Set<string>();
  private readonly calls = new Map<number, ClientCall>();
  /** Calls whose receivers take no more for now. */
  private held = 0;
  private last = 0;
  private fault: Fault | null = null;
  private full = false;
  private over = false;

  constructor(messages: Messages, events: PorticoJsonEvents, options: PorticoJsonOptions = {}) {
    this.messages = messages;
    this.events = events;
    this.positions = options.positions ?? new Positions();
    this.openMax = options.openMax ?? 1_024;
  }

  // ---- requests ----------------------------------------------------------------------------------------------------

  /** Requests that have not been answered. */
  get open(): number {
    return this.asked.size;
  }

  /** Whether a request would be sent. `roomy` is told when it is so again. */
  get isRoomy(): boolean {
    const is = !this.over && this.asked.size < this.openMax && this.messages.room > 0;
    if (!is) this.full = true;
    return is;
  }

  /** Publishes; answers the number of the request, or 0 when there was no room for it. Text is a string. */
  publish(topic: string, payload: string | Uint8Array, options: PublishOptions = {}): number {
    return this.ask(ASKED, (number) => publishText(number, topic, payload, options));
  }

  subscribe(filter: string, options: SubscribeOptions = {}): number {
    const number = this.askFor(filter, options);
    if (number > 0) this.positions.subscribed(filter, options);
    return number;
  }

  private askFor(filter: string, options: SubscribeOptions): number {
    return this.ask({ kind: SUBSCRIBE, filter }, (number) => subscribeText(number, filter, options));
  }

  unsubscribe(filter: string): number {
    return this.ask({ kind: UNSUBSCRIBE, filter }, (number) => unsubscribeText(number, filter));
  }

  /** Asks for the retained value of a topic. */
  get(topic: string): number {
    return this.ask(ASKED, (number) => getText(number, topic));
  }

  /**
   * Begins a call of `shop.v1.Orders.GetOrder`; values are as JSON has them. Undefined `params` follow by `send`. Null once
   * the connection is over.
   */
  call(method: string, params: unknown, settings: CallSettings, receiver: CallReceiver): Call | null {
    if (this.over) return null;
    const number = ++this.last;
    const call = new ClientCall(this, number, receiver);
    this.calls.set(number, call);
    this.say(callText(number, method, params, settings));
    return call;
  }

  say(text: Buffer): void {
    if (this.over) return;
    this.messages.send(text, 0, text.length, true);
    this.messages.flush();
  }

  get room(): number {
    if (this.over || this.messages.room > 0) return this.messages.room;
    this.full = true;
    return 0;
  }

  hold(): void {
    if (this.held++ === 0) this.messages.pause();
  }

  letGo(): void {
    if (--this.held === 0 && !this.over) this.messages.resume();
  }

  callEnded(number: number): void {
    this.calls.delete(number);
  }

  /**
   * Subscribes again to all that the connection before was subscribed to, each behind what it was given; answers how many
   * requests that were. Those that found no room are left for the next call.
   */
  resume(): number {
    let sent = 0;
    for (const [filter, options, after] of [...this.positions]) {
      if (this.resumed.has(filter)) continue;
      if (this.askFor(filter, after < 0 ? options : { ...options, after }) === 0) break;
      this.resumed.add(filter);
      sent++;
    }
    return sent;
  }

  /** Closes. What was asked and not answered ends with GONE. */
  end(): void {
    if (this.over) return;
    this.over = true;
    this.messages.end(NORMAL);
    this.messages.flush();
  }

  private ask(asked: Asked, request: (number: number) => Buffer): number {
    if (!this.isRoomy) return 0;
    const number = ++this.last;
    this.asked.set(number, asked);
    const text = request(number);
    this.messages.send(text, 0, text.length, true);
    this.messages.flush();
    return number;
  }

  // ---- what the server says ----------------------------------------------------------------------------------------

  receive(input: Uint8Array, start: number, end: number, isText: boolean, _clock: Clock): void {
    if (this.over) return;
    const reply = isText ? readReply(input, start, end) : null;
    if (reply === null) {
      this.fail(replyFaults.badReply);
      return;
    }
    switch (reply.kind) {
      case 'message': {
        const { message } = reply;
        const isNew = message.retained || this.positions.came(message.topic, message.cursor, message.history);
        if (isNew) this.events.message(message);
        return;
      }
      case 'answer':
        this.answer(reply);
        return;
      case 'live':
        this.positions.live(reply.filter, reply.cursor);
        this.events.live(reply.filter, reply.cursor);
        return;
      case 'call':
        this.callReply(reply);
        return;
      case 'gap':
        this.positions.gap(reply.filter);
        this.events.gap(reply.filter, reply.after, reply.from);
    }
  }

  private answer({ number, outcome, cursor, detail, message }: Answer): void {
    if (number === 0) {
      this.events.refused(outcome, detail);
      return;
    }
    const asked = this.asked.get(number);
    const call = this.calls.get(number);
    if (call !== undefined) {
      this.calls.delete(number);
      call.end(refusedStatus(outcome, detail));
      return;
    }
    if (asked === undefined) {
      this.fail(replyFaults.unasked);
      return;
    }
    this.asked.delete(number);
    // What was refused is not subscribed to, and neither is what ended.
    const ends = asked.kind === UNSUBSCRIBE ? outcome === OK : asked.kind === SUBSCRIBE && outcome !== OK;
    if (ends) this.positions.unsubscribed(asked.filter);
    this.events.answered(number, outcome, cursor, detail, message);
    this.tellRoom();
  }

  private callReply(reply: CallReply): void {
    const call = this.calls.get(reply.number);
    if (call !== undefined) call.came(reply);
    // An input that crossed the end of its call is answered as well.
    else if (reply.what !== 'error') this.fail(replyFaults.unasked);
  }

  private fail(fault: Fault): void {
    this.fault = fault;
    this.over = true;
    this.messages.end(fault.wire, fault.text);
    this.messages.flush();
  }

  private tellRoom(): void {
    if (!this.full || this.over || this.asked.size > this.openMax / 2 || this.messages.room === 0) return;
    this.full = false;
    for (const call of [...this.calls.values()]) call.writable();
    this.events.roomy();
  }

  writable(_clock: Clock): void {
    this.tellRoom();
  }

  tick(_clock: Clock): void {}

  leave(_why: Why, _clock: Clock): void {
    this.end();
  }

  lost(cause: Cause, wire: number, _clock: Clock): void {
    this.over = true;
    this.positions.lost();
    const open = [...this.asked.keys()];
    this.asked.clear();
    for (const call of [...this.calls.values()]) call.end(GONE_STATUS);
    this.calls.clear();
    for (const number of open) this.events.answered(number, GONE, 0, 'the connection is gone', null);
    this.events.closed(cause, wire, this.fault);
  }
}
