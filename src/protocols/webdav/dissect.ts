// The bodies of WebDAV as pieces for the inspector: XML by the piece that came, anything else by its length.
import { utf8 } from '../../bytes/reader.ts';
import type { Direction, Dissector, Piece } from '../../core/tap.ts';

/** Of a piece, so much is shown. */
const SHOWN = 256;

export function webdavDissector(_direction: Direction, _joinedLate: boolean): Dissector {
  let origin = 0;
  let isXml: boolean | null = null;
  return {
    push(bytes: Uint8Array, start: number, end: number): readonly Piece[] {
      if (end === start) return [];
      isXml ??= bytes[start] === 0x3c;
      const from = origin;
      origin += end - start;
      const value = isXml ? utf8(bytes, start, Math.min(end, start + SHOWN)) : `${end - start} bytes`;
      return [{ label: isXml ? 'xml' : 'content', value, start: from, end: origin }];
    },
  };
}
