// A client of HTTP/1.1 for the suite of exchanges: bodies are chunked, answers are read by the codec.
import type { ClientExchange } from '../../../core/exchange-suite.ts';
import { Fields, NO_FIELDS } from '../../../core/fields.ts';
import { type Cause, ENDED, type Pipe, type Session } from '../../../core/pipe.ts';
import { NEVER } from '../../../core/time.ts';
import { ChunkReader, COMPLETE, DATA, HeadReader } from '../codec.ts';

const BOUNDS = { requestLineBytesMax: 65_536, headBytesMax: 65_536, fieldsMax: 100, chunkExtensionBytesMax: 100 };

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
  private readonly head = new HeadReader('response', BOUNDS);
  private readonly chunks = new ChunkReader(BOUNDS);
  private readonly hasBody: boolean;
  private left = 0;

  constructor(pipe: Pipe, request: { method: string; target: string; fields?: Fields }) {
    this.pipe = pipe;
    this.hasBody = request.method !== 'GET';
    const fields = [...(request.fields ?? new Fields())].map(([name, value]) => `${name}: ${value}\r\n`).join('');
    const coding = this.hasBody ? 'Transfer-Encoding: chunked\r\n' : '';
    this.write(`${request.method} ${request.target} HTTP/1.1\r\nHost: a\r\n${coding}${fields}\r\n`);
  }

  get body(): Buffer {
    return Buffer.concat(this.parts);
  }

  private write(text: string | Buffer): void {
    const bytes = Buffer.from(text);
    this.pipe.share(bytes, 0, bytes.length);
    this.pipe.flush();
  }

  send(bytes: string | Buffer): void {
    const size = Buffer.byteLength(bytes);
    if (!this.hasBody) this.write(bytes);
    else if (size > 0) this.write(Buffer.concat([Buffer.from(`${size.toString(16)}\r\n`), Buffer.from(bytes), CRLF]));
  }

  end(): void {
    if (!this.hasBody) return;
    const trailers = [...(this.requestTrailers ?? new Fields())].map(([name, value]) => `${name}: ${value}\r\n`);
    this.write(`0\r\n${trailers.join('')}\r\n`);
  }

  abort(wire: number): void {
    this.pipe.reset(wire);
  }

  receive(input: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end) {
      const next = this.status === 0 ? this.readHead(input, at, end) : this.readBody(input, at, end);
      if (next === at) break;
      at = next;
    }
    return at;
  }

  private readHead(input: Uint8Array, at: number, end: number): number {
    const { head } = this;
    const next = head.read(input, at, end);
    if (next < 0) return at;
    if (head.status < 200 && head.status !== 101) {
      this.informs.push(head.status);
      return next;
    }
    this.status = head.status;
    this.fields = head.fields;
    const length = head.fields.get('content-length');
    if (length !== null) this.length = Number(length);
    this.left = this.length ?? 0;
    if (this.length === 0) this.ended = true;
    return next;
  }

  private readBody(input: Uint8Array, at: number, end: number): number {
    if (this.length !== undefined || this.status === 101) {
      const next = this.status === 101 ? end : Math.min(end, at + this.left);
      this.left -= next - at;
      this.parts.push(Buffer.from(input.subarray(at, next)));
      if (this.left === 0) this.ended = true;
      return next;
    }
    const next = this.chunks.read(input, at, end);
    if (this.chunks.found === DATA) this.parts.push(Buffer.from(input.subarray(this.chunks.dataStart, next)));
    if (this.chunks.found === COMPLETE) {
      this.trailers = this.chunks.trailers;
      this.ended = true;
    }
    return next;
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

const CRLF = Buffer.from('\r\n');
