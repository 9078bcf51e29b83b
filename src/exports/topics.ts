// What connections to a server's topics have in common, whatever they are spoken over. It knows no protocol.
import { OUTCOME_NAMES, type Outcome } from '../core/outcome.ts';
import { Inbox } from './inbox.ts';

/** A message that was published, or is retained. */
export interface Message {
  readonly topic: string;
  readonly payload: Buffer;
  /** '' where there is none, or the protocol does not carry it. */
  readonly contentType: string;
  /** Pairs in order; names may repeat. */
  readonly properties: readonly (readonly [name: string, value: string])[];
  /** Whether it is given because it is retained; null where the protocol does not tell. */
  readonly retained: boolean | null;
  /** Where to go on behind it, on any protocol; null where the topic keeps no history or the protocol does not tell. */
  readonly cursor: number | null;
}

/** The server said no. */
export class RefusedError extends Error {
  /** One of DENIED UNKNOWN MISSING EXISTS INVALID STALE FULL BUSY LATE GONE UNSUPPORTED FAILED; '' where it has codes instead. */
  readonly outcome: string;
  /** The protocol's own code; 0 for none. */
  readonly code: number;

  constructor(message: string, outcome: string, code = 0) {
    super(message);
    this.name = 'RefusedError';
    this.outcome = outcome;
    this.code = code;
  }

  static of(what: string, outcome: Outcome, text: string): RefusedError {
    const name = OUTCOME_NAMES[outcome]!;
    return new RefusedError(`${what}: ${name}${text === '' ? '' : `: ${text}`}`, name);
  }
}

export interface PublishOptions {
  /** It becomes the value that new subscribers are given first. An empty payload clears it. */
  readonly retain?: boolean;
}

export interface SubscribeOptions {
  /** Begins with the history behind this cursor; 0 for all of it. */
  readonly after?: number;
}

/** A part of the history that is not there any more. */
export interface Gap {
  readonly filter: string;
  readonly after: number;
  /** The cursor with which it goes on; 0 when nothing follows. */
  readonly from: number;
}

/**
 * A connection to topics. `for await (const message of connection)` gives what its subscriptions bring, in order, and holds
 * the server back while nobody asks; the server's policy for slow subscribers says for how long.
 */
export abstract class TopicConnection implements AsyncIterable<Message> {
  /** Told of what is missing when a subscription begins behind a cursor that the history does not reach. */
  onGap: ((gap: Gap) => void) | null = null;
  /** Resolves when the connection has ended; rejects with a ConnectionError when it was lost. */
  readonly closed: Promise<void>;
  protected readonly inbox: Inbox<Message>;
  private settle!: { resolve(): void; reject(error: unknown): void };

  constructor(hold: (stop: boolean) => void) {
    this.inbox = new Inbox(hold);
    this.closed = new Promise((resolve, reject) => {
      this.settle = { resolve, reject };
    });
    this.closed.catch(() => {});
  }

  /** Says goodbye; what was asked is still answered where the protocol has a way. Resolves when the connection has ended. */
  abstract close(): Promise<void>;

  protected ended(error: Error | null): void {
    this.inbox.end(error);
    if (error === null) this.settle.resolve();
    else this.settle.reject(error);
  }

  [Symbol.asyncIterator](): AsyncIterator<Message> {
    return this.inbox[Symbol.asyncIterator]();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

export function bytesOf(payload: string | Uint8Array): Uint8Array {
  return typeof payload === 'string' ? Buffer.from(payload) : payload;
}

/** Name, value, name, value as pairs. */
export function pairsOf(list: readonly string[]): (readonly [string, string])[] {
  const pairs: (readonly [string, string])[] = [];
  for (let at = 0; at + 1 < list.length; at += 2) pairs.push([list[at]!, list[at + 1]!]);
  return pairs;
}
