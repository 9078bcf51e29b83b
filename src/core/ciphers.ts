// The arithmetic that packets of QUIC are protected with, whoever does it: node:crypto, or native calls where there are such.

/** The AEAD under one key, for one direction. What it was made from is no longer needed. */
export interface Aead {
  /** Encrypts `packet[at..end)` in place, with `[start..at)` as associated data; the tag goes to `[end..end+16)`. */
  seal(packet: Uint8Array, start: number, at: number, end: number, number: number): void;
  /** Decrypts `packet[at..end)`, whose last 16 bytes are the tag; false and nothing changed when it is not genuine. */
  open(packet: Uint8Array, start: number, at: number, end: number, number: number): boolean;
  /** Lets go of the key. */
  free(): void;
}

/** The masks of header protection under one key (RFC 9001 §5.4). */
export interface HeaderCipher {
  /** The masks of `count` samples of 16 bytes each: those of the first `count` rows of 16 bytes of the answer, borrowed. */
  masks(samples: Uint8Array, count: number): Uint8Array;
  free(): void;
}

export type AeadName = 'aes-128-gcm' | 'aes-256-gcm' | 'chacha20-poly1305';

export interface Ciphers {
  aead(algorithm: AeadName, key: Uint8Array, iv: Uint8Array): Aead;
  header(algorithm: AeadName, key: Uint8Array): HeaderCipher;
}
