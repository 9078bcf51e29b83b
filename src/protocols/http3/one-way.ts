// Streams that go one way (RFC 9114 §6.2): those that the peer opens, by what their first integer says they are, and our own.
import type { Cause, Pipe, Session } from '../../core/pipe.ts';
import { type Clock, NEVER } from '../../core/time.ts';
import {
  CONTROL_STREAM,
  DECODER_STREAM,
  ENCODER_STREAM,
  H3_STREAM_CREATION_ERROR,
  PUSH_STREAM,
  readVarint,
  TRANSPORT_STREAM,
  varint,
} from './codec.ts';
import type { Connection } from './connection.ts';
import { faults } from './faults.ts';

/** One that the peer opened. */
export class OneWayStream implements Session {
  readonly deadline = NEVER;
  private readonly line: Connection;
  private readonly pipe: Pipe;
  /** -1 until it is known. */
  private type = -1;
  private isDeaf = false;

  constructor(line: Connection, pipe: Pipe) {
    this.line = line;
    this.pipe = pipe;
  }

  receive(input: Uint8Array, start: number, end: number, clock: Clock): number {
    let at = start;
    if (this.type < 0) {
      const next = readVarint(input, at, end);
      if (next < 0) return at;
      const type = varint;
      if (type === TRANSPORT_STREAM) {
        const behind = readVarint(input, next, end);
        if (behind < 0) return at;
        if (this.handOn(varint)) return behind;
      }
      this.begin(type, clock);
      at = next;
    }
    if (this.isDeaf || this.line.isOver) return end;
    switch (this.type) {
      case CONTROL_STREAM:
        return this.line.control(input, at, end, clock);
      case ENCODER_STREAM:
        return this.line.fill(input, at, end);
      case DECODER_STREAM:
        return this.line.heard(input, at, end);
      default:
        return end;
    }
  }

  /** Whether it is one of a WebTransport session, which takes over (draft-ietf-webtrans-http3 §4.2). */
  private handOn(session: number): boolean {
    const next = this.line.transportStream(this.pipe, session, true);
    if (next === null) return false;
    this.line.oneWayClosed();
    this.pipe.become(next);
    return true;
  }

  private begin(type: number, clock: Clock): void {
    this.type = type;
    if (type === CONTROL_STREAM || type === ENCODER_STREAM || type === DECODER_STREAM) {
      if (!this.line.critical(type)) this.isDeaf = true;
    } else if (type === PUSH_STREAM) {
      this.isDeaf = true;
      this.line.fail(this.line.pushFault);
    } else {
      // Of a kind that means nothing here (§6.2.3).
      this.isDeaf = true;
      this.line.idle(clock);
      this.pipe.stopReading(H3_STREAM_CREATION_ERROR);
    }
  }

  private get isCritical(): boolean {
    return (
      !this.isDeaf && (this.type === CONTROL_STREAM || this.type === ENCODER_STREAM || this.type === DECODER_STREAM)
    );
  }

  finish(): void {
    if (this.isCritical) this.line.fail(faults.criticalStream);
  }

  overlong(): void {
    this.line.fail(faults.controlTooLong);
  }

  lost(_cause: Cause): void {
    this.line.oneWayClosed();
    if (this.isCritical) this.line.fail(faults.criticalStream);
  }

  writable(): void {}
  tick(): void {}
  leave(): void {}
}

/** One of ours: nothing comes on it, and it stays open. */
export class OwnStream implements Session {
  readonly deadline = NEVER;
  private readonly line: Connection;

  constructor(line: Connection) {
    this.line = line;
  }

  receive(_input: Uint8Array, _start: number, end: number): number {
    return end;
  }

  lost(): void {
    this.line.fail(faults.criticalStream);
  }

  overlong(): void {}
  writable(): void {}
  tick(): void {}
  finish(): void {}
  leave(): void {}
}
