// NSEC and NSEC3 records: bit maps of types, hashed names, and data both ways (RFC 4034 §4, RFC 5155 §3).
import { createHash, hash } from 'node:crypto';
import { checkName } from '../dns/name.ts';
import { lowered } from './names.ts';

/** The types of a name as windows of bits (RFC 4034 §4.1.2); `types` in any order. */
export function makeTypeMap(types: Iterable<number>): Buffer {
  const windows = new Map<number, Buffer>();
  for (const type of types) {
    const window = type >>> 8;
    const low = type & 0xff;
    let bits = windows.get(window);
    if (bits === undefined) windows.set(window, (bits = Buffer.alloc(32)));
    bits[low >>> 3]! |= 0x80 >>> (low & 7);
  }
  const parts: Buffer[] = [];
  for (const [window, bits] of [...windows].sort(([a], [b]) => a - b)) {
    let size = 32;
    while (bits[size - 1] === 0) size--;
    parts.push(Buffer.from([window, size]), bits.subarray(0, size));
  }
  return Buffer.concat(parts);
}

/** Whether a bit map names a type. */
export function hasType(map: Uint8Array, type: number): boolean {
  const window = type >>> 8;
  const octet = (type & 0xff) >>> 3;
  for (let at = 0; at + 2 <= map.length; at += 2 + map[at + 1]!)
    if (map[at] === window) return octet < map[at + 1]! && (map[at + 2 + octet]! & (0x80 >>> (type & 7))) !== 0;
  return false;
}

/** The types that a bit map names, ascending; null when it is malformed. */
export function typesOf(map: Uint8Array): number[] | null {
  const types: number[] = [];
  let last = -1;
  for (let at = 0; at < map.length; ) {
    const window = map[at]!;
    const size = map[at + 1] ?? 0;
    if (window <= last || size < 1 || size > 32 || at + 2 + size > map.length) return null;
    for (let octet = 0; octet < size; octet++)
      for (let bit = 0; bit < 8; bit++)
        if (map[at + 2 + octet]! & (0x80 >>> bit)) types.push((window << 8) | (octet << 3) | bit);
    last = window;
    at += 2 + size;
  }
  return types;
}

/** An NSEC with its owner (RFC 4034 §4.1). */
export interface Nsec {
  readonly owner: Buffer;
  readonly next: Buffer;
  readonly types: Buffer;
}

export function readNsec(owner: Buffer, data: Buffer): Nsec | null {
  const end = checkName(data, 0, data.length);
  if (end < 0 || typesOf(data.subarray(end)) === null) return null;
  return { owner, next: data.subarray(0, end), types: data.subarray(end) };
}

export function makeNsec(next: Buffer, types: Iterable<number>): Buffer {
  return Buffer.concat([next, makeTypeMap(types)]);
}

/** How names are hashed (RFC 5155 §4). */
export interface Nsec3Parameters {
  readonly iterations: number;
  readonly salt: Buffer;
}

/** No further iterations and no salt, as one should (RFC 9276 §3.1). */
export const PLAIN_NSEC3: Nsec3Parameters = { iterations: 0, salt: Buffer.alloc(0) };

/** Names that are covered with this flag may be delegations without a signature (RFC 5155 §3.1.2.1). */
export const OPT_OUT = 1;

const SHA1 = 1;

/** An NSEC3 with the hash that its owner's first label is (RFC 5155 §3). */
export interface Nsec3 extends Nsec3Parameters {
  readonly owner: Buffer;
  /** The owner's and the next owner's hash, as lower-case base 32. */
  readonly hash: string;
  readonly next: string;
  readonly optOut: boolean;
  readonly types: Buffer;
}

/** Null when it is malformed, of another hash than SHA-1, or has a flag that is not known (RFC 5155 §8.2). */
export function readNsec3(owner: Buffer, data: Buffer): Nsec3 | null {
  const salted = 5 + (data[4] ?? 0);
  const size = data[salted] ?? 0;
  const mapped = salted + 1 + size;
  if (data.length < mapped || data[0] !== SHA1 || (data[1]! & ~OPT_OUT) !== 0 || size !== 20 || owner[0] !== 32)
    return null;
  if (typesOf(data.subarray(mapped)) === null) return null;
  return {
    owner,
    iterations: data.readUInt16BE(2),
    salt: data.subarray(5, salted),
    hash: lowered(owner.subarray(0, 33)).toString('latin1', 1),
    next: base32(data.subarray(salted + 1, mapped)),
    optOut: (data[1]! & OPT_OUT) !== 0,
    types: data.subarray(mapped),
  };
}

export function makeNsec3(parameters: Nsec3Parameters, flags: number, next: string, types: Iterable<number>): Buffer {
  const nextBytes = fromBase32(next)!;
  return Buffer.concat([
    makeNsec3Parameters(parameters, flags),
    Buffer.from([nextBytes.length]),
    nextBytes,
    makeTypeMap(types),
  ]);
}

/** The data of an NSEC3PARAM, whose flags are 0, or the head of an NSEC3's. */
export function makeNsec3Parameters({ iterations, salt }: Nsec3Parameters, flags = 0): Buffer {
  return Buffer.concat([Buffer.from([SHA1, flags, iterations >>> 8, iterations & 0xff, salt.length]), salt]);
}

/** The hash of a name, as base 32 in lower case: the label of its NSEC3 (RFC 5155 §5). */
export function hashName(name: Buffer, { iterations, salt }: Nsec3Parameters): string {
  const low = lowered(name);
  if (iterations === 0 && salt.length === 0) return base32(hash('sha1', low, 'buffer'));
  let digest = createHash('sha1').update(low).update(salt).digest();
  for (let round = 0; round < iterations; round++) digest = createHash('sha1').update(digest).update(salt).digest();
  return base32(digest);
}

const ALPHABET = '0123456789abcdefghijklmnopqrstuv';

/** Base 32 with the hex alphabet, which keeps the order, without padding (RFC 4648 §7). */
export function base32(bytes: Uint8Array): string {
  let text = '';
  let held = 0;
  let bits = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    for (; bits >= 5; bits -= 5) text += ALPHABET[(held >>> (bits - 5)) & 31];
    held &= 0xff;
  }
  return bits > 0 ? text + ALPHABET[(held << (5 - bits)) & 31] : text;
}

/** The bytes of base 32 text in any case; null when it is none. */
export function fromBase32(text: string): Buffer | null {
  const bytes = Buffer.alloc((text.length * 5) >>> 3);
  let held = 0;
  let bits = 0;
  let at = 0;
  for (const character of text.toLowerCase()) {
    const value = ALPHABET.indexOf(character);
    if (value < 0) return null;
    held = ((held << 5) | value) & 0xfff;
    bits += 5;
    if (bits >= 8) bytes[at++] = (held >>> (bits -= 8)) & 0xff;
  }
  return bytes;
}
