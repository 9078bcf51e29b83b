// A stream of a WebTransport session (draft-ietf-webtrans-http3 §4): the carrier's own, behind its first two integers, with
// the application's errors where HTTP/3 has its own. To the carrier it is a session, and a pipe to what is spoken on it.
import type { ByteWriter } from '../../bytes/writer.ts';
import type { Caller } from '../../core/caller.ts';
import type { Fault } from '../../core/fault.ts';
import type { Peer } from '../../core/peer.ts';
import type { Cause, Pipe, Session, Why } from '../../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import type { TlsPolicy } from '../../core/tls.ts';
import { transportOfWire, wireOfTransport } from './codec.ts';

/** Whose streams they are. */
export interface TransportOwner {
  readonly peer: Peer;
  streamLost(stream: TransportStream, clock: Clock): void;
}

export class TransportStream implements Session, Pipe {
  readonly id: number;
  readonly peer: Peer;
  private readonly pipe: Pipe;
  private readonly owner: TransportOwner;
  private inner: Session | null = null;
  private successor: Session | null = null;
  private isReceiving = false;

  constructor(owner: TransportOwner, pipe: Pipe) {
    this.owner = owner;
    this.pipe = pipe;
    this.id = pipe.id;
    this.peer = { ...owner.peer, stream: pipe.peer.stream };
  }

  /** What is spoken on it. */
  begin(session: Session): this {
    this.inner = session;
    return this;
  }

  /** The WebTransport session is over. */
  drop(wire: number): void {
    this.pipe.reset(wire);
  }

  // ---- a session to the carrier ------------------------------------------------------------------------------------

  get deadline(): Instant {
    return this.inner?.deadline ?? NEVER;
  }

  receive(input: Uint8Array, start: number, end: number, clock: Clock): number {
    let at = start;
    this.isReceiving = true;
    while (this.inner !== null) {
      at = this.inner.receive(input, at, end, clock);
      if (this.successor === null) break;
      this.inner = this.successor;
      this.successor = null;
      if (at === end) break;
    }
    this.isReceiving = false;
    return at;
  }

  overlong(clock: Clock): void {
    this.inner?.overlong(clock);
  }

  gather(clock: Clock): void {
    this.inner?.gather?.(clock);
  }

  writable(clock: Clock): void {
    this.inner?.writable(clock);
  }

  tick(clock: Clock): void {
    this.inner?.tick(clock);
  }

  finish(clock: Clock): void {
    this.inner?.finish(clock);
  }

  leave(why: Why, clock: Clock): void {
    this.inner?.leave(why, clock);
  }

  lost(cause: Cause, wire: number, clock: Clock): void {
    const { inner } = this;
    this.inner = null;
    inner?.lost(cause, transportOfWire(wire), clock);
    this.owner.streamLost(this, clock);
  }

  // ---- a pipe to what is spoken on it ------------------------------------------------------------------------------

  get out(): ByteWriter {
    return this.pipe.out;
  }

  get queued(): number {
    return this.pipe.queued;
  }

  get delivered(): number {
    return this.pipe.delivered;
  }

  get room(): number {
    return this.pipe.room;
  }

  share(bytes: Uint8Array, start: number, end: number, storage?: Buffer): void {
    this.pipe.share(bytes, start, end, storage);
  }

  flush(): void {
    this.pipe.flush();
  }

  pause(): void {
    this.pipe.pause();
  }

  resume(): void {
    this.pipe.resume();
  }

  end(): void {
    this.pipe.end();
  }

  reset(wire: number): void {
    this.pipe.reset(wireOfTransport(wire));
  }

  stopReading(wire: number): void {
    this.pipe.stopReading(wireOfTransport(wire));
  }

  fail(fault: Fault): void {
    this.pipe.fail({ ...fault, wire: wireOfTransport(fault.wire) });
  }

  speaks(protocol: string): void {
    this.pipe.speaks(protocol);
  }

  signedIn(caller: Caller): void {
    this.pipe.signedIn(caller);
  }

  become(next: Session): void {
    if (this.isReceiving) {
      this.successor = next;
      return;
    }
    this.inner = next;
    // What was not consumed is offered to it.
    this.pipe.pause();
    this.pipe.resume();
  }

  secure(_policy: TlsPolicy, _next: Session): void {
    // It is within TLS already.
    this.reset(0);
  }
}
