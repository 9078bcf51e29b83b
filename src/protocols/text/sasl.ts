// SASL for the text protocols (RFC 4422): what clients say in each mechanism, made into what accounts take. The base64, and the
// words around it, are the protocol's.
import { isUtf8, utf8 } from '../../bytes/reader.ts';
import { INVALID, type Outcome } from '../../core/outcome.ts';
import type { Entropy } from '../../core/time.ts';
import type { Credentials, ScramCredentials } from '../../resources/accounts/contract.ts';
import { scramSha256 } from './scram.ts';

export type SaslStep =
  /** `data` goes to the client, which answers. */
  | { readonly step: 'challenge'; readonly data: Uint8Array }
  /** To be signed in with. `last` is what the client is told before the outcome, as a challenge that it answers with nothing. */
  | { readonly step: 'shown'; readonly credentials: Credentials; readonly last: Uint8Array | null }
  /** INVALID for what is not of the mechanism; else why. */
  | { readonly step: 'refused'; readonly outcome: Outcome };

/** One authentication on its way. */
export interface SaslExchange {
  /** The mechanism has nothing to say first: an initial response may come with its name. */
  readonly clientFirst: boolean;
  /** What the client says; empty for an empty response. */
  step(data: Uint8Array): SaslStep;
  /** What is told, as a challenge, before a failure is: a client answers it with nothing (RFC 7628 §3.2.3). */
  readonly failure: Uint8Array | null;
}

export interface SaslTerms {
  scramOf(account: string): ScramCredentials;
  readonly entropy: Entropy;
  /** While there are no accounts, nobody has a password that could be proven. */
  readonly open: boolean;
}

const NONE = new Uint8Array(0);
/** Longer than any token that makes sense. */
const TEXT_BYTES_MAX = 16_384;
const WRONG: SaslStep = { step: 'refused', outcome: INVALID };

/** Mechanisms by name, the strongest first. */
export function mechanisms(terms: Pick<SaslTerms, 'open'>): readonly string[] {
  return terms.open ? ['PLAIN', 'LOGIN'] : ['SCRAM-SHA-256', 'OAUTHBEARER', 'XOAUTH2', 'PLAIN', 'LOGIN'];
}

/** Begins an authentication; null for a mechanism that is not offered. */
export function beginSasl(mechanism: string, terms: SaslTerms): SaslExchange | null {
  const name = mechanism.toUpperCase();
  if (!mechanisms(terms).includes(name)) return null;
  switch (name) {
    case 'PLAIN':
      return { clientFirst: true, step: plain, failure: null };
    case 'LOGIN':
      return new Login();
    case 'SCRAM-SHA-256':
      return new Scram(terms);
    case 'XOAUTH2':
      return {
        clientFirst: true,
        step: xoauth2,
        failure: Buffer.from('{"status":"401","schemes":"bearer","scope":""}'),
      };
    default:
      return { clientFirst: true, step: oauthBearer, failure: Buffer.from('{"status":"invalid_token"}') };
  }
}

function textOf(data: Uint8Array): string | null {
  return data.length <= TEXT_BYTES_MAX && isUtf8(data, 0, data.length) ? utf8(data, 0, data.length) : null;
}

/** `authzid NUL authcid NUL passwd` (RFC 4616 §2). Nobody acts as another. */
function plain(data: Uint8Array): SaslStep {
  const parts = textOf(data)?.split('\0');
  if (parts?.length !== 3) return WRONG;
  const [as, account, password] = parts as [string, string, string];
  if (account === '' || (as !== '' && as !== account)) return WRONG;
  return { step: 'shown', credentials: { kind: 'password', account, password }, last: null };
}

/** `User Name`, `Password`: never a standard, and still spoken. */
class Login implements SaslExchange {
  readonly clientFirst = true;
  readonly failure = null;
  private account: string | null = null;
  private asked = false;

  step(data: Uint8Array): SaslStep {
    const text = textOf(data);
    if (text === null) return WRONG;
    if (this.account !== null)
      return { step: 'shown', credentials: { kind: 'password', account: this.account, password: text }, last: null };
    // Without an initial response the name is asked for first.
    if (text === '' && !this.asked) {
      this.asked = true;
      return { step: 'challenge', data: Buffer.from('Username:') };
    }
    this.account = text;
    return { step: 'challenge', data: Buffer.from('Password:') };
  }
}

class Scram implements SaslExchange {
  readonly clientFirst = true;
  readonly failure = null;
  private readonly exchange;

  constructor({ scramOf, entropy }: SaslTerms) {
    this.exchange = scramSha256((account, answer) => answer(scramOf(account)), entropy).begin();
  }

  step(data: Uint8Array): SaslStep {
    let made: SaslStep = WRONG;
    // Credentials are looked up in memory: the answer comes at once.
    this.exchange.step(data, (answer) => {
      if (answer.step === 'continue') made = { step: 'challenge', data: answer.data };
      else if (answer.step === 'done')
        made = {
          step: 'shown',
          credentials: { kind: 'scram', account: answer.account, proven: true },
          last: answer.data,
        };
      else if (answer.account !== undefined)
        made = { step: 'shown', credentials: { kind: 'scram', account: answer.account, proven: false }, last: null };
      else made = { step: 'refused', outcome: answer.outcome };
    });
    return made;
  }
}

/** `user=… ^A auth=Bearer … ^A ^A`, as large providers have it. */
function xoauth2(data: Uint8Array): SaslStep {
  const text = textOf(data);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is what separates
  const parts = /^user=([^\x01]*)\x01auth=Bearer ([^\x01]+)\x01\x01$/i.exec(text ?? '');
  if (parts === null) return WRONG;
  return shownToken(parts[2]!, parts[1]!);
}

/** `n,a=user,^A … auth=Bearer … ^A ^A` (RFC 7628 §3.1). */
function oauthBearer(data: Uint8Array): SaslStep {
  const text = textOf(data);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is what separates
  const parts = /^[ny],(?:a=([^,\x01]*))?,\x01((?:[a-z]+=[^\x01]*\x01)*)\x01$/i.exec(text ?? '');
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is what separates
  const token = /(?:^|\x01)auth=Bearer ([^\x01]+)\x01/i.exec(parts?.[2] ?? '');
  if (parts === null || token === null) return WRONG;
  return shownToken(token[1]!, (parts[1] ?? '').replaceAll('=2C', ',').replaceAll('=3D', '='));
}

function shownToken(token: string, account: string): SaslStep {
  const credentials: Credentials = { kind: 'token', token: token.trim(), ...(account === '' ? {} : { account }) };
  return { step: 'shown', credentials, last: null };
}

/** Base64 of one line: `=` is nothing said (RFC 4954 §4); null for what is none, or too long. */
export function decodeSasl(text: string): Uint8Array | null {
  if (text === '' || text === '=') return NONE;
  if (text.length > TEXT_BYTES_MAX * 2 || !/^[A-Za-z0-9+/]+={0,2}$/.test(text) || text.length % 4 !== 0) return null;
  return Buffer.from(text, 'base64');
}
