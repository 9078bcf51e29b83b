// What those who watch are told, one value an event, and how a frame is put into one line. It knows no socket and no
// protocol by name: labels of pieces are all that it goes by.
import { type Direction, type KernelFigures, MASKED, type Piece } from '../core/tap.ts';

/** What every event has. Times are of the wall clock, in milliseconds; `connection` is the pipe's number on the server. */
interface Told {
  readonly at: number;
  readonly connection: number;
  readonly protocol: string;
  readonly from: string;
}

export interface OpenedSeen extends Told {
  readonly event: 'opened';
  readonly carrier: string;
  readonly to: string;
  /** Bytes had crossed before anybody watched. */
  readonly late: boolean;
}

/** Another protocol speaks on the connection from now on. */
export interface LayerSeen extends Told {
  readonly event: 'layer';
}

/** TLS stands on the connection from now on; what the library said of the handshake. */
export interface SecuredSeen extends Told {
  readonly event: 'secured';
  readonly version: string;
  readonly cipher: string;
  readonly alpn: string | null;
  readonly serverName: string | null;
  readonly resumed: boolean;
  /** The client gave a certificate that was verified. */
  readonly certificate: boolean;
}

export interface FrameSeen extends Told {
  readonly event: 'frame';
  readonly direction: Direction;
  readonly size: number;
  readonly label: string;
  readonly value: string;
  readonly pieces: readonly Piece[];
  /** The bytes in hex, secrets as dots; only where somebody asked for them. */
  readonly bytes?: string;
}

export interface FaultSeen extends Told {
  readonly event: 'fault';
  readonly fault: string;
  readonly spec: string;
  readonly text: string;
}

export interface EffectSeen extends Told {
  readonly event: 'effect';
  readonly verb: string;
  readonly path: string;
  readonly outcome: string;
}

export interface ClosedSeen extends Told {
  readonly event: 'closed';
  readonly cause: string;
  /** The last that the kernel said, where that is known. */
  readonly kernel?: KernelFigures;
}

/** What the kernel says of a connection that stands. */
export interface KernelSeen extends Told {
  readonly event: 'kernel';
  readonly kernel: KernelFigures;
}

/** More came than could be looked at: so many bytes of this direction were passed over. */
export interface SkippedSeen extends Told {
  readonly event: 'skipped';
  readonly direction: Direction;
  readonly bytes: number;
}

export type Seen =
  | OpenedSeen
  | LayerSeen
  | SecuredSeen
  | FrameSeen
  | FaultSeen
  | EffectSeen
  | ClosedSeen
  | KernelSeen
  | SkippedSeen;

/** A value is shown up to so many characters, and a frame up to so many pieces. */
const VALUE_MOST = 512;
const PIECES_MOST = 256;
/** Of a frame's bytes so many are shown. */
export const BYTES_MOST = 1_024;

/** A value that was cut says so. */
export function clip(value: string): string {
  if (value.length <= VALUE_MOST) return value;
  // Half of a surrogate pair would be no character.
  const cut = value.slice(0, VALUE_MOST).replace(/[\ud800-\udbff]$/, '');
  return `${cut}… (${value.length} characters)`;
}

/** Pieces within bounds. */
export function clipPieces(pieces: readonly Piece[], left = { pieces: PIECES_MOST }): Piece[] {
  const kept: Piece[] = [];
  for (const piece of pieces) {
    if (--left.pieces < 0) break;
    const { label, value, start, end } = piece;
    const own = { label: clip(label), value: clip(value), start, end };
    kept.push(piece.pieces === undefined ? own : { ...own, pieces: clipPieces(piece.pieces, left) });
  }
  return kept;
}

/** The bytes of a frame in hex: what is secret, or what nobody knows the meaning of, as dots. `''` when nothing is known. */
export function hexOf(frame: Piece, bytes: Uint8Array, start: number, end: number): string {
  const most = Math.min(end, start + BYTES_MOST);
  const secret = new Uint8Array(most - start);
  cover(frame, frame.start, secret);
  const text: string[] = [];
  for (let at = start; at < most; at++)
    text.push(secret[at - start] === 1 ? '··' : bytes[at]!.toString(16).padStart(2, '0'));
  return `${text.join('')}${most < end ? '…' : ''}`;
}

/** Marks what is masked. */
function cover(piece: Piece, from: number, secret: Uint8Array): void {
  if (piece.hidden === true || piece.value === MASKED)
    secret.fill(1, Math.max(0, piece.start - from), piece.end - from);
  for (const inner of piece.pieces ?? []) cover(inner, from, secret);
}

/** Pieces that say what a frame is about, in the order in which they are worth reading. */
const TELLING = [
  'client identifier',
  'name',
  'user name',
  'topic name',
  'topic',
  'topic filter',
  'filter',
  'packet identifier',
  'reason code',
  'return code',
  'payload',
  'rest',
];

/** One line about a frame: its label, what it says of itself, and the pieces that tell most. */
export function summaryOf({ label, value, pieces }: Pick<FrameSeen, 'label' | 'value' | 'pieces'>): string {
  const parts = [label];
  // A frame whose value begins with its own name does not say it twice, nor its size.
  if (value !== '' && !value.startsWith(label)) parts.push(value);
  else if (value.includes('; ')) parts.push(value.slice(value.indexOf('; ') + 2));
  for (const wanted of TELLING)
    for (const piece of pieces)
      if (piece.label === wanted && piece.value !== '' && piece.value !== value) parts.push(`${wanted} ${piece.value}`);
  return parts.join('  ');
}

const NAMES_TOPIC = new Set(['topic', 'topic name', 'topic filter', 'filter', 'will topic']);

/** The topics, and filters of topics, that a frame names. */
export function topicsOf(frame: Pick<FrameSeen, 'label' | 'value' | 'pieces'>): string[] {
  const found: string[] = [];
  const visit = (pieces: readonly Piece[]) => {
    for (const { label, value, pieces: inner } of pieces) {
      if (NAMES_TOPIC.has(label)) found.push(value);
      if (inner !== undefined) visit(inner);
    }
  };
  visit(frame.pieces);
  const path = /^\/topics\/([^ ?]+)/.exec(frame.value)?.[1];
  if (path !== undefined) found.push(decoded(path));
  for (const [, text] of frame.value.matchAll(/"topic":("(?:[^"\\]|\\.)*")/g)) found.push(unquoted(text!));
  return found;
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function unquoted(text: string): string {
  try {
    return String(JSON.parse(text));
  } catch {
    return text;
  }
}
