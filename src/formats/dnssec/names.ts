// Domain names in wire form (labels with their lengths, uncompressed), and their canonical order as plain text order: what
// DNSSEC does with names. It knows neither messages nor records.
import { sameName as equalNames, labelCount, NAME_BYTES_MAX } from '../dns/name.ts';

export { labelCount };

/** The root. */
export const ROOT_NAME: Buffer = Buffer.from([0]);

/** What the labels field of an RRSIG says of an owner: neither the root nor a leading `*` counts (RFC 4034 §3.1.3). */
export function signedLabels(name: Uint8Array): number {
  return labelCount(name) - (isWildcard(name) ? 1 : 0);
}

/** Whether the leftmost label is `*` alone (RFC 4592 §2.1.1). */
export function isWildcard(name: Uint8Array): boolean {
  return name[0] === 1 && name[1] === 0x2a;
}

/** The name in lower case (RFC 4034 §6.2); the same bytes when it is already. */
export function lowered(name: Uint8Array): Buffer {
  const buffer = name instanceof Buffer ? name : Buffer.from(name.buffer, name.byteOffset, name.length);
  for (let at = 0; at < buffer.length; at++) if (isUpper(buffer[at]!)) return lowerCopy(buffer);
  return buffer;
}

function lowerCopy(name: Uint8Array): Buffer {
  const copy = Buffer.from(name);
  // A length octet is at most 63, below the capitals, so that nothing but letters changes.
  for (let at = 0; at < copy.length; at++) if (isUpper(copy[at]!)) copy[at]! += 32;
  return copy;
}

function isUpper(byte: number): boolean {
  return byte >= 0x41 && byte <= 0x5a;
}

/** The name without its leftmost `labels` labels. */
export function stripped(name: Buffer, labels: number): Buffer {
  let at = 0;
  for (let label = 0; label < labels && name[at]! !== 0; label++) at += name[at]! + 1;
  return name.subarray(at);
}

/** The name's last `labels` labels. */
export function lastLabels(name: Buffer, labels: number): Buffer {
  return stripped(name, labelCount(name) - labels);
}

/** `*.` and the name, or null when that is too long. */
export function wildcardUnder(name: Buffer): Buffer | null {
  return name.length + 2 > NAME_BYTES_MAX ? null : Buffer.concat([Buffer.from([1, 0x2a]), name]);
}

/** Whether both are one name, in any case. */
export function sameName(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && equalNames(a, 0, b, 0);
}

/** Whether `name` is `zone` or below it. */
export function isWithin(name: Buffer, zone: Buffer): boolean {
  if (zone.length === 1) return true;
  const over = name.length - zone.length;
  if (over < 0) return false;
  let at = 0;
  while (at < over) at += name[at]! + 1;
  return at === over && sameName(name.subarray(at), zone);
}

/** How many labels, from the root on, two names share. */
export function sharedLabels(a: Buffer, b: Buffer): number {
  for (let count = Math.min(labelCount(a), labelCount(b)); count > 0; count--)
    if (sameName(lastLabels(a, count), lastLabels(b, count))) return count;
  return 0;
}

/**
 * The name as text whose plain order is the canonical order (RFC 4034 §6.1): labels from the root on, in lower case, each
 * octet one higher, each label ended by NUL. What lies below a name begins with the name's own key.
 */
export function keyOf(name: Uint8Array): string {
  let key = '';
  for (let at = 0; name[at]! !== 0; ) {
    const size = name[at]!;
    let label = '';
    for (let index = at + 1; index <= at + size; index++) {
      const byte = name[index]!;
      label += String.fromCharCode((isUpper(byte) ? byte + 32 : byte) + 1);
    }
    key = `${label}\0${key}`;
    at += size + 1;
  }
  return key;
}

/** The name, in lower case, of a key that `keyOf` made. */
export function nameOfKey(key: string): Buffer {
  const name = Buffer.alloc(key.length + 1);
  let end = name.length - 1;
  for (let at = 0; at < key.length; ) {
    const stop = key.indexOf('\0', at);
    const start = end - (stop - at) - 1;
    name[start] = stop - at;
    for (let index = at; index < stop; index++) name[start + 1 + index - at] = key.charCodeAt(index) - 1;
    end = start;
    at = stop + 1;
  }
  return name;
}

/** The key of the name one label up; the root's is `''`, and has none above. */
export function parentKey(key: string): string {
  return key.slice(0, key.lastIndexOf('\0', key.length - 2) + 1);
}
