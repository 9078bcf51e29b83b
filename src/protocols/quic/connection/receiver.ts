// Packets that come: opened, told from those that came before, taken apart into frames, each of which goes to whom it
// concerns. Paths that packets come by are followed here (RFC 9000 §9).
import { copyOf, u32 } from '../../../bytes/reader.ts';
import type { Fault } from '../../../core/fault.ts';
import type { Address } from '../../../core/peer.ts';
import { HANDSHAKE as CAUSE_HANDSHAKE, ENDED, RESET } from '../../../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../../../core/time.ts';
import * as frames from '../codec/frames.ts';
import {
  ID_BYTES_MAX,
  NEGOTIATION,
  numberAt,
  PacketHeader,
  RETRY,
  UNKNOWN_VERSION,
  wholeNumber,
} from '../codec/packets.ts';
import type { PreferredAddress } from '../codec/parameters.ts';
import {
  APPLICATION,
  EARLY,
  HANDSHAKE,
  INITIAL,
  type Level,
  type Protection,
  TAG_BYTES,
  type Version,
} from '../crypto.ts';
import { transportFaults as faults } from '../faults.ts';
import { checkRetry } from '../protection/index.ts';
import { APPLICATION_SPACE } from '../recovery/recovery.ts';
import { type QuicConnection, spaceOf } from './connection.ts';
import { OWN_ID_BYTES } from './ids.ts';
import { LEAST_PACKET, PacketSize, Path } from './path.ts';
import { showPacket, showRecovery } from './showing.ts';

const PATHS_MAX = 4;
/** Of a path challenge. */
const TRIES = 8;

interface Keyless {
  readonly level: Level;
  readonly bytes: Uint8Array;
  readonly from: Address;
  readonly local: Address | null;
  readonly ecn: number;
}

export class Receiver {
  private readonly line: QuicConnection;
  private readonly header = new PacketHeader();
  private readonly reader = new frames.FrameReader();
  private keyless: Keyless[] = [];
  private replaying = false;
  /** A client: whether anything of the server's was genuine. */
  private heard = false;
  private retried = false;
  /** Counted over the span that began then. */
  private spanAt: Instant = 0;
  private challenges = 0;
  private empties = 0;
  private readonly passCrypto: (bytes: Uint8Array, start: number, end: number) => void;
  private cryptoLevel: Level = INITIAL;
  private cryptoFault: Fault | null = null;
  private clock: Clock = { now: 0, wall: 0 };

  constructor(line: QuicConnection) {
    this.line = line;
    this.passCrypto = (bytes, start, end) => {
      this.cryptoFault ??= line.handshake.receive(this.cryptoLevel, bytes, start, end, this.clock);
    };
  }

  datagram(
    bytes: Uint8Array,
    start: number,
    end: number,
    from: Address,
    local: Address | null,
    ecn: number,
    clock: Clock,
  ): void {
    const { line } = this;
    this.clock = clock;
    const path = line.path.isTo(from) ? line.path : line.probing.find((each) => each.isTo(from));
    if (path !== undefined) path.received += end - start;
    if (line.state === 'closing') {
      line.transmitter.closeAgain();
      // What it says now matters no more, but that it closed as well.
    }
    let at = start;
    while (at < end && line.state !== 'gone' && line.state !== 'draining') {
      const next = this.header.read(bytes, at, end, OWN_ID_BYTES);
      if (next < 0) break;
      const { kind } = this.header;
      if (kind === NEGOTIATION) this.negotiation(bytes, end);
      else if (kind === RETRY) this.retry(bytes, at, end);
      else if (kind !== UNKNOWN_VERSION) this.packet(kind, bytes, at, next, from, local, ecn, clock);
      at = next;
    }
    if (line.isAlive) this.replay();
  }

  // ---- one packet ----

  private packet(
    level: Level,
    bytes: Uint8Array,
    start: number,
    end: number,
    from: Address,
    local: Address | null,
    ecn: number,
    clock: Clock,
  ): void {
    const { line, header } = this;
    const { now } = clock;
    const protection = this.keysFor(level, header.version as Version);
    if (protection === null) {
      this.keep(level, bytes, start, end, from, local, ecn);
      return;
    }
    const destination = header.destinationStart;
    const destinationEnd = header.destinationEnd;
    const source = level === APPLICATION ? null : copyOf(bytes, header.sourceStart, header.sourceEnd);
    const { numberAt: at } = header;
    const size = protection.unmask(bytes, start, at, end);
    const space = spaceOf(level);
    const arrivals = line.arrivals[space]!;
    if (size > 0) {
      const number = wholeNumber(numberAt(bytes, at, size), size, arrivals.largest);
      const payloadEnd = protection.open(bytes, start, at + size, end, number, now);
      if (payloadEnd >= 0) {
        if (arrivals.isKnown(number)) return;
        if (source !== null && !this.learn(level, source, protection)) return;
        const fault = this.payload(
          level,
          bytes,
          start,
          at + size,
          payloadEnd,
          number,
          { from, local, ecn, destination, destinationEnd },
          clock,
        );
        if (fault !== null) line.fail(fault);
        return;
      }
    }
    if (protection.worn) line.fail(faults.worn);
    else line.qlog?.dropped(now, 'payload_decrypt_error', end - start);
  }

  /** The keys for a packet; null when they are not there (yet). */
  private keysFor(level: Level, version: Version): Protection | null {
    const { line } = this;
    if (level === APPLICATION && !line.complete) return null;
    if (level === INITIAL && version !== line.version) {
      if (!line.isClient) return version === line.originalVersion ? line.initialBefore : null;
      // The server may have gone over to another version, once it knew all that the client said (RFC 9368 §2.3).
      if (line.version !== line.originalVersion || line.protections[HANDSHAKE] !== null) return null;
      if (!line.options.versions.includes(version)) return null;
      const before = line.version;
      line.version = version;
      const keys = line.initialKeys();
      line.version = before;
      return keys;
    }
    const protection = line.protections[level];
    return protection?.canOpen ? protection : null;
  }

  /** Of a long header that was genuine: the peer's own id and version. False when it is of somebody else. */
  private learn(level: Level, source: Uint8Array, protection: Protection): boolean {
    const { line, header } = this;
    if (line.isClient && !this.heard) {
      this.heard = true;
      line.peersIds.replaceFirst(source);
    } else if (level !== EARLY && !line.complete && Buffer.compare(source, line.peersIds.id) !== 0) return false;
    if (level === INITIAL && line.isClient && header.version !== line.version) {
      line.version = header.version as Version;
      line.protections[INITIAL]?.discard();
      line.protections[INITIAL] = protection;
    }
    if (level === HANDSHAKE && !line.isClient) {
      // It can only have been sealed by who has seen what we sent there (RFC 9000 §8.1).
      line.path.validated = true;
      line.discardKeys(INITIAL);
    }
    return true;
  }

  private keep(
    level: Level,
    bytes: Uint8Array,
    start: number,
    end: number,
    from: Address,
    local: Address | null,
    ecn: number,
  ): void {
    const { line } = this;
    if (this.replaying || line.complete || level === INITIAL || !line.isAlive) return;
    if (this.keyless.length >= line.options.limits.keylessMax) return;
    this.keyless.push({ level, bytes: copyOf(bytes, start, end), from, local, ecn });
  }

  /** Packets whose keys came after them. */
  private replay(): void {
    const { line } = this;
    if (this.keyless.length === 0 || this.replaying) return;
    const ready = this.keyless.filter(({ level }) => this.keysFor(level, line.version) !== null);
    if (ready.length === 0) return;
    this.keyless = this.keyless.filter((each) => !ready.includes(each));
    this.replaying = true;
    for (const { level, bytes, from, local, ecn } of ready) {
      if (!line.isAlive || this.header.read(bytes, 0, bytes.length, OWN_ID_BYTES) < 0) continue;
      this.packet(level, bytes, 0, bytes.length, from, local, ecn, this.clock);
    }
    this.replaying = false;
    if (this.keyless.length > 0) this.replay();
  }

  private payload(
    level: Level,
    bytes: Uint8Array,
    start: number,
    from: number,
    end: number,
    number: number,
    way: { from: Address; local: Address | null; ecn: number; destination: number; destinationEnd: number },
    clock: Clock,
  ): Fault | null {
    const { line, reader } = this;
    const { now } = clock;
    if ((bytes[start]! & (level === APPLICATION ? 0x18 : 0x0c)) !== 0) return faults.reservedBits;
    if (from >= end) return faults.noFrames;
    if (line.state === 'closing') return this.closingPayload(level, bytes, from, end);
    line.heard(now);
    if (line.tap !== null) showPacket(line, 'in', level, number, bytes, start, from, end);
    const space = spaceOf(level);
    const newest = number > line.arrivals[space]!.largest;
    let eliciting = false;
    let probing = true;
    let useful = false;
    const names: string[] | null = line.qlog === null ? null : [];
    for (let at = from; at < end; ) {
      at = reader.read(bytes, at, end);
      if (at < 0) return reader.fault;
      const { type } = reader;
      if (!frames.allowedAt(type, level)) return faults.frameNotHere;
      names?.push((frames.FRAME_NAMES[type] ?? '').toLowerCase());
      if (frames.isEliciting(type)) eliciting = true;
      if (!frames.isProbing(type)) probing = false;
      if (type !== frames.PADDING && type !== frames.PING && !this.isHollow()) useful = true;
      const fault = this.frame(level, bytes, way, clock);
      if (fault !== null) return fault;
      if (!line.isAlive) return null;
    }
    if (names !== null) line.qlog?.packet(now, false, level, number, end - start, names);
    line.arrivals[space]!.add(
      number,
      eliciting,
      way.ecn,
      level !== APPLICATION && level !== EARLY,
      line.options.limits.rangesMax,
      now,
    );
    if (eliciting && !useful && this.counted(now, 'empties') > line.options.limits.emptiesMax) return faults.emptyFlood;
    if (level === APPLICATION && !line.path.isTo(way.from)) this.otherPath(way, probing, newest, end - start, now);
    return null;
  }

  /** A STREAM frame that brings neither bytes nor the end. */
  private isHollow(): boolean {
    const { reader } = this;
    return reader.type === frames.STREAM && reader.dataStart === reader.dataEnd && !reader.fin;
  }

  /** We have closed: nothing matters any more but whether the peer has. */
  private closingPayload(level: Level, bytes: Uint8Array, from: number, end: number): null {
    for (let at = from; at < end; ) {
      at = this.reader.read(bytes, at, end);
      if (at < 0 || !frames.allowedAt(this.reader.type, level)) return null;
      if (this.reader.type === frames.CONNECTION_CLOSE || this.reader.type === frames.APPLICATION_CLOSE) {
        this.line.drain(ENDED, 0);
        return null;
      }
    }
    return null;
  }

  private counted(now: Instant, what: 'challenges' | 'empties'): number {
    if (now - this.spanAt > this.line.options.limits.floodMs) {
      this.spanAt = now;
      this.challenges = this.empties = 0;
    }
    return ++this[what];
  }

  // ---- one frame ----

  private frame(
    level: Level,
    bytes: Uint8Array,
    way: { from: Address; local: Address | null; destination: number; destinationEnd: number },
    clock: Clock,
  ): Fault | null {
    const { line, reader } = this;
    const { streams } = line;
    switch (reader.type) {
      case frames.PADDING:
      case frames.PING:
      case frames.DATA_BLOCKED:
      case frames.STREAMS_BLOCKED_TWO_WAY:
      case frames.STREAMS_BLOCKED_ONE_WAY:
        return null;
      case frames.ACK:
      case frames.ACK_ECN:
        return this.ack(level, clock);
      case frames.CRYPTO:
        return this.crypto(level, bytes, clock);
      case frames.STREAM:
        if (!line.isMet) return faults.frameNotHere;
        return streams.data(reader.id, reader.offset, bytes, reader.dataStart, reader.dataEnd, reader.fin);
      case frames.RESET_STREAM:
        return line.isMet ? streams.reset(reader.id, reader.code, reader.value, clock.now) : faults.frameNotHere;
      case frames.STOP_SENDING:
        return line.isMet ? streams.stop(reader.id, reader.code) : faults.frameNotHere;
      case frames.MAX_DATA:
        streams.allowData(reader.value);
        return null;
      case frames.MAX_STREAM_DATA:
        return line.isMet ? streams.allowStream(reader.id, reader.value) : faults.frameNotHere;
      case frames.STREAM_DATA_BLOCKED:
        return line.isMet ? streams.blocked(reader.id) : faults.frameNotHere;
      case frames.MAX_STREAMS_TWO_WAY:
      case frames.MAX_STREAMS_ONE_WAY:
        streams.allowStreams(reader.type === frames.MAX_STREAMS_ONE_WAY, reader.value);
        return null;
      default:
        return this.frameOfConnection(bytes, way, clock);
    }
  }

  private frameOfConnection(
    bytes: Uint8Array,
    way: { from: Address; local: Address | null; destination: number; destinationEnd: number },
    clock: Clock,
  ): Fault | null {
    const { line, reader } = this;
    const { limits } = line.options;
    switch (reader.type) {
      case frames.NEW_CONNECTION_ID: {
        const id = copyOf(bytes, reader.dataStart, reader.dataEnd);
        const token = copyOf(bytes, reader.tokenAt, reader.tokenAt + 16);
        return line.peersIds.add(reader.value, reader.retirePriorTo, id, token, limits.idsMax, limits.retiresMax);
      }
      case frames.RETIRE_CONNECTION_ID: {
        const fault = line.ownIds.retire(reader.value, bytes, way.destination, way.destinationEnd);
        if (fault === null) line.ownIds.fill(line.peers?.idsMax ?? 2, limits.idsMax);
        return fault;
      }
      case frames.PATH_CHALLENGE:
        if (this.counted(clock.now, 'challenges') > limits.challengesMax) return faults.pathFlood;
        if (line.responses.length < limits.responsesMax)
          line.responses.push({
            to: way.from,
            local: way.local,
            data: copyOf(bytes, reader.dataStart, reader.dataEnd),
          });
        return null;
      case frames.PATH_RESPONSE:
        this.pathAnswered(bytes, clock.now);
        return null;
      case frames.NEW_TOKEN:
        if (!line.isClient) return faults.fromServerOnly;
        line.gotToken(copyOf(bytes, reader.dataStart, reader.dataEnd));
        return null;
      case frames.HANDSHAKE_DONE:
        if (!line.isClient) return faults.fromServerOnly;
        line.confirm();
        return null;
      case frames.DATAGRAM: {
        const size = reader.dataEnd - reader.dataStart;
        if (!line.isMet || size + 1 > limits.datagramBytesMax) return faults.datagramNotWanted;
        line.datagramCame(bytes, reader.dataStart, reader.dataEnd, clock);
        return null;
      }
      default:
        return this.closed();
    }
  }

  /** CONNECTION_CLOSE of either kind (RFC 9000 §19.19). */
  private closed(): null {
    const { code, type } = this.reader;
    const isHandshake = type === frames.CONNECTION_CLOSE && code >= 0x100 && code < 0x200;
    const isError = type === frames.CONNECTION_CLOSE && code !== 0;
    this.line.drain(isHandshake ? CAUSE_HANDSHAKE : isError ? RESET : ENDED, code);
    return null;
  }

  private ack(level: Level, { now }: Clock): Fault | null {
    const { line, reader } = this;
    const exponent = line.peers?.ackExponent ?? 3;
    const delay = level === APPLICATION ? (reader.delay * 2 ** exponent) / 1_000 : 0;
    const marks = reader.type === frames.ACK_ECN ? ([reader.ect0, reader.ect1, reader.ce] as const) : null;
    const fault = line.recovery.acked(spaceOf(level), reader.ranges, delay, marks, now);
    const { recovery } = line;
    if (line.tap !== null) showRecovery(line);
    line.qlog?.metrics(now, recovery.roundTrip.smoothed, recovery.congestion.window, recovery.inFlight);
    return fault;
  }

  private crypto(level: Level, bytes: Uint8Array, clock: Clock): Fault | null {
    const { line, reader } = this;
    const { input } = line.crypto[level]!;
    const { cryptoBytesMax } = line.options.limits;
    if (reader.offset + reader.dataEnd - reader.dataStart > input.next + cryptoBytesMax) return faults.cryptoBuffer;
    this.cryptoLevel = level;
    this.cryptoFault = null;
    input.add(reader.offset, bytes, reader.dataStart, reader.dataEnd, this.passCrypto);
    if (input.gaps > line.options.limits.gapsMax) return faults.cryptoBuffer;
    if (this.cryptoFault === null) line.progressed(clock);
    return this.cryptoFault;
  }

  // ---- what is no packet of a level ----

  /** Versions that the server has instead (RFC 9000 §6.2). Ours are tried by the endpoint: a connection has one. */
  private negotiation(bytes: Uint8Array, end: number): void {
    const { line, header } = this;
    if (!line.isClient || this.heard || this.retried || line.state !== 'handshake') return;
    if (line.ownIds.has(bytes, header.destinationStart, header.destinationEnd) < 0) return;
    const source = bytes.subarray(header.sourceStart, header.sourceEnd);
    if (Buffer.compare(source, line.originalId) !== 0) return;
    const offered: number[] = [];
    for (let at = header.sourceEnd; at + 4 <= end; at += 4) offered.push(u32(bytes, at));
    // One that names the version that was asked for is forged (RFC 9000 §6.2).
    if (offered.includes(line.version)) return;
    line.vanish(CAUSE_HANDSHAKE, faults.versionNone.wire);
  }

  /** RFC 9000 §17.2.5.2. */
  private retry(bytes: Uint8Array, start: number, end: number): void {
    const { line, header } = this;
    if (!line.isClient || this.heard || this.retried || line.state !== 'handshake') return;
    if (header.version !== line.version || header.sourceEnd - header.sourceStart > ID_BYTES_MAX) return;
    if (line.ownIds.has(bytes, header.destinationStart, header.destinationEnd) < 0) return;
    if (!checkRetry(line.version, line.originalId, bytes, start, end)) return;
    this.retried = true;
    line.retryId = copyOf(bytes, header.sourceStart, header.sourceEnd);
    line.token = copyOf(bytes, header.tokenStart, header.tokenEnd);
    line.initialId = line.retryId;
    line.peersIds.replaceFirst(line.retryId);
    line.protections[INITIAL]?.discard();
    line.protections[INITIAL] = line.initialKeys();
    const { now } = this.clock;
    line.recovery.takeBack(0, () => true, now);
    line.recovery.takeBack(APPLICATION_SPACE, () => true, now);
    line.recovery.probes = 0;
  }

  // ---- paths ----

  private otherPath(
    way: { from: Address; local: Address | null },
    probing: boolean,
    newest: boolean,
    size: number,
    now: Instant,
  ): void {
    const { line } = this;
    if (!line.complete || line.isClient) return;
    let path = line.probing.find((each) => each.isTo(way.from));
    if (path === undefined) {
      path = new Path(way.from, way.local, false);
      path.received = size + TAG_BYTES;
      line.probing.push(path);
      if (line.probing.length > PATHS_MAX) line.probing.shift();
    }
    if (!path.validated && path.challenge === null) this.challenge(path, now);
    if (probing || !newest) return;
    // The peer goes on from there (RFC 9000 §9.3); where it was is asked as well, in case that somebody only made it seem so.
    const before = line.path;
    line.probing = line.probing.filter((each) => each !== path);
    if (before.validated) {
      line.probing.push(before);
      before.validated = true;
      this.challenge(before, now);
    }
    this.moveTo(path, before.remote.host !== path.remote.host);
  }

  private moveTo(path: Path, elsewhere: boolean): void {
    const { line } = this;
    line.path = path;
    line.peer = { ...line.peer, remote: path.remote, local: path.local };
    // Another port alone is a NAT that forgot: the way is the same (RFC 9000 §9.4).
    if (elsewhere) {
      this.renew();
      line.peersIds.rotate();
    }
  }

  /** Nothing is known of a path that is another: neither how much it takes nor how large. */
  private renew(): void {
    const { line } = this;
    line.recovery.renew(LEAST_PACKET, line.home.port.ecn);
    const most = Math.min(line.options.limits.packetBytesMax, line.peers?.udpPayloadMax ?? LEAST_PACKET);
    line.size = new PacketSize(line.home.port.isWhole === true ? most : LEAST_PACKET);
  }

  challenge(path: Path, now: Instant): void {
    path.challenge = this.line.random(8);
    path.challengeTold = false;
    path.tries = 0;
    path.challengeAt = now;
  }

  private pathAnswered(bytes: Uint8Array, now: Instant): void {
    const { line, reader } = this;
    const data = bytes.subarray(reader.dataStart, reader.dataEnd);
    for (const path of [line.path, ...line.probing]) {
      if (path.challenge === null || Buffer.compare(path.challenge, data) !== 0) continue;
      path.challenge = null;
      path.challengeAt = NEVER;
      path.validated = true;
      if (path === line.path) line.probing = line.probing.filter((each) => each.challenge !== null);
      else if (line.isClient && this.preferred === path) {
        line.probing = line.probing.filter((each) => each !== path);
        this.moveTo(path, true);
        this.preferred = null;
      }
      line.asked(now);
      return;
    }
  }
  private preferred: Path | null = null;

  /** A client: the server wants to be spoken to elsewhere (RFC 9000 §9.6). */
  goToPreferred({ v4, v6, id, resetToken }: PreferredAddress): void {
    const { line } = this;
    const to = line.path.remote.host.includes(':') ? v6 : v4;
    if (line.peersIds.add(1, 0, id, resetToken, line.options.limits.idsMax, 1) !== null || to === null) return;
    if (!line.options.migration) return;
    this.preferred = new Path(to, line.path.local, true);
    line.probing.push(this.preferred);
    this.challenge(this.preferred, this.clock.now);
  }

  /** A client that has another address now: a new id, and the path is shown to work (RFC 9000 §9.2). */
  migrated(now: Instant): void {
    const { line } = this;
    const path = new Path(line.path.remote, line.path.local, true);
    line.peersIds.rotate();
    line.path = path;
    this.renew();
    this.challenge(path, now);
  }

  get due(): Instant {
    const { line } = this;
    let due = line.path.challengeAt;
    for (const path of line.probing) due = Math.min(due, path.challengeAt);
    return due;
  }

  tick({ now }: Clock): void {
    const { line } = this;
    for (const path of [line.path, ...line.probing]) {
      if (path.challenge === null || path.challengeAt > now) continue;
      if (path.tries < TRIES) {
        path.challengeTold = false;
        continue;
      }
      path.challenge = null;
      path.challengeAt = NEVER;
      if (path !== line.path) line.probing = line.probing.filter((each) => each !== path);
      else if (!line.isClient && !path.validated) this.fallBack();
    }
  }

  /** Nobody was there: back to the last path that was proven (RFC 9000 §9.3.2). */
  private fallBack(): void {
    const { line } = this;
    const before = line.probing.find((each) => each.validated);
    if (before === undefined) {
      line.vanish(RESET, faults.bug.wire);
      return;
    }
    line.probing = line.probing.filter((each) => each !== before);
    this.moveTo(before, true);
  }
}
