// The codec again, as labelled pieces for the inspector: requests of the client, answers of the server. What is in files is not
// shown, only how much of it.
import { KeptBytes } from '../../bytes/kept.ts';
import { u32, utf8 } from '../../bytes/reader.ts';
import type { Direction, Dissector, Piece } from '../../core/tap.ts';
import * as C from './codec.ts';

/** A packet longer than this is not kept: it is told by its head. */
const SHOWN_MAX = 4_096;
const TEXT_MAX = 128;

export function sftpDissector(_direction: Direction, joinedLate: boolean): Dissector {
  return new Packets(joinedLate);
}

/** Packets that begin with a path or a name. */
const WITH_TEXT = new Set<number>([
  ...[C.OPEN, C.LSTAT, C.SETSTAT, C.OPENDIR, C.REMOVE, C.MKDIR, C.RMDIR, C.REALPATH, C.STAT, C.RENAME, C.READLINK],
  ...[C.SYMLINK, C.EXTENDED],
]);

class Packets implements Dissector {
  private readonly kept = new KeptBytes();
  private origin = 0;
  /** Of the packet whose head was shown, so much is still to come. */
  private left = 0;
  private lost: boolean;

  constructor(joinedLate: boolean) {
    this.lost = joinedLate;
  }

  push(bytes: Uint8Array, start: number, end: number): readonly Piece[] {
    const found: Piece[] = [];
    if (this.lost) {
      const from = this.origin;
      this.origin += end - start;
      found.push({ label: 'packets', value: `${end - start} bytes`, start: from, end: this.origin, hidden: true });
      return found;
    }
    this.kept.append(bytes, start, end);
    for (;;) {
      if (this.left > 0) {
        const size = Math.min(this.left, this.kept.length);
        this.left -= size;
        this.drop(size);
        if (this.left > 0) break;
      }
      if (this.kept.length < 5) break;
      const length = u32(this.kept.bytes, this.kept.start);
      const whole = 4 + length;
      if (this.kept.length < Math.min(whole, SHOWN_MAX)) break;
      found.push(this.piece(whole));
      const size = Math.min(whole, this.kept.length);
      this.left = whole - size;
      this.drop(size);
    }
    return found;
  }

  private drop(size: number): void {
    this.kept.consume(this.kept.start + size);
    this.origin += size;
  }

  private piece(whole: number): Piece {
    const { bytes, start } = this.kept;
    const type = bytes[start + 4]!;
    const label = C.TYPE_NAMES[type] ?? `type ${type}`;
    const text = WITH_TEXT.has(type) && whole >= 13 ? this.textAt(start + 9) : '';
    const status = type === C.STATUS && whole >= 13 ? ` ${STATUS_NAMES[u32(bytes, start + 9)] ?? ''}` : '';
    const id = type === C.INIT || type === C.VERSION || whole < 9 ? '' : ` #${u32(bytes, start + 5)}`;
    const size = type === C.DATA || type === C.WRITE ? ` ${whole} bytes` : '';
    return {
      label,
      value: `${id}${text === '' ? '' : ` ${text}`}${status}${size}`.trim(),
      start: this.origin,
      end: this.origin + whole,
    };
  }

  private textAt(at: number): string {
    const { bytes, end } = this.kept;
    if (at + 4 > end) return '';
    const length = Math.min(u32(bytes, at), TEXT_MAX, end - at - 4);
    return utf8(bytes, at + 4, at + 4 + length);
  }
}

const STATUS_NAMES: Readonly<Record<number, string>> = Object.fromEntries(
  Object.entries(C.SSH_FX).map(([name, code]) => [code, name]),
);
