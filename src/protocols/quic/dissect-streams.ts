// What is said on the streams of a watched connection, one direction of it: chunks out of packets are put in order, and read by
// the dissector of who is spoken to. It knows no frame.
import type { Dissector, Piece, StreamDissectors } from '../../core/tap.ts';

/** By the name of who is spoken to on the streams; null when nobody here can read it. */
export type StreamsOf = (protocol: string) => StreamDissectors | null;

const STREAMS_MOST = 1_024;
/** Chunks that wait for those before them, of one stream. */
const CHUNKS_MOST = 64;
/** Streams that are over, whose chunks may come again. */
const OVER_MOST = 4_096;

interface Shown {
  readonly dissector: Dissector;
  next: number;
  last: number;
  readonly waiting: Map<number, Buffer>;
}

export class ShownStreams {
  private readonly joinedLate: boolean;
  private readonly streamsOf: StreamsOf;
  private make: StreamDissectors | null = null;
  private readonly open = new Map<number, Shown>();
  private readonly over = new Set<number>();

  constructor(joinedLate: boolean, streamsOf: StreamsOf) {
    this.joinedLate = joinedLate;
    this.streamsOf = streamsOf;
  }

  /** A chunk of a stream; answers what is whole now. */
  read(
    protocol: string,
    id: number,
    offset: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    fin: boolean,
  ): readonly Piece[] {
    const shown = this.of(protocol, id, offset);
    if (shown === null) return [];
    const found: Piece[] = [];
    if (fin) shown.last = offset + end - start;
    if (offset > shown.next) {
      // What is longer missing than that is passed over: from there on nobody can read it.
      if (shown.waiting.size >= CHUNKS_MOST) this.drop(id);
      else if (!shown.waiting.has(offset)) shown.waiting.set(offset, Buffer.from(bytes.subarray(start, end)));
      return found;
    }
    this.take(shown, offset, bytes, start, end, found);
    for (let more = shown.waiting.size > 0; more; ) {
      more = false;
      for (const [at, chunk] of shown.waiting) {
        if (at > shown.next) continue;
        shown.waiting.delete(at);
        this.take(shown, at, chunk, 0, chunk.length, found);
        more = true;
      }
    }
    if (shown.next >= shown.last) this.drop(id);
    return found.map((piece) => ({ ...piece, protocol }));
  }

  private take(shown: Shown, offset: number, bytes: Uint8Array, start: number, end: number, found: Piece[]): void {
    const from = start + shown.next - offset;
    if (from >= end) return;
    shown.next += end - from;
    found.push(...shown.dissector.push(bytes, from, end));
  }

  private of(protocol: string, id: number, offset: number): Shown | null {
    const known = this.open.get(id);
    if (known !== undefined) return known;
    if (this.over.has(id) || this.open.size >= STREAMS_MOST) return null;
    this.make ??= this.streamsOf(protocol);
    if (this.make === null) return null;
    const late = this.joinedLate && offset > 0;
    const next = late ? offset : 0;
    const shown = { dissector: this.make(id, late), next, last: Number.POSITIVE_INFINITY, waiting: new Map() };
    this.open.set(id, shown);
    return shown;
  }

  /** Nothing more of it is shown. */
  drop(id: number): void {
    this.open.delete(id);
    this.over.add(id);
    for (const old of this.over) {
      if (this.over.size <= OVER_MOST) break;
      this.over.delete(old);
    }
  }
}
