// The client half of server-sent events, as EventSource has it (WHATWG HTML §9.2): which answers are streams, which events
// are in them, and when and with which id to ask again. Whoever asks is the caller; it knows no connection and no time.
import { KeptBytes } from '../../bytes/kept.ts';
import { BAD, MORE } from '../../bytes/reader.ts';
import type { Fault } from '../../core/fault.ts';
import { EventReader } from './codec.ts';

export interface ServerEvent {
  /** `message` where the stream says none. */
  readonly type: string;
  readonly data: string;
  /** The last id that was said, by this event or one before it; '' for none. */
  readonly id: string;
}

export interface EventStreamOptions {
  /** Where to go on: the last id of an earlier stream. */
  readonly lastEventId?: string;
  /** The longest event that is taken. */
  readonly eventBytesMax?: number;
  /** How long to wait before asking again, until the server says otherwise. */
  readonly retryMs?: number;
}

/** The answer is a stream: give its body to `receive`. */
export const STREAM = 'stream';
/** Ask again after `waitMs`. */
export const AGAIN = 'again';
/** Do not ask again: 204, another status, or something that is no stream. */
export const STOP = 'stop';

/** What is waited at most after failures that follow one another. */
const WAIT_MAX = 30_000;

export class EventStream {
  /** To be sent as `Last-Event-ID`, where it is not ''. */
  lastEventId: string;
  private readonly bytesMax: number;
  private retryMs: number;
  /** What an answer asked to wait, once (RFC 9110 §10.2.3). */
  private askedMs = 0;
  private failures = 0;
  private reader: EventReader;
  private readonly kept = new KeptBytes();

  constructor({ lastEventId = '', eventBytesMax = 16_777_216, retryMs = 2_000 }: EventStreamOptions = {}) {
    this.lastEventId = lastEventId;
    this.bytesMax = eventBytesMax;
    this.retryMs = retryMs;
    this.reader = new EventReader(eventBytesMax);
  }

  /** What to do with an answer (§9.2.3). @param retryAfter the value of Retry-After, in seconds, or null */
  answered(
    status: number,
    contentType: string | null,
    retryAfter: string | null,
  ): typeof STREAM | typeof AGAIN | typeof STOP {
    if (status === 503) {
      this.askedMs = retryAfter !== null && /^\d{1,6}$/.test(retryAfter) ? Number(retryAfter) * 1_000 : 0;
      return AGAIN;
    }
    if (status !== 200 || !/^text\/event-stream(?:[\s;]|$)/i.test(contentType ?? '')) return STOP;
    this.failures = 0;
    this.kept.clear();
    this.reader = new EventReader(this.bytesMax);
    this.reader.id = this.lastEventId;
    return STREAM;
  }

  /** Visits the events in the next bytes of a stream; answers the fault of one that is too long, or null. */
  receive(input: Uint8Array, start: number, end: number, visit: (event: ServerEvent) => void): Fault | null {
    const { kept, reader } = this;
    kept.append(input, start, end);
    while (kept.length > 0) {
      const next = reader.read(kept.bytes, kept.start, kept.end);
      if (next === MORE) return null;
      if (next === BAD) {
        kept.clear();
        return reader.fault;
      }
      kept.consume(next);
      this.lastEventId = reader.id;
      if (reader.retryMs >= 0) this.retryMs = reader.retryMs;
      if (reader.isEvent) visit({ type: reader.type, data: reader.data, id: reader.id });
    }
    return null;
  }

  /**
   * The stream ended, or there was no answer: how many milliseconds to wait before asking again. Failures that follow one
   * another make it longer. An event that was not whole is dropped (§9.2.6).
   */
  waitMs(): number {
    this.kept.clear();
    const asked = this.askedMs;
    this.askedMs = 0;
    const wait = Math.max(asked, this.retryMs * 2 ** Math.min(this.failures++, 10));
    return asked > WAIT_MAX ? asked : Math.min(wait, Math.max(WAIT_MAX, this.retryMs));
  }
}
