// HTTP/2 in a simulated world: a server whose routes a test gives, and a client that writes frames and reads them.
import { u32 } from '../../../bytes/reader.ts';
import { ByteWriter } from '../../../bytes/writer.ts';
import type { ExchangeHandler } from '../../../core/exchange.ts';
import { bindLimits } from '../../../core/limits.ts';
import { SILENT } from '../../../core/log.ts';
import { Recorder } from '../../../core/pipe-suite.ts';
import { NO_EVENTS, type PipeBounds } from '../../../core/stream-pipe.ts';
import { linkPipes, type SimulatedPipe } from '../../../sim/pipes.ts';
import { World } from '../../../sim/world.ts';
import {
  ACK,
  CONTINUATION,
  DATA,
  END_HEADERS,
  END_STREAM,
  ERROR_NAMES,
  FRAME_NAMES,
  GOAWAY,
  HEAD_BYTES,
  HEADERS,
  PREFACE,
  RST_STREAM,
  SETTINGS,
  WINDOW_UPDATE,
} from '../codec.ts';
import { HeaderReader } from '../header-reader.ts';
import { HeaderWriter } from '../header-writer.ts';
import { limits } from '../limits.ts';
import { type Http2Host, Http2Session } from '../session.ts';

export interface StageOptions {
  readonly limits?: Readonly<Record<string, number>>;
  /** The most bytes of one delivery. */
  readonly cut?: number;
  readonly bounds?: Partial<PipeBounds>;
  readonly window?: number;
}

/** A frame as it came. */
export interface Frame {
  readonly type: number;
  readonly flags: number;
  readonly stream: number;
  readonly payload: Buffer;
  /** The fields of a header block. */
  readonly list: readonly string[];
}

export function frame(type: number, flags: number, stream: number, payload: Uint8Array | string = ''): Buffer {
  const body = Buffer.from(payload as string);
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUIntBE(body.length, 0, 3);
  head[3] = type;
  head[4] = flags;
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, body]);
}

export function number32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value >>> 0);
  return bytes;
}

export function settings(...pairs: number[]): Buffer {
  const body = Buffer.alloc(pairs.length * 3);
  for (let at = 0; at < pairs.length; at += 2) {
    body.writeUInt16BE(pairs[at]!, at * 3);
    body.writeUInt32BE(pairs[at + 1]! >>> 0, at * 3 + 2);
  }
  return frame(SETTINGS, 0, 0, body);
}

export class Stage {
  readonly world = new World(1);
  readonly faults: string[] = [];
  readonly logged: string[] = [];
  private readonly routes: ExchangeHandler;
  private readonly options: StageOptions;

  constructor(routes: ExchangeHandler, options: StageOptions = {}) {
    this.routes = routes;
    this.options = options;
  }

  get host(): Http2Host {
    const { world, logged } = this;
    return {
      resources: {},
      limits: bindLimits(limits, this.options.limits),
      get clock() {
        return world.turn.clock;
      },
      entropy: world.random,
      reach: null as never,
      log: { ...SILENT, error: (text, more) => void logged.push(`${text} ${JSON.stringify(more)}`) },
      software: 'Portico/test',
      routes: this.routes,
    };
  }

  connect(): Client {
    let peer!: Recorder;
    const { cut, bounds, window } = this.options;
    const { far } = linkPipes(
      this.world,
      (pipe) => (peer = new Recorder(pipe)),
      (pipe) => new Http2Session(pipe, this.host),
      {
        ...(cut === undefined ? {} : { cut }),
        ...(bounds === undefined ? {} : { bounds }),
        ...(window === undefined ? {} : { window }),
        events: { ...NO_EVENTS, faulted: (_pipe, fault) => void this.faults.push(fault.id) },
      },
    );
    return new Client(this.world, peer, far);
  }

  /** A connection on which the settings of both sides are settled. */
  open(...pairs: number[]): Client {
    const client = this.connect();
    client.says(PREFACE, settings(...pairs), frame(SETTINGS, ACK, 0));
    client.frames();
    return client;
  }
}

const GET = { ':method': 'GET', ':scheme': 'http', ':authority': 'a.test', ':path': '/' };

export class Client {
  readonly peer: Recorder;
  readonly server: SimulatedPipe;
  readonly headers = new HeaderReader({ tableBytesMax: 4_096, headBytesMax: 1_000_000, fieldsMax: 10_000 });
  private readonly world: World;
  private readonly writer = new HeaderWriter();
  private heard = 0;

  constructor(world: World, peer: Recorder, server: SimulatedPipe) {
    this.world = world;
    this.peer = peer;
    this.server = server;
  }

  says(...parts: Uint8Array[]): void {
    for (const bytes of parts) this.peer.pipe.share(Buffer.from(bytes), 0, bytes.length);
    this.peer.pipe.flush();
  }

  /** A header block of these fields, as this connection's table has them. */
  block(fields: Readonly<Record<string, string>> | readonly (readonly [string, string])[]): Buffer {
    const out = new ByteWriter(10_000_000);
    this.writer.begin(out);
    const list = Array.isArray(fields) ? fields : Object.entries(fields);
    for (const [name, value] of list as [string, string][]) this.writer.field(out, name, value);
    return Buffer.from(out.bytes.subarray(0, out.length));
  }

  /** Asks for something; `more` over a GET of `/`. */
  asks(stream: number, more: Readonly<Record<string, string>> = {}, ends = true): void {
    this.says(frame(HEADERS, END_HEADERS | (ends ? END_STREAM : 0), stream, this.block({ ...GET, ...more })));
  }

  /** The frames that came since. */
  frames(ms = 50): Frame[] {
    this.world.pass(ms);
    const bytes = this.peer.received.subarray(this.heard);
    const found: Frame[] = [];
    let at = 0;
    while (at + HEAD_BYTES <= bytes.length) {
      const length = bytes.readUIntBE(at, 3);
      if (at + HEAD_BYTES + length > bytes.length) break;
      const payload = Buffer.from(bytes.subarray(at + HEAD_BYTES, at + HEAD_BYTES + length));
      const type = bytes[at + 3]!;
      const list = type === HEADERS || type === CONTINUATION ? this.fields(payload) : [];
      found.push({ type, flags: bytes[at + 4]!, stream: u32(bytes, at + 5), payload, list });
      at += HEAD_BYTES + length;
    }
    this.heard += at;
    return found;
  }

  private fields(block: Buffer): readonly string[] {
    const { headers } = this;
    if (headers.read(block, 0, block.length) < 0) throw new Error(`${headers.fault.text} ${block.toString('hex')}`);
    return headers.list;
  }

  /** The same as text: `HEADERS 1 :status=200 …`, `DATA 1 text END_STREAM`, `RST_STREAM 1 CANCEL`, `GOAWAY 1 NO_ERROR`. */
  hears(ms = 50): string[] {
    return this.frames(ms).map((one) => this.shown(one));
  }

  private shown({ type, flags, stream, payload, list }: Frame): string {
    const name = FRAME_NAMES[type] ?? String(type);
    const ends = (flags & END_STREAM) !== 0 ? ' END_STREAM' : '';
    switch (type) {
      case HEADERS:
      case CONTINUATION: {
        const shown = list.flatMap((text, at) => (at % 2 === 0 && text !== 'date' ? [`${text}=${list[at + 1]}`] : []));
        return `${name} ${stream} ${shown.join(' ')}${ends}`;
      }
      case DATA:
        return `${name} ${stream} ${payload.length > 100 ? payload.length : payload.toString('latin1')}${ends}`;
      case RST_STREAM:
        return `${name} ${stream} ${ERROR_NAMES[u32(payload, 0)]}`;
      case GOAWAY:
        return `${name} ${u32(payload, 0)} ${ERROR_NAMES[u32(payload, 4)]}`;
      case WINDOW_UPDATE:
        return `${name} ${stream} ${u32(payload, 0)}`;
      default:
        return `${name} ${stream}${(flags & ACK) !== 0 ? ' ACK' : ''}`;
    }
  }
}
