// Sees what crosses the pipes, and tells it frame by frame. On the hot path it copies bytes into a ring and no more; the
// dissectors run later, for a bounded time, and what the ring has no room for is counted and said. It knows no socket, and
// neither who watches nor what they want to see.

import type { Fault } from '../core/fault.ts';
import { OUTCOME_NAMES, type Outcome } from '../core/outcome.ts';
import { addressText, type Peer } from '../core/peer.ts';
import type { Direction, KernelFigures, Tap, Told } from '../core/tap.ts';
import type { Clock, Instant } from '../core/time.ts';
import { type Dissectors, Lane, type LaneFrame } from './lane.ts';
import { ByteRing } from './ring.ts';
import { clip, clipPieces, type OpenedSeen, type SecuredSeen, type Seen } from './seen.ts';

export interface RecorderOptions {
  readonly dissectors: Dissectors;
  readonly clock: () => Clock;
  /** Runs a step after this turn, and after others that wait: never within one. */
  readonly later: (step: () => void) => void;
  /** Milliseconds that have passed, read while a step runs. */
  readonly elapsed: () => number;
  readonly seen: (seen: Seen) => void;
  /** A dissector threw: a bug of ours. Of that direction only sizes are told from then on. */
  readonly bug: (error: unknown) => void;
  /** So many events were not told, since too many waited. */
  readonly lost: (events: number) => void;
  /** Whether somebody wants the bytes of frames; asked for each piece of input. */
  readonly wantsBytes: () => boolean;
  readonly bounds?: Partial<RecorderBounds>;
}

export interface RecorderBounds {
  /** Bytes that wait to be dissected. */
  readonly ringBytes: number;
  /** Events that wait. */
  readonly entriesMax: number;
  /** How long a step may run. */
  readonly stepMs: number;
  /** The most that a dissector is given at once. */
  readonly sliceBytes: number;
}

export const RECORDER_BOUNDS: RecorderBounds = {
  ringBytes: 4_194_304,
  entriesMax: 65_536,
  stepMs: 2,
  sliceBytes: 4_096,
};

/** A connection under watch. */
interface Watched {
  readonly id: number;
  peer: Peer;
  readonly from: string;
  readonly openedAt: number;
  readonly late: boolean;
  readonly in: Lane;
  readonly out: Lane;
  /** What was told of it. */
  protocol: string;
  /** Layers that were not told yet, in order. */
  readonly coming: string[];
}

/** What is told of a connection, but for what it has with all events in common. */
type News<One extends Seen = Seen> = One extends Seen ? Omit<One, 'at' | 'connection' | 'protocol' | 'from'> : never;

/** What waits: bytes in the ring, bytes that were passed over, or an event. */
type Entry = { readonly of: Watched; readonly at: Instant } & (
  | { readonly kind: 'bytes'; readonly direction: Direction; place: number; size: number }
  | { readonly kind: 'skip'; readonly direction: Direction; size: number }
  | { readonly kind: 'layer'; readonly protocol: string }
  | { readonly kind: 'closed'; readonly cause: string; readonly kernel: KernelFigures | null }
  | { readonly kind: 'news'; readonly news: News }
);

export class Recorder implements Tap {
  private readonly options: RecorderOptions;
  private readonly bounds: RecorderBounds;
  private readonly ring: ByteRing;
  private readonly watched = new Map<number, Watched>();
  private entries: Entry[] = [];
  /** The first that waits. */
  private first = 0;
  private scheduled = false;
  /** Events that were not taken, since too many waited. */
  private untold = 0;
  private readonly run = () => this.step();

  constructor(options: RecorderOptions) {
    this.options = options;
    this.bounds = { ...RECORDER_BOUNDS, ...options.bounds };
    this.ring = new ByteRing(this.bounds.ringBytes);
  }

  /** The connections that stand, as if they had been opened now. */
  standing(): Seen[] {
    return [...this.watched.values()].map((of) => {
      const { openedAt: at, id: connection, protocol, from } = of;
      return { at, connection, protocol, from, ...openedNews(of) };
    });
  }

  // ---- Tap ---------------------------------------------------------------------------------------------------------

  opened(pipe: number, peer: Peer, protocol: string, at: Instant, received: number, sent: number): void {
    const { dissectors } = this.options;
    const told: Told = new Map();
    const of: Watched = {
      id: pipe,
      peer,
      from: addressText(peer.remote),
      openedAt: this.wallOf(at),
      late: received + sent > 0,
      in: new Lane('in', protocol, received, dissectors, told),
      out: new Lane('out', protocol, sent, dissectors, told),
      protocol,
      coming: [],
    };
    this.watched.set(pipe, of);
    this.add({ kind: 'news', of, at, news: openedNews(of) });
  }

  bytes(pipe: number, direction: Direction, bytes: Uint8Array, start: number, end: number, at: Instant): void {
    const of = this.watched.get(pipe);
    if (of === undefined) return;
    const { ring } = this;
    let from = start;
    while (from < end && this.waiting < this.bounds.entriesMax) {
      const place = ring.at;
      const size = ring.put(bytes, from, end);
      if (size === 0) break;
      this.add({ kind: 'bytes', of, direction, at, place, size });
      from += size;
    }
    if (from < end) this.passOver(of, direction, end - from, at);
  }

  secured(pipe: number, peer: Peer, at: Instant): void {
    const of = this.watched.get(pipe);
    const { tls } = peer;
    if (of === undefined || tls === null) return;
    const { version, cipher, alpn, serverName, resumed = false } = tls;
    const certificate = tls.certificate !== null;
    const news: News<SecuredSeen> = { event: 'secured', version, cipher, alpn, serverName, resumed, certificate };
    of.peer = peer;
    this.add({ kind: 'news', of, at, news });
  }

  layer(pipe: number, protocol: string, inAt: number, outAt: number, at: Instant): void {
    const of = this.watched.get(pipe);
    if (of === undefined) return;
    // Known to the lanes at once: the bytes with which it begins may wait already.
    of.in.layer(protocol, inAt);
    of.out.layer(protocol, outAt);
    of.coming.push(protocol);
    this.add({ kind: 'layer', of, protocol, at });
  }

  fault(pipe: number, { id, spec, text }: Fault, at: Instant): void {
    this.news(pipe, { event: 'fault', fault: id, spec, text }, at);
  }

  effect(pipe: number, verb: string, path: string, outcome: Outcome, at: Instant): void {
    this.news(pipe, { event: 'effect', verb, path: clip(path), outcome: OUTCOME_NAMES[outcome] }, at);
  }

  closed(pipe: number, cause: string, at: Instant, kernel: KernelFigures | null): void {
    const of = this.watched.get(pipe);
    if (of === undefined) return;
    this.watched.delete(pipe);
    this.add({ kind: 'closed', of, cause, at, kernel });
  }

  /** What the kernel says of a connection that stands. */
  kernel(pipe: number, kernel: KernelFigures): void {
    this.news(pipe, { event: 'kernel', kernel }, this.options.clock().now);
  }

  // ---- later -------------------------------------------------------------------------------------------------------

  /** Tells all that waits, however long it takes: when the server ends. */
  drain(): void {
    while (this.waiting > 0) this.next();
    this.compact();
  }

  private news(pipe: number, news: News, at: Instant): void {
    const of = this.watched.get(pipe);
    if (of !== undefined) this.add({ kind: 'news', of, at, news });
  }

  private get waiting(): number {
    return this.entries.length - this.first;
  }

  private add(entry: Entry): void {
    // Bytes are passed over before it comes to this.
    if (this.waiting < 2 * this.bounds.entriesMax) this.entries.push(entry);
    else this.untold++;
    if (this.scheduled) return;
    this.scheduled = true;
    this.options.later(this.run);
  }

  /** Counts what there is no room for, in one entry a direction for as long as nothing of it is taken in between. */
  private passOver(of: Watched, direction: Direction, size: number, at: Instant): void {
    for (let index = this.entries.length - 1; index >= Math.max(this.first, this.entries.length - 16); index--) {
      const entry = this.entries[index]!;
      if (entry.of !== of || !('direction' in entry) || entry.direction !== direction) continue;
      if (entry.kind !== 'skip') break;
      entry.size += size;
      return;
    }
    this.add({ kind: 'skip', of, direction, at, size });
  }

  private step(): void {
    const { elapsed, later } = this.options;
    const until = elapsed() + this.bounds.stepMs;
    while (this.waiting > 0 && elapsed() < until) this.next();
    this.compact();
    if (this.untold > 0) this.options.lost(this.untold);
    this.untold = 0;
    this.scheduled = this.waiting > 0;
    if (this.scheduled) later(this.run);
  }

  private compact(): void {
    if (this.first === this.entries.length) this.entries = [];
    else if (this.first > 1_024) this.entries.splice(0, this.first);
    else return;
    this.first = 0;
  }

  /** One step of the first that waits. */
  private next(): void {
    const entry = this.entries[this.first]!;
    if (entry.kind === 'bytes') {
      const size = Math.min(entry.size, this.bounds.sliceBytes);
      this.dissect(entry.of, entry.direction, entry.place, size, entry.at);
      this.ring.free(size);
      entry.place += size;
      entry.size -= size;
      if (entry.size > 0) return;
    }
    this.first++;
    if (entry.kind !== 'bytes') this.tell(entry);
  }

  private tell(entry: Exclude<Entry, { kind: 'bytes' }>): void {
    const { of } = entry;
    const at = this.wallOf(entry.at);
    switch (entry.kind) {
      case 'news':
        this.see(of, at, entry.news);
        break;
      case 'skip':
        of[entry.direction].skip(entry.size);
        this.see(of, at, { event: 'skipped', direction: entry.direction, bytes: entry.size });
        break;
      case 'layer':
        this.arrive(of, entry.protocol, at);
        // What was held until somebody could read it.
        for (const direction of ['in', 'out'] as const) this.frames(of, direction, of[direction].resume(), at);
        break;
      case 'closed':
        for (const direction of ['in', 'out'] as const) this.frames(of, direction, of[direction].end(), at);
        this.see(of, at, {
          event: 'closed',
          cause: entry.cause,
          ...(entry.kernel === null ? {} : { kernel: entry.kernel }),
        });
    }
  }

  /** A layer is told before the first of its frames, which may have come before it took over. */
  private arrive(of: Watched, protocol: string, at: number): void {
    const index = of.coming.indexOf(protocol);
    if (index < 0) return;
    of.coming.splice(0, index + 1);
    of.protocol = protocol;
    this.see(of, at, { event: 'layer' });
  }

  private dissect(of: Watched, direction: Direction, place: number, size: number, at: Instant): void {
    let frames: readonly LaneFrame[] = [];
    try {
      frames = of[direction].push(this.ring.bytes, place, place + size, this.options.wantsBytes());
    } catch (error) {
      of[direction].blind();
      this.options.bug(error);
    }
    this.frames(of, direction, frames, this.wallOf(at));
  }

  private frames(of: Watched, direction: Direction, frames: readonly LaneFrame[], at: number): void {
    for (const { protocol, piece, bytes } of frames) {
      this.arrive(of, protocol, at);
      const { label, value, start, end, pieces = [], size = end - start } = piece;
      const frame: News = {
        event: 'frame',
        direction,
        size,
        label: clip(label),
        value: clip(value),
        pieces: clipPieces(pieces),
        ...(bytes === undefined ? {} : { bytes }),
      };
      this.see(of, at, frame, protocol);
    }
  }

  private see(of: Watched, at: number, news: News, protocol = of.protocol): void {
    const { event, ...rest } = news;
    this.options.seen({ event, at, connection: of.id, protocol, from: of.from, ...rest } as Seen);
  }

  private wallOf(at: Instant): number {
    const { now, wall } = this.options.clock();
    return Math.round((wall + at - now) * 1_000) / 1_000;
  }
}

function openedNews({ peer, late }: Watched): News<OpenedSeen> {
  return { event: 'opened', carrier: peer.carrier, to: addressText(peer.local), late };
}
