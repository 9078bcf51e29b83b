// What of SSH can be seen from outside: the lines with which both sides say that they speak it (RFC 4253 §4.2). What follows is
// encrypted; the subsystems' own dissectors show what is within.
import { KeptBytes } from '../../bytes/kept.ts';
import { latin1 } from '../../bytes/reader.ts';
import type { Direction, Dissector, Piece } from '../../core/tap.ts';

const LINE_MAX = 255;
const LF = 0x0a;

export function sshDissector(_direction: Direction, joinedLate: boolean): Dissector {
  return new Identification(joinedLate);
}

class Identification implements Dissector {
  private readonly kept = new KeptBytes();
  private done: boolean;
  private offset = 0;

  constructor(joinedLate: boolean) {
    this.done = joinedLate;
  }

  push(bytes: Uint8Array, start: number, end: number): readonly Piece[] {
    if (this.done) return this.sealed(end - start);
    this.kept.append(bytes, start, end);
    const line = this.kept.bytes.indexOf(LF, this.kept.start);
    if ((line < 0 || line >= this.kept.end) && this.kept.length <= LINE_MAX) return [];
    this.done = true;
    const size = line < 0 || line >= this.kept.end ? 0 : line + 1 - this.kept.start;
    const text = latin1(this.kept.bytes, this.kept.start, this.kept.start + size).trimEnd();
    const rest = this.kept.length - size;
    this.kept.clear();
    const first: Piece[] = size === 0 ? [] : [{ label: 'identification', value: text, start: 0, end: size }];
    this.offset = size;
    return rest === 0 ? first : [...first, ...this.sealed(rest)];
  }

  private sealed(length: number): readonly Piece[] {
    const start = this.offset;
    this.offset += length;
    return [{ label: 'encrypted', value: `${length} bytes`, start, end: this.offset, hidden: true }];
  }
}
