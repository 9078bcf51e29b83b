// Tickets that a server gives and forgets: all that a session needs is in them, sealed (RFC 8446 §4.6.1); and what keeps
// 0-RTT from being taken twice (RFC 8446 §8).
import { createCipheriv, createDecipheriv, hkdfSync } from 'node:crypto';
import { copyOf, latin1, view } from '../../../bytes/reader.ts';
import { ByteWriter } from '../../../bytes/writer.ts';
import type { Entropy } from '../../../core/time.ts';
import { type Suite, suiteOf } from '../protection/suites.ts';
import { Cursor } from './cursor.ts';
import { close as closeVector, open as openVector, vector } from './writing.ts';

/** What is in a ticket. */
export interface Session {
  readonly version: number;
  readonly suite: Suite;
  /** Milliseconds since 1970. */
  readonly issued: number;
  readonly expires: number;
  readonly ageAdd: number;
  /** Whether 0-RTT may be taken with it. */
  readonly early: boolean;
  readonly secret: Uint8Array;
  readonly alpn: string;
  readonly serverName: string;
  /** What of our transport parameters a client relies on in 0-RTT, as a digest. */
  readonly terms: Uint8Array;
  /** The client's certificates, its own first. */
  readonly chain: readonly Uint8Array[];
}

const FORMAT = 1;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const NOTHING = Buffer.alloc(0);
/** A client sends it with each connection. */
const TICKET_MOST = 16_384;

/** Seals and opens tickets by keys that outlive connections. */
export class Tickets {
  private readonly keys: readonly Buffer[];
  private readonly entropy: Entropy;

  /** @param secrets 48 random bytes each: the first seals, all open */
  constructor(secrets: readonly Uint8Array[], entropy: Entropy) {
    if (secrets.length === 0 || secrets.some((secret) => secret.length < 32))
      throw new RangeError('tickets need secrets of 32 bytes or more');
    this.keys = secrets.map((secret) => Buffer.from(hkdfSync('sha256', secret, NOTHING, 'quic tls ticket', 32)));
    this.entropy = entropy;
  }

  /** Null for a session that is too large for a ticket: its client showed a long chain. */
  seal(session: Session): Buffer | null {
    const text = new ByteWriter(TICKET_MOST * 2);
    text.u8(FORMAT);
    text.u32(session.version);
    text.u16(session.suite.code);
    text.u64(session.issued);
    text.u64(session.expires);
    text.u32(session.ageAdd);
    text.u8(session.early ? 1 : 0);
    vector(text, 1, session.secret);
    vector(text, 1, Buffer.from(session.alpn, 'latin1'));
    vector(text, 1, Buffer.from(session.serverName, 'latin1'));
    vector(text, 1, session.terms);
    let chainBytes = 0;
    for (const certificate of session.chain) chainBytes += certificate.length + 3;
    if (text.length + chainBytes + 64 > TICKET_MOST) return null;
    const chainAt = openVector(text, 2);
    for (const certificate of session.chain) vector(text, 3, certificate);
    closeVector(text, chainAt, 2);
    const ticket = Buffer.allocUnsafe(NONCE_BYTES + text.length + TAG_BYTES);
    this.entropy.fill(ticket.subarray(0, NONCE_BYTES));
    const cipher = createCipheriv('aes-256-gcm', this.keys[0]!, ticket.subarray(0, NONCE_BYTES));
    ticket.set(cipher.update(text.bytes.subarray(0, text.length)), NONCE_BYTES);
    cipher.final();
    ticket.set(cipher.getAuthTag(), ticket.length - TAG_BYTES);
    text.clear();
    return ticket;
  }

  /** Null for what is not ours. Whether it still holds is for the caller to see. */
  open(bytes: Uint8Array, start: number, end: number): Session | null {
    if (end - start < NONCE_BYTES + TAG_BYTES || end - start > TICKET_MOST) return null;
    for (const key of this.keys) {
      const decipher = createDecipheriv('aes-256-gcm', key, view(bytes, start, start + NONCE_BYTES));
      decipher.setAuthTag(view(bytes, end - TAG_BYTES, end));
      const text = decipher.update(view(bytes, start + NONCE_BYTES, end - TAG_BYTES));
      try {
        decipher.final();
      } catch {
        continue;
      }
      return readSession(text);
    }
    return null;
  }
}

function readSession(text: Buffer): Session | null {
  const cursor = new Cursor(text, 0, text.length);
  if (cursor.u8() !== FORMAT) return null;
  const version = cursor.u32();
  const suite = suiteOf(cursor.u16());
  const issued = cursor.u32() * 0x1_0000_0000 + cursor.u32();
  const expires = cursor.u32() * 0x1_0000_0000 + cursor.u32();
  const ageAdd = cursor.u32();
  const early = cursor.u8() === 1;
  const secret = kept(cursor.vector(1));
  const alpn = textOf(cursor.vector(1));
  const serverName = textOf(cursor.vector(1));
  const terms = kept(cursor.vector(1));
  const list = cursor.vector(2);
  const chain: Uint8Array[] = [];
  while (list.more) chain.push(kept(list.vector(3)));
  if (!cursor.done || suite === null) return null;
  return { version, suite, issued, expires, ageAdd, early, secret, alpn, serverName, terms, chain };
}

function kept({ bytes, at, end }: Cursor): Buffer {
  return copyOf(bytes, at, end);
}

function textOf({ bytes, at, end }: Cursor): string {
  return latin1(bytes, at, end);
}

/** Remembers first hellos with 0-RTT for as long as they could be replayed, so that each is taken once (RFC 8446 §8.2). */
export class EarlyGuard {
  private readonly since: number;
  private readonly windowMs: number;
  private readonly most: number;
  private now = new Set<string>();
  private before = new Set<string>();
  private turned: number;

  /** @param wall when it began to remember: what was said before could be a replay */
  constructor(wall: number, limits: { readonly earlyAgeMs: number; readonly earlySeenMax: number }) {
    this.since = wall;
    this.turned = wall;
    this.windowMs = limits.earlyAgeMs;
    this.most = limits.earlySeenMax;
  }

  /** Whether a hello is fresh and was not seen: `binder` is its own, `said` when by its ticket's age it was made. */
  take(binder: Uint8Array, said: number, wall: number): boolean {
    if (Math.abs(wall - said) > this.windowMs || said < this.since) return false;
    // A hello is good from `said - window` to `said + window`.
    if (wall - this.turned > 2 * this.windowMs) {
      this.before = wall - this.turned > 4 * this.windowMs ? new Set() : this.now;
      this.now = new Set();
      this.turned = wall;
    }
    const key = Buffer.from(binder).toString('latin1');
    if (this.now.has(key) || this.before.has(key)) return false;
    if (this.now.size + this.before.size >= this.most) return false;
    this.now.add(key);
    return true;
  }
}
