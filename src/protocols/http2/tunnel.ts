// A stream as a pipe (RFC 8441, RFC 9113 §8.5): what a WebSocket or whatever else is spoken on one is given.
import { giveBack } from '../../bytes/pool.ts';
import type { Caller } from '../../core/caller.ts';
import type { Peer } from '../../core/peer.ts';
import { type Cause, HANDSHAKE, RESET } from '../../core/pipe.ts';
import { NO_EVENTS, PIPE_BOUNDS, type PipeBounds, StreamPipe } from '../../core/stream-pipe.ts';
import type { Turn } from '../../core/turn.ts';
import { CANCEL } from './codec.ts';
import { SHARE_LEAST, type Stream } from './stream.ts';

/** What was handed over together, and the storage to give back when all of it is in frames. */
interface Batch {
  left: number;
  readonly lent: readonly Buffer[];
}

export class StreamTunnel extends StreamPipe {
  private readonly stream: Stream;
  private readonly batches: Batch[] = [];

  constructor(stream: Stream, turn: Turn, bounds: Partial<PipeBounds> = {}) {
    const { streamQueueBytes } = stream.line.limits;
    const own = { highMark: streamQueueBytes, lowMark: streamQueueBytes / 4 };
    super(turn, peerOf(stream), { ...PIPE_BOUNDS, ...own, ...bounds }, NO_EVENTS);
    this.stream = stream;
  }

  // ---- what the stream tells ---------------------------------------------------------------------------------------

  came(input: Uint8Array, start: number, end: number): void {
    this.offer(input, start, end);
  }

  cameEnd(): void {
    this.peerEnd();
  }

  framed(bytes: number): void {
    for (let left = bytes; left > 0; ) {
      const batch = this.batches[0]!;
      const part = Math.min(left, batch.left);
      batch.left -= part;
      left -= part;
      if (batch.left > 0) break;
      this.batches.shift();
      for (const storage of batch.lent) giveBack(storage);
    }
    this.sent(bytes);
  }

  gone(cause: Cause, wire: number): void {
    this.ended(cause, wire);
  }

  override signedIn(caller: Caller): void {
    super.signedIn(caller);
    this.stream.line.pipe.signedIn(caller);
  }

  // ---- what a pipe asks of its carrier -----------------------------------------------------------------------------

  protected transmit(pieces: readonly Uint8Array[], total: number, lent: readonly Buffer[]): void {
    // Small pieces are copied into their frames; of others nobody knows when they have left.
    const copied = pieces.every((piece) => piece.length < SHARE_LEAST);
    this.batches.push({ left: total, lent: copied ? lent : [] });
    for (const piece of pieces) this.stream.enqueue(piece, 0, piece.length);
    this.stream.line.flush(this.stream);
  }

  protected hold(stop: boolean): void {
    if (stop) this.stream.pause();
    else this.stream.resume();
  }

  protected shut(): void {
    this.stream.ending = true;
    this.stream.line.flush(this.stream);
  }

  protected abort(wire: number): void {
    this.stream.line.reset(this.stream, wire === 0 ? CANCEL : wire, RESET);
  }

  protected close(): void {}

  protected refuse(): void {
    this.stream.resume();
  }

  protected startTls(): void {
    this.ended(HANDSHAKE, 0);
  }
}

function peerOf({ id, line }: Stream): Peer {
  const { peer } = line.pipe;
  return { ...peer, carrier: 'http', tls: null, below: peer, stream: id };
}
