// Messages as events, encoded once each and shared by all that get them. It knows the grammar (WHATWG HTML §9.2.5) and no
// connection.
import { isUtf8 } from 'node:buffer';
import { type Enveloped, writeEnvelope, writeGap } from '../../formats/envelope.ts';

/** How a payload becomes data: as text, in base64, or within JSON, there too always in base64 if that is asked for. */
export type Mode = 'text' | 'base64' | 'json' | 'json64';

/**
 * Why a message is sent: it came; or it is retained, which is told by the name of the event or not at all. A retained value
 * has no id: it stands nowhere in what is sent, and who came back behind it would miss or repeat something.
 */
export type Kind = 'live' | 'retained' | 'named';

const LF = 0x0a;
const CR = 0x0d;
const DATA = Buffer.from('data: ');

/**
 * Whether a payload comes out of the standard's parser as it went in: UTF-8 without CR, which that takes for the end of a
 * line as it does LF and CRLF (§9.2.6).
 */
export function isCarried(payload: Uint8Array): boolean {
  return payload.indexOf(CR) < 0 && isUtf8(payload);
}

/** The event of a message. */
export function eventFrame(message: Enveloped, mode: Mode, kind: Kind): Buffer {
  const head = kind === 'live' && message.cursor > 0 ? `id: ${message.cursor}\n` : '';
  const name = kind === 'named' ? 'retained' : '';
  switch (mode) {
    case 'json':
    case 'json64': {
      const json = writeEnvelope(message, { retained: kind !== 'live', base64: mode === 'json64' });
      return Buffer.from(`${named(name)}${head}data: ${json}\n\n`);
    }
    case 'base64':
      return Buffer.from(`${named(name)}${head}data: ${base64(message.payload)}\n\n`);
    case 'text': {
      if (isCarried(message.payload)) return textFrame(`${named(name)}${head}`, message.payload);
      // Under a name of its own, so that nobody takes it for text.
      const binary = name === '' ? 'binary' : 'retained-binary';
      return Buffer.from(`${named(binary)}${head}data: ${base64(message.payload)}\n\n`);
    }
  }
}

const named = (name: string): string => (name === '' ? '' : `event: ${name}\n`);

/** Text behind the fields `head`, one `data` a line. */
function textFrame(head: string, payload: Uint8Array): Buffer {
  let lines = 1;
  for (let at = payload.indexOf(LF); at >= 0; at = payload.indexOf(LF, at + 1)) lines++;
  const frame = Buffer.allocUnsafe(head.length + lines * DATA.length + payload.length + 2);
  let to = frame.write(head, 0, 'latin1');
  let from = 0;
  for (;;) {
    const lineFeed = payload.indexOf(LF, from);
    const end = lineFeed < 0 ? payload.length : lineFeed;
    frame.set(DATA, to);
    to += DATA.length;
    frame.set(from === 0 && end === payload.length ? payload : payload.subarray(from, end), to);
    to += end - from;
    frame[to++] = LF;
    if (lineFeed < 0) break;
    from = lineFeed + 1;
  }
  frame[to] = LF;
  return frame;
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('base64');
}

/** How the stream begins. */
export const retryText = (ms: number): string => `retry: ${ms}\n\n`;

/** Where a client that comes back goes on, without an event: an id is taken over though there is no data (§9.2.6). */
export const positionText = (cursor: number): string => `id: ${cursor}\n\n`;

/** Nothing, to be heard. */
export const HEARTBEAT = ':\n\n';

export const commentText = (text: string): string => `: ${text}\n\n`;

/**
 * The history does not reach back to `after`. When nothing follows, `head` is where a client that comes back goes on, so
 * that it is not told again.
 */
export function gapText(filter: string, after: number, from: number, head: number): string {
  const id = from === 0 ? `id: ${head}\n` : '';
  return `event: gap\n${id}data: ${writeGap(filter, after, from)}\n\n`;
}
