// One connection (RFC 9000): its handshake, keys, paths, ids, streams, deadlines and end. Packets are taken apart in
// `receiver.ts` and made in `transmitter.ts`; the endpoint that leads packets here is known as `Home`.
import { copyOf } from '../../../bytes/reader.ts';
import type { Caller } from '../../../core/caller.ts';
import { type Connection, nextConnectionId } from '../../../core/connection.ts';
import type { Fault } from '../../../core/fault.ts';
import { InnerTurn, type Outer } from '../../../core/inner-turn.ts';
import type { Mux, MuxSession } from '../../../core/mux.ts';
import type { Address, Peer, TlsFacts } from '../../../core/peer.ts';
import {
  HANDSHAKE as CAUSE_HANDSHAKE,
  type Cause,
  FAULT,
  type Pipe,
  type Session,
  TIMEOUT,
  type Why,
} from '../../../core/pipe.ts';
import type { KernelFigures, Tap } from '../../../core/tap.ts';
import { type Clock, type Instant, NEVER } from '../../../core/time.ts';
import type { Turn } from '../../../core/turn.ts';
import { isFault, type Parameters, readParameters, writeParameters } from '../codec/parameters.ts';
import { EARLY, HANDSHAKE, type Handshake, INITIAL, type Level, type Protection, type Version } from '../crypto.ts';
import { transportFaults as faults } from '../faults.ts';
import { initialProtection } from '../protection/index.ts';
import type { Qlog } from '../qlog.ts';
import { APPLICATION_SPACE, HANDSHAKE_SPACE, INITIAL_SPACE, Recovery, type SpaceIndex } from '../recovery/recovery.ts';
import type { SentFrame } from '../recovery/sent-frame.ts';
import { Streams, type StreamsOwner } from '../streams/streams.ts';
import { Agreement } from './agreement.ts';
import { CryptoStream } from './crypto-stream.ts';
import { Fates } from './fates.ts';
import { OwnIds, PeersIds } from './ids.ts';
import { Arrivals } from './numbers.ts';
import type { Arrived, DialOptions, Home, TransportOptions } from './options.ts';
import { LEAST_PACKET, PacketSize, Path } from './path.ts';
import { Receiver } from './receiver.ts';
import { showHandshake, showProbe } from './showing.ts';
import { Transmitter } from './transmitter.ts';

/** Where a connection stands (RFC 9000 §10). */
export type State = 'handshake' | 'open' | 'closing' | 'draining' | 'gone';

const NOTHING = new Uint8Array();
const CALLERS_MAX = 64;

/** The number space of a level. */
export function spaceOf(level: Level): SpaceIndex {
  return level === INITIAL ? INITIAL_SPACE : level === HANDSHAKE ? HANDSHAKE_SPACE : APPLICATION_SPACE;
}

export class QuicConnection implements Mux, Connection, StreamsOwner, Outer {
  readonly id = nextConnectionId();
  peer: Peer;
  protocol = 'quic';
  readonly shownAs = 'quic';
  tap: Tap | null = null;
  callers: readonly Caller[] = [];
  receivedBytes = 0;
  sentBytes = 0;
  state: State = 'handshake';
  readonly isClient: boolean;
  readonly home: Home;
  readonly options: TransportOptions;
  readonly qlog: Qlog | null;

  version: Version;
  /** Of the first packet of all. */
  readonly originalVersion: Version;
  readonly handshake: Handshake;
  readonly protections: (Protection | null)[] = [null, null, null, null];
  /** A server's of the client's first version, when it went over to another. */
  initialBefore: Protection | null = null;
  readonly crypto = [new CryptoStream(), new CryptoStream(), new CryptoStream(), new CryptoStream()];
  readonly arrivals = [new Arrivals(), new Arrivals(), new Arrivals()];
  readonly recovery: Recovery<SentFrame>;
  readonly turn: InnerTurn & Turn;
  readonly streams: Streams;

  readonly ownIds: OwnIds;
  readonly firstId: Uint8Array;
  readonly peersIds: PeersIds;
  /** What keys of Initial packets are made of: what the client sent its first packet to, or that of its Retry. */
  initialId: Uint8Array;
  originalId: Uint8Array;
  retryId: Uint8Array | null = null;
  token: Uint8Array = NOTHING;
  private readonly agreement: Agreement;
  readonly fates = new Fates(this);
  peers: Parameters | null = null;
  confirmed = false;
  /** Version Negotiation made us choose the first version. */
  negotiated = false;
  /** A client: the server has acknowledged a Handshake packet. */
  serverKnows = false;
  /** The handshake is done, as far as this side can tell. */
  complete = false;

  /** Until its client has finished, what a server gets may be a replay (RFC 9001 §9.2). */
  get early(): boolean {
    return !this.isClient && !this.complete;
  }

  path: Path;
  /** Other paths that are being looked at, and answers that go there. */
  probing: Path[] = [];
  responses: { to: Address; local: Address | null; data: Uint8Array }[] = [];
  size: PacketSize;

  tellDone = false;
  tellToken: Uint8Array | null = null;
  readonly datagrams: Uint8Array[] = [];
  datagramBytes = 0;
  /** Packets to send by space whatever the window says: probes for an answer. */
  readonly probes = [0, 0, 0];
  wantsPing = false;

  private session: MuxSession | null = null;
  private told = false;
  private idleAt: Instant = NEVER;
  private readonly handshakeBy: Instant;
  private keepAliveAt: Instant = NEVER;
  private leaveAt: Instant = NEVER;
  private endAt: Instant = NEVER;
  /** An eliciting packet was sent since the last came. */
  private askedSince = false;
  closeFault: Fault | null = null;
  closeByApplication = false;
  private readonly dial: DialOptions;
  private readonly receiver: Receiver;
  readonly transmitter: Transmitter;

  constructor(
    home: Home,
    options: TransportOptions,
    remote: Address,
    local: Address | null,
    arrived: Arrived | null,
    dial: DialOptions,
    clock: Clock,
  ) {
    this.home = home;
    this.options = options;
    this.dial = dial;
    this.isClient = arrived === null;
    this.version = this.originalVersion = arrived?.version ?? dial.ticket?.version ?? options.versions[0]!;
    this.path = new Path(remote, local, this.isClient || arrived?.validated === true);
    this.size = new PacketSize(LEAST_PACKET);
    this.peer = { carrier: 'quic', remote, local, tls: null, below: null, stream: null };
    this.turn = new InnerTurn(this, (error, where) => home.bug(error, where));
    this.streams = new Streams(this, options.limits);
    this.recovery = new Recovery(options.congestion, LEAST_PACKET, this.fates);
    this.recovery.marking = home.port.ecn ? 'testing' : 'off';
    this.recovery.isStuck = () => this.stuckSpace();
    this.ownIds = new OwnIds(home);
    this.firstId = this.ownIds.first();
    this.originalId = arrived?.originalId ?? this.random(8);
    this.initialId = arrived?.destination ?? this.originalId;
    this.retryId = arrived?.retryId ?? null;
    this.peersIds = new PeersIds(arrived?.source ?? this.originalId, {
      watch: (token) => home.watch(token, this),
      unwatch: (token) => home.unwatch(token),
    });
    this.token = dial.token ?? NOTHING;
    this.agreement = new Agreement(this, dial);
    this.qlog = options.qlog?.(this) ?? null;
    this.protections[INITIAL] = this.initialKeys();
    this.receiver = new Receiver(this);
    this.transmitter = new Transmitter(this);
    this.handshakeBy = clock.now + options.limits.handshakeMs;
    this.idleAt = clock.now + options.limits.idleMs;
    this.handshake = this.isClient ? this.agreement.clientSide() : this.agreement.serverSide(remote, local);
    this.begin(clock);
  }

  private begin(clock: Clock): void {
    if (!this.isClient) {
      this.home.lead(this.initialId, this);
      this.handshake.begin(NOTHING, clock);
      return;
    }
    const { ticket, early } = this.dial;
    if (ticket?.early && early) {
      const before = readParameters(ticket.parameters, 0, ticket.parameters.length, false);
      if (!isFault(before)) this.streams.allow(before);
    }
    this.handshake.begin(writeParameters(this.agreement.own), clock);
    if (this.protections[EARLY] !== null && ticket) this.meet(ticket.alpn);
    this.home.touch(this);
  }

  random(size: number): Uint8Array {
    const bytes = Buffer.alloc(size);
    this.options.entropy.fill(bytes);
    return bytes;
  }

  initialKeys(): Protection {
    const { ciphers } = this.options;
    const role = this.isClient ? 'client' : 'server';
    return ciphers === undefined
      ? initialProtection(this.version, this.initialId, role)
      : initialProtection(this.version, this.initialId, role, ciphers);
  }

  gotToken(token: Uint8Array): void {
    this.dial.onToken?.(token);
  }

  // ---- the handshake's progress ------------------------------------------------------------------------------------

  /** After bytes of the handshake were taken. */
  progressed(clock: Clock): void {
    const { handshake } = this;
    if (!this.isClient && handshake.early) this.meet(handshake.alpn);
    if (!handshake.complete || this.complete || this.state !== 'handshake') return;
    this.complete = true;
    this.state = 'open';
    this.qlog?.state(clock.now, 'handshake_complete');
    this.peer = { ...this.peer, tls: this.tlsFacts() };
    this.tap?.secured?.(this.id, this.peer, clock.now);
    if (this.tap !== null) showHandshake(this);
    const { peers, options } = this;
    this.ownIds.fill(peers!.idsMax, options.limits.idsMax);
    if (this.home.port.isWhole === true)
      this.size = new PacketSize(Math.min(options.limits.packetBytesMax, peers!.udpPayloadMax));
    if (!this.isClient) {
      this.tellDone = true;
      this.tellToken = this.home.addressTokens?.forLater(this.path.remote, clock.wall) ?? null;
      this.confirm();
    }
    this.home.established(this);
    this.meet(handshake.alpn);
  }

  private tlsFacts(): TlsFacts {
    const { handshake } = this;
    const cipher = SUITE_NAMES[handshake.suite] ?? String(handshake.suite);
    return {
      version: 'TLSv1.3',
      cipher,
      alpn: handshake.alpn,
      serverName: handshake.serverName === '' ? null : handshake.serverName,
      resumed: handshake.resumed,
      certificate: this.isClient ? null : (handshake.peerChain[0] ?? null),
    };
  }

  /** The handshake is confirmed (RFC 9001 §4.1.2): its keys go. */
  confirm(): void {
    if (this.confirmed) return;
    this.confirmed = this.recovery.confirmed = true;
    this.discardKeys(HANDSHAKE);
    if (this.isClient) this.discardEarly();
    if (this.isClient && this.peers?.preferred) this.receiver.goToPreferred(this.peers.preferred);
    this.home.touch(this);
  }

  discardEarly(): void {
    this.protections[EARLY]?.discard();
    this.protections[EARLY] = null;
  }

  discardKeys(level: Level): void {
    const protection = this.protections[level];
    if (protection === null || protection === undefined) return;
    // What was sealed with them may still wait for its mask.
    protection.discard();
    this.protections[level] = null;
    if (level === INITIAL) {
      this.initialBefore?.discard();
      this.initialBefore = null;
    }
    this.crypto[level]!.output.clear();
    this.crypto[level]!.input.clear();
    this.recovery.discard(spaceOf(level));
    this.probes[spaceOf(level)] = 0;
    this.arrivals[spaceOf(level)]!.dueAt = NEVER;
  }

  /** Gives the connection to whom ALPN names, once. */
  private meet(alpn: string): void {
    if (this.session !== null || this.told) return;
    this.protocol = this.options.nameOf(alpn);
    let session: MuxSession | null = null;
    try {
      session = this.options.choose(alpn, this);
    } catch (error) {
      this.home.bug(error, 'a session of many streams');
    }
    if (session === null) this.fail(faults.bug);
    else this.session = session;
  }

  /** A client that may not know whether its server can send (RFC 9002 §6.2.2.1). */
  private stuckSpace(): SpaceIndex | -1 {
    if (!this.isClient || this.confirmed || this.state !== 'handshake') return -1;
    if (this.serverKnows) return -1;
    return this.protections[HANDSHAKE]?.canSeal ? HANDSHAKE_SPACE : INITIAL_SPACE;
  }

  // ---- StreamsOwner ------------------------------------------------------------------------------------------------

  peerOf(stream: number): Peer {
    return { ...this.peer, below: this.peer, stream };
  }

  accept(pipe: Pipe, oneWay: boolean): Session {
    return this.session!.opened(pipe, oneWay);
  }

  get isMet(): boolean {
    return this.session !== null;
  }

  mayOpen(): void {
    if (this.session === null) return;
    try {
      this.session.mayOpen(this.home.clock);
    } catch (error) {
      this.crash(error);
    }
  }

  wantsToSend(): void {
    this.home.touch(this);
  }

  /** As the turn's outer: its streams are worked when the connection is. */
  get clock(): Clock {
    return this.home.clock;
  }

  flush(): void {
    this.home.touch(this);
  }

  wake(due: Instant): void {
    this.streams.wake(due);
  }

  faulted(_connection: Connection, fault: Fault): void {
    this.home.connections?.faulted(this, fault);
  }

  closed(): void {}

  // ---- Mux ---------------------------------------------------------------------------------------------------------

  open(oneWay: boolean, session: (pipe: Pipe) => Session): Pipe | null {
    if (this.state !== 'open' && this.state !== 'handshake') return null;
    return this.streams.open(oneWay, session);
  }

  get datagramMax(): number {
    const peers = this.peers?.datagramMax ?? 0;
    return Math.max(0, Math.min(peers - 3, this.size.current - 1 - 20 - 4 - 16 - 3));
  }

  datagram(bytes: Uint8Array, start: number, end: number): boolean {
    if (end - start > this.datagramMax || this.state !== 'open') return false;
    if (this.datagramBytes + end - start > this.options.limits.datagramQueueBytes) return false;
    this.datagrams.push(copyOf(bytes, start, end));
    this.datagramBytes += end - start;
    this.home.touch(this);
    return true;
  }

  datagramCame(bytes: Uint8Array, start: number, end: number, clock: Clock): void {
    try {
      this.session?.datagram(bytes, start, end, clock);
    } catch (error) {
      this.crash(error);
    }
  }

  /** Ends it for the application's reasons. */
  close(fault: Fault): void {
    this.closeByApplication = true;
    this.finish(fault, FAULT, fault.wire);
  }

  signedIn(caller: Caller): void {
    if (this.callers.includes(caller) || this.callers.length >= CALLERS_MAX) return;
    this.callers = [...this.callers, caller];
  }

  /** A client whose address has changed: another id, and the path is shown to work (RFC 9000 §9.2). */
  migrate(): void {
    if (!this.isClient || !this.confirmed || !this.isAlive || this.peers?.noMigration === true) return;
    this.receiver.migrated(this.home.clock.now);
    this.home.touch(this);
  }

  // ---- Connection --------------------------------------------------------------------------------------------------

  get isAlive(): boolean {
    return this.state === 'handshake' || this.state === 'open';
  }

  get queued(): number {
    return this.streams.queuedBytes + this.datagramBytes;
  }

  get heldBytes(): number {
    return this.streams.heldBytes + this.datagramBytes;
  }

  throttle(on: boolean): void {
    this.streams.throttle(on);
  }

  leave(why: Why, graceMs: number): void {
    if (!this.isAlive) return;
    const { clock } = this.home;
    this.leaveAt = Math.min(this.leaveAt, clock.now + graceMs);
    if (this.session === null) this.fail(faults.leaving);
    else {
      try {
        this.session.leave(why, clock);
      } catch (error) {
        this.crash(error);
      }
    }
    this.home.touch(this);
  }

  kernel(): KernelFigures | null {
    const { roundTrip, congestion, lostPackets, inFlight } = this.recovery;
    return {
      state: this.state,
      roundTripUs: Math.round(roundTrip.smoothed * 1_000),
      roundTripVarianceUs: Math.round(roundTrip.variance * 1_000),
      retransmits: lostPackets,
      congestionWindow: Math.floor(congestion.window / this.size.current),
      segmentBytes: this.size.current,
      unackedSegments: Math.ceil(inFlight / this.size.current),
      lostSegments: lostPackets,
      pacingRate: null,
      deliveryRate: null,
      bytesAcked: null,
      bytesReceived: this.receivedBytes,
    };
  }

  // ---- the end -----------------------------------------------------------------------------------------------------

  /** The peer broke the protocol: it is told, and the connection ends. */
  fail(fault: Fault): void {
    if (!this.isAlive) return;
    this.tap?.fault(this.id, fault, this.home.clock.now);
    this.home.connections?.faulted(this, fault);
    const isHandshake = fault.wire >= 0x100 && fault.wire < 0x200;
    this.finish(fault, isHandshake ? CAUSE_HANDSHAKE : FAULT, fault.wire);
  }

  crash(error: unknown): void {
    this.home.bug(error, `quic connection ${this.id}`);
    if (this.isAlive) this.finish(faults.bug, FAULT, faults.bug.wire);
  }

  private finish(fault: Fault, cause: Cause, wire: number): void {
    if (!this.isAlive) return;
    this.closeFault = fault;
    const { now } = this.home.clock;
    this.endAt = now + 3 * this.recovery.probeMs(APPLICATION_SPACE);
    // What the streams have to say is over; the close goes out with the turn.
    this.state = 'closing';
    this.transmitter.closing = true;
    this.lose(cause, wire);
    this.home.touch(this);
  }

  /** The peer has closed it: nothing is said any more (RFC 9000 §10.2.2). */
  drain(cause: Cause, wire: number): void {
    if (this.state === 'gone' || this.state === 'draining') return;
    const was = this.isAlive;
    this.endAt = this.home.clock.now + 3 * this.recovery.probeMs(APPLICATION_SPACE);
    this.state = 'draining';
    if (was) this.lose(cause, wire);
    this.home.touch(this);
  }

  /** Ends it without a word: silence, a reset, the port is gone. */
  vanish(cause: Cause, wire: number): void {
    const was = this.isAlive;
    if (this.state === 'gone') return;
    if (was) {
      this.state = 'draining';
      this.lose(cause, wire);
    }
    this.go();
  }

  private lose(cause: Cause, wire: number): void {
    if (this.told) return;
    this.told = true;
    this.qlog?.state(this.home.clock.now, 'closed');
    this.streams.lose(cause, wire);
    const { session } = this;
    this.session = null;
    try {
      session?.lost(cause, wire, this.home.clock);
    } catch (error) {
      this.home.bug(error, `quic connection ${this.id} lost`);
    }
    this.tap?.closed(this.id, cause, this.home.clock.now, this.kernel());
    this.home.connections?.closed(this, cause, wire);
    this.datagrams.length = 0;
    this.datagramBytes = 0;
  }

  private go(): void {
    this.state = 'gone';
    for (const protection of this.protections) protection?.discard();
    this.protections.fill(null);
    for (const each of this.crypto) each.input.clear();
    this.ownIds.clear();
    this.peersIds.clear();
    this.home.gone(this);
    this.options.gone?.(this);
  }

  // ---- datagrams in, time, the turn --------------------------------------------------------------------------------

  receive(
    bytes: Uint8Array,
    start: number,
    end: number,
    from: Address,
    local: Address | null,
    ecn: number,
    clock: Clock,
  ): void {
    this.receivedBytes += end - start;
    this.receiver.datagram(bytes, start, end, from, local, ecn, clock);
    this.home.touch(this);
  }

  /** A genuine packet came. */
  heard(now: Instant): void {
    this.askedSince = false;
    this.restartIdle(now);
  }

  /** A packet that asks for an answer is sent. */
  asked(now: Instant): void {
    if (this.askedSince) return;
    this.askedSince = true;
    this.restartIdle(now);
  }

  private restartIdle(now: Instant): void {
    const own = this.options.limits.idleMs;
    const peers = this.peers?.idleMs ?? 0;
    const idle = peers === 0 ? own : Math.min(own, peers);
    this.idleAt = now + Math.max(idle, 3 * this.recovery.probeMs(APPLICATION_SPACE));
    const { keepAliveMs } = this.options;
    if (keepAliveMs > 0) this.keepAliveAt = now + Math.min(keepAliveMs, idle / 2);
  }

  /** When it has to be looked at. */
  get due(): Instant {
    if (!this.isAlive) return this.endAt;
    const recovery = this.recovery.due(this.path.room >= LEAST_PACKET / 2 || this.isClient);
    const end = Math.min(this.idleAt, this.leaveAt, this.complete ? this.keepAliveAt : this.handshakeBy);
    const { arrivals, streams, session } = this;
    const acks = Math.min(arrivals[0]!.dueAt, arrivals[1]!.dueAt, arrivals[2]!.dueAt);
    const own = Math.min(streams.due, session?.deadline ?? NEVER, this.transmitter.again, this.receiver.due);
    return Math.min(recovery, end, acks, own);
  }

  tick(clock: Clock): void {
    const { now } = clock;
    if (!this.isAlive) {
      if (now >= this.endAt) this.go();
      return;
    }
    if (now >= this.idleAt) {
      this.vanish(TIMEOUT, 0);
      return;
    }
    if (!this.complete && now >= this.handshakeBy) {
      this.finish(faults.handshakeSlow, TIMEOUT, 0);
      return;
    }
    if (now >= this.leaveAt) {
      this.finish(faults.leaving, TIMEOUT, 0);
      return;
    }
    if (this.complete && now >= this.keepAliveAt) {
      this.keepAliveAt = NEVER;
      this.wantsPing = true;
    }
    this.receiver.tick(clock);
    this.probe(now);
    this.streams.tick(clock);
    if (this.session !== null && now >= this.session.deadline) {
      try {
        this.session.tick(clock);
      } catch (error) {
        this.crash(error);
      }
    }
  }

  private probe(now: Instant): void {
    if (this.recovery.due(true) > now) return;
    const space = this.recovery.tick(now, this.path.room >= LEAST_PACKET / 2 || this.isClient);
    if (space === -1) return;
    if (this.tap !== null) showProbe(this, space);
    // Nothing at all comes back: perhaps the path takes no packets of this size any more (RFC 8899 §4.3).
    if (this.recovery.probes > 2 && this.size.shrink()) this.fates.resized();
    // Two, since one may be lost as well (RFC 9002 §6.2.4); their news is what was not acknowledged yet.
    for (const each of [INITIAL_SPACE, HANDSHAKE_SPACE, APPLICATION_SPACE] as const) {
      if (each !== space && this.recovery.spaces[each]!.eliciting === 0) continue;
      if (each === APPLICATION_SPACE && space !== APPLICATION_SPACE && !this.complete) continue;
      this.probes[each] = each === space ? 2 : 1;
      for (const packet of this.recovery.oldest(each, 2))
        for (const frame of packet.frames) this.fates.again(each, frame);
    }
  }

  /** Sends what gathered in this turn. */
  work(clock: Clock): void {
    if (this.state === 'gone' || this.state === 'draining') return;
    for (let round = 0; round < 8; round++) this.turn.run(clock);
    this.transmitter.send(clock);
  }
}

const SUITE_NAMES: Readonly<Record<number, string>> = {
  4865: 'TLS_AES_128_GCM_SHA256',
  4866: 'TLS_AES_256_GCM_SHA384',
  4867: 'TLS_CHACHA20_POLY1305_SHA256',
};
