// What is shown to who watches: packets without protection behind what their headers said, and news of the connection
// that stand in no packet. Records of one form, one a call of the tap.
// kind (1), number (6), size on the wire (2), length of what follows (2), length of the name (1), name, frames or JSON
import type { Level } from '../crypto.ts';

export const SHOWN_HEAD = 12;
/** In place of a level: a label, a value, and more of both, as JSON. */
export const NEWS = 4;
const NEWS_MOST = 16_384;

/** @param speaks who is spoken to on the streams; '' while that is not known */
export function shownPacket(
  level: Level,
  number: number,
  size: number,
  speaks: string,
  bytes: Uint8Array,
  start: number,
  end: number,
): Buffer {
  const name = Buffer.from(speaks, 'latin1').subarray(0, 255);
  const shown = Buffer.allocUnsafe(SHOWN_HEAD + name.length + end - start);
  writeHead(shown, level, number, size, name);
  shown.set(bytes.subarray(start, end), SHOWN_HEAD + name.length);
  return shown;
}

/** News of the connection: what it is, what is to be said of it, and `[label, value]` pairs. */
export type News = readonly [label: string, value: string, more: readonly (readonly [string, string])[]];

export function shownNews(news: News): Buffer {
  const text = Buffer.from(JSON.stringify(news)).subarray(0, NEWS_MOST);
  const shown = Buffer.allocUnsafe(SHOWN_HEAD + text.length);
  writeHead(shown, NEWS, 0, 0, text.subarray(0, 0));
  shown.set(text, SHOWN_HEAD);
  return shown;
}

function writeHead(shown: Buffer, kind: number, number: number, size: number, name: Uint8Array): void {
  shown[0] = kind;
  shown.writeUIntBE(number, 1, 6);
  shown.writeUInt16BE(size, 7);
  shown.writeUInt16BE(shown.length - SHOWN_HEAD, 9);
  shown[11] = name.length;
  shown.set(name, SHOWN_HEAD);
}
