// A session whose two-way streams each speak a protocol of their own, as if each were a connection. One-way streams and
// datagrams mean nothing in it.
import type { Fault } from '../../core/fault.ts';
import type { Mux, MuxSession } from '../../core/mux.ts';
import type { Cause, Pipe, Session, Why } from '../../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import { faults } from './faults.ts';

/** What is spoken has this long to say goodbye. */
const LEAVE_MS = 500;

const LEFT: Fault = { id: 'webtransport.left', wire: 0, spec: '', text: '', scope: 'connection' };

export class StreamSession implements MuxSession {
  deadline: Instant = NEVER;
  private readonly mux: Mux;
  private readonly make: (pipe: Pipe) => Session;

  constructor(mux: Mux, make: (pipe: Pipe) => Session) {
    this.mux = mux;
    this.make = make;
  }

  opened(pipe: Pipe, oneWay: boolean): Session {
    if (!oneWay) return this.make(pipe);
    pipe.stopReading(faults.noStreams.wire);
    return new Unread();
  }

  tick(): void {
    this.deadline = NEVER;
    this.mux.close(LEFT);
  }

  leave(_why: Why, clock: Clock): void {
    this.deadline = clock.now + LEAVE_MS;
  }

  mayOpen(): void {}
  datagram(): void {}
  lost(): void {}
}

/** A stream that nobody reads. */
export class Unread implements Session {
  readonly deadline: Instant = NEVER;

  receive(_input: Uint8Array, _start: number, end: number): number {
    return end;
  }

  overlong(): void {}
  writable(): void {}
  tick(): void {}
  finish(): void {}
  leave(): void {}
  lost(_cause: Cause, _wire: number, _clock: Clock): void {}
}
