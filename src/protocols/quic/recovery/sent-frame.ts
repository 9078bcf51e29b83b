// What a packet carried, as far as its fate matters: to let go of bytes when it came, to say it again when it did not.
import type { QuicStream } from '../streams/stream.ts';

export interface SentFrame {
  /** The frame's type; ACK with the largest number that it named in `start`. */
  readonly type: number;
  readonly stream: QuicStream | null;
  /** Offsets of STREAM and CRYPTO, a sequence number, a limit, by type. */
  readonly start: number;
  readonly end: number;
  readonly fin: boolean;
}

export function sentFrame(type: number, stream: QuicStream | null = null, start = 0, end = 0, fin = false): SentFrame {
  return { type, stream, start, end, fin };
}
