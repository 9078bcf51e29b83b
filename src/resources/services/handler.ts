// What a handler of a service's method is given and answers: the program's side of a call.
import type { Caller } from '../../core/caller.ts';
import type { Metadata } from './contract.ts';

/** A call as its handler sees it. */
export interface HandlerCall {
  readonly caller: Caller;
  readonly metadata: Metadata;
  /** When it is over, in milliseconds since 1970; Infinity for never. */
  readonly deadline: number;
  /** Aborted when the caller is gone, the deadline has passed, or the server leaves. */
  readonly signal: AbortSignal;
  /** Metadata before the first output. */
  sendHeaders(metadata: Metadata): void;
  /** Metadata with the end. */
  setTrailers(metadata: Metadata): void;
}

/** What of a call matters to whoever carries it on to another server. */
export type CallTerms = Pick<HandlerCall, 'metadata' | 'deadline' | 'signal'>;

export type UnaryHandler<In, Out> = (input: In, call: HandlerCall) => Out | Promise<Out>;
export type ServerHandler<In, Out> = (input: In, call: HandlerCall) => AsyncIterable<Out>;
export type ClientHandler<In, Out> = (inputs: AsyncIterable<In>, call: HandlerCall) => Promise<Out>;
export type BothHandler<In, Out> = (inputs: AsyncIterable<In>, call: HandlerCall) => AsyncIterable<Out>;

export type AnyHandler =
  | UnaryHandler<unknown, unknown>
  | ServerHandler<unknown, unknown>
  | ClientHandler<unknown, unknown>
  | BothHandler<unknown, unknown>;
