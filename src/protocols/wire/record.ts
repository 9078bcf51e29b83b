// The recorder: keeps the last bytes of each connection, and publishes what it was as JSON to `record/<name>` when it
// ends; over datagrams, once a datagram. It says nothing to its peers.
import { OPERATOR } from '../../core/caller.ts';
import type { DatagramPort, DatagramSession } from '../../core/datagram.ts';
import type { Waiter } from '../../core/outcome.ts';
import { type Address, addressText, type Peer } from '../../core/peer.ts';
import type { Cause, Pipe, Session } from '../../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import type { Topics } from '../../resources/topics/contract.ts';
import { faults } from './faults.ts';

export interface RecordOptions {
  readonly topics: Topics;
  /** The topic is `record/<name>`. */
  readonly name: string;
  /** How many of the last bytes are kept. */
  readonly bytesMax: number;
  readonly idleMs: number;
}

/** What is published of a connection, or of a datagram. */
export interface RecordSummary {
  readonly remote: string;
  readonly local: string;
  readonly carrier: Peer['carrier'];
  readonly bytes: number;
  /** From the first to the last byte. */
  readonly ms: number;
  /** How the connection ended. */
  readonly cause: string;
  /** The last bytes, as base64. */
  readonly tail: string;
}

const NOBODY: Waiter = { settled() {} };

function publish(topics: Topics, name: string, summary: RecordSummary): void {
  const payload = Buffer.from(JSON.stringify(summary));
  const publication = {
    topic: `record/${name}`,
    payload,
    contentType: 'application/json',
    text: true,
    retain: true,
    assurance: 0 as const,
  };
  topics.publish(OPERATOR, publication, NOBODY, 0);
}

/** The last bytes of a stream, in storage that grows to its bound and no further. */
export class Tail {
  total = 0;
  private readonly most: number;
  private ring: Buffer = Buffer.alloc(0);

  constructor(most: number) {
    this.most = most;
  }

  add(input: Uint8Array, start: number, end: number): void {
    const from = Math.max(start, end - this.most);
    const skipped = from - start;
    this.grow(Math.min(this.most, this.total + end - start));
    this.total += skipped;
    for (let at = from; at < end; ) {
      const place = this.total % this.most;
      const size = Math.min(end - at, this.most - place);
      this.ring.set(input.subarray(at, at + size), place);
      at += size;
      this.total += size;
    }
  }

  private grow(size: number): void {
    if (size <= this.ring.length) return;
    const grown = Buffer.alloc(Math.min(this.most, Math.max(size, this.ring.length * 2, 512)));
    this.ring.copy(grown);
    this.ring = grown;
  }

  bytes(): Buffer {
    if (this.most === 0) return Buffer.alloc(0);
    if (this.total <= this.most) return Buffer.from(this.ring.subarray(0, this.total));
    const place = this.total % this.most;
    return Buffer.concat([this.ring.subarray(place), this.ring.subarray(0, place)]);
  }
}

export class RecordSession implements Session {
  private readonly pipe: Pipe;
  private readonly options: RecordOptions;
  private readonly tail: Tail;
  private firstAt: Instant = NEVER;
  private lastAt: Instant = 0;
  private idleAt: Instant;
  private over = false;

  constructor(pipe: Pipe, options: RecordOptions, clock: Clock) {
    this.pipe = pipe;
    this.options = options;
    this.tail = new Tail(options.bytesMax);
    this.idleAt = clock.now + options.idleMs;
  }

  get deadline(): Instant {
    return this.over ? NEVER : this.idleAt;
  }

  receive(input: Uint8Array, start: number, end: number, clock: Clock): number {
    this.tail.add(input, start, end);
    this.firstAt = Math.min(this.firstAt, clock.now);
    this.lastAt = clock.now;
    this.idleAt = clock.now + this.options.idleMs;
    return end;
  }

  overlong(): void {
    // All that comes is consumed.
  }

  writable(): void {
    // Nothing is ever written.
  }

  tick(): void {
    this.over = true;
    this.pipe.fail(faults.idle);
  }

  finish(): void {
    this.over = true;
    this.pipe.end();
  }

  leave(): void {
    this.over = true;
    this.pipe.end();
  }

  lost(cause: Cause): void {
    this.over = true;
    const { peer } = this.pipe;
    const { topics, name } = this.options;
    publish(topics, name, {
      remote: addressText(peer.remote),
      local: addressText(peer.local),
      carrier: peer.carrier,
      bytes: this.tail.total,
      ms: Math.max(0, Math.round(this.lastAt - this.firstAt)),
      cause,
      tail: this.tail.bytes().toString('base64'),
    });
  }
}

export class RecordDatagrams implements DatagramSession {
  readonly deadline: Instant = NEVER;
  private readonly port: DatagramPort;
  private readonly options: RecordOptions;

  constructor(port: DatagramPort, options: RecordOptions) {
    this.port = port;
    this.options = options;
  }

  receive(input: Uint8Array, start: number, end: number, from: Address, local: Address | null): void {
    const { topics, name, bytesMax } = this.options;
    const tail = new Tail(bytesMax);
    tail.add(input, start, end);
    publish(topics, name, {
      remote: addressText(from),
      local: addressText(local),
      carrier: 'udp',
      bytes: end - start,
      ms: 0,
      cause: 'datagram',
      tail: tail.bytes().toString('base64'),
    });
  }

  tick(): void {
    // It has no deadline.
  }

  leave(): void {
    this.port.close();
  }

  lost(): void {
    // There is nothing to let go.
  }
}
