// The ACME server (RFC 8555; RFC 8738 for addresses, RFC 8737 for proofs in TLS, RFC 9773 for when to renew): requests of the
// HTTP ports to the certificates of this server.
import type { Exchange, ExchangeHandler } from '../../core/exchange.ts';
import type { Fault } from '../../core/fault.ts';
import { Fields } from '../../core/fields.ts';
import type { Peer } from '../../core/peer.ts';
import type { Host } from '../../core/protocol.ts';
import { PROBLEM_TYPE } from '../../formats/problem.ts';
import type { Certificates } from '../../resources/certificates/contract.ts';
import { answerBytes, answerNothing } from '../http/answers.ts';
import { collectBody } from '../http/collect.ts';
import { splitTarget } from '../http/target.ts';
import {
  ALGORITHMS,
  isRefused,
  isSignedBy,
  JOSE_TYPE,
  type Refused,
  readKey,
  readSigned,
  thumbprint,
} from './codec.ts';
import { faults, typeOf } from './faults.ts';
import type { limits } from './limits.ts';
import { Desk } from './orders.ts';
import { VERBS } from './verbs.ts';

export interface AcmeResources {
  readonly certificates?: Certificates;
}

export type AcmeHost = Host<AcmeResources, typeof limits>;

/** Where it is. */
export const ROOT = '/acme';

/** A request that was checked. */
export interface Asked {
  readonly exchange: Exchange;
  /** `https://localhost:8443`, as this client reaches us. */
  readonly base: string;
  /** What follows the verb in the path. */
  readonly rest: readonly string[];
  /** Null where a key signed that has no account, or none was needed. */
  readonly signer: Signer;
  /** The object that was sent; null for POST-as-GET (RFC 8555 §6.3). */
  readonly payload: Record<string, unknown> | null;
  /** What was signed with the new key (RFC 8555 §7.3.5) is checked against this. */
  readonly url: string;
}

export type Signer = ReturnType<typeof signerOf>;

function signerOf(account: ReturnType<Desk['account']>, read: Exclude<ReturnType<typeof readKey>, Refused>) {
  return { account, jwk: read.jwk, key: read.key, thumbprint: thumbprint(read.jwk) };
}

/** What a verb answers. */
export interface Answer {
  readonly status: number;
  readonly body: object | string | null;
  readonly fields?: Readonly<Record<string, string>>;
  /** Links beside that of the directory. */
  readonly links?: readonly string[];
}

export class AcmeServer {
  readonly host: AcmeHost;
  readonly certificates: Certificates;
  readonly desk: Desk;
  proving = 0;

  constructor(host: AcmeHost, certificates: Certificates) {
    this.host = host;
    this.certificates = certificates;
    this.desk = new Desk(host.limits, certificates, () => {
      const bytes = new Uint8Array(16);
      host.entropy.fill(bytes);
      return Buffer.from(bytes).toString('base64url');
    });
  }

  readonly handle: ExchangeHandler = (exchange) => {
    const { path } = splitTarget(exchange.target);
    const [verb = '', ...rest] = path.slice(ROOT.length + 1).split('/');
    const { method } = exchange;
    const base = baseOf(exchange);
    const isRead = method === 'GET' || method === 'HEAD';
    if (verb === 'directory' && isRead) this.answer(exchange, base, { status: 200, body: directoryOf(base) });
    else if (verb === 'new-nonce' && isRead) this.answerNonce(exchange, base);
    else if (verb === 'renewal-info' && isRead) this.answerRenewal(exchange, base, rest[0] ?? '');
    else if (!Object.hasOwn(VERBS, verb)) this.refuse(exchange, base, { fault: faults.missing });
    else if (method !== 'POST') this.refuse(exchange, base, { fault: faults.wrongMethod });
    else if (exchange.fields.get('content-type')?.split(';')[0]?.trim() !== JOSE_TYPE)
      this.refuse(exchange, base, { fault: faults.wrongType });
    else
      collectBody(exchange, this.host.limits.requestBytesMax, (body) => {
        const asked = this.check(exchange, base, verb, rest, body);
        const answer = isRefused(asked) ? asked : VERBS[verb as keyof typeof VERBS](this, asked);
        if (isRefused(answer)) this.refuse(exchange, base, answer);
        else this.answer(exchange, base, answer);
      });
  };

  /** Who signed what (RFC 8555 §6.2 to §6.5). */
  private check(
    exchange: Exchange,
    base: string,
    verb: string,
    rest: readonly string[],
    body: Buffer,
  ): Asked | Refused {
    const signed = readSigned(body);
    if (isRefused(signed)) return signed;
    const url = `${base}${exchange.target}`;
    const signer = this.signerOf(signed, verb);
    if (isRefused(signer)) return signer;
    if (!isSignedBy(signed, signer.key)) return { fault: faults.badSignature };
    if (signed.url !== url)
      return { fault: faults.wrongUrl, detail: `the url is ${signed.url}, and was asked as ${url}` };
    // Last: a nonce is not used up by what is wrong otherwise.
    if (signed.nonce === null || !this.desk.useNonce(signed.nonce)) return { fault: faults.badNonce };
    const payload = payloadOf(signed.payload);
    if (payload === undefined) return { fault: faults.malformed, detail: 'the payload is no JSON object' };
    return { exchange, base, rest, signer, payload, url };
  }

  private signerOf({ jwk, kid }: Exclude<ReturnType<typeof readSigned>, Refused>, verb: string): Signer | Refused {
    // A key instead of an account where there may be none yet, and where the certificate's own key signs (§6.2).
    if (jwk !== null) {
      if (verb !== 'new-account' && verb !== 'revoke-cert')
        return { fault: faults.malformed, detail: 'this is asked for with a kid, not with a jwk' };
      const read = readKey(jwk);
      return isRefused(read) ? read : signerOf(null, read);
    }
    if (verb === 'new-account') return { fault: faults.malformed, detail: 'a new account is asked for with a jwk' };
    const id = /\/acme\/account\/([\w-]+)$/.exec(kid!)?.[1] ?? '';
    const account = this.desk.account(id);
    if (account === null) return { fault: faults.accountDoesNotExist };
    if (account.status !== 'valid') return { fault: faults.unauthorized, detail: 'the account was deactivated' };
    return signerOf(account, account);
  }

  // ---- answers -----------------------------------------------------------------------------------------------------

  private answerNonce(exchange: Exchange, base: string): void {
    answerNothing(exchange, exchange.method === 'HEAD' ? 200 : 204, this.fieldsOf(base));
  }

  /** When a certificate is to be renewed (RFC 9773 §4): at two thirds of its life, at once when it was revoked. */
  private answerRenewal(exchange: Exchange, base: string, id: string): void {
    const [issuer = '', serial = ''] = id.split('.').map((part) => Buffer.from(part, 'base64url').toString('hex'));
    const facts = this.certificates.bySerial(issuer, serial.replace(/^00/, ''));
    if (facts === null) {
      this.refuse(exchange, base, { fault: faults.missing, detail: 'no such certificate was issued here' });
      return;
    }
    const { from, to, isRevoked } = facts;
    const start = isRevoked ? from : from + ((to - from) * 2) / 3;
    const end = start + (to - from) / 60;
    const suggestedWindow = { start: timeOf(start), end: timeOf(end) };
    this.answer(exchange, base, { status: 200, body: { suggestedWindow }, fields: { 'retry-after': '21600' } });
  }

  private answer(exchange: Exchange, base: string, { status, body, fields = {}, links = [] }: Answer): void {
    const all = this.fieldsOf(base, links);
    for (const [name, value] of Object.entries(fields)) all.set(name, value);
    if (body === null) answerNothing(exchange, status, all);
    else if (typeof body === 'string')
      answerBytes(exchange, status, all.set('content-type', 'application/pem-certificate-chain'), Buffer.from(body));
    else answerBytes(exchange, status, all.set('content-type', 'application/json'), jsonOf(body));
  }

  private refuse(exchange: Exchange, base: string, { fault, detail }: Refused): void {
    const fields = this.fieldsOf(base);
    if (fault === faults.wrongMethod) fields.set('allow', 'POST');
    if (fault === faults.rateLimited) fields.set('retry-after', '60');
    const beside = fault === faults.badSignatureAlgorithm ? { algorithms: ALGORITHMS } : {};
    const body = jsonOf({ ...problemOf(fault, detail), ...beside });
    answerBytes(exchange, fault.wire, fields.set('content-type', PROBLEM_TYPE), body);
  }

  /** Every answer has a nonce for the next request, and the way to the directory (§6.5.1, §7.1). */
  private fieldsOf(base: string, links: readonly string[] = []): Fields {
    const fields = Fields.of({ 'replay-nonce': this.desk.newNonce(), 'cache-control': 'no-store' });
    for (const link of [`<${base}${ROOT}/directory>;rel="index"`, ...links]) fields.append('link', link);
    return fields;
  }
}

/** A problem document (RFC 8555 §6.7). */
export function problemOf(fault: Fault, detail?: string): object {
  const name = fault.id.slice(fault.id.indexOf('.') + 1);
  return { type: typeOf(name), detail: detail ?? fault.text, status: fault.wire };
}

/** What was sent: null for nothing, undefined for what is no object. */
function payloadOf(bytes: Uint8Array): Record<string, unknown> | null | undefined {
  if (bytes.length === 0) return null;
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

function jsonOf(value: object): Buffer {
  return Buffer.from(`${JSON.stringify(value, null, 2)}\n`);
}

export function timeOf(wall: number): string {
  return `${new Date(wall).toISOString().slice(0, 19)}Z`;
}

function baseOf({ peer, authority }: Exchange): string {
  for (let layer: Peer | null = peer; layer !== null; layer = layer.below)
    if (layer.tls !== null) return `https://${authority}`;
  return `http://${authority}`;
}

/** RFC 8555 §7.1.1. */
function directoryOf(base: string): object {
  const at = (verb: string) => `${base}${ROOT}/${verb}`;
  return {
    newNonce: at('new-nonce'),
    newAccount: at('new-account'),
    newOrder: at('new-order'),
    revokeCert: at('revoke-cert'),
    keyChange: at('key-change'),
    renewalInfo: at('renewal-info'),
    meta: { externalAccountRequired: false },
  };
}
