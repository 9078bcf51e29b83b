// Streaming compression without promises: bytes in, bytes out in the same call, bounded as they are made. It knows the
// formats and no protocol. Node has no public synchronous stream of zlib: this file uses the private one where it passes a
// check at start, and whole-buffer calls of the public interface where it does not.
import * as zlib from 'node:zlib';
import { BAD } from '../bytes/reader.ts';

export type Format = 'deflate-raw' | 'deflate' | 'gzip' | 'br' | 'zstd';
export type Direction = 'encode' | 'decode';

/** More input follows; output comes when it suits the format. */
export const NONE = 0;
/** All that was pushed can be decoded from the output so far (RFC 1951 §3.2.4 gives the empty block that it ends with). */
export const SYNC = 1;
/** The end of the stream. A decoder answers BAD when the stream is not whole. */
export const FINISH = 2;
export type Flush = typeof NONE | typeof SYNC | typeof FINISH;

/** The output passed `outMax`. */
export const OVER = -3;

export interface CoderOptions {
  /** The most bytes that may come out until `reset()`; past it the answer is OVER. No bound unless given. */
  readonly outMax?: number;
  /** Of encoders: 1 to 9; to 11 for br, to 19 for zstd. */
  readonly level?: number;
  /** The window as a power of two: 9 to 15; 10 to 24 for br, 10 to 23 for zstd. */
  readonly windowBits?: number;
  /** Of deflate encoders, 1 to 9: how much memory they may use. */
  readonly memLevel?: number;
}

export interface CoderSink {
  /** Output; the bytes are borrowed for the time of the call. The coder is not to be pushed from within. */
  coded(bytes: Uint8Array, start: number, end: number): void;
}

export interface Coder {
  /**
   * Takes `input[start..end)` and hands output to the sink, at most `room` bytes. Answers the first index not consumed,
   * BAD for corrupt data or OVER. With `more` set it stopped for want of room: the rest is pushed again, with the same
   * flush, even if it is empty. Short of `end` without `more`, the compressed stream has ended there.
   */
  push(input: Uint8Array, start: number, end: number, flush: Flush, sink: CoderSink, room?: number): number;
  readonly more: boolean;
  /** Output since the start or the last `reset()`. */
  readonly made: number;
  /** As new: no context is taken over. */
  reset(): void;
  /** Gives its memory back; not used after that. */
  close(): void;
}

const K = zlib.constants;
const HAS_ZSTD = typeof zlib.createZstdCompress === 'function';

/** The formats that this Node can. */
export const FORMATS: readonly Format[] = HAS_ZSTD
  ? ['deflate-raw', 'deflate', 'gzip', 'br', 'zstd']
  : ['deflate-raw', 'deflate', 'gzip', 'br'];

/** A window of more than 8 MiB is not asked of a receiver, nor taken from a sender (RFC 8878 §3.1.1.1.2, RFC 9659 §3). */
const ZSTD_WINDOW_BITS_MAX = 23;

type PublicOptions = Omit<zlib.ZlibOptions, 'dictionary'> & { dictionary?: Buffer; params?: Record<number, number> };

function publicOptions(format: Format, direction: Direction, options: CoderOptions): PublicOptions {
  const { level, windowBits, memLevel } = options;
  const encode = direction === 'encode';
  if (format === 'br') {
    if (!encode) return {};
    // The default, 11, takes a hundred times as long as 5 for some percent.
    const params: Record<number, number> = { [K.BROTLI_PARAM_QUALITY]: level ?? 5 };
    if (windowBits !== undefined) params[K.BROTLI_PARAM_LGWIN] = windowBits;
    return { params };
  }
  if (format === 'zstd') {
    if (!encode) return { params: { [K.ZSTD_d_windowLogMax]: windowBits ?? ZSTD_WINDOW_BITS_MAX } };
    const params: Record<number, number> = { [K.ZSTD_c_compressionLevel]: level ?? 3 };
    if (windowBits !== undefined) params[K.ZSTD_c_windowLog] = windowBits;
    return { params };
  }
  const made: PublicOptions = {};
  if (windowBits !== undefined) made.windowBits = windowBits;
  if (encode && level !== undefined) made.level = level;
  if (encode && memLevel !== undefined) made.memLevel = memLevel;
  return made;
}

// The private way

interface Handle {
  writeSync(flush: number, input: Uint8Array, at: number, size: number, out: Buffer, outAt: number, room: number): void;
  reset(): void;
  close(): void;
  onerror: (message: string, errno: number, code: string) => void;
}

/** What of a zlib stream's inside is used. */
interface Inside {
  readonly _handle: Handle;
  /** Output and input that were left by the last write. */
  readonly _writeState: Uint32Array;
}

function openStream(format: Format, direction: Direction, options: PublicOptions): Inside {
  const encode = direction === 'encode';
  let stream: unknown;
  if (format === 'gzip') stream = encode ? zlib.createGzip(options) : zlib.createGunzip(options);
  else if (format === 'deflate') stream = encode ? zlib.createDeflate(options) : zlib.createInflate(options);
  else if (format === 'br') stream = encode ? zlib.createBrotliCompress(options) : zlib.createBrotliDecompress(options);
  else if (format === 'zstd') stream = encode ? zlib.createZstdCompress(options) : zlib.createZstdDecompress(options);
  else stream = encode ? zlib.createDeflateRaw(options) : zlib.createInflateRaw(options);
  return stream as Inside;
}

function flushesOf(format: Format): readonly number[] {
  if (format === 'br') return [K.BROTLI_OPERATION_PROCESS, K.BROTLI_OPERATION_FLUSH, K.BROTLI_OPERATION_FINISH];
  if (format === 'zstd') return [K.ZSTD_e_continue, K.ZSTD_e_flush, K.ZSTD_e_end];
  return [K.Z_NO_FLUSH, K.Z_SYNC_FLUSH, K.Z_FINISH];
}

const EMPTY: Buffer = Buffer.alloc(0);
const SCRATCH_SIZE = 16_384;

/** Output lands here: one buffer for each depth of coders that are pushed from within another's sink. */
const scratch: Buffer[] = [];
let depth = 0;

class StreamCoder implements Coder {
  more = false;
  made = 0;
  private readonly handle: Handle;
  private readonly state: Uint32Array;
  private readonly flushes: readonly number[];
  private readonly outMax: number;
  private readonly endsFrames: boolean;
  private corrupt = false;
  /** Output, handed over or not. */
  private coded = 0;
  /** The flush that the last run completed, or -1. */
  private settled = -1;
  /** What the last run left of its room. */
  private roomLeft = 0;
  /** Input since the last reset. */
  private fed = 0;
  /** Output that found no room. */
  private rest: Buffer = EMPTY;

  constructor(format: Format, direction: Direction, options: CoderOptions) {
    const { _handle, _writeState } = openStream(format, direction, publicOptions(format, direction, options));
    this.handle = _handle;
    this.state = _writeState;
    this.flushes = flushesOf(format);
    this.outMax = options.outMax ?? Number.MAX_SAFE_INTEGER;
    this.endsFrames = format === 'zstd' && direction === 'encode';
    this.handle.onerror = () => {
      this.corrupt = true;
    };
  }

  push(input: Uint8Array, start: number, end: number, flush: Flush, sink: CoderSink, room = Infinity): number {
    if (this.corrupt) return BAD;
    this.more = false;
    if (this.rest.length > 0) {
      const { rest } = this;
      this.rest = EMPTY;
      room = this.give(rest, 0, rest.length, sink, room);
      // The stream itself was done with this flush; asked again it would mark it again.
      if (start === end && flush <= this.settled) return end;
    }
    this.settled = -1;
    const out = (scratch[depth++] ??= Buffer.allocUnsafeSlow(SCRATCH_SIZE));
    try {
      this.fed += end - start;
      if (flush === FINISH && this.endsFrames && this.fed > SCRATCH_SIZE / 2) {
        // An end that fills the output exactly looks as if there were more, and asked again zstd begins another frame.
        start = this.run(input, start, end, SYNC, sink, room, out);
        if (start < 0 || this.more) return start;
        room = this.roomLeft;
      }
      return this.run(input, start, end, flush, sink, room, out);
    } finally {
      depth--;
    }
  }

  private run(
    input: Uint8Array,
    start: number,
    end: number,
    flush: Flush,
    sink: CoderSink,
    room: number,
    out: Buffer,
  ): number {
    const mode = this.flushes[flush]!;
    let at = start;
    for (;;) {
      if (room <= 0) {
        this.more = true;
        this.fed -= end - at;
        return at;
      }
      // Always the same size: a flush that is given little room marks its end again and again.
      this.handle.writeSync(mode, input, at, end - at, out, 0, SCRATCH_SIZE);
      if (this.corrupt) return BAD;
      const made = SCRATCH_SIZE - this.state[0]!;
      at = end - this.state[1]!;
      this.coded += made;
      if (this.coded > this.outMax) return OVER;
      room = this.give(out, 0, made, sink, room);
      if (this.state[0]! > 0) {
        this.roomLeft = room;
        this.settled = flush;
        this.fed -= end - at;
        return at;
      }
    }
  }

  /** Hands over what there is room for, and keeps the rest; answers the room that is left. */
  private give(bytes: Buffer, start: number, end: number, sink: CoderSink, room: number): number {
    const size = Math.min(room, end - start);
    if (size < end - start) {
      this.rest = Buffer.from(bytes.subarray(start + size, end));
      this.more = true;
    }
    this.made += size;
    if (size > 0) sink.coded(bytes, start, start + size);
    return room - size;
  }

  reset(): void {
    this.handle.reset();
    this.corrupt = this.more = false;
    this.made = this.coded = this.fed = 0;
    this.rest = EMPTY;
  }

  close(): void {
    this.handle.close();
  }
}

// The public way

/** What may be pushed before it must be flushed, and what a window may hold. */
const HELD_MAX = 16 * 1_048_576;
const WINDOW = 32_768;

/**
 * Gathers what is pushed until it is flushed, and codes it in one call. Raw deflate keeps its context as a dictionary
 * from one SYNC to the next; the other formats are coded at FINISH.
 */
class WholeCoder implements Coder {
  more = false;
  made = 0;
  private readonly format: Format;
  private readonly direction: Direction;
  private readonly options: CoderOptions;
  private held: Buffer[] = [];
  private heldSize = 0;
  /** What was coded and did not fit the sink's room. */
  private rest: Buffer = EMPTY;
  private window: Buffer = EMPTY;

  constructor(format: Format, direction: Direction, options: CoderOptions) {
    this.format = format;
    this.direction = direction;
    this.options = options;
  }

  push(input: Uint8Array, start: number, end: number, flush: Flush, sink: CoderSink, room = Infinity): number {
    if (!this.more) {
      this.heldSize += end - start;
      if (this.heldSize > HELD_MAX) return OVER;
      if (end > start) this.held.push(Buffer.from(input.subarray(start, end)));
      if (flush === FINISH || (flush === SYNC && this.format === 'deflate-raw')) {
        const whole = this.held.length === 1 ? this.held[0]! : Buffer.concat(this.held);
        this.held = [];
        this.heldSize = 0;
        const coded = this.code(whole, flush);
        if (typeof coded === 'number') return coded;
        this.rest = coded;
      }
    }
    const size = Math.min(room, this.rest.length);
    if (size > 0) sink.coded(this.rest, 0, size);
    this.made += size;
    this.rest = this.rest.subarray(size);
    this.more = this.rest.length > 0;
    return end;
  }

  private code(whole: Buffer, flush: Flush): Buffer | number {
    const options: PublicOptions = publicOptions(this.format, this.direction, this.options);
    if (this.format === 'deflate-raw') {
      if (this.window.length > 0) options.dictionary = this.window;
      options.finishFlush = flush === SYNC ? K.Z_SYNC_FLUSH : K.Z_FINISH;
    }
    const left = (this.options.outMax ?? 2 ** 31 - 1) - this.made;
    // Zero is no bound that zlib takes.
    options.maxOutputLength = Math.max(1, left);
    try {
      const coded = codeWhole(this.format, this.direction, whole, options);
      if (coded.length > left) return OVER;
      if (this.format === 'deflate-raw')
        this.window = lastOf(this.window, this.direction === 'encode' ? whole : coded, WINDOW);
      return coded;
    } catch (error) {
      return (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE' ? OVER : BAD;
    }
  }

  reset(): void {
    this.held = [];
    this.rest = this.window = EMPTY;
    this.heldSize = this.made = 0;
    this.more = false;
  }

  close(): void {
    this.reset();
  }
}

function codeWhole(format: Format, direction: Direction, whole: Buffer, options: PublicOptions): Buffer {
  const encode = direction === 'encode';
  if (format === 'gzip') return encode ? zlib.gzipSync(whole, options) : zlib.gunzipSync(whole, options);
  if (format === 'deflate') return encode ? zlib.deflateSync(whole, options) : zlib.inflateSync(whole, options);
  if (format === 'br')
    return encode ? zlib.brotliCompressSync(whole, options) : zlib.brotliDecompressSync(whole, options);
  if (format === 'zstd')
    return encode ? zlib.zstdCompressSync(whole, options) : zlib.zstdDecompressSync(whole, options);
  return encode ? zlib.deflateRawSync(whole, options) : zlib.inflateRawSync(whole, options);
}

function lastOf(before: Buffer, after: Buffer, size: number): Buffer {
  if (after.length >= size) return Buffer.from(after.subarray(after.length - size));
  return Buffer.concat([before.subarray(Math.max(0, before.length + after.length - size)), after]);
}

/** Whether the private stream behaves as this file needs: codes, flushes, tells errors, stops for want of room. */
function behaves(): boolean {
  try {
    const got: number[] = [];
    const sink: CoderSink = { coded: (bytes, start, end) => void got.push(...bytes.subarray(start, end)) };
    const encoder = new StreamCoder('deflate-raw', 'encode', {});
    const decoder = new StreamCoder('deflate-raw', 'decode', {});
    const text = Buffer.from('portico portico portico');
    if (encoder.push(text, 0, text.length, SYNC, sink) !== text.length) return false;
    const packed = Buffer.from(got.splice(0));
    if (!zlib.inflateRawSync(packed, { finishFlush: K.Z_SYNC_FLUSH }).equals(text)) return false;
    let at = decoder.push(packed, 0, packed.length, SYNC, sink, 5);
    if (got.length !== 5 || !decoder.more) return false;
    at = decoder.push(packed, at, packed.length, SYNC, sink);
    if (at !== packed.length || decoder.more || !Buffer.from(got).equals(text)) return false;
    decoder.reset();
    const wrong = decoder.push(Buffer.from([0xff, 0xff, 0xff]), 0, 3, SYNC, sink);
    encoder.close();
    decoder.close();
    return wrong === BAD;
  } catch {
    return false;
  }
}

/** Output comes as input goes in. Without it, coders hold up to 16 MiB, and only raw deflate has SYNC. */
export const STREAMING: boolean = behaves();

export function makeCoder(format: Format, direction: Direction, options: CoderOptions = {}): Coder {
  return makeCoderOf(STREAMING ? 'stream' : 'whole', format, direction, options);
}

/** The one or the other way by name, so that tests hold both to the same. */
export function makeCoderOf(
  way: 'stream' | 'whole',
  format: Format,
  direction: Direction,
  options: CoderOptions = {},
): Coder {
  if (!FORMATS.includes(format)) throw new RangeError(`This Node has no ${format}`);
  return way === 'stream' ? new StreamCoder(format, direction, options) : new WholeCoder(format, direction, options);
}

/**
 * Decompresses a flushed piece of a raw deflate stream, on the output that came before it (at most 32 KiB of it matter). It
 * keeps nothing, so that nothing is to be closed; each call costs about 20 µs. Null for what is corrupt, builds on output
 * that `before` does not have, or comes to more than `bytesMax`.
 */
export function inflatePiece(bytes: Uint8Array, before: Uint8Array, bytesMax: number): Buffer | null {
  try {
    return zlib.inflateRawSync(bytes, {
      finishFlush: K.Z_SYNC_FLUSH,
      maxOutputLength: bytesMax,
      ...(before.length === 0 ? {} : { dictionary: before }),
    });
  } catch {
    return null;
  }
}
