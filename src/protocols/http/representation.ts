// One representation as the answer to GET or HEAD: conditions, ranges and codings in one place (RFC 9110 §13 to §15), for
// bytes in memory and for sources that are read as the client takes them. It knows no resource.
import { BAD } from '../../bytes/reader.ts';
import { type Coder, FINISH, type Flush, NONE, STREAMING } from '../../core/compress.ts';
import type { Exchange, ExchangeEvents } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import { OK, type Outcome } from '../../core/outcome.ts';
import { REVOKED, type Why } from '../../core/pipe.ts';
import type { Reading, Sink, Source } from '../../core/sink.ts';
import { type Clock, type Entropy, NEVER } from '../../core/time.ts';
import { answerNothing, answerProblem } from './answers.ts';
import {
  CODED_LEAST,
  CODINGS,
  type ContentCoding,
  codedEtag,
  codedWhole,
  codingOf,
  encoderOf,
  isCompressible,
  WHOLE_MOST,
} from './coding.ts';
import { evaluate, isRangeCurrent, type Validators } from './conditions.ts';
import { dateText } from './dates.ts';
import { type ByteRange, contentRange, multipart, parseRanges, UNSATISFIABLE, unsatisfiedRange } from './ranges.ts';

/** Bytes in memory, immutable; or what is read in part. */
export type Content = Uint8Array | { readonly source: FileSource; readonly length: number };

/** With a descriptor, a file that stays open for as long as the exchange: the kernel may send from it; -1 for none. */
export type FileSource = Source & {
  readonly kernelFd?: number;
  /** Once it has been given to an answer: that is over, however it ended. */
  done?(): void;
};

/** The open files of bytes in memory that came from one, so that the kernel may send them. */
export const FILES = new WeakMap<Uint8Array, number>();

export interface Representation {
  /** Content-Type. */
  readonly type: string;
  /** With its quotes; strong where the bytes are the same whenever the tag is. Null for none. */
  readonly etag: string | null;
  /** Milliseconds since 1970. Null for none. */
  readonly lastModified: number | null;
  readonly content: Content;
  /** In parts it is of no use: made for this answer, and another the next time. */
  readonly whole?: boolean;
  /** Coded beforehand. With these, nothing is coded while it is sent. */
  readonly coded?: Partial<Record<ContentCoding, Content>>;
  /** Other fields of the answer: Cache-Control, Content-Disposition. Content-Type and the like are written here. */
  readonly fields?: Fields;
  /** Of what is asked for again and again and stays as it is: all the fields of its 200, kept here. */
  readonly kept?: KeptFields;
}

export interface KeptFields {
  fields: Fields | null;
}

/** What comes with each turn. */
export interface Surroundings {
  readonly clock: Clock;
  readonly entropy: Entropy;
}

/** A stretch of the answer's body: bytes in memory, or a part of the content. */
interface Stretch {
  readonly content: Content;
  readonly start: number;
  readonly end: number;
}

/**
 * Answers GET or HEAD with a representation, with 304, 412, 416 or 206 as its conditions and ranges have it, and other
 * methods with 405. What is read from a source is read as the client takes it; the exchange's events are taken over.
 */
export function answerRepresentation(exchange: Exchange, { clock, entropy }: Surroundings, it: Representation): void {
  const { method, fields: asked } = exchange;
  if (method !== 'GET' && method !== 'HEAD') {
    answerProblem(exchange, 405, 'This can be read with GET and HEAD.', Fields.of({ allow: 'GET, HEAD' }));
    return;
  }
  const { length } = it.content;
  const codings = codingsFor(it);
  if (it.kept !== undefined && codings.length === 0 && answerKept(exchange, clock, it, it.kept)) return;
  const wantsRange = method === 'GET' && it.whole !== true && asked.has('range');
  // A part of the coded bytes is of use to nobody who does not have the others.
  const coding = codings.length === 0 || wantsRange ? 'identity' : (codingOf(asked, codings) ?? 'identity');
  const etag = it.etag !== null && coding !== 'identity' ? codedEtag(it.etag, coding) : it.etag;
  const current: Validators = { etag, lastModified: it.lastModified };
  const fields = fieldsFor(it, current, clock.wall, codings.length > 0);
  const condition = evaluate(method, asked, current, clock.wall);
  if (condition === 304) answerNothing(exchange, 304, forCaches(fields));
  else if (condition === 412) {
    const about = etag === null ? new Fields() : Fields.of({ etag });
    answerProblem(exchange, 412, 'It is not in the state that the request asks for.', about);
  } else if (coding !== 'identity') answerCoded(exchange, clock, it, coding, fields);
  else {
    const ranges =
      wantsRange && isRangeCurrent(asked, current, clock.wall) ? parseRanges(asked.get('range')!, length) : null;
    if (ranges === UNSATISFIABLE) {
      const about = Fields.of({ 'content-range': unsatisfiedRange(length) });
      answerProblem(exchange, 416, `There is no such range in ${length} bytes.`, about);
    } else answerRanges(exchange, clock, entropy, it, ranges, fields);
  }
}

/** The whole, to who asks for nothing else; false, and nothing is answered, for others. */
function answerKept(exchange: Exchange, clock: Clock, it: Representation, kept: KeptFields): boolean {
  const { etag, lastModified, content, type } = it;
  if (lastModified !== null && lastModified > clock.wall) return false;
  const { list } = exchange.fields;
  for (let at = 0; at < list.length; at += 2) {
    const name = list[at]!;
    if (name === 'range' || name.startsWith('if-')) return false;
  }
  if (kept.fields === null) {
    const fields = fieldsFor(it, { etag, lastModified }, clock.wall, false);
    if (it.whole !== true) fields.set('accept-ranges', 'bytes');
    kept.fields = fields.set('content-type', type).fix();
  }
  const { length } = content;
  send(exchange, clock, 200, kept.fields, length, [{ content, start: 0, end: length }]);
  return true;
}

/** The codings that there are for it; none when it stays as it is. */
function codingsFor({ type, coded, content: { length }, fields }: Representation): readonly ContentCoding[] {
  if (coded !== undefined) return CODINGS.filter((each) => coded[each] !== undefined);
  // Coded already, or not worth it.
  if (fields?.has('content-encoding') === true || length < CODED_LEAST || !isCompressible(type)) return [];
  return STREAMING || length <= WHOLE_MOST ? CODINGS : [];
}

function fieldsFor({ fields: own }: Representation, current: Validators, wall: number, varies: boolean): Fields {
  const fields = new Fields();
  if (own !== undefined) for (const [name, value] of own) fields.append(name, value);
  if (current.etag !== null) fields.set('etag', current.etag);
  // Not in the future of the answer's own date (RFC 9110 §8.8.2.1).
  if (current.lastModified !== null) fields.set('last-modified', dateText(Math.min(current.lastModified, wall)));
  if (varies) {
    const vary = fields.joined('vary');
    fields.set('vary', vary === null ? 'Accept-Encoding' : `${vary}, Accept-Encoding`);
  }
  return fields;
}

/** What a cache may need to go on with what it has, and nothing else about the content (RFC 9110 §15.4.5). */
function forCaches(fields: Fields): Fields {
  for (const [name] of [...fields])
    if ((name.startsWith('content-') && name !== 'content-location') || name === 'x-content-type-options')
      fields.delete(name);
  return fields;
}

/** The whole, one range or several. */
function answerRanges(
  exchange: Exchange,
  clock: Clock,
  entropy: Entropy,
  { content, type, whole }: Representation,
  ranges: readonly ByteRange[] | null,
  fields: Fields,
): void {
  const { length } = content;
  if (whole !== true) fields.set('accept-ranges', 'bytes');
  if (ranges === null) {
    fields.set('content-type', type);
    send(exchange, clock, 200, fields, length, [{ content, start: 0, end: length }]);
  } else if (ranges.length === 1) {
    const [range] = ranges as [ByteRange];
    fields.set('content-type', type).set('content-range', contentRange(range, length));
    send(exchange, clock, 206, fields, range.end - range.start, [{ content, ...range }]);
  } else {
    const parts = multipart(ranges, type, length, entropy);
    // Content-Range stands in the parts (RFC 9110 §15.3.7.2).
    fields.set('content-type', parts.type);
    const stretches: Stretch[] = [];
    ranges.forEach((range, index) => {
      const before = parts.before[index]!;
      stretches.push({ content: before, start: 0, end: before.length }, { content, ...range });
    });
    stretches.push({ content: parts.after, start: 0, end: parts.after.length });
    send(exchange, clock, 206, fields, parts.length, stretches);
  }
}

function answerCoded(
  exchange: Exchange,
  clock: Clock,
  it: Representation,
  coding: ContentCoding,
  fields: Fields,
): void {
  fields.set('content-type', it.type).set('content-encoding', coding);
  let content: Content | undefined = it.coded?.[coding];
  if (content === undefined && it.content instanceof Uint8Array && it.content.length <= WHOLE_MOST)
    content = codedWhole(it.content, coding);
  if (content !== undefined)
    send(exchange, clock, 200, fields, content.length, [{ content, start: 0, end: content.length }]);
  else {
    const stretch = { content: it.content, start: 0, end: it.content.length };
    send(exchange, clock, 200, fields, undefined, [stretch], encoderOf(coding));
  }
}

function send(
  exchange: Exchange,
  clock: Clock,
  status: number,
  fields: Fields,
  length: number | undefined,
  stretches: readonly Stretch[],
  coder: Coder | null = null,
): void {
  exchange.respond(status, fields, length);
  if (exchange.method === 'HEAD') {
    coder?.close();
    exchange.end();
    exchange.flush();
    return;
  }
  const [only] = stretches;
  if (stretches.length === 1 && coder === null && only!.content instanceof Uint8Array) {
    const { content, end } = only as { content: Uint8Array; end: number };
    const start = only!.start + sentByKernel(exchange, content, only!.start, end);
    if (end > start) exchange.share(content, start, end);
    exchange.end();
    exchange.flush();
    return;
  }
  const delivery = new Delivery(exchange, stretches, coder);
  exchange.on = delivery;
  delivery.run(clock);
}

/** Below this, one call to write head and body costs less than two calls and no copy. */
const KERNEL_LEAST = 32_768;

function sentByKernel(exchange: Exchange, content: Uint8Array, start: number, end: number): number {
  if (end - start < KERNEL_LEAST || exchange.sendFile === undefined) return 0;
  const fd = FILES.get(content);
  return fd === undefined ? 0 : exchange.sendFile(fd, start, end);
}

/** Sent by the kernel in one turn: others wait meanwhile. */
const KERNEL_MOST = 4_194_304;
/** What is read and written where the network took no more from the kernel. */
const SLICE = 65_536;
/** Given to a coder at once, and in one turn: others wait meanwhile. */
const PIECE = 65_536;
const TURN = 262_144;
/** Coded bytes that are gathered before they are framed. */
const GATHERED = 65_536;
/** INTERNAL_ERROR and CANCEL (RFC 9113 §7). */
const INTERNAL_ERROR = 2;
const CANCEL = 8;
const NOTHING = Buffer.alloc(0);

/** What the kernel sent of a stretch: all of it; as much as one turn may; less than it was given; nothing. */
const WHOLE = 0;
const LATER = 1;
const SOME = 2;
const NONE_SENT = 3;
/** In place of where a reading ends: it has. */
const SLICE_READ = -1;

/** An answer's body on its way, as fast as the client takes it. */
class Delivery implements ExchangeEvents, Sink {
  private readonly exchange: Exchange;
  private readonly stretches: readonly Stretch[];
  private readonly coder: Coder | null;
  private index = 0;
  /** Within a stretch of bytes in memory. */
  private at = -1;
  /** Of the stretch that is read from its source. */
  private reading: Reading | null = null;
  private over = false;
  private running = false;
  /** Until it is known that the kernel does not send on this connection. */
  private byKernel = true;
  /** The kernel is asked for more in the next turn. */
  private goesOn = false;
  /** Where the reading under way ends. */
  private readTo = 0;
  /** What the coder may still be given in this turn. */
  private allowance = TURN;
  private clock: Clock | null = null;

  constructor(exchange: Exchange, stretches: readonly Stretch[], coder: Coder | null) {
    this.exchange = exchange;
    this.stretches = stretches;
    this.coder = coder;
  }

  /** Goes on until there is no more room, or no more to send now. */
  run(clock: Clock): void {
    // A source may end within `read`; the loop that is under way goes on.
    if (this.running || this.over) return;
    this.running = true;
    this.allowance = TURN;
    this.clock = clock;
    while (!this.over && this.step());
    this.running = false;
    this.clock = null;
    if (!this.over) this.exchange.flush();
  }

  /** Whether there may be more to do at once. */
  private step(): boolean {
    if (this.index === this.stretches.length) {
      this.complete();
      return false;
    }
    const { content, start, end } = this.stretches[this.index]!;
    if (!(content instanceof Uint8Array)) {
      if (this.reading !== null) {
        const { index } = this;
        this.reading.more();
        return this.index !== index;
      }
      if (this.at < 0) this.at = start;
      const taken = this.sendFile(content.source, end);
      if (taken === WHOLE || taken === LATER) return taken === WHOLE;
      const { index } = this;
      this.readTo = taken === SOME ? Math.min(end, this.at + SLICE) : end;
      // Set by `end` when it is over within the call.
      const reading = content.source.read(this.at, this.readTo, this);
      if (this.index !== index || this.over) return !this.over;
      if (this.readTo !== SLICE_READ) this.reading = reading;
      return false;
    }
    if (this.at < 0) this.at = start;
    if (this.room <= 0) return false;
    const upTo = Math.min(end, this.at + PIECE);
    this.bytes(content, this.at, upTo);
    this.at = upTo;
    if (upTo === end) this.next();
    return true;
  }

  /** The kernel sends what it can; what is between is read and written, and it is asked again once that has left. */
  private sendFile(
    { kernelFd = -1 }: FileSource,
    end: number,
  ): typeof WHOLE | typeof LATER | typeof SOME | typeof NONE_SENT {
    const { exchange, at } = this;
    if (
      !this.byKernel ||
      kernelFd < 0 ||
      this.coder !== null ||
      exchange.sendFile === undefined ||
      end - at < KERNEL_LEAST
    )
      return NONE_SENT;
    const upTo = Math.min(end, at + KERNEL_MOST);
    const sent = exchange.sendFile(kernelFd, at, upTo);
    this.at += sent;
    if (this.at === end) {
      this.next();
      return WHOLE;
    }
    if (this.at === upTo) {
      this.goesOn = true;
      exchange.flush();
      return LATER;
    }
    if (sent === 0) this.byKernel = false;
    return sent === 0 ? NONE_SENT : SOME;
  }

  private next(): void {
    this.index++;
    this.at = -1;
    this.reading = null;
  }

  private complete(): void {
    this.over = true;
    if (this.coder !== null) {
      this.code(NOTHING, 0, 0, FINISH);
      this.coder.close();
    }
    this.exchange.deadline = NEVER;
    this.exchange.end();
    this.exchange.flush();
  }

  // Sink

  get room(): number {
    const { room } = this.exchange;
    if (this.coder === null || !this.running || this.allowance > 0) return room;
    // Coding goes on in the next turn; what comes later than its call has a turn of its own.
    if (this.clock !== null) this.exchange.deadline = this.clock.now;
    return 0;
  }

  bytes(data: Uint8Array, start: number, end: number, storage?: Buffer): void {
    if (this.over) return;
    if (this.coder === null) this.exchange.share(data, start, end, storage);
    else {
      this.allowance -= end - start;
      this.code(data, start, end, NONE);
    }
    this.exchange.flush();
  }

  private code(data: Uint8Array, start: number, end: number, flush: Flush): void {
    if (this.coder!.push(data, start, end, flush, this) <= BAD) this.fail();
  }

  coded(bytes: Uint8Array, start: number, end: number): void {
    const { out } = this.exchange;
    out.copy(bytes, start, end);
    if (out.length >= GATHERED) this.exchange.flush();
  }

  end(outcome: Outcome): void {
    if (this.over) return;
    if (outcome !== OK) {
      this.fail();
      return;
    }
    const { end } = this.stretches[this.index]!;
    if (this.readTo < end) {
      // The kernel goes on once this has left: `writable` tells.
      this.at = this.readTo;
      this.readTo = SLICE_READ;
      this.reading = null;
      return;
    }
    this.next();
    if (!this.running) {
      this.running = true;
      while (!this.over && this.step());
      this.running = false;
      if (!this.over) this.exchange.flush();
    }
  }

  /** The client sees that it is not whole. */
  private fail(): void {
    this.stop();
    this.exchange.reset(INTERNAL_ERROR);
  }

  private stop(): void {
    if (this.over) return;
    this.over = true;
    this.reading?.stop();
    this.coder?.close();
  }

  // ExchangeEvents

  writable(clock: Clock): void {
    this.run(clock);
  }

  gather(clock: Clock): void {
    if (!this.goesOn) return;
    this.goesOn = false;
    this.run(clock);
  }

  tick(clock: Clock): void {
    this.exchange.deadline = NEVER;
    this.run(clock);
  }

  leave(why: Why): void {
    // What is under way may come to its end, unless it may not be seen any more.
    if (why === REVOKED) this.exchange.reset(CANCEL);
  }

  lost(): void {
    this.stop();
    for (const { content } of this.stretches) if (!(content instanceof Uint8Array)) content.source.done?.();
  }
}
