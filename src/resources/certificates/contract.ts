// Certificates as protocols see them: what may be issued, to whom, and whether somebody answers for a name. How they are
// made is security's.
import type { KeyObject } from 'node:crypto';

export interface IssuedCertificate {
  /** In hexadecimal. */
  readonly serial: string;
  /** PEM, its own first. */
  readonly chain: string;
}

export interface IssuedFacts {
  readonly serial: string;
  /** Whoever asked for it; '' for the server and its commands. */
  readonly account: string;
  readonly names: readonly string[];
  readonly from: number;
  readonly to: number;
  readonly isRevoked: boolean;
}

/** A request for a certificate (RFC 2986) whose signature was checked. */
export interface CertificateRequest {
  readonly key: KeyObject;
  readonly names: readonly string[];
  readonly commonName: string;
}

/** By what somebody proves that a name is theirs (RFC 8555 §8, RFC 8737). */
export type ProofKind = 'http-01' | 'tls-alpn-01';

/** Why a proof was not found: nobody answers, the name leads nowhere, the answer is another, TLS failed. */
export interface ProofProblem {
  readonly kind: 'connection' | 'dns' | 'incorrectResponse' | 'tls';
  readonly text: string;
}

export interface Certificates {
  /** The name as it stands in certificates; null when it is neither a DNS name nor an address. */
  nameOf(text: string): string | null;
  isAddress(name: string): boolean;
  /** What stands in the way of a certificate for these names; null when nothing does. */
  refusal(names: readonly string[]): string | null;
  /** Issues to the key of whoever asks; answers why not as text. */
  issue(names: readonly string[], key: KeyObject, account: string): IssuedCertificate | string;
  /** Reads a request in DER; null when it is none or its signature is wrong. */
  readRequest(der: Uint8Array): CertificateRequest | null;
  /** What was issued here, by its DER, with the key in it; null when it was not. */
  find(der: Uint8Array): { readonly facts: IssuedFacts; readonly key: KeyObject } | null;
  /** By its issuer's key identifier and its serial number, in hexadecimal. */
  bySerial(issuer: string, serial: string): IssuedFacts | null;
  revoke(serial: string): void;
  /** Looks for a proof; `settled` is told once, never within the call. Answers a function that gives up. */
  prove(
    kind: ProofKind,
    name: string,
    token: string,
    authorization: string,
    settled: (problem: ProofProblem | null) => void,
  ): () => void;
  /** Lines that last, for whoever has accounts of a protocol to keep. */
  recall(name: string): readonly string[];
  remember(name: string, line: string): void;
  rewrite(name: string, lines: readonly string[]): void;
}
