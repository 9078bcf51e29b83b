// A client of HTTP/2 for the suite of exchanges: one request a connection, over frames of its own.
import { u32 } from '../../../bytes/reader.ts';
import { ByteWriter } from '../../../bytes/writer.ts';
import type { ClientExchange } from '../../../core/exchange-suite.ts';
import { Fields, NO_FIELDS } from '../../../core/fields.ts';
import { type Cause, ENDED, type Pipe, type Session } from '../../../core/pipe.ts';
import { NEVER } from '../../../core/time.ts';
import {
  ACK,
  DATA,
  END_HEADERS,
  END_STREAM,
  HEAD_BYTES,
  HEADERS,
  PREFACE,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from '../codec.ts';
import { HeaderReader } from '../header-reader.ts';
import { HeaderWriter } from '../header-writer.ts';
import { frame, number32, settings } from './stage.ts';

export class SuiteClient implements Session, ClientExchange {
  deadline = NEVER;
  readonly informs: number[] = [];
  requestTrailers: Fields | null = null;
  status = 0;
  fields: Fields = NO_FIELDS;
  length: number | undefined;
  trailers: Fields | null = null;
  ended = false;
  failed: string | null = null;
  private readonly pipe: Pipe;
  private readonly parts: Buffer[] = [];
  private readonly headers = new HeaderReader({ tableBytesMax: 4_096, headBytesMax: 65_536, fieldsMax: 100 });
  private readonly writer = new HeaderWriter();
  /** What waits for a window. */
  private waiting = Buffer.alloc(0);
  private window = 65_535;
  private streamWindow = 65_535;
  private ending = false;

  constructor(pipe: Pipe, request: { method: string; target: string; fields?: Fields }) {
    this.pipe = pipe;
    const pseudo = { ':method': request.method, ':scheme': 'http', ':authority': 'a', ':path': request.target };
    const protocol = request.method === 'CONNECT' ? { ':protocol': 'x' } : {};
    const fields = [...Object.entries({ ...pseudo, ...protocol }), ...(request.fields ?? new Fields())];
    this.write(PREFACE, settings());
    this.write(frame(HEADERS, END_HEADERS, 1, this.block(fields)));
  }

  get body(): Buffer {
    return Buffer.concat(this.parts);
  }

  private block(fields: Iterable<readonly [string, string]>): Buffer {
    const out = new ByteWriter(100_000);
    for (const [name, value] of fields) this.writer.field(out, name, value);
    return Buffer.from(out.bytes.subarray(0, out.length));
  }

  private write(...parts: Uint8Array[]): void {
    for (const bytes of parts) this.pipe.share(bytes, 0, bytes.length);
    this.pipe.flush();
  }

  send(bytes: string | Buffer): void {
    this.waiting = Buffer.concat([this.waiting, Buffer.from(bytes)]);
    this.sendMore();
  }

  private sendMore(): void {
    while (this.waiting.length > 0) {
      const size = Math.min(this.waiting.length, 16_384, this.window, this.streamWindow);
      if (size <= 0) return;
      this.write(frame(DATA, 0, 1, this.waiting.subarray(0, size)));
      this.waiting = this.waiting.subarray(size);
      this.window -= size;
      this.streamWindow -= size;
    }
    if (!this.ending) return;
    this.ending = false;
    if (this.requestTrailers === null) this.write(frame(DATA, END_STREAM, 1));
    else this.write(frame(HEADERS, END_HEADERS | END_STREAM, 1, this.block(this.requestTrailers)));
  }

  end(): void {
    this.ending = true;
    this.sendMore();
  }

  abort(wire: number): void {
    this.write(frame(RST_STREAM, 0, 1, number32(wire)));
  }

  receive(input: Uint8Array, start: number, end: number): number {
    let at = start;
    while (end - at >= HEAD_BYTES) {
      const length = (input[at]! << 16) | (input[at + 1]! << 8) | input[at + 2]!;
      const to = at + HEAD_BYTES + length;
      if (to > end) break;
      this.frame(input[at + 3]!, input[at + 4]!, u32(input, at + 5), input, at + HEAD_BYTES, to);
      at = to;
    }
    return at;
  }

  private frame(type: number, flags: number, stream: number, input: Uint8Array, from: number, to: number): void {
    if (type === HEADERS) this.head(input, from, to);
    else if (type === DATA) {
      this.parts.push(Buffer.from(input.subarray(from, to)));
      if (to > from)
        this.write(frame(WINDOW_UPDATE, 0, 0, number32(to - from)), frame(WINDOW_UPDATE, 0, 1, number32(to - from)));
    } else if (type === WINDOW_UPDATE) {
      if (stream === 0) this.window += u32(input, from);
      else this.streamWindow += u32(input, from);
      this.sendMore();
    } else if (type === SETTINGS && (flags & ACK) === 0) this.write(frame(SETTINGS, ACK, 0));
    else if (type === RST_STREAM && !this.ended) this.failed = `reset ${u32(input, from)}`;
    if ((type === HEADERS || type === DATA) && (flags & END_STREAM) !== 0) this.ended = true;
  }

  private head(input: Uint8Array, from: number, to: number): void {
    this.headers.read(input, from, to);
    const fields = new Fields();
    fields.list.push(...this.headers.list);
    const status = Number(fields.get(':status') ?? 0);
    fields.delete(':status');
    if (status === 0) this.trailers = fields;
    else if (status < 200) this.informs.push(status);
    else {
      this.status = status;
      this.fields = fields;
      const length = fields.get('content-length');
      if (length !== null) this.length = Number(length);
    }
  }

  overlong(): void {}
  writable(): void {}
  tick(): void {}

  finish(): void {
    this.pipe.end();
  }

  leave(): void {}

  lost(cause: Cause, wire: number): void {
    if (cause !== ENDED || !this.ended) this.failed = `${cause} ${wire}`;
  }
}
