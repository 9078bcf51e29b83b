// Which packets came and which are lost, and when to ask again (RFC 9002): sent packets of the three number spaces, losses by
// number and by time, probe timeouts, persistent congestion, marks. What was in a packet is for the connection.
import type { Fault } from '../../../core/fault.ts';
import { type Instant, NEVER } from '../../../core/time.ts';
import { transportFaults as faults } from '../faults.ts';
import { type Algorithm, type Congestion, congestionOf } from './congestion.ts';
import { Pacer } from './pacer.ts';
import { GRANULARITY_MS, RoundTrip } from './round-trip.ts';

/** Number spaces (RFC 9000 §12.3); 0-RTT and 1-RTT share one. */
export const INITIAL_SPACE = 0;
export const HANDSHAKE_SPACE = 1;
export const APPLICATION_SPACE = 2;
export type SpaceIndex = typeof INITIAL_SPACE | typeof HANDSHAKE_SPACE | typeof APPLICATION_SPACE;

/** RFC 9002 §6.1.1. */
export const PACKET_THRESHOLD = 3;
const TIME_THRESHOLD = 9 / 8;
/** RFC 9002 §7.6.1. */
const PERSISTENT = 3;
const BACKOFF_MOST = 10;

export interface SentPacket<Frame> {
  readonly number: number;
  readonly at: Instant;
  readonly bytes: number;
  readonly eliciting: boolean;
  /** Counted as on its way: whatever is more than acknowledgements. */
  readonly inFlight: boolean;
  readonly frames: readonly Frame[];
  readonly early: boolean;
  readonly marked: boolean;
  /** It asks whether the path takes packets of its size; its loss says nothing of congestion (RFC 9000 §14.4). */
  readonly probe: boolean;
  /** Whose window it counts against. */
  readonly path: number;
}

export interface RecoveryEvents<Frame> {
  packetAcked(space: SpaceIndex, packet: SentPacket<Frame>, now: Instant): void;
  packetLost(space: SpaceIndex, packet: SentPacket<Frame>, now: Instant): void;
}

class Space<Frame> {
  /** By number from `first` on; null for those that were acknowledged, lost or skipped. */
  sent: (SentPacket<Frame> | null)[] = [];
  first = 0;
  next = 0;
  largestAcked = -1;
  lossAt: Instant = NEVER;
  lastElicitingAt: Instant = 0;
  eliciting = 0;
  /** The number that was left out last: whoever acknowledges it has not seen what it acknowledges (RFC 9000 §21.4). */
  skipped = -1;
  ect0 = 0;
  ce = 0;
  discarded = false;
}

export class Recovery<Frame> {
  readonly spaces: readonly Space<Frame>[] = [new Space(), new Space(), new Space()];
  roundTrip = new RoundTrip();
  congestion: Congestion;
  pacer = new Pacer();
  inFlight = 0;
  probes = 0;
  /** Nothing waits for the window: it is not to grow by what is acknowledged (RFC 9002 §7.8). */
  appLimited = true;
  /** Marks are worth setting: `testing` until the first are acknowledged (RFC 9000 §13.4.2). */
  marking: 'off' | 'testing' | 'good' = 'off';
  lostPackets = 0;
  sentPackets = 0;
  /** The peer's `max_ack_delay`, once known. */
  ackDelayMs = 0;
  confirmed = false;
  /** What is told to be lost now was not: it is said again since the peer cannot have read it. */
  takesBack = false;
  /** A client whose server may not send for want of a proven address keeps asking (RFC 9002 §6.2.2.1). */
  isStuck: () => SpaceIndex | -1 = () => -1;
  segment: number;
  private path = 0;
  private marksLost = 0;
  private readonly algorithm: Algorithm;
  private readonly events: RecoveryEvents<Frame>;

  constructor(algorithm: Algorithm, segment: number, events: RecoveryEvents<Frame>) {
    this.algorithm = algorithm;
    this.segment = segment;
    this.events = events;
    this.congestion = congestionOf(algorithm, segment);
  }

  /** Another path: what was learnt of the one before is worth nothing (RFC 9000 §9.4). */
  renew(segment: number, marking: boolean): void {
    this.path++;
    this.segment = segment;
    this.congestion = congestionOf(this.algorithm, segment);
    this.roundTrip = new RoundTrip();
    this.pacer = new Pacer();
    this.inFlight = 0;
    this.probes = 0;
    this.marking = marking ? 'testing' : 'off';
    this.marksLost = 0;
  }

  get pathNumber(): number {
    return this.path;
  }

  sent(space: SpaceIndex, packet: SentPacket<Frame>): void {
    const own = this.spaces[space]!;
    if (own.sent.length === 0) own.first = packet.number;
    for (let gap = own.first + own.sent.length; gap < packet.number; gap++) own.sent.push(null);
    own.sent.push(packet);
    own.next = packet.number + 1;
    this.sentPackets++;
    if (!packet.inFlight) return;
    if (packet.eliciting) {
      own.eliciting++;
      own.lastElicitingAt = packet.at;
    }
    this.inFlight += packet.bytes;
    this.pacer.sent(packet.bytes);
  }

  /** Leaves a number out. */
  skip(space: SpaceIndex): void {
    const own = this.spaces[space]!;
    own.skipped = own.next++;
  }

  /**
   * An ACK: `[smallest, largest]` pairs from the largest on. Answers a fault when it cannot be true.
   * @param marks counts of ECT(0), ECT(1) and CE, or null
   */
  acked(
    space: SpaceIndex,
    ranges: readonly number[],
    delayMs: number,
    marks: readonly [number, number, number] | null,
    now: Instant,
  ): Fault | null {
    const own = this.spaces[space]!;
    const largest = ranges[1]!;
    if (largest >= own.next) return faults.ackUnsent;
    let newest: SentPacket<Frame> | null = null;
    let eliciting = false;
    let marked = 0;
    const limited = this.appLimited || this.inFlight * 2 < this.congestion.window;
    for (let index = 0; index < ranges.length; index += 2) {
      const least = ranges[index]!;
      const most = ranges[index + 1]!;
      if (own.skipped >= least && own.skipped <= most) return faults.ackUnsent;
      if (most < own.first) break;
      for (let number = Math.min(most, own.next - 1); number >= Math.max(least, own.first); number--) {
        const packet = own.sent[number - own.first];
        if (packet === null || packet === undefined) continue;
        own.sent[number - own.first] = null;
        newest ??= packet;
        eliciting ||= packet.eliciting;
        if (packet.marked) marked++;
        this.take(own, packet);
        if (packet.inFlight && packet.path === this.path && !limited)
          this.congestion.acked(packet.bytes, packet.at, now, this.roundTrip.smoothed);
        this.events.packetAcked(space, packet, now);
      }
    }
    if (newest === null) return null;
    own.largestAcked = Math.max(own.largestAcked, largest);
    if (newest.number === largest && eliciting && newest.path === this.path) {
      const delay = this.confirmed ? Math.min(delayMs, this.ackDelayMs) : delayMs;
      this.roundTrip.sample(Math.max(now - newest.at, 0.001), space === INITIAL_SPACE ? 0 : delay, now);
    }
    this.checkMarks(own, marks, marked, newest, now);
    this.detect(space, now);
    this.trim(own);
    // RFC 9002 §6.2.1: a client that cannot know whether its address is proven keeps its backoff.
    if (this.isStuck() === -1) this.probes = 0;
    return null;
  }

  private take(own: Space<Frame>, packet: SentPacket<Frame>): void {
    if (!packet.inFlight) return;
    if (packet.eliciting) own.eliciting--;
    if (packet.path === this.path) this.inFlight -= packet.bytes;
  }

  private trim(own: Space<Frame>): void {
    let empty = 0;
    while (empty < own.sent.length && own.sent[empty] === null) empty++;
    if (empty === 0) return;
    own.sent.splice(0, empty);
    own.first += empty;
  }

  /** RFC 9000 §13.4.2.1, RFC 9002 §7.1. */
  private checkMarks(
    own: Space<Frame>,
    marks: readonly [number, number, number] | null,
    marked: number,
    newest: SentPacket<Frame>,
    now: Instant,
  ): void {
    if (this.marking === 'off') return;
    if (marks === null) {
      if (marked > 0) this.marking = 'off';
      return;
    }
    const [ect0, ect1, ce] = marks;
    const more = ect0 - own.ect0 + (ce - own.ce);
    if (ect1 > 0 || more < marked || ect0 < own.ect0 || ce < own.ce) {
      // Marks are changed on the way, or the peer makes them up.
      if (newest.number >= own.largestAcked) this.marking = 'off';
      return;
    }
    if (marked > 0) this.marking = 'good';
    if (ce > own.ce) this.congestion.event(newest.at, now);
    own.ect0 = ect0;
    own.ce = ce;
  }

  /** RFC 9002 §6.1. */
  private detect(space: SpaceIndex, now: Instant): void {
    const own = this.spaces[space]!;
    own.lossAt = NEVER;
    if (own.largestAcked < 0) return;
    const waited = Math.max(TIME_THRESHOLD * Math.max(this.roundTrip.latest, this.roundTrip.smoothed), GRANULARITY_MS);
    let lost: SentPacket<Frame>[] | null = null;
    const most = Math.min(own.largestAcked - own.first, own.sent.length - 1);
    for (let index = 0; index <= most; index++) {
      const packet = own.sent[index];
      if (packet === null || packet === undefined) continue;
      if (packet.at <= now - waited || own.largestAcked >= packet.number + PACKET_THRESHOLD) {
        own.sent[index] = null;
        lost ??= [];
        lost.push(packet);
      } else own.lossAt = Math.min(own.lossAt, packet.at + waited);
    }
    if (lost !== null) this.lose(space, lost, now);
  }

  private lose(space: SpaceIndex, lost: readonly SentPacket<Frame>[], now: Instant): void {
    const own = this.spaces[space]!;
    let latest = Number.NEGATIVE_INFINITY;
    for (const packet of lost) {
      this.take(own, packet);
      this.lostPackets++;
      if (packet.marked && this.marking === 'testing' && ++this.marksLost >= 10) this.marking = 'off';
      if (packet.inFlight && !packet.probe && packet.path === this.path) latest = Math.max(latest, packet.at);
      this.events.packetLost(space, packet, now);
    }
    if (latest === Number.NEGATIVE_INFINITY) return;
    this.congestion.event(latest, now);
    if (this.isPersistent(lost)) this.congestion.collapsed();
  }

  /** Whether all of a long time was lost (RFC 9002 §7.6). */
  private isPersistent(lost: readonly SentPacket<Frame>[]): boolean {
    const { roundTrip } = this;
    if (Number.isNaN(roundTrip.firstAt)) return false;
    const long = (roundTrip.probeMs + this.ackDelayMs) * PERSISTENT;
    let first: SentPacket<Frame> | null = null;
    let last = -1;
    for (const packet of lost) {
      if (packet.path !== this.path || packet.at <= roundTrip.firstAt) continue;
      if (packet.number !== last + 1) first = null;
      last = packet.number;
      if (!packet.eliciting) continue;
      first ??= packet;
      if (packet.at - first.at > long) return true;
    }
    return false;
  }

  /** What was sent with keys that are gone is neither lost nor acknowledged (RFC 9002 §6.4). */
  discard(space: SpaceIndex): void {
    const own = this.spaces[space]!;
    if (own.discarded) return;
    own.discarded = true;
    for (const packet of own.sent) if (packet !== null) this.take(own, packet);
    own.sent = [];
    own.lossAt = NEVER;
    own.eliciting = 0;
    this.probes = 0;
  }

  /** Takes all packets of a space back as lost, without congestion: after Retry, and when 0-RTT was refused. */
  takeBack(space: SpaceIndex, which: (packet: SentPacket<Frame>) => boolean, now: Instant): void {
    const own = this.spaces[space]!;
    this.takesBack = true;
    own.sent.forEach((packet, index) => {
      if (packet === null || !which(packet)) return;
      own.sent[index] = null;
      this.take(own, packet);
      this.events.packetLost(space, packet, now);
    });
    this.takesBack = false;
    this.trim(own);
  }

  /** How long a probe waits, with the peer's delay where it counts. */
  probeMs(space: SpaceIndex): number {
    return this.roundTrip.probeMs + (space === APPLICATION_SPACE ? this.ackDelayMs : 0);
  }

  private get backoff(): number {
    return 2 ** Math.min(this.probes, BACKOFF_MOST);
  }

  private probeAt(): { at: Instant; space: SpaceIndex } {
    let at = NEVER;
    let space: SpaceIndex = INITIAL_SPACE;
    for (const index of SPACES) {
      const own = this.spaces[index]!;
      if (own.eliciting === 0 || (index === APPLICATION_SPACE && !this.confirmed)) continue;
      const due = own.lastElicitingAt + this.probeMs(index) * this.backoff;
      if (due < at) {
        at = due;
        space = index;
      }
    }
    const stuck = this.isStuck();
    if (at === NEVER && stuck !== -1)
      return { at: this.spaces[stuck]!.lastElicitingAt + this.roundTrip.probeMs * this.backoff, space: stuck };
    return { at, space };
  }

  /** @param mayProbe false while nothing may be sent before the peer's address is proven (RFC 9002 §6.2.2.1) */
  due(mayProbe: boolean): Instant {
    const loss = Math.min(this.spaces[0]!.lossAt, this.spaces[1]!.lossAt, this.spaces[2]!.lossAt);
    return loss < NEVER || !mayProbe ? loss : this.probeAt().at;
  }

  /** Time has come: losses are told, or the space to send probes in is answered, -1 for none. */
  tick(now: Instant, mayProbe: boolean): SpaceIndex | -1 {
    for (const index of SPACES) {
      if (this.spaces[index]!.lossAt > now) continue;
      this.detect(index, now);
      this.trim(this.spaces[index]!);
      return -1;
    }
    if (!mayProbe) return -1;
    const { at, space } = this.probeAt();
    if (at > now) return -1;
    this.probes++;
    return space;
  }

  /** How many bytes may be sent for the window; probes are let pass by who sends them. */
  get room(): number {
    return this.congestion.window - this.inFlight;
  }

  pacedRoom(now: Instant): number {
    return this.pacer.room(this.congestion.window, this.roundTrip.smoothed, this.segment, now);
  }

  get pacedAt(): Instant {
    return this.pacer.next(this.congestion.window, this.roundTrip.smoothed, this.segment);
  }

  /** What the oldest packets of a space carried, to be sent again in a probe. */
  oldest(space: SpaceIndex, most: number): SentPacket<Frame>[] {
    const found: SentPacket<Frame>[] = [];
    for (const packet of this.spaces[space]!.sent) {
      if (packet?.eliciting) found.push(packet);
      if (found.length === most) break;
    }
    return found;
  }
}

const SPACES: readonly SpaceIndex[] = [INITIAL_SPACE, HANDSHAKE_SPACE, APPLICATION_SPACE];
