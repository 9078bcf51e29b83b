// The cipher suites of TLS 1.3 that QUIC packets are protected with, and how often a key of each may be used.

export const AES_128_GCM_SHA256 = 0x1301;
export const AES_256_GCM_SHA384 = 0x1302;
export const CHACHA20_POLY1305_SHA256 = 0x1303;

export interface Suite {
  readonly code: number;
  readonly name: string;
  readonly hash: 'sha256' | 'sha384';
  readonly hashBytes: number;
  /** As node:crypto names it. */
  readonly aead: 'aes-128-gcm' | 'aes-256-gcm' | 'chacha20-poly1305';
  readonly keyBytes: number;
  /** Packets that one key may seal; for packets of any size (RFC 9001 §6.6, §B.1.1). */
  readonly sealsMax: number;
  /** Packets that may fail to open in a connection (RFC 9001 §6.6, §B.1.2). */
  readonly failuresMax: number;
}

const GCM = { sealsMax: 2 ** 23, failuresMax: 2 ** 52 };

/** By preference: what processors have instructions for comes first. */
export const SUITES: readonly Suite[] = [
  {
    ...GCM,
    code: AES_128_GCM_SHA256,
    name: 'TLS_AES_128_GCM_SHA256',
    hash: 'sha256',
    hashBytes: 32,
    aead: 'aes-128-gcm',
    keyBytes: 16,
  },
  {
    ...GCM,
    code: AES_256_GCM_SHA384,
    name: 'TLS_AES_256_GCM_SHA384',
    hash: 'sha384',
    hashBytes: 48,
    aead: 'aes-256-gcm',
    keyBytes: 32,
  },
  {
    code: CHACHA20_POLY1305_SHA256,
    name: 'TLS_CHACHA20_POLY1305_SHA256',
    hash: 'sha256',
    hashBytes: 32,
    aead: 'chacha20-poly1305',
    keyBytes: 32,
    // More than there are packet numbers.
    sealsMax: Number.MAX_SAFE_INTEGER,
    failuresMax: 2 ** 36,
  },
];

/** Initial packets, and the tag of Retry (RFC 9001 §5.2). */
export const INITIAL_SUITE: Suite = SUITES[0]!;

export function suiteOf(code: number): Suite | null {
  for (const suite of SUITES) if (suite.code === code) return suite;
  return null;
}
