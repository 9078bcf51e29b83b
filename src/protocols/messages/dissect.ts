// Messages of portico.json as labelled trees for the inspector, in either direction; what is not JSON, as it is over bare
// topics, is shown as text or in hex.
import { KeptBytes } from '../../bytes/kept.ts';
import { isUtf8, utf8 } from '../../bytes/reader.ts';
import type { Direction, Dissector, Piece } from '../../core/tap.ts';
import { endOfString, skipSpace } from './codec.ts';

/** Values are shown up to here. */
const SHOWN = 256;

/** Deeper values are shown as they were written. */
const DEPTH_MAX = 16;

/** Pieces of one message; what follows is left out. */
const PIECES_MAX = 2_000;

/** What is taken for one message at most. */
const MESSAGE_MAX = 16_777_216;

const QUOTE = 0x22;
const OPEN_BRACE = 0x7b;
const OPEN_BRACKET = 0x5b;

/** What a message is called by, in both directions; the first that it has. */
const KINDS = [
  'publish',
  'subscribe',
  'unsubscribe',
  'get',
  'call',
  'send',
  'finish',
  'cancel',
  'method',
  'ack',
  'result',
  'next',
  'end',
  'error',
  'gap',
  'live',
  'topic',
];

export function messagesDissector(_direction: Direction, _joinedLate: boolean): Dissector {
  return new JsonMessages();
}

class JsonMessages implements Dissector {
  private readonly kept = new KeptBytes();
  /** The offset of the first byte that is kept, from the first ever pushed. */
  private origin = 0;

  push(bytes: Uint8Array, start: number, end: number): readonly Piece[] {
    const found: Piece[] = [];
    const { kept } = this;
    kept.append(bytes, start, end);
    while (kept.length > 0) {
      const size = kept.bytes[kept.start] === OPEN_BRACE ? sizeOfObject(kept.bytes, kept.start, kept.end) : kept.length;
      if (size < 0 && kept.length < MESSAGE_MAX) break;
      const taken = size < 0 ? kept.length : size;
      found.push(this.show(kept.start, kept.start + taken));
      kept.consume(kept.start + taken);
      this.origin += taken;
    }
    return found;
  }

  private show(start: number, end: number): Piece {
    const { bytes } = this.kept;
    const shift = this.origin - start;
    const text = utf8(bytes, start, end);
    if (bytes[start] !== OPEN_BRACE || !isJson(text))
      return { label: 'message', value: shown(bytes, start, end), start: start + shift, end: end + shift };
    const { pieces } = new Tree(bytes, shift).value('message', start, 0).piece;
    const named = KINDS.map((kind) => pieces?.find(({ label }) => label === kind)).find((piece) => piece !== undefined);
    const label = named === undefined ? 'message' : named.label === 'topic' ? 'message' : named.label;
    return {
      label,
      value: named?.value ?? '',
      start: start + shift,
      end: end + shift,
      ...(pieces === undefined ? {} : { pieces }),
    };
  }
}

/** Pieces of a text that is known to be JSON. */
class Tree {
  private readonly bytes: Uint8Array;
  /** From an index in `bytes` to an offset in all that was ever pushed. */
  private readonly shift: number;
  private left = PIECES_MAX;

  constructor(bytes: Uint8Array, shift: number) {
    this.bytes = bytes;
    this.shift = shift;
  }

  /** The value at `start`, and the index behind it. */
  value(label: string, start: number, depth: number): { piece: Piece; end: number } {
    const { bytes } = this;
    const first = bytes[start];
    const isList = first === OPEN_BRACE || first === OPEN_BRACKET;
    const end = isList ? start + sizeOfObject(bytes, start, bytes.length) : endOfScalar(bytes, start);
    const pieces = isList && depth < DEPTH_MAX ? this.within(start, end - 1, depth) : undefined;
    const value = pieces === undefined ? shownJson(bytes, start, end) : '';
    const piece = { label, value, start: start + this.shift, end: end + this.shift };
    return { piece: pieces === undefined ? piece : { ...piece, pieces }, end };
  }

  private within(start: number, end: number, depth: number): Piece[] {
    const { bytes } = this;
    const isObject = bytes[start] === OPEN_BRACE;
    const pieces: Piece[] = [];
    let at = skipSpace(bytes, start + 1);
    while (at < end && this.left-- > 0) {
      let label = String(pieces.length);
      if (isObject) {
        const keyEnd = endOfString(bytes, at);
        label = JSON.parse(utf8(bytes, at, keyEnd)) as string;
        at = skipSpace(bytes, skipSpace(bytes, keyEnd) + 1);
      }
      const { piece, end: behind } = this.value(label, at, depth + 1);
      pieces.push(piece);
      // Over the comma, if there is one.
      at = skipSpace(bytes, skipSpace(bytes, behind) + 1);
    }
    return pieces;
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The bytes of the object or list that begins at `start`; -1 when it does not end. */
function sizeOfObject(bytes: Uint8Array, start: number, end: number): number {
  let depth = 0;
  let at = start;
  while (at < end) {
    const byte = bytes[at]!;
    if (byte === QUOTE) {
      at = endOfString(bytes, at, end);
      continue;
    }
    if (byte === OPEN_BRACE || byte === OPEN_BRACKET) depth++;
    else if ((byte === 0x7d || byte === 0x5d) && --depth === 0) return at + 1 - start;
    at++;
  }
  return -1;
}

function endOfScalar(bytes: Uint8Array, start: number): number {
  if (bytes[start] === QUOTE) return endOfString(bytes, start);
  let at = start;
  while (at < bytes.length && !',]} \t\r\n'.includes(String.fromCharCode(bytes[at]!))) at++;
  return at;
}

/** A string without its quotes, anything else as it was written. */
function shownJson(bytes: Uint8Array, start: number, end: number): string {
  const text = utf8(bytes, start, end);
  const plain = bytes[start] === QUOTE ? (JSON.parse(text) as string) : text;
  return plain.length > SHOWN ? `${plain.slice(0, SHOWN)}…` : plain;
}

function shown(bytes: Uint8Array, start: number, end: number): string {
  const stop = Math.min(end, start + SHOWN);
  const rest = stop < end ? '…' : '';
  if (isUtf8(bytes, start, end)) return `${utf8(bytes, start, stop)}${rest}`;
  return `${Buffer.from(bytes.subarray(start, stop)).toString('hex')}${rest}`;
}
