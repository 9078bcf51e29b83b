// An engine over services of the test's own, and an output that writes down what it is given: for tests.
import type { Caller } from '../../../core/caller.ts';
import { bindLimits } from '../../../core/limits.ts';
import { SILENT } from '../../../core/log.ts';
import type {
  Call,
  CallOptions,
  CallReceiver,
  Method,
  Service,
  Services,
} from '../../../resources/services/contract.ts';
import { describe, type ServiceDefinition } from '../../../resources/services/define.ts';
import type { Status } from '../../../resources/services/status.ts';
import { shopService } from '../../../resources/services/testing/shop.ts';
import { errorJson } from '../codes.ts';
import { Engine, isRefused } from '../engine.ts';
import type { Doing, Output } from '../execution.ts';
import { limits } from '../limits.ts';
import { GRAPHQL_DEFAULTS, type GraphqlSettings } from '../settings.ts';

export const CALLER: Caller = { account: 'ann', scopes: null, origin: 'local', epoch: 0 };

/** A call that the test ends. */
export class HeldCall implements Call {
  readonly method: Method;
  readonly receiver: CallReceiver;
  readonly inputs: unknown[] = [];
  finished = false;
  cancelled = false;
  mores = 0;
  room = Number.POSITIVE_INFINITY;

  constructor(method: Method, receiver: CallReceiver) {
    this.method = method;
    this.receiver = receiver;
  }

  send(value: unknown): void {
    this.room--;
    this.inputs.push(value);
  }

  finish(): void {
    this.finished = true;
  }

  more(): void {
    this.mores++;
  }

  cancel(): void {
    this.cancelled = true;
  }

  answer(value: unknown): void {
    this.receiver.message(value);
    this.end();
  }

  end(code: Status['code'] = 'OK', message = ''): void {
    this.receiver.end({ code, message, details: [] }, []);
  }
}

/** Services whose calls are all held. */
export class HeldServices implements Services {
  epoch = 1;
  all: ReadonlyMap<string, Service>;
  readonly calls: HeldCall[] = [];
  /** Room for inputs that a call has at its beginning. */
  room = Number.POSITIVE_INFINITY;

  constructor(definitions: readonly ServiceDefinition[] = [shopService()]) {
    this.all = new Map();
    this.become(definitions);
  }

  become(definitions: readonly ServiceDefinition[]): void {
    this.epoch++;
    this.all = new Map(definitions.map((each) => [each.name, describe(each).service]));
  }

  method(service: string, method: string): Method | null {
    return this.all.get(service)?.methods.get(method) ?? null;
  }

  may(): boolean {
    return true;
  }

  begin(method: Method, _options: CallOptions, receiver: CallReceiver): Call {
    const call = new HeldCall(method, receiver);
    call.room = this.room;
    this.calls.push(call);
    return call;
  }

  changed(): () => void {
    return () => {};
  }
}

export class Written implements Output {
  room = Number.POSITIVE_INFINITY;
  readonly texts: string[] = [];
  ended = 0;

  next(text: string): void {
    if (this.ended > 0) throw new Error('an answer after the end');
    this.texts.push(text);
  }

  end(): void {
    if (this.ended > 0) throw new Error('a second end');
    this.ended++;
  }

  get last(): Record<string, unknown> {
    return JSON.parse(this.texts.at(-1)!) as Record<string, unknown>;
  }
}

export class Shelf {
  readonly services: HeldServices;
  readonly engine: Engine;

  constructor(
    overrides: Readonly<Record<string, number>> = {},
    more: Partial<GraphqlSettings> & { definitions?: readonly ServiceDefinition[] } = {},
  ) {
    const { definitions, ...rest } = more;
    this.services = new HeldServices(definitions);
    this.engine = new Engine({
      services: this.services,
      topics: {
        begin(_verb, _args, _asker, outlet) {
          outlet.value(null);
          outlet.end(null);
          return { cancel() {}, more() {} };
        },
      },
      limits: bindLimits(limits, overrides),
      log: SILENT,
      settings: { ...GRAPHQL_DEFAULTS, ...rest },
    });
  }

  /** Begins an operation that is not refused. */
  start(query: string, variables: Record<string, unknown> | null = null): { doing: Doing; output: Written } {
    const readied = this.engine.ready({ query, operationName: null, variables, extensions: null, documentId: null });
    if (isRefused(readied)) throw new Error(readied.map(({ message }) => message).join(' '));
    const output = new Written();
    return {
      doing: this.engine.start(readied, { caller: CALLER, connection: 1, name: 'test', metadata: [] }, output),
      output,
    };
  }

  /** Why a document is refused; '' when it is not. */
  refusal(query: string, variables: Record<string, unknown> | null = null, more: object = {}): string {
    const request = { query, operationName: null, variables, extensions: null, documentId: null, ...more };
    const readied = this.engine.ready(request);
    if (!isRefused(readied)) return '';
    const { extensions } = errorJson(readied[0]!) as { extensions: Record<string, unknown> };
    return String(extensions.fault ?? extensions.code);
  }
}
