// One direction of one connection under watch: the dissector of what is spoken there, the next one's when it takes over,
// and the last bytes, for those who want to see them. It knows neither time nor who watches.
import { KeptBytes } from '../bytes/kept.ts';
import { type Direction, type Dissector, MASKED, type Piece, type Told } from '../core/tap.ts';
import { BYTES_MOST, hexOf } from './seen.ts';

/** Makes the dissector of a protocol; null when nobody here can read it. */
export type Dissectors = (protocol: string, direction: Direction, joinedLate: boolean, told: Told) => Dissector | null;

/** A port on which the first bytes choose: they are held until it is known who reads them. */
export const UNDECIDED = 'shared';

/** As many bytes are held for it, and kept to be shown. */
const HELD_MOST = 262_144;

export interface LaneFrame {
  readonly protocol: string;
  readonly piece: Piece;
  /** Only where the bytes were wanted, and are still there. */
  readonly bytes?: string;
}

export class Lane {
  /** The offset, of all that crosses, of the next byte that is told. */
  at: number;
  private readonly direction: Direction;
  private readonly dissectors: Dissectors;
  private readonly told: Told;
  private protocol: string;
  private dissector: Dissector | null;
  /** The offset at which the dissector began. */
  private base: number;
  private readonly next: { readonly protocol: string; readonly at: number }[] = [];
  /** Bytes for nobody yet, or that may be shown; the first has the offset `heldAt`. */
  private readonly held = new KeptBytes();
  private heldAt = 0;

  /** @param told shared with the lane of the other direction */
  constructor(direction: Direction, protocol: string, at: number, dissectors: Dissectors, told: Told = new Map()) {
    this.direction = direction;
    this.dissectors = dissectors;
    this.told = told;
    this.protocol = protocol;
    this.at = at;
    this.base = at;
    this.heldAt = at;
    this.dissector = dissectors(protocol, direction, at > 0, told);
  }

  /** Another protocol begins at an offset. */
  layer(protocol: string, at: number): void {
    this.next.push({ protocol, at });
  }

  /** So many bytes are not told: whoever reads on joins late. */
  skip(size: number): void {
    this.at += size;
    this.takeOver();
    this.begin(this.protocol, this.at, true);
  }

  /** Its dissector is not to be trusted: sizes are told, and nothing more. */
  blind(): void {
    this.dissector = null;
    this.forget(this.at);
  }

  /** Bytes in order; answers the frames that are complete now. */
  push(bytes: Uint8Array, start: number, end: number, keep: boolean): LaneFrame[] {
    const found: LaneFrame[] = [];
    let from = start;
    while (from < end) {
      this.takeOver(found);
      const size = Math.min(end - from, (this.next[0]?.at ?? Number.POSITIVE_INFINITY) - this.at);
      this.read(bytes, from, from + size, keep, found);
      from += size;
    }
    return found;
  }

  /** Whoever is to read now, reads what was held for it. */
  resume(): LaneFrame[] {
    const found: LaneFrame[] = [];
    this.takeOver(found);
    return found;
  }

  /** A layer that begins with the next byte, or began with bytes that are held, takes over. */
  private takeOver(found: LaneFrame[] = []): void {
    for (let next = this.next[0]; next !== undefined && next.at <= this.at; next = this.next[0]) {
      this.next.shift();
      const { held } = this;
      const wasUndecided = this.protocol === UNDECIDED;
      const first = Buffer.from(held.bytes.subarray(held.start, held.end));
      const firstAt = this.heldAt;
      this.begin(next.protocol, this.at, false);
      if (!wasUndecided || first.length === 0) continue;
      this.base = firstAt;
      this.at = firstAt;
      this.heldAt = firstAt;
      this.read(first, 0, first.length, true, found);
    }
  }

  /** What nobody came to read. */
  end(): LaneFrame[] {
    const found = this.resume();
    if (this.protocol === UNDECIDED && this.held.length > 0) found.push(this.unread(this.held.length));
    this.held.clear();
    return found;
  }

  private begin(protocol: string, at: number, late: boolean): void {
    this.protocol = protocol;
    this.dissector = this.dissectors(protocol, this.direction, late, this.told);
    this.base = at;
    this.held.clear();
    this.heldAt = at;
  }

  private read(bytes: Uint8Array, start: number, end: number, keep: boolean, found: LaneFrame[]): void {
    const { held, protocol } = this;
    this.at += end - start;
    const undecided = protocol === UNDECIDED;
    if (keep || undecided) {
      if (held.length + end - start > HELD_MOST) this.forget(this.at - (end - start));
      held.append(bytes, start, end);
    } else if (held.length > 0 || this.heldAt !== this.at) this.forget(this.at);
    if (undecided) return;
    if (this.dissector === null) {
      found.push(this.unread(end - start));
      this.forget(this.at);
      return;
    }
    for (const piece of this.dissector.push(bytes, start, end)) {
      const hex = this.hex(piece);
      const by = piece.protocol ?? protocol;
      found.push(hex === null ? { protocol: by, piece } : { protocol: by, piece, bytes: hex });
    }
  }

  private unread(size: number): LaneFrame {
    const end = this.at - this.base;
    const piece: Piece = { label: 'bytes', value: `${size} bytes`, start: end - size, end, hidden: true };
    return { protocol: this.protocol, piece };
  }

  /** The bytes of a frame, and of what lies before it no more. */
  private hex(piece: Piece): string | null {
    const { held, base } = this;
    const from = base + piece.start - this.heldAt;
    const to = base + piece.end - this.heldAt;
    const shown = from >= 0 && from + Math.min(BYTES_MOST, to - from) <= held.length && held.length > 0;
    const text = shown ? hexOf(piece, held.bytes, held.start + from, held.start + to) : null;
    if (to > 0 && to <= held.length) {
      this.heldAt += to;
      held.consume(held.start + to);
    }
    return text;
  }

  private forget(at: number): void {
    this.held.clear();
    this.heldAt = at;
  }
}

/** A carrier whose payload is a stream that is shown as a connection of its own: it is not shown twice, nor its secrets. */
export class Veiled implements Dissector {
  private readonly dissector: Dissector;

  constructor(dissector: Dissector) {
    this.dissector = dissector;
  }

  push(bytes: Uint8Array, start: number, end: number): readonly Piece[] {
    return this.dissector.push(bytes, start, end).map(veil);
  }
}

function veil({ label, start, end, pieces = [] }: Piece): Piece {
  const inner = pieces.map((piece) => (piece.label === 'payload' ? { ...piece, value: MASKED } : piece));
  const payload = pieces.find((piece) => piece.label === 'payload');
  const value = payload === undefined ? '' : `${payload.end - payload.start} bytes`;
  return { label, value, start, end, pieces: inner };
}
