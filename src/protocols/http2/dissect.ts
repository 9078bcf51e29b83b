// The codec again, as labelled pieces for the inspector: frames, with the fields of header blocks as the table of their
// direction has them. Credentials and cookies come out masked; what is met in the middle is not guessed at.
import { KeptBytes } from '../../bytes/kept.ts';
import { u16, u32, utf8 } from '../../bytes/reader.ts';
import { type Direction, type Dissector, MASKED, type Piece } from '../../core/tap.ts';
import { protobufText } from '../../formats/schema/protobuf-text.ts';
import * as C from './codec.ts';
import { HeaderReader } from './header-reader.ts';

/** Payloads are shown up to here. */
const SHOWN = 64;
/** Longer frames are none: nobody here allows them. */
const FRAME_MAX = 1_048_576;
const BLOCK_MAX = 4_194_304;
/** Streams that are something else inside; those beyond are shown as bytes. */
const TUNNELS_MAX = 256;
/** Streams that are known to carry messages of gRPC, and characters of a message that are shown. */
const CALLS_MAX = 1_024;
const MESSAGE_SHOWN = 512;
/** What stands before a message: whether it is compressed, and its length. */
const PREFIX = 5;

const SECRET = new Set(['authorization', 'proxy-authorization', 'cookie', 'set-cookie', 'sec-websocket-key']);

/** In a target, what some clients put there though it is a secret. */
const SECRET_QUERY = /([?&](?:access_token|api_?key|auth|key|pass(?:word)?|secret|token)=)[^&]+/gi;

export function http2Dissector(direction: Direction, joinedLate: boolean): Dissector {
  return new Frames(direction === 'in', joinedLate);
}

class Frames implements Dissector {
  private readonly headers = new HeaderReader({ tableBytesMax: 65_536, headBytesMax: BLOCK_MAX, fieldsMax: 10_000 });
  private readonly kept = new KeptBytes();
  /** The offset of the first byte that is kept, from the first ever pushed. */
  private origin = 0;
  private begun: boolean;
  /** It is no HTTP/2, or was met in the middle: what follows may be the rest of a secret. */
  private lost: boolean;
  /** A header block that goes on over several frames. */
  private block = Buffer.alloc(0);
  private readonly tunnels = new Set<number>();
  /** Those open that carry messages of gRPC. */
  private readonly calls = new Set<number>();

  constructor(client: boolean, joinedLate: boolean) {
    this.begun = !client;
    this.lost = joinedLate;
  }

  push(bytes: Uint8Array, start: number, end: number): readonly Piece[] {
    const found: Piece[] = [];
    this.kept.append(bytes, start, end);
    while (this.kept.length > 0) {
      const taken = this.lost ? this.passOver(found, 'bytes') : this.begun ? this.frame(found) : this.preface(found);
      if (taken === 0) break;
      this.kept.consume(this.kept.start + taken);
      this.origin += taken;
    }
    return found;
  }

  private passOver(found: Piece[], label: string): number {
    const { length } = this.kept;
    this.lost = true;
    found.push({ ...this.piece(label, `${length} bytes`, 0, length), hidden: true });
    return length;
  }

  private preface(found: Piece[]): number {
    const { bytes, start, end } = this.kept;
    const is = C.isPreface(bytes, start, end);
    if (is === null) return 0;
    if (!is) return this.passOver(found, 'not HTTP/2');
    this.begun = true;
    found.push(this.piece('preface', 'HTTP/2', 0, C.PREFACE.length));
    return C.PREFACE.length;
  }

  private frame(found: Piece[]): number {
    const { bytes, start, length: here } = this.kept;
    if (here < C.HEAD_BYTES) return 0;
    const length = (bytes[start]! << 16) | u16(bytes, start + 1);
    if (length > FRAME_MAX) return this.passOver(found, 'not HTTP/2');
    const size = C.HEAD_BYTES + length;
    if (here < size) return 0;
    const type = bytes[start + 3]!;
    const flags = bytes[start + 4]!;
    const stream = u32(bytes, start + 5) & C.WINDOW_MAX;
    const pieces: Piece[] = [this.piece('length', String(length), 0, 3), this.piece('stream', String(stream), 5, 9)];
    const named = flagNames(type, flags);
    if (named !== '') pieces.push(this.piece('flags', named, 4, 5));
    const body = this.bodyOf(type, flags, size);
    const value = body === null ? '' : this.payload(type, flags, stream, body.from, body.to, pieces);
    if (value === null) return this.passOver(found, 'not HTTP/2');
    const label = C.FRAME_NAMES[type] ?? `frame ${type}`;
    const of = stream === 0 ? '' : `stream ${stream}`;
    const whole = this.piece(label, [of, value, named].filter((text) => text !== '').join(' '), 0, size);
    const hidden = C.FRAME_NAMES[type] === undefined || (type === C.DATA && this.tunnels.has(stream));
    found.push(hidden ? { ...whole, hidden: true } : { ...whole, pieces });
    return size;
  }

  /** Where a frame's payload stands, without padding and priority; null when it has none. */
  private bodyOf(type: number, flags: number, size: number): { from: number; to: number } | null {
    let from = C.HEAD_BYTES;
    let to = size;
    const { bytes, start } = this.kept;
    if ((type === C.DATA || type === C.HEADERS) && (flags & C.PADDED) !== 0 && from < to) {
      to -= bytes[start + from]!;
      from++;
    }
    if (type === C.HEADERS && (flags & C.HAS_PRIORITY) !== 0) from += 5;
    return from <= to ? { from, to } : null;
  }

  /** What is shown of a payload; null when the header blocks cannot be followed any more. */
  private payload(
    type: number,
    flags: number,
    stream: number,
    from: number,
    to: number,
    pieces: Piece[],
  ): string | null {
    const { bytes, start } = this.kept;
    const number = (at: number): number => (at + 4 <= to ? u32(bytes, start + at) : 0);
    const errorName = (code: number): string => C.ERROR_NAMES[code] ?? String(code);
    switch (type) {
      case C.DATA:
        return this.data(flags, stream, from, to);
      case C.HEADERS:
      case C.CONTINUATION:
        return this.fields(flags, stream, from, to, pieces);
      case C.RST_STREAM:
        this.calls.delete(stream);
        return errorName(number(from));
      case C.GOAWAY:
        return `${number(from)} ${errorName(number(from + 4))}${to > from + 8 ? ` ${this.text(from + 8, to)}` : ''}`;
      case C.WINDOW_UPDATE:
        return String(number(from));
      case C.PRIORITY_UPDATE:
        return `stream ${number(from)} ${this.text(from + 4, to)}`;
      case C.SETTINGS: {
        const said: string[] = [];
        for (let at = from; at + 6 <= to; at += 6) {
          const id = u16(bytes, start + at);
          const name = C.SETTING_NAMES[id] ?? `setting ${id}`;
          said.push(`${name}=${number(at + 2)}`);
          pieces.push(this.piece(name, String(number(at + 2)), at, at + 6));
        }
        return said.join(' ');
      }
      default:
        return `${to - from} bytes`;
    }
  }

  private fields(flags: number, stream: number, from: number, to: number, pieces: Piece[]): string | null {
    const { bytes, start } = this.kept;
    this.block = Buffer.concat([this.block, bytes.subarray(start + from, start + to)]);
    if (this.block.length > BLOCK_MAX) return null;
    if ((flags & C.END_HEADERS) === 0) return `${to - from} bytes of a header block`;
    const { headers, block } = this;
    this.block = Buffer.alloc(0);
    if (headers.read(block, 0, block.length) < 0) return null;
    const { list } = headers;
    const said: string[] = [];
    for (let at = 0; at < list.length; at += 2) {
      const name = list[at]!;
      const value = SECRET.has(name) ? MASKED : shownValue(name, list[at + 1]!);
      pieces.push(this.piece(name, value, from, to));
      if (name === ':method' || name === ':path' || name === ':status') said.push(value);
      if (name === ':method' && value === 'CONNECT' && this.tunnels.size < TUNNELS_MAX) this.tunnels.add(stream);
      if (name === 'content-type' && value.startsWith('application/grpc') && this.calls.size < CALLS_MAX)
        this.calls.add(stream);
    }
    if ((flags & C.END_STREAM) !== 0) this.calls.delete(stream);
    return said.join(' ');
  }

  private data(flags: number, stream: number, from: number, to: number): string {
    if (this.tunnels.has(stream)) return `${to - from} bytes`;
    const message = this.calls.has(stream) ? this.message(from, to) : null;
    if ((flags & C.END_STREAM) !== 0) this.calls.delete(stream);
    return message ?? this.text(from, to);
  }

  /** A frame that is one whole message of gRPC, as most are. */
  private message(from: number, to: number): string | null {
    const { bytes, start } = this.kept;
    if (to - from < PREFIX || bytes[start + from] !== 0 || u32(bytes, start + from + 1) !== to - from - PREFIX)
      return null;
    const text = protobufText(bytes, start + from + PREFIX, start + to);
    if (text === null) return null;
    const cut = text.length > MESSAGE_SHOWN ? `${text.slice(0, MESSAGE_SHOWN)}…` : text;
    return `message of ${to - from - PREFIX} bytes: ${cut}`;
  }

  private text(from: number, to: number): string {
    const { bytes, start } = this.kept;
    const stop = Math.min(to, from + SHOWN);
    const text = utf8(bytes, start + from, start + stop);
    const plain = /^[\x20-\x7e\r\n\t]*$/.test(text);
    const shown = plain ? text : Buffer.from(bytes.subarray(start + from, start + stop)).toString('hex');
    return `${to - from} bytes: ${shown}${stop < to ? '…' : ''}`;
  }

  private piece(label: string, value: string, start: number, end: number): Piece {
    return { label, value, start: this.origin + start, end: this.origin + end };
  }
}

function shownValue(name: string, value: string): string {
  if (value.charCodeAt(0) === 0) return '(malformed)';
  return name === ':path' ? value.replace(SECRET_QUERY, `$1${MASKED}`) : value;
}

function flagNames(type: number, flags: number): string {
  const names: string[] = [];
  const has = (flag: number, name: string, ...types: number[]): void => {
    if ((flags & flag) !== 0 && types.includes(type)) names.push(name);
  };
  has(C.ACK, 'ACK', C.SETTINGS, C.PING);
  has(C.END_STREAM, 'END_STREAM', C.DATA, C.HEADERS);
  has(C.END_HEADERS, 'END_HEADERS', C.HEADERS, C.CONTINUATION);
  has(C.PADDED, 'PADDED', C.DATA, C.HEADERS);
  return names.join(' ');
}
