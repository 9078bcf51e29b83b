// The protocol of the control socket, which only the owner of the data folder can open: JSON, one value a line, both ways.
// The server greets; a client asks; `watch` turns the connection into a feed of events. It stands in no list of protocols,
// since nobody but the commands of the same version speaks it and it never listens on a network.
import type { FrameSeen, Seen } from '../inspector/seen.ts';
import type { Answer } from '../resources/accounts/orders.ts';
import type { TopicFigures, WhyAnswer } from '../resources/topics/contract.ts';

/** Another number is another protocol: neither side tries to understand it. */
export const CONTROL_VERSION = 1;

/** The longest line that a client may send. */
export const ASK_BYTES_MAX = 65_536;

export interface Greeting {
  readonly control: number;
  /** The version of the server. */
  readonly portico: string;
}

/** What is to be shown. What is absent does not narrow it. */
export interface WatchAsk {
  readonly ask: 'watch';
  readonly protocol?: string;
  readonly connection?: number;
  /** A filter of topics: only frames that name one. */
  readonly topic?: string;
  /** An address, with or without its port. */
  readonly from?: string;
  /** With the bytes of frames. */
  readonly bytes?: boolean;
  /** With what the kernel says of each connection, from time to time. */
  readonly kernel?: boolean;
  /** With the pieces of frames. */
  readonly pieces?: boolean;
}

export interface WhyAsk {
  readonly ask: 'why';
  readonly topic: string;
  /** 0 for the last message. */
  readonly cursor: number;
}

export interface StatusAsk {
  readonly ask: 'status';
}

/** An order about accounts, tokens or rules: whoever may open the data folder administers it. */
export interface OrderAsk {
  readonly ask: 'order';
  readonly order: unknown;
}

export type Ask = WatchAsk | WhyAsk | StatusAsk | OrderAsk;

/** A frame with its one line; its pieces where they were asked for. */
export type FrameSaid = Omit<FrameSeen, 'pieces'> & { readonly summary: string; readonly pieces?: FrameSeen['pieces'] };

/** What one line of the server's is. */
export type Said =
  | Greeting
  | { readonly answer: 'watching' }
  | { readonly answer: 'why'; readonly subscribers: readonly WhyAnswer[] }
  | ({ readonly answer: 'status' } & Status)
  | { readonly answer: 'order'; readonly order: Answer }
  | { readonly error: string }
  | Exclude<Seen, FrameSeen>
  | FrameSaid
  /** The watcher took too long: so many events were not sent to it. */
  | { readonly event: 'lost'; readonly events: number }
  /** The server ends. */
  | { readonly event: 'end'; readonly why: string };

export interface Status {
  readonly portico: string;
  readonly node: string;
  readonly pid: number;
  readonly forMs: number;
  /** `on`, or why the system calls that Node does not offer are not used. */
  readonly native: string;
  readonly connections: number;
  /** Of those, by protocol. */
  readonly protocols: Readonly<Record<string, number>>;
  readonly topics: Readonly<TopicFigures>;
  /** Bytes of memory that the process has. */
  readonly memory: number;
  /** The data folder; null in memory. */
  readonly data: string | null;
  /** Connections to the control socket that watch. */
  readonly watching: number;
  readonly listening: readonly {
    readonly protocol: string;
    readonly on: string;
    readonly address: { readonly host: string; readonly port: number } | null;
    readonly path: string | null;
  }[];
}

/** Reads an ask; answers what is wrong with it as text. */
export function readAsk(line: string): Ask | string {
  let given: unknown;
  try {
    given = JSON.parse(line);
  } catch {
    return 'that is not a line of JSON';
  }
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return 'that is not an object';
  const fields = given as Record<string, unknown>;
  if (fields.control !== CONTROL_VERSION)
    return `this server speaks control ${CONTROL_VERSION}; use the command of its own version`;
  switch (fields.ask) {
    case 'status':
      return { ask: 'status' };
    case 'order':
      return { ask: 'order', order: fields.order };
    case 'why':
      if (typeof fields.topic !== 'string') return 'why needs a topic';
      return isCount(fields.cursor ?? 0)
        ? { ask: 'why', topic: fields.topic, cursor: Number(fields.cursor ?? 0) }
        : 'a cursor is a whole number';
    case 'watch':
      return readWatch(fields);
    default:
      return 'what is asked is not known; there are watch, why, status and order';
  }
}

function readWatch({
  protocol,
  connection,
  topic,
  from,
  bytes,
  pieces,
  kernel,
}: Record<string, unknown>): WatchAsk | string {
  for (const text of [protocol, topic, from])
    if (text !== undefined && typeof text !== 'string') return 'protocol, topic and from are text';
  if (connection !== undefined && !isCount(connection)) return 'a connection is a whole number';
  return {
    ask: 'watch',
    ...(protocol === undefined ? {} : { protocol: protocol as string }),
    ...(connection === undefined ? {} : { connection: connection as number }),
    ...(topic === undefined ? {} : { topic: topic as string }),
    ...(from === undefined ? {} : { from: from as string }),
    bytes: bytes === true,
    kernel: kernel === true,
    pieces: pieces === true,
  };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
