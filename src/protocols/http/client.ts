// Requests and their answers as a client of any version of HTTP sees them, and connections as those who keep them do.
import type { BodyReader } from '../../core/exchange.ts';
import type { Fault } from '../../core/fault.ts';
import type { Fields } from '../../core/fields.ts';
import type { Cause, Pipe, Session } from '../../core/pipe.ts';
import type { Clock } from '../../core/time.ts';

/** The length of a body whose end is not known before: it is sent in pieces. */
export const UNKNOWN = -1;

export interface ClientRequest {
  readonly method: string;
  /** A path with its query; `*`; with CONNECT, and to a proxy, the other forms of RFC 9112 §3.2. */
  readonly target: string;
  /** Host, and the port where it is not the scheme's own. */
  readonly authority: string;
  /** Host, Connection, Upgrade, Expect and what frames the body are the client's own to write. */
  readonly fields: Fields;
  /** The whole body, which must not change any more. */
  readonly body?: Uint8Array | null;
  /** Instead of `body`: how many bytes will be written, or UNKNOWN. */
  readonly length?: number;
  /** Waits for 100 (Continue) before the body is sent. */
  readonly expectContinue?: boolean;
  /** What the connection is to become: `websocket`. The answer may be an ordinary one all the same. */
  readonly upgrade?: string;
  /** How long nothing may move, instead of the limit `silenceMs`; NEVER for streams and long polls. */
  readonly silenceMs?: number;
}

/** Nothing of the request was sent: it can be sent again whatever it is. */
export const UNSENT = 'unsent';
/**
 * It was sent on a connection that had answered before, and no byte of its answer came: the server closed an idle
 * connection at the wrong moment. It can be sent again if doing it twice is as doing it once (RFC 9110 §9.2.2).
 */
export const UNANSWERED = 'unanswered';
/** It may have been acted on. */
export const BEGUN = 'begun';
export type Progress = typeof UNSENT | typeof UNANSWERED | typeof BEGUN;

/** What a caller is told, in this order. */
export interface AnswerEvents {
  /** The head is out and the body may be written: at once, or with 100 (Continue), or after having waited for it. */
  begun?(clock: Clock): void;
  /** There is room again after `room` was 0. */
  writable?(clock: Clock): void;
  /** An interim answer (1xx). */
  inform?(status: number, fields: Fields): void;
  /** The head of the answer; answers who reads its body, or null to have it discarded. */
  answered(status: number, reason: string, fields: Fields): BodyReader | null;
  /** 101, or 2xx to CONNECT: the pipe is the session's that is answered. Without it such an answer is a fault. */
  upgraded?(pipe: Pipe, status: number, fields: Fields): Session;
  /** Exactly once, the last call ever: ENDED without a fault when request and answer were both whole. */
  over(cause: Cause, fault: Fault | null, progress: Progress): void;
}

/** Methods of which twice is as once (RFC 9110 §9.2.2). */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'TRACE']);

export function isIdempotent(method: string): boolean {
  return IDEMPOTENT.has(method);
}

/** A request that a connection took. */
export interface SentRequest {
  readonly request: ClientRequest;
  /** All of the answer was read. */
  readonly isWhole: boolean;
  /** We gave up. */
  readonly isCancelled: boolean;
  /** How many bytes of the body may be written now; 0: wait for `begun` or `writable`. */
  readonly room: number;
  /** Writes a piece of the body; it must not change any more. Throws a RangeError for more than `length` said. */
  write(bytes: Uint8Array, start?: number, end?: number): void;
  /** The body is whole. */
  end(trailers?: Fields): void;
  /** Takes no more of the answer's body until `resume`. */
  pause(): void;
  resume(): void;
  cancel(): void;
}

export interface ConnectionEvents {
  /** Another request may be sent: all are answered, or, where many may be, one is. */
  idle(): void;
  /** Takes no more requests: it ended, is ending, or has become something else. Exactly once. */
  closed(cause: Cause, fault: Fault | null): void;
}

/** A connection to an origin, whatever carries it. */
export interface RequestConnection {
  /** Whether requests need not wait for one another. */
  readonly isParallel: boolean;
  readonly isIdle: boolean;
  /** Whether one more request would be taken. */
  readonly hasRoom: boolean;
  /** Requests that are not answered. */
  readonly open: number;
  /** Null when it takes no more. @param made told the request before anything else is told of it */
  send(request: ClientRequest, events: AnswerEvents, made: (sent: SentRequest) => void): SentRequest | null;
  /** No more requests; ends once all are answered. */
  close(): void;
}

/** One over a pipe. */
export interface ClientConnection extends Session, RequestConnection {}
