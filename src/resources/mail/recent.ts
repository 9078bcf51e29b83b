// Bytes that were asked for lately, held in memory one behind the other in blocks, of which the oldest goes for the newest. It
// knows neither what they are nor whose.
import type { HeldKind } from './contract.ts';
import { MAIL_LIMITS } from './limits.ts';

const BLOCK = 262_144;
const LENGTH = 4;
/** What is longer is not held. */
const ENTRY_MAX = MAIL_LIMITS.heldEntryBytesMax;

export class Recent {
  private readonly blocks: Buffer[];
  /** How many blocks there were, those that went among them. */
  private begun = 0;
  private used = BLOCK;

  constructor(bytesMax: number) {
    this.blocks = new Array<Buffer>(Math.max(2, Math.floor(bytesMax / BLOCK)));
  }

  /**
   * Holds stretches of `bytes`, from each even place of `stretches` to the one after it; `size` is what they are together. Answers where,
   * and 0 for what is too long.
   */
  keep(bytes: Uint8Array, stretches: readonly number[], size: number): number {
    if (size > ENTRY_MAX) return 0;
    if (this.used + LENGTH + size > BLOCK) {
      // Whoever looks at one that goes holds it.
      this.blocks[this.begun++ % this.blocks.length] = Buffer.allocUnsafeSlow(BLOCK);
      this.used = 0;
    }
    const block = this.blocks[(this.begun - 1) % this.blocks.length]!;
    const place = this.begun * BLOCK + this.used;
    block.writeUInt32LE(size, this.used);
    this.used += LENGTH;
    for (let at = 0; at < stretches.length; at += 2) {
      block.set(bytes.subarray(stretches[at]!, stretches[at + 1]!), this.used);
      this.used += stretches[at + 1]! - stretches[at]!;
    }
    return place;
  }

  /** What is held at a place; null where it went. */
  at(place: number): Buffer | null {
    const number = Math.floor(place / BLOCK);
    if (number === 0 || number <= this.begun - this.blocks.length) return null;
    const block = this.blocks[(number - 1) % this.blocks.length]!;
    const start = place % BLOCK;
    return block.subarray(start + LENGTH, start + LENGTH + block.readUInt32LE(start));
  }
}

type Kind = HeldKind | 'listed';

/** Where each message of a folder has what is held of it, by kind. A kind that nobody asked for takes no memory. */
export class HeldPlaces {
  private readonly columns = new Map<Kind, Float64Array>();
  private size: number;

  constructor(size: number) {
    this.size = size;
  }

  /** Bytes of memory that they take. */
  get bytes(): number {
    return this.columns.size * this.size * 8;
  }

  /** 0: nowhere. */
  get(kind: Kind, at: number): number {
    return this.columns.get(kind)?.[at] ?? 0;
  }

  set(kind: Kind, at: number, place: number): void {
    let column = this.columns.get(kind);
    if (column === undefined) this.columns.set(kind, (column = new Float64Array(this.size)));
    column[at] = place;
  }

  grow(size: number): void {
    this.size = size;
    for (const [kind, column] of this.columns) {
      const grown = new Float64Array(size);
      grown.set(column);
      this.columns.set(kind, grown);
    }
  }

  /** What was at one place is at another. */
  move(from: number, to: number): void {
    for (const column of this.columns.values()) column[to] = column[from]!;
  }

  /** A new message is at a place. */
  clear(at: number): void {
    for (const column of this.columns.values()) column[at] = 0;
  }
}
