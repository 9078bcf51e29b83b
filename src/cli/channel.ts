// What the commands need of any protocol that reaches topics: publish, subscribe, close.

import { NO_EVENTS, PIPE_BOUNDS } from '../core/stream-pipe.ts';
import type { TlsOptions } from '../exports/loop.ts';

export interface Shown {
  readonly topic: string;
  readonly payload: Buffer;
  /** Null where the protocol does not tell. */
  readonly retained: boolean | null;
  /** Null where the protocol does not carry it. */
  readonly cursor: number | null;
}

export interface PublishOptions {
  readonly retain: boolean;
  readonly qos: 0 | 1 | 2;
  readonly contentType: string;
}

/** The server said no; whoever asks again is told no again, unless it is passing. */
export class Refusal extends Error {
  /** Because what was asked for is not there. */
  readonly isMissing: boolean;
  /** For now: later it may be otherwise. */
  readonly isPassing: boolean;

  constructor(message: string, isMissing = false, isPassing = false) {
    super(message);
    this.name = 'Refusal';
    this.isMissing = isMissing;
    this.isPassing = isPassing;
  }
}

/** A connection to a server's topics. Failures reject with an Error whose message is for a person. */
export interface Channel {
  /** Resolves when it is acknowledged, with the cursor where the protocol tells it. */
  publish(topic: string, payload: Buffer, options: PublishOptions): Promise<number | null>;
  /** Resolves when the server has said yes. */
  subscribe(
    filter: string,
    options: { after: number | null; qos: 0 | 1 | 2 },
    on: { message(message: Shown): void; gap(text: string): void },
  ): Promise<void>;
  /** What is retained at a topic, or null; absent where the protocol has no way to ask. */
  get?(topic: string): Promise<Shown | null>;
  /** Resolves, or rejects with what went wrong, when the connection has ended. */
  readonly closed: Promise<void>;
  close(): void;
}

/** Where a channel leads, out of a URL. */
export interface Place {
  readonly host: string;
  readonly port: number;
  readonly topic: string;
  readonly user: string;
  readonly password: string;
  /** In place of the password; '' for none. */
  readonly token: string;
  /** Null for what is not TLS. */
  readonly tls: TlsOptions | null;
}

/** Retained values come at once; after so much silence there are no more. */
export const QUIET_MS = 500;

/** How every connection of a command is made. */
export const MAKING = { bounds: { ...PIPE_BOUNDS, inputMax: 268_435_456 }, events: NO_EVENTS };
