// A pipe within another on which both sides say everything as one raw DEFLATE stream each (RFC 4978 §3). What is written in a
// turn is packed once; what comes is unpacked in small pieces, at the pace at which the session takes it.
import { ByteWriter } from '../../bytes/writer.ts';
import type { Caller } from '../../core/caller.ts';
import { type CoderSink, type Flush, makeCoder, NONE, SYNC } from '../../core/compress.ts';
import type { Fault } from '../../core/fault.ts';
import type { Peer } from '../../core/peer.ts';
import type { Pipe, Session } from '../../core/pipe.ts';
import type { TlsPolicy } from '../../core/tls.ts';

/** Unpacked bytes that wait for the session: more than its longest line. */
const HELD_MAX = 131_072;
/** Written bytes that are packed before the turn ends. */
const PRESS_NOW = 65_536;
const FIRST = 4_096;
/** Packed pieces from this size on are no part of the arena. */
const SHARE_LEAST = 1_024;
const NOTHING = Buffer.alloc(0);

/** Takes bytes as `Session.receive` does. */
export type Feed = (input: Uint8Array, start: number, end: number) => number;

export class Deflated implements Pipe {
  readonly out: ByteWriter;
  readonly pipe: Pipe;
  /** The session takes nothing for now. */
  private isPaused = true;
  private readonly encoder = makeCoder('deflate-raw', 'encode', { level: 4, memLevel: 7, windowBits: 14 });
  private readonly decoder = makeCoder('deflate-raw', 'decode');
  /** Something was packed that the peer cannot unpack yet. */
  private isUnsettled = false;
  /** Unpacked, `[heldStart..heldEnd)`. */
  private held: Buffer = NOTHING;
  private heldStart = 0;
  private heldEnd = 0;
  private readonly unpacked: CoderSink = { coded: (bytes, start, end) => this.hold(bytes, start, end) };
  private readonly packed: CoderSink = {
    coded: (bytes, start, end) => {
      if (end - start < SHARE_LEAST) this.pipe.out.copy(bytes, start, end);
      else this.pipe.share(Buffer.from(bytes.subarray(start, end)), 0, end - start);
    },
  };

  /** @param pipe paused: what comes from now on is packed */
  constructor(pipe: Pipe) {
    this.pipe = pipe;
    this.out = new ByteWriter(pipe.out.cap);
  }

  // ---- what comes ------------------------------------------------------------------------------------------------------

  private hold(bytes: Uint8Array, start: number, end: number): void {
    const size = end - start;
    if (this.heldEnd + size > this.held.length) {
      const left = this.heldEnd - this.heldStart;
      const into =
        left + size <= this.held.length ? this.held : Buffer.allocUnsafeSlow(Math.max(FIRST, (left + size) * 2));
      into.set(this.held.subarray(this.heldStart, this.heldEnd));
      this.held = into;
      this.heldStart = 0;
      this.heldEnd = left;
    }
    this.held.set(bytes.subarray(start, end), this.heldEnd);
    this.heldEnd += size;
  }

  /** Offers what waits; false where it is to be offered again later, or was too long. */
  offer(feed: Feed): boolean {
    while (this.heldStart < this.heldEnd && !this.isPaused) {
      const next = feed(this.held, this.heldStart, this.heldEnd);
      if (next === this.heldStart) break;
      this.heldStart = next;
    }
    if (this.heldStart < this.heldEnd) return !this.isPaused && this.heldEnd - this.heldStart < HELD_MAX;
    this.held = NOTHING;
    this.heldStart = this.heldEnd = 0;
    return !this.isPaused;
  }

  /** Unpacks and offers; answers the first index not taken, or -1 for what is no such stream. */
  take(input: Uint8Array, start: number, end: number, feed: Feed): number {
    let at = start;
    while (this.offer(feed)) {
      if (at === end && !this.decoder.more) return at;
      const next = this.decoder.push(input, at, end, SYNC, this.unpacked, HELD_MAX - (this.heldEnd - this.heldStart));
      // The stream has no end of its own before the connection's.
      if (next < 0 || (next < end && !this.decoder.more)) return -1;
      at = next;
    }
    return at;
  }

  /** There is something that the session did not take yet. */
  get isWaiting(): boolean {
    return !this.isPaused && (this.heldStart < this.heldEnd || this.decoder.more);
  }

  // ---- what leaves -----------------------------------------------------------------------------------------------------

  /** Packs what was written. */
  private press(flush: Flush): void {
    const { out } = this;
    if (out.length === 0 && (flush === NONE || !this.isUnsettled)) return;
    this.encoder.push(out.bytes, 0, out.length, flush, this.packed);
    this.isUnsettled = flush === NONE;
    out.clear();
  }

  /** The turn ends: the peer can unpack all that was written. */
  settle(): void {
    this.press(SYNC);
  }

  close(): void {
    this.encoder.close();
    this.decoder.close();
    this.out.clear();
    this.held = NOTHING;
    this.heldStart = this.heldEnd = 0;
    this.isPaused = true;
  }

  // ---- Pipe ------------------------------------------------------------------------------------------------------------

  get id(): number {
    return this.pipe.id;
  }

  get peer(): Peer {
    return this.pipe.peer;
  }

  get queued(): number {
    return this.pipe.queued + this.out.length;
  }

  get delivered(): number {
    return this.pipe.delivered;
  }

  get room(): number {
    if (this.out.length >= PRESS_NOW || this.pipe.room <= this.out.length) this.press(NONE);
    return Math.max(0, this.pipe.room - this.out.length);
  }

  share(bytes: Uint8Array, start: number, end: number): void {
    if (end - start < SHARE_LEAST) {
      this.out.copy(bytes, start, end);
      return;
    }
    this.press(NONE);
    this.encoder.push(bytes, start, end, NONE, this.packed);
    this.isUnsettled = true;
  }

  flush(): void {
    if (this.out.length >= PRESS_NOW) this.press(NONE);
    this.pipe.flush();
  }

  pause(): void {
    this.isPaused = true;
    this.pipe.pause();
  }

  resume(): void {
    this.isPaused = false;
    this.pipe.resume();
    // What waits here is offered when the turn ends.
    this.pipe.flush();
  }

  end(): void {
    this.settle();
    this.pipe.end();
  }

  reset(wire: number): void {
    this.pipe.reset(wire);
  }

  stopReading(wire: number): void {
    this.pipe.stopReading(wire);
  }

  fail(fault: Fault): void {
    this.settle();
    this.pipe.fail(fault);
  }

  speaks(protocol: string): void {
    this.pipe.speaks(protocol);
  }

  signedIn(caller: Caller): void {
    this.pipe.signedIn(caller);
  }

  become(next: Session): void {
    this.pipe.become(next);
  }

  secure(policy: TlsPolicy, next: Session): void {
    this.pipe.secure(policy, next);
  }
}
