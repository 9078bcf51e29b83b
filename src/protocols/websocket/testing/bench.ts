// WebSockets in a simulated world, and a peer that writes and reads frames by itself: for tests.
import assert from 'node:assert/strict';
import { bindLimits } from '../../../core/limits.ts';
import type { MessageSession, Messages } from '../../../core/messages.ts';
import type { Pipe, Why } from '../../../core/pipe.ts';
import { Recorder } from '../../../core/pipe-suite.ts';
import { NO_EVENTS, type PipeBounds } from '../../../core/stream-pipe.ts';
import { NEVER } from '../../../core/time.ts';
import { type Link, linkPipes } from '../../../sim/pipes.ts';
import { World } from '../../../sim/world.ts';
import { limits } from '../limits.ts';
import { type Compression, Gathering, type Opening, WebSocketSession } from '../session.ts';

export type Role = 'server' | 'client';

export interface SocketOptions {
  readonly limits?: Readonly<Record<string, number>>;
  readonly compression?: Compression | null;
}

export function openingOf(world: World, role: Role, options: SocketOptions = {}): Opening {
  const bound = bindLimits(limits, options.limits);
  return {
    role,
    subprotocol: 'test',
    target: '/',
    caller: { account: '', scopes: null, origin: 'local', epoch: 0 },
    compression: options.compression ?? null,
    gathering: new Gathering(bound.gatheredBytesMax),
    limits: bound,
    entropy: world.random,
  };
}

export interface FrameOptions {
  readonly fin?: boolean;
  /** The three reserved bits as a number. */
  readonly rsv?: number;
  readonly masked?: boolean;
  readonly key?: readonly number[];
  /** How many bytes the length takes, though fewer would do. */
  readonly lengthBytes?: 0 | 2 | 8;
}

/** A frame, byte by byte as RFC 6455 §5.2 has it; written without the codec. */
export function frame(opcode: number, payload: string | Uint8Array = '', options: FrameOptions = {}): Buffer {
  const { fin = true, rsv = 0, masked = true, key = [0x37, 0xfa, 0x21, 0x3d] } = options;
  const body = Buffer.from(payload);
  const { length } = body;
  const lengthBytes = options.lengthBytes ?? (length < 126 ? 0 : length < 65_536 ? 2 : 8);
  const head = Buffer.alloc(2 + lengthBytes);
  head[0] = (fin ? 0x80 : 0) | (rsv << 4) | opcode;
  head[1] = (masked ? 0x80 : 0) | (lengthBytes === 0 ? length : lengthBytes === 2 ? 126 : 127);
  if (lengthBytes === 2) head.writeUInt16BE(length, 2);
  if (lengthBytes === 8) head.writeBigUInt64BE(BigInt(length), 2);
  if (!masked) return Buffer.concat([head, body]);
  for (let at = 0; at < length; at++) body[at]! ^= key[at % 4]!;
  return Buffer.concat([head, Buffer.from(key), body]);
}

/** The payload of a close frame. */
export function closing(code: number, reason: string | Uint8Array = ''): Buffer {
  return Buffer.concat([Buffer.of(code >> 8, code & 0xff), Buffer.from(reason)]);
}

export interface ReadFrame {
  readonly fin: boolean;
  readonly rsv: number;
  readonly opcode: number;
  readonly masked: boolean;
  readonly payload: Buffer;
}

/** Takes bytes apart into frames; they must be whole. */
export function readFrames(bytes: Buffer): ReadFrame[] {
  const found: ReadFrame[] = [];
  let at = 0;
  while (at < bytes.length) {
    const first = bytes[at]!;
    const second = bytes[at + 1]!;
    let length = second & 127;
    at += 2;
    if (length === 126) {
      length = bytes.readUInt16BE(at);
      at += 2;
    } else if (length === 127) {
      length = Number(bytes.readBigUInt64BE(at));
      at += 8;
    }
    const masked = second > 127;
    const key = masked ? bytes.subarray(at, at + 4) : null;
    if (masked) at += 4;
    assert.ok(at + length <= bytes.length, 'a frame is not whole');
    const payload = Buffer.from(bytes.subarray(at, at + length));
    if (key !== null) for (let index = 0; index < length; index++) payload[index]! ^= key[index % 4]!;
    found.push({ fin: first > 127, rsv: (first >> 4) & 7, opcode: first & 15, masked, payload });
    at += length;
  }
  return found;
}

const NAMES: Readonly<Record<number, string>> = {
  0: 'more',
  1: 'text',
  2: 'binary',
  8: 'close',
  9: 'ping',
  10: 'pong',
};

/** A frame in a line: `text hello`, `close 1002`. */
export function shown({ fin, rsv, opcode, payload }: ReadFrame): string {
  const name = `${NAMES[opcode]}${fin ? '' : '…'}${rsv === 0 ? '' : ` rsv${rsv}`}`;
  if (opcode === 8) return payload.length === 0 ? 'close' : `close ${payload.readUInt16BE(0)}`;
  return payload.length === 0 ? name : `${name} ${payload.toString('latin1')}`;
}

/** Answers each message with itself, as Autobahn's test suite wants it, and writes down what it is told. */
export class Echo implements MessageSession {
  readonly messages: Messages;
  readonly told: string[] = [];
  deadline = NEVER;
  echoes = true;
  onMessage: ((input: Uint8Array, start: number, end: number, text: boolean) => void) | null = null;

  constructor(messages: Messages) {
    this.messages = messages;
  }

  receive(input: Uint8Array, start: number, end: number, text: boolean): void {
    const bytes = Buffer.from(input.subarray(start, end));
    const value = bytes.length > 200 ? `${bytes.length} bytes` : bytes.toString('latin1');
    this.told.push(`${text ? 'text' : 'binary'} ${value}`);
    this.onMessage?.(input, start, end, text);
    if (this.echoes) this.messages.send(bytes, 0, bytes.length, text);
  }

  writable(): void {
    this.told.push('writable');
  }

  tick(): void {
    this.deadline = NEVER;
    this.told.push('tick');
  }

  leave(why: Why): void {
    this.told.push(`leave ${why}`);
    this.messages.end(1001, 'going away');
  }

  lost(cause: string, wire: number): void {
    this.told.push(`lost ${cause} ${wire}`);
  }
}

export interface BenchOptions extends SocketOptions {
  readonly role?: Role;
  readonly cut?: number;
  readonly bounds?: Partial<PipeBounds>;
  readonly seed?: number;
}

/** A session of ours, which echoes, against a peer that the test plays. */
export class SocketBench {
  readonly world: World;
  readonly echo: Echo;
  readonly session: WebSocketSession;
  readonly peer: Recorder;
  readonly link: Link;
  /** Ids of the faults that ended it. */
  readonly faulted: string[] = [];
  readonly role: Role;
  private heard = 0;

  constructor(options: BenchOptions = {}) {
    const { role = 'server', cut = 0 } = options;
    const world = new World(options.seed ?? 1);
    let echo!: Echo;
    let session!: WebSocketSession;
    let peer!: Recorder;
    this.link = linkPipes(
      world,
      (pipe: Pipe) => (peer = new Recorder(pipe)),
      (pipe) =>
        (session = new WebSocketSession(pipe, openingOf(world, role, options), (messages) => {
          echo = new Echo(messages);
          return echo;
        })),
      {
        cut,
        ...(options.bounds === undefined ? {} : { bounds: options.bounds }),
        events: { ...NO_EVENTS, faulted: (_pipe, fault) => void this.faulted.push(fault.id) },
      },
    );
    this.world = world;
    this.role = role;
    this.echo = echo;
    this.session = session;
    this.peer = peer;
  }

  says(...frames: Uint8Array[]): this {
    for (const bytes of frames) this.peer.pipe.share(Buffer.from(bytes), 0, bytes.length);
    this.peer.pipe.flush();
    return this;
  }

  /** A frame as the peer sends it: masked if it is the client. */
  frame(opcode: number, payload: string | Uint8Array = '', options: FrameOptions = {}): Buffer {
    return frame(opcode, payload, { masked: this.role === 'server', ...options });
  }

  /** What came since the last call, after time has passed. */
  hears(ms = 100): string[] {
    this.world.pass(ms);
    const frames = readFrames(this.peer.received.subarray(this.heard));
    this.heard = this.peer.received.length;
    for (const { masked } of frames) assert.equal(masked, this.role === 'client', 'the mask');
    assert.deepEqual(this.world.bugs, []);
    return frames.map(shown);
  }
}
