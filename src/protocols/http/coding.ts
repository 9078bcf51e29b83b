// Content codings (RFC 9110 §8.4): which one an answer travels in, and the bodies of requests decoded within bounds.
import { BAD } from '../../bytes/reader.ts';
import { type Coder, FINISH, FORMATS, makeCoder, NONE, OVER } from '../../core/compress.ts';
import type { BodyReader, Exchange } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import { type Cause, FAULT } from '../../core/pipe.ts';
import type { Clock } from '../../core/time.ts';
import { answerProblem } from './answers.ts';
import { eachMember } from './chars.ts';
import { chooseCoding } from './negotiate.ts';

export type ContentCoding = 'zstd' | 'br' | 'gzip';

/** What answers are coded in, the cheapest for us first. */
export const CODINGS: readonly ContentCoding[] = (['zstd', 'br', 'gzip'] as const).filter((each) =>
  FORMATS.includes(each),
);

/** How hard an encoder tries: what does not hold up the other connections. */
const LEVELS: Readonly<Record<ContentCoding, number>> = { zstd: 3, br: 4, gzip: 5 };

/** Below this, an answer fits into one packet as it is. */
export const CODED_LEAST = 1_024;

const COMPRESSIBLE =
  /^(?:text\/.*|.*\+(?:json|xml)|application\/(?:json|json-seq|x-ndjson|ndjson|javascript|ecmascript|xml|xml-dtd|wasm|rtf|manifest|sql|graphql|yaml|toml|postscript|vnd\.ms-fontobject)|font\/(?:ttf|otf|collection)|image\/(?:bmp|x-icon|vnd\.microsoft\.icon|x-ms-bmp))$/;

/** Whether coding would make it smaller. Event streams are left as they are: a coder would hold their events back. */
export function isCompressible(type: string): boolean {
  const semicolon = type.indexOf(';');
  const essence = (semicolon < 0 ? type : type.slice(0, semicolon)).trim().toLowerCase();
  return essence !== 'text/event-stream' && COMPRESSIBLE.test(essence);
}

/** The entity tag of the coded representation: its own, since its bytes are others (RFC 9110 §8.8.3.3). */
export function codedEtag(etag: string, coding: ContentCoding): string {
  return `${etag.slice(0, -1)}-${coding}"`;
}

/** The coding of an answer; null when the client takes none that there is, nor none at all. */
export function codingOf(fields: Fields, codings: readonly ContentCoding[]): ContentCoding | 'identity' | null {
  return chooseCoding(fields, codings);
}

export function encoderOf(coding: ContentCoding): Coder {
  return makeCoder(coding, 'encode', { level: LEVELS[coding] });
}

/** Bodies up to this are coded in one call, and what came out is kept as long as they are. */
export const WHOLE_MOST = 65_536;

const kept = new WeakMap<Uint8Array, Map<ContentCoding, Buffer>>();

/** An immutable body of at most `WHOLE_MOST` bytes, coded. */
export function codedWhole(body: Uint8Array, coding: ContentCoding): Buffer {
  let codings = kept.get(body);
  if (codings === undefined) kept.set(body, (codings = new Map()));
  const before = codings.get(coding);
  if (before !== undefined) return before;
  const parts: Buffer[] = [];
  const coder = encoderOf(coding);
  coder.push(body, 0, body.length, FINISH, {
    coded: (bytes, start, end) => void parts.push(Buffer.from(bytes.subarray(start, end))),
  });
  coder.close();
  const whole = Buffer.concat(parts);
  codings.set(coding, whole);
  return whole;
}

// Requests

/** What requests may come in: the formats by their names (RFC 9110 §8.4.1). */
const DECODED: Readonly<Record<string, 'gzip' | 'deflate' | 'br' | 'zstd'>> = {
  gzip: 'gzip',
  'x-gzip': 'gzip',
  deflate: 'deflate',
  br: 'br',
  zstd: 'zstd',
};

/** The value of Accept-Encoding that tells what requests may come in. */
export const ACCEPTED: string = ['gzip', 'deflate', 'br', 'zstd']
  .filter((each) => FORMATS.includes(each as 'br'))
  .join(', ');

/** Each coding on top of another multiplies what a small body may cost. */
const CODINGS_MAX = 2;

/**
 * Reads the request's body into `reader` without its Content-Encoding. False when it was answered instead: 415 for
 * codings that are not known. Later: 413 when more than `bytesMax` come out, 400 when the data are corrupt; then `reader`
 * is told that the body is lost.
 */
export function decodeBody(exchange: Exchange, reader: BodyReader, bytesMax: number): boolean {
  const named = exchange.fields.joined('content-encoding');
  if (named !== null) {
    const codings: string[] = [];
    eachMember(named.toLowerCase(), (coding) => {
      if (coding !== 'identity') codings.push(coding);
    });
    const isKnown = (coding: string) => Object.hasOwn(DECODED, coding) && FORMATS.includes(DECODED[coding]!);
    if (codings.length > CODINGS_MAX || !codings.every(isKnown)) {
      // RFC 9110 §12.5.3: what would have been taken.
      const fields = Fields.of({ 'accept-encoding': ACCEPTED });
      answerProblem(exchange, 415, `The body's Content-Encoding is not one of ${ACCEPTED}.`, fields);
      return false;
    }
    // In the order in which they were applied: the last one is taken off first.
    for (const coding of codings) reader = new Decoder(exchange, reader, DECODED[coding]!, bytesMax);
  }
  exchange.body(reader);
  return true;
}

/** Decoded bytes that are handed on at once. */
const STEP = 65_536;
const NOTHING = Buffer.alloc(0);

/** Takes one coding off a body. */
class Decoder implements BodyReader {
  private readonly exchange: Exchange;
  private readonly reader: BodyReader;
  private readonly coder: Coder;
  private readonly bytesMax: number;
  /** What came out and was not taken yet. */
  private ready: Buffer = NOTHING;
  private parts: Buffer[] = [];
  /** The next byte that is offered has been decoded already: it was held back while there was more to come of it. */
  private ahead = 0;
  private over = false;

  constructor(exchange: Exchange, reader: BodyReader, format: 'gzip' | 'deflate' | 'br' | 'zstd', bytesMax: number) {
    this.exchange = exchange;
    this.reader = reader;
    this.bytesMax = bytesMax;
    this.coder = makeCoder(format, 'decode', { outMax: bytesMax });
  }

  coded(bytes: Uint8Array, start: number, end: number): void {
    this.parts.push(Buffer.from(bytes.subarray(start, end)));
  }

  receive(input: Uint8Array, start: number, end: number, clock: Clock): number {
    if (this.over || start === end) return end;
    if (this.ready.length > 0) {
      // Refused before: what is left comes first, and alone, since the reader may pause at it.
      this.hold();
      this.pass(clock);
      return start;
    }
    const next = this.coder.push(input, start + this.ahead, end, NONE, this, STEP);
    if (next < 0 || (next < end && !this.coder.more)) {
      this.fail(next, clock);
      return end;
    }
    this.gather();
    if (!this.coder.more) {
      this.ahead = 0;
      if (this.pass(clock)) return end;
      // The last byte stands for what the reader did not take.
      this.ahead = 1;
      return end - 1;
    }
    this.hold();
    this.pass(clock);
    // One byte stays until everything of it is out.
    this.ahead = next > start ? 1 : 0;
    return next - this.ahead;
  }

  /** Has what is not consumed offered again, in a later step, unless the reader itself pauses meanwhile. */
  private hold(): void {
    this.exchange.pause();
    this.exchange.resume();
  }

  private gather(): void {
    const { parts } = this;
    if (parts.length === 0) return;
    this.ready = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    this.parts = [];
  }

  /** Whether the reader took all that is ready. */
  private pass(clock: Clock): boolean {
    const { ready } = this;
    if (ready.length === 0) return true;
    const next = this.reader.receive(ready, 0, ready.length, clock);
    this.ready = next === ready.length ? NOTHING : ready.subarray(next);
    return this.ready.length === 0;
  }

  trailers(fields: Fields): void {
    if (!this.over) this.reader.trailers(fields);
  }

  finish(clock: Clock): void {
    if (this.over) return;
    const next = this.coder.push(NOTHING, 0, 0, FINISH, this);
    if (next < 0) {
      this.fail(next, clock);
      return;
    }
    this.gather();
    // There is no later step in which it could be offered again; streaming coders have nothing left here.
    let left = this.ready.length;
    while (!this.pass(clock) && this.ready.length < left) left = this.ready.length;
    const isWhole = this.ready.length === 0;
    this.close();
    if (isWhole) this.reader.finish(clock);
    else this.reader.lost(FAULT, clock);
  }

  lost(cause: Cause, clock: Clock): void {
    if (this.over) return;
    this.close();
    this.reader.lost(cause, clock);
  }

  private fail(why: number, clock: Clock): void {
    this.close();
    const isOver = why === OVER;
    const status = isOver ? 413 : 400;
    const detail = isOver
      ? `The body is longer than ${this.bytesMax} bytes without its Content-Encoding.`
      : `The body is not what its Content-Encoding says${why === BAD ? '' : ': something follows its end'}.`;
    try {
      answerProblem(this.exchange, status, detail);
    } catch {
      // It was answered before its body had come: that answer cannot be taken back.
      this.exchange.reset(1);
    }
    this.reader.lost(FAULT, clock);
  }

  private close(): void {
    this.over = true;
    this.ready = NOTHING;
    this.parts = [];
    this.coder.close();
  }
}
