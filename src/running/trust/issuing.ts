// The certificates of a server as its protocols and routes see them: what security makes, joined to the network, where proofs
// are looked for and revocation lists are fetched.
import { createPublicKey, X509Certificate } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import type { Exchange, ExchangeHandler } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import type { Reach } from '../../core/reach.ts';
import type { Turn } from '../../core/turn.ts';
import { answerBytes, answerProblem } from '../../protocols/http/answers.ts';
import { collectBody } from '../../protocols/http/collect.ts';
import type { Route } from '../../protocols/http/router.ts';
import { splitTarget } from '../../protocols/http/target.ts';
import type {
  Certificates as CertificateResource,
  IssuedFacts,
  ProofKind,
  ProofProblem,
} from '../../resources/certificates/contract.ts';
import { IssueError } from '../../security/authority.ts';
import { ACME_ALPN, type Certificates } from '../../security/certificates.ts';
import { isAddress, LOCAL_ZONE, nameOf, reverseName } from '../../security/names.ts';
import { acmeProofProblem, readCertificate, readRequest } from '../../security/reading.ts';
import { AddressPolicy } from '../../transports/addresses.ts';
import { peerChain } from '../../transports/peer-chain.ts';
import { Asker } from '../asking.ts';

export interface IssuingOptions {
  /** A way out whose rules are those of `policy`. */
  readonly reach: () => Reach;
  readonly policy: AddressPolicy;
  readonly turn: Pick<Turn, 'clock' | 'bug'>;
  /** Where proofs are looked for: 80 and 443 by RFC 8555 §8.3 and RFC 8737 §3, others for tests. */
  readonly ports: { readonly http: number; readonly tls: number };
}

const PROOF_MS = 10_000;
/** A proof is a token and a thumbprint. */
const PROOF_BYTES_MAX = 1_024;

/** What may be reached to look for proofs: this machine, and the ranges that the authority speaks for. */
export function proofPolicy(certificates: Certificates, allow: readonly string[]): AddressPolicy {
  const ranges = certificates.authority.constraints.text.split(' ').filter((entry) => entry.includes('/'));
  return new AddressPolicy({ allow: [...ranges, ...allow] });
}

export class Issuing implements CertificateResource {
  private readonly own: Certificates;
  private readonly options: IssuingOptions;
  private asker: Asker | null = null;

  constructor(own: Certificates, options: IssuingOptions) {
    this.own = own;
    this.options = options;
  }

  nameOf(text: string): string | null {
    return nameOf(text);
  }

  isAddress(name: string): boolean {
    return isAddress(name);
  }

  refusal(names: readonly string[]): string | null {
    return this.own.authority.refusal(names);
  }

  issue(names: readonly string[], publicKey: Parameters<CertificateResource['issue']>[1], account: string) {
    try {
      return this.own.issue({ names, publicKey, account, purpose: 'server', by: 'acme' });
    } catch (error) {
      if (error instanceof IssueError) return error.message;
      throw error;
    }
  }

  readRequest(der: Uint8Array) {
    return readRequest(der);
  }

  find(der: Uint8Array): ReturnType<CertificateResource['find']> {
    const facts = readCertificate(der);
    const signer = this.own.authority.intermediates.find(({ id }) => id === facts?.authorityKey);
    if (facts === null || signer === undefined) return null;
    try {
      const certificate = new X509Certificate(der);
      if (!certificate.verify(createPublicKey(signer.pem))) return null;
      const issued = this.bySerial(signer.id, facts.serial);
      return issued === null ? null : { facts: issued, key: certificate.publicKey };
    } catch {
      return null;
    }
  }

  bySerial(issuer: string, serial: string): IssuedFacts | null {
    const { issued } = this.own.authority;
    const record = issued.get(serial);
    if (record === null || record.issuer !== issuer) return null;
    const { names, from, to, account = '' } = record;
    return { serial, account, names, from, to, isRevoked: issued.revoked(serial) !== null };
  }

  revoke(serial: string): void {
    this.own.authority.issued.revoke(serial, this.options.turn.clock.wall);
  }

  recall(name: string): readonly string[] {
    return this.own.recall(name);
  }

  remember(name: string, line: string): void {
    this.own.remember(name, line);
  }

  rewrite(name: string, lines: readonly string[]): void {
    this.own.rewrite(name, lines);
  }

  prove(
    kind: ProofKind,
    name: string,
    token: string,
    authorization: string,
    settled: (problem: ProofProblem | null) => void,
  ): () => void {
    let isOver = false;
    const look = kind === 'http-01' ? this.overHttp(name, token, authorization) : this.overTls(name, authorization);
    look
      .catch((error: unknown): ProofProblem => {
        if (error instanceof ProofError) return { kind: error.kind, text: error.message };
        const text = error instanceof Error ? error.message : String(error);
        return { kind: kind === 'http-01' ? 'connection' : 'tls', text: `${name}: ${text}` };
      })
      .then((problem) => {
        if (!isOver) settled(problem);
      })
      .catch((error: unknown) => this.options.turn.bug(error, 'acme'));
    return () => {
      isOver = true;
    };
  }

  close(): void {
    this.asker?.close();
  }

  /** RFC 8555 §8.3; for an address, that is asked itself (RFC 8738 §4). */
  private async overHttp(name: string, token: string, authorization: string): Promise<ProofProblem | null> {
    const { http: port } = this.options.ports;
    const authority = `${name.includes(':') ? `[${name}]` : name}${port === 80 ? '' : `:${port}`}`;
    const url = `http://${authority}/.well-known/acme-challenge/${token}`;
    this.asker ??= new Asker(this.options.reach(), this.options.turn);
    const { asker } = this;
    const told = await this.each(name, (host) =>
      asker.ask(url, { at: { host, port }, bytesMax: PROOF_BYTES_MAX, withinMs: PROOF_MS }),
    );
    if (told.status !== 200) return wrong(`${url} answered with ${told.status}`);
    return told.body.toString('latin1').trimEnd() === authorization
      ? null
      : wrong(`${url} answered with another proof`);
  }

  /** RFC 8737 §3; for an address, SNI has its name in reverse (RFC 8738 §6). */
  private async overTls(name: string, authorization: string): Promise<ProofProblem | null> {
    const { tls: port } = this.options.ports;
    const serverName = isAddress(name) ? reverseName(name) : name;
    const peer = await this.each(name, (host) =>
      peerChain({ host, port, serverName, alpn: [ACME_ALPN], waitMs: PROOF_MS }),
    );
    if (peer.alpn !== ACME_ALPN) return wrong(`${name}:${port} does not speak ${ACME_ALPN}`);
    const problem = acmeProofProblem(peer.chain[0] ?? new Uint8Array(), name, authorization);
    return problem === null ? null : wrong(`${name}:${port}: ${problem}`);
  }

  /** Tries the addresses of a name, one after the other; rejects with what the last one said. */
  private async each<Found>(name: string, attempt: (host: string) => Promise<Found>): Promise<Found> {
    const hosts = await this.addressesOf(name);
    for (const [index, host] of hosts.entries()) {
      try {
        return await attempt(host);
      } catch (error) {
        if (index === hosts.length - 1) throw error;
      }
    }
    throw new ProofError('dns', `${name} has no address that may be reached from here`);
  }

  private async addressesOf(name: string): Promise<string[]> {
    const { policy } = this.options;
    if (isAddress(name)) return policy.allows(name) ? [name] : [];
    // What no resolver outside knows (RFC 6761 §6.2 and §6.3).
    for (const zone of ['localhost', LOCAL_ZONE])
      if (name === zone || name.endsWith(`.${zone}`)) return ['127.0.0.1', '::1'];
    try {
      const found = await lookup(name, { all: true });
      return found.map(({ address }) => address).filter((address) => policy.allows(address));
    } catch {
      throw new ProofError('dns', `${name} leads nowhere`);
    }
  }
}

class ProofError extends Error {
  readonly kind: ProofProblem['kind'];

  constructor(kind: ProofProblem['kind'], message: string) {
    super(message);
    this.name = 'ProofError';
    this.kind = kind;
  }
}

function wrong(text: string): ProofProblem {
  return { kind: 'incorrectResponse', text };
}

// ---- routes --------------------------------------------------------------------------------------------------------

/** A request has few certificates in it (RFC 6960 §4.1). */
const OCSP_BYTES_MAX = 16_384;

/**
 * What whoever checks certificates asks for, and the proofs that another authority asks us for. All of it is public and
 * answered to anyone, over plain HTTP as well: it is signed.
 */
export function certificateRoutes(own: Certificates, proofs: ReadonlyMap<string, string>): Route[] {
  const route = (path: string, handler: ExchangeHandler): Route => ({ path, anyone: true, handler });
  return [
    route('/ocsp', (exchange) => answerPosted(own, exchange)),
    route('/ocsp/', (exchange) => {
      if (exchange.method === 'POST') answerPosted(own, exchange);
      else reading(exchange, () => answerAsked(own, exchange));
    }),
    route('/crl/', (exchange) =>
      reading(exchange, () => {
        const id = /^([0-9a-f]{40})\.crl$/.exec(nameIn(exchange, '/crl/'))?.[1];
        const list = id === undefined ? null : own.revocationList(id);
        if (list === null) answerProblem(exchange, 404, 'There is no such list.');
        else answerFile(exchange, 'application/pkix-crl', list, 3_600);
      }),
    ),
    route('/certificates/', (exchange) => reading(exchange, () => answerCertificate(own, exchange))),
    route('/.well-known/acme-challenge/', (exchange) =>
      reading(exchange, () => {
        const proof = proofs.get(nameIn(exchange, '/.well-known/acme-challenge/'));
        if (proof === undefined) answerProblem(exchange, 404, 'No such proof is asked for.');
        else answerFile(exchange, 'application/octet-stream', Buffer.from(proof), 0);
      }),
    ),
  ];
}

function reading(exchange: Exchange, answer: () => void): void {
  if (exchange.method === 'GET' || exchange.method === 'HEAD') answer();
  else answerProblem(exchange, 405, 'This is read with GET.', Fields.of({ allow: 'GET, HEAD' }));
}

function nameIn(exchange: Exchange, prefix: string): string {
  return splitTarget(exchange.target).path.slice(prefix.length);
}

function answerFile(exchange: Exchange, type: string, bytes: Uint8Array, seconds: number): void {
  const cache = seconds === 0 ? 'no-store' : `max-age=${seconds}`;
  answerBytes(exchange, 200, Fields.of({ 'content-type': type, 'cache-control': cache }), bytes);
}

/** RFC 6960 Appendix A.1: in the body. */
function answerPosted(own: Certificates, exchange: Exchange): void {
  if (exchange.method !== 'POST') {
    answerProblem(exchange, 405, 'OCSP is asked with POST, or with GET below this path.', Fields.of({ allow: 'POST' }));
    return;
  }
  if (exchange.fields.get('content-type') !== 'application/ocsp-request') {
    answerProblem(exchange, 415, 'An OCSP request is application/ocsp-request.');
    return;
  }
  collectBody(exchange, OCSP_BYTES_MAX, (body) => {
    answerFile(exchange, 'application/ocsp-response', own.ocsp(body), 0);
  });
}

/** In the path, as base64 that was escaped (RFC 6960 Appendix A.1). */
function answerAsked(own: Certificates, exchange: Exchange): void {
  let text: string;
  try {
    text = decodeURIComponent(nameIn(exchange, '/ocsp/'));
  } catch {
    text = '';
  }
  answerFile(exchange, 'application/ocsp-response', own.ocsp(Buffer.from(text, 'base64')), 3_600);
}

function answerCertificate(own: Certificates, exchange: Exchange): void {
  const { root, intermediates } = own.authority;
  const name = nameIn(exchange, '/certificates/');
  if (name === 'root.pem') {
    answerFile(exchange, 'application/x-pem-file', Buffer.from(root.pem), 3_600);
    return;
  }
  const id = /^([0-9a-f]{40}|root)\.crt$/.exec(name)?.[1];
  const signer = id === 'root' ? root : intermediates.find((candidate) => candidate.id === id);
  if (signer === undefined) answerProblem(exchange, 404, 'There is no such certificate.');
  else answerFile(exchange, 'application/pkix-cert', signer.facts.der, 3_600);
}
