// permessage-deflate (RFC 7692): what is agreed on, and messages compressed and decompressed. A server never builds a
// message on those before, so that one compressed message serves every socket it goes to and no socket costs a
// compressor; a client may, as long as there are not too many that do.
import type { KeptBytes } from '../../bytes/kept.ts';
import { KeptBytes as Gathered } from '../../bytes/kept.ts';
import { BAD, copyOf } from '../../bytes/reader.ts';
import { type Coder, type CoderSink, type Flush, makeCoder, NONE, OVER, SYNC } from '../../core/compress.ts';
import type { Fault } from '../../core/fault.ts';
import type { Extension } from './extensions.ts';
import { faults } from './faults.ts';
import type { Compression } from './session.ts';

export const NAME = 'permessage-deflate';

/** What one side or both agreed to, from the text of an offer or of an answer. */
export interface DeflateTerms {
  readonly serverTakesOver: boolean;
  readonly clientTakesOver: boolean;
  /** 8 to 15; null where the parameter was absent. */
  readonly serverBits: number | null;
  /** As `serverBits`; 0 where it has no value, which only an offer may do. */
  readonly clientBits: number | null;
}

/** The parameters of an offer or answer, or null when one of them is unknown, twice there or has no right value. */
export function readTerms({ name, parameters }: Extension): DeflateTerms | null {
  if (name !== NAME) return null;
  const terms = {
    serverTakesOver: true,
    clientTakesOver: true,
    serverBits: null as number | null,
    clientBits: null as number | null,
  };
  const seen = new Set<string>();
  for (const [parameter, value] of parameters) {
    if (seen.has(parameter)) return null;
    seen.add(parameter);
    const bits = value !== null && /^(?:[89]|1[0-5])$/.test(value) ? Number(value) : 0;
    if (parameter === 'server_no_context_takeover' && value === null) terms.serverTakesOver = false;
    else if (parameter === 'client_no_context_takeover' && value === null) terms.clientTakesOver = false;
    else if (parameter === 'server_max_window_bits' && bits !== 0) terms.serverBits = bits;
    else if (parameter === 'client_max_window_bits' && (bits !== 0 || value === null)) terms.clientBits = bits;
    else return null;
  }
  return terms;
}

/** zlib makes no raw deflate with a window of 256 bytes. */
const BITS_LEAST = 9;
const BITS_MOST = 15;

/** What a server makes of the offers: the first that it can keep (§5), and what it answers. */
export function acceptOffer(
  offers: readonly Extension[],
  mayTakeOver: boolean,
): { readonly terms: DeflateTerms; readonly answer: string } | null {
  for (const offer of offers) {
    const asked = readTerms(offer);
    if (asked === null || (asked.serverBits !== null && asked.serverBits < BITS_LEAST)) continue;
    const clientTakesOver = asked.clientTakesOver && mayTakeOver;
    let answer = `${NAME}; server_no_context_takeover`;
    if (!clientTakesOver) answer += '; client_no_context_takeover';
    if (asked.serverBits !== null) answer += `; server_max_window_bits=${asked.serverBits}`;
    // The client's window may be as large as it likes.
    return { terms: { ...asked, serverTakesOver: false, clientTakesOver, clientBits: null }, answer };
  }
  return null;
}

/** What a client offers: it keeps any terms. */
export const OFFER = `${NAME}; client_max_window_bits`;

/** The terms that a server chose of `OFFER`, or null when it could not have chosen them. */
export function readAnswer(chosen: readonly Extension[]): DeflateTerms | null {
  const terms = chosen.length === 1 ? readTerms(chosen[0]!) : null;
  return terms === null || terms.clientBits === 0 ? null : terms;
}

/** What ends every flush, and is not sent (§7.2.1). */
const TAIL = Buffer.of(0, 0, 0xff, 0xff);

/** An empty message: one empty block without its tail (§7.2.3.6). */
const EMPTY = Buffer.of(0);

/** zlib's middle: what is compressed once and sent many times is worth it. */
const LEVEL = 6;

class Sink implements CoderSink {
  into = new Gathered();
  coded(bytes: Uint8Array, start: number, end: number): void {
    this.into.append(bytes, start, end);
  }
}

const sink = new Sink();

/** Compresses messages with one window. */
class Deflater {
  private readonly coder: Coder;
  private readonly takesOver: boolean;

  constructor(bits: number, takesOver: boolean) {
    this.coder = makeCoder('deflate-raw', 'encode', { windowBits: bits, level: LEVEL });
    this.takesOver = takesOver;
  }

  deflate(bytes: Uint8Array, start: number, end: number): Uint8Array | null {
    if (end === start) return EMPTY;
    if (!this.takesOver) this.coder.reset();
    const out = new Gathered();
    sink.into = out;
    this.coder.push(bytes, start, end, SYNC, sink);
    const size = out.length - TAIL.length;
    // What others will be built on must be sent, though it has grown.
    const small = this.takesOver || size < end - start ? copyOf(out.bytes, out.start, out.start + size) : null;
    out.clear();
    return small;
  }

  close(): void {
    this.coder.close();
  }
}

/** Decompresses messages. */
class Inflater {
  private readonly coder = makeCoder('deflate-raw', 'decode');
  private readonly takesOver: boolean;

  constructor(takesOver: boolean) {
    this.takesOver = takesOver;
  }

  inflate(input: Uint8Array, start: number, end: number, bytesMax: number, into: KeptBytes): Fault | null {
    if (!this.takesOver) this.coder.reset();
    sink.into = into;
    return this.run(input, start, end, NONE, bytesMax, into) ?? this.run(TAIL, 0, TAIL.length, SYNC, bytesMax, into);
  }

  private run(
    input: Uint8Array,
    start: number,
    end: number,
    flush: Flush,
    bytesMax: number,
    into: KeptBytes,
  ): Fault | null {
    const { coder } = this;
    for (let at = start; ; ) {
      const next = coder.push(input, at, end, flush, sink, bytesMax + 1 - into.length);
      if (next === BAD) return faults.badDeflate;
      if (next === OVER || into.length > bytesMax) return faults.messageTooBig;
      if (!coder.more) {
        if (next === end) return null;
        // A block that says to be the last, and is not (§7.2.3.4), or was indeed.
        coder.reset();
        if (next === at) return input === TAIL ? null : faults.badDeflate;
      }
      at = next;
    }
  }

  close(): void {
    this.coder.close();
  }
}

/** How many messages are kept compressed for the next socket that they go to. */
const RECENT = 8;

/** The most bytes of them, but for the last one. */
const RECENT_BYTES_MAX = 1_048_576;

/** One compressor for all sockets of a window: a message that goes to many is compressed once. */
class SharedDeflater {
  private readonly deflater: Deflater;
  private readonly sources: (Uint8Array | null)[] = new Array(RECENT).fill(null);
  private readonly starts = new Float64Array(RECENT);
  private readonly ends = new Float64Array(RECENT);
  private readonly results: (Uint8Array | null)[] = new Array(RECENT).fill(null);
  private at = 0;
  private held = 0;

  constructor(bits: number) {
    this.deflater = new Deflater(bits, false);
  }

  deflate(bytes: Uint8Array, start: number, end: number): Uint8Array | null {
    for (let index = 0; index < RECENT; index++)
      if (this.sources[index] === bytes && this.starts[index] === start && this.ends[index] === end)
        return this.results[index]!;
    const small = this.deflater.deflate(bytes, start, end);
    const { at } = this;
    this.forget(at);
    for (let older = 1; older < RECENT && this.held + bytes.length > RECENT_BYTES_MAX; older++)
      this.forget((at + older) % RECENT);
    this.sources[at] = bytes;
    this.starts[at] = start;
    this.ends[at] = end;
    this.results[at] = small;
    this.held += bytes.length;
    this.at = (at + 1) % RECENT;
    return small;
  }

  private forget(at: number): void {
    this.held -= this.sources[at]?.length ?? 0;
    this.sources[at] = null;
    this.results[at] = null;
  }
}

/** What the sockets of one server share. */
export class ServerDeflate {
  private readonly contextsMax: number;
  private contexts = 0;
  private readonly deflaters: (SharedDeflater | undefined)[] = [];
  private inflater: Inflater | null = null;

  constructor(contextsMax: number) {
    this.contextsMax = contextsMax;
  }

  /** Whether one more client may build its messages on each other. */
  get mayTakeOver(): boolean {
    return this.contexts < this.contextsMax;
  }

  open({ clientTakesOver, serverBits }: DeflateTerms): Compression {
    const bits = serverBits ?? BITS_MOST;
    const deflater = (this.deflaters[bits] ??= new SharedDeflater(bits));
    let own: Inflater | null = clientTakesOver ? new Inflater(true) : null;
    if (own !== null) this.contexts++;
    const inflater = own ?? (this.inflater ??= new Inflater(false));
    return {
      deflate: (bytes, start, end) => deflater.deflate(bytes, start, end),
      inflate: (input, start, end, bytesMax, into) => inflater.inflate(input, start, end, bytesMax, into),
      close: () => {
        if (own === null) return;
        own.close();
        own = null;
        this.contexts--;
      },
    };
  }
}

/** A client's side of what a server chose. */
export function clientDeflate({ clientTakesOver, serverTakesOver, clientBits }: DeflateTerms): Compression {
  const bits = clientBits ?? BITS_MOST;
  // A window that cannot be kept: what is sent is not compressed, which is always allowed.
  const deflater = bits < BITS_LEAST ? null : new Deflater(bits, clientTakesOver);
  const inflater = new Inflater(serverTakesOver);
  return {
    deflate: (bytes, start, end) => deflater?.deflate(bytes, start, end) ?? null,
    inflate: (input, start, end, bytesMax, into) => inflater.inflate(input, start, end, bytesMax, into),
    close: () => {
      deflater?.close();
      inflater.close();
    },
  };
}
