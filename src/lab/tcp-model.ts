// A model of TCP with TLS 1.3 for the lab, and for nothing else: bytes in order over simulated datagrams, with the round trips, the
// congestion window and the recovery (RFC 5681, 6298, 6675, 8985 in outline) that decide how long things take. TLS is the sizes of its
// flights; nothing is enciphered.
import { giveBack } from '../bytes/pool.ts';
import type { DatagramPort, DatagramSession } from '../core/datagram.ts';
import type { Address, Peer, TlsFacts } from '../core/peer.ts';
import { type Cause, ENDED, type Pipe, RESET, type Session, TIMEOUT } from '../core/pipe.ts';
import { NO_EVENTS, PIPE_BOUNDS, StreamPipe } from '../core/stream-pipe.ts';
import { type Clock, type Instant, NEVER } from '../core/time.ts';
import type { Turn } from '../core/turn.ts';
import type { World } from '../sim/world.ts';

/** A segment's payload at most, and what stands before it; together what a path of 1,500 bytes takes. */
export const SEGMENT_BYTES = 1_440;
const HEAD_BYTES = 28;
const SACKS_MOST = 4;

const SYN = 1;
const ACK = 2;
const FIN = 4;
const RST = 8;

const INITIAL_WINDOW = 10 * SEGMENT_BYTES;
const RTO_FIRST_MS = 1_000;
const RTO_LEAST_MS = 200;
const RTO_MOST_MS = 60_000;
/** Retransmissions of one segment before the connection is given up, as Linux has it. */
const TRIES_MOST = 15;
const DELAYED_ACK_MS = 25;
/** Segments that came later before one is taken for lost. */
const REORDERED = 3;

/** Flights of a TLS 1.3 handshake: ClientHello; ServerHello to Finished with a chain of two, or with a ticket; Finished. */
const CLIENT_HELLO = 320;
const SERVER_FLIGHT = 2_900;
const SERVER_RESUMED = 260;
const CLIENT_FINISHED = 74;

export interface TcpOptions {
  /** The client has a ticket of before. */
  readonly resumed?: boolean;
  readonly alpn?: string;
}

interface Segment {
  readonly from: number;
  readonly to: number;
  readonly fin: boolean;
  sentAt: Instant;
  tries: number;
  sacked: boolean;
  lost: boolean;
}

export interface TcpFigures {
  readonly segments: number;
  readonly again: number;
}

/** What a session has of one end: the bytes go through the model. */
class TcpPipe extends StreamPipe {
  private readonly tcp: TcpModel;

  constructor(tcp: TcpModel, turn: Turn, peer: Peer) {
    super(turn, peer, PIPE_BOUNDS, NO_EVENTS);
    this.tcp = tcp;
  }

  protected transmit(pieces: readonly Uint8Array[], _total: number, lent: readonly Buffer[]): void {
    for (const piece of pieces) this.tcp.put(Buffer.from(piece));
    for (const storage of lent) giveBack(storage);
    this.tcp.pump();
  }

  protected hold(stop: boolean): void {
    this.tcp.hold(stop);
  }

  protected shut(): void {
    this.tcp.finish();
  }

  protected abort(): void {
    this.tcp.abort();
  }

  protected close(): void {
    this.tcp.stop();
  }

  protected refuse(): void {
    this.tcp.hold(false);
  }

  protected startTls(): void {
    throw new Error('the model has TLS from its first byte');
  }

  came(bytes: Uint8Array): void {
    this.offer(bytes, 0, bytes.length);
  }

  left(bytes: number): void {
    this.sent(bytes);
  }

  finished(): void {
    this.peerEnd();
  }

  gone(cause: Cause): void {
    this.ended(cause, 0);
  }
}

/** One end, on a port of its own. */
export class TcpModel implements DatagramSession {
  /** When its handshakes were done; NEVER before. */
  openAt: Instant = NEVER;
  figures = { segments: 0, again: 0 };
  private readonly world: World;
  private readonly isClient: boolean;
  private readonly options: TcpOptions;
  private readonly make: (pipe: Pipe) => Session;
  private port!: DatagramPort;
  private to: Address | null;
  private established = false;
  /** Once TLS is done. */
  pipe: TcpPipe | null = null;
  private readonly scratch = Buffer.alloc(HEAD_BYTES + SACKS_MOST * 16 + SEGMENT_BYTES);

  // Sending: offsets of the whole stream, TLS's flights before everything.
  private readonly unsent: Uint8Array[] = [];
  private readonly outstanding: Segment[] = [];
  private readonly bytesOut = new Map<number, Uint8Array>();
  private next = 0;
  private finWanted = false;
  private finSent = false;
  private window = INITIAL_WINDOW;
  private threshold = Number.POSITIVE_INFINITY;
  /** Losses of what was sent before this are of the same congestion. */
  private recoveryAt: Instant = -1;
  /** Since the last acknowledgement. */
  private inFlightMost = 0;
  private smoothed = 0;
  private variance = 0;
  private backoff = 1;
  private timerAt: Instant = NEVER;
  private probed = false;
  private held: boolean = false;

  // Receiving.
  private received = 0;
  private readonly early = new Map<number, { readonly bytes: Buffer; readonly fin: boolean }>();
  private ackAt: Instant = NEVER;
  private unacknowledged = 0;
  private peerFin = -1;
  private toldEnd = false;
  private readonly waiting: Buffer[] = [];

  constructor(world: World, isClient: boolean, to: Address | null, options: TcpOptions, make: (pipe: Pipe) => Session) {
    this.world = world;
    this.isClient = isClient;
    this.to = to;
    this.options = options;
    this.make = make;
  }

  /** To be called with its port, which gives it what arrives. */
  start(port: DatagramPort): this {
    this.port = port;
    if (this.isClient) this.synchronise();
    return this;
  }

  // ---- handshakes --------------------------------------------------------------------------------------------------

  private synchronise(): void {
    this.emit(SYN | (this.isClient ? 0 : ACK), 0, null, 0, 0);
    this.timerAt = this.world.now() + RTO_FIRST_MS * this.backoff;
    this.port.touch();
  }

  private opened(): void {
    if (this.established) return;
    this.established = true;
    this.timerAt = NEVER;
    this.backoff = 1;
    if (this.isClient) this.put(filler(CLIENT_HELLO));
    this.pump();
  }

  private get serverFlight(): number {
    return this.options.resumed === true ? SERVER_RESUMED : SERVER_FLIGHT;
  }

  /** How many bytes of what comes are TLS's. */
  private get shakes(): number {
    return this.isClient ? this.serverFlight : CLIENT_HELLO + CLIENT_FINISHED;
  }

  /** Bytes of the stream came in order; answers how many of them are the handshake's. */
  private shaking(before: number, after: number): number {
    if (!this.isClient && before < CLIENT_HELLO && after >= CLIENT_HELLO) this.put(filler(this.serverFlight));
    if (before < this.shakes && after >= this.shakes) {
      if (this.isClient) this.put(filler(CLIENT_FINISHED));
      this.openAt = this.world.now();
      this.pipe = new TcpPipe(this, this.world.turn, peerOf(this.to, this.options));
      this.pipe.begin(this.make(this.pipe));
    }
    return Math.max(0, Math.min(after, this.shakes) - before);
  }

  // ---- what the session writes -------------------------------------------------------------------------------------

  put(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += SEGMENT_BYTES) this.unsent.push(bytes.subarray(at, at + SEGMENT_BYTES));
  }

  hold(stop: boolean): void {
    this.held = stop;
    if (!stop) this.world.soon(() => this.offerWaiting());
  }

  finish(): void {
    this.finWanted = true;
    this.pump();
  }

  abort(): void {
    this.emit(RST, this.next, null, 0, 0);
    this.stop();
  }

  stop(): void {
    this.timerAt = NEVER;
    this.ackAt = NEVER;
  }

  // ---- sending -----------------------------------------------------------------------------------------------------

  private get inFlight(): number {
    let bytes = 0;
    for (const { from, to, sacked, lost } of this.outstanding) if (!sacked && !lost) bytes += to - from;
    return bytes;
  }

  pump(): void {
    if (!this.established) return;
    let room = this.window - this.inFlight;
    for (const segment of this.outstanding) {
      if (room <= 0) break;
      if (!segment.lost || segment.sacked) continue;
      segment.lost = false;
      this.sendSegment(segment);
      room -= segment.to - segment.from;
    }
    while (room > 0 && this.unsent.length > 0) {
      const bytes = this.nextPayload();
      const fin = this.finWanted && this.unsent.length === 0;
      if (fin) this.finSent = true;
      const segment = {
        from: this.next,
        to: this.next + bytes.length,
        fin,
        sentAt: 0,
        tries: 0,
        sacked: false,
        lost: false,
      };
      this.next += bytes.length;
      this.bytesOut.set(segment.from, bytes);
      this.outstanding.push(segment);
      this.sendSegment(segment);
      room -= bytes.length;
    }
    if (this.finWanted && !this.finSent && this.unsent.length === 0) {
      this.finSent = true;
      const segment = { from: this.next, to: this.next, fin: true, sentAt: 0, tries: 0, sacked: false, lost: false };
      this.outstanding.push(segment);
      this.sendSegment(segment);
    }
    this.inFlightMost = Math.max(this.inFlightMost, this.inFlight);
    this.arm();
    this.port.touch();
  }

  /** The next segment's payload: small pieces that wait together leave together. */
  private nextPayload(): Uint8Array {
    const first = this.unsent.shift()!;
    if (first.length === SEGMENT_BYTES || this.unsent.length === 0) return first;
    const parts = [first];
    let size = first.length;
    while (this.unsent.length > 0 && size < SEGMENT_BYTES) {
      const piece = this.unsent[0]!;
      const taken = Math.min(piece.length, SEGMENT_BYTES - size);
      parts.push(piece.subarray(0, taken));
      size += taken;
      if (taken === piece.length) this.unsent.shift();
      else this.unsent[0] = piece.subarray(taken);
    }
    return Buffer.concat(parts);
  }

  private sendSegment(segment: Segment): void {
    const bytes = this.bytesOut.get(segment.from) ?? NOTHING;
    segment.sentAt = this.world.now();
    segment.tries++;
    this.figures.segments++;
    if (segment.tries > 1) this.figures.again++;
    this.emit(ACK | (segment.fin ? FIN : 0), segment.from, bytes, 0, segment.to - segment.from);
  }

  private emit(flags: number, at: number, bytes: Uint8Array | null, start: number, end: number): void {
    if (this.to === null) return;
    const { scratch } = this;
    const sacks = this.sacks();
    scratch[0] = flags;
    scratch[1] = sacks.length;
    scratch.writeDoubleBE(at, 4);
    scratch.writeDoubleBE(this.received, 12);
    scratch.writeDoubleBE(this.peerFin >= 0 && this.received >= this.peerFin ? 1 : 0, 20);
    let to = HEAD_BYTES;
    for (const [from, upTo] of sacks) {
      scratch.writeDoubleBE(from, to);
      scratch.writeDoubleBE(upTo, to + 8);
      to += 16;
    }
    if (bytes !== null) {
      scratch.set(bytes.subarray(start, end), to);
      to += end - start;
    }
    this.ackAt = NEVER;
    this.unacknowledged = 0;
    this.port.send(this.to, null, scratch, 0, to, 0);
  }

  private sacks(): [number, number][] {
    const found: [number, number][] = [];
    for (const [from, { bytes }] of [...this.early].sort((one, other) => one[0] - other[0])) {
      const last = found.at(-1);
      if (last !== undefined && last[1] === from) last[1] = from + bytes.length;
      else if (found.length < SACKS_MOST) found.push([from, from + bytes.length]);
    }
    return found;
  }

  private get rto(): number {
    if (this.smoothed === 0) return RTO_FIRST_MS;
    return Math.min(RTO_MOST_MS, Math.max(RTO_LEAST_MS, this.smoothed + 4 * this.variance));
  }

  /** A probe of the tail first (RFC 8985 §7), then the retransmission timeout. */
  private arm(): void {
    const last = this.outstanding.findLast(({ sacked }) => !sacked);
    if (last === undefined) this.timerAt = NEVER;
    else {
      const probe = !this.probed && this.smoothed > 0 && this.backoff === 1;
      this.timerAt =
        last.sentAt + (probe ? Math.min(this.rto, 2 * this.smoothed + DELAYED_ACK_MS) : this.rto * this.backoff);
    }
  }

  // ---- receiving ---------------------------------------------------------------------------------------------------

  receive(
    input: Uint8Array,
    start: number,
    end: number,
    from: Address,
    _local: Address | null,
    _ecn: number,
    clock: Clock,
  ): void {
    const segment = Buffer.from(input.subarray(start, end));
    const flags = segment[0]!;
    this.to ??= from;
    if ((flags & RST) !== 0) {
      this.stop();
      this.pipe?.gone(RESET);
      return;
    }
    if ((flags & SYN) !== 0) {
      if (!this.isClient) this.emit(SYN | ACK, 0, null, 0, 0);
      else {
        this.measure(clock.now - (this.timerAt - RTO_FIRST_MS * this.backoff));
        this.opened();
        this.emit(ACK, this.next, null, 0, 0);
      }
      return;
    }
    this.opened();
    this.acknowledgedTo(segment, clock.now);
    const data = HEAD_BYTES + segment[1]! * 16;
    this.take(segment.readDoubleBE(4), segment.subarray(data), (flags & FIN) !== 0, clock);
    this.pump();
  }

  private acknowledgedTo(segment: Buffer, now: Instant): void {
    const upTo = segment.readDoubleBE(12);
    const finToo = segment.readDoubleBE(20) === 1;
    let newest = -1;
    let acked = 0;
    const settle = (own: Segment): void => {
      if (own.sacked) return;
      own.sacked = true;
      acked += own.to - own.from;
      newest = Math.max(newest, own.sentAt);
      if (own.tries === 1) this.measure(now - own.sentAt);
    };
    for (const own of this.outstanding) if (own.to <= upTo && (!own.fin || finToo)) settle(own);
    for (let index = 0; index < segment[1]!; index++) {
      const from = segment.readDoubleBE(HEAD_BYTES + index * 16);
      const to = segment.readDoubleBE(HEAD_BYTES + index * 16 + 8);
      for (const own of this.outstanding) if (own.from >= from && own.to <= to && own.to > own.from) settle(own);
    }
    let gone = 0;
    while (this.outstanding.length > 0 && this.outstanding[0]!.sacked && this.outstanding[0]!.to <= upTo) {
      const own = this.outstanding.shift()!;
      this.bytesOut.delete(own.from);
      gone += own.to - own.from;
    }
    if (acked > 0) {
      this.backoff = 1;
      this.probed = false;
      if (newest > this.recoveryAt) this.grow(acked);
      this.inFlightMost = this.inFlight;
      this.findLost(newest);
    }
    if (gone > 0 && this.pipe?.isAlive === true) this.pipe.left(gone);
  }

  /** What was sent well before something that arrived is lost (RFC 6675, RFC 8985). */
  private findLost(newest: Instant): void {
    let later = 0;
    let lostAt = -1;
    for (let index = this.outstanding.length - 1; index >= 0; index--) {
      const own = this.outstanding[index]!;
      if (own.sacked) later++;
      else if (!own.lost && later >= REORDERED && own.sentAt <= newest) {
        own.lost = true;
        lostAt = Math.max(lostAt, own.sentAt);
      }
    }
    if (lostAt > this.recoveryAt) this.reduce(false);
  }

  private grow(acked: number): void {
    // A window that is not used up says nothing of the path (RFC 7661, RFC 9002 §7.8).
    if (this.window > 2 * this.inFlightMost) return;
    if (this.window < this.threshold) this.window += acked;
    else this.window += (SEGMENT_BYTES * acked) / this.window;
  }

  private reduce(collapsed: boolean): void {
    this.recoveryAt = this.world.now();
    this.threshold = Math.max(2 * SEGMENT_BYTES, this.window / 2);
    this.window = collapsed ? SEGMENT_BYTES : this.threshold;
  }

  private measure(ms: number): void {
    if (this.smoothed === 0) {
      this.smoothed = ms;
      this.variance = ms / 2;
    } else {
      this.variance += (Math.abs(this.smoothed - ms) - this.variance) / 4;
      this.smoothed += (ms - this.smoothed) / 8;
    }
  }

  private take(at: number, bytes: Buffer, fin: boolean, clock: Clock): void {
    if (fin) this.peerFin = at + bytes.length;
    if (bytes.length === 0 && !fin) return;
    const inOrder = at === this.received;
    if (at >= this.received && bytes.length > 0) this.early.set(at, { bytes, fin });
    for (let own = this.early.get(this.received); own !== undefined; own = this.early.get(this.received)) {
      this.early.delete(this.received);
      const before = this.received;
      this.received += own.bytes.length;
      const shaken = before < this.shakes ? this.shaking(before, this.received) : 0;
      if (own.bytes.length > shaken) this.waiting.push(own.bytes.subarray(shaken));
    }
    this.offerWaiting();
    // Every second segment, and at once where something is missing (RFC 5681 §4.2).
    if (!inOrder || this.early.size > 0 || fin || ++this.unacknowledged >= 2) this.emit(ACK, this.next, null, 0, 0);
    else if (this.ackAt === NEVER) this.ackAt = clock.now + DELAYED_ACK_MS;
  }

  private offerWaiting(): void {
    const { pipe } = this;
    while (!this.held && pipe?.isAlive === true && this.waiting.length > 0) pipe.came(this.waiting.shift()!);
    if (this.held || this.toldEnd || pipe?.isAlive !== true || this.peerFin < 0 || this.received < this.peerFin) return;
    this.toldEnd = true;
    pipe.finished();
  }

  // ---- time --------------------------------------------------------------------------------------------------------

  get deadline(): Instant {
    return Math.min(this.timerAt, this.ackAt);
  }

  tick({ now }: Clock): void {
    if (now >= this.ackAt) this.emit(ACK, this.next, null, 0, 0);
    if (now < this.timerAt) return;
    if (!this.established) {
      this.backoff *= 2;
      if (this.backoff > 64) this.giveUp();
      else this.synchronise();
      return;
    }
    const last = this.outstanding.findLast(({ sacked }) => !sacked);
    if (last === undefined) this.timerAt = NEVER;
    else if (!this.probed && this.smoothed > 0 && this.backoff === 1) {
      this.probed = true;
      this.sendSegment(last);
      this.arm();
    } else this.expire();
    this.port.touch();
  }

  private expire(): void {
    const first = this.outstanding.find(({ sacked }) => !sacked)!;
    if (first.tries > TRIES_MOST) {
      this.giveUp();
      return;
    }
    this.backoff *= 2;
    this.reduce(true);
    for (const segment of this.outstanding) if (!segment.sacked) segment.lost = true;
    this.pump();
    this.timerAt = this.world.now() + Math.min(RTO_MOST_MS, this.rto * this.backoff);
  }

  private giveUp(): void {
    this.stop();
    this.pipe?.gone(TIMEOUT);
  }

  leave(): void {}

  lost(): void {
    this.stop();
    if (this.pipe?.isAlive === true) this.pipe.gone(ENDED);
  }
}

const NOTHING = Buffer.alloc(0);

function filler(size: number): Uint8Array {
  return Buffer.alloc(size);
}

function peerOf(remote: Address | null, { alpn, resumed = false }: TcpOptions): Peer {
  const tls: TlsFacts = {
    ...{ version: 'TLSv1.3', cipher: 'modelled', alpn: alpn ?? null, serverName: null, certificate: null, resumed },
  };
  return { carrier: 'simulated', remote, local: null, tls, below: null, stream: null };
}
