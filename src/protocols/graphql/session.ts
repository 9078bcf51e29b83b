// graphql-transport-ws on one socket: what may come when, and what is answered. What operations do is the upper half's.
import type { Fault } from '../../core/fault.ts';
import type { MessageSession, Messages } from '../../core/messages.ts';
import { type Cause, REVOKED, type Why } from '../../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import {
  COMPLETE,
  CONNECTION_ACK,
  completeText,
  errorText,
  INIT,
  nextText,
  PING,
  PING_TEXT,
  PONG,
  pongText,
  readMessage,
  SUBSCRIBE,
} from './codec.ts';
import { faults } from './faults.ts';
import type { GraphqlLimits } from './limits.ts';

/** The half that knows what operations are. */
export interface Upper {
  /** Who asks is told; false: nobody that may. What comes is not read until `opened` when it is not known yet (null). */
  open(payload: Readonly<Record<string, unknown>> | null): boolean | null;
  /** An operation by an id that is free. It ends with `session.complete` or `session.error`. */
  subscribe(id: string, payload: Readonly<Record<string, unknown>>): void;
  /** The client wants no more of it. */
  unsubscribe(id: string): void;
  /** Operations under way. */
  readonly size: number;
  has(id: string): boolean;
  /** Ends subscriptions, without a word. */
  endStreams(): void;
  roomy(): void;
  gone(): void;
}

/** Why a socket is closed from here (RFC 6455 §7.4.1). */
const GOING_AWAY = 1001;
const POLICY = 1008;
const TRY_AGAIN = 1013;

const OPENING = 0;
const ASKING = 1;
const OPEN = 2;

export class TransportSession implements MessageSession {
  deadline: Instant = NEVER;
  readonly messages: Messages;
  readonly limits: GraphqlLimits;
  private readonly upper: Upper;
  private state: typeof OPENING | typeof ASKING | typeof OPEN = OPENING;
  /** A ping was sent, and nothing has come since. */
  private pinged = false;
  private over = false;
  private leaving = false;

  constructor(messages: Messages, limits: GraphqlLimits, clock: Clock, upper: (session: TransportSession) => Upper) {
    this.messages = messages;
    this.limits = limits;
    this.deadline = clock.now + limits.initMs;
    this.upper = upper(this);
  }

  receive(input: Uint8Array, start: number, end: number, text: boolean, clock: Clock): void {
    if (this.over) return;
    this.pinged = false;
    if (end - start > this.limits.messageBytesMax) {
      this.fail(faults.messageTooLong);
      return;
    }
    const message = text ? readMessage(input, start, end, this.limits.idCharactersMax) : null;
    if (message === null) {
      this.fail(text ? faults.badMessage : faults.binary);
      return;
    }
    switch (message.type) {
      case INIT:
        this.init(message.payload, clock);
        break;
      case PING:
        this.say(pongText(message.payload));
        break;
      case PONG:
        break;
      case SUBSCRIBE:
        this.subscribe(message.id, message.payload);
        break;
      case COMPLETE:
        this.upper.unsubscribe(message.id);
        this.endWhenDone();
    }
    // Answers are not piled up for one that does not take them.
    if (!this.over && this.messages.room === 0) this.messages.pause();
  }

  private init(payload: Readonly<Record<string, unknown>> | null, clock: Clock): void {
    if (this.state !== OPENING) {
      this.fail(faults.initRepeated);
      return;
    }
    this.state = ASKING;
    const known = this.upper.open(payload);
    if (known === null) this.messages.pause();
    else this.opened(known, clock);
  }

  /** It is known whether the client may be here. */
  opened(may: boolean, clock: Clock): void {
    if (this.over || this.state !== ASKING) return;
    if (!may) {
      this.fail(faults.forbidden);
      return;
    }
    this.state = OPEN;
    this.deadline = clock.now + this.limits.keepAliveMs;
    this.say(CONNECTION_ACK);
    this.messages.resume();
  }

  get isOver(): boolean {
    return this.over;
  }

  private subscribe(id: string, payload: Readonly<Record<string, unknown>>): void {
    const { upper, limits } = this;
    if (this.state !== OPEN) this.fail(faults.unauthorized);
    else if (upper.has(id))
      this.end(faults.operationRepeated.wire, `Subscriber for ${id} already exists`.slice(0, 123));
    else if (upper.size >= limits.socketOperationsMax) this.fail(faults.socketOperationsTooMany);
    else if (!this.leaving) upper.subscribe(id, payload);
  }

  // ---- what goes out -----------------------------------------------------------------------------------------------

  get room(): number {
    return this.over ? 0 : this.messages.room;
  }

  next(id: string, result: string): void {
    this.say(nextText(id, result));
  }

  complete(id: string): void {
    this.say(completeText(id));
    this.endWhenDone();
  }

  error(id: string, errors: string): void {
    this.say(errorText(id, errors));
    this.endWhenDone();
  }

  private say(text: string): void {
    if (this.over) return;
    const bytes = Buffer.from(text);
    this.messages.send(bytes, 0, bytes.length, true);
    this.messages.flush();
  }

  private fail(fault: Fault): void {
    this.end(fault.wire, fault.text);
  }

  private end(code: number, reason: string): void {
    if (this.over) return;
    this.over = true;
    this.deadline = NEVER;
    this.messages.end(code, reason);
    this.messages.flush();
    this.upper.gone();
  }

  private endWhenDone(): void {
    if (this.leaving && this.upper.size === 0) this.end(GOING_AWAY, 'the server leaves');
  }

  // ---- the socket --------------------------------------------------------------------------------------------------

  writable(): void {
    if (this.over) return;
    this.upper.roomy();
    if (this.messages.room > 0 && this.state !== ASKING) this.messages.resume();
  }

  tick(clock: Clock): void {
    if (this.over || clock.now < this.deadline) return;
    if (this.state !== OPEN) {
      this.fail(faults.initLate);
      return;
    }
    if (this.pinged) {
      this.fail(faults.silent);
      return;
    }
    // One that is held back is heard no more than it hears.
    if (this.messages.room > 0) {
      this.pinged = true;
      this.say(PING_TEXT);
    }
    this.deadline = clock.now + this.limits.keepAliveMs;
  }

  leave(why: Why): void {
    if (this.over) return;
    if (why === REVOKED) this.end(POLICY, 'you may no longer be here');
    else if (why === 'overloaded') this.end(TRY_AGAIN, 'later');
    else this.end(GOING_AWAY, 'the server leaves');
  }

  /** What has one answer still gets it; what would go on for ever does not. */
  finish(): boolean {
    if (this.over) return false;
    this.upper.endStreams();
    if (this.upper.size === 0) return false;
    this.leaving = true;
    return true;
  }

  lost(_cause: Cause): void {
    if (this.over) return;
    this.over = true;
    this.upper.gone();
  }
}
