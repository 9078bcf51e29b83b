// SASL for the text protocols (RFC 4422), the client's half: what is said in each mechanism, with a name and a password. The base64,
// and the words around it, are the protocol's.
import { createHash, createHmac, pbkdf2, timingSafeEqual } from 'node:crypto';
import { isUtf8, utf8 } from '../../bytes/reader.ts';
import type { Entropy } from '../../core/time.ts';

export interface PasswordCredentials {
  readonly account: string;
  readonly password: string;
}

export interface SaslClientExchange {
  readonly mechanism: string;
  /** What is said with the mechanism's name; null where the server speaks first. */
  readonly initial: Buffer | null;
  /** What is said to a challenge, at once or later; null for a challenge that is not of the mechanism, or of no honest server. */
  answer(challenge: Uint8Array, said: (response: Buffer | null) => void): void;
  /** The server has shown that it knows the password as well, where the mechanism has that. */
  readonly isProven: boolean;
}

/** The strongest mechanism of those offered, in capitals; null where none is known. */
export function beginSaslClient(
  offered: readonly string[],
  credentials: PasswordCredentials,
  entropy: Entropy,
): SaslClientExchange | null {
  if (offered.includes('SCRAM-SHA-256')) {
    const nonce = Buffer.alloc(18);
    entropy.fill(nonce);
    return new ScramClient(credentials, nonce.toString('base64'));
  }
  if (offered.includes('PLAIN'))
    return {
      mechanism: 'PLAIN',
      initial: Buffer.from(`\0${credentials.account}\0${credentials.password}`),
      answer: (_challenge, said) => said(null),
      isProven: true,
    };
  return offered.includes('LOGIN') ? new LoginClient(credentials) : null;
}

class LoginClient implements SaslClientExchange {
  readonly mechanism = 'LOGIN';
  readonly initial = null;
  readonly isProven = true;
  private readonly answers: string[];

  constructor({ account, password }: PasswordCredentials) {
    this.answers = [account, password];
  }

  answer(_challenge: Uint8Array, said: (response: Buffer | null) => void): void {
    const next = this.answers.shift();
    said(next === undefined ? null : Buffer.from(next));
  }
}

const hmac = (key: Uint8Array, text: string): Buffer => createHmac('sha256', key).update(text).digest();

/** Fewer are guessed too fast (RFC 7677 §4), and more are only there to keep a client busy. */
const ITERATIONS_MIN = 4_096;
const ITERATIONS_MAX = 5_000_000;
const MESSAGE_BYTES_MAX = 4_096;

/** SCRAM-SHA-256 (RFC 5802, RFC 7677) without channel binding. Public so that the vector of RFC 7677 can be run. */
export class ScramClient implements SaslClientExchange {
  readonly mechanism = 'SCRAM-SHA-256';
  readonly initial: Buffer;
  isProven = false;
  private readonly password: string;
  private readonly nonce: string;
  private readonly firstBare: string;
  private verifier: Buffer | null = null;
  private isAsking = false;

  constructor({ account, password }: PasswordCredentials, nonce: string) {
    this.password = password.normalize('NFKC');
    this.nonce = nonce;
    const name = account.normalize('NFKC').replaceAll('=', '=3D').replaceAll(',', '=2C');
    this.firstBare = `n=${name},r=${nonce}`;
    this.initial = Buffer.from(`n,,${this.firstBare}`);
  }

  answer(challenge: Uint8Array, said: (response: Buffer | null) => void): void {
    const isText = challenge.length <= MESSAGE_BYTES_MAX && isUtf8(challenge, 0, challenge.length);
    const text = isText ? utf8(challenge, 0, challenge.length) : '';
    if (this.verifier !== null) said(this.verify(text));
    else if (this.isAsking) said(null);
    else this.prove(text, said);
  }

  private prove(serverFirst: string, said: (response: Buffer | null) => void): void {
    const parts = /^r=([\x21-\x2b\x2d-\x7e]+),s=([A-Za-z0-9+/]+={0,2}),i=(\d{1,9})(?:,|$)/.exec(serverFirst);
    const [, nonce = '', salt = '', count = '0'] = parts ?? [];
    const iterations = Number(count);
    // A nonce that does not go on with ours is another's conversation (RFC 5802 §5.1).
    const isOurs = nonce.startsWith(this.nonce) && nonce.length > this.nonce.length;
    if (!isOurs || iterations < ITERATIONS_MIN || iterations > ITERATIONS_MAX) {
      said(null);
      return;
    }
    this.isAsking = true;
    pbkdf2(this.password, Buffer.from(salt, 'base64'), iterations, 32, 'sha256', (error, salted) => {
      said(error === null ? this.final(salted, serverFirst, nonce) : null);
    });
  }

  private final(salted: Buffer, serverFirst: string, nonce: string): Buffer {
    const clientKey = hmac(salted, 'Client Key');
    const storedKey = createHash('sha256').update(clientKey).digest();
    // `biws` is `n,,`: no channel is bound.
    const withoutProof = `c=biws,r=${nonce}`;
    const authMessage = `${this.firstBare},${serverFirst},${withoutProof}`;
    const signature = hmac(storedKey, authMessage);
    const proof = clientKey.map((byte, index) => byte ^ signature[index]!);
    this.verifier = hmac(hmac(salted, 'Server Key'), authMessage);
    return Buffer.from(`${withoutProof},p=${Buffer.from(proof).toString('base64')}`);
  }

  /** The server's last word: a response of nothing, where it knows the password. */
  private verify(serverFinal: string): Buffer | null {
    const given = Buffer.from(/^v=([A-Za-z0-9+/]+={0,2})/.exec(serverFinal)?.[1] ?? '', 'base64');
    this.isProven = given.length === this.verifier!.length && timingSafeEqual(given, this.verifier!);
    return this.isProven ? Buffer.alloc(0) : null;
  }
}
