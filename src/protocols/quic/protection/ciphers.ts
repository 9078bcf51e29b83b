// One key's AEAD and the masks of headers, by node:crypto. It does not know what a packet is but for its offsets; a twin in
// native code has the same interface.
import { type CipherGCMTypes, createCipheriv, createDecipheriv, createSecretKey, type KeyObject } from 'node:crypto';
import type { Aead, AeadName, Ciphers, HeaderCipher } from '../../../core/ciphers.ts';
import { TAG_BYTES } from '../crypto.ts';

export type { Aead, AeadName, Ciphers, HeaderCipher } from '../../../core/ciphers.ts';

export const SAMPLE_BYTES = 16;

/** Samples that are masked in one call at most. */
export const MASKS_MOST = 64;

const TAG = { authTagLength: TAG_BYTES };
/** Filled anew for each packet. */
const nonce = Buffer.alloc(12);
const FIVE_ZEROS = Buffer.alloc(5);

class PlainAead implements Aead {
  /** ChaCha20-Poly1305 is used in the same way; node:crypto's types have an overload for each. */
  private readonly algorithm: CipherGCMTypes;
  private key: KeyObject | null;
  /** Small, and on the heap: a Buffer would hold a piece of a pool. */
  private readonly iv: Uint8Array;

  constructor(algorithm: AeadName, key: Uint8Array, iv: Uint8Array) {
    this.algorithm = algorithm as CipherGCMTypes;
    this.key = createSecretKey(key);
    this.iv = Uint8Array.from(iv);
  }

  seal(packet: Uint8Array, start: number, at: number, end: number, number: number): void {
    setNonce(nonce, this.iv, number);
    const cipher = createCipheriv(this.algorithm, this.key!, nonce, TAG);
    cipher.setAAD(packet.subarray(start, at));
    packet.set(cipher.update(packet.subarray(at, end)), at);
    cipher.final();
    packet.set(cipher.getAuthTag(), end);
  }

  open(packet: Uint8Array, start: number, at: number, end: number, number: number): boolean {
    const tagAt = end - TAG_BYTES;
    if (tagAt < at) return false;
    setNonce(nonce, this.iv, number);
    const decipher = createDecipheriv(this.algorithm, this.key!, nonce, TAG);
    decipher.setAAD(packet.subarray(start, at));
    decipher.setAuthTag(packet.subarray(tagAt, end));
    const text = decipher.update(packet.subarray(at, tagAt));
    try {
      decipher.final();
    } catch {
      return false;
    }
    packet.set(text, at);
    return true;
  }

  free(): void {
    this.key = null;
    this.iv.fill(0);
  }
}

/** The number, in network order, over the last bytes of the IV (RFC 9001 §5.3). */
export function setNonce(nonce: Uint8Array, iv: Uint8Array, number: number): void {
  for (let at = 0; at < 4; at++) nonce[at] = iv[at]!;
  const high = Math.floor(number / 0x1_0000_0000);
  nonce[4] = iv[4]! ^ (high >>> 24);
  nonce[5] = iv[5]! ^ ((high >>> 16) & 0xff);
  nonce[6] = iv[6]! ^ ((high >>> 8) & 0xff);
  nonce[7] = iv[7]! ^ (high & 0xff);
  nonce[8] = iv[8]! ^ ((number >>> 24) & 0xff);
  nonce[9] = iv[9]! ^ ((number >>> 16) & 0xff);
  nonce[10] = iv[10]! ^ ((number >>> 8) & 0xff);
  nonce[11] = iv[11]! ^ (number & 0xff);
}

class AesHeader implements HeaderCipher {
  /** ECB keeps nothing from block to block, so one serves for all. */
  private readonly cipher: ReturnType<typeof createCipheriv>;

  constructor(algorithm: AeadName, key: Uint8Array) {
    this.cipher = createCipheriv(algorithm === 'aes-128-gcm' ? 'aes-128-ecb' : 'aes-256-ecb', key, null);
    this.cipher.setAutoPadding(false);
  }

  masks(samples: Uint8Array, count: number): Uint8Array {
    return this.cipher.update(samples.subarray(0, count * SAMPLE_BYTES));
  }

  free(): void {
    this.cipher.final();
  }
}

class ChaChaHeader implements HeaderCipher {
  private key: KeyObject | null;
  private readonly out = Buffer.alloc(MASKS_MOST * SAMPLE_BYTES);

  constructor(key: Uint8Array) {
    this.key = createSecretKey(key);
  }

  /** The sample is the block counter and the nonce (RFC 9001 §5.4.4), which OpenSSL takes as one IV. */
  masks(samples: Uint8Array, count: number): Uint8Array {
    for (let at = 0; at < count * SAMPLE_BYTES; at += SAMPLE_BYTES) {
      const cipher = createCipheriv('chacha20', this.key!, samples.subarray(at, at + SAMPLE_BYTES));
      this.out.set(cipher.update(FIVE_ZEROS), at);
    }
    return this.out;
  }

  free(): void {
    this.key = null;
  }
}

/** By node:crypto, on every system. */
export const PLAIN_CIPHERS: Ciphers = {
  aead: (algorithm, key, iv) => new PlainAead(algorithm, key, iv),
  header: (algorithm, key) =>
    algorithm === 'chacha20-poly1305' ? new ChaChaHeader(key) : new AesHeader(algorithm, key),
};
