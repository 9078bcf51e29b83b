// Addresses and names of mailboxes and folders: what they are made of, and how they are written as keys.
import { MAIL_LIMITS } from './limits.ts';

export const INBOX = 'INBOX';

export interface AddressParts {
  /** As it was given, without quotes. */
  readonly local: string;
  /** In lower case. */
  readonly domain: string;
}

/** RFC 5321 §4.5.3.1: 64 octets before the `@`, 255 behind it. */
const LOCAL_BYTES_MAX = 64;
const DOMAIN_BYTES_MAX = 255;

/** Reads `ann@example.org` or `"a b"@example.org`; null for what is none. */
export function readAddress(address: string): AddressParts | null {
  const at = address.lastIndexOf('@');
  if (at <= 0) return null;
  const domain = address.slice(at + 1).toLowerCase();
  let local = address.slice(0, at);
  if (/^"(?:[^"\\]|\\.)*"$/s.test(local)) local = local.slice(1, -1).replace(/\\(.)/gs, '$1');
  else if (!/^[^\s"(),:;<>@[\\\]]+$/.test(local)) return null;
  if (local === '' || Buffer.byteLength(local) > LOCAL_BYTES_MAX || hasControls(local)) return null;
  if (domain === '' || Buffer.byteLength(domain) > DOMAIN_BYTES_MAX) return null;
  if (!/^\[[^[\]\\\s]+\]$/.test(domain) && !domain.split('.').every((label) => isLabel(label))) return null;
  return { local, domain };
}

function isLabel(label: string): boolean {
  return /^[\p{L}\p{N}\p{M}](?:[\p{L}\p{N}\p{M}_-]*[\p{L}\p{N}\p{M}])?$/u.test(label) && label.length <= 63;
}

function hasControls(text: string): boolean {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  return /[\0-\x1f\x7f]/.test(text);
}

/** The mailbox that an address is; letters of both cases are one. */
export function mailboxName(local: string, domain: string): string {
  return `${local.toLowerCase().normalize('NFC')}@${domain.toLowerCase()}`;
}

/** A folder's name as it is kept: `INBOX` in capitals; null for what is none. */
export function folderName(name: string): string | null {
  const plain = name.normalize('NFC');
  if (Buffer.byteLength(plain) > MAIL_LIMITS.nameBytesMax || hasControls(plain)) return null;
  const levels = plain.split('/');
  if (levels.length > MAIL_LIMITS.levelsMax) return null;
  if (levels.some((level) => level === '' || Buffer.byteLength(level) > MAIL_LIMITS.levelBytesMax)) return null;
  if (levels[0]!.toUpperCase() === INBOX) levels[0] = INBOX;
  return levels.join('/');
}

/** The folders that stand above one, from the top. */
export function above(name: string): string[] {
  const levels = name.split('/');
  return levels.slice(1).map((_, index) => levels.slice(0, index + 1).join('/'));
}

/** Characters of keywords: an atom of RFC 3501 §9, and not a system flag. */
export function isKeyword(keyword: string): boolean {
  return /^[!#$&'+,\-.0-9:;<=>?@A-Z[^_`a-z|}~]+$/.test(keyword) && Buffer.byteLength(keyword) <= 100;
}
