// A stream with a request and its answer on it (RFC 9114 §4.1), as both ends read it: frames in, in the order that they may
// have. What the messages are, a request or an answer, is for those that are made of it.
import { BAD, MORE } from '../../bytes/reader.ts';
import type { Fault } from '../../core/fault.ts';
import { Fields } from '../../core/fields.ts';
import type { Cause, Pipe, Session, Why } from '../../core/pipe.ts';
import type { Clock, Instant } from '../../core/time.ts';
import {
  DATA,
  HEADERS,
  isReserved,
  MAX_PUSH_ID,
  PRIORITY_UPDATE,
  PRIORITY_UPDATE_PUSH,
  readVarint,
  varint,
  WEBTRANSPORT_STREAM,
} from './codec.ts';
import type { Connection } from './connection.ts';
import { faults } from './faults.ts';

/** What may come next. */
const HEAD = 0;
const BODY = 1;
const END = 2;

/** The section waits for the table: nothing is read before it. */
const WAIT = -3;

export abstract class MessageStream implements Session {
  readonly line: Connection;
  readonly pipe: Pipe;
  readonly id: number;
  /** It failed, or what comes is not wanted. */
  deaf = false;
  /** All that came was read, or never will be. */
  inputDone = false;
  /** What is still to come by Content-Length, or -1. */
  expected = -1;
  paused = false;
  /** Entries of the table that its section waits for. */
  required = 0;
  isOver = false;
  brought = 0;
  protected inputTrailers: Fields | null = null;
  private next = HEAD;
  /** Bytes of the frame that is being read, and whether they are a body's. */
  private left = 0;
  private isBody = false;
  private isCut = false;
  /** A frame was read, whatever it was. */
  private hasBegun = false;
  /** It is no message's, but one of a WebTransport session, which has taken over. */
  private isHandedOn = false;

  constructor(line: Connection, pipe: Pipe) {
    this.line = line;
    this.pipe = pipe;
    this.id = pipe.peer.stream ?? 0;
  }

  /** A head; answers what is wrong with it. After one that is interim another follows. */
  protected abstract head(
    input: Uint8Array,
    start: number,
    end: number,
    clock: Clock,
  ): Fault | typeof MORE | typeof BAD | null;
  /** As `Session.receive`, for what came of its body. */
  protected abstract read(input: Uint8Array, start: number, end: number, clock: Clock): number;
  /** All was read: trailers, and the end. */
  protected abstract readEnd(trailers: Fields | null, clock: Clock): void;
  /** What ends the stream with an error of its own; null is said to the peer as it is. */
  protected abstract tooLong(clock: Clock): void;
  abstract readonly deadline: Instant;
  abstract writable(clock: Clock): void;
  abstract gather(clock: Clock): void;
  abstract tick(clock: Clock): void;
  abstract leave(why: Why, clock: Clock): void;
  protected abstract gone(cause: Cause, wire: number, clock: Clock): void;

  /** The head was final: a body may follow. */
  protected headed(): void {
    this.next = BODY;
  }

  receive(input: Uint8Array, start: number, end: number, clock: Clock): number {
    let at = start;
    while (at < end && !this.deaf && !this.isHandedOn) {
      if (this.left > 0) {
        const to = Math.min(end, at + this.left);
        const next = this.isBody ? this.read(input, at, to, clock) : to;
        this.left -= next - at;
        if (this.isBody) this.brought += next - at;
        at = next;
        if (next === to) continue;
        // Whoever reads took less: the frame is whole all the same if the rest of it is here.
        this.isCut = this.left > end - at;
        return this.deaf ? end : at;
      }
      const next = this.frame(input, at, end, clock);
      if (next < 0) {
        this.isCut = next === MORE;
        return this.deaf ? end : at;
      }
      at = next;
    }
    this.isCut = this.left > 0;
    return this.deaf ? end : at;
  }

  private frame(input: Uint8Array, start: number, end: number, clock: Clock): number {
    let at = readVarint(input, start, end);
    if (at < 0) return MORE;
    const type = varint;
    at = readVarint(input, at, end);
    if (at < 0) return MORE;
    const length = varint;
    if (type === WEBTRANSPORT_STREAM) return this.handOn(length, at);
    this.hasBegun = true;
    if (type === DATA) return this.data(length, at, clock);
    if (type === HEADERS) return this.section(input, at, end, length, clock);
    // What belongs to the control stream, what HTTP/2 had, and pushes, which are not allowed (§7.2).
    if (type <= MAX_PUSH_ID && (isReserved(type) || type <= 0x7 || type === MAX_PUSH_ID))
      return this.broken(faults.unexpected);
    if (type === PRIORITY_UPDATE || type === PRIORITY_UPDATE_PUSH) return this.broken(faults.unexpected);
    // Others mean nothing, and are let pass (§9).
    this.line.idle(clock);
    this.isBody = false;
    this.left = length;
    return at;
  }

  /** The first bytes of a stream that is a WebTransport session's; nowhere else (draft-ietf-webtrans-http3 §4.3). */
  private handOn(session: number, at: number): number {
    const next = this.hasBegun ? null : this.line.transportStream(this.pipe, session, false);
    if (next === null) return this.broken(faults.frame);
    this.isHandedOn = true;
    this.line.handedOn(this);
    this.pipe.become(next);
    return at;
  }

  private data(length: number, at: number, clock: Clock): number {
    if (this.next !== BODY) return this.broken(faults.unexpected);
    if (length === 0) this.line.idle(clock);
    if (this.expected >= 0) {
      if (length > this.expected) {
        this.refuse(faults.contentLength);
        return at;
      }
      this.expected -= length;
    }
    this.isBody = true;
    this.left = length;
    return at;
  }

  private section(input: Uint8Array, at: number, end: number, length: number, clock: Clock): number {
    if (this.next === END) return this.broken(faults.unexpected);
    if (length > this.line.limits.sectionBytesMax) {
      this.tooLong(clock);
      return at;
    }
    if (end - at < length) return MORE;
    const to = at + length;
    const fault = this.next === HEAD ? this.head(input, at, to, clock) : this.trailers(input, at, to);
    if (fault === MORE) {
      this.line.wait(this);
      return WAIT;
    }
    if (fault === BAD) return this.broken(this.line.reader.fault);
    if (fault !== null) this.refuse(fault);
    return to;
  }

  private trailers(input: Uint8Array, start: number, end: number): Fault | typeof MORE | typeof BAD | null {
    const { reader } = this.line;
    const read = reader.read(input, start, end);
    this.required = reader.required;
    if (read === MORE) return MORE;
    if (read < 0) return BAD;
    this.line.acknowledge(this.id, reader.required);
    const { list, broken, tooLarge } = reader;
    if (broken) return faults.field;
    if (tooLarge) return faults.sectionTooLong;
    for (let at = 0; at < list.length; at += 2) if (list[at]!.charCodeAt(0) === 0x3a) return faults.pseudo;
    this.next = END;
    if (list.length > 0) {
      this.inputTrailers = new Fields();
      this.inputTrailers.list.push(...list);
    }
    return null;
  }

  private broken(fault: Fault): number {
    this.deaf = true;
    this.line.fail(fault);
    return WAIT;
  }

  /** An error of this stream alone. */
  refuse(fault: Fault): void {
    this.deaf = true;
    this.pipe.reset(fault.wire);
  }

  finish(clock: Clock): void {
    if (this.deaf || this.inputDone) return;
    // A frame that is cut short ends the connection (§7.1).
    if (this.isCut) this.broken(faults.frame);
    else if (this.next === HEAD) this.refuse(faults.incomplete);
    else if (this.expected > 0) this.refuse(faults.contentLength);
    else {
      this.inputDone = true;
      this.readEnd(this.inputTrailers, clock);
    }
  }

  overlong(clock: Clock): void {
    if (!this.deaf && this.next === HEAD) this.tooLong(clock);
  }

  pause(): void {
    if (this.inputDone || this.isOver) return;
    this.paused = true;
    this.pipe.pause();
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    this.pipe.resume();
  }

  /** Wants no more of what comes. */
  stopInput(wire: number): void {
    if (this.inputDone || this.deaf) return;
    this.deaf = true;
    this.pipe.stopReading(wire);
  }

  lost(cause: Cause, wire: number, clock: Clock): void {
    if (this.isOver) return;
    this.isOver = true;
    this.line.closed(this);
    this.gone(cause, wire, clock);
  }
}
