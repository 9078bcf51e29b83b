// What carries calls to a server, whatever it is spoken over: values as parsed JSON, metadata and status as services have them.
import type { Call, CallKind, CallReceiver, Metadata } from '../resources/services/contract.ts';
import { CODE_NAMES, type CodeName, type Detail, type Status } from '../resources/services/status.ts';
import type { TlsOptions } from './loop.ts';

export interface CarrierOptions {
  /** Who signs in, beside what the URL says. */
  readonly user?: string;
  readonly password?: string;
  readonly token?: string;
  readonly tls?: TlsOptions;
}

export interface Terms {
  readonly metadata: Metadata;
  /** Infinity for as long as the method allows. */
  readonly timeoutMs: number;
  /** Null where it is not known: one input is sent, and what is answered says the rest. */
  readonly kind: CallKind | null;
}

/** A connection, or many, to one server. */
export interface JsonCarrier {
  begin(service: string, method: string, terms: Terms, receiver: CallReceiver): Call;
  close(): Promise<void>;
}

export function takesMany(kind: CallKind | null): boolean {
  return kind === 'client' || kind === 'both';
}

export function failure(code: CodeName, message: string): Status {
  return { code, message, details: [] };
}

/** The code by that name, or `otherwise`. */
export function codeNamed(name: unknown, otherwise: CodeName): CodeName {
  return CODE_NAMES.find((known) => known === name && known !== 'OK') ?? otherwise;
}

/** What every answer in JSON says of an error: `{code, message, details: [{type, value}]}`. */
export function statusFrom(json: unknown): Status {
  const { code, message, details } = (json ?? {}) as { code?: unknown; message?: unknown; details?: unknown };
  return {
    code: codeNamed(code, 'UNKNOWN'),
    message: typeof message === 'string' ? message : '',
    details: (Array.isArray(details) ? details : []).filter(
      (detail): detail is Detail => typeof (detail as { type?: unknown } | null)?.type === 'string',
    ),
  };
}

/** Outputs that wait until the receiver takes them, and the end behind them. */
export class Outputs {
  private readonly receiver: CallReceiver;
  private readonly waiting: unknown[] = [];
  private ending: { readonly status: Status; readonly trailers: Metadata } | null = null;
  private isDone = false;

  constructor(receiver: CallReceiver) {
    this.receiver = receiver;
  }

  get isOver(): boolean {
    return this.isDone || this.ending !== null;
  }

  get length(): number {
    return this.waiting.length;
  }

  put(value: unknown): void {
    if (this.isOver) return;
    this.waiting.push(value);
    this.give();
  }

  end(status: Status, trailers: Metadata = []): void {
    if (this.isOver) return;
    this.ending = { status, trailers };
    this.give();
  }

  /** Nobody wants any of it. */
  drop(): void {
    this.isDone = true;
    this.waiting.length = 0;
  }

  give(): void {
    while (!this.isDone && this.waiting.length > 0 && this.receiver.room > 0)
      this.receiver.message(this.waiting.shift());
    if (this.isDone || this.ending === null || this.waiting.length > 0) return;
    this.isDone = true;
    this.receiver.end(this.ending.status, this.ending.trailers);
  }
}
