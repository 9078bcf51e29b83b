// What of a server's transport parameters a client relies on in 0-RTT (RFC 9000 §7.4.1), as a digest: a server that has
// others now does not take 0-RTT. What belongs to one connection is left out.
import { createHash } from 'node:crypto';
import { u16, u32 } from '../../../bytes/reader.ts';

/** Limits, datagrams and migration; the ids, tokens and delays of a connection are not remembered. */
const REMEMBERED: readonly number[] = [0x01, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0c, 0x0e, 0x20];

export function termsOf(parameters: Uint8Array): Buffer {
  const digest = createHash('sha256');
  const found: string[] = [];
  let at = 0;
  while (at < parameters.length) {
    const idBytes = 1 << (parameters[at]! >> 6);
    const id = number(parameters, at, idBytes);
    at += idBytes;
    const sizeBytes = 1 << ((parameters[at] ?? 0) >> 6);
    const size = number(parameters, at, sizeBytes);
    at += sizeBytes;
    if (REMEMBERED.includes(id)) found.push(`${id}=${Buffer.from(parameters.subarray(at, at + size)).toString('hex')}`);
    at += size;
  }
  // Their order may change from connection to connection (RFC 9000 §7.4).
  return digest.update(found.sort().join(' ')).digest().subarray(0, 8);
}

/** A variable-length integer (RFC 9000 §16); they are our own. */
function number(bytes: Uint8Array, at: number, size: number): number {
  if (size === 1) return bytes[at]! & 0x3f;
  if (size === 2) return u16(bytes, at) & 0x3fff;
  if (size === 4) return u32(bytes, at) & 0x3fff_ffff;
  return (u32(bytes, at) & 0x3fff_ffff) * 0x1_0000_0000 + u32(bytes, at + 4);
}
