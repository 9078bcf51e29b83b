// The bytes of a message on their way in: short ones are held, and commit with their records; longer ones go to a blob as they
// come. The end of the header is found on the way.
import { FULL, OK, type Outcome, type Waiter } from '../../core/outcome.ts';
import type { Batch } from '../../storage/batch.ts';
import type { Blobs, BlobWriter, Reading } from '../../storage/engine.ts';
import type { Shares } from './bytes.ts';
import { MAIL_LIMITS } from './limits.ts';
import { bytesKey, type Place } from './records.ts';

const CR = 0x0d;
const LF = 0x0a;
const FIRST = 4_096;
const NOTHING = Buffer.alloc(0);

export class Incoming {
  size = 0;
  /** Of the header with its empty line; 0 while none was seen. */
  headerSize = 0;
  onRoom: (() => void) | null = null;
  private readonly blobs: Blobs;
  private readonly bytesMax: number;
  private held: Buffer | null = Buffer.allocUnsafe(FIRST);
  /** What was held of a message that is in a blob. */
  private first: Buffer | null = null;
  private writer: BlobWriter | null = null;
  private blob = 0;
  /** It is longer than may be: nothing more is kept of it. */
  private tooLong = false;
  /** The last line feed was followed by nothing but a carriage return: one more ends the header. */
  private isLineStart = true;

  constructor(blobs: Blobs, bytesMax: number) {
    this.blobs = blobs;
    this.bytesMax = bytesMax;
  }

  write(input: Uint8Array, start: number, end: number): number {
    const taken = this.take(input, start, end);
    if (this.headerSize === 0) this.watch(input, start, start + taken);
    this.size += taken;
    return taken;
  }

  private take(input: Uint8Array, start: number, end: number): number {
    if (this.tooLong || this.size + end - start > this.bytesMax) {
      this.refuse();
      return end - start;
    }
    if (this.held !== null && this.size + end - start <= MAIL_LIMITS.inlineBytesMax) {
      this.hold(this.held, input, start, end);
      return end - start;
    }
    if (this.writer === null) this.spill();
    const writer = this.writer!;
    // What was held is in the blob before what comes now.
    if (this.held !== null) return 0;
    const taken = writer.write(input, start, end);
    writer.onRoom = taken < end - start ? () => this.onRoom?.() : null;
    return taken;
  }

  private hold(held: Buffer, input: Uint8Array, start: number, end: number): void {
    const size = this.size + end - start;
    let into = held;
    if (size > held.length) {
      into = Buffer.allocUnsafe(Math.min(MAIL_LIMITS.inlineBytesMax, Math.max(size, held.length * 4)));
      held.copy(into, 0, 0, this.size);
      this.held = into;
    }
    into.set(input.subarray(start, end), this.size);
  }

  /** It is too long to be held. */
  private spill(): void {
    const writer = this.blobs.writer();
    this.writer = writer;
    const { held, size } = this;
    let at = 0;
    const go = () => {
      if (this.tooLong) return;
      at += writer.write(held!, at, size);
      writer.onRoom = at < size ? go : null;
      if (at < size) return;
      this.first = held!.subarray(0, size);
      this.held = null;
      this.onRoom?.();
    };
    go();
  }

  private refuse(): void {
    if (this.tooLong) return;
    this.tooLong = true;
    this.held = null;
    this.writer?.abort();
    this.writer = null;
  }

  private watch(input: Uint8Array, start: number, end: number): void {
    for (let at = start; at < end; at++) {
      const byte = input[at];
      if (byte === LF) {
        if (this.isLineStart) {
          this.headerSize = this.size + at + 1 - start;
          return;
        }
        this.isLineStart = true;
      } else if (byte !== CR) this.isLineStart = false;
    }
  }

  /** All of it, where it is held. */
  get bytes(): Buffer | null {
    return this.held === null ? null : this.held.subarray(0, this.size);
  }

  /** Its first bytes: all of a header of ordinary length. */
  get head(): Buffer {
    const bytes = this.bytes ?? this.first ?? NOTHING;
    return bytes.subarray(0, Math.min(bytes.length, this.headerSize));
  }

  /** All has come. A message without an end of its header is all header. */
  finish(): Promise<Outcome> {
    return new Promise((resolve) => this.finishWith({ settled: (_token, outcome) => resolve(outcome) }, 0));
  }

  /** As `finish`, telling a waiter: at once where it is held. */
  finishWith(waiter: Waiter, token: number): void {
    if (this.headerSize === 0) this.headerSize = this.size;
    if (this.tooLong) waiter.settled(token, FULL, 0);
    else if (this.writer === null) waiter.settled(token, OK, 0);
    else
      this.writer.commit(
        {
          settled: (_token, outcome, blob) => {
            this.blob = blob;
            waiter.settled(token, outcome, 0);
          },
        },
        0,
      );
  }

  /** The blob that it is in, once it has finished; 0 for one that is held. */
  get place(): number {
    return this.blob;
  }

  /** Gives a message that has finished another header. */
  async rehead(head: Buffer): Promise<Outcome> {
    const { held, headerSize, size } = this;
    if (held !== null) this.held = Buffer.concat([head, held.subarray(headerSize, size)]);
    else {
      const made = await copiedBlob(this.blobs, this.blob, headerSize, size, head);
      if (made.outcome !== OK) return made.outcome;
      void this.blobs.remove(this.blob).catch(() => {});
      this.blob = made.blob;
    }
    this.first = this.first === null ? null : head;
    this.size = size - headerSize + head.length;
    this.headerSize = head.length;
    return OK;
  }

  /** Puts the bytes of one message into its batch: a record of its own, or one more for the blob. */
  put(batch: Batch, shares: Shares, folder: number, uid: number): Place {
    if (this.blob > 0) {
      const place = { blob: this.blob, folder: 0, uid: 0 };
      shares.add(place, 1);
      return place;
    }
    batch.put(bytesKey(folder, uid), this.held!, 0, this.size);
    return { blob: 0, folder, uid };
  }

  abort(): void {
    this.writer?.abort();
    if (this.blob > 0) void this.blobs.remove(this.blob).catch(() => {});
    this.blob = 0;
    this.writer = null;
    this.held = null;
  }
}

/** What stands in a blob from `start` on, behind another beginning, in a blob of its own. */
function copiedBlob(
  blobs: Blobs,
  from: number,
  start: number,
  end: number,
  before: Buffer,
): Promise<{ readonly outcome: Outcome; readonly blob: number }> {
  const writer = blobs.writer();
  return new Promise((resolve) => {
    const waiting: Buffer[] = [before];
    let ended: Outcome | null = null;
    let reading: Reading | null = null;
    const pump = () => {
      for (let next = waiting[0]; next !== undefined; next = waiting[0]) {
        const taken = writer.write(next, 0, next.length);
        if (taken < next.length) {
          waiting[0] = next.subarray(taken);
          return;
        }
        waiting.shift();
      }
      if (ended === null) reading?.more();
      else if (ended !== OK) {
        writer.abort();
        resolve({ outcome: ended, blob: 0 });
      } else writer.commit({ settled: (_token, outcome, blob) => resolve({ outcome, blob }) }, 0);
    };
    writer.onRoom = pump;
    reading = blobs.read(from, start, end, {
      get room() {
        return waiting.length > 0 ? 0 : 65_536;
      },
      bytes: (data, at, stop) => {
        waiting.push(Buffer.from(data.subarray(at, stop)));
        pump();
      },
      end: (outcome) => {
        ended = outcome;
        pump();
      },
    });
    pump();
  });
}
