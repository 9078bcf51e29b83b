// A stream's DATA frames as a pipe (RFC 9220, RFC 9114 §4.4): what a WebSocket or whatever else is spoken on one is given.
import { giveBack } from '../../bytes/pool.ts';
import type { Caller } from '../../core/caller.ts';
import { InnerTurn } from '../../core/inner-turn.ts';
import type { Peer } from '../../core/peer.ts';
import { type Cause, HANDSHAKE } from '../../core/pipe.ts';
import { NO_EVENTS, PIPE_BOUNDS, StreamPipe } from '../../core/stream-pipe.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import { DATA, H3_NO_ERROR, H3_REQUEST_CANCELLED, writeFrameHead } from './codec.ts';
import type { MessageStream } from './message-stream.ts';

/** Smaller pieces are copied by the pipe below. */
const SHARE_LEAST = 2_048;

/** Who says what was thrown in it. */
export interface Reports {
  report(where: string, error: unknown): void;
  readonly clock: Clock;
}

export class StreamTunnel extends StreamPipe {
  private readonly stream: MessageStream;
  private readonly inner: InnerTurn;
  /** Bytes that the pipe below was given while it had no room. */
  private pending = 0;

  constructor(stream: MessageStream, reports: Reports) {
    const inner = new InnerTurn(
      {
        get clock() {
          return reports.clock;
        },
        flush: () => stream.pipe.flush(),
        // The deadline of its stream is read after each turn.
        wake: () => {},
      },
      (error, where) => reports.report(where, error),
    );
    const { room } = stream.pipe;
    const highMark = Math.max(65_536, Math.min(room, 262_144));
    super(inner, peerOf(stream), { ...PIPE_BOUNDS, highMark, lowMark: highMark / 4 }, NO_EVENTS);
    this.stream = stream;
    this.inner = inner;
  }

  run(clock: Clock): void {
    this.inner.run(clock);
  }

  get innerDue(): Instant {
    return this.isAlive ? this.due : NEVER;
  }

  // ---- what the stream tells ---------------------------------------------------------------------------------------

  came(input: Uint8Array, start: number, end: number): void {
    this.offer(input, start, end);
  }

  cameEnd(): void {
    this.peerEnd();
  }

  /** The pipe below has room again. */
  drained(): void {
    const { pending } = this;
    this.pending = 0;
    if (pending > 0) this.sent(pending);
  }

  gone(cause: Cause, wire: number): void {
    this.ended(cause, wire);
  }

  override signedIn(caller: Caller): void {
    super.signedIn(caller);
    this.stream.line.mux.signedIn(caller);
  }

  // ---- what a pipe asks of its carrier -----------------------------------------------------------------------------

  protected transmit(pieces: readonly Uint8Array[], total: number, lent: readonly Buffer[]): void {
    const { pipe } = this.stream;
    writeFrameHead(pipe.out, DATA, total);
    let copied = true;
    for (const piece of pieces) {
      if (piece.length >= SHARE_LEAST) copied = false;
      // A small one may be kept as it is until the turn ends; its storage may not.
      if (piece.length < SHARE_LEAST) pipe.out.copy(piece, 0, piece.length);
      else pipe.share(piece, 0, piece.length);
    }
    if (copied) for (const storage of lent) giveBack(storage);
    this.pending += total;
    if (pipe.room > 0) this.drained();
    pipe.flush();
  }

  protected hold(stop: boolean): void {
    if (stop) this.stream.pause();
    else this.stream.resume();
  }

  protected shut(): void {
    this.stream.pipe.end();
    this.stream.pipe.flush();
  }

  protected abort(wire: number): void {
    this.stream.pipe.reset(wire === 0 ? H3_REQUEST_CANCELLED : wire);
  }

  protected close(): void {}

  protected refuse(): void {
    this.stream.resume();
    this.stream.stopInput(H3_NO_ERROR);
  }

  protected startTls(): void {
    this.ended(HANDSHAKE, 0);
  }
}

function peerOf({ id, line }: MessageStream): Peer {
  const { peer } = line.mux;
  return { ...peer, carrier: 'http', tls: null, below: peer, stream: id };
}
