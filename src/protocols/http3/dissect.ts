// The codec again, as labelled pieces for the inspector: the frames of each stream, one direction of a connection, with
// fields as the table of that direction has them. Credentials and cookies come out masked; what is met in the middle is not
// guessed at.
import { KeptBytes } from '../../bytes/kept.ts';
import { utf8 } from '../../bytes/reader.ts';
import {
  type Direction,
  type Dissector,
  MASKED,
  type Piece,
  type StreamDissectors,
  type Told,
} from '../../core/tap.ts';
import * as C from './codec.ts';
import { FieldReader } from './qpack/field-reader.ts';

/** A frame longer than this is not kept: it is told by its head. */
const KEPT_MAX = 65_536;
/** Of a body so much is shown. */
const SHOWN = 64;
const SETTINGS_SHOWN = 64;
/** Streams whose fields wait for entries of the table. */
const WAITING_MAX = 128;
/** Tunnels that are told apart; once there are more no body is shown. */
const TUNNELS_MAX = 256;
/** What most have, while nobody has said (RFC 9204 §3.2.3). */
const TABLE_BYTES = 4_096;
const TABLE_MOST = 1_048_576;

const SECRET = new Set(['authorization', 'proxy-authorization', 'cookie', 'set-cookie', 'sec-websocket-key']);

/** In a target, what some clients put there though it is a secret. */
const SECRET_QUERY = /([?&](?:access_token|api_?key|auth|key|pass(?:word)?|secret|token)=)[^&]+/gi;

/** One stream alone: what refers to the table of the connection is told by its size. */
export function http3Dissector(direction: Direction, joinedLate: boolean): Dissector {
  return new Frames(new Side(direction, new Map()), 0, joinedLate);
}

export function http3StreamDissectors(direction: Direction, told: Told): StreamDissectors {
  const side = new Side(direction, told);
  return (stream, joinedLate) => new Frames(side, stream, joinedLate);
}

/** What the streams of one direction have in common. */
class Side {
  readonly waiting = new Set<Frames>();
  private readonly direction: Direction;
  private readonly told: Told;
  private made: FieldReader | null = null;

  constructor(direction: Direction, told: Told) {
    this.direction = direction;
    this.told = told;
  }

  /** The table is as large as whoever reads these fields has said, in the other direction. */
  get reader(): FieldReader {
    if (this.made === null) {
      const said = this.told.get(`${this.direction} table`) ?? TABLE_BYTES;
      this.made = new FieldReader({
        tableBytesMax: Math.min(said, TABLE_MOST),
        headBytesMax: 1_048_576,
        fieldsMax: 1_000,
      });
    }
    return this.made;
  }

  tableOfOther(bytes: number): void {
    this.told.set(`${this.direction === 'in' ? 'out' : 'in'} table`, bytes);
  }

  /** What crosses this stream belongs to somebody else. */
  tunnel(stream: number): void {
    if (this.told.size < TUNNELS_MAX) this.told.set(`tunnel ${stream}`, 1);
  }

  isTunnel(stream: number): boolean {
    return this.told.size >= TUNNELS_MAX || this.told.has(`tunnel ${stream}`);
  }
}

class Frames implements Dissector {
  private readonly side: Side;
  private readonly stream: number;
  private readonly kept = new KeptBytes();
  private origin = 0;
  /** A one-way stream says first what it is. */
  private begun: boolean;
  private isEncoder = false;
  /** Of the frame whose head was shown, so much is still to come. */
  private left = 0;
  /** What follows is not frames, or was met in the middle. */
  private lost: boolean;

  constructor(side: Side, stream: number, joinedLate: boolean) {
    this.side = side;
    this.stream = stream;
    this.begun = (stream & 2) === 0;
    this.lost = joinedLate;
  }

  push(bytes: Uint8Array, start: number, end: number): readonly Piece[] {
    const found: Piece[] = [];
    this.kept.append(bytes, start, end);
    while (this.kept.length > 0) {
      if (this.left > 0) {
        const size = Math.min(this.left, this.kept.length);
        this.left -= size;
        this.drop(size);
      } else if (this.lost) this.passOver(found);
      else if (!(this.begun ? (this.isEncoder ? this.instructions(found) : this.frame(found)) : this.beginning(found)))
        break;
    }
    return found;
  }

  private drop(size: number): void {
    this.kept.consume(this.kept.start + size);
    this.origin += size;
  }

  private piece(label: string, value: string, size: number): Piece {
    return { label, value: `stream ${this.stream} ${value}`, start: this.origin, end: this.origin + size };
  }

  private passOver(found: Piece[]): void {
    const { length } = this.kept;
    found.push({ ...this.piece('bytes', `${length} bytes`, length), hidden: true });
    this.drop(length);
  }

  private beginning(found: Piece[]): boolean {
    const { bytes, start, end } = this.kept;
    const at = C.readVarint(bytes, start, end);
    if (at < 0) return false;
    this.begun = true;
    const type = C.varint;
    found.push(this.piece('stream type', C.STREAM_NAMES[type] ?? `0x${type.toString(16)}`, at - start));
    this.drop(at - start);
    this.isEncoder = type === C.ENCODER_STREAM;
    this.lost = type !== C.CONTROL_STREAM && !this.isEncoder;
    return true;
  }

  /** What is put into the table, and then whatever waited for it. */
  private instructions(found: Piece[]): boolean {
    const { bytes, start, end } = this.kept;
    const { reader, waiting } = this.side;
    const before = reader.table.added;
    const next = reader.instructions(bytes, start, end);
    if (next < 0) this.lost = true;
    if (next <= start) return next < 0;
    const pieces: Piece[] = [];
    const at = { start: this.origin, end: this.origin + next - start };
    for (let number = before; number < reader.table.added; number++) {
      if (!reader.table.has(number)) continue;
      const label = reader.table.nameOf(number);
      pieces.push({ label, value: shownValue(label, reader.table.valueOf(number)), ...at });
    }
    const { added, sizeMax } = reader.table;
    const value = `${added - before} inserted, ${added} in all, capacity ${sizeMax}`;
    found.push({ ...this.piece('QPACK', value, next - start), pieces });
    this.drop(next - start);
    for (const stream of [...waiting]) {
      waiting.delete(stream);
      found.push(...stream.push(bytes, 0, 0));
    }
    return true;
  }

  private frame(found: Piece[]): boolean {
    const { bytes, start, end } = this.kept;
    const lengthAt = C.readVarint(bytes, start, end);
    if (lengthAt < 0) return false;
    const type = C.varint;
    if (type === C.WEBTRANSPORT_STREAM && this.origin === 0) {
      this.lost = true;
      found.push(this.piece('WEBTRANSPORT_STREAM', '', lengthAt - start));
      this.drop(lengthAt - start);
      return true;
    }
    const from = C.readVarint(bytes, lengthAt, end);
    if (from < 0) return false;
    const length = C.varint;
    const size = from - start + length;
    const label = C.FRAME_NAMES[type] ?? `frame 0x${type.toString(16)}`;
    if (type === C.DATA || length > KEPT_MAX) {
      if (end - from < Math.min(length, SHOWN)) return false;
      const hidden = type !== C.DATA || this.side.isTunnel(this.stream);
      const value = hidden ? `${length} bytes` : this.text(from, length);
      found.push({ ...this.piece(label, value, size), ...(hidden && { hidden }) });
      this.left = size;
      return true;
    }
    if (end - from < length) return false;
    const inside = this.inside(type, from, from + length);
    if (inside === null) return false;
    const { value = `${length} bytes`, ...more } = inside;
    found.push({ ...this.piece(label, value, size), ...more });
    this.drop(size);
    return true;
  }

  private text(from: number, length: number): string {
    const { bytes } = this.kept;
    const stop = from + Math.min(length, SHOWN);
    const text = utf8(bytes, from, stop);
    const plain = /^[\x20-\x7e\r\n\t]*$/.test(text);
    const shown = plain ? text : Buffer.from(bytes.subarray(from, stop)).toString('hex');
    return `${length} bytes: ${shown}${length > SHOWN ? '…' : ''}`;
  }

  /** What is in a frame; null while entries of the table that it needs have not come. */
  private inside(type: number, from: number, to: number): Partial<Piece> | null {
    const { bytes } = this.kept;
    if (type === C.HEADERS) return this.fields(from, to);
    if (type === C.SETTINGS) return this.settings(from, to);
    if (type === C.GOAWAY || type === C.MAX_PUSH_ID || type === C.CANCEL_PUSH)
      return C.readVarint(bytes, from, to) < 0 ? {} : { value: String(C.varint) };
    if (type === C.PRIORITY_UPDATE) {
      const at = C.readVarint(bytes, from, to);
      return at < 0 ? {} : { value: `of stream ${C.varint}: ${utf8(bytes, at, Math.min(to, at + SHOWN))}` };
    }
    return { hidden: true };
  }

  private settings(from: number, to: number): Partial<Piece> {
    const { bytes, start } = this.kept;
    const at = (index: number) => this.origin + index - start;
    const pieces: Piece[] = [];
    for (let next = from; next < to && pieces.length < SETTINGS_SHOWN; ) {
      const valueAt = C.readVarint(bytes, next, to);
      if (valueAt < 0) break;
      const setting = C.varint;
      const after = C.readVarint(bytes, valueAt, to);
      if (after < 0) break;
      if (setting === C.QPACK_MAX_TABLE_CAPACITY) this.side.tableOfOther(C.varint);
      const label = C.SETTING_NAMES[setting] ?? `setting 0x${setting.toString(16)}`;
      pieces.push({ label, value: String(C.varint), start: at(next), end: at(after) });
      next = after;
    }
    return { value: pieces.map(({ label, value }) => `${label}=${value}`).join(' '), pieces };
  }

  private fields(from: number, to: number): Partial<Piece> | null {
    const { reader, waiting } = this.side;
    const { bytes } = this.kept;
    const next = reader.read(bytes, from, to);
    if (next < 0 && reader.required > reader.table.added && waiting.size < WAITING_MAX) {
      waiting.add(this);
      return null;
    }
    if (next < 0) return { value: `${to - from} bytes of fields that cannot be read`, hidden: true };
    const start = this.origin + from - this.kept.start;
    const end = this.origin + to - this.kept.start;
    const pieces: Piece[] = [];
    const said: string[] = [];
    const { list } = reader;
    for (let at = 0; at < list.length; at += 2) {
      const label = list[at]!;
      const value = shownValue(label, list[at + 1]!);
      pieces.push({ label, value, start, end });
      if (label === ':method' || label === ':path' || label === ':status') said.push(value);
      if (label === ':method' && value === 'CONNECT') this.side.tunnel(this.stream);
    }
    return { value: said.length === 0 ? `${pieces.length} fields` : said.join(' '), pieces };
  }
}

function shownValue(name: string, value: string): string {
  if (SECRET.has(name)) return MASKED;
  return value.replace(SECRET_QUERY, `$1${MASKED}`);
}
