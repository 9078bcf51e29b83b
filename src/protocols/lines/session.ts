// What may come when over a stream, and what is answered: lines and raw bytes in, answers in the order of the commands and
// messages between them out. What commands do is the upper half's.
import { BAD, MORE } from '../../bytes/reader.ts';
import type { Fault } from '../../core/fault.ts';
import type { Bound } from '../../core/limits.ts';
import { BUSY, GONE, INVALID, LATE, OK, type Outcome, UNKNOWN } from '../../core/outcome.ts';
import { type Cause, IDLE, OVERLOADED, type Pipe, REVOKED, type Session, SHUTDOWN, type Why } from '../../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import { Answers } from './answers.ts';
import { Body, payloadOf } from './body.ts';
import { BAD_ESCAPE, CommandReader, readNames } from './codec.ts';
import * as E from './encode.ts';
import { faults } from './faults.ts';
import type { limits } from './limits.ts';
import { KnownWords } from './token.ts';
import * as W from './words.ts';

export type LinesLimits = Bound<typeof limits>;

export interface Subscription {
  readonly filter: string;
  /** -1 for none. */
  readonly after: number;
  readonly encoding: W.Encoding;
}

/**
 * The half that knows what commands mean. Each is told the number of its answer and ends it, once and at any time, with
 * `session.settled(number, …)`.
 */
export interface Upper {
  /** `payload` is its own to keep. Success is reported when `sure`, which is when it must have been committed. */
  publish(number: number, topic: string, payload: Buffer, text: boolean, retain: boolean, sure: boolean): void;
  subscribe(number: number, subscription: Subscription): void;
  unsubscribe(number: number, filter: string): void;
  last(number: number, topic: string, encoding: W.Encoding): void;
  name(number: number, name: string, password: string | null): void;
  slow(number: number, policy: string): void;
  /** There is room for messages again. */
  roomy(): void;
  /** The connection is gone. */
  gone(): void;
}

const WHY: Readonly<Record<Why, readonly [Outcome, string]>> = {
  [SHUTDOWN]: [GONE, 'the server is shutting down'],
  [REVOKED]: [UNKNOWN, 'this account may no longer be used'],
  [IDLE]: [LATE, 'nothing was said for too long'],
  [OVERLOADED]: [BUSY, 'the server has too much to do'],
};

/** An error that no command led to. */
const NOBODY = '-';

/** A command whose raw bytes are on their way. */
interface Awaited {
  readonly verb: number;
  readonly loud: boolean;
  readonly topic: string | null;
  readonly wrong: string;
  readonly body: Body;
}

export class LinesSession implements Session {
  /** Messages and answers are written as JSON. */
  isJson = false;
  /** Filters that are subscribed to: with one, the connection may be quiet. */
  subscriptions = 0;
  readonly pipe: Pipe;
  private readonly limits: LinesLimits;
  private readonly upper: Upper;
  private readonly reader: CommandReader;
  private readonly words = new KnownWords();
  private readonly answers: Answers;
  private awaited: Awaited | null = null;
  private unknown = 0;
  private paused = false;
  /** Paused until all that was begun has ended. */
  private waitsForAll = false;
  /** A name was given; whether it is right may not be known yet. */
  private naming = false;
  /** The peer sends no more. */
  private finished = false;
  /** Nothing more is read or written. */
  private over = false;
  /** QUIT was said, a fault found, or we leave: what follows is nobody's. */
  private quitting = false;
  /** How the connection ends once all that was begun has been answered. */
  private lastWords: (() => void) | null = null;
  private idleAt: Instant = 0;

  constructor(pipe: Pipe, limits: LinesLimits, clock: Clock, upper: (session: LinesSession) => Upper) {
    this.pipe = pipe;
    this.limits = limits;
    this.reader = new CommandReader(limits);
    this.answers = new Answers(limits.unansweredMax);
    this.upper = upper(this);
    this.idleAt = clock.now + limits.idleMs;
  }

  get deadline(): Instant {
    return this.over || this.subscriptions > 0 ? NEVER : this.idleAt;
  }

  // ---- what comes in -----------------------------------------------------------------------------------------------

  receive(input: Uint8Array, start: number, end: number, clock: Clock): number {
    let at = start;
    while (at < end && !this.over && !this.quitting) {
      if (this.awaited !== null) {
        at = this.takeBody(this.awaited, input, at, end);
        if (this.awaited !== null) break;
        this.idleAt = clock.now + this.limits.idleMs;
        continue;
      }
      if (this.answers.isFull || this.pipe.room === 0) {
        this.hold();
        break;
      }
      if (this.naming) {
        // What comes behind a name is done as that name, once it is known whether it is.
        if (this.answers.size > 0) {
          this.waitsForAll = true;
          this.hold();
          break;
        }
        this.naming = false;
      }
      const next = this.reader.read(input, at, end);
      if (next === MORE) break;
      if (next === BAD) {
        this.breakOff(this.reader.fault!);
        at = end;
        break;
      }
      if (this.answers.size > 0 && W.waitsForAll(this.reader.verb)) {
        // Read again once all has ended.
        this.waitsForAll = true;
        this.hold();
        break;
      }
      at = this.command(input, next, end);
      this.idleAt = clock.now + this.limits.idleMs;
    }
    return this.over || this.quitting ? end : at;
  }

  private hold(): void {
    this.paused = true;
    this.pipe.pause();
  }

  /** One command, of which the line was read; answers the index behind all that was consumed. */
  private command(input: Uint8Array, next: number, end: number): number {
    const { reader } = this;
    const { verb, wrong } = reader;
    if (verb === W.PUB || verb === W.PUT) {
      const number = this.answers.open(verb, reader.loud);
      const topic = wrong === '' ? this.words.read(input, reader.topicStart, reader.topicEnd) : null;
      if (topic === null) this.refuse(number, wrong === '' ? BAD_ESCAPE : wrong);
      else {
        const retain = verb === W.PUT;
        const payload = payloadOf(input, reader.payloadStart, reader.payloadEnd, retain);
        this.upper.publish(number, topic, payload, true, retain, reader.loud);
      }
    } else if (W.hasBody(verb)) return this.beginBody(input, next, end);
    else if (verb === W.UNHEARD) this.unheard();
    else if (verb !== W.NOTHING) this.other(input, this.answers.open(verb, reader.loud));
    return next;
  }

  private beginBody(input: Uint8Array, next: number, end: number): number {
    const { reader } = this;
    const { verb, loud, length } = reader;
    const topic = reader.wrong === '' ? this.words.read(input, reader.topicStart, reader.topicEnd) : null;
    const wrong = reader.wrong === '' && topic === null ? BAD_ESCAPE : reader.wrong;
    if (end - next < length) {
      this.awaited = { verb, loud, topic, wrong, body: new Body(length) };
      return next;
    }
    const payload = payloadOf(input, next, next + length, verb === W.PUTB);
    this.publishBody(verb, loud, topic, wrong, payload);
    return next + length;
  }

  private takeBody(awaited: Awaited, input: Uint8Array, start: number, end: number): number {
    const { body } = awaited;
    const at = body.take(input, start, end);
    if (!body.isWhole) return at;
    this.awaited = null;
    this.publishBody(awaited.verb, awaited.loud, awaited.topic, awaited.wrong, body.payload());
    return at;
  }

  private publishBody(verb: number, loud: boolean, topic: string | null, wrong: string, payload: Buffer): void {
    const number = this.answers.open(verb, loud);
    if (topic === null || wrong !== '') this.refuse(number, wrong);
    else this.upper.publish(number, topic, payload, false, verb === W.PUTB, loud);
  }

  private unheard(): void {
    const number = this.answers.open(W.UNHEARD, true);
    this.settled(number, INVALID, 0, 'there is no such command: try HELP');
    if (++this.unknown > this.limits.unknownMax) this.breakOff(faults.unknownTooMany);
  }

  private other(input: Uint8Array, number: number): void {
    const { reader, upper } = this;
    const { wrong, verb } = reader;
    if (wrong !== '') {
      this.refuse(number, wrong);
      return;
    }
    if (verb >= W.JSON_MODE) {
      // These say nothing of a topic; what they do is done when it is their turn to be answered.
      this.quitting = verb === W.QUIT;
      this.settled(number, OK, 0);
      return;
    }
    const names = verb === W.NAME ? readNames(input, reader) : null;
    const word = this.words.read(input, reader.topicStart, reader.topicEnd);
    if (word === null || (verb === W.NAME && names === null)) this.refuse(number, BAD_ESCAPE);
    else if (names !== null) {
      this.naming = true;
      upper.name(number, names[0], names[1]);
    } else if (verb === W.DEL) upper.publish(number, word, Buffer.alloc(0), true, true, reader.loud);
    else if (verb === W.SLOW) upper.slow(number, word);
    else if (reader.leaseSeconds >= 0 || reader.nonce !== '') this.refuse(number, 'lease and nonce are for UDP');
    else if (verb === W.UNSUB) upper.unsubscribe(number, word);
    else if (verb === W.LAST) upper.last(number, word, reader.encoding);
    else upper.subscribe(number, { filter: word, after: reader.after, encoding: reader.encoding });
  }

  private refuse(number: number, why: string): void {
    this.settled(number, INVALID, 0, why);
  }

  // ---- what goes out -----------------------------------------------------------------------------------------------

  /** A command has ended. `frame` is a message that answers it; `text` says more than the outcome. */
  settled(number: number, outcome: Outcome, value: number, text = '', frame: Uint8Array | null = null): void {
    if (this.over) return;
    this.answers.settle(number, outcome, value, text, frame);
    this.drain();
  }

  /** Whether a message may be written. */
  get isRoomy(): boolean {
    return !this.over && this.pipe.room > 0;
  }

  /** Writes a message that may be shared with other connections. */
  message(frame: Uint8Array): void {
    if (this.over) return;
    this.pipe.share(frame, 0, frame.length);
    this.pipe.flush();
  }

  gap(filter: string, after: number, from: number): void {
    if (this.over) return;
    E.writeGap(this.pipe.out, this.isJson, filter, after, from);
    this.pipe.flush();
  }

  /** The peer broke the protocol: says so in one line, and ends. */
  fail(fault: Fault): void {
    if (this.over) return;
    this.drain();
    // An answer that was drained may have ended the connection.
    if (this.over) return;
    E.writeError(this.pipe.out, this.isJson, fault.wire as Outcome, NOBODY, fault.text);
    this.over = true;
    this.pipe.fail(fault);
  }

  /** As `fail`, once what was begun before has been answered. */
  private breakOff(fault: Fault): void {
    this.endWith(() => this.fail(fault));
  }

  /** Reads no more, and ends with this once what was begun before has been answered. */
  private endWith(lastWords: () => void): void {
    if (this.lastWords !== null) return;
    this.quitting = true;
    if (this.answers.size === 0) lastWords();
    else this.lastWords = lastWords;
  }

  /** Writes the answers whose turn it is. */
  private drain(): void {
    const { answers, pipe } = this;
    const before = answers.size;
    while (!this.over && answers.next()) this.answer();
    if (answers.size === before) {
      if (this.finished) this.endWhenDone();
      return;
    }
    pipe.flush();
    if (this.lastWords !== null && answers.size === 0 && !this.over) this.lastWords();
    this.goOn();
    if (this.finished) this.endWhenDone();
  }

  private answer(): void {
    const { answers, isJson } = this;
    const { out } = this.pipe;
    const { verb, loud, outcome, frame, value } = answers;
    if (outcome !== OK) {
      const text = answers.text === '' ? W.OUTCOME_TEXTS[outcome] : answers.text;
      E.writeError(out, isJson, outcome, E.commandName(verb, loud), text);
      return;
    }
    if (frame !== null) this.pipe.share(frame, 0, frame.length);
    switch (verb) {
      case W.PING:
        E.writePong(out, isJson);
        return;
      case W.HELP:
        E.writeHelp(out, isJson);
        return;
      case W.QUIT:
        E.writeBye(out, isJson);
        this.end();
        return;
      case W.JSON_MODE:
      case W.TEXT_MODE:
        this.isJson = verb === W.JSON_MODE;
    }
    if (loud) E.writeOk(out, this.isJson, value);
  }

  private end(): void {
    this.over = true;
    this.pipe.flush();
    this.pipe.end();
    this.pipe.stopReading(0);
  }

  /** Reads on once half of what was begun has ended, or all where that is waited for, and there is room to answer. */
  private goOn(): void {
    const most = this.waitsForAll ? 0 : this.limits.unansweredMax / 2;
    if (!this.paused || this.answers.size > most || this.pipe.room === 0) return;
    this.waitsForAll = false;
    this.paused = false;
    this.pipe.resume();
  }

  /** The peer has said all: what it began ends, and one that is subscribed goes on listening. */
  private endWhenDone(): void {
    if (!this.over && this.answers.size === 0 && this.subscriptions === 0) this.end();
  }

  writable(_clock: Clock): void {
    if (this.over) return;
    this.upper.roomy();
    this.goOn();
  }

  // ---- time and endings --------------------------------------------------------------------------------------------

  overlong(_clock: Clock): void {
    this.fail(faults.lineTooLong);
  }

  tick(clock: Clock): void {
    if (clock.now < this.deadline) return;
    // What was begun may take its time; a peer whose answers nobody takes is the pipe's.
    if (this.answers.size > 0) this.idleAt = clock.now + this.limits.idleMs;
    else this.fail(faults.idle);
  }

  finish(_clock: Clock): void {
    if (this.over) return;
    this.finished = true;
    if (this.awaited !== null || this.reader.isWithin) {
      // Half a command is not done: a connection that was cut must not publish half a payload.
      const verb = this.awaited?.verb ?? W.UNHEARD;
      this.awaited = null;
      this.settled(this.answers.open(verb, true), INVALID, 0, 'the last command has no end');
    }
    this.endWhenDone();
  }

  leave(why: Why, _clock: Clock): void {
    if (this.over) return;
    const [outcome, text] = WHY[why];
    // What is being committed is still answered: the pipe cuts when that takes too long.
    this.endWith(() => {
      E.writeError(this.pipe.out, this.isJson, outcome, NOBODY, text);
      this.end();
    });
  }

  lost(_cause: Cause, _wire: number, _clock: Clock): void {
    this.over = true;
    this.upper.gone();
  }
}
