// Personal tokens: `ptk_`, an id of 8 characters, 32 characters of secret and a checksum of 6, all in base 62, so that a
// leaked one is found by a search and a mistyped one is told before anything is looked up. Only a SHA-256 is kept.
import { hash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import type { Entropy } from '../../core/time.ts';

export const TOKEN_PREFIX = 'ptk_';
const ID = 8;
const SECRET = 32;
const CHECK = 6;
const LENGTH = TOKEN_PREFIX.length + ID + SECRET + CHECK;

const DIGITS = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** `count` characters of base 62, each as likely as the others. */
export function randomText(entropy: Entropy, count: number): string {
  let text = '';
  const bytes = new Uint8Array(count + 8);
  while (text.length < count) {
    entropy.fill(bytes);
    // 248 is 4 times 62: what is above would make some digits likelier.
    for (const byte of bytes) if (byte < 248 && text.length < count) text += DIGITS[byte % 62];
  }
  return text;
}

export function makeToken(entropy: Entropy): { readonly id: string; readonly token: string } {
  const id = randomText(entropy, ID);
  const body = TOKEN_PREFIX + id + randomText(entropy, SECRET);
  return { id, token: body + checkOf(body) };
}

/** The id of a token that is well formed; null for any other text. */
export function tokenId(token: string): string | null {
  if (token.length !== LENGTH || !token.startsWith(TOKEN_PREFIX)) return null;
  const body = token.slice(0, -CHECK);
  if (checkOf(body) !== token.slice(-CHECK)) return null;
  return token.slice(TOKEN_PREFIX.length, TOKEN_PREFIX.length + ID);
}

/** What is kept of a token: 32 bytes. It has 190 bits of chance, so that no slow hash is needed. */
export function tokenDigest(token: string): Buffer {
  return hash('sha256', token, 'buffer');
}

function checkOf(body: string): string {
  let value = crc32(body);
  let text = '';
  for (let digit = 0; digit < CHECK; digit++) {
    text = DIGITS[value % 62]! + text;
    value = Math.floor(value / 62);
  }
  return text;
}
