// SCRAM-SHA-256 (RFC 5802, RFC 7677), the server's half: what the client says against credentials from which the password
// cannot be had. It knows no packets; where credentials are kept is the caller's.
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { isUtf8, utf8 } from '../../bytes/reader.ts';
import { BUSY, INVALID, UNKNOWN, UNSUPPORTED } from '../../core/outcome.ts';
import type { Entropy } from '../../core/time.ts';
import type { AuthExchange, Authenticator, AuthStep } from './authenticator.ts';

/** What is stored of a password (RFC 5802 §3): of no use to whoever steals it but for guessing. */
export interface ScramCredentials {
  readonly salt: Uint8Array;
  readonly iterations: number;
  readonly storedKey: Uint8Array;
  readonly serverKey: Uint8Array;
}

/** Looks credentials up by account name; answers null when there are none, undefined when it cannot tell now. */
export type ScramLookup = (account: string, answer: (found: ScramCredentials | null | undefined) => void) => void;

/** What an unknown name is given, so that it cannot be told from a wrong password (RFC 5802 §9). */
const DECOY_ITERATIONS = 4_096;
const NONCE_BYTES = 18;
/** Longer than any honest message: a name of 255, a nonce, a proof. */
const MESSAGE_BYTES_MAX = 1_024;

const hmac = (key: Uint8Array, text: string | Uint8Array): Buffer => createHmac('sha256', key).update(text).digest();

/** What is stored, from the salted password: PBKDF2-HMAC-SHA-256 of it, 32 bytes (RFC 5802 §3). */
export function scramCredentials(salted: Uint8Array, salt: Uint8Array, iterations: number): ScramCredentials {
  const clientKey = hmac(salted, 'Client Key');
  const storedKey = createHash('sha256').update(clientKey).digest();
  return { salt, iterations, storedKey, serverKey: hmac(salted, 'Server Key') };
}

/** The method, given where credentials are and chance for nonces. */
export function scramSha256(lookup: ScramLookup, entropy: Entropy): Authenticator {
  const secret = new Uint8Array(32);
  entropy.fill(secret);
  return {
    method: 'SCRAM-SHA-256',
    begin() {
      const nonce = Buffer.alloc(NONCE_BYTES);
      entropy.fill(nonce);
      return new ScramExchange(lookup, nonce.toString('base64'), (account) => decoy(secret, account));
    },
  };
}

/** Credentials that nothing satisfies, the same each time for one name. */
function decoy(secret: Uint8Array, account: string): ScramCredentials {
  const salt = hmac(secret, `salt ${account}`).subarray(0, 16);
  const storedKey = hmac(secret, `key ${account}`);
  return { salt, iterations: DECOY_ITERATIONS, storedKey, serverKey: storedKey };
}

/** One exchange. Public so that the vector of RFC 7677 can be run with its own server nonce. */
export class ScramExchange implements AuthExchange {
  private readonly lookup: ScramLookup;
  private readonly serverNonce: string;
  private readonly decoyOf: (account: string) => ScramCredentials;
  /** What has been said: 0 nothing, 1 the client's first message, 2 all. */
  private said = 0;
  private account = '';
  private header = '';
  private firstBare = '';
  private serverFirst = '';
  private nonce = '';
  private real = false;
  private credentials: ScramCredentials | null = null;

  constructor(lookup: ScramLookup, serverNonce: string, decoyOf: (account: string) => ScramCredentials) {
    this.lookup = lookup;
    this.serverNonce = serverNonce;
    this.decoyOf = decoyOf;
  }

  step(data: Uint8Array, answer: (step: AuthStep) => void): void {
    if (data.length === 0 || data.length > MESSAGE_BYTES_MAX || !isUtf8(data, 0, data.length)) {
      answer({ step: 'refused', outcome: INVALID });
      return;
    }
    const message = utf8(data, 0, data.length);
    this.said++;
    if (this.said === 1) this.first(message, answer);
    else if (this.said === 2 && this.credentials !== null) answer(this.final(message, this.credentials));
    else answer({ step: 'refused', outcome: INVALID });
  }

  /** `gs2-header client-first-message-bare` (RFC 5802 §7). */
  private first(message: string, answer: (step: AuthStep) => void): void {
    const parts = /^([ny]|p=[A-Za-z0-9.-]+),(a=[^,]*)?,(n=([^,]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,.*)?)$/s.exec(message);
    // Channel binding is not offered, and acting as another is not possible (RFC 5802 §6, §7).
    const [, binding, authorized, bare, name, nonce] = parts ?? [];
    if (bare === undefined || name === undefined || nonce === undefined) {
      answer({ step: 'refused', outcome: INVALID });
      return;
    }
    const account = nameOf(name);
    if (account === null) answer({ step: 'refused', outcome: INVALID });
    else if (binding?.startsWith('p') || (authorized !== undefined && nameOf(authorized.slice(2)) !== account))
      answer({ step: 'refused', outcome: UNSUPPORTED });
    else {
      this.account = account;
      this.header = message.slice(0, message.length - bare.length);
      this.firstBare = bare;
      this.nonce = nonce + this.serverNonce;
      this.lookup(account, (found) => answer(this.challenge(found)));
    }
  }

  private challenge(found: ScramCredentials | null | undefined): AuthStep {
    if (found === undefined) return { step: 'refused', outcome: BUSY };
    this.real = found !== null;
    this.credentials = found ?? this.decoyOf(this.account);
    const salt = Buffer.from(this.credentials.salt).toString('base64');
    this.serverFirst = `r=${this.nonce},s=${salt},i=${this.credentials.iterations}`;
    return { step: 'continue', data: Buffer.from(this.serverFirst) };
  }

  /** `client-final-message`: ClientKey is had back from the proof, and its hash must be what is stored (RFC 5802 §3). */
  private final(message: string, credentials: ScramCredentials): AuthStep {
    const parts = /^(c=([A-Za-z0-9+/=]+),r=([\x21-\x2b\x2d-\x7e]+)(?:,.*)?),p=([A-Za-z0-9+/]+={0,2})$/s.exec(message);
    if (parts === null) return { step: 'refused', outcome: INVALID };
    const [, withoutProof, binding, nonce, proof] = parts;
    if (binding !== Buffer.from(this.header).toString('base64') || nonce !== this.nonce)
      return { step: 'refused', outcome: INVALID };
    const authMessage = `${this.firstBare},${this.serverFirst},${withoutProof}`;
    const signature = hmac(credentials.storedKey, authMessage);
    const given = Buffer.from(proof!, 'base64');
    if (given.length !== signature.length) return { step: 'refused', outcome: INVALID };
    const clientKey = given.map((byte, index) => byte ^ signature[index]!);
    const same = timingSafeEqual(createHash('sha256').update(clientKey).digest(), credentials.storedKey);
    if (!same || !this.real) return { step: 'refused', outcome: UNKNOWN, account: this.account };
    const verifier = hmac(credentials.serverKey, authMessage).toString('base64');
    return { step: 'done', account: this.account, data: Buffer.from(`v=${verifier}`) };
  }
}

/**
 * A saslname: `=2C` and `=3D` for comma and equals (RFC 5802 §5.1), prepared as far as names go: other spaces become
 * space, compatibility forms their plain ones, control characters are refused (RFC 4013 §2). Null when it is none.
 */
function nameOf(text: string): string | null {
  if (/=(?!2C|3D)/.test(text)) return null;
  const name = text
    .replaceAll('=2C', ',')
    .replaceAll('=3D', '=')
    .replace(/\p{Zs}/gu, ' ')
    .normalize('NFKC');
  return name === '' || /\p{Cc}/u.test(name) ? null : name;
}
