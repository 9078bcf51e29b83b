// The names that certificates are for: DNS names and addresses in one form, and which of them an authority may speak for.
import { domainToASCII } from 'node:url';

/** A range of addresses. */
export interface Range {
  readonly base: Uint8Array;
  readonly bits: number;
}

const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;

/**
 * A name in its one form: DNS in lower case and ASCII, with `*.` before it for all that are one label longer; an address as
 * RFC 5952 writes it. Null when it is neither.
 */
export function nameOf(text: string): string | null {
  const address = addressBytes(text.startsWith('[') && text.endsWith(']') ? text.slice(1, -1) : text);
  if (address !== null) return addressText(address);
  const isWild = text.startsWith('*.');
  const given = isWild ? text.slice(2) : text;
  // What only `domainToASCII` would make a name of is none here: `0x7f.1` is an address to it.
  const name = (/^[\w.-]+$/.test(given) ? given : domainToASCII(given)).toLowerCase().replace(/\.$/, '');
  if (name.length === 0 || name.length > 253) return null;
  const labels = name.split('.');
  if (!labels.every((label) => LABEL.test(label)) || /^\d+$/.test(labels.at(-1)!)) return null;
  return isWild ? `*.${name}` : name;
}

export function isAddress(name: string): boolean {
  return addressBytes(name) !== null;
}

/** Whether a certificate's name stands for what was asked for (RFC 9525 §6.3). */
export function covers(name: string, asked: string): boolean {
  if (name === asked) return true;
  if (!name.startsWith('*.')) return false;
  const dot = asked.indexOf('.');
  return dot > 0 && asked.slice(dot + 1) === name.slice(2);
}

/** Four or sixteen bytes; null when it is no address. */
export function addressBytes(text: string): Uint8Array | null {
  if (!text.includes(':')) return bytes4(text);
  if (!/^[0-9a-f:.]+$/i.test(text)) return null;
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const [head, tail] = halves.map((half) => (half === '' ? [] : groupsOf(half)));
  if (head === null || head === undefined || tail === null) return null;
  const missing = 16 - head.length - (tail?.length ?? 0);
  if (tail === undefined ? missing !== 0 : missing < 2) return null;
  return Uint8Array.from([...head, ...new Array<number>(missing).fill(0), ...(tail ?? [])]);
}

function bytes4(text: string): Uint8Array | null {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})$/.exec(text);
  if (match === null) return null;
  const octets = match.slice(1);
  if (octets.some((octet) => Number(octet) > 255 || (octet.length > 1 && octet.startsWith('0')))) return null;
  return Uint8Array.from(octets, Number);
}

function groupsOf(half: string): number[] | null {
  const found: number[] = [];
  const groups = half.split(':');
  for (const [index, group] of groups.entries()) {
    if (group.includes('.')) {
      const last = index === groups.length - 1 ? bytes4(group) : null;
      if (last === null) return null;
      found.push(...last);
    } else {
      if (!/^[0-9a-f]{1,4}$/i.test(group)) return null;
      const value = Number.parseInt(group, 16);
      found.push(value >> 8, value & 0xff);
    }
  }
  return found.length > 16 ? null : found;
}

/** As RFC 5952 writes it: lower case, the longest run of zeros as `::`. */
export function addressText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, index) => (bytes[index * 2]! << 8) | bytes[index * 2 + 1]!);
  let [from, length] = [-1, 1];
  for (let at = 0; at < 8; at++) {
    let end = at;
    while (end < 8 && groups[end] === 0) end++;
    if (end - at > length) [from, length] = [at, end - at];
    at = Math.max(at, end - 1);
  }
  const hex = (part: readonly number[]) => part.map((group) => group.toString(16)).join(':');
  return from < 0 ? hex(groups) : `${hex(groups.slice(0, from))}::${hex(groups.slice(from + length))}`;
}

/** `1.0.0.127.in-addr.arpa` (RFC 1034 §5.2.1, RFC 3596 §2.5). */
export function reverseName(address: string): string {
  const bytes = addressBytes(address)!;
  if (bytes.length === 4) return `${[...bytes].reverse().join('.')}.in-addr.arpa`;
  return `${[...Buffer.from(bytes).toString('hex')].reverse().join('.')}.ip6.arpa`;
}

/** `10.0.0.0/8`, or one address; null when it is neither. */
export function rangeOf(text: string): Range | null {
  const [address = '', bits] = text.split('/');
  const bytes = addressBytes(address);
  if (bytes === null || (bits !== undefined && !/^\d{1,3}$/.test(bits))) return null;
  const count = bits === undefined ? bytes.length * 8 : Number(bits);
  return count > bytes.length * 8 ? null : { base: bytes, bits: count };
}

export function rangeText({ base, bits }: Range): string {
  return `${addressText(base)}/${bits}`;
}

/** The mask of a range, as name constraints have it (RFC 5280 §4.2.1.10). */
export function maskOf({ base, bits }: Range): Uint8Array {
  return base.map((_, index) => (0xff << (8 - Math.min(8, Math.max(0, bits - index * 8)))) & 0xff);
}

function isWithin(address: Uint8Array, range: Range): boolean {
  const { base } = range;
  if (address.length !== base.length) return false;
  const mask = maskOf(range);
  return address.every((octet, index) => (octet & mask[index]!) === (base[index]! & mask[index]!));
}

/** What an authority may speak for. */
export class Constraints {
  /** Each with all below it. */
  readonly domains: readonly string[];
  readonly ranges: readonly Range[];

  constructor(domains: readonly string[], ranges: readonly Range[]) {
    this.domains = domains;
    this.ranges = ranges;
  }

  permits(name: string): boolean {
    const address = addressBytes(name);
    if (address !== null) return this.ranges.some((range) => isWithin(address, range));
    const plain = name.startsWith('*.') ? name.slice(2) : name;
    return this.domains.some((domain) => plain === domain || plain.endsWith(`.${domain}`));
  }

  get text(): string {
    return [...this.domains, ...this.ranges.map(rangeText)].join(' ');
  }
}

/** The zone of this server's own names where the configuration has no other. */
export const LOCAL_ZONE = 'portico.test';

/**
 * The names of this machine. A name of one label that has only letters may be a top-level domain of the Internet, and to
 * permit it would be to permit all below it: then only its `.local` is taken.
 */
export function machineNames(hostname: string): string[] {
  const name = nameOf(hostname);
  if (name === null || name === 'localhost' || isAddress(name)) return [];
  const [first = ''] = name.split('.');
  const plain = name.includes('.') || /^(?!xn--).*[\d-]/.test(name) ? [name] : [];
  return [...new Set([...plain, `${first}.local`])];
}
