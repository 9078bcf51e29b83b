// Where sessions may reach: public addresses, and of the rest only what somebody configured or allowed. Without this, a
// webhook or an import is a way into the network behind the server.
import type { Target } from '../core/reach.ts';

/** An address as 16 bytes; IPv4 is mapped into IPv6, so that one rule holds for both spellings. Null: not an address. */
export function addressBytes(host: string): Uint8Array | null {
  const bytes = new Uint8Array(16);
  const text = host.split('%')[0]!;
  if (!text.includes(':')) {
    const four = fourBytes(text);
    if (four === null) return null;
    bytes.set([0xff, 0xff, ...four], 10);
    return bytes;
  }
  const last = text.slice(text.lastIndexOf(':') + 1);
  const four = last.includes('.') ? fourBytes(last) : null;
  if (last.includes('.') && four === null) return null;
  const sixteen =
    four === null
      ? text
      : `${text.slice(0, -last.length)}${((four[0]! << 8) | four[1]!).toString(16)}:${((four[2]! << 8) | four[3]!).toString(16)}`;
  const groups = groupsOf(sixteen);
  if (groups === null) return null;
  for (const [index, group] of groups.entries()) {
    bytes[index * 2] = group >>> 8;
    bytes[index * 2 + 1] = group;
  }
  return bytes;
}

function fourBytes(text: string): number[] | null {
  // A leading zero would be octal elsewhere: two readings of one address are one too many.
  if (!/^(?:(?:0|[1-9]\d{0,2})\.){3}(?:0|[1-9]\d{0,2})$/.test(text)) return null;
  const numbers = text.split('.').map(Number);
  return numbers.every((number) => number < 256) ? numbers : null;
}

function groupsOf(text: string): number[] | null {
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const read = (half: string) => (half === '' ? [] : half.split(':'));
  const head = read(halves[0]!);
  const tail = halves.length === 2 ? read(halves[1]!) : [];
  const missing = 8 - head.length - tail.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return null;
  const words = [...head, ...new Array<string>(halves.length === 2 ? missing : 0).fill('0'), ...tail];
  return words.every((word) => /^[\da-f]{1,4}$/i.test(word)) ? words.map((word) => Number.parseInt(word, 16)) : null;
}

export interface Range {
  readonly bytes: Uint8Array;
  readonly bits: number;
}

/** `10.0.0.0/8`, `fd00::/8`, or one address. Null when it is neither. */
export function rangeOf(text: string): Range | null {
  const [host = '', length] = text.split('/');
  const bytes = addressBytes(host);
  if (bytes === null || (length !== undefined && !/^\d{1,3}$/.test(length))) return null;
  const four = !host.includes(':');
  const bits = length === undefined ? 128 : Number(length) + (four ? 96 : 0);
  return bits > 128 ? null : { bytes, bits };
}

function isWithin(bytes: Uint8Array, range: Range): boolean {
  for (let bit = 0; bit < range.bits; bit += 8) {
    const mask = range.bits - bit >= 8 ? 0xff : 0xff & (0xff << (8 - (range.bits - bit)));
    if (((bytes[bit >>> 3]! ^ range.bytes[bit >>> 3]!) & mask) !== 0) return false;
  }
  return true;
}

/** What is not the public Internet: the special-purpose registries of IANA (RFC 6890), multicast and broadcast. */
const NOT_PUBLIC: readonly Range[] = [
  '0.0.0.0/8',
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '192.168.0.0/16',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '::/96',
  '64:ff9b::/96',
  '64:ff9b:1::/48',
  '100::/64',
  '2001::/23',
  '2001:db8::/32',
  '2002::/16',
  'fc00::/7',
  'fe80::/9',
  'ff00::/8',
].map((text) => rangeOf(text)!);

export function isPublic(host: string): boolean {
  const bytes = addressBytes(host);
  return bytes !== null && !NOT_PUBLIC.some((range) => isWithin(bytes, range));
}

export interface OutboundRules {
  /** Ranges that are reached though they are not public. */
  readonly allowed: readonly Range[];
  /** Targets that the operator named: reached wherever they are. */
  readonly configured: readonly Target[];
}

export function isConfigured(target: Target, rules: OutboundRules): boolean {
  return rules.configured.some(
    ({ host, port, path }) => path === target.path && host === target.host && port === target.port,
  );
}

/** Whether an address (not a name) may be reached. */
export function mayReach(host: string, rules: OutboundRules): boolean {
  const bytes = addressBytes(host);
  if (bytes === null) return false;
  return isPublic(host) || rules.allowed.some((range) => isWithin(bytes, range));
}
