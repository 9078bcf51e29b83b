// What the log of accesses is told of a request, by whatever version of HTTP it came. There is none unless somebody wants
// it, so that it costs nothing otherwise.
import type { Exchange } from './exchange.ts';
import type { Cause } from './pipe.ts';
import type { Instant } from './time.ts';

export interface AccessLog {
  /** Monotonic milliseconds as they are, not as they were when the turn began. */
  now(): Instant;
  /**
   * A request and its answer are over.
   *
   * @param status 0 when there was no answer
   * @param came, sent bytes of the two bodies
   */
  exchanged(exchange: Exchange, status: number, came: number, sent: number, began: Instant, cause: Cause): void;
}
