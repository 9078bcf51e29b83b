// `portico/quic`: connections of QUIC over UDP, with promises: dial one, or listen for them (docs/quic.md).
import { copyOf } from '../bytes/reader.ts';
import type { Mux, MuxSession } from '../core/mux.ts';
import type { Cause, Pipe, Session } from '../core/pipe.ts';
import { type Clock, NEVER } from '../core/time.ts';
import { dialQuic } from '../protocols/quic/serve.ts';
import { platformAuthorities } from '../transports/tls.ts';
import { openUdp } from '../transports/udp.ts';
import { ConnectionError, ENTROPY, policyFor, type TlsOptions, turn } from './loop.ts';
import { bug, listenQuic, type ListenOptions as PortOptions } from './quic-listen.ts';

export type { DatagramPort, DatagramSession } from '../core/datagram.ts';
export type { Mux, MuxSession } from '../core/mux.ts';
export type { Pipe, Session } from '../core/pipe.ts';
/**
 * The halves without a socket, a clock or a timer of their own, for whoever moves datagrams in another way: made of a port of
 * datagrams, fed by `receive`, `tick` at their `deadline`, and `gather` behind both.
 */
export { type ClientTerms, dialQuic, type ServerTerms, serveQuic } from '../protocols/quic/serve.ts';
export { ConnectionError, type TlsOptions } from './loop.ts';
export { quicBounds } from './quic-listen.ts';

export interface QuicOptions {
  /** Protocols by preference; the ends have to have one in common. */
  readonly alpn: readonly string[];
  /** Bounds that differ from the defaults, by their names in docs/quic.md. */
  readonly limits?: Readonly<Record<string, number>>;
}

/** What comes, for one who takes it as it comes. */
class Coming<Item> {
  private items: Item[] = [];
  private wake: (() => void) | null = null;
  private over = false;
  private problem: Error | null = null;
  taken: (() => void) | null = null;

  push(item: Item): void {
    this.items.push(item);
    this.wake?.();
  }

  end(problem: Error | null = null): void {
    this.over = true;
    this.problem ??= problem;
    this.wake?.();
  }

  get waiting(): number {
    return this.items.length;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Item, undefined> {
    for (;;) {
      const item = this.items.shift();
      if (item !== undefined) {
        if (this.items.length === 0) this.taken?.();
        yield item;
      } else if (this.problem !== null) throw this.problem;
      else if (this.over) return;
      else await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }
}

/** One stream: iterate over it to read. */
export class QuicStream implements Session {
  readonly deadline = NEVER;
  private readonly pipe: Pipe;
  private readonly coming = new Coming<Buffer>();
  private readonly waiting: (() => void)[] = [];
  private gone: Error | null = null;

  /** Made by `open` and by the peer. */
  constructor(pipe: Pipe) {
    this.pipe = pipe;
    this.coming.taken = () => this.pipe.resume();
  }

  /** Resolves when more may be written. Rejects when the stream is gone. */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.gone !== null) throw this.gone;
    const own = copyOf(bytes, 0, bytes.length);
    this.pipe.share(own, 0, own.length);
    this.pipe.flush();
    if (this.pipe.room === 0) await new Promise<void>((resolve) => this.waiting.push(resolve));
    if (this.gone !== null) throw this.gone;
  }

  /** Nothing more is written. */
  end(): void {
    this.pipe.end();
  }

  /** Gives the stream up, with a code of the application's. */
  reset(code: number): void {
    this.pipe.reset(code);
  }

  [Symbol.asyncIterator](): AsyncGenerator<Buffer, undefined> {
    return this.coming[Symbol.asyncIterator]();
  }

  receive(input: Uint8Array, start: number, end: number): number {
    this.coming.push(copyOf(input, start, end));
    // Who does not read lets no more come.
    if (this.coming.waiting > 64) this.pipe.pause();
    return end;
  }

  overlong(): void {}

  writable(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  tick(): void {}

  finish(): void {
    this.coming.end();
  }

  leave(): void {
    this.pipe.end();
  }

  lost(cause: Cause, wire: number): void {
    this.gone = new ConnectionError(`the stream is gone: ${cause} ${wire}`);
    this.coming.end(cause === 'ended' ? null : this.gone);
    this.writable();
  }
}

/** One connection: iterate over it for the streams that the peer opens. */
export class QuicLine implements MuxSession {
  readonly deadline = NEVER;
  readonly alpn: string;
  private readonly mux: Mux;
  private readonly coming = new Coming<{ stream: QuicStream; oneWay: boolean }>();
  private readonly received = new Coming<Buffer>();
  private readonly waiting: (() => void)[] = [];
  private gone: Error | null = null;
  private readonly ended: (() => void)[] = [];

  /** Made by `connect` and `listen`. */
  constructor(mux: Mux, alpn: string) {
    this.mux = mux;
    this.alpn = alpn;
  }

  /** Opens a stream, as soon as the peer allows one more. */
  async open(oneWay = false): Promise<QuicStream> {
    for (;;) {
      if (this.gone !== null) throw this.gone;
      let stream!: QuicStream;
      if (this.mux.open(oneWay, (pipe) => (stream = new QuicStream(pipe))) !== null) return stream;
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
  }

  /** Sends a datagram, which may be lost; false when it is too large or too many wait. */
  sendDatagram(bytes: Uint8Array): boolean {
    return this.mux.datagram(bytes, 0, bytes.length);
  }

  /** The largest datagram that can be sent now; 0 for none. */
  get datagramMax(): number {
    return this.mux.datagramMax;
  }

  get datagrams(): AsyncIterable<Buffer> {
    return this.received;
  }

  [Symbol.asyncIterator](): AsyncGenerator<{ stream: QuicStream; oneWay: boolean }, undefined> {
    return this.coming[Symbol.asyncIterator]();
  }

  /** Ends it with a code of the application's; resolves when it is over here. */
  close(code = 0, reason = ''): Promise<void> {
    const over = new Promise<void>((resolve) => (this.gone === null ? this.ended.push(resolve) : resolve()));
    this.mux.close({ id: 'quic.closed', wire: code, spec: '', text: reason, scope: 'connection' });
    return over;
  }

  opened(pipe: Pipe, oneWay: boolean): Session {
    const stream = new QuicStream(pipe);
    this.coming.push({ stream, oneWay });
    return stream;
  }

  mayOpen(): void {
    for (const resolve of this.waiting.splice(0)) resolve();
  }

  tick(): void {}

  leave(_why: unknown, _clock: Clock): void {
    this.mux.close({ id: 'quic.leaving', wire: 0, spec: '', text: 'leaving', scope: 'connection' });
  }

  lost(cause: Cause, wire: number): void {
    this.gone = new ConnectionError(`the connection is gone: ${cause} ${wire}`);
    this.coming.end();
    this.received.end();
    this.mayOpen();
    for (const resolve of this.ended.splice(0)) resolve();
  }

  datagram(bytes: Uint8Array, start: number, end: number): void {
    // They may be lost anyway: who does not read loses the newest.
    if (this.received.waiting < 1_024) this.received.push(copyOf(bytes, start, end));
  }
}

/**
 * Connects. Rejects with a ConnectionError when nobody answers, the certificate is not believed or ALPN has no match.
 *
 * @param options `authorities` are trusted; `verify: false` believes anybody
 */
export async function connect(host: string, port: number, options: QuicOptions & TlsOptions): Promise<QuicLine> {
  const { alpn, limits: bounds, ...tls } = options;
  const { lookup } = await import('node:dns/promises');
  const { address, family } = await lookup(host);
  return new Promise((resolve, reject) => {
    let close = (): void => {};
    const made = (mux: Mux, agreed: string): MuxSession => {
      const spoken = new QuicLine(mux, agreed);
      resolve(spoken);
      return spoken;
    };
    const opened = openUdp({
      turn,
      host: family === 6 ? '::' : '0.0.0.0',
      port: 0,
      session: (own) => {
        const endpoint = dialQuic(own, {
          policy: { ...policyFor(host, tls), alpn },
          entropy: ENTROPY,
          time: turn,
          bug,
          make: made,
          platform: platformAuthorities,
          ...(bounds && { limits: bounds }),
          transport: {
            gone: (connection) => {
              reject(new ConnectionError(`${host}:${port}: ${connection.closeFault?.text ?? 'nobody answers'}`));
              close();
            },
          },
        });
        endpoint.dial({ host: address, port });
        return endpoint;
      },
    });
    opened.then((own) => (close = () => own.close()), reject);
  });
}

export interface ListenOptions extends QuicOptions, PortOptions {}

/** Takes connections: `came` is called with each that stands. */
export function listen(
  options: ListenOptions,
  came: (line: QuicLine) => void,
): Promise<{ readonly port: number; close(): void }> {
  const muxes = options.alpn.map((name) => ({
    name,
    alpn: name,
    make: (mux: Mux) => {
      const line = new QuicLine(mux, name);
      came(line);
      return line;
    },
  }));
  return listenQuic(options, muxes);
}
