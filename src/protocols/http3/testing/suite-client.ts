// A client of HTTP/3 for the suite of exchanges: one request a connection, over frames of its own and with a table of its own.
import { ByteWriter } from '../../../bytes/writer.ts';
import type { ClientExchange } from '../../../core/exchange-suite.ts';
import { Fields, NO_FIELDS } from '../../../core/fields.ts';
import type { Mux, MuxSession } from '../../../core/mux.ts';
import { type Cause, ENDED, type Pipe, type Session } from '../../../core/pipe.ts';
import { NEVER } from '../../../core/time.ts';
import {
  CONTROL_STREAM,
  DATA,
  HEADERS,
  QPACK_BLOCKED_STREAMS,
  QPACK_MAX_TABLE_CAPACITY,
  readVarint,
  varint,
} from '../codec.ts';
import { FieldReader } from '../qpack/field-reader.ts';
import { FieldWriter } from '../qpack/field-writer.ts';
import { frame, integers, settings } from './stage.ts';

class Silent implements Session {
  readonly deadline = NEVER;

  receive(_input: Uint8Array, _start: number, end: number): number {
    return end;
  }

  overlong(): void {}
  writable(): void {}
  tick(): void {}
  finish(): void {}
  leave(): void {}
  lost(_cause?: Cause, _wire?: number): void {}
}

/** The server's encoder stream fills our table. */
class Incoming extends Silent {
  private type = -1;
  private readonly of: SuiteClient;

  constructor(of: SuiteClient) {
    super();
    this.of = of;
  }

  override receive(input: Uint8Array, start: number, end: number): number {
    let at = start;
    if (this.type < 0) {
      at = readVarint(input, at, end);
      if (at < 0) return start;
      this.type = varint;
    }
    if (this.type !== 2) return end;
    const next = this.of.headers.instructions(input, at, end);
    if (next < 0) throw new Error(this.of.headers.fault.text);
    this.of.goOn();
    return next;
  }
}

export class SuiteClient extends Silent implements MuxSession, ClientExchange {
  readonly informs: number[] = [];
  requestTrailers: Fields | null = null;
  status = 0;
  fields: Fields = NO_FIELDS;
  length: number | undefined;
  trailers: Fields | null = null;
  ended = false;
  failed: string | null = null;
  readonly headers = new FieldReader({ tableBytesMax: 4_096, headBytesMax: 65_536, fieldsMax: 100 });
  private readonly parts: Buffer[] = [];
  private readonly writer = new FieldWriter();
  private readonly request: { method: string; target: string; fields?: Fields };
  private pipe!: Pipe;
  private queue: Buffer[] = [];
  private readonly mux: Mux;
  private isTunnel = false;

  constructor(mux: Mux, request: { method: string; target: string; fields?: Fields }) {
    super();
    this.request = request;
    this.mux = mux;
  }

  /** Once both ends stand. */
  start(): void {
    const { request } = this;
    const control = this.mux.open(true, () => new Silent())!;
    const pairs = [QPACK_MAX_TABLE_CAPACITY, 4_096, QPACK_BLOCKED_STREAMS, 100];
    this.write(control, integers(CONTROL_STREAM), settings(...pairs));
    const session = new Silent();
    session.receive = (input, from, end) => this.receive(input, from, end);
    session.writable = () => this.sendMore();
    session.finish = () => void (this.ended = this.isTunnel ? false : this.failed === null);
    session.lost = (cause?: Cause, wire?: number) => {
      if (cause !== ENDED || !this.ended) this.failed = `${cause} ${wire}`;
    };
    this.pipe = this.mux.open(false, () => session)!;
    const pseudo = { ':method': request.method, ':scheme': 'http', ':authority': 'a', ':path': request.target };
    const protocol = request.method === 'CONNECT' ? { ':protocol': 'x' } : {};
    const fields = [...Object.entries({ ...pseudo, ...protocol }), ...(request.fields ?? new Fields())];
    this.write(this.pipe, frame(HEADERS, this.section(fields)));
  }

  get body(): Buffer {
    return Buffer.concat(this.parts);
  }

  private section(fields: Iterable<readonly [string, string]>): Buffer {
    const out = new ByteWriter(100_000);
    const lines = this.writer.begin();
    for (const [name, value] of fields) this.writer.field(lines, name, value);
    this.writer.end();
    this.writer.copyTo(out);
    return Buffer.from(out.bytes.subarray(0, out.length));
  }

  private write(pipe: Pipe, ...parts: Uint8Array[]): void {
    for (const bytes of parts) pipe.share(bytes, 0, bytes.length);
    pipe.flush();
  }

  send(bytes: string | Buffer): void {
    for (let at = 0; at < bytes.length; at += 16_384)
      this.queue.push(Buffer.from(bytes.slice(at, at + 16_384) as string));
    this.sendMore();
  }

  private sendMore(): void {
    while (this.queue.length > 0 && this.pipe.room > 0) this.write(this.pipe, frame(DATA, this.queue.shift()!));
  }

  end(): void {
    if (this.requestTrailers !== null) this.write(this.pipe, frame(HEADERS, this.section(this.requestTrailers)));
    this.pipe.end();
  }

  abort(wire: number): void {
    this.pipe.reset(wire);
  }

  goOn(): void {
    this.pipe.resume();
  }

  override receive(input: Uint8Array, start: number, end: number): number {
    let at = start;
    for (;;) {
      let from = readVarint(input, at, end);
      if (from < 0) return at;
      const type = varint;
      from = readVarint(input, from, end);
      if (from < 0 || from + varint > end) return at;
      const to = from + varint;
      if (type === HEADERS) {
        if (!this.head(input, from, to)) {
          this.pipe.pause();
          return at;
        }
      } else if (type === DATA) this.parts.push(Buffer.from(input.subarray(from, to)));
      at = to;
    }
  }

  private head(input: Uint8Array, from: number, to: number): boolean {
    const read = this.headers.read(input, from, to);
    if (read === -1) return false;
    if (read < 0) throw new Error(this.headers.fault.text);
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
    return true;
  }

  opened(): Session {
    return new Incoming(this);
  }

  mayOpen(): void {}
  datagram(): void {}
  override lost(_cause?: Cause, _wire?: number): void {}
}
