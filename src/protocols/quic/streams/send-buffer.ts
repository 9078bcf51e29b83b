// Bytes of one stream that were written and are not all acknowledged: what is new, what has to be sent again, what can be let
// go. It frames nothing.
import { giveBack } from '../../../bytes/pool.ts';
import { Ranges } from '../recovery/ranges.ts';

export class SendBuffer {
  /** All before it was acknowledged and let go. */
  base = 0;
  /** All before it was sent at least once. */
  next = 0;
  /** One past the last byte that was written. */
  end = 0;
  /** Where the first piece begins: at `base` or before. */
  private pieceAt = 0;
  private pieces: Uint8Array[] = [];
  private storages: (Buffer | null)[] = [];
  private readonly acknowledged = new Ranges();
  readonly lost = new Ranges();
  /** Where the piece begins that was read last, and its place: reading goes on from there. */
  private cursor = 0;
  private cursorAt = 0;

  get unacknowledged(): number {
    return this.end - this.base;
  }

  /** Takes immutable bytes; `storage` is given back once they are acknowledged. */
  push(piece: Uint8Array, storage: Buffer | null): void {
    this.pieces.push(piece);
    this.storages.push(storage);
    this.end += piece.length;
  }

  /** Copies bytes from `offset` on into a packet. */
  read(offset: number, into: Uint8Array, at: number, size: number): void {
    if (offset < this.cursorAt) {
      this.cursor = 0;
      this.cursorAt = this.pieceAt;
    }
    let from = offset;
    let to = at;
    let left = size;
    while (left > 0) {
      const piece = this.pieces[this.cursor]!;
      const within = from - this.cursorAt;
      if (within >= piece.length) {
        this.cursorAt += piece.length;
        this.cursor++;
        continue;
      }
      const count = Math.min(left, piece.length - within);
      into.set(within === 0 && count === piece.length ? piece : piece.subarray(within, within + count), to);
      from += count;
      to += count;
      left -= count;
    }
  }

  /** Answers how many bytes were let go. */
  acked(start: number, end: number): number {
    this.lost.remove(start, end);
    this.acknowledged.add(Math.max(start, this.base), end);
    const { list } = this.acknowledged;
    if (list.length === 0 || list[0]! > this.base) return 0;
    const to = list[1]!;
    const freed = to - this.base;
    this.acknowledged.remove(0, to);
    this.release(to);
    return freed;
  }

  /** Whole pieces before `to` are let go. `base` stays at the beginning of the first that is held. */
  private release(to: number): void {
    let at = this.pieceAt;
    let count = 0;
    while (count < this.pieces.length && at + this.pieces[count]!.length <= to) {
      at += this.pieces[count]!.length;
      const storage = this.storages[count];
      if (storage) giveBack(storage);
      count++;
    }
    if (count > 0) {
      this.pieces.splice(0, count);
      this.storages.splice(0, count);
    }
    this.pieceAt = at;
    this.base = to;
    this.cursor = 0;
    this.cursorAt = at;
  }

  missed(start: number, end: number): void {
    const from = Math.max(start, this.base);
    if (end <= from) return;
    this.lost.add(from, end);
    for (let index = 0; index < this.acknowledged.list.length; index += 2)
      this.lost.remove(this.acknowledged.list[index]!, this.acknowledged.list[index + 1]!);
  }

  clear(): void {
    for (const storage of this.storages) if (storage !== null) giveBack(storage);
    this.pieces = [];
    this.storages = [];
    this.lost.clear();
    this.acknowledged.clear();
    this.base = this.next = this.end;
    this.pieceAt = this.cursorAt = this.end;
    this.cursor = 0;
  }
}
