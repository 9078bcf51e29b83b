// HTTP/3 in a simulated world: a server whose routes a test gives, and a client that writes bytes on streams and reads them.
import { ByteWriter } from '../../../bytes/writer.ts';
import type { ExchangeHandler } from '../../../core/exchange.ts';
import { bindLimits } from '../../../core/limits.ts';
import { SILENT } from '../../../core/log.ts';
import type { Mux, MuxSession } from '../../../core/mux.ts';
import type { Cause, Pipe, Session } from '../../../core/pipe.ts';
import { Recorder } from '../../../core/pipe-suite.ts';
import { NEVER } from '../../../core/time.ts';
import { linkMux, type MuxOptions, type SimulatedMux } from '../../../sim/mux.ts';
import { World } from '../../../sim/world.ts';
import {
  CONTROL_STREAM,
  DATA,
  HEADERS,
  readVarint,
  varint,
  writeFrameHead,
  writeSettings,
  writeVarint,
} from '../codec.ts';
import { limits } from '../limits.ts';
import { FieldReader } from '../qpack/field-reader.ts';
import { FieldWriter } from '../qpack/field-writer.ts';
import { type Http3Host, Http3Session } from '../session.ts';

export function integers(...values: number[]): Buffer {
  const out = new ByteWriter(1_000_000);
  for (const value of values) writeVarint(out, value);
  return Buffer.from(out.bytes.subarray(0, out.length));
}

export function frame(type: number, payload: Uint8Array | string = ''): Buffer {
  const body = Buffer.from(payload as string);
  const out = new ByteWriter(1_000);
  writeFrameHead(out, type, body.length);
  return Buffer.concat([out.bytes.subarray(0, out.length), body]);
}

export function settings(...pairs: number[]): Buffer {
  const out = new ByteWriter(10_000);
  writeSettings(out, pairs);
  return Buffer.from(out.bytes.subarray(0, out.length));
}

/** A field section that refers to no table but the static one. */
export function section(fields: Readonly<Record<string, string>> | readonly (readonly [string, string])[]): Buffer {
  const writer = new FieldWriter();
  const lines = writer.begin();
  const list = Array.isArray(fields) ? fields : Object.entries(fields);
  for (const [name, value] of list as [string, string][]) writer.field(lines, name, value);
  const out = new ByteWriter(10_000_000);
  writer.end();
  writer.copyTo(out);
  return Buffer.from(out.bytes.subarray(0, out.length));
}

export const GET = { ':method': 'GET', ':scheme': 'https', ':authority': 'a.test', ':path': '/' };

export interface StageOptions extends MuxOptions {
  readonly limits?: Readonly<Record<string, number>>;
  readonly early?: boolean;
  /** Where it is played, where another carries it. */
  readonly world?: World;
}

export class Stage {
  readonly world: World;
  readonly logged: string[] = [];
  private readonly routes: ExchangeHandler;
  private readonly options: StageOptions;

  constructor(routes: ExchangeHandler, options: StageOptions = {}) {
    this.routes = routes;
    this.options = options;
    this.world = options.world ?? new World(1);
  }

  get host(): Http3Host {
    const { world, logged } = this;
    return {
      limits: bindLimits(limits, this.options.limits),
      get clock() {
        return world.turn.clock;
      },
      entropy: world.random,
      log: { ...SILENT, error: (text, more) => void logged.push(`${text} ${JSON.stringify(more)}`) },
      routes: this.routes,
    };
  }

  /** Joins a client's session to a server. */
  join<Near extends MuxSession>(near: (mux: Mux) => Near): { client: Near; mux: SimulatedMux; server: SimulatedMux } {
    let client!: Near;
    const link = linkMux(
      this.world,
      (mux) => (client = near(mux)),
      (mux) => {
        if (this.options.early === true) Object.defineProperty(mux, 'early', { value: true });
        return this.serve(mux);
      },
      this.options,
    );
    return { client, mux: link.near, server: link.far };
  }

  serve(mux: Mux): Http3Session {
    return new Http3Session(mux, this.host);
  }

  connect(): Client {
    const { client, server } = this.join((mux) => new Client(mux, this.world));
    client.server = server;
    return client;
  }

  /** A connection whose control stream is open. */
  open(...pairs: number[]): Client {
    const client = this.connect();
    client.control = client.oneWay(integers(CONTROL_STREAM), settings(...pairs));
    this.world.pass(20);
    return client;
  }
}

/** Says what a test says, and keeps what it hears. */
export class Client implements MuxSession {
  readonly deadline = NEVER;
  server!: SimulatedMux;
  control!: Recorder;
  readonly theirs: Recorder[] = [];
  /** Those that it opened. */
  readonly open: Recorder[] = [];
  readonly datagrams: string[] = [];
  ended: string | null = null;
  readonly reader = new FieldReader({ tableBytesMax: 4_096, headBytesMax: 1_000_000, fieldsMax: 10_000 });
  private readonly mux: Mux;
  private readonly world: World;

  constructor(mux: Mux, world: World) {
    this.mux = mux;
    this.world = world;
  }

  private stream(oneWay: boolean, parts: readonly Uint8Array[]): Recorder {
    let recorder!: Recorder;
    if (this.mux.open(oneWay, (pipe) => (recorder = new Recorder(pipe))) === null) throw new Error('no stream');
    if (!oneWay) this.open.push(recorder);
    this.says(recorder, ...parts);
    return recorder;
  }

  says(stream: Recorder, ...parts: Uint8Array[]): void {
    for (const bytes of parts) stream.pipe.share(Buffer.from(bytes), 0, bytes.length);
    stream.pipe.flush();
  }

  oneWay(...parts: Uint8Array[]): Recorder {
    return this.stream(true, parts);
  }

  /** A two-way stream. */
  request(...parts: Uint8Array[]): Recorder {
    return this.stream(false, parts);
  }

  /** Asks for something; `more` over a GET of `/`. */
  asks(more: Readonly<Record<string, string>> = {}, ends = true): Recorder {
    const stream = this.request(frame(HEADERS, section({ ...GET, ...more })));
    if (ends) stream.pipe.end();
    return stream;
  }

  pass(ms = 100): void {
    this.world.pass(ms);
  }

  /** What a stream heard, as text: `HEADERS :status=200 …`, `DATA text`, `end`, `reset 268`. */
  hears(stream: Recorder): string[] {
    const bytes = stream.received;
    const heard: string[] = [];
    for (let at = 0; at < bytes.length; ) {
      let from = readVarint(bytes, at, bytes.length);
      const type = varint;
      from = readVarint(bytes, from, bytes.length);
      const to = from + varint;
      if (from < 0 || to > bytes.length) break;
      if (type === HEADERS) heard.push(`HEADERS ${this.fields(bytes, from, to)}`);
      else heard.push(`${type === DATA ? 'DATA' : type} ${bytes.toString('latin1', from, to)}`);
      at = to;
    }
    return [...heard, ...stream.told.filter((line) => /^(?:finish|lost (?!ended))/.test(line))];
  }

  private fields(bytes: Uint8Array, from: number, to: number): string {
    if (this.reader.read(bytes, from, to) < 0) throw new Error(this.reader.fault.text);
    const { list } = this.reader;
    return list.flatMap((text, at) => (at % 2 === 0 && text !== 'date' ? [`${text}=${list[at + 1]}`] : [])).join(' ');
  }

  opened(pipe: Pipe): Session {
    const recorder = new Recorder(pipe);
    this.theirs.push(recorder);
    return recorder;
  }

  sendDatagram(bytes: Uint8Array): void {
    this.mux.datagram(bytes, 0, bytes.length);
  }

  datagram(bytes: Uint8Array, start: number, end: number): void {
    this.datagrams.push(Buffer.from(bytes.subarray(start, end)).toString('latin1'));
  }

  mayOpen(): void {}
  tick(): void {}
  leave(): void {}

  lost(cause: Cause, wire: number): void {
    this.ended = `${cause} 0x${wire.toString(16)}`;
  }
}
