// A simulated HTTP exchange: heads and trailers are handed over as they are, bodies travel over a simulated pipe. It has
// every rule of `Exchange` and no wire format.
import type { ByteWriter } from '../bytes/writer.ts';
import type { Caller } from '../core/caller.ts';
import type { BodyReader, Exchange, ExchangeEvents, ExchangeHandler } from '../core/exchange.ts';
import { Fields, NO_FIELDS } from '../core/fields.ts';
import type { Peer } from '../core/peer.ts';
import { type Cause, ENDED, type Pipe, type Session, type Why } from '../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../core/time.ts';
import { type LinkOptions, linkPipes, type SimulatedPipe } from './pipes.ts';
import type { World } from './world.ts';

export interface SimulatedRequest {
  readonly method?: string;
  readonly target?: string;
  readonly authority?: string;
  readonly upgrade?: string;
  readonly fields?: Fields;
  readonly caller?: Caller;
  readonly early?: boolean;
}

/** What a client sees of its exchange, and what it may do. */
export class SimulatedClient implements Session {
  deadline = NEVER;
  readonly informs: number[] = [];
  status = 0;
  fields: Fields = NO_FIELDS;
  length: number | undefined;
  private readonly parts: Buffer[] = [];
  trailers: Fields | null = null;
  ended = false;
  /** How it ended without being complete. */
  failed: string | null = null;
  /** The request's trailers, to be set before `end()`. */
  requestTrailers: Fields | null = null;
  pipe!: Pipe;
  link!: { near: SimulatedPipe; far: SimulatedPipe };

  get body(): Buffer {
    return Buffer.concat(this.parts);
  }

  send(text: string | Buffer): void {
    const bytes = Buffer.from(text);
    this.pipe.share(bytes, 0, bytes.length);
    this.pipe.flush();
  }

  end(): void {
    this.pipe.end();
  }

  abort(wire: number): void {
    this.pipe.reset(wire);
  }

  receive(input: Uint8Array, start: number, end: number): number {
    this.parts.push(Buffer.from(input.subarray(start, end)));
    return end;
  }

  overlong(): void {}
  writable(): void {}
  tick(): void {}

  finish(): void {
    this.ended = true;
    this.pipe.end();
  }

  leave(): void {}

  lost(cause: Cause, wire: number): void {
    if (cause !== ENDED || !this.ended) this.failed = `${cause} ${wire}`;
  }
}

const NOBODY: BodyReader = { receive: (_input, _start, end) => end, trailers() {}, finish() {}, lost() {} };
const NO_EVENTS: ExchangeEvents = { writable() {}, tick() {}, leave() {}, lost() {} };

class SimulatedExchange implements Exchange, Session {
  readonly method: string;
  readonly target: string;
  readonly authority: string;
  readonly upgrade: string;
  readonly fields: Fields;
  readonly peer: Peer;
  caller: Caller;
  beside: Fields = NO_FIELDS;
  readonly early: boolean;
  deadline: Instant = NEVER;
  on: ExchangeEvents = NO_EVENTS;
  private readonly pipe: Pipe;
  private readonly client: SimulatedClient;
  private reader: BodyReader | null = null;
  private complete = false;

  constructor(pipe: Pipe, client: SimulatedClient, request: SimulatedRequest) {
    this.pipe = pipe;
    this.client = client;
    this.peer = pipe.peer;
    this.method = request.method ?? 'GET';
    this.target = request.target ?? '/';
    this.authority = request.authority ?? 'simulated';
    this.upgrade = request.upgrade ?? '';
    this.caller = request.caller ?? { account: '', scopes: null, origin: 'local', epoch: 0 };
    this.fields = request.fields ?? NO_FIELDS;
    this.early = request.early ?? false;
  }

  // Exchange

  get connection(): number {
    return this.pipe.id;
  }

  get out(): ByteWriter {
    return this.pipe.out;
  }

  get room(): number {
    return this.pipe.room;
  }

  body(reader: BodyReader): void {
    this.reader = reader;
  }

  inform(status: number, _fields: Fields): void {
    this.client.informs.push(status);
  }

  respond(status: number, fields: Fields, length?: number): void {
    if (this.client.status !== 0) throw new Error('answered twice');
    this.client.status = status;
    this.client.fields = this.beside === NO_FIELDS ? fields : withBeside(fields, this.beside);
    this.client.length = length;
  }

  share(bytes: Uint8Array, start: number, end: number): void {
    this.pipe.share(bytes, start, end);
  }

  flush(): void {
    this.pipe.flush();
  }

  pause(): void {
    this.pipe.pause();
  }

  resume(): void {
    this.pipe.resume();
  }

  end(trailers?: Fields): void {
    this.client.trailers = trailers ?? null;
    this.pipe.end();
    // What is left of the request is of no use any more.
    if (this.reader === null) this.pipe.stopReading(0);
  }

  reset(wire: number): void {
    this.pipe.reset(wire);
  }

  take(status: number, fields: Fields, session: (pipe: Pipe) => Session): void {
    this.respond(status, fields);
    this.pipe.become(session(this.pipe));
  }

  // Session

  receive(input: Uint8Array, start: number, end: number, clock: Clock): number {
    return (this.reader ?? NOBODY).receive(input, start, end, clock);
  }

  overlong(_clock: Clock): void {
    this.pipe.reset(1);
  }

  gather(clock: Clock): void {
    this.on.gather?.(clock);
  }

  writable(clock: Clock): void {
    this.on.writable(clock);
  }

  tick(clock: Clock): void {
    this.deadline = NEVER;
    this.on.tick(clock);
  }

  finish(clock: Clock): void {
    this.complete = true;
    if (this.client.requestTrailers !== null) this.reader?.trailers(this.client.requestTrailers);
    this.reader?.finish(clock);
  }

  leave(why: Why, clock: Clock): void {
    this.on.leave(why, clock);
  }

  lost(cause: Cause, wire: number, clock: Clock): void {
    if (!this.complete) this.reader?.lost(cause, clock);
    this.on.lost(cause, wire, clock);
  }
}

function withBeside(fields: Fields, beside: Fields): Fields {
  const all = new Fields();
  all.list.push(...fields.list);
  for (const [name, value] of beside) if (name === 'vary' || !fields.has(name)) all.append(name, value);
  return all;
}

/** Begins a request to a handler. */
export function simulateRequest(
  world: World,
  handler: ExchangeHandler,
  request: SimulatedRequest,
  options: LinkOptions = {},
): SimulatedClient {
  const client = new SimulatedClient();
  client.link = linkPipes(
    world,
    (pipe) => {
      client.pipe = pipe;
      return client;
    },
    (pipe) => {
      const exchange = new SimulatedExchange(pipe, client, request);
      handler(exchange);
      return exchange;
    },
    options,
  );
  return client;
}
