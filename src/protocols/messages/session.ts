// portico.json on one socket: what may come when, and what is answered. Requests in, answers and messages out, reading no
// faster than what was asked has ended and than the peer takes answers. What requests do is the upper half's.
import type { Fault } from '../../core/fault.ts';
import type { MessageSession, Messages } from '../../core/messages.ts';
import { BUSY, INVALID, OK, type Outcome } from '../../core/outcome.ts';
import type { Cause, Why } from '../../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import { Tokens } from '../../core/tokens.ts';
import {
  BATCH,
  type BatchRequest,
  CALL,
  CANCEL,
  type CallRequest,
  type EndRequest,
  FINISH,
  type GetRequest,
  type Id,
  PUBLISH,
  type PublishRequest,
  REFUSED,
  readRequest,
  SEND,
  type SendRequest,
  SUBSCRIBE,
  type SubscribeRequest,
  UNSUBSCRIBE,
  type UnsubscribeRequest,
} from './codec.ts';
import { ackText, errorText, rpcRefusedText } from './encode.ts';
import { faults } from './faults.ts';
import type { MessagesLimits } from './limits.ts';
import { LEAVING, OUTCOME_CODES, OUTCOME_TEXTS, reasonOf } from './words.ts';

/** The half that knows what requests mean. Each `token` ends once, at any time, with `session.settled`. */
export interface Upper {
  publish(token: number, request: PublishRequest, clock: Clock): void;
  subscribe(token: number, request: SubscribeRequest): void;
  unsubscribe(token: number, request: UnsubscribeRequest): void;
  /** Answered at once. */
  get(request: GetRequest): void;
  /** A call begins; `size` is that of the message that asked. */
  call(request: CallRequest, size: number): void;
  /** Calls that are answered together. */
  batch(request: BatchRequest, size: number): void;
  /** Something for a call that is open. */
  callInput(request: SendRequest | EndRequest): void;
  /** There is room for messages again. */
  roomy(): void;
  /** Nothing new comes: what would go on by itself ends now. */
  leaving(): void;
  /** The socket is gone, or nothing more is said on it. */
  gone(): void;
}

/** What is awaited; the same for all that do not want to hear of it. */
interface Asked {
  readonly id: Id;
  /** Bytes of the message that asked. */
  readonly size: number;
}

export class PorticoJsonSession implements MessageSession {
  readonly deadline: Instant = NEVER;
  readonly messages: Messages;
  readonly limits: MessagesLimits;
  private readonly upper: Upper;
  private readonly asked: Tokens<Asked>;
  private askedBytes = 0;
  private paused = false;
  /** Calls that take no more inputs for now. */
  private held = 0;
  private leaving: Why | null = null;
  private over = false;

  constructor(messages: Messages, limits: MessagesLimits, upper: (session: PorticoJsonSession) => Upper) {
    this.messages = messages;
    this.limits = limits;
    this.asked = new Tokens(limits.unansweredMax);
    this.upper = upper(this);
  }

  // ---- what comes in -----------------------------------------------------------------------------------------------

  receive(input: Uint8Array, start: number, end: number, text: boolean, clock: Clock): void {
    if (this.over || this.leaving !== null) return;
    if (!text) this.fail(faults.binary);
    else if (end - start > this.limits.messageBytesMax) this.fail(faults.tooLong);
    else {
      this.request(input, start, end, clock);
      const isFull = this.asked.size === this.asked.most || this.askedBytes > this.limits.unansweredBytesMax;
      if (this.over || (!isFull && this.held === 0 && this.messages.room > 0)) return;
      this.paused = true;
      this.messages.pause();
    }
  }

  private request(input: Uint8Array, start: number, end: number, clock: Clock): void {
    const request = readRequest(input, start, end, this.limits);
    if (request === null) {
      this.fail(faults.notJson);
      return;
    }
    const { id, verb } = request;
    if (verb === REFUSED) {
      if (request.rpc === true) this.say(rpcRefusedText(id, request.detail));
      else this.refuse(id, request.outcome, request.detail);
      return;
    }
    if (verb === CALL) {
      this.upper.call(request, end - start);
      return;
    }
    if (verb === BATCH) {
      this.upper.batch(request, end - start);
      return;
    }
    if (verb === SEND || verb === FINISH || verb === CANCEL) {
      this.upper.callInput(request);
      return;
    }
    if (verb !== PUBLISH && verb !== SUBSCRIBE && verb !== UNSUBSCRIBE) {
      // What answers it is known by the id alone.
      if (id === undefined) this.refuse(id, INVALID, 'get needs an id');
      else this.upper.get(request);
      return;
    }
    const size = end - start;
    const token = this.open(id, size);
    if (token === 0) this.refuse(id, BUSY, OUTCOME_TEXTS[BUSY]);
    else if (verb === PUBLISH) this.upper.publish(token, request, clock);
    else if (verb === SUBSCRIBE) this.upper.subscribe(token, request);
    else this.upper.unsubscribe(token, request);
  }

  // ---- what goes out -----------------------------------------------------------------------------------------------

  /** What a request led to; `detail` says more than the outcome does. */
  settled(token: number, outcome: Outcome, cursor: number, detail = ''): void {
    const asked = this.asked.take(token);
    if (asked === undefined || this.over) return;
    this.askedBytes -= asked.size;
    if (outcome !== OK) this.refuse(asked.id, outcome, detail);
    else if (asked.id !== undefined) this.say(ackText(asked.id, cursor));
    if (this.leaving !== null) this.endWhenDone();
    else this.goOn();
  }

  /** A place among what was asked and has not ended; 0 when there is none. */
  open(id: Id, size: number): number {
    const token = this.asked.open({ id, size });
    if (token !== 0) this.askedBytes += size;
    return token;
  }

  /** What was opened has ended, and was answered. */
  closed(token: number): void {
    const asked = this.asked.take(token);
    if (asked === undefined || this.over) return;
    this.askedBytes -= asked.size;
    if (this.leaving !== null) this.endWhenDone();
    else this.goOn();
  }

  /** Nothing more is read until each that held it back lets it go. */
  hold(): void {
    this.held++;
  }

  letGo(): void {
    this.held--;
    this.goOn();
  }

  /** Refuses a request; without an id as well: what was not taken is always said. */
  refuse(id: Id, outcome: Outcome, detail = ''): void {
    this.say(errorText(id, outcome, detail === '' ? OUTCOME_TEXTS[outcome] : detail));
  }

  /** Whether a message may be written. */
  get isRoomy(): boolean {
    return !this.over && this.messages.room > 0;
  }

  /** Sends a whole message, whose bytes may be shared with other sockets. */
  say(text: Uint8Array): void {
    if (this.over) return;
    this.messages.send(text, 0, text.length, true);
    this.messages.flush();
  }

  /** The peer broke the protocol, or does not keep up: says so, and closes. */
  fail(fault: Fault): void {
    if (this.over) return;
    if (fault === faults.notJson) this.refuse(undefined, INVALID, fault.text);
    this.end(fault.wire, fault.text);
  }

  private end(code: number, reason: string): void {
    this.over = true;
    this.messages.end(code, reason);
    this.messages.flush();
    this.asked.clear();
    this.upper.gone();
  }

  private goOn(): void {
    const { asked, limits } = this;
    if (!this.paused || this.over || this.held > 0 || this.messages.room === 0) return;
    if (asked.size > asked.most / 2 || this.askedBytes > limits.unansweredBytesMax / 2) return;
    this.paused = false;
    this.messages.resume();
  }

  private endWhenDone(): void {
    if (this.asked.size > 0 || this.leaving === null) return;
    const [outcome, text] = LEAVING[this.leaving];
    this.end(OUTCOME_CODES[outcome], reasonOf(outcome, text));
  }

  writable(_clock: Clock): void {
    if (this.over) return;
    this.upper.roomy();
    this.goOn();
  }

  tick(_clock: Clock): void {}

  /** What is being committed is still answered: the socket is cut when that takes too long. */
  leave(why: Why, _clock: Clock): void {
    if (this.over || this.leaving !== null) return;
    this.leaving = why;
    this.upper.leaving();
    this.endWhenDone();
  }

  /** What is being committed is still answered. */
  finish(): boolean {
    if (this.over) return false;
    this.leaving ??= 'shutdown';
    this.upper.leaving();
    return this.asked.size > 0;
  }

  lost(_cause: Cause, _wire: number, _clock: Clock): void {
    if (this.over) return;
    this.over = true;
    this.asked.clear();
    this.upper.gone();
  }
}
