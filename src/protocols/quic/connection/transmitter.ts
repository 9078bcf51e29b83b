// Packets that leave: which levels have something to say, what fits into a datagram, datagrams of one size into one buffer,
// their headers masked together (RFC 9000 §12.2, §13, §14). It decides when; what is said comes from its owners.
import type { Address } from '../../../core/peer.ts';
import { type Clock, type Instant, NEVER } from '../../../core/time.ts';
import {
  APPLICATION_CLOSE,
  CONNECTION_CLOSE,
  CRYPTO,
  DATAGRAM_LENGTH,
  FRAME_NAMES,
  HANDSHAKE_DONE,
  NEW_CONNECTION_ID,
  NEW_TOKEN,
  PATH_CHALLENGE,
  PATH_RESPONSE,
  PING,
  RETIRE_CONNECTION_ID,
} from '../codec/frames.ts';
import {
  FIRST_DATAGRAM_BYTES,
  fillLength,
  numberBytes,
  writeLongHeader,
  writeNumber,
  writeShortHeader,
} from '../codec/packets.ts';
import { varintBytes, writeVarint, writeVarint2 } from '../codec/varint.ts';
import { APPLICATION, EARLY, HANDSHAKE, INITIAL, type Level, type Protection, TAG_BYTES } from '../crypto.ts';
import { APPLICATION_ERROR } from '../faults.ts';
import { APPLICATION_SPACE } from '../recovery/recovery.ts';
import { type SentFrame, sentFrame } from '../recovery/sent-frame.ts';
import { type QuicConnection, spaceOf } from './connection.ts';
import { ACKED } from './fates.ts';
import type { Path } from './path.ts';
import { showPacket } from './showing.ts';

/** Datagrams are gathered here before they leave together: what one call to the system takes. */
const BATCH_BYTES = 64_000;
const BATCH_PACKETS = 44;
/** Of one batch of whichever connection: it is sent before another begins. */
const BATCH = Buffer.allocUnsafeSlow(BATCH_BYTES + 65_536);
/** The least that a packet is worth beginning with. */
const WORTH = 80;
/** A short header with its number, a challenge and the tag. */
const PATH_LEAST = 60;
const ECT0 = 2;
/** A number is left out about once in so many packets (RFC 9000 §21.4). */
const SKIP_EVERY = 512;
/** As long as a turn of sending goes on without letting others have theirs. */
const TURN_PACKETS = 256;

const NO_FRAMES: readonly SentFrame[] = [];

export class Transmitter {
  private readonly line: QuicConnection;
  /** When sending goes on: for pacing, or since the port had no room. */
  again: Instant = NEVER;
  closing = false;
  private closes = 0;
  private closesAsked = 0;
  private skipAt = 64;
  private sealed: Protection[] = [];

  // The batch.
  private to: Address | null = null;
  private local: Address | null = null;
  private end = 0;
  private segment = 0;
  private count = 0;
  private shorter = false;
  private marked = 0;

  constructor(line: QuicConnection) {
    this.line = line;
  }

  send(clock: Clock): void {
    const { line } = this;
    this.again = NEVER;
    if (line.state === 'closing') {
      if (this.closing) this.sendClose();
      return;
    }
    this.sendProbing(clock);
    for (let count = 0; ; count++) {
      if (count === TURN_PACKETS || line.home.port.room < this.end + line.size.current) {
        this.again = clock.now;
        break;
      }
      if (!this.datagram(clock)) break;
    }
    this.flush();
  }

  // ---- one datagram ----

  /** Makes one; false when there is nothing (more) to send now. */
  private datagram(clock: Clock): boolean {
    const { line } = this;
    const { path, recovery } = line;
    const asks = this.mayAsk(clock.now);
    const levels = this.levels(clock.now, asks);
    if (levels.length === 0) {
      recovery.appLimited = asks && !this.hasContent();
      return false;
    }
    let size = line.size.current;
    let probe = false;
    if (levels.length === 1 && levels[0] === APPLICATION && asks && this.wantsSizeProbe()) {
      size = line.size.next();
      probe = true;
    }
    // What may be sent where nobody was shown to be is kept for the asking first.
    const room = path.challenge === null ? path.room : path.room - PATH_LEAST;
    if (room < size) {
      size = Math.floor(room);
      if (size < WORTH) return false;
    }
    const start = this.begin(path.remote, path.local, size);
    let at = start;
    const hasInitial = levels[0] === INITIAL;
    levels.forEach((level, index) => {
      // Each leaves room for those behind it: the last one fills the datagram up.
      const limit = start + size - WORTH * (levels.length - 1 - index);
      if (limit - at < WORTH) return;
      const isLast = index === levels.length - 1;
      const pad = isLast && hasInitial ? Math.min(FIRST_DATAGRAM_BYTES, size) - (at - start) : 0;
      at = this.packet(level, at, limit, asks, probe ? size : pad, probe, clock);
    });
    if (at === start) return false;
    path.sent += at - start;
    line.sentBytes += at - start;
    this.put(start, at);
    return true;
  }

  /** Whether a packet may be sent that asks for an answer. */
  private mayAsk(now: Instant): boolean {
    const { recovery, probes, size } = this.line;
    if (probes[0]! + probes[1]! + probes[2]! > 0) return true;
    if (recovery.room < size.current) return false;
    if (recovery.pacedRoom(now) >= size.current) return true;
    if (this.hasContent()) this.again = Math.max(now, recovery.pacedAt);
    return false;
  }

  private hasContent(): boolean {
    const { line } = this;
    return line.crypto.some((each) => each.hasWork) || this.hasApplication();
  }

  private hasApplication(): boolean {
    const { line } = this;
    return (
      line.streams.hasWork ||
      line.datagrams.length > 0 ||
      line.tellDone ||
      line.tellToken !== null ||
      line.wantsPing ||
      line.ownIds.toTell.length > 0 ||
      line.peersIds.toRetire.length > 0 ||
      this.wantsSizeProbe()
    );
  }

  private wantsSizeProbe(): boolean {
    const { line } = this;
    return (
      line.confirmed &&
      line.path.validated &&
      line.probes[2] === 0 &&
      line.size.isSearching(line.recovery.congestion.window)
    );
  }

  private levels(now: Instant, asks: boolean): Level[] {
    const { line } = this;
    const found: Level[] = [];
    for (const level of [INITIAL, HANDSHAKE] as const) {
      const space = spaceOf(level);
      if (!line.protections[level]?.canSeal) continue;
      if (line.arrivals[space]!.dueAt <= now || (asks && (line.crypto[level]!.hasWork || line.probes[space]! > 0)))
        found.push(level);
    }
    const application = this.applicationLevel();
    if (application === null) return found;
    const isDue = line.arrivals[APPLICATION_SPACE]!.dueAt <= now && application === APPLICATION;
    const speaks = this.hasApplication() || line.crypto[APPLICATION]!.hasWork || line.probes[APPLICATION_SPACE]! > 0;
    if (isDue || (asks && speaks)) found.push(application);
    return found;
  }

  private applicationLevel(): typeof APPLICATION | typeof EARLY | null {
    const { protections } = this.line;
    if (protections[APPLICATION]?.canSeal) return APPLICATION;
    return protections[EARLY]?.canSeal ? EARLY : null;
  }

  /** Writes and seals one packet at `start`; answers its end, or `start` when it came to nothing. */
  private packet(
    level: Level,
    start: number,
    limit: number,
    asks: boolean,
    pad: number,
    probe: boolean,
    clock: Clock,
  ): number {
    const { line } = this;
    const { now } = clock;
    const space = spaceOf(level);
    const { recovery } = line;
    const own = recovery.spaces[space]!;
    const protection = line.protections[level];
    if (!protection?.canSeal) return start;
    if (level === APPLICATION && own.next === this.skipAt) this.skip();
    const number = own.next;
    const size = numberBytes(number, own.largestAcked);
    const numberAt =
      level === APPLICATION
        ? writeShortHeader(BATCH, start, line.peersIds.id, size, protection.phase, 0)
        : writeLongHeader(BATCH, start, level, size, {
            version: line.version,
            destination: line.peersIds.id,
            source: line.firstId,
            token: line.token,
          });
    const payloadAt = writeNumber(BATCH, numberAt, number, size);
    const end = limit - TAG_BYTES;
    const frames: SentFrame[] = [];
    const acksUntil = level === EARLY ? payloadAt : this.writeAck(space, payloadAt, end, frames, now);
    let at = acksUntil;
    if (asks && !probe) at = this.content(level, at, end, frames);
    const probes = line.probes[space]!;
    if ((probes > 0 && asks && at === acksUntil) || probe) BATCH[at++] = PING;
    if (probes > 0 && asks) line.probes[space] = probes - 1;
    const eliciting = at > acksUntil;
    if (at === payloadAt && pad === 0) return start;
    // To the size that is asked for, and to what the header's protection samples (RFC 9001 §5.4.2).
    let until = Math.max(at, start + pad - TAG_BYTES, numberAt + 4);
    // Datagrams of one size can leave together.
    if (until < end && end - until < 24 && level === APPLICATION) until = end;
    const isPadded = until > at;
    if (isPadded) BATCH.fill(0, at, until);
    if (level !== APPLICATION) fillLength(BATCH, numberAt, until + TAG_BYTES);
    if (line.tap !== null) showPacket(line, 'out', level, number, BATCH, start, payloadAt, until);
    const stop = protection.seal(BATCH, start, numberAt, size, until, number);
    if (!this.sealed.includes(protection)) this.sealed.push(protection);
    this.record(level, number, stop - start, eliciting, isPadded, frames, probe, now);
    if (level === APPLICATION && protection.sealsLeft < 1_000) protection.update();
    return stop;
  }

  private skip(): void {
    const { line } = this;
    line.recovery.skip(APPLICATION_SPACE);
    const chance = line.random(2);
    this.skipAt += 1 + SKIP_EVERY / 2 + (((chance[0]! << 8) | chance[1]!) % SKIP_EVERY);
  }

  private writeAck(space: 0 | 1 | 2, at: number, end: number, frames: SentFrame[], now: Instant): number {
    const arrivals = this.line.arrivals[space]!;
    if (!arrivals.isPending) return at;
    const next = arrivals.write(BATCH, at, end, now);
    if (next > at) frames.push(sentFrame(ACKED, null, arrivals.largest));
    return next;
  }

  private record(
    level: Level,
    number: number,
    bytes: number,
    eliciting: boolean,
    isPadded: boolean,
    frames: readonly SentFrame[],
    probe: boolean,
    now: Instant,
  ): void {
    const { line } = this;
    const marked = line.recovery.marking !== 'off';
    line.recovery.sent(spaceOf(level), {
      number,
      at: now,
      bytes,
      eliciting,
      inFlight: eliciting || isPadded,
      frames: frames.length === 0 ? NO_FRAMES : frames,
      early: level === EARLY,
      marked,
      probe,
      path: line.recovery.pathNumber,
    });
    if (eliciting) line.asked(now);
    line.qlog?.packet(
      now,
      true,
      level,
      number,
      bytes,
      frames.map(({ type }) => (FRAME_NAMES[type] ?? 'ping').toLowerCase()),
    );
    // A client's Handshake packet shows that it has what the server sent: Initial is over (RFC 9001 §4.9.1).
    if (level === HANDSHAKE && line.isClient) line.discardKeys(INITIAL);
  }

  // ---- what is in a packet ----

  private content(level: Level, start: number, end: number, frames: SentFrame[]): number {
    const { line } = this;
    let at = level === EARLY ? start : this.writeCrypto(level, start, end, frames);
    if (level !== APPLICATION && level !== EARLY) return at;
    if (level === APPLICATION) at = this.writeOwn(at, end, frames);
    if (line.wantsPing && end > at) {
      line.wantsPing = false;
      BATCH[at++] = PING;
    }
    at = this.writeDatagrams(at, end);
    return line.streams.hasWork ? line.streams.write(BATCH, at, end, frames) : at;
  }

  private writeCrypto(level: Level, start: number, end: number, frames: SentFrame[]): number {
    const stream = this.line.crypto[level]!;
    let at = start;
    while (stream.hasWork && end - at > 24) {
      const { from, to } = stream.take(end - at - 1 - 8 - 2);
      if (to <= from) break;
      BATCH[at] = CRYPTO;
      at = writeVarint(BATCH, at + 1, from);
      at = writeVarint2(BATCH, at, to - from);
      stream.output.read(from, BATCH, at, to - from);
      at += to - from;
      frames.push(sentFrame(CRYPTO, null, from, to));
    }
    return at;
  }

  /** What the connection itself has to say. */
  private writeOwn(start: number, end: number, frames: SentFrame[]): number {
    const { line } = this;
    let at = start;
    if (line.tellDone && end > at) {
      line.tellDone = false;
      BATCH[at++] = HANDSHAKE_DONE;
      frames.push(sentFrame(HANDSHAKE_DONE));
    }
    const { tellToken } = line;
    if (tellToken !== null && end - at > tellToken.length + 3) {
      line.tellToken = null;
      BATCH[at] = NEW_TOKEN;
      at = writeVarint(BATCH, at + 1, tellToken.length);
      BATCH.set(tellToken, at);
      at += tellToken.length;
      frames.push(sentFrame(NEW_TOKEN));
    }
    while (line.ownIds.toTell.length > 0 && end - at > 60) {
      const own = line.ownIds.get(line.ownIds.toTell.shift()!);
      if (own === null) continue;
      BATCH[at] = NEW_CONNECTION_ID;
      at = writeVarint(BATCH, at + 1, own.sequence);
      BATCH[at++] = 0;
      BATCH[at++] = own.id.length;
      BATCH.set(own.id, at);
      at += own.id.length;
      BATCH.set(line.ownIds.tokenOf(own), at);
      at += 16;
      frames.push(sentFrame(NEW_CONNECTION_ID, null, own.sequence));
    }
    while (line.peersIds.toRetire.length > 0 && end - at > 9) {
      const sequence = line.peersIds.toRetire.shift()!;
      BATCH[at] = RETIRE_CONNECTION_ID;
      at = writeVarint(BATCH, at + 1, sequence);
      frames.push(sentFrame(RETIRE_CONNECTION_ID, null, sequence));
    }
    return at;
  }

  private writeDatagrams(start: number, end: number): number {
    const { line } = this;
    let at = start;
    while (line.datagrams.length > 0) {
      const next = line.datagrams[0]!;
      if (end - at < next.length + 1 + varintBytes(next.length)) break;
      line.datagrams.shift();
      line.datagramBytes -= next.length;
      BATCH[at] = DATAGRAM_LENGTH;
      at = writeVarint(BATCH, at + 1, next.length);
      BATCH.set(next, at);
      at += next.length;
    }
    // Too large for any packet since the path became smaller.
    if (at === start && line.datagrams.length > 0 && line.datagrams[0]!.length > line.datagramMax) {
      line.datagramBytes -= line.datagrams.shift()!.length;
    }
    return at;
  }

  // ---- paths that are looked at ----

  private sendProbing(clock: Clock): void {
    const { line } = this;
    if (!line.protections[APPLICATION]?.canSeal) return;
    for (const path of [line.path, ...line.probing]) {
      if (path.challenge === null || path.challengeTold) continue;
      path.challengeTold = true;
      path.tries++;
      path.challengeAt =
        clock.now + Math.max(line.recovery.probeMs(APPLICATION_SPACE), 100) * 2 ** Math.min(path.tries - 1, 4);
      this.pathPacket(PATH_CHALLENGE, path.challenge, path, clock);
    }
    const { responses } = line;
    line.responses = [];
    for (const { to, data } of responses) {
      const path = line.path.isTo(to) ? line.path : line.probing.find((each) => each.isTo(to));
      if (path !== undefined) this.pathPacket(PATH_RESPONSE, data, path, clock);
    }
  }

  /** A packet of its own that goes by that path, as large as every path takes where it may be (RFC 9000 §8.2.1). */
  private pathPacket(type: number, data: Uint8Array, path: Path, { now }: Clock): void {
    const { line } = this;
    const protection = line.protections[APPLICATION]!;
    // Where not as much may be sent, it is as short as can be: another may be needed.
    const size = path.room < FIRST_DATAGRAM_BYTES ? PATH_LEAST : FIRST_DATAGRAM_BYTES;
    if (size > path.room) return;
    const start = this.begin(path.remote, path.local, size);
    const own = line.recovery.spaces[APPLICATION_SPACE]!;
    const number = own.next;
    const bytes = numberBytes(number, own.largestAcked);
    const numberAt = writeShortHeader(BATCH, start, line.peersIds.id, bytes, protection.phase, 0);
    let at = writeNumber(BATCH, numberAt, number, bytes);
    BATCH[at++] = type;
    BATCH.set(data, at);
    at += 8;
    const until = start + size - TAG_BYTES;
    BATCH.fill(0, at, until);
    if (line.tap !== null) showPacket(line, 'out', APPLICATION, number, BATCH, start, numberAt + bytes, until);
    const end = protection.seal(BATCH, start, numberAt, bytes, until, number);
    if (!this.sealed.includes(protection)) this.sealed.push(protection);
    this.record(APPLICATION, number, end - start, true, true, NO_FRAMES, false, now);
    path.sent += end - start;
    this.put(start, end);
  }

  // ---- the end ----

  /** A peer that has not heard the end is told again, ever more rarely (RFC 9000 §10.2.1). */
  closeAgain(): void {
    if (++this.closesAsked < 2 ** this.closes) return;
    this.closesAsked = 0;
    this.closing = true;
  }

  private sendClose(): void {
    const { line } = this;
    this.closing = false;
    this.closes++;
    const { path } = line;
    const size = Math.min(FIRST_DATAGRAM_BYTES, path.room);
    if (size < WORTH) return;
    const start = this.begin(path.remote, path.local, size);
    let at = start;
    const levels = ([INITIAL, HANDSHAKE, APPLICATION] as const).filter((level) => line.protections[level]?.canSeal);
    // Once it is known that the peer has the keys of a level those before it are of no use.
    const told = line.confirmed ? levels.filter((level) => level === APPLICATION) : levels;
    told.forEach((level, index) => {
      const pad = index === told.length - 1 && told[0] === INITIAL ? size - (at - start) : 0;
      at = this.closePacket(level, at, start + size, pad);
    });
    if (at === start) return;
    path.sent += at - start;
    this.put(start, at);
    this.flush();
  }

  private closePacket(level: Level, start: number, limit: number, pad: number): number {
    const { line } = this;
    const protection = line.protections[level]!;
    if (limit - start < WORTH) return start;
    const own = line.recovery.spaces[spaceOf(level)]!;
    const number = own.next++;
    const size = numberBytes(number, own.largestAcked);
    const numberAt =
      level === APPLICATION
        ? writeShortHeader(BATCH, start, line.peersIds.id, size, protection.phase, 0)
        : writeLongHeader(BATCH, start, level, size, {
            version: line.version,
            destination: line.peersIds.id,
            source: line.firstId,
            token: line.token,
          });
    const payloadAt = writeNumber(BATCH, numberAt, number, size);
    let at = payloadAt;
    const { wire = 0 } = line.closeFault ?? {};
    // The application's code stays within what is protected for it (RFC 9000 §10.2.3).
    const hidden = line.closeByApplication && level !== APPLICATION;
    const own1d = line.closeByApplication && !hidden;
    BATCH[at++] = own1d ? APPLICATION_CLOSE : CONNECTION_CLOSE;
    at = writeVarint(BATCH, at, hidden ? APPLICATION_ERROR : wire);
    if (!own1d) BATCH[at++] = 0;
    const reason = hidden ? '' : (line.closeFault?.text ?? '').slice(0, 60);
    BATCH[at++] = reason.length;
    at += BATCH.write(reason, at, 'latin1');
    const until = Math.max(at, start + pad - TAG_BYTES, numberAt + 4);
    BATCH.fill(0, at, until);
    if (level !== APPLICATION) fillLength(BATCH, numberAt, until + TAG_BYTES);
    if (line.tap !== null) showPacket(line, 'out', level, number, BATCH, start, payloadAt, until);
    const end = protection.seal(BATCH, start, numberAt, size, until, number);
    if (!this.sealed.includes(protection)) this.sealed.push(protection);
    return end;
  }

  // ---- the batch ----

  /** Where the next datagram begins, which goes there and has at most that size. */
  private begin(to: Address, local: Address | null, size: number): number {
    const marked = this.line.recovery.marking === 'off' ? 0 : ECT0;
    if (
      this.count > 0 &&
      (this.to !== to || this.marked !== marked || this.shorter || size > this.segment || this.end + size > BATCH_BYTES)
    )
      this.flush();
    this.to = to;
    this.local = local;
    this.marked = marked;
    return this.end;
  }

  private put(start: number, end: number): void {
    const size = end - start;
    if (this.count === 0) this.segment = size;
    else if (size < this.segment) this.shorter = true;
    this.count++;
    this.end = end;
    if (this.count === BATCH_PACKETS) this.flush();
  }

  private flush(): void {
    for (const protection of this.sealed) protection.mask();
    this.sealed.length = 0;
    if (this.count > 0 && this.to !== null) {
      const { port } = this.line.home;
      const ecn = port.ecn ? this.marked : 0;
      port.send(this.to, this.local, BATCH, 0, this.end, this.count === 1 ? 0 : this.segment, ecn);
    }
    this.end = this.count = this.segment = 0;
    this.shorter = false;
  }
}
