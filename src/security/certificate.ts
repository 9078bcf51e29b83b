// Makes X.509 certificates (RFC 5280) with ECDSA on P-256. It decides nothing: what stands in a certificate is its caller's.
import { createHash, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';
import {
  ascii,
  bits,
  boolean,
  context,
  contextOf,
  der,
  integer,
  namedBits,
  octets,
  oid,
  readDer,
  sequence,
  setOf,
  time,
  utf8,
} from './der.ts';
import { addressBytes, type Constraints, maskOf } from './names.ts';
import { OIDS } from './oids.ts';

/** A certificate or a revocation list is signed with this; the algorithm's parameters are absent (RFC 5758 §3.2). */
const ALGORITHM = sequence(oid(OIDS.ecdsaWithSha256));

export const DAY = 86_400_000;
/** Clocks of clients may be so much behind. */
export const BACKDATED = 3_600_000;

/** KeyUsage by number (RFC 5280 §4.2.1.3). */
export const DIGITAL_SIGNATURE = 0;
export const KEY_ENCIPHERMENT = 2;
export const KEY_CERT_SIGN = 5;
export const CRL_SIGN = 6;

export interface CertificatePlan {
  readonly serial: Uint8Array;
  /** Names in DER. */
  readonly issuer: Uint8Array;
  readonly subject: Uint8Array;
  readonly publicKey: KeyObject;
  readonly from: number;
  readonly to: number;
  readonly extensions: readonly Uint8Array[];
}

export function newKey(): KeyObject {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
}

/** 127 bits of chance, positive, and always as long (RFC 5280 §4.1.2.2). */
export function newSerial(): Buffer {
  const serial = randomBytes(16);
  serial[0] = (serial[0]! & 0x7f) | 0x40;
  return serial;
}

/** Signs what stands in `body`, and puts the algorithm and the signature behind it. */
export function signed(body: Uint8Array, key: KeyObject): Buffer {
  return sequence(body, ALGORITHM, bits(sign('sha256', body, key)));
}

export function makeCertificate(plan: CertificatePlan, key: KeyObject): Buffer {
  const body = sequence(
    // Version 3, since there are extensions.
    der(contextOf(0), integer(2)),
    integer(plan.serial),
    ALGORITHM,
    plan.issuer,
    sequence(time(plan.from), time(plan.to)),
    plan.subject,
    spkiOf(plan.publicKey),
    der(contextOf(3), sequence(...plan.extensions)),
  );
  return signed(body, key);
}

/** A request for a certificate (RFC 2986), whose names stand in the extension that it asks for. */
export function makeRequest(names: readonly string[], key: KeyObject): Buffer {
  const extensions = sequence(subjectAltName(names, true));
  const attribute = sequence(oid(OIDS.extensionRequest), setOf(extensions));
  return signed(sequence(integer(0), sequence(), spkiOf(key), der(contextOf(0), attribute)), key);
}

export interface Revoked {
  readonly serial: Uint8Array;
  readonly at: number;
}

export interface RevocationListPlan {
  readonly issuer: Uint8Array;
  readonly issuerKey: KeyObject;
  readonly number: number;
  readonly from: number;
  readonly to: number;
  readonly revoked: readonly Revoked[];
}

/** A list of revoked certificates (RFC 5280 §5). */
export function makeRevocationList(plan: RevocationListPlan, key: KeyObject): Buffer {
  const entries = plan.revoked.map(({ serial, at }) => sequence(integer(serial), time(at)));
  const body = sequence(
    integer(1),
    ALGORITHM,
    plan.issuer,
    time(plan.from),
    time(plan.to),
    // Absent when there are none (§5.1.2.6).
    ...(entries.length === 0 ? [] : [sequence(...entries)]),
    der(contextOf(0), sequence(authorityKey(plan.issuerKey), extension(OIDS.crlNumber, false, integer(plan.number)))),
  );
  return signed(body, key);
}

// ---- parts ---------------------------------------------------------------------------------------------------------

export function spkiOf(key: KeyObject): Buffer {
  const half = key.type === 'public' ? key : createPublicKey(key as never);
  return half.export({ type: 'spki', format: 'der' });
}

/** SHA-1 of the key's bits: what OCSP calls a key by (RFC 6960 §4.2.1), and what stands here as key identifier. */
export function keyHash(spki: Uint8Array, algorithm = 'sha1'): Buffer {
  const key = readDer(spki)?.at(1)?.bits ?? new Uint8Array();
  return createHash(algorithm).update(key).digest();
}

/** A distinguished name of some attributes, one a part. */
export function distinguishedName(attributes: readonly (readonly [type: string, value: string])[]): Buffer {
  return sequence(...attributes.map(([type, value]) => setOf(sequence(oid(type), utf8(value)))));
}

export function extension(type: string, isCritical: boolean, value: Uint8Array): Buffer {
  return isCritical ? sequence(oid(type), boolean(true), octets(value)) : sequence(oid(type), octets(value));
}

export function basicConstraints(pathLength: number | null): Buffer {
  return extension(
    OIDS.basicConstraints,
    true,
    pathLength === null ? sequence() : sequence(boolean(true), integer(pathLength)),
  );
}

/** An authority's that may have others below it as it likes. */
export function rootConstraints(): Buffer {
  return extension(OIDS.basicConstraints, true, sequence(boolean(true)));
}

export function keyUsage(...numbers: readonly number[]): Buffer {
  return extension(OIDS.keyUsage, true, namedBits(numbers));
}

export function extendedKeyUsage(...purposes: readonly string[]): Buffer {
  return extension(OIDS.extendedKeyUsage, false, sequence(...purposes.map(oid)));
}

export function subjectKey(spki: Uint8Array): Buffer {
  return extension(OIDS.subjectKeyIdentifier, false, octets(keyHash(spki)));
}

export function authorityKey(issuer: KeyObject): Buffer {
  return extension(OIDS.authorityKeyIdentifier, false, sequence(der(context(0), keyHash(spkiOf(issuer)))));
}

/** Critical where the subject says nothing (RFC 5280 §4.2.1.6). */
export function subjectAltName(names: readonly string[], isCritical: boolean, uri?: string): Buffer {
  const entries = names.map((name) => {
    const address = addressBytes(name);
    return address === null ? ascii(context(2), name) : der(context(7), address);
  });
  if (uri !== undefined) entries.push(ascii(context(6), uri));
  return extension(OIDS.subjectAltName, isCritical, sequence(...entries));
}

/** Below an authority with these there is nothing but what they permit (RFC 5280 §4.2.1.10). */
export function nameConstraints({ domains, ranges }: Constraints): Buffer {
  const permitted = [
    ...domains.map((domain) => sequence(ascii(context(2), domain))),
    ...ranges.map((range) => sequence(der(context(7), range.base, maskOf(range)))),
  ];
  return extension(OIDS.nameConstraints, true, sequence(der(contextOf(0), ...permitted)));
}

/** Where the issuer's certificate and the responder are (RFC 5280 §4.2.2.1). */
export function authorityAccess(url: string, issuer: string): Buffer {
  return extension(
    OIDS.authorityInfoAccess,
    false,
    sequence(
      sequence(oid(OIDS.ocsp), ascii(context(6), `${url}/ocsp`)),
      sequence(oid(OIDS.caIssuers), ascii(context(6), `${url}/certificates/${issuer}.crt`)),
    ),
  );
}

export function distributionPoint(url: string): Buffer {
  const name = der(contextOf(0), der(contextOf(0), ascii(context(6), url)));
  return extension(OIDS.crlDistributionPoints, false, sequence(sequence(name)));
}

/** The proof that a name is ours, within a handshake (RFC 8737 §3). */
export function acmeIdentifier(authorization: string): Buffer {
  return extension(OIDS.acmeIdentifier, true, octets(createHash('sha256').update(authorization).digest()));
}

// ---- PEM -----------------------------------------------------------------------------------------------------------

export function pem(label: string, bytes: Uint8Array): string {
  const lines =
    Buffer.from(bytes)
      .toString('base64')
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join('\n')}\n-----END ${label}-----\n`;
}

/** All blocks of this label, in their order. */
export function pemBlocks(text: string, label: string): Buffer[] {
  const found: Buffer[] = [];
  const pattern = new RegExp(`-----BEGIN ${label}-----([A-Za-z0-9+/=\\s]*)-----END ${label}-----`, 'g');
  for (const [, body] of text.matchAll(pattern)) found.push(Buffer.from(body!, 'base64'));
  return found;
}

export function keyPem(key: KeyObject): string {
  return key.export({ type: 'pkcs8', format: 'pem' }) as string;
}
