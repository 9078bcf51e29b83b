// The WebTransport sessions of one connection: which streams and datagrams are whose, and those that came before the request
// of their session, which packets that overtake each other make possible (draft-ietf-webtrans-http3 §4.6).
import { copyOf } from '../../bytes/reader.ts';
import type { Fault } from '../../core/fault.ts';
import type { Bound } from '../../core/limits.ts';
import type { Cause, Pipe, Session } from '../../core/pipe.ts';
import type { Clock, Instant } from '../../core/time.ts';
import { WT_BUFFERED_STREAM_REJECTED, WT_SESSION_GONE } from './codec.ts';
import { faults } from './faults.ts';
import type { limits } from './limits.ts';
import type { Transport } from './transport.ts';

interface Line {
  readonly limits: Bound<typeof limits>;
  readonly clock: Clock;
  fail(fault: Fault): void;
}

/** Sessions that ended: a stream that comes late is told so. So many are remembered. */
const GONE_MAX = 64;

export class Transports {
  private readonly line: Line;
  private readonly sessions = new Map<number, Transport>();
  private readonly gone = new Set<number>();
  private readonly streams = new Set<WaitingStream>();
  private readonly datagrams: { readonly id: number; readonly bytes: Uint8Array }[] = [];

  constructor(line: Line) {
    this.line = line;
  }

  get size(): number {
    return this.sessions.size;
  }

  /** Who takes a stream of the peer's; null when there are no sessions here at all. */
  opened(pipe: Pipe, id: number, oneWay: boolean): Session | null {
    const { line, streams } = this;
    const { transportsMax, transportStreamsWaiting, headMs } = line.limits;
    if (transportsMax === 0) return null;
    if (id % 4 !== 0) {
      line.fail(faults.id);
      return new WaitingStream(this, pipe, id, oneWay, 0);
    }
    const session = this.sessions.get(id);
    if (session !== undefined) return session.opened(pipe, oneWay);
    const stream = new WaitingStream(this, pipe, id, oneWay, line.clock.now + headMs);
    if (this.gone.has(id)) stream.refuse(WT_SESSION_GONE);
    else if (streams.size >= transportStreamsWaiting) stream.refuse(WT_BUFFERED_STREAM_REJECTED);
    else {
      streams.add(stream);
      pipe.pause();
    }
    return stream;
  }

  datagram(id: number, bytes: Uint8Array, start: number, end: number, clock: Clock): void {
    const session = this.sessions.get(id);
    if (session !== undefined) {
      session.cameDatagram(bytes, start, end, clock);
      return;
    }
    const { transportsMax, transportStreamsWaiting } = this.line.limits;
    if (transportsMax === 0 || this.gone.has(id) || this.datagrams.length >= transportStreamsWaiting) return;
    this.datagrams.push({ id, bytes: copyOf(bytes, start, end) });
  }

  /** A session was taken: what waited for it is its own. */
  began(id: number, session: Transport): void {
    this.sessions.set(id, session);
    for (const stream of this.streams) if (stream.session === id) stream.handTo(session);
    this.settle(id, (bytes) => session.cameDatagram(bytes, 0, bytes.length, this.line.clock));
  }

  private settle(id: number, give: (bytes: Uint8Array) => void): void {
    const waiting = this.datagrams.splice(0);
    for (const datagram of waiting)
      if (datagram.id === id) give(datagram.bytes);
      else this.datagrams.push(datagram);
  }

  mayOpen(clock: Clock): void {
    for (const session of this.sessions.values()) session.mayOpen(clock);
  }

  /** The stream of a request is over, whatever it asked for. */
  closed(id: number): void {
    const isSession = this.sessions.delete(id);
    if (!isSession && this.streams.size === 0 && this.datagrams.length === 0) return;
    if (this.gone.size >= GONE_MAX) for (const first of this.gone) if (this.gone.delete(first)) break;
    this.gone.add(id);
    for (const stream of this.streams) if (stream.session === id) stream.refuse(WT_SESSION_GONE);
    this.settle(id, () => {});
  }

  forget(stream: WaitingStream): void {
    this.streams.delete(stream);
  }
}

/** A stream that waits for its session. */
class WaitingStream implements Session {
  readonly session: number;
  deadline: Instant;
  private readonly owner: Transports;
  private readonly pipe: Pipe;
  private readonly oneWay: boolean;

  constructor(owner: Transports, pipe: Pipe, session: number, oneWay: boolean, deadline: Instant) {
    this.owner = owner;
    this.pipe = pipe;
    this.session = session;
    this.oneWay = oneWay;
    this.deadline = deadline;
  }

  handTo(session: Transport): void {
    this.owner.forget(this);
    this.pipe.become(session.opened(this.pipe, this.oneWay));
    this.pipe.resume();
    this.pipe.flush();
  }

  refuse(wire: number): void {
    this.owner.forget(this);
    if (this.oneWay) this.pipe.stopReading(wire);
    else this.pipe.reset(wire);
  }

  receive(_input: Uint8Array, start: number): number {
    return start;
  }

  tick(): void {
    this.refuse(WT_BUFFERED_STREAM_REJECTED);
  }

  lost(_cause: Cause): void {
    this.owner.forget(this);
  }

  overlong(): void {}
  writable(): void {}
  finish(): void {}
  leave(): void {}
}
