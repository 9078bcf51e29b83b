// HKDF as TLS 1.3 and QUIC use it: Extract, and Expand with a label. It knows neither packets nor handshakes.
import { createHmac } from 'node:crypto';

export type HashName = 'sha256' | 'sha384';

const EMPTY = Buffer.alloc(0);

export function hkdfExtract(hash: HashName, salt: Uint8Array, secret: Uint8Array): Buffer {
  return createHmac(hash, salt).update(secret).digest();
}

/** HKDF-Expand-Label (RFC 8446 §7.1); `label` is without its `tls13 `. */
export function expandLabel(
  hash: HashName,
  secret: Uint8Array,
  label: string,
  bytes: number,
  context: Uint8Array = EMPTY,
): Buffer {
  const info = labelInfo(label, bytes, context);
  const size = hash === 'sha256' ? 32 : 48;
  if (bytes <= size) {
    const whole = createHmac(hash, secret).update(info).digest();
    return bytes === size ? whole : whole.subarray(0, bytes);
  }
  // RFC 5869 §2.3: blocks, each over the one before; the counter is the last byte of `info`.
  const out = Buffer.alloc(bytes);
  let block: Buffer = EMPTY;
  for (let at = 0, count = 1; at < bytes; at += size, count++) {
    info[info.length - 1] = count;
    block = createHmac(hash, secret).update(block).update(info).digest();
    block.copy(out, at);
  }
  return out;
}

/** The HkdfLabel, and behind it the counter of the first block. */
export function labelInfo(label: string, bytes: number, context: Uint8Array): Buffer {
  const info = Buffer.allocUnsafe(11 + label.length + context.length);
  info[0] = bytes >>> 8;
  info[1] = bytes;
  info[2] = 6 + label.length;
  info.write(`tls13 ${label}`, 3, 'latin1');
  const at = 9 + label.length;
  info[at] = context.length;
  info.set(context, at + 1);
  info[info.length - 1] = 1;
  return info;
}
