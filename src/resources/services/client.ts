// Calls as a program makes them: promises and async iterables over whatever begins calls, the server's own services or a
// client of some protocol; and the type of a client, which follows from a definition.
import type { Call, CallKind, CallReceiver, Metadata } from './contract.ts';
import type { MethodTypes, ServiceDefinition } from './define.ts';
import { Inputs } from './inputs.ts';
import { ServiceError, type Status } from './status.ts';

export interface CallSettings {
  readonly metadata?: Metadata;
  /** How long it may take, in ms. */
  readonly timeoutMs?: number;
  /** Cancels it. */
  readonly signal?: AbortSignal;
  readonly onHeaders?: (metadata: Metadata) => void;
  readonly onTrailers?: (metadata: Metadata) => void;
}

export type Many<Value> = Iterable<Value> | AsyncIterable<Value>;

/** How a method of those types is called. */
export type Calling<Types extends MethodTypes> = Types['kind'] extends 'server'
  ? (input: Types['input'], settings?: CallSettings) => AsyncIterableIterator<Types['output']>
  : Types['kind'] extends 'client'
    ? (inputs: Many<Types['input']>, settings?: CallSettings) => Promise<Types['output']>
    : Types['kind'] extends 'both'
      ? (inputs: Many<Types['input']>, settings?: CallSettings) => AsyncIterableIterator<Types['output']>
      : (input: Types['input'], settings?: CallSettings) => Promise<Types['output']>;

/** The client of a definition: `ClientOf<typeof orders>`. */
export type ClientOf<Definition> =
  Definition extends ServiceDefinition<string, infer Methods>
    ? { readonly [Method in keyof Methods]: Calling<Methods[Method]> }
    : never;

/** Who carries calls: a server in the same process, or a protocol's client. */
export interface Carrier {
  /** Null when there is no such method. */
  kindOf(service: string, method: string): CallKind | null;
  begin(
    service: string,
    method: string,
    options: { readonly metadata: Metadata; readonly timeoutMs: number },
    receiver: CallReceiver,
  ): Call;
}

/** Outputs that have come and were not asked for. */
const OUTPUTS_MAX = 16;

/** A client with a method for each of the service's. */
export function clientOver<Client>(carrier: Carrier, service: string): Client {
  const known = new Map<string, unknown>();
  return new Proxy({} as object, {
    get(_target, name) {
      // What awaits a client asks for `then`.
      if (typeof name !== 'string' || !/^[A-Z]/.test(name)) return undefined;
      let method = known.get(name);
      if (method === undefined) {
        method = (input: unknown, settings?: CallSettings) => callOver(carrier, service, name, input, settings);
        known.set(name, method);
      }
      return method;
    },
  }) as Client;
}

/** One call: a promise of one output, or an iterable of many. What it is given is one input, or an iterable of them. */
export function callOver(
  carrier: Carrier,
  service: string,
  method: string,
  input: unknown,
  settings: CallSettings = {},
): Promise<unknown> | AsyncIterableIterator<unknown> {
  const kind = carrier.kindOf(service, method);
  if (kind === null) return Promise.reject(new ServiceError('UNIMPLEMENTED', `there is no ${service}.${method}`));
  const receiver = new Receiver(settings);
  const { metadata = [], timeoutMs = Number.POSITIVE_INFINITY } = settings;
  const call = carrier.begin(service, method, { metadata, timeoutMs }, receiver);
  receiver.begin(call);
  if (kind === 'unary' || kind === 'server') {
    call.send(input);
    call.finish();
  } else receiver.feed(input as Many<unknown>);
  return kind === 'unary' || kind === 'client' ? receiver.one() : receiver;
}

class Receiver implements CallReceiver, AsyncIterableIterator<unknown> {
  private readonly outputs: Inputs<unknown> = new Inputs(OUTPUTS_MAX, () => this.call?.more());
  private readonly settings: CallSettings;
  private call: Call | null = null;
  private isOver = false;
  private onWritable: (() => void) | null = null;
  private onSignal: (() => void) | null = null;

  constructor(settings: CallSettings) {
    this.settings = settings;
  }

  begin(call: Call): void {
    this.call = call;
    const { signal } = this.settings;
    if (signal === undefined) return;
    this.onSignal = () => this.stop();
    if (signal.aborted) queueMicrotask(this.onSignal);
    else signal.addEventListener('abort', this.onSignal, { once: true });
  }

  /** Sends all inputs, as fast as they are taken. */
  feed(inputs: Many<unknown>): void {
    this.sendAll(inputs).catch((error: unknown) => {
      this.call?.cancel();
      this.outputs.fail(() => error);
      this.over();
    });
  }

  private async sendAll(inputs: Many<unknown>): Promise<void> {
    for await (const input of inputs) {
      while (!this.isOver && this.call!.room === 0)
        await new Promise<void>((resolve) => {
          this.onWritable = resolve;
        });
      if (this.isOver) return;
      this.call!.send(input);
    }
    if (!this.isOver) this.call!.finish();
  }

  async one(): Promise<unknown> {
    const { done, value } = await this.outputs.next();
    if (done === true) throw new ServiceError('INTERNAL', 'there was no answer');
    // How it ended: an error may follow the only output.
    await this.outputs.next();
    return value;
  }

  headers(metadata: Metadata): void {
    this.settings.onHeaders?.(metadata);
  }

  message(value: unknown): void {
    this.outputs.put(value);
  }

  end(status: Status, trailers: Metadata): void {
    this.over();
    this.settings.onTrailers?.(trailers);
    const { code, message, details } = status;
    if (code === 'OK') this.outputs.finish();
    else this.outputs.failAfter(() => new ServiceError(code, message, details));
  }

  get room(): number {
    return this.outputs.room;
  }

  writable(): void {
    this.onWritable?.();
    this.onWritable = null;
  }

  next(): Promise<IteratorResult<unknown, undefined>> {
    return this.outputs.next();
  }

  /** The program wants no more. */
  return(): Promise<IteratorResult<unknown, undefined>> {
    if (!this.isOver) this.call?.cancel();
    this.over();
    return this.outputs.return();
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  private stop(): void {
    if (this.isOver) return;
    this.call?.cancel();
    this.outputs.fail(() => new ServiceError('CANCELLED', 'cancelled by its signal'));
    this.over();
  }

  private over(): void {
    this.isOver = true;
    this.writable();
    if (this.onSignal !== null) this.settings.signal?.removeEventListener('abort', this.onSignal);
    this.onSignal = null;
  }
}
