// The codec again, as labelled pieces for the inspector: the frames of one stream, or what its first integer says it is.
// Fields that refer to the table of the connection are told by their size; credentials and cookies come out masked.
import { KeptBytes } from '../../bytes/kept.ts';
import { type Direction, type Dissector, MASKED, type Piece } from '../../core/tap.ts';
import * as C from './codec.ts';
import { FieldReader } from './qpack/field-reader.ts';

/** A frame longer than this is not kept: it is told by its head. */
const SHOWN_MAX = 16_384;
const SETTINGS_SHOWN = 64;

const SECRET = new Set(['authorization', 'proxy-authorization', 'cookie', 'set-cookie', 'sec-websocket-key']);

/** In a target, what some clients put there though it is a secret. */
const SECRET_QUERY = /([?&](?:access_token|api_?key|auth|key|pass(?:word)?|secret|token)=)[^&]+/gi;

export function http3Dissector(_direction: Direction, joinedLate: boolean): Dissector {
  return new Frames(joinedLate);
}

class Frames implements Dissector {
  private readonly kept = new KeptBytes();
  private origin = 0;
  private begun = false;
  /** Of the frame whose head was shown, so much is still to come. */
  private left = 0;
  /** What follows is not frames, or was met in the middle. */
  private lost: boolean;

  constructor(joinedLate: boolean) {
    this.lost = joinedLate;
  }

  push(bytes: Uint8Array, start: number, end: number): readonly Piece[] {
    const found: Piece[] = [];
    if (this.lost) {
      const from = this.origin;
      this.origin += end - start;
      if (end > start)
        found.push({ label: 'bytes', value: `${end - start} bytes`, start: from, end: this.origin, hidden: true });
      return found;
    }
    this.kept.append(bytes, start, end);
    for (;;) {
      if (this.left > 0) {
        const size = Math.min(this.left, this.kept.length);
        this.left -= size;
        this.drop(size);
        if (this.left > 0) break;
      }
      if (!this.begun && !this.beginning(found)) break;
      if (this.lost) {
        const rest = this.kept.length;
        if (rest > 0) found.push({ ...this.piece('bytes', `${rest} bytes`, rest), hidden: true });
        this.drop(rest);
        break;
      }
      if (!this.frame(found)) break;
    }
    return found;
  }

  private drop(size: number): void {
    this.kept.consume(this.kept.start + size);
    this.origin += size;
  }

  private piece(label: string, value: string, size: number): Piece {
    return { label, value, start: this.origin, end: this.origin + size };
  }

  /** A one-way stream says what it is; those of requests begin with a frame. */
  private beginning(found: Piece[]): boolean {
    const { bytes, start, end } = this.kept;
    const at = C.readVarint(bytes, start, end);
    if (at < 0) return false;
    this.begun = true;
    const type = C.varint;
    if (type !== C.CONTROL_STREAM && type !== C.ENCODER_STREAM && type !== C.DECODER_STREAM) return true;
    found.push(this.piece('stream', C.STREAM_NAMES[type]!, at - start));
    this.drop(at - start);
    this.lost = type !== C.CONTROL_STREAM;
    return true;
  }

  private frame(found: Piece[]): boolean {
    const { bytes, start, end } = this.kept;
    const lengthAt = C.readVarint(bytes, start, end);
    if (lengthAt < 0) return false;
    const type = C.varint;
    const from = C.readVarint(bytes, lengthAt, end);
    if (from < 0) return false;
    const length = C.varint;
    const shown = type !== C.DATA && length <= SHOWN_MAX;
    if (shown && end - from < length) return false;
    const size = from - start + length;
    const label = C.FRAME_NAMES[type] ?? `frame 0x${type.toString(16)}`;
    if (!shown) {
      // What is in a body may be anybody's.
      found.push({ ...this.piece(label, `${length} bytes`, size), hidden: true });
      this.left = size;
      return true;
    }
    found.push({ ...this.piece(label, `${length} bytes`, size), ...this.inside(type, from, from + length) });
    this.drop(size);
    return true;
  }

  private inside(type: number, from: number, to: number): Partial<Piece> {
    const { bytes, start } = this.kept;
    const at = (index: number) => this.origin + index - start;
    if (type === C.HEADERS) return this.fields(from, to);
    if (type === C.SETTINGS) {
      const pieces: Piece[] = [];
      for (let next = from; next < to && pieces.length < SETTINGS_SHOWN; ) {
        const valueAt = C.readVarint(bytes, next, to);
        if (valueAt < 0) break;
        const label = C.SETTING_NAMES[C.varint] ?? `setting 0x${C.varint.toString(16)}`;
        const after = C.readVarint(bytes, valueAt, to);
        if (after < 0) break;
        pieces.push({ label, value: String(C.varint), start: at(next), end: at(after) });
        next = after;
      }
      return { pieces };
    }
    if (type === C.GOAWAY || type === C.MAX_PUSH_ID || type === C.CANCEL_PUSH)
      return C.readVarint(bytes, from, to) < 0 ? {} : { value: String(C.varint) };
    return { hidden: true };
  }

  private fields(from: number, to: number): Partial<Piece> {
    const reader = new FieldReader({ tableBytesMax: 0, headBytesMax: 1_048_576, fieldsMax: 1_000 });
    if (reader.read(this.kept.bytes, from, to) < 0) return { hidden: true };
    const start = this.origin + from - this.kept.start;
    const end = this.origin + to - this.kept.start;
    const pieces: Piece[] = [];
    const { list } = reader;
    for (let at = 0; at < list.length; at += 2) {
      const label = list[at]!;
      const value = SECRET.has(label) ? MASKED : list[at + 1]!.replace(SECRET_QUERY, `$1${MASKED}`);
      pieces.push({ label, value, start, end });
    }
    return { pieces };
  }
}
