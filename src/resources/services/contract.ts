// Services as protocols see them: which methods there are, how their values look, and how a call is made, fed, answered and
// ended. Nothing here, and nothing behind it, knows which protocol is calling. Values are as `formats/schema/types.ts` says.
import type { Caller } from '../../core/caller.ts';
import type { MessageType, Schema } from '../../formats/schema/types.ts';
import type { Status } from './status.ts';

/** Name, value, name, value; names are lower case and may repeat; those that end with `-bin` have base64 as their value. */
export type Metadata = readonly string[];

/** Who sends how many: one and one, one and many, many and one, many and many. */
export type CallKind = 'unary' | 'server' | 'client' | 'both';

/** A call may be made again: it changes nothing (`safe`), or changes the same thing once (`idempotent`). */
export type Idempotency = 'none' | 'idempotent' | 'safe';

/** How a method is called by a path of its own, as google.api.http says it. */
export interface HttpBinding {
  readonly method: 'GET' | 'PUT' | 'POST' | 'DELETE' | 'PATCH';
  /** `/v1/shelves/{shelf}/books/{book=**}`: names are `protoName`s, with dots into messages. */
  readonly path: string;
  /** The field that the body is; `*` for all that the path does not name; `''` for none. */
  readonly body: string;
  /** The field of the output that the answer is; `''` for all of it. */
  readonly responseBody: string;
}

export interface Method {
  /** `GetOrder`. */
  readonly name: string;
  readonly service: Service;
  readonly kind: CallKind;
  readonly input: MessageType;
  readonly output: MessageType;
  readonly idempotency: Idempotency;
  readonly http: readonly HttpBinding[];
  readonly description: string;
  readonly deprecated: boolean;
  /**
   * The most that it may take, in ms, when the caller names no deadline, or a later one. Infinity for streams that go on.
   */
  readonly deadlineMs: number;
}

export interface Service {
  /** With its package: `shop.v1.Orders`. */
  readonly name: string;
  readonly methods: ReadonlyMap<string, Method>;
  /** Its types and those of its details. One schema may be shared by several services. */
  readonly schema: Schema;
  readonly description: string;
  /** Where it came from, for what is exported and shown: the server's own resources, a program, an upstream. */
  readonly origin: 'resource' | 'program' | 'upstream';
}

export interface CallOptions {
  readonly caller: Caller;
  /** What the call's log and audit lines carry. */
  readonly connection: number;
  readonly metadata: Metadata;
  /** How long it may take from now on, in ms; Infinity for as long as the method allows. */
  readonly timeoutMs: number;
}

/**
 * The caller's side, which a protocol implements. All calls come from the event loop, never from within `begin`, and must not
 * throw; after `end` there are none.
 */
export interface CallReceiver {
  /** Before the first message or `end`; at most once; not called when there is nothing to say. */
  headers(metadata: Metadata): void;
  /** One output; exactly one, and then `end`, for `unary` and `client` that end with OK. Immutable from now on. */
  message(value: unknown): void;
  /** Exactly once, the last. Deadlines, cancelling, what a handler threw and a server that goes away all end here. */
  end(status: Status, trailers: Metadata): void;
  /** How many outputs may come for now; at 0 a stream waits until `Call.more()`. Asked before each message of a stream. */
  readonly room: number;
  /** There is room again for inputs after `Call.room` was 0. */
  writable(): void;
}

/** A call that has begun. */
export interface Call {
  /**
   * One input, which is checked: one that is not valid ends the call with INVALID_ARGUMENT and each violation. For `unary` and
   * `server` exactly one is sent.
   */
  send(value: unknown): void;
  /** There are no more inputs. `unary` and `server` begin with it. */
  finish(): void;
  /** Inputs that are still taken; at 0 hold back until `writable`. */
  readonly room: number;
  /** There is room again after the receiver's `room` was 0. */
  more(): void;
  /** The caller is gone or wants no answer: the handler's signal is aborted and nothing more comes, not even `end`. */
  cancel(): void;
}

/** What the protocols are given. */
export interface Services {
  /** Grows with each change of what there is: what was compiled from descriptions is made anew. */
  readonly epoch: number;
  /** All services, by name. Which of them a caller sees is asked by `may`. */
  readonly all: ReadonlyMap<string, Service>;
  /** `shop.v1.Orders` and `GetOrder`; null when there is none. */
  method(service: string, method: string): Method | null;
  /** Whether it may be called at all: for lists and reflection; `begin` asks for itself. */
  may(caller: Caller, method: Method): boolean;
  /**
   * Begins a call. A refusal (not allowed, too many calls at once, the server is leaving) ends it as any other end does, by
   * `receiver.end`.
   */
  begin(method: Method, options: CallOptions, receiver: CallReceiver): Call;
  /** Told after each change of `epoch`. Answers how to stop that. */
  changed(listener: () => void): () => void;
}
