// The client half of Lines over a stream: commands out with a number each, answers and messages in. The caller dials, and
// tells what comes next; it knows no socket and no resource.
import { BAD, MORE } from '../../bytes/reader.ts';
import type { Fault } from '../../core/fault.ts';
import { GONE, OK, type Outcome } from '../../core/outcome.ts';
import type { Cause, Pipe, Session, Why } from '../../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import { Body } from './body.ts';
import { replyFaults } from './faults.ts';
import { ERROR, GAP, MESSAGE, MESSAGE_HEAD, REPLY, ReplyReader } from './replies.ts';
import { word } from './token.ts';

export interface ReceivedMessage {
  readonly topic: string;
  readonly payload: Buffer;
  /** 0 where the topic keeps no history. */
  readonly cursor: number;
}

/** What a client is told. */
export interface LinesEvents {
  /**
   * A command ended; `value` is the cursor of what was published, or of what `last` found, whose message is `message`.
   * GONE for all that is open when the connection ends.
   */
  answered(number: number, outcome: Outcome, value: number, text: string, message: ReceivedMessage | null): void;
  message(message: ReceivedMessage): void;
  gap(filter: string, after: number, from: number): void;
  /** An error that answers nothing that was asked surely: a message that was not taken, or why the server ends. */
  refused(outcome: Outcome, command: string, text: string): void;
  /** There is room to send again. */
  roomy(): void;
  /** The connection is gone; `fault` when it was the server's. */
  closed(cause: Cause, fault: Fault | null): void;
}

export interface LinesClientOptions {
  /** The longest payload that is taken. */
  readonly payloadBytesMax?: number;
}

/** A command that is awaited. */
interface Asked {
  readonly number: number;
  /** As errors name it. */
  readonly command: string;
  /** The topic of a `LAST`, whose message comes before its `+OK`. */
  readonly last: string | null;
  found: ReceivedMessage | null;
}

export class LinesClient implements Session {
  readonly deadline: Instant = NEVER;
  private readonly pipe: Pipe;
  private readonly events: LinesEvents;
  private readonly payloadBytesMax: number;
  private readonly reader = new ReplyReader();
  /** In the order in which they were sent, which is that of the answers. */
  private readonly asked: Asked[] = [];
  private numbers = 0;
  /** A message of which the bytes are awaited, and its line feed. */
  private coming: { readonly topic: string; readonly cursor: number; readonly body: Body } | null = null;
  private fault: Fault | null = null;
  private over = false;

  constructor(pipe: Pipe, events: LinesEvents, options: LinesClientOptions = {}) {
    this.pipe = pipe;
    this.events = events;
    this.payloadBytesMax = options.payloadBytesMax ?? 268_435_455;
  }

  // ---- commands ----------------------------------------------------------------------------------------------------

  /** False: wait for `roomy`. */
  get isRoomy(): boolean {
    return this.pipe.room > 0;
  }

  /** Commands that have not been answered. */
  get open(): number {
    return this.asked.length;
  }

  /** Publishes, and is answered once it is committed. */
  publish(topic: string, payload: Uint8Array, retain = false): number {
    const command = retain ? 'PUTB!' : 'PUBB!';
    this.writePayload(command, topic, payload);
    return this.ask(command);
  }

  /** Publishes without an answer; only `refused` may follow. */
  send(topic: string, payload: Uint8Array, retain = false): void {
    this.writePayload(retain ? 'PUTB' : 'PUBB', topic, payload);
    this.pipe.flush();
  }

  /** Clears what is retained. */
  clear(topic: string): number {
    return this.say('DEL!', word(topic));
  }

  subscribe(filter: string, after = -1): number {
    return this.say('SUB!', `${word(filter)}${after < 0 ? '' : ` after=${after}`} encoding=raw`);
  }

  unsubscribe(filter: string): number {
    return this.say('UNSUB!', word(filter));
  }

  last(topic: string): number {
    this.pipe.out.utf8(`LAST! ${word(topic)} encoding=raw\n`);
    return this.ask('LAST!', topic);
  }

  name(name: string, password?: string): number {
    return this.say('NAME!', `${word(name)}${password === undefined ? '' : ` ${word(password)}`}`);
  }

  slow(policy: 'disconnect' | 'drop-oldest' | 'keep-latest'): number {
    return this.say('SLOW!', policy);
  }

  ping(): number {
    this.pipe.out.ascii('PING!\n');
    return this.ask('PING!');
  }

  /** Says goodbye: what was asked is still answered. */
  quit(): void {
    this.pipe.out.ascii('QUIT\n');
    this.pipe.flush();
  }

  private writePayload(command: string, topic: string, payload: Uint8Array): void {
    const { out } = this.pipe;
    out.utf8(`${command} ${word(topic)} ${payload.length}\n`);
    out.copy(payload, 0, payload.length);
  }

  private say(command: string, rest: string): number {
    this.pipe.out.utf8(`${command} ${rest}\n`);
    return this.ask(command);
  }

  private ask(command: string, last: string | null = null): number {
    const number = ++this.numbers;
    this.asked.push({ number, command, last, found: null });
    this.pipe.flush();
    return number;
  }

  // ---- answers and messages ----------------------------------------------------------------------------------------

  receive(input: Uint8Array, start: number, end: number, _clock: Clock): number {
    let at = start;
    while (at < end && !this.over) {
      if (this.coming !== null) {
        if (!this.coming.body.isWhole) at = this.coming.body.take(input, at, end);
        // The line feed behind the bytes is not theirs.
        else if (!this.arrived(input[at++]!)) break;
        continue;
      }
      const next = this.reader.read(input, at, end);
      if (next === MORE) return at;
      at = next;
      if (next === BAD || !this.take()) {
        this.break(this.reader.fault ?? replyFaults.unasked);
        return end;
      }
    }
    return this.over ? end : at;
  }

  private arrived(byte: number): boolean {
    const { topic, cursor, body } = this.coming!;
    this.coming = null;
    if (byte !== 0x0a) {
      this.break(replyFaults.badReply);
      return false;
    }
    this.message({ topic, cursor, payload: body.payload() });
    return true;
  }

  private message(message: ReceivedMessage): void {
    const first = this.asked[0];
    // Whether it answers LAST or came by a subscription shows with the line behind it.
    if (first?.last === message.topic) {
      if (first.found !== null) this.events.message(first.found);
      first.found = message;
    } else this.events.message(message);
  }

  /** One line; false when it answers nothing. */
  private take(): boolean {
    const { reader } = this;
    switch (reader.kind) {
      case MESSAGE:
        this.message({ topic: reader.topic, payload: reader.payload!, cursor: 0 });
        return true;
      case MESSAGE_HEAD:
        if (reader.length > this.payloadBytesMax) {
          this.break(replyFaults.replyTooLong);
          return true;
        }
        this.coming = { topic: reader.topic, cursor: reader.value, body: new Body(reader.length) };
        return true;
      case GAP:
        this.events.gap(reader.topic, reader.value, reader.from);
        return true;
      case ERROR:
        this.failed();
        return true;
      case REPLY:
        return reader.word === 'BYE' || reader.word === '' || this.answered(OK, reader.value, '');
      default:
        return false;
    }
  }

  private failed(): void {
    const { outcome, word, text } = this.reader;
    if (this.asked[0]?.command === word) this.answered(outcome, 0, text);
    else this.events.refused(outcome, word, text);
  }

  private answered(outcome: Outcome, value: number, text: string): boolean {
    const asked = this.asked.shift();
    if (asked === undefined) return false;
    const { number, found } = asked;
    if (outcome !== OK && found !== null) this.events.message(found);
    this.events.answered(number, outcome, value, text, outcome === OK ? found : null);
    return true;
  }

  private break(fault: Fault): void {
    this.fault = fault;
    this.over = true;
    this.pipe.fail(fault);
  }

  overlong(): void {
    this.break(replyFaults.badReply);
  }

  writable(): void {
    this.events.roomy();
  }

  tick(): void {
    // It has no deadline.
  }

  finish(): void {
    if (!this.over) this.pipe.end();
  }

  leave(_why: Why): void {
    if (this.over) return;
    this.over = true;
    this.pipe.out.ascii('QUIT\n');
    this.pipe.flush();
    this.pipe.end();
  }

  lost(cause: Cause): void {
    this.over = true;
    for (const { number } of this.asked.splice(0))
      this.events.answered(number, GONE, 0, 'the connection is gone', null);
    this.events.closed(cause, this.fault);
  }
}
