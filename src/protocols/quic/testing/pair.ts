// A client and a server over a simulated path, with the real handshake: what tests and the lab begin with.

import { bindLimits } from '../../../core/limits.ts';
import type { Mux, MuxSession } from '../../../core/mux.ts';
import type { Address } from '../../../core/peer.ts';
import type { Cause, Pipe, Session } from '../../../core/pipe.ts';
import { type Clock, NEVER } from '../../../core/time.ts';
import type { TlsPolicy } from '../../../core/tls.ts';
import { DAY, KEY_CERT_SIGN, keyUsage, newKey, rootConstraints } from '../../../security/certificate.ts';
import { DatagramNetwork, type NetworkOptions, type SimulatedPort } from '../../../sim/datagrams.ts';
import { World } from '../../../sim/world.ts';
import type { QuicConnection } from '../connection/connection.ts';
import type { DialOptions, TransportOptions } from '../connection/options.ts';
import { VERSION_1, VERSION_2 } from '../crypto.ts';
import { type EndpointOptions, QuicEndpoint } from '../endpoint.ts';
import { quicLimits } from '../limits.ts';
import { identityOf, made, serverExtensions } from '../tls/testing/certificates.ts';

export const HOST = 'portico.test';
export const SERVER: Address = { host: '10.0.0.1', port: 443 };
export const CLIENT: Address = { host: '10.0.0.2', port: 5_000 };

/** The day on which simulated worlds begin. */
const DAY_ONE = 1_800_000_000_000;
const KEY = newKey();
const VALID = { from: DAY_ONE - DAY, to: DAY_ONE + 30 * DAY };
const ISSUER = made({
  name: 'root of the pair',
  ...VALID,
  extensions: [rootConstraints(), keyUsage(KEY_CERT_SIGN)],
});
const IDENTITY = identityOf(
  made({
    name: HOST,
    issuer: ISSUER,
    key: KEY,
    ...VALID,
    extensions: serverExtensions([HOST]),
  }),
);

/** What a stream brought. */
export class Taken implements Session {
  readonly pipe: Pipe;
  deadline = NEVER;
  readonly pieces: Buffer[] = [];
  total = 0;
  finished = false;
  lostBy: [Cause, number] | null = null;
  /** Sent back as it comes. */
  echoes = false;
  /** Answers a number of bytes, asked for as text, once the end came. */
  serves = false;
  keeps = true;
  left = 0;
  constructor(pipe: Pipe) {
    this.pipe = pipe;
  }
  receive(input: Uint8Array, start: number, end: number): number {
    this.total += end - start;
    if (this.keeps) this.pieces.push(Buffer.from(input.subarray(start, end)));
    if (this.echoes) {
      this.pipe.out.copy(input, start, end);
      this.pipe.flush();
    }
    return end;
  }
  get text(): string {
    return Buffer.concat(this.pieces).toString('latin1');
  }
  say(text: string): void {
    this.pipe.out.ascii(text);
    this.pipe.flush();
  }
  /** Writes pattern bytes as there is room. */
  pour(count: number): void {
    this.left += count;
    this.more();
  }
  private more(): void {
    while (this.left > 0) {
      const room = Math.min(this.left, this.pipe.room, PATTERN.length);
      if (room === 0) break;
      this.pipe.share(PATTERN, 0, room);
      this.left -= room;
    }
    this.pipe.flush();
    if (this.left === 0) this.pipe.end();
  }
  overlong(): void {}
  writable(): void {
    if (this.left > 0) this.more();
  }
  tick(): void {}
  finish(): void {
    this.finished = true;
    if (this.echoes) this.pipe.end();
    if (this.serves) this.pour(Number(this.text));
  }
  leave(): void {
    this.pipe.end();
  }
  lost(cause: Cause, wire: number): void {
    this.lostBy = [cause, wire];
  }
}

const PATTERN = Buffer.alloc(16_384, 'portico ');

export class Side implements MuxSession {
  readonly mux: Mux;
  deadline = NEVER;
  readonly streams: Taken[] = [];
  readonly datagrams: string[] = [];
  mayOpenTold = 0;
  lostBy: [Cause, number] | null = null;
  mode: 'serves' | 'echoes' | 'takes' = 'serves';
  constructor(mux: Mux) {
    this.mux = mux;
  }
  opened(pipe: Pipe, oneWay: boolean): Session {
    const taken = new Taken(pipe);
    if (!oneWay) taken[this.mode === 'serves' ? 'serves' : 'echoes'] = this.mode !== 'takes';
    this.streams.push(taken);
    return taken;
  }
  mayOpen(): void {
    this.mayOpenTold++;
  }
  datagram(bytes: Uint8Array, start: number, end: number, _clock: Clock): void {
    this.datagrams.push(Buffer.from(bytes.subarray(start, end)).toString('latin1'));
  }
  tick(): void {}
  leave(): void {}
  lost(cause: Cause, wire: number): void {
    this.lostBy = [cause, wire];
  }
  open(oneWay = false): Taken | null {
    let taken!: Taken;
    return this.mux.open(oneWay, (pipe) => (taken = new Taken(pipe))) === null ? null : taken;
  }
  /** Asks the other side for so many bytes. */
  ask(count: number): Taken {
    const taken = this.open()!;
    taken.keeps = false;
    taken.say(String(count));
    taken.pipe.end();
    return taken;
  }
}

export interface PairOptions {
  readonly seed?: number;
  readonly network?: NetworkOptions;
  readonly server?: Partial<TransportOptions>;
  readonly client?: Partial<TransportOptions>;
  readonly limits?: Readonly<Record<string, number>>;
  readonly clientLimits?: Readonly<Record<string, number>>;
  readonly endpoint?: Partial<EndpointOptions>;
  readonly addresses?: readonly [client: Address, server: Address];
}

export class Pair {
  readonly world: World;
  readonly network: DatagramNetwork;
  readonly serverPort: SimulatedPort;
  readonly clientPort: SimulatedPort;
  server!: QuicEndpoint;
  client!: QuicEndpoint;
  readonly serverSides: Side[] = [];
  readonly clientSides: Side[] = [];
  readonly serverLines: QuicConnection[] = [];
  readonly serverAddress: Address;
  mode: Side['mode'] = 'serves';
  readonly clientPolicy: TlsPolicy = { role: 'client', serverName: HOST, authorities: ISSUER.pem, alpn: ['test'] };

  constructor(options: PairOptions = {}) {
    this.world = new World(options.seed ?? 1);
    this.network = new DatagramNetwork(this.world, options.network ?? {});
    const [client, server] = options.addresses ?? [CLIENT, SERVER];
    this.serverAddress = server;
    const time = this.world.turn;
    const bug = (error: unknown, where: string) => this.world.turn.bug(error, where);
    const base = {
      entropy: this.world.random,
      versions: [VERSION_1, VERSION_2],
      congestion: 'cubic',
      keepAliveMs: 0,
      migration: true,
      nameOf: (alpn: string) => alpn,
    } as const;
    this.serverPort = this.network.open(server, (port) => {
      const transport: TransportOptions = {
        ...base,
        limits: bindLimits(quicLimits, options.limits),
        policy: { role: 'server', ...IDENTITY, alpn: ['test'] },
        choose: (_alpn, mux) => {
          const side = new Side(mux);
          side.mode = this.mode;
          this.serverSides.push(side);
          this.serverLines.push(mux as QuicConnection);
          return side;
        },
        ...options.server,
      };
      return (this.server = new QuicEndpoint(port, { time, transport, serves: true, bug, ...options.endpoint }));
    });
    this.clientPort = this.network.open(client, (port) => {
      const transport: TransportOptions = {
        ...base,
        limits: bindLimits(quicLimits, options.clientLimits ?? {}),
        policy: this.clientPolicy,
        choose: (_alpn, mux) => {
          const side = new Side(mux);
          this.clientSides.push(side);
          return side;
        },
        ...options.client,
      };
      return (this.client = new QuicEndpoint(port, { time, transport, serves: false, bug }));
    });
  }

  dial(options: DialOptions = {}): QuicConnection {
    return this.client.dial(this.serverAddress, options);
  }

  /** Runs until `done`, at most so long in simulated time; answers whether it came to that. */
  until(done: () => boolean, ms = 60_000): boolean {
    const end = this.world.now() + ms;
    while (!done() && this.world.now() < end) this.world.pass(1);
    return done();
  }

  get side(): Side {
    return this.clientSides[this.clientSides.length - 1]!;
  }
}
