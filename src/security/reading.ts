// What stands in a certificate, a request or a revocation list that others made. It trusts nothing that it reads and throws
// for none of it.
import { createHash, createPublicKey, type KeyObject, verify } from 'node:crypto';
import { BIT_STRING, BOOLEAN, context, contextOf, type Der, INTEGER, OID, readDer, SEQUENCE, SET } from './der.ts';
import { addressText, Constraints, type Range } from './names.ts';
import { OIDS, VALIDATION, type Validation } from './oids.ts';

/** What a certificate says. */
export interface CertificateFacts {
  readonly der: Uint8Array;
  /** In hexadecimal. */
  readonly serial: string;
  readonly subject: string;
  readonly issuer: string;
  /** Names in DER, for comparing. */
  readonly subjectDer: Uint8Array;
  readonly issuerDer: Uint8Array;
  readonly spki: Uint8Array;
  readonly from: number;
  readonly to: number;
  /** DNS names and addresses. */
  readonly names: readonly string[];
  readonly uris: readonly string[];
  readonly isAuthority: boolean;
  readonly purposes: readonly string[];
  readonly policies: readonly string[];
  readonly validation: Validation | null;
  readonly constraints: Constraints | null;
  /** Key identifiers in hexadecimal; '' where there are none. */
  readonly subjectKey: string;
  readonly authorityKey: string;
  /** SHA-256 of the whole, in hexadecimal. */
  readonly fingerprint: string;
}

/** Reads a certificate; null when it is none. */
export function readCertificate(bytes: Uint8Array): CertificateFacts | null {
  const whole = readDer(bytes);
  const body = whole?.at(0);
  if (body?.tag !== SEQUENCE || whole?.parts.length !== 3) return null;
  const { parts } = body;
  // The version is absent in version 1 (RFC 5280 §4.1.2.1).
  const first = parts[0]?.tag === contextOf(0) ? 1 : 0;
  const [serial, , issuer, validity, subject, spki] = parts.slice(first);
  if (serial?.tag !== INTEGER || issuer?.tag !== SEQUENCE || subject?.tag !== SEQUENCE || spki?.tag !== SEQUENCE)
    return null;
  const [from, to] = [validity?.at(0)?.wall ?? Number.NaN, validity?.at(1)?.wall ?? Number.NaN];
  if (Number.isNaN(from) || Number.isNaN(to)) return null;
  const extensions = extensionsOf(body.tagged(contextOf(3))?.at(0) ?? null);
  const names = generalNames(extensions.get(OIDS.subjectAltName) ?? null);
  const policies = (extensions.get(OIDS.certificatePolicies)?.parts ?? []).map((part) => part.at(0)?.oid ?? '');
  return {
    der: bytes,
    serial: hexOf(serial.content),
    subject: nameText(subject),
    issuer: nameText(issuer),
    subjectDer: subject.whole,
    issuerDer: issuer.whole,
    spki: spki.whole,
    from,
    to,
    ...names,
    isAuthority: extensions.get(OIDS.basicConstraints)?.at(0)?.tag === BOOLEAN,
    purposes: (extensions.get(OIDS.extendedKeyUsage)?.parts ?? []).map((part) => part.oid),
    policies,
    validation: policies.map((policy) => VALIDATION[policy]).find((found) => found !== undefined) ?? null,
    constraints: constraintsOf(extensions.get(OIDS.nameConstraints) ?? null),
    subjectKey: Buffer.from(extensions.get(OIDS.subjectKeyIdentifier)?.content ?? []).toString('hex'),
    authorityKey: Buffer.from(extensions.get(OIDS.authorityKeyIdentifier)?.tagged(context(0))?.content ?? []).toString(
      'hex',
    ),
    fingerprint: createHash('sha256').update(bytes).digest('hex'),
  };
}

/** What is wrong with the certificate that is to prove that a name is somebody's (RFC 8737 §3); null when nothing is. */
export function acmeProofProblem(bytes: Uint8Array, name: string, authorization: string): string | null {
  const facts = readCertificate(bytes);
  if (facts === null) return 'the certificate cannot be read';
  if (facts.names.length !== 1 || facts.names[0] !== name || facts.uris.length > 0)
    return `the certificate is for ${facts.names.join(' ')}, and should be for this name alone`;
  const list = readDer(bytes)?.at(0)?.tagged(contextOf(3))?.at(0) ?? null;
  const entry = list?.parts.find((part) => part.at(0)?.oid === OIDS.acmeIdentifier);
  if (entry === undefined) return 'the certificate has no acmeIdentifier';
  if (entry.at(1)?.tag !== BOOLEAN) return 'its acmeIdentifier is not critical';
  const digest = createHash('sha256').update(authorization).digest();
  return digest.equals(entry.parts.at(-1)?.inner?.content ?? new Uint8Array()) ? null : 'its acmeIdentifier is another';
}

/** A certificate request (RFC 2986) whose signature was checked. */
export interface Request {
  readonly key: KeyObject;
  readonly spki: Uint8Array;
  readonly names: readonly string[];
  /** The common name of its subject, as it was written; '' for none. */
  readonly commonName: string;
}

/** Reads a request and checks that whoever made it has the key; null otherwise. */
export function readRequest(bytes: Uint8Array): Request | null {
  const whole = readDer(bytes);
  const body = whole?.at(0);
  const [version, subject, spki, attributes] = body?.parts ?? [];
  const signature = whole?.at(2);
  if (version?.number !== 0 || subject?.tag !== SEQUENCE || spki === undefined || signature?.tag !== BIT_STRING)
    return null;
  const algorithm = whole?.at(1, 0)?.oid ?? '';
  try {
    const key = createPublicKey({ key: Buffer.from(spki.whole), format: 'der', type: 'spki' });
    const digest = DIGESTS[algorithm];
    if (digest === undefined || !verify(digest, body!.whole, key, signature.bits)) return null;
    const asked = attributes?.parts.find((part) => part.at(0)?.oid === OIDS.extensionRequest)?.at(1, 0) ?? null;
    const { names } = generalNames(extensionsOf(asked).get(OIDS.subjectAltName) ?? null);
    return { key, spki: spki.whole, names, commonName: commonNameOf(subject) };
  } catch {
    return null;
  }
}

/** What signs requests: ECDSA and RSA with SHA-2, and Ed25519. */
const DIGESTS: Readonly<Record<string, string | null>> = {
  '1.2.840.10045.4.3.2': 'sha256',
  '1.2.840.10045.4.3.3': 'sha384',
  '1.2.840.10045.4.3.4': 'sha512',
  '1.2.840.113549.1.1.11': 'sha256',
  '1.2.840.113549.1.1.12': 'sha384',
  '1.2.840.113549.1.1.13': 'sha512',
  '1.3.101.112': null,
};

/** A revocation list that others made. */
export interface RevocationList {
  readonly issuerDer: Uint8Array;
  readonly to: number;
  /** In hexadecimal. */
  readonly serials: ReadonlySet<string>;
  /** Whether the key of this issuer signed it. */
  signedBy(spki: Uint8Array): boolean;
}

export function readRevocationList(bytes: Uint8Array): RevocationList | null {
  const whole = readDer(bytes);
  const body = whole?.at(0);
  if (body?.tag !== SEQUENCE || whole?.parts.length !== 3) return null;
  const parts = body.parts[0]?.tag === INTEGER ? body.parts.slice(1) : body.parts;
  const [, issuer, from, ...rest] = parts;
  if (issuer?.tag !== SEQUENCE || from === undefined || Number.isNaN(from.wall)) return null;
  const to = rest[0] !== undefined && !Number.isNaN(rest[0].wall) ? rest[0].wall : Number.POSITIVE_INFINITY;
  const entries = rest.find((part) => part.tag === SEQUENCE)?.parts ?? [];
  const serials = new Set(entries.map((entry) => hexOf(entry.at(0)?.content ?? new Uint8Array())));
  const digest = DIGESTS[whole.at(1, 0)?.oid ?? ''];
  const signature = whole.at(2)?.bits;
  return {
    issuerDer: issuer.whole,
    to,
    serials,
    signedBy: (spki) =>
      digest !== undefined && signature !== undefined && isSigned(body.whole, signature, digest, spki),
  };
}

function isSigned(text: Uint8Array, signature: Uint8Array, digest: string | null, spki: Uint8Array): boolean {
  try {
    return verify(digest, text, createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' }), signature);
  } catch {
    return false;
  }
}

// ---- parts ---------------------------------------------------------------------------------------------------------

/** Extensions by type; each is what its value carries. */
export function extensionsOf(list: Der | null): Map<string, Der> {
  const found = new Map<string, Der>();
  for (const entry of list?.parts ?? []) {
    const value = entry.parts.at(-1)?.inner;
    if (value !== null && value !== undefined) found.set(entry.at(0)?.oid ?? '', value);
  }
  return found;
}

function generalNames(list: Der | null): { names: string[]; uris: string[] } {
  const names: string[] = [];
  const uris: string[] = [];
  for (const entry of list?.parts ?? []) {
    const { content } = entry;
    if (entry.tag === context(2)) names.push(entry.text.toLowerCase());
    else if (entry.tag === context(7) && (content.length === 4 || content.length === 16))
      names.push(addressText(content));
    else if (entry.tag === context(6)) uris.push(entry.text);
  }
  return { names, uris };
}

function constraintsOf(value: Der | null): Constraints | null {
  if (value === null) return null;
  const domains: string[] = [];
  const ranges: Range[] = [];
  for (const subtree of value.tagged(contextOf(0))?.parts ?? []) {
    const base = subtree.at(0);
    if (base?.tag === context(2)) domains.push(base.text.toLowerCase());
    else if (base?.tag === context(7)) ranges.push(rangeIn(base.content));
  }
  return new Constraints(domains, ranges);
}

function rangeIn(content: Uint8Array): Range {
  const half = content.length / 2;
  let bits = 0;
  for (const octet of content.subarray(half)) for (let bit = 0x80; (octet & bit) !== 0; bit >>= 1) bits++;
  return { base: content.subarray(0, half), bits };
}

const SHORT: Readonly<Record<string, string>> = {
  '2.5.4.3': 'CN',
  '2.5.4.6': 'C',
  '2.5.4.7': 'L',
  '2.5.4.8': 'ST',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
};

/** `O=Portico, CN=localhost` */
function nameText(name: Der): string {
  const found: string[] = [];
  for (const set of name.parts) {
    if (set.tag !== SET) continue;
    for (const { parts } of set.parts) {
      const [type, value] = parts;
      if (type?.tag === OID && value !== undefined) found.push(`${SHORT[type.oid] ?? type.oid}=${value.text}`);
    }
  }
  return found.join(', ');
}

function commonNameOf(name: Der): string {
  for (const set of name.parts)
    for (const { parts } of set.parts) if (parts[0]?.oid === OIDS.commonName) return parts[1]?.text ?? '';
  return '';
}

/** A serial number as people write it: without a leading zero octet. */
export function hexOf(content: Uint8Array): string {
  const from = content.length > 1 && content[0] === 0 ? 1 : 0;
  return Buffer.from(content.subarray(from)).toString('hex');
}
