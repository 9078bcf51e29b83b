// Compression of single messages, both ways: each is a stream of its own, so the coders are shared by all calls.
import type { ByteWriter } from '../../bytes/writer.ts';
import { type Coder, FINISH, makeCoder, OVER } from '../../core/compress.ts';
import type { Fault } from '../../core/fault.ts';
import { faults } from './faults.ts';

/** `deflate` is zlib's format, as in HTTP (RFC 9110 §8.4.1.2). */
export type Coding = 'gzip' | 'deflate';

export const CODINGS = 'identity,gzip,deflate';

export function codingOf(name: string): Coding | null {
  return name === 'gzip' || name === 'deflate' ? name : null;
}

/** The first of those in a list that we know, in our order. */
export function accepted(list: string | null): Coding | null {
  if (list === null) return null;
  const names = list.split(',').map((name) => name.trim().toLowerCase());
  if (names.includes('gzip')) return 'gzip';
  return names.includes('deflate') ? 'deflate' : null;
}

const encoders = new Map<Coding, Coder>();

/** Writes `bytes[start..end)` compressed. */
export function compress(coding: Coding, bytes: Uint8Array, start: number, end: number, out: ByteWriter): void {
  let coder = encoders.get(coding);
  if (coder === undefined) {
    coder = makeCoder(coding, 'encode');
    encoders.set(coding, coder);
  }
  coder.reset();
  coder.push(bytes, start, end, FINISH, { coded: (made, from, to) => out.copy(made, from, to) });
}

/** One for each bound, of which there are as many as servers and clients in this process with another limit. */
const decoders = new Map<string, Coder>();
const DECODERS_MAX = 64;

/** Writes what was compressed; answers a fault for what is broken, or comes to more than `bytesMax`. */
export function expand(
  coding: Coding,
  bytes: Uint8Array,
  start: number,
  end: number,
  out: ByteWriter,
  bytesMax: number,
): Fault | null {
  const key = `${coding} ${bytesMax}`;
  let coder = decoders.get(key);
  if (coder === undefined) {
    if (decoders.size >= DECODERS_MAX) {
      for (const old of decoders.values()) old.close();
      decoders.clear();
    }
    coder = makeCoder(coding, 'decode', { outMax: bytesMax });
    decoders.set(key, coder);
  }
  coder.reset();
  const at = coder.push(bytes, start, end, FINISH, { coded: (made, from, to) => out.copy(made, from, to) });
  if (at === OVER) return faults.tooLong;
  return at === end ? null : faults.corrupt;
}
