// The key schedule of TLS 1.3 (RFC 8446 §7.1) and the transcript that it goes by. It knows hashes, not messages.
import { createHash, createHmac, type Hash, timingSafeEqual } from 'node:crypto';
import { copyOf, view } from '../../../bytes/reader.ts';
import { expandLabel, type HashName, hkdfExtract } from '../protection/labels.ts';
import { MESSAGE_HASH } from './wire.ts';

const EMPTY = Buffer.alloc(0);

export class KeySchedule {
  readonly hash: HashName;
  readonly bytes: number;
  private secret: Buffer;
  private readonly ofNothing: Buffer;

  /** @param preShared the key of a session of before; null for none */
  constructor(hash: HashName, preShared: Uint8Array | null) {
    this.hash = hash;
    this.bytes = hash === 'sha256' ? 32 : 48;
    this.ofNothing = createHash(hash).digest();
    this.secret = hkdfExtract(hash, Buffer.alloc(this.bytes), preShared ?? Buffer.alloc(this.bytes));
  }

  /** Derive-Secret of the secret that is reached; `transcript` is a digest. */
  derive(label: string, transcript: Uint8Array): Buffer {
    return expandLabel(this.hash, this.secret, label, this.bytes, transcript);
  }

  /** The next stage: with the secret of the key exchange, then with nothing. */
  advance(input: Uint8Array | null): void {
    const salt = this.derive('derived', this.ofNothing);
    this.secret.fill(0);
    this.secret = hkdfExtract(this.hash, salt, input ?? Buffer.alloc(this.bytes));
  }

  /** The key that a ClientHello's binder is made with (RFC 8446 §4.2.11.2). */
  binderKey(): Buffer {
    return this.derive('res binder', this.ofNothing);
  }

  forget(): void {
    this.secret.fill(0);
  }
}

/** The verify data of Finished, and of binders (RFC 8446 §4.4.4). */
export function finishedData(hash: HashName, base: Uint8Array, transcript: Uint8Array): Buffer {
  const key = expandLabel(hash, base, 'finished', hash === 'sha256' ? 32 : 48);
  return createHmac(hash, key).update(transcript).digest();
}

export function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && timingSafeEqual(one, other);
}

/** The pre-shared key of a ticket (RFC 8446 §4.6.1). */
export function ticketSecret(hash: HashName, resumption: Uint8Array, nonce: Uint8Array): Buffer {
  return expandLabel(hash, resumption, 'resumption', hash === 'sha256' ? 32 : 48, nonce);
}

/** The hash over all messages so far. Until the hash is agreed on it keeps the first ClientHello. */
export class Transcript {
  private kept: Buffer = EMPTY;
  private running: Hash | null = null;
  private name: HashName = 'sha256';

  add(bytes: Uint8Array, start: number, end: number): void {
    if (this.running === null) this.kept = Buffer.concat([this.kept, copyOf(bytes, start, end)]);
    else this.running.update(view(bytes, start, end));
  }

  begin(name: HashName): void {
    if (this.running !== null) return;
    this.name = name;
    this.running = createHash(name).update(this.kept);
    this.kept = EMPTY;
  }

  digest(): Buffer {
    return this.running!.copy().digest();
  }

  /** The digest with something behind it that is not added, by `name` where none is agreed on. */
  digestWith(name: HashName, bytes: Uint8Array, start: number, end: number): Buffer {
    const hash = this.running === null ? createHash(name).update(this.kept) : this.running.copy();
    return hash.update(view(bytes, start, end)).digest();
  }

  /** A HelloRetryRequest follows: the first ClientHello is there as its hash alone (RFC 8446 §4.4.1). */
  retry(): void {
    const digest = this.digest();
    this.running = createHash(this.name)
      .update(Buffer.from([MESSAGE_HASH, 0, 0, digest.length]))
      .update(digest);
  }
}
