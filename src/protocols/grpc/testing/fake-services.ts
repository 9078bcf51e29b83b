// Services over handlers, as small as can be: no rules, no bounds, no checks. For tests.
import type {
  Call,
  CallOptions,
  CallReceiver,
  Method,
  Service,
  Services,
} from '../../../resources/services/contract.ts';
import { type Described, describe, type ServiceDefinition } from '../../../resources/services/define.ts';
import type { AnyHandler, HandlerCall } from '../../../resources/services/handler.ts';
import { ServiceError, STATUS_OK, type Status } from '../../../resources/services/status.ts';

export class FakeServices implements Services {
  epoch = 1;
  readonly all = new Map<string, Service>();
  /** Calls that have not ended. */
  open = 0;
  cancelled = 0;
  private readonly handlers = new Map<Method, AnyHandler>();
  private readonly listeners = new Set<() => void>();

  constructor(...definitions: readonly ServiceDefinition[]) {
    for (const definition of definitions) this.add(describe(definition));
  }

  add({ service, handlers }: Described): void {
    this.all.set(service.name, service);
    for (const [name, { handler }] of handlers) this.handlers.set(service.methods.get(name)!, handler);
    this.epoch++;
    for (const listener of this.listeners) listener();
  }

  method(service: string, method: string): Method | null {
    return this.all.get(service)?.methods.get(method) ?? null;
  }

  may(): boolean {
    return true;
  }

  begin(method: Method, options: CallOptions, receiver: CallReceiver): Call {
    return new FakeCall(this, method, this.handlers.get(method)!, options, receiver);
  }

  changed(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}

const QUEUE = 8;

class FakeCall implements Call {
  private readonly services: FakeServices;
  private readonly receiver: CallReceiver;
  private readonly inputs: unknown[] = [];
  private readonly controller = new AbortController();
  private readonly timer: NodeJS.Timeout | undefined;
  private trailers: readonly string[] = [];
  private done = false;
  private over = false;
  private wake: (() => void) | null = null;
  private onRoom: (() => void) | null = null;

  constructor(
    services: FakeServices,
    method: Method,
    handler: AnyHandler,
    options: CallOptions,
    receiver: CallReceiver,
  ) {
    this.services = services;
    this.receiver = receiver;
    services.open++;
    const timeout = Math.min(options.timeoutMs, method.deadlineMs);
    if (Number.isFinite(timeout))
      this.timer = setTimeout(() => {
        this.controller.abort();
        this.end({ code: 'DEADLINE_EXCEEDED', message: 'the deadline has passed', details: [] });
      }, timeout);
    const call: HandlerCall = {
      caller: options.caller,
      metadata: options.metadata,
      deadline: Date.now() + timeout,
      signal: this.controller.signal,
      sendHeaders: (metadata) => {
        if (!this.over) receiver.headers(metadata);
      },
      setTrailers: (metadata) => {
        this.trailers = metadata;
      },
    };
    void this.run(method, handler, call);
  }

  private async run({ kind }: Method, handler: AnyHandler, call: HandlerCall): Promise<void> {
    try {
      await null;
      const takesOne = kind === 'unary' || kind === 'server';
      const input = takesOne ? await this.one() : this.all();
      const answer = (handler as (input: unknown, call: HandlerCall) => unknown)(input, call);
      if (kind === 'unary' || kind === 'client') {
        const value = await answer;
        if (!this.over) this.receiver.message(value);
      } else {
        for await (const value of answer as AsyncIterable<unknown>) {
          while (!this.over && this.receiver.room <= 0) await new Promise<void>((resolve) => (this.onRoom = resolve));
          if (this.over) break;
          this.receiver.message(value);
        }
      }
      this.end(STATUS_OK);
    } catch (error) {
      if (error instanceof ServiceError) this.end({ code: error.code, message: error.message, details: error.details });
      else this.end({ code: 'INTERNAL', message: 'a bug', details: [] });
    }
  }

  private async one(): Promise<unknown> {
    for await (const value of this.all()) return value;
    throw new Error('no input');
  }

  private async *all(): AsyncGenerator<unknown> {
    for (;;) {
      if (this.inputs.length > 0) {
        const full = this.room <= 0;
        const value = this.inputs.shift();
        if (full && !this.over) this.receiver.writable();
        yield value;
      } else if (this.done || this.over) return;
      else await new Promise<void>((resolve) => (this.wake = resolve));
    }
  }

  get room(): number {
    return QUEUE - this.inputs.length;
  }

  send(value: unknown): void {
    this.inputs.push(value);
    this.wake?.();
  }

  finish(): void {
    this.done = true;
    this.wake?.();
  }

  more(): void {
    this.onRoom?.();
  }

  cancel(): void {
    if (this.over) return;
    this.services.cancelled++;
    this.close();
    this.controller.abort();
  }

  private end(status: Status): void {
    if (this.over) return;
    this.close();
    this.receiver.end(status, this.trailers);
  }

  private close(): void {
    this.over = true;
    this.services.open--;
    clearTimeout(this.timer);
    this.wake?.();
    this.onRoom?.();
  }
}
