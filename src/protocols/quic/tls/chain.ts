// Whether a chain of certificates leads to an authority that is trusted, for this name, purpose and moment (RFC 5280 §6).
// Whoever is in the list of authorities is trusted, at the root of anything or not. Revocation is another's matter.
import { X509Certificate } from 'node:crypto';
import type { Fault } from '../../../core/fault.ts';
import { type Certificate, DIGITAL_SIGNATURE, KEY_CERT_SIGN, type Names, readCertificate } from './certificate.ts';
import { certificatesOf } from './credentials.ts';
import { faults } from './faults.ts';
import { addressOctets, matchesName, touchesName, withinName, withinRange } from './names.ts';

export type Purpose = 'server' | 'client';

export interface Wanted {
  /** PEM. */
  readonly authorities: string;
  readonly purpose: Purpose;
  /** A server's name or address; null for clients, whose names are not known beforehand. */
  readonly name: string | null;
  /** Milliseconds since 1970. */
  readonly wall: number;
}

/** id-kp-serverAuth, id-kp-clientAuth, anyExtendedKeyUsage, as contents of identifiers. */
const PURPOSES: Readonly<Record<Purpose, string>> = { server: '2b06010505070301', client: '2b06010505070302' };
const ANY_PURPOSE = '551d2500';

/** RSA with MD2, MD5, SHA-1; ECDSA and DSA with SHA-1. */
const WEAK: readonly string[] = [
  ...['2a864886f70d010102', '2a864886f70d010104', '2a864886f70d010105'],
  ...['2a8648ce3d0401', '2a8648ce380403'],
];
const RSA_BITS_LEAST = 2_048;

/** Signatures that are checked for one chain: certificates of one name could lead in circles. */
const CHECKS_MOST = 50;
/** Authorities between the first certificate and one that is trusted. */
const DEPTH_MOST = 10;

/** By subject. */
type Anchors = ReadonlyMap<string, readonly Certificate[]>;

/** Lists of authorities are few, and live as long as their listeners. */
const LISTS_MOST = 16;
const lists = new Map<string, Anchors>();

function anchorsOf(pem: string): Anchors {
  const kept = lists.get(pem);
  if (kept !== undefined) return kept;
  const anchors = new Map<string, Certificate[]>();
  for (const der of certificatesOf(pem)) {
    const certificate = readCertificate(der);
    if (certificate === null) continue;
    const same = anchors.get(certificate.subject);
    if (same === undefined) anchors.set(certificate.subject, [certificate]);
    else same.push(certificate);
  }
  if (lists.size >= LISTS_MOST) lists.delete(lists.keys().next().value!);
  lists.set(pem, anchors);
  return anchors;
}

/** Until when a certificate holds; 0 when it cannot be read. */
export function endOf(der: Uint8Array): number {
  return readCertificate(der)?.to ?? 0;
}

/** Null when the chain, whose first is the peer's own, is to be believed; else what is wrong with it. */
export function verifyChain(chain: readonly Uint8Array[], wanted: Wanted): Fault | null {
  const certificates: Certificate[] = [];
  for (const der of chain) {
    const certificate = readCertificate(der);
    // What is sent beside the way to the root may be anything.
    if (certificate !== null) certificates.push(certificate);
    else if (certificates.length === 0) return faults.certificateMalformed;
  }
  const [own, ...others] = certificates;
  if (own === undefined) return faults.certificateMalformed;
  return ownFault(own, wanted) ?? new Search(others, anchorsOf(wanted.authorities), wanted).from(own);
}

/** What the last certificate has to be, whoever issued it. */
function ownFault(own: Certificate, { purpose, name }: Wanted): Fault | null {
  if (own.keyUsage !== null && (own.keyUsage & DIGITAL_SIGNATURE) === 0) return faults.keyUsage;
  if (!isFor(own, purpose)) return faults.purpose;
  return purpose === 'client' || isNamed(own.names, name ?? '') ? null : faults.certificateName;
}

function isFor({ purposes }: Certificate, purpose: Purpose): boolean {
  return purposes === null || purposes.includes(PURPOSES[purpose]) || purposes.includes(ANY_PURPOSE);
}

/** By the alternative names alone; the subject's common name is nobody's (RFC 9525 §2). */
function isNamed(names: Names, name: string): boolean {
  const octets = addressOctets(name);
  if (octets !== null) return names.addresses.some((address) => address.equals(octets));
  return names.dns.some((pattern) => matchesName(pattern, name));
}

/** Looks for a way from a certificate to one that is trusted. */
class Search {
  private readonly others: readonly Certificate[];
  private readonly anchors: Anchors;
  private readonly wanted: Wanted;
  private checks = 0;
  /** What stood in the way of the way that came furthest. */
  private hindrance: Fault | null = null;

  constructor(others: readonly Certificate[], anchors: Anchors, wanted: Wanted) {
    this.others = others;
    this.anchors = anchors;
    this.wanted = wanted;
  }

  from(own: Certificate): Fault | null {
    const fault = this.plainFault(own);
    if (fault !== null) return fault;
    // A certificate that is itself in the list needs nobody's word.
    if (this.anchors.get(own.subject)?.some((anchor) => same(anchor, own)) === true) return null;
    return this.reaches([own]) ? null : (this.hindrance ?? faults.certificateUnknown);
  }

  /** Whether the last of `way` was issued by one that is trusted, or by another that was. */
  private reaches(way: readonly Certificate[]): boolean {
    const last = way.at(-1)!;
    for (const anchor of this.anchors.get(last.issuer) ?? [])
      if (this.issued(anchor, way) && this.permits(anchor, way, true)) return true;
    if (way.length > DEPTH_MOST) return false;
    for (const issuer of this.others) {
      if (issuer.subject !== last.issuer || way.some((one) => same(one, issuer))) continue;
      if (this.issued(issuer, way) && this.permits(issuer, way, false) && this.reaches([...way, issuer])) return true;
    }
    return false;
  }

  private issued(issuer: Certificate, way: readonly Certificate[]): boolean {
    if (this.checks++ >= CHECKS_MOST) return false;
    try {
      if (parsedOf(way.at(-1)!).verify(parsedOf(issuer).publicKey)) return true;
    } catch {
      // A key or a signature that OpenSSL cannot read is a wrong one.
    }
    this.hindrance ??= faults.certificateForged;
    return false;
  }

  /** Whether an authority may have issued what is below it. */
  private permits(issuer: Certificate, way: readonly Certificate[], isTrusted: boolean): boolean {
    const fault = this.plainFault(issuer) ?? authorityFault(issuer, way, isTrusted) ?? this.purposeFault(issuer);
    if (fault !== null) this.hindrance = fault;
    return fault === null;
  }

  /** What is wrong with any certificate on the way. */
  private plainFault(certificate: Certificate): Fault | null {
    if (certificate.unknownCritical) return faults.critical;
    if (this.wanted.wall > certificate.to) return faults.certificateExpired;
    if (this.wanted.wall < certificate.from) return faults.certificateEarly;
    const trusted = this.anchors.get(certificate.subject)?.some((anchor) => same(anchor, certificate)) === true;
    // Nobody goes by the signature of what is trusted without it.
    return !trusted && (WEAK.includes(certificate.algorithm) || isShort(certificate)) ? faults.certificateWeak : null;
  }

  private purposeFault(issuer: Certificate): Fault | null {
    return isFor(issuer, this.wanted.purpose) ? null : faults.purpose;
  }
}

/** node:crypto's view of a certificate, made once; throws where it has none. Authorities keep theirs. */
const parsed = new WeakMap<Certificate, X509Certificate>();

function parsedOf(certificate: Certificate): X509Certificate {
  let found = parsed.get(certificate);
  if (found === undefined) parsed.set(certificate, (found = new X509Certificate(certificate.der)));
  return found;
}

function isShort(certificate: Certificate): boolean {
  try {
    const { asymmetricKeyDetails } = parsedOf(certificate).publicKey;
    return (asymmetricKeyDetails?.modulusLength ?? RSA_BITS_LEAST) < RSA_BITS_LEAST;
  } catch {
    return true;
  }
}

function same(one: Certificate, other: Certificate): boolean {
  return one === other || Buffer.compare(one.der, other.der) === 0;
}

function authorityFault(issuer: Certificate, way: readonly Certificate[], isTrusted: boolean): Fault | null {
  // Roots of version 1 have no extensions to say so.
  if (!issuer.isAuthority && (issuer.extended || !isTrusted)) return faults.notAuthority;
  if (issuer.keyUsage !== null && (issuer.keyUsage & KEY_CERT_SIGN) === 0) return faults.notAuthority;
  // Authorities that issued themselves anew do not count (RFC 5280 §4.2.1.9).
  const between = way.slice(1).filter(({ subject, issuer: by }) => subject !== by).length;
  if (issuer.pathLength !== null && between > issuer.pathLength) return faults.pathLength;
  if (issuer.constraints === null) return null;
  const { permitted, excluded } = issuer.constraints;
  for (const [at, certificate] of way.entries()) {
    if (at > 0 && certificate.subject === certificate.issuer) continue;
    if (!allows(permitted, excluded, certificate)) return faults.constrained;
  }
  return null;
}

function allows(permitted: Names, excluded: Names, { names, subjectContent }: Certificate): boolean {
  const directories = subjectContent.length > 0 ? [subjectContent, ...names.directories] : names.directories;
  const understood =
    kind(permitted.dns, excluded.dns, names.dns, withinName, touchesName) &&
    kind(permitted.addresses, excluded.addresses, names.addresses, withinRange) &&
    kind(permitted.directories, excluded.directories, directories, (base, name) =>
      base.equals(name.subarray(0, base.length)),
    );
  if (!understood) return false;
  // A kind that is constrained and not understood here permits nothing.
  return !names.others.some((tag) => permitted.others.includes(tag) || excluded.others.includes(tag));
}

/** Of one kind: within what is permitted, where that says anything, and within nothing that is excluded. */
function kind<Name>(
  permitted: readonly Name[],
  excluded: readonly Name[],
  names: readonly Name[],
  within: (base: Name, name: Name) => boolean,
  touches = within,
): boolean {
  return names.every(
    (name) =>
      (permitted.length === 0 || permitted.some((base) => within(base, name))) &&
      !excluded.some((base) => touches(base, name)),
  );
}
