// A channel of ssh2 as a pipe (RFC 4254 §5): what a subsystem's session is given. Its window is the library's; bytes that a
// session leaves keep it shut.

import type { Duplex } from 'node:stream';
import { giveBack } from '../../bytes/pool.ts';
import type { ConnectionEvents } from '../../core/connection.ts';
import type { Peer } from '../../core/peer.ts';
import { type Cause, ENDED, HANDSHAKE, RESET } from '../../core/pipe.ts';
import { PIPE_BOUNDS, type PipeBounds, StreamPipe } from '../../core/stream-pipe.ts';
import type { Clock } from '../../core/time.ts';
import type { Turn } from '../../core/turn.ts';
import { tookAll } from './sealing.ts';

/** A channel as ssh2 gives it to a server. */
export interface Channel extends Duplex {
  eof(): void;
  close(): void;
  exit(code: number): void;
}

/** What OpenSSH's programs take in one packet (RFC 4253 §6.1). */
const PACKET_BYTES = 32_768;
/** Smaller pieces are put together. */
const ALONE_LEAST = 8_192;

export class ChannelPipe extends StreamPipe {
  private readonly channel: Channel;
  private over = false;
  /** Taken by the channel at once, and not yet told of. */
  private passed = 0;

  constructor(channel: Channel, peer: Peer, turn: Turn, events: ConnectionEvents, bounds: Partial<PipeBounds> = {}) {
    super(turn, { ...peer, carrier: 'ssh', below: peer }, { ...PIPE_BOUNDS, ...bounds }, events);
    this.channel = channel;
    channel.on('data', (data: Buffer) => {
      this.offer(data, 0, data.length);
      tookAll(data);
    });
    channel.on('end', () => this.peerEnd());
    channel.on('error', () => this.gone());
    channel.on('close', () => this.gone());
  }

  private gone(): void {
    if (this.over) return;
    this.over = true;
    this.ended(this.isShut ? ENDED : RESET, 0);
  }

  /** The connection is gone. */
  cut(cause: Cause): void {
    if (this.over) return;
    this.over = true;
    this.ended(cause, 0);
  }

  private get isShut(): boolean {
    return this.channel.writableEnded;
  }

  override work(clock: Clock): void {
    super.work(clock);
    const { passed } = this;
    this.passed = 0;
    if (passed > 0) this.sent(passed);
  }

  protected transmit(pieces: readonly Uint8Array[], total: number, lent: readonly Buffer[]): void {
    if (this.over || this.channel.destroyed) {
      for (const storage of lent) giveBack(storage);
      this.passed += total;
      this.turn.touch(this);
      return;
    }
    // The library copies what it takes into its packets, and calls back once it has taken it.
    const sent = () => {
      for (const storage of lent) giveBack(storage);
      this.sent(total);
      this.turn.touch(this);
    };
    let small: Uint8Array[] = [];
    let smallBytes = 0;
    const { channel } = this;
    for (let at = 0; at < pieces.length; at++) {
      let piece = pieces[at]!;
      const isLast = at === pieces.length - 1;
      if (piece.length < ALONE_LEAST && !isLast) {
        small.push(piece);
        smallBytes += piece.length;
        continue;
      }
      if (small.length > 0) {
        // Heads share the first packet of what follows them.
        const cut = Math.min(piece.length, Math.max(0, PACKET_BYTES - smallBytes));
        small.push(piece.subarray(0, cut));
        const isAll = cut === piece.length;
        channel.write(Buffer.concat(small, smallBytes + cut), isLast && isAll ? sent : undefined);
        small = [];
        smallBytes = 0;
        if (isAll) continue;
        piece = piece.subarray(cut);
      }
      channel.write(piece, isLast ? sent : undefined);
    }
  }

  protected hold(stop: boolean): void {
    if (stop) this.channel.pause();
    else this.channel.resume();
  }

  protected shut(): void {
    // OpenSSH's programs end with what a subsystem's program would have ended with.
    if (!this.over) this.channel.exit(0);
    this.channel.end();
    if (!this.over) this.channel.close();
  }

  protected abort(): void {
    this.over = true;
    this.channel.close();
    this.channel.destroy();
  }

  protected close(): void {
    this.over = true;
    this.channel.close();
  }

  protected refuse(): void {
    this.channel.resume();
  }

  /** TLS within a channel is nothing that a protocol asks for. */
  protected startTls(): void {
    this.abort();
    this.ended(HANDSHAKE, 0);
  }
}
