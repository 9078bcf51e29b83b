// A WebTransport session (draft-ietf-webtrans-http3): the streams and datagrams of one CONNECT request as a connection of their
// own, and what is said on its stream of how it ends. What the streams mean is for whoever took the request.
import { copyOf } from '../../bytes/reader.ts';
import { ByteWriter } from '../../bytes/writer.ts';
import type { Caller } from '../../core/caller.ts';
import type { Fault } from '../../core/fault.ts';
import type { Mux, MuxSession } from '../../core/mux.ts';
import type { Peer } from '../../core/peer.ts';
import { type Cause, ENDED, type Pipe, RESET, type Session, type Why } from '../../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import { type CapsuleEvents, CapsuleReader, closeSize, DRAIN_SIZE, writeClose, writeDrain } from './capsules.ts';
import {
  DATA,
  H3_MESSAGE_ERROR,
  TRANSPORT_STREAM,
  WEBTRANSPORT_STREAM,
  WT_SESSION_GONE,
  writeFrameHead,
  writeVarint,
} from './codec.ts';
import { type TransportOwner, TransportStream } from './transport-stream.ts';

/** How long what is spoken in it may take to say goodbye. */
const LEAVE_MS = 5_000;
const REASON_BYTES_MAX = 1_024;

/** What a session needs of its request and its connection. */
export interface TransportCarrier {
  /** The stream of its request. */
  readonly id: number;
  readonly pipe: Pipe;
  readonly caller: Caller;
  readonly line: {
    readonly mux: Mux;
    readonly clock: Clock;
    /** The peer takes datagrams of HTTP (RFC 9297 §2.1.1). */
    readonly takesDatagrams: boolean;
    report(where: string, error: unknown): void;
  };
}

/** Where a datagram is put behind which stream's it is. */
let scratch = Buffer.alloc(0);

/** Whether this is what a client asks for by extended CONNECT: as browsers name it, and as later drafts do. */
export function isTransport(protocol: string): boolean {
  return protocol === 'webtransport' || protocol === 'webtransport-h3';
}

export class Transport implements Mux, TransportOwner, CapsuleEvents {
  readonly id: number;
  readonly peer: Peer;
  private readonly carrier: TransportCarrier;
  /** What its datagrams begin with: a quarter of the number of its request's stream (RFC 9297 §2.1). */
  private readonly quarter: Uint8Array;
  private readonly capsules: CapsuleReader = new CapsuleReader(this);
  private readonly streams = new Set<TransportStream>();
  private session: MuxSession | null = null;
  private wantsToOpen = false;
  private leaveAt: Instant = NEVER;
  /** How it ended, once it has. */
  private ending: { readonly cause: Cause; readonly wire: number } | null = null;

  constructor(carrier: TransportCarrier) {
    this.carrier = carrier;
    const { mux } = carrier.line;
    this.id = mux.id;
    const quarter = new ByteWriter(8);
    writeVarint(quarter, carrier.id / 4);
    this.quarter = copyOf(quarter.bytes, 0, quarter.length);
    // A page of another origin speaks for somebody else, however near its browser runs.
    const forwarded = mux.peer.forwarded === true || carrier.caller.origin === 'remote';
    this.peer = { ...mux.peer, carrier: 'http', tls: null, below: mux.peer, stream: carrier.id, forwarded };
  }

  begin(session: MuxSession): void {
    this.session = session;
  }

  // ---- what the connection tells -----------------------------------------------------------------------------------

  /** A stream of the peer's; its first two integers were read. */
  opened(pipe: Pipe, oneWay: boolean): Session {
    const stream = new TransportStream(this, pipe);
    if (this.session === null) {
      pipe.reset(WT_SESSION_GONE);
      return stream;
    }
    this.streams.add(stream);
    stream.begin(this.session.opened(stream, oneWay));
    this.touch();
    return stream;
  }

  cameDatagram(bytes: Uint8Array, start: number, end: number, clock: Clock): void {
    this.session?.datagram(bytes, start, end, clock);
    this.touch();
  }

  mayOpen(clock: Clock): void {
    if (!this.wantsToOpen || this.session === null) return;
    this.wantsToOpen = false;
    this.session.mayOpen(clock);
    this.touch();
  }

  /** What came on the stream of its request. */
  came(input: Uint8Array, start: number, end: number): void {
    if (this.ending !== null || this.capsules.receive(input, start, end)) return;
    this.carrier.pipe.reset(H3_MESSAGE_ERROR);
  }

  /** The request's end, without a word: as one with no code and no reason (draft-ietf-webtrans-http3 §6). */
  cameEnd(): void {
    if (this.ending !== null) return;
    if (this.capsules.isCut) {
      this.carrier.pipe.reset(H3_MESSAGE_ERROR);
      return;
    }
    this.endStream();
    this.over(ENDED, 0);
  }

  /** The request's stream is gone. */
  gone(cause: Cause): void {
    this.over(cause === ENDED ? RESET : cause, 0);
  }

  capsuleDatagram(bytes: Uint8Array, start: number, end: number): void {
    this.cameDatagram(bytes, start, end, this.carrier.line.clock);
  }

  capsuleClose(code: number, _reason: string): void {
    if (this.ending !== null) return;
    this.endStream();
    this.over(ENDED, code);
  }

  capsuleDrain(): void {
    // Whoever asks for it ends the session itself when it is done.
  }

  get deadline(): Instant {
    return this.ending === null ? Math.min(this.session?.deadline ?? NEVER, this.leaveAt) : NEVER;
  }

  tick(clock: Clock): void {
    if (clock.now >= this.leaveAt) this.closeWith(0, '');
    else if (this.session !== null && clock.now >= this.session.deadline) this.session.tick(clock);
  }

  leave(why: Why, clock: Clock): void {
    if (this.ending !== null) return;
    this.leaveAt = clock.now + LEAVE_MS;
    const { pipe } = this.carrier;
    writeFrameHead(pipe.out, DATA, DRAIN_SIZE);
    writeDrain(pipe.out);
    for (const stream of this.streams) stream.leave(why, clock);
    this.session?.leave(why, clock);
    this.touch();
  }

  // ---- Mux ---------------------------------------------------------------------------------------------------------

  open(oneWay: boolean, make: (pipe: Pipe) => Session): Pipe | null {
    if (this.ending !== null) return null;
    const { line, id } = this.carrier;
    let stream: TransportStream | null = null;
    const pipe = line.mux.open(oneWay, (raw) => {
      stream = new TransportStream(this, raw);
      writeVarint(raw.out, oneWay ? TRANSPORT_STREAM : WEBTRANSPORT_STREAM);
      writeVarint(raw.out, id);
      this.streams.add(stream);
      return stream.begin(make(stream));
    });
    if (pipe === null) this.wantsToOpen = true;
    else pipe.flush();
    return stream;
  }

  get datagramMax(): number {
    const { line } = this.carrier;
    if (this.ending !== null || !line.takesDatagrams) return 0;
    return Math.max(0, line.mux.datagramMax - this.quarter.length);
  }

  datagram(bytes: Uint8Array, start: number, end: number): boolean {
    if (end - start > this.datagramMax) return false;
    const { quarter } = this;
    const size = quarter.length + end - start;
    if (scratch.length < size) scratch = Buffer.alloc(size * 2);
    scratch.set(quarter, 0);
    scratch.set(bytes.subarray(start, end), quarter.length);
    return this.carrier.line.mux.datagram(scratch, 0, size);
  }

  close({ wire, text }: Fault): void {
    this.closeWith(wire, text);
  }

  signedIn(caller: Caller): void {
    this.carrier.line.mux.signedIn(caller);
  }

  /** @param reason at most 1,024 bytes go out */
  private closeWith(code: number, reason: string): void {
    if (this.ending !== null) return;
    const { pipe } = this.carrier;
    let text = reason;
    while (Buffer.byteLength(text) > REASON_BYTES_MAX) text = text.slice(0, -1);
    writeFrameHead(pipe.out, DATA, closeSize(text));
    writeClose(pipe.out, code, text);
    this.endStream();
    this.over(ENDED, code);
  }

  // ---- ends --------------------------------------------------------------------------------------------------------

  private endStream(): void {
    const { pipe } = this.carrier;
    pipe.end();
    pipe.flush();
  }

  private touch(): void {
    if (this.ending === null) this.carrier.pipe.flush();
  }

  private over(cause: Cause, wire: number): void {
    if (this.ending !== null) return;
    this.ending = { cause, wire };
    this.capsules.clear();
    for (const stream of this.streams) stream.drop(WT_SESSION_GONE);
    this.tellEnd(this.carrier.line.clock);
  }

  streamLost(stream: TransportStream, clock: Clock): void {
    this.streams.delete(stream);
    if (this.ending !== null) this.tellEnd(clock);
  }

  /** Once all streams were told. */
  private tellEnd(clock: Clock): void {
    const { session, ending } = this;
    if (session === null || ending === null || this.streams.size > 0) return;
    this.session = null;
    try {
      session.lost(ending.cause, ending.wire, clock);
    } catch (error) {
      this.carrier.line.report('a WebTransport session', error);
    }
  }
}
