// The codec again, as labelled pieces for the inspector: heads with their fields, pieces of bodies, chunks. Credentials and
// cookies come out masked. One direction knows nothing of the other: a response to HEAD is told by what follows it.
import { KeptBytes } from '../../bytes/kept.ts';
import { BAD, MORE, utf8 } from '../../bytes/reader.ts';
import type { Fields } from '../../core/fields.ts';
import { type Direction, type Dissector, MASKED, type Piece } from '../../core/tap.ts';
import { ChunkReader, COMPLETE, DATA, HeadReader } from './codec.ts';
import { lengthOf } from './framing.ts';

/** Payloads are shown up to here. */
const SHOWN = 64;

const BOUNDS = {
  requestLineBytesMax: 65_536,
  headBytesMax: 1_048_576,
  fieldsMax: 10_000,
  chunkExtensionBytesMax: 65_536,
};

const SECRET = new Set(['authorization', 'proxy-authorization', 'cookie', 'set-cookie', 'sec-websocket-key']);

/** In a target, what some clients put there though it is a secret. */
const SECRET_QUERY = /([?&](?:access_token|api_?key|auth|key|pass(?:word)?|secret|token)=)[^&]+/gi;

const HEAD = 0;
const BODY = 1;
const CHUNKS = 2;
/** Until the end: a body of unknown length, or another protocol. */
const REST = 3;

export function http1Dissector(direction: Direction, joinedLate: boolean): Dissector {
  return new Http1Dissector(direction === 'in' ? 'request' : 'response', joinedLate);
}

class Http1Dissector implements Dissector {
  private readonly kind: 'request' | 'response';
  private readonly head: HeadReader;
  private readonly chunks = new ChunkReader(BOUNDS);
  private readonly kept = new KeptBytes();
  private origin = 0;
  private state: typeof HEAD | typeof BODY | typeof CHUNKS | typeof REST = HEAD;
  private left = 0;
  /** Joined within something: only what begins like a head is one. */
  private adrift: boolean;
  /** It was no HTTP, or was met in the middle: what follows may be the rest of a secret. */
  private lost = false;

  constructor(kind: 'request' | 'response', joinedLate: boolean) {
    this.kind = kind;
    this.head = new HeadReader(kind, BOUNDS);
    this.adrift = joinedLate;
  }

  push(bytes: Uint8Array, start: number, end: number): readonly Piece[] {
    const found: Piece[] = [];
    this.kept.append(bytes, start, end);
    while (this.kept.length > 0) {
      const taken = this.step(found);
      if (taken === 0) break;
      this.kept.consume(this.kept.start + taken);
      this.origin += taken;
    }
    return found;
  }

  /** Shows what stands next; answers its bytes, 0 for "need more". */
  private step(found: Piece[]): number {
    const { kept } = this;
    switch (this.state) {
      case HEAD:
        return this.readHead(found);
      case BODY: {
        if (this.kind === 'response' && this.beginsHead()) {
          this.state = HEAD;
          return this.readHead(found);
        }
        const size = Math.min(this.left, kept.length);
        this.left -= size;
        if (this.left === 0) this.state = HEAD;
        found.push(this.bytesPiece('body', 0, size));
        return size;
      }
      case CHUNKS:
        return this.readChunks(found);
      default:
        if (this.lost) return this.passOver(found);
        found.push(this.bytesPiece('bytes', 0, kept.length));
        return kept.length;
    }
  }

  private beginsHead(): boolean {
    const { bytes, start, end } = this.kept;
    return utf8(bytes, start, Math.min(end, start + 7)) === 'HTTP/1.';
  }

  private readHead(found: Piece[]): number {
    const { kept, head } = this;
    if (this.adrift && this.kind === 'response' && !this.beginsHead()) return this.giveUp(found);
    const next = head.read(kept.bytes, kept.start, kept.end);
    if (next === MORE) return 0;
    if (next === BAD) return this.giveUp(found);
    this.adrift = false;
    const { method, target, status, reason, fields } = head;
    const version = head.version === 10 ? 'HTTP/1.0' : 'HTTP/1.1';
    const shownTarget = target.replace(SECRET_QUERY, `$1${MASKED}`);
    const value = this.kind === 'request' ? `${shownTarget} ${version}` : `${reason} ${version}`;
    const pieces = this.fieldPieces(fields, next - kept.start);
    if (this.kind === 'request' && shownTarget !== target)
      pieces.unshift(this.piece('target', MASKED, 0, kept.bytes.indexOf(0x0a, kept.start) + 1 - kept.start));
    found.push(this.piece(this.kind === 'request' ? method : String(status), value, 0, next - kept.start, pieces));
    this.expectBody();
    return next - kept.start;
  }

  /** The fields of a head or of trailers, each with its line where every line is one. */
  private fieldPieces(fields: Fields, size: number): Piece[] {
    const { bytes, start } = this.kept;
    const all = [...fields];
    const lines: number[] = [];
    for (let at = start; at < start + size; at = bytes.indexOf(0x0a, at) + 1) {
      lines.push(at - start);
      if (bytes.indexOf(0x0a, at) < 0) break;
    }
    // The line of the request and the empty one are none; a chunk's line stands where that of the request does.
    const own = lines.length === all.length + 2;
    return all.map(([name, text], index) =>
      this.piece(name, SECRET.has(name) ? MASKED : text, own ? lines[index + 1]! : 0, own ? lines[index + 2]! : size),
    );
  }

  private expectBody(): void {
    const { status, fields } = this.head;
    const response = this.kind === 'response';
    const length = lengthOf(fields.get('content-length') ?? '');
    if (response && status === 101) this.state = REST;
    else if (response && (status < 200 || status === 204 || status === 304)) this.state = HEAD;
    else if (fields.joined('transfer-encoding')?.toLowerCase().endsWith('chunked')) {
      this.state = CHUNKS;
      this.chunks.begin();
    } else if (length > 0) {
      this.state = BODY;
      this.left = length;
    } else if (response && length < 0) this.state = REST;
    else if (!response && fields.has('upgrade')) this.state = REST;
    else this.state = HEAD;
  }

  private readChunks(found: Piece[]): number {
    const { kept, chunks } = this;
    const next = chunks.read(kept.bytes, kept.start, kept.end);
    if (next === BAD) return this.giveUp(found);
    if (chunks.found === DATA) found.push(this.bytesPiece('chunk', chunks.dataStart - kept.start, next - kept.start));
    if (chunks.found === COMPLETE) {
      const pieces = this.fieldPieces(chunks.trailers, next - kept.start);
      found.push(this.piece('last chunk', '', 0, next - kept.start, pieces));
      this.state = HEAD;
    }
    return next - kept.start;
  }

  private giveUp(found: Piece[]): number {
    const { length } = this.kept;
    found.push({ ...this.piece('not HTTP/1.1', `${length} bytes`, 0, length), hidden: true });
    this.state = REST;
    this.lost = true;
    return length;
  }

  private passOver(found: Piece[]): number {
    const { length } = this.kept;
    found.push({ ...this.piece('bytes', `${length} bytes`, 0, length), hidden: true });
    return length;
  }

  private bytesPiece(label: string, start: number, end: number): Piece {
    const { bytes, start: from } = this.kept;
    const stop = Math.min(end, start + SHOWN);
    const text = utf8(bytes, from + start, from + stop);
    const plain = /^[\x20-\x7e\r\n\t]*$/.test(text);
    const shown = plain ? text : Buffer.from(bytes.subarray(from + start, from + stop)).toString('hex');
    return this.piece(label, `${end - start} bytes: ${shown}${stop < end ? '…' : ''}`, start, end);
  }

  private piece(label: string, value: string, start: number, end: number, pieces?: readonly Piece[]): Piece {
    const made = { label, value, start: this.origin + start, end: this.origin + end };
    return pieces === undefined || pieces.length === 0 ? made : { ...made, pieces };
  }
}
