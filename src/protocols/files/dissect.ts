// The bodies of files over HTTP as pieces for the inspector: how many bytes went by, since files may hold anything.
import type { Direction, Dissector, Piece } from '../../core/tap.ts';

export function filesDissector(_direction: Direction, _joinedLate: boolean): Dissector {
  let origin = 0;
  return {
    push(_bytes: Uint8Array, start: number, end: number): readonly Piece[] {
      if (end === start) return [];
      const from = origin;
      origin += end - start;
      return [{ label: 'content', value: `${end - start} bytes`, start: from, end: origin }];
    },
  };
}
