// What a server gives away and knows again without keeping it: tokens that prove an address (RFC 9000 §8.1) and those of
// stateless resets (RFC 9000 §10.3). Both come from keys that only servers of one house know.
import { createCipheriv, createDecipheriv, createHmac, hkdfSync } from 'node:crypto';
import { copyOf, u32, view } from '../../../bytes/reader.ts';
import type { Address } from '../../../core/peer.ts';
import type { Entropy } from '../../../core/time.ts';

export const RESET_TOKEN_BYTES = 16;

/** The token that ends a connection whose state was lost, for one of its connection ids (RFC 9000 §10.3.2). */
export class ResetTokens {
  private readonly key: Buffer;

  /** @param secret 32 bytes or more */
  constructor(secret: Uint8Array) {
    this.key = derived(secret, 'quic stateless reset');
  }

  of(connectionId: Uint8Array): Buffer {
    return createHmac('sha256', this.key).update(connectionId).digest().subarray(0, RESET_TOKEN_BYTES);
  }
}

export type TokenKind = 'retry' | 'new-token';

/** What a token says that is ours and still good. */
export interface TokenFacts {
  readonly kind: TokenKind;
  /** Of a Retry: what the client had sent its first packet to; else empty. */
  readonly originalId: Buffer;
  /** Of a Retry: the Source Connection ID that it had; else empty. */
  readonly sourceId: Buffer;
}

export interface TokenLives {
  /** A client answers a Retry at once. */
  readonly retryMs: number;
  readonly newTokenMs: number;
}

const LIVES: TokenLives = { retryMs: 10_000, newTokenMs: 86_400_000 };

const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const ID_MOST = 20;
const RETRY = 0x52;
const NEW = 0x4e;
/** Kind, time and two lengths. */
const FIXED_BYTES = 1 + 8 + 2;
const TOKEN_MOST = NONCE_BYTES + FIXED_BYTES + 2 * ID_MOST + TAG_BYTES;

export class AddressTokens {
  private readonly keys: Buffer[];
  private readonly entropy: Entropy;
  private readonly lives: TokenLives;

  /** @param secrets 32 bytes or more each: the first seals, all open, so that a secret can be replaced by another */
  constructor(secrets: readonly Uint8Array[], entropy: Entropy, lives: TokenLives = LIVES) {
    if (secrets.length === 0) throw new RangeError('tokens need a secret');
    this.keys = secrets.map((secret) => derived(secret, 'quic address token'));
    this.entropy = entropy;
    this.lives = lives;
  }

  /** For a Retry packet: bound to address and port, and both connection ids inside. `wall` is milliseconds since 1970. */
  retry(remote: Address, originalId: Uint8Array, sourceId: Uint8Array, wall: number): Buffer {
    return this.seal(RETRY, remote, originalId, sourceId, wall);
  }

  /** For a NEW_TOKEN frame: a later connection from the same host, whatever its port, shows it. */
  forLater(remote: Address, wall: number): Buffer {
    return this.seal(NEW, remote, NOTHING, NOTHING, wall);
  }

  private seal(kind: number, remote: Address, original: Uint8Array, source: Uint8Array, wall: number): Buffer {
    const token = Buffer.allocUnsafe(NONCE_BYTES + FIXED_BYTES + original.length + source.length + TAG_BYTES);
    this.entropy.fill(token.subarray(0, NONCE_BYTES));
    let at = NONCE_BYTES;
    token[at++] = kind;
    token.writeBigUInt64BE(BigInt(Math.max(0, Math.floor(wall))), at);
    at += 8;
    for (const id of [original, source]) {
      token[at++] = id.length;
      token.set(id, at);
      at += id.length;
    }
    const cipher = createCipheriv('aes-256-gcm', this.keys[0]!, token.subarray(0, NONCE_BYTES));
    cipher.setAAD(boundTo(kind, remote));
    token.set(cipher.update(token.subarray(NONCE_BYTES, at)), NONCE_BYTES);
    cipher.final();
    token.set(cipher.getAuthTag(), at);
    return token;
  }

  /** Null for what is not ours, of another address, or too old: the client goes on as if it had shown none. */
  open(bytes: Uint8Array, start: number, end: number, remote: Address, wall: number): TokenFacts | null {
    const size = end - start;
    if (size < NONCE_BYTES + FIXED_BYTES + TAG_BYTES || size > TOKEN_MOST) return null;
    for (const key of this.keys)
      for (const kind of [RETRY, NEW]) {
        const text = opened(key, view(bytes, start, end), boundTo(kind, remote));
        if (text !== null) return this.factsOf(text, kind, wall);
      }
    return null;
  }

  private factsOf(text: Buffer, kind: number, wall: number): TokenFacts | null {
    const age = wall - (u32(text, 1) * 0x1_0000_0000 + u32(text, 5));
    // A second of grace for clocks of two servers of one house.
    if (text[0] !== kind || age < -1_000 || age > (kind === RETRY ? this.lives.retryMs : this.lives.newTokenMs))
      return null;
    const sourceAt = 10 + text[9]!;
    return {
      kind: kind === RETRY ? 'retry' : 'new-token',
      originalId: copyOf(text, 10, sourceAt),
      sourceId: copyOf(text, sourceAt + 1, sourceAt + 1 + text[sourceAt]!),
    };
  }
}

const NOTHING = Buffer.alloc(0);

function boundTo(kind: number, remote: Address): Buffer {
  return Buffer.from(kind === RETRY ? `${kind} ${remote.host} ${remote.port}` : `${kind} ${remote.host}`);
}

function opened(key: Buffer, token: Buffer, bound: Buffer): Buffer | null {
  const decipher = createDecipheriv('aes-256-gcm', key, token.subarray(0, NONCE_BYTES));
  decipher.setAAD(bound);
  decipher.setAuthTag(token.subarray(token.length - TAG_BYTES));
  const text = decipher.update(token.subarray(NONCE_BYTES, token.length - TAG_BYTES));
  try {
    decipher.final();
  } catch {
    return null;
  }
  return text;
}

function derived(secret: Uint8Array, purpose: string): Buffer {
  if (secret.length < 32) throw new RangeError('a secret has 32 bytes at least');
  return Buffer.from(hkdfSync('sha256', secret, NOTHING, purpose, 32));
}
