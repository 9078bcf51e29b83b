// A pipe as the stream that ssh2 speaks over: it opens no socket of its own. Bytes are copied once on their way in, since a
// pipe only lends them.
import { Duplex } from 'node:stream';
import { giveBack, lend } from '../../bytes/pool.ts';
import type { Pipe } from '../../core/pipe.ts';
import { storageOf } from './sealing.ts';

const READ_AHEAD = 262_144;

export class PipeDuplex extends Duplex {
  /** In place of an address. */
  readonly remoteAddress: string;
  private readonly carrier: Pipe;
  private held = false;
  private isCopied = false;
  /** The write that waits for room. */
  private waiting: (() => void) | null = null;

  constructor(pipe: Pipe) {
    // As a socket does: when the peer has ended, so do we.
    super({ allowHalfOpen: false, readableHighWaterMark: READ_AHEAD, writableHighWaterMark: READ_AHEAD });
    this.remoteAddress = String(pipe.id);
    this.carrier = pipe;
  }

  /** From now on whoever reads keeps nothing of what is read. */
  copied(): void {
    this.isCopied = true;
  }

  // ---- what the session tells --------------------------------------------------------------------------------------

  came(input: Uint8Array, start: number, end: number): void {
    const size = end - start;
    const storage = this.isCopied ? lend(size) : Buffer.allocUnsafeSlow(size);
    storage.set(input.subarray(start, end));
    const isRoomy = this.push(storage.subarray(0, size));
    // It was read within the call, and nobody has kept it.
    if (this.isCopied && this.readableLength === 0) giveBack(storage);
    if (isRoomy) return;
    this.held = true;
    this.carrier.pause();
  }

  roomy(): void {
    const { waiting } = this;
    this.waiting = null;
    waiting?.();
  }

  // ---- Duplex ------------------------------------------------------------------------------------------------------

  override _read(): void {
    if (!this.held) return;
    this.held = false;
    this.carrier.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    const { carrier } = this;
    carrier.share(chunk, 0, chunk.length, storageOf.get(chunk));
    carrier.flush();
    if (carrier.room > 0) done();
    else this.waiting = done;
  }

  override _final(done: () => void): void {
    this.carrier.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.carrier.end();
    this.carrier.stopReading(0);
    done(error);
  }

  // What ssh2 asks of a socket.
  setNoDelay(): this {
    return this;
  }

  setTimeout(): this {
    return this;
  }
}
