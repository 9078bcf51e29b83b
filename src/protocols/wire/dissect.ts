// What the inspector shows of bytes that have no grammar: themselves.
import type { Direction, Dissector, Piece } from '../../core/tap.ts';

/** Of each piece so many bytes are shown. */
const SHOWN = 64;

export function wireDissector(_direction: Direction, _joinedLate: boolean): Dissector {
  let offset = 0;
  return {
    push(bytes: Uint8Array, start: number, end: number): readonly Piece[] {
      if (start === end) return [];
      const head = Buffer.from(bytes.subarray(start, Math.min(end, start + SHOWN))).toString('hex');
      const piece = { label: `${end - start} bytes`, value: head, start: offset, end: offset + end - start };
      offset += end - start;
      return [piece];
    },
  };
}
