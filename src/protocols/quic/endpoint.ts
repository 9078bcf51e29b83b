// One UDP port with many connections: datagrams are led to theirs by connection id, new clients are let in, asked to prove
// their address, told other versions, or told that what they mean is gone. Both halves: it dials as well.
import { copyOf } from '../../bytes/reader.ts';
import type { Connections } from '../../core/connection.ts';
import type { DatagramPort, DatagramSession } from '../../core/datagram.ts';
import type { Address } from '../../core/peer.ts';
import { type Cause, ENDED, RESET, type Why } from '../../core/pipe.ts';
import type { Clock, Instant } from '../../core/time.ts';
import {
  FIRST_DATAGRAM_BYTES,
  NEGOTIATION,
  PacketHeader,
  RETRY,
  UNKNOWN_VERSION,
  writeNegotiation,
  writeRetry,
} from './codec/packets.ts';
import { QuicConnection } from './connection/connection.ts';
import { OWN_ID_BYTES } from './connection/ids.ts';
import type { DialOptions, Home, TransportOptions } from './connection/options.ts';
import { APPLICATION, INITIAL, type Version } from './crypto.ts';
import { DueHeap } from './due-heap.ts';
import { AddressTokens, initialProtection, ResetTokens, sealRetry } from './protection/index.ts';
import { EarlyGuard, Tickets } from './tls/index.ts';

export interface EndpointOptions {
  readonly time: { readonly clock: Clock };
  readonly transport: TransportOptions;
  /** Whether clients may come. */
  readonly serves: boolean;
  /** When a client has to prove its address before anything is kept for it. */
  readonly retry?: 'busy' | 'always';
  /** 32 bytes for tokens, that all servers of one house share; of its own when absent. */
  readonly secret?: Uint8Array;
  readonly connections?: Connections;
  bug(error: unknown, where: string): void;
}

const LEAVE_MS = 2_000;
/** What is shorter cannot be answered by a reset that is shorter still (RFC 9000 §10.3.3). */
const RESET_LEAST = 22;
const RESET_MOST = 1_200;

export class QuicEndpoint implements DatagramSession, Home {
  readonly port: DatagramPort;
  readonly tickets: Tickets | null;
  readonly guard: EarlyGuard | null;
  readonly addressTokens: AddressTokens | null;
  readonly connections: Connections | null;
  private readonly options: EndpointOptions;
  private readonly resetTokens: ResetTokens;
  /** By connection id; where clients have not yet our own, also by the one that they made up and their address. */
  private readonly byId = new Map<string, QuicConnection>();
  /** By the tokens of their peers. */
  private readonly byToken = new Map<string, QuicConnection>();
  private readonly ledBy = new Map<QuicConnection, string[]>();
  private readonly all = new Set<QuicConnection>();
  private readonly dues = new DueHeap<QuicConnection>();
  private dirty = new Set<QuicConnection>();
  private working = new Set<QuicConnection>();
  private readonly header = new PacketHeader();
  private readonly answer = Buffer.alloc(2_048);
  private handshakes = 0;
  private resets = 0;
  private resetsAt: Instant = 0;
  private leaving = false;
  /** Ids that were issued while their connection was being made. */
  private waiting: string[] = [];
  /** The connection that is running. */
  private current: QuicConnection | null = null;

  constructor(port: DatagramPort, options: EndpointOptions) {
    this.port = port;
    this.options = options;
    const { entropy } = options.transport;
    const secret = options.secret ?? filled(entropy, 32);
    this.resetTokens = new ResetTokens(secret);
    this.connections = options.connections ?? null;
    const { policy } = options.transport;
    this.addressTokens = options.serves ? new AddressTokens([secret], entropy) : null;
    this.tickets = options.serves ? new Tickets([policy.ticketKeys ?? filled(entropy, 48)], entropy) : null;
    const early = { earlyAgeMs: 10_000, earlySeenMax: 100_000 };
    this.guard = options.serves ? new EarlyGuard(this.clock.wall, early) : null;
  }

  get clock(): Clock {
    return this.options.time.clock;
  }

  get count(): number {
    return this.all.size;
  }

  /** A connection to `remote`; who is spoken to on it is asked of the options' `choose`. */
  dial(remote: Address, options: DialOptions = {}, transport: Partial<TransportOptions> = {}): QuicConnection {
    const given = { ...this.options.transport, ...transport };
    const connection = new QuicConnection(this, given, remote, null, null, options, this.clock);
    this.adopt(connection);
    return connection;
  }

  private adopt(connection: QuicConnection): void {
    this.all.add(connection);
    if (!connection.complete) this.handshakes++;
    for (const id of this.waiting) {
      this.byId.set(id, connection);
      this.led(connection).push(id);
    }
    this.waiting = [];
    this.connections?.watch?.(connection);
    this.touch(connection);
  }

  private led(connection: QuicConnection): string[] {
    let list = this.ledBy.get(connection);
    if (list === undefined) this.ledBy.set(connection, (list = []));
    return list;
  }

  // ---- Home ----

  issue(): Uint8Array {
    const id = filled(this.options.transport.entropy, OWN_ID_BYTES);
    // Who issued it is known once the call that asked has returned.
    const issuer = this.current;
    if (issuer === null) this.waiting.push(key(id, 0, id.length));
    else this.byId.set(key(id, 0, id.length), issuer);
    return id;
  }
  forget(id: Uint8Array): void {
    this.byId.delete(key(id, 0, id.length));
  }

  resetToken(id: Uint8Array): Uint8Array {
    return this.resetTokens.of(id);
  }

  lead(id: Uint8Array, connection: QuicConnection): void {
    const name = key(id, 0, id.length);
    this.byId.set(name, connection);
    this.led(connection).push(name);
  }

  watch(token: Uint8Array, connection: QuicConnection): void {
    this.byToken.set(key(token, 0, token.length), connection);
  }

  unwatch(token: Uint8Array): void {
    this.byToken.delete(key(token, 0, token.length));
  }

  touch(connection: QuicConnection): void {
    this.dirty.add(connection);
    this.port.touch();
  }

  established(connection: QuicConnection): void {
    this.handshakes--;
    this.connections?.opened(connection, connection.protocol);
  }

  gone(connection: QuicConnection): void {
    if (!this.all.delete(connection)) return;
    if (!connection.complete) this.handshakes--;
    this.dues.remove(connection);
    for (const id of this.ledBy.get(connection) ?? []) if (this.byId.get(id) === connection) this.byId.delete(id);
    this.ledBy.delete(connection);
    if (this.leaving && this.all.size === 0) this.port.close();
  }

  bug(error: unknown, where: string): void {
    this.options.bug(error, where);
  }

  // ---- DatagramSession ----

  get deadline(): Instant {
    return this.dirty.size > 0 ? 0 : this.dues.next;
  }

  receive(
    input: Uint8Array,
    start: number,
    end: number,
    from: Address,
    local: Address | null,
    ecn: number,
    clock: Clock,
  ): void {
    const { header } = this;
    // The header of the first packet tells whose it is; ids of others have other lengths.
    if (header.read(input, start, end, OWN_ID_BYTES) < 0) return;
    const name = key(input, header.destinationStart, header.destinationEnd);
    const connection = this.byId.get(name);
    if (connection !== undefined) {
      this.within(connection, () => connection.receive(input, start, end, from, local, ecn, clock));
      return;
    }
    const { kind } = header;
    const ended = kind === APPLICATION && end - start >= 21 ? this.byToken.get(key(input, end - 16, end)) : undefined;
    if (ended !== undefined) ended.vanish(RESET, 0);
    else if (kind === APPLICATION) this.reset(input, start, end, from, local, clock);
    else if (kind === NEGOTIATION || kind === RETRY || !this.options.serves) return;
    else if (end - start < FIRST_DATAGRAM_BYTES) return;
    else if (kind === UNKNOWN_VERSION) this.negotiate(input, from, local);
    else if (kind === INITIAL) this.arrive(input, start, end, from, local, ecn, clock);
  }

  tick(clock: Clock): void {
    while (this.dues.next <= clock.now) {
      const connection = this.dues.first!;
      this.dues.remove(connection);
      this.within(connection, () => connection.tick(clock));
      this.touch(connection);
    }
    this.gather(clock);
  }

  gather(clock: Clock): void {
    // What is touched while others work has its turn in the next.
    const touched = this.dirty;
    this.dirty = this.working;
    this.working = touched;
    for (const connection of touched) {
      this.within(connection, () => connection.work(clock));
      if (this.all.has(connection)) this.dues.set(connection, connection.due);
    }
    touched.clear();
  }

  leave(why: Why, _clock: Clock): void {
    this.leaving = true;
    for (const connection of [...this.all]) this.within(connection, () => connection.leave(why, LEAVE_MS));
    if (this.all.size === 0) this.port.close();
  }

  lost(cause: Cause, wire: number, _clock: Clock): void {
    for (const connection of [...this.all]) connection.vanish(cause === ENDED ? ENDED : cause, wire);
    this.all.clear();
    this.byId.clear();
  }

  /** Runs something of a connection's: ids that it issues meanwhile lead to it, and what it throws ends it alone. */
  private within(connection: QuicConnection, call: () => void): void {
    const before = this.current;
    this.current = connection;
    try {
      call();
    } catch (error) {
      connection.crash(error);
    }
    this.current = before;
  }

  // ---- strangers ----

  private arrive(
    input: Uint8Array,
    start: number,
    end: number,
    from: Address,
    local: Address | null,
    ecn: number,
    clock: Clock,
  ): void {
    const { header, options } = this;
    const { limits } = options.transport;
    const version = header.version as Version;
    if (!options.transport.versions.includes(version)) {
      this.negotiate(input, from, local);
      return;
    }
    const destination = copyOf(input, header.destinationStart, header.destinationEnd);
    const source = copyOf(input, header.sourceStart, header.sourceEnd);
    // RFC 9000 §7.2.
    if (destination.length < 8) return;
    const { tokenStart, tokenEnd } = header;
    const facts =
      tokenEnd > tokenStart ? this.addressTokens!.open(input, tokenStart, tokenEnd, from, clock.wall) : null;
    const wantsProof = options.retry === 'always' || this.handshakes >= limits.handshakesMax;
    if (facts === null && wantsProof && !this.leaving) {
      this.retry(version, destination, source, from, local, clock);
      return;
    }
    const isRetried = facts?.kind === 'retry';
    if (isRetried && Buffer.compare(facts.sourceId, destination) !== 0) return;
    // A packet that is not genuine makes nothing that has to be kept.
    if (!this.isGenuine(version, destination, input, start)) return;
    if (this.leaving || this.all.size >= limits.connectionsMax || this.connections?.admit(from) === false) return;
    const arrived = {
      version,
      originalId: isRetried ? facts.originalId : destination,
      retryId: isRetried ? destination : null,
      destination,
      source,
      validated: facts !== null,
    };
    const before = this.current;
    this.current = null;
    const connection = new QuicConnection(this, options.transport, from, local, arrived, {}, clock);
    this.adopt(connection);
    this.current = before;
    this.within(connection, () => connection.receive(input, start, end, from, local, ecn, clock));
  }

  private isGenuine(version: Version, destination: Uint8Array, input: Uint8Array, start: number): boolean {
    const { header } = this;
    const { ciphers } = this.options.transport;
    const copy = copyOf(input, start, header.end);
    const keys =
      ciphers === undefined
        ? initialProtection(version, destination, 'server')
        : initialProtection(version, destination, 'server', ciphers);
    const at = header.numberAt - start;
    const size = keys.unmask(copy, 0, at, copy.length);
    let number = 0;
    for (let index = 0; index < size; index++) number = number * 256 + copy[at + index]!;
    const isGenuine = size > 0 && keys.open(copy, 0, at + size, copy.length, number, 0) >= 0;
    keys.discard();
    return isGenuine;
  }

  private retry(
    version: Version,
    destination: Uint8Array,
    source: Uint8Array,
    from: Address,
    local: Address | null,
    clock: Clock,
  ): void {
    const id = filled(this.options.transport.entropy, OWN_ID_BYTES);
    const token = this.addressTokens!.retry(from, destination, id, clock.wall);
    const end = writeRetry(this.answer, 0, { version, destination: source, source: id, token });
    this.port.send(from, local, this.answer, 0, sealRetry(version, destination, this.answer, 0, end), 0);
  }

  private negotiate(input: Uint8Array, from: Address, local: Address | null): void {
    const { header } = this;
    const { versions, entropy } = this.options.transport;
    const destination = copyOf(input, header.sourceStart, header.sourceEnd);
    const source = copyOf(input, header.destinationStart, header.destinationEnd);
    const chance = filled(entropy, 1)[0]!;
    const end = writeNegotiation(this.answer, 0, destination, source, versions, chance);
    this.port.send(from, local, this.answer, 0, end, 0);
  }

  /** A packet of a connection that is not known here (any more), RFC 9000 §10.3. */
  private reset(
    input: Uint8Array,
    start: number,
    end: number,
    from: Address,
    local: Address | null,
    { now }: Clock,
  ): void {
    if (end - start < RESET_LEAST || !this.options.serves) return;
    if (now - this.resetsAt >= 1_000) {
      this.resetsAt = now;
      this.resets = 0;
    }
    if (this.resets++ >= this.options.transport.limits.resetsPerSecond) return;
    // Shorter than what it answers, so that two that both know nothing do not go on for ever.
    const size = Math.min(end - start - 1, RESET_MOST);
    const { entropy } = this.options.transport;
    const packet = filled(entropy, size);
    packet[0] = 0x40 | (packet[0]! & 0x3f);
    packet.set(this.resetTokens.of(input.subarray(start + 1, start + 1 + OWN_ID_BYTES)), size - 16);
    this.port.send(from, local, packet, 0, size, 0);
  }
}

function filled(entropy: { fill(into: Uint8Array): void }, size: number): Buffer {
  const bytes = Buffer.alloc(size);
  entropy.fill(bytes);
  return bytes;
}

/** An id as a key. */
function key(bytes: Uint8Array, start: number, end: number): string {
  let text = '';
  for (let at = start; at < end; at++) text += String.fromCharCode(bytes[at]!);
  return text;
}
