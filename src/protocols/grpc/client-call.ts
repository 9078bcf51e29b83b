// One call of a client, whichever of gRPC and Connect it is spoken in: inputs out, outputs in, the deadline, the end.
import { ByteWriter } from '../../bytes/writer.ts';
import type { BodyReader } from '../../core/exchange.ts';
import type { Fault } from '../../core/fault.ts';
import { Fields } from '../../core/fields.ts';
import type { Cause } from '../../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import { Turned } from '../../core/turn.ts';
import type { Call, CallReceiver, Metadata } from '../../resources/services/contract.ts';
import type { Status } from '../../resources/services/status.ts';
import { type ClientRequest, type SentRequest, UNKNOWN } from '../http/client.ts';
import { type AskEvents, type BeginOptions, encoded, type GrpcClient, type Route } from './client.ts';
import { addMetadata, COMPRESSED, EnvelopeReader, type EnvelopeSink, PREFIX, writePrefix } from './codec.ts';
import { type Coding, compress, expand } from './coding.ts';
import { faults } from './faults.ts';
import { statusOf } from './server-ending.ts';

/** Inputs that are taken while the connection has room. */
const ROOM = 16;
/** Shorter ones are never compressed. */
const COMPRESS_LEAST = 1_024;

const LATE: Status = { code: 'DEADLINE_EXCEEDED', message: 'the deadline has passed', details: [] };

export abstract class ClientCall extends Turned implements Call, AskEvents, EnvelopeSink {
  due: Instant;
  protected readonly client: GrpcClient;
  protected readonly route: Route;
  protected readonly receiver: CallReceiver;
  protected readonly given: BeginOptions;
  /** How the answer's messages are compressed. */
  protected inCoding: Coding | null = null;
  protected readonly envelopes: EnvelopeReader;
  /** Reads the answer's body. */
  protected readonly body: BodyReader = {
    receive: (input, start, end) => this.receive(input, start, end),
    trailers: (fields) => this.told(fields),
    finish: () => this.whole(),
    // What the request has to say follows.
    lost: () => {},
  };
  private asked: { cancel(): void } | null = null;
  private exchange: SentRequest | null = null;
  private hasBegun = false;
  /** Inputs that were given before there was a connection to write to. */
  private readonly early: Buffer[] = [];
  private finishing = false;
  private isOver = false;
  private paused = false;
  /** The only output, which is given on once the call is known to have ended well. */
  private only: { readonly value: unknown } | null = null;

  constructor(client: GrpcClient, route: Route, given: BeginOptions, receiver: CallReceiver) {
    super();
    this.client = client;
    this.route = route;
    this.receiver = receiver;
    this.given = given;
    this.due = client.options.turn.clock.now + given.timeoutMs;
    this.envelopes = new EnvelopeReader(client.options.messageBytesMax, faults.answerTooLong);
  }

  /** The fields of the request, but for what all calls have. */
  protected abstract head(fields: Fields): void;
  abstract answered(status: number, reason: string, fields: Fields): BodyReader | null;
  /** Trailers came. */
  protected abstract told(fields: Fields): void;
  /** The answer is whole. */
  protected abstract ended(): void;
  /** An envelope that is no message, which most are not. */
  protected other(_flags: number, _bytes: Uint8Array, _start: number, _end: number): boolean {
    return false;
  }

  get isDone(): boolean {
    return this.isOver;
  }

  private get sendsMany(): boolean {
    const { kind } = this.route.method;
    return kind === 'client' || kind === 'both';
  }

  private get takesMany(): boolean {
    const { kind } = this.route.method;
    return kind === 'server' || kind === 'both';
  }

  start(): void {
    const { turn } = this.client.options;
    if (this.given.timeoutMs !== Number.POSITIVE_INFINITY) turn.touch(this);
    if (this.sendsMany) this.ask({ length: UNKNOWN });
  }

  protected request(): Pick<ClientRequest, 'method' | 'target' | 'fields'> {
    const { options } = this.client;
    const fields = new Fields();
    this.head(fields);
    for (const [name, value] of options.fields) fields.append(name, value);
    addMetadata(fields, this.given.metadata);
    return { method: 'POST', target: this.route.path, fields };
  }

  protected ask(body: Pick<ClientRequest, 'length' | 'body'>, request = this.request()): void {
    const { ask, authority } = this.client.options;
    this.asked = ask({ ...request, ...body, authority, silenceMs: NEVER }, this);
    if (this.isOver) this.asked.cancel();
  }

  // ---- inputs ----------------------------------------------------------------------------------------------------------

  get room(): number {
    if (this.isOver || this.finishing) return 0;
    if (!this.sendsMany) return this.early.length === 0 ? 1 : 0;
    return this.hasBegun && this.exchange !== null && this.exchange.room > 0 ? ROOM : 0;
  }

  send(value: unknown): void {
    if (this.isOver || this.finishing) return;
    const bytes = this.framed(value);
    if (this.hasBegun && this.exchange !== null) this.exchange.write(bytes);
    else this.early.push(bytes);
  }

  /** An input as it is sent. Throws a TypeError for a value that is not of its type. */
  protected framed(value: unknown): Buffer {
    const bytes = encoded(this.route.input, value, PREFIX);
    const { coding } = this.client.options;
    const size = bytes.length - PREFIX;
    if (coding === null || size < COMPRESS_LEAST) {
      writePrefix(bytes, 0, 0, size);
      return bytes;
    }
    const out = new ByteWriter(bytes.length + 65_536);
    out.ensure(PREFIX);
    out.length = PREFIX;
    compress(coding, bytes, PREFIX, bytes.length, out);
    writePrefix(out.bytes, 0, COMPRESSED, out.length - PREFIX);
    return out.take().bytes;
  }

  finish(): void {
    if (this.isOver || this.finishing) return;
    this.finishing = true;
    if (!this.sendsMany) this.ask({ body: this.early.length === 1 ? this.early[0]! : Buffer.concat(this.early) });
    else if (this.hasBegun) this.exchange?.end();
  }

  /** The one input of a call that sends one. */
  protected get input(): Buffer {
    return this.early[0] ?? Buffer.alloc(0);
  }

  started(exchange: SentRequest): void {
    this.exchange = exchange;
  }

  begun(): void {
    if (!this.sendsMany || this.exchange === null || this.hasBegun) return;
    this.hasBegun = true;
    for (const bytes of this.early.splice(0)) this.exchange.write(bytes);
    if (this.finishing) this.exchange.end();
    else if (!this.isOver) this.receiver.writable();
  }

  writable(): void {
    if (!this.isOver && !this.finishing && this.hasBegun) this.receiver.writable();
  }

  // ---- outputs ---------------------------------------------------------------------------------------------------------

  get takes(): boolean {
    return !this.isOver && (!this.takesMany || this.receiver.room > 0);
  }

  protected receive(input: Uint8Array, start: number, end: number): number {
    if (this.isOver) return end;
    const at = this.envelopes.receive(input, start, end, this);
    if (at < 0) {
      this.fail(this.envelopes.fault);
      return end;
    }
    if (this.isOver) return end;
    if (at < end && !this.paused) {
      this.paused = true;
      this.exchange?.pause();
    }
    return at;
  }

  more(): void {
    if (!this.paused || this.isOver) return;
    this.paused = false;
    this.exchange?.resume();
  }

  envelope(flags: number, bytes: Uint8Array, start: number, end: number): void {
    if (this.isOver) return;
    const plain = flags & ~COMPRESSED;
    if ((flags & COMPRESSED) === 0 || start === end) this.came(plain, bytes, start, end);
    else if (this.inCoding === null) this.fail(faults.uncoded);
    else this.expanded(this.inCoding, bytes, start, end, (out) => this.came(plain, out.bytes, 0, out.length));
  }

  private came(flags: number, bytes: Uint8Array, start: number, end: number): void {
    if (flags === 0) this.output(bytes, start, end);
    else if (!this.other(flags, bytes, start, end)) this.fail(faults.badFlags);
  }

  protected expanded(
    coding: Coding,
    bytes: Uint8Array,
    start: number,
    end: number,
    then: (out: ByteWriter) => void,
  ): void {
    const max = this.client.options.messageBytesMax;
    const out = new ByteWriter(max);
    const fault = expand(coding, bytes, start, end, out, max);
    if (fault === null) then(out);
    else this.fail(fault);
    out.clear();
  }

  protected output(bytes: Uint8Array, start: number, end: number): void {
    const { output } = this.route;
    const value = output.read(bytes, start, end);
    if (value === undefined) this.stop({ code: 'INTERNAL', message: output.wrong().message, details: [] }, []);
    else if (this.takesMany) this.receiver.message(value);
    else if (this.only === null) this.only = { value };
    else this.stop({ code: 'UNIMPLEMENTED', message: 'the server answers more than once', details: [] }, []);
  }

  private whole(): void {
    if (this.isOver) return;
    if (this.envelopes.isBetween) this.ended();
    else this.fail(faults.cut);
  }

  // ---- ends ------------------------------------------------------------------------------------------------------------

  /** The server says how it ended. */
  protected end(status: Status, trailers: Metadata): void {
    if (this.isOver) return;
    const { only } = this;
    if (status.code === 'OK' && !this.takesMany) {
      if (only === null) {
        this.stop({ code: 'UNIMPLEMENTED', message: 'the server answers nothing', details: [] }, trailers);
        return;
      }
      this.receiver.message(only.value);
    }
    this.stop(status, trailers);
  }

  protected fail(fault: Fault): void {
    this.stop(statusOf(fault), []);
  }

  protected stop(status: Status, trailers: Metadata): void {
    if (this.isOver) return;
    this.close();
    if (status.code !== 'OK') this.asked?.cancel();
    this.receiver.end(status, trailers);
  }

  private close(): void {
    this.isOver = true;
    this.due = NEVER;
    this.only = null;
    this.early.length = 0;
    this.envelopes.clear();
    this.client.options.turn.forget(this);
    if (this.paused) {
      this.paused = false;
      this.exchange?.resume();
    }
  }

  cancel(): void {
    if (this.isOver) return;
    this.close();
    this.asked?.cancel();
  }

  over(cause: Cause | null, fault: Fault | null, why: string): void {
    if (this.isOver) return;
    const words = fault?.text ?? (why === '' ? `the connection was lost: ${cause}` : why);
    this.stop({ code: 'UNAVAILABLE', message: words, details: [] }, []);
  }

  work(): void {}

  tick(clock: Clock): void {
    if (clock.now >= this.due) this.stop(LATE, []);
  }
}
