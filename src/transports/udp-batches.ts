// Datagrams over sockets that take and give them in batches, where the platform has such: the same port as over node:dgram,
// with a tenth of its cost.

import { isIP } from 'node:net';
import { type DatagramPort, type DatagramSession, ECN_UNKNOWN } from '../core/datagram.ts';
import type { Address } from '../core/peer.ts';
import { type Cause, ENDED, type Why } from '../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../core/time.ts';
import { type Turn, Turned } from '../core/turn.ts';

/** A socket of the platform: datagrams by their number within the last batch, addresses as the kernel writes them. */
export interface BatchSocket {
  readonly port: number;
  readonly bytes: Buffer;
  readonly waiting: number;
  start(ready: () => void): number;
  receive(): number;
  startOf(index: number): number;
  lengthOf(index: number): number;
  /** How long each of a row is that came as one; 0 where it is one. */
  segmentOf(index: number): number;
  ecnOf(index: number): number;
  addressOf(index: number): number;
  reply(index: number, from: Uint8Array, start: number, end: number): boolean;
  send(octets: Uint8Array, port: number, from: Uint8Array, start: number, end: number): boolean;
  sendRow(
    octets: Uint8Array,
    port: number,
    from: Uint8Array,
    start: number,
    end: number,
    segment: number,
    ecn: number,
  ): boolean;
  flush(): void;
  close(): void;
}

/** Opens one at an address, or answers the negative error number. `joined`: rows come as one, with marks of ECN. */
export type OpenBatchSocket = (
  octets: Uint8Array,
  port: number,
  bufferBytes: number,
  joined: boolean,
) => BatchSocket | number;

/** Batches that are taken before others have their turn. */
const BATCHES_MAX = 16;
/** Datagrams of a batch that is full. */
const BATCH = 64;
/** Bytes that may be sent in a turn. */
const ROOM = 1_048_576;

export class BatchPort extends Turned implements DatagramPort {
  readonly local: Address;
  readonly ecn: boolean;
  readonly isWhole: boolean;
  private readonly turn: Turn;
  private readonly socket: BatchSocket;
  private readonly session: DatagramSession;
  private alive = true;
  private left = ROOM;
  /** Whom the datagram that is being received is from. */
  private from: Address | null = null;
  private index = 0;
  private lastHost = '';
  private readonly lastOctets = new Uint8Array(16);
  private lastSize = 0;

  constructor(
    turn: Turn,
    socket: BatchSocket,
    host: string,
    joined: boolean,
    session: (port: DatagramPort) => DatagramSession,
  ) {
    super();
    this.ecn = this.isWhole = joined;
    this.turn = turn;
    this.socket = socket;
    this.local = { host, port: socket.port };
    this.session = session(this);
    turn.touch(this);
  }

  /** Answers 0, or the negative error number. */
  listen(): number {
    return this.socket.start(() => this.ready());
  }

  get room(): number {
    return this.alive ? this.left : 0;
  }

  send(
    to: Address,
    _local: Address | null,
    bytes: Uint8Array,
    start: number,
    end: number,
    segment: number,
    ecn = 0,
  ): boolean {
    if (!this.alive || end - start > this.left) return false;
    this.left -= end - start;
    // Room comes back with the turn's end.
    if (this.from === null) this.turn.touch(this);
    if (this.ecn && end > start) {
      const octets = this.octetsFor(to);
      const each = segment === 0 ? end - start : segment;
      return octets !== null && this.socket.sendRow(octets, to.port, bytes, start, end, each, ecn);
    }
    const step = segment === 0 ? Math.max(1, end - start) : segment;
    for (let at = start; at < end || at === start; at += step)
      if (!this.sendOne(to, bytes, at, Math.min(end, at + step))) return at > start;
    return true;
  }

  private sendOne(to: Address, bytes: Uint8Array, start: number, end: number): boolean {
    if (to === this.from) return this.socket.reply(this.index, bytes, start, end);
    const octets = this.octetsFor(to);
    return octets !== null && this.socket.send(octets, to.port, bytes, start, end);
  }

  /** Most go to whom the one before went to. */
  private octetsFor({ host }: Address): Uint8Array | null {
    if (host !== this.toHost) {
      this.toHost = host;
      this.toOctets = octetsOf(host, this.local.host.includes(':'));
    }
    return this.toOctets;
  }
  private toHost = '';
  private toOctets: Uint8Array | null = null;

  touch(): void {
    this.turn.touch(this);
  }

  close(): void {
    this.lose(ENDED);
  }

  leave(why: Why): void {
    this.guarded(() => this.session.leave(why, this.turn.clock));
  }

  get due(): Instant {
    return this.alive ? this.session.deadline : NEVER;
  }

  work(clock: Clock): void {
    this.left = ROOM;
    if (this.session.gather !== undefined) this.guarded(() => this.session.gather?.(clock));
    if (this.alive && this.socket.waiting > 0) this.socket.flush();
  }

  tick(clock: Clock): void {
    this.guarded(() => this.session.tick(clock));
  }

  /** Called by the loop, to which nothing may be thrown. */
  private ready(): void {
    try {
      this.receiveAll();
    } catch (error) {
      this.turn.bug(error, `udp ${this.local.port}`);
    }
  }

  private receiveAll(): void {
    if (!this.alive) return;
    const { socket, turn } = this;
    const { clock } = turn;
    for (let batch = 0; batch < BATCHES_MAX && this.alive; batch++) {
      const count = socket.receive();
      for (let index = 0; index < count && this.alive; index++) this.receiveOne(index, clock);
      this.from = null;
      this.left = ROOM;
      if (this.alive && socket.waiting > 0) socket.flush();
      // A batch that was not full was the last: asking again would cost a call for nothing.
      if (count < BATCH) break;
    }
    turn.touch(this);
  }

  private receiveOne(index: number, clock: Clock): void {
    const { socket } = this;
    const start = socket.startOf(index);
    const end = start + socket.lengthOf(index);
    this.index = index;
    this.from = this.addressAt(socket.addressOf(index));
    if (!this.ecn) {
      this.give(start, end, ECN_UNKNOWN, clock);
      return;
    }
    const ecn = socket.ecnOf(index);
    const step = socket.segmentOf(index) || Math.max(1, end - start);
    for (let at = start; (at < end || at === start) && this.alive; at += step)
      this.give(at, Math.min(end, at + step), ecn, clock);
  }

  private give(start: number, end: number, ecn: number, clock: Clock): void {
    try {
      this.session.receive(this.socket.bytes, start, end, this.from!, this.local, ecn, clock);
    } catch (error) {
      // A throw is a bug of ours; the smallest scope is the one datagram.
      this.turn.bug(error, `udp ${this.local.port}`);
    }
  }

  /** Most come from where the one before came from: its text is kept. */
  private addressAt(at: number): Address {
    const { bytes } = this.socket;
    const size = bytes[at] === 2 ? 4 : 16;
    const from = at + (size === 4 ? 4 : 8);
    let same = size === this.lastSize;
    for (let index = 0; same && index < size; index++) same = bytes[from + index] === this.lastOctets[index];
    if (!same) {
      this.lastSize = size;
      for (let index = 0; index < size; index++) this.lastOctets[index] = bytes[from + index]!;
      this.lastHost = hostOf(this.lastOctets, size);
    }
    return { host: this.lastHost, port: (bytes[at + 2]! << 8) | bytes[at + 3]! };
  }

  private guarded(call: () => void): void {
    if (!this.alive) return;
    try {
      call();
    } catch (error) {
      this.turn.bug(error, `udp ${this.local.port}`);
    }
  }

  private lose(cause: Cause): void {
    if (!this.alive) return;
    this.alive = false;
    this.socket.close();
    try {
      this.session.lost(cause, 0, this.turn.clock);
    } catch (error) {
      this.turn.bug(error, 'udp lost');
    }
    this.turn.forget(this);
  }
}

function hostOf(octets: Uint8Array, size: number): string {
  if (size === 4) return `${octets[0]}.${octets[1]}.${octets[2]}.${octets[3]}`;
  const groups: number[] = [];
  for (let at = 0; at < 16; at += 2) groups.push((octets[at]! << 8) | octets[at + 1]!);
  // As the system writes it: the longest row of zeros is left out (RFC 5952 §4.2).
  return new URL(`http://[${groups.map((group) => group.toString(16)).join(':')}]`).hostname.slice(1, -1);
}

/** The octets of an address of this family; null for any other, and for names. */
export function octetsOf(host: string, six: boolean): Uint8Array | null {
  const version = isIP(host);
  if (version === 4 && !six) return Uint8Array.from(host.split('.').map(Number));
  if (version !== 6 || !six || host.includes('%')) return null;
  const [head = '', tail] = host.split('::');
  const groupsOf = (text: string) => (text === '' ? [] : text.split(':')).flatMap(octetPairs);
  const [before, after] = [groupsOf(head), groupsOf(tail ?? '')];
  return Uint8Array.from([...before, ...new Array<number>(16 - before.length - after.length).fill(0), ...after]);
}

function octetPairs(group: string): number[] {
  if (group.includes('.')) return group.split('.').map(Number);
  const value = Number.parseInt(group, 16);
  return [value >>> 8, value & 0xff];
}
