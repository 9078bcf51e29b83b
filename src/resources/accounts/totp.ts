// Codes by time (RFC 6238) for the second step of a sign-in, and the recovery codes for who lost the device. It keeps
// nothing: what was used is the account's record.
import { createHmac, hash, timingSafeEqual } from 'node:crypto';
import type { Entropy } from '../../core/time.ts';

/** Seconds of a step, digits of a code: what every app assumes (RFC 6238 §4.1, RFC 4226 §5.3). */
const STEP_MS = 30_000;
const DIGITS = 6;

/** RFC 4226 §4 R6: 160 bits. */
export const TOTP_SECRET_BYTES = 20;

/** A clock may be one step off, either way (RFC 6238 §5.2). */
const DRIFT = 1;

export const stepOf = (wall: number): number => Math.floor(wall / STEP_MS);

/** The code of a counter: RFC 4226 §5.3. */
export function codeOf(secret: Uint8Array, counter: number, digits: number = DIGITS, algorithm = 'sha1'): string {
  const message = Buffer.alloc(8);
  message.writeBigUInt64BE(BigInt(counter));
  const mac = createHmac(algorithm, secret).update(message).digest();
  const value = mac.readUInt32BE(mac.at(-1)! & 15) & 0x7fff_ffff;
  return String(value % 10 ** digits).padStart(digits, '0');
}

/**
 * The step that a code is of, or -1. Steps up to `used` are refused: a code that somebody looked at opens nothing
 * (RFC 6238 §5.2). All candidates are compared, whichever fits.
 */
export function checkCode(secret: Uint8Array, code: string, wall: number, used: number): number {
  if (!/^\d{6}$/.test(code)) return -1;
  const now = stepOf(wall);
  let found = -1;
  for (let step = Math.max(0, now - DRIFT); step <= now + DRIFT; step++)
    if (timingSafeEqual(Buffer.from(codeOf(secret, step)), Buffer.from(code)) && step > used) found = step;
  return found;
}

const BASE32 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';

/** Base 32 (RFC 4648 §6) without padding, as apps take it. */
export function base32(bytes: Uint8Array): string {
  let text = '';
  let held = 0;
  let bits = 0;
  for (const byte of bytes) {
    held = (held << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      text += BASE32[(held >>> bits) & 31]!;
    }
    held &= (1 << bits) - 1;
  }
  return bits > 0 ? text + BASE32[(held << (5 - bits)) & 31]! : text;
}

/** What an app reads as a picture: the key URI format. */
export function totpUri(secret: Uint8Array, account: string, issuer: string): string {
  const label = `${encodeURIComponent(issuer)}:${encodeURIComponent(account)}`;
  return `otpauth://totp/${label}?secret=${base32(secret)}&issuer=${encodeURIComponent(issuer)}&algorithm=SHA1&digits=6&period=30`;
}

const RECOVERY_CODES = 10;

/** Ten codes of 50 bits, each for one time. */
export function makeRecoveryCodes(entropy: Entropy): string[] {
  return Array.from({ length: RECOVERY_CODES }, () => {
    const bytes = new Uint8Array(8);
    entropy.fill(bytes);
    const text = base32(bytes).slice(0, 10).toLowerCase();
    return `${text.slice(0, 5)}-${text.slice(5)}`;
  });
}

/** What is kept of a recovery code, base 64. How it is written, in capitals or without its dash, does not matter. */
export function recoveryDigest(code: string): string {
  return hash('sha256', code.toLowerCase().replaceAll(/[^a-z2-7]/g, ''), 'base64');
}
