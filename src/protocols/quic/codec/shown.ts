// Packets without protection, as they are shown to who watches: what the header said in nine bytes, then the frames.
// level (1), number (6), length (2), frames
import type { Level } from '../crypto.ts';

export const SHOWN_HEAD = 9;

export function shownPacket(level: Level, number: number, bytes: Uint8Array, start: number, end: number): Buffer {
  const shown = Buffer.allocUnsafe(SHOWN_HEAD + end - start);
  shown[0] = level;
  shown.writeUIntBE(number, 1, 6);
  shown.writeUInt16BE(end - start, 7);
  shown.set(bytes.subarray(start, end), SHOWN_HEAD);
  return shown;
}
