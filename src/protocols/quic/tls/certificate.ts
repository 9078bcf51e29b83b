// What stands in a certificate that decides whether it is believed (RFC 5280 §4). Signatures are node:crypto's to check.
import {
  BIT_STRING,
  BOOLEAN,
  contentOf,
  type Der,
  INTEGER,
  insideOf,
  OCTET_STRING,
  OID,
  partsOf,
  readDer,
  SEQUENCE,
  timeOf,
  wholeOf,
} from './der.ts';

/** Names and ranges by their kind. */
export interface Names {
  readonly dns: string[];
  /** Octets of addresses; in constraints of ranges, a mask behind each. */
  readonly addresses: Buffer[];
  /** Distinguished names, without tag and length. */
  readonly directories: Buffer[];
  /** Tags of kinds that are not understood here. */
  readonly others: number[];
}

export interface NameConstraints {
  readonly permitted: Names;
  readonly excluded: Names;
}

export interface Certificate {
  readonly der: Uint8Array;
  /** Names in DER, as hexadecimal. */
  readonly subject: string;
  readonly issuer: string;
  readonly subjectContent: Buffer;
  readonly from: number;
  readonly to: number;
  /** The signature's algorithm, the content of its identifier in hexadecimal. */
  readonly algorithm: string;
  readonly extended: boolean;
  readonly isAuthority: boolean;
  /** How many authorities may stand between it and the last certificate; null for any. */
  readonly pathLength: number | null;
  /** Bits by number, from the highest; null when any use is right. */
  readonly keyUsage: number | null;
  /** Identifiers in hexadecimal; null when any purpose is right. */
  readonly purposes: readonly string[] | null;
  readonly names: Names;
  readonly constraints: NameConstraints | null;
  /** It has a critical extension that is not understood here. */
  readonly unknownCritical: boolean;
}

// Identifiers of extensions, in hexadecimal.
const KEY_USAGE = '551d0f';
const SUBJECT_ALT_NAME = '551d11';
const BASIC_CONSTRAINTS = '551d13';
const NAME_CONSTRAINTS = '551d1e';
const CERTIFICATE_POLICIES = '551d20';
const EXTENDED_KEY_USAGE = '551d25';

const DIRECTORY = 0xa4;
const DNS = 0x82;
const ADDRESS = 0x87;

// Bits of KeyUsage (RFC 5280 §4.2.1.3), of which the first stands highest.
export const DIGITAL_SIGNATURE = 0x80;
export const KEY_CERT_SIGN = 0x04;

interface Extension {
  readonly type: string;
  readonly critical: boolean;
  readonly value: Der;
}

/** Null for what is no certificate. */
export function readCertificate(der: Uint8Array): Certificate | null {
  const whole = readDer(der, 0, der.length);
  if (whole?.tag !== SEQUENCE || whole.end !== der.length) return null;
  const [body, algorithm, signature, ...more] = partsOf(whole) ?? [];
  if (body?.tag !== SEQUENCE || algorithm?.tag !== SEQUENCE || signature?.tag !== BIT_STRING || more.length > 0)
    return null;
  const parts = partsOf(body) ?? [];
  const first = parts[0]?.tag === 0xa0 ? 1 : 0;
  const [serial, inner, issuer, validity, subject, key, ...rest] = parts.slice(first);
  if (serial?.tag !== INTEGER || issuer?.tag !== SEQUENCE || subject?.tag !== SEQUENCE || key?.tag !== SEQUENCE)
    return null;
  // The same within what is signed and without (RFC 5280 §4.1.1.2).
  if (inner === undefined || !wholeOf(inner).equals(wholeOf(algorithm))) return null;
  const [from, to] = (validity === undefined ? null : partsOf(validity)) ?? [];
  const identifier = partsOf(algorithm)?.[0];
  if (from === undefined || to === undefined || identifier?.tag !== OID) return null;
  const listed = rest.find(({ tag }) => tag === 0xa3);
  const extensions = listed === undefined ? [] : extensionsOf(listed);
  const facts = extensions === null ? null : factsOf(extensions);
  const times = { from: timeOf(from), to: timeOf(to) };
  if (facts === null || Number.isNaN(times.from) || Number.isNaN(times.to)) return null;
  return {
    der,
    subject: wholeOf(subject).toString('hex'),
    issuer: wholeOf(issuer).toString('hex'),
    subjectContent: contentOf(subject),
    algorithm: contentOf(identifier).toString('hex'),
    extended: listed !== undefined,
    ...times,
    ...facts,
  };
}

function extensionsOf(listed: Der): Extension[] | null {
  const list = insideOf(listed);
  const parts = list?.tag === SEQUENCE ? partsOf(list) : null;
  if (parts === null) return null;
  const extensions: Extension[] = [];
  for (const part of parts) {
    const [type, ...rest] = partsOf(part) ?? [];
    const value = rest.at(-1);
    if (type?.tag !== OID || value?.tag !== OCTET_STRING || rest.length > 2) return null;
    const critical = rest.length === 2 && rest[0]!.tag === BOOLEAN && contentOf(rest[0]!)[0] !== 0;
    const name = contentOf(type).toString('hex');
    if (extensions.some((other) => other.type === name)) return null;
    extensions.push({ type: name, critical, value });
  }
  return extensions;
}

type Facts = Pick<
  Certificate,
  'isAuthority' | 'pathLength' | 'keyUsage' | 'purposes' | 'names' | 'constraints' | 'unknownCritical'
>;

/** Null where an extension that counts cannot be read. */
function factsOf(extensions: readonly Extension[]): Facts | null {
  let [isAuthority, unknownCritical] = [false, false];
  let pathLength: number | null = null;
  let keyUsage: number | null = null;
  let purposes: readonly string[] | null = null;
  let names: Names | null = namesNone();
  let constraints: NameConstraints | null = null;
  for (const { type, critical, value } of extensions) {
    const inside = insideOf(value);
    switch (type) {
      case BASIC_CONSTRAINTS: {
        const parts = inside?.tag === SEQUENCE ? partsOf(inside) : null;
        if (parts === null) return null;
        isAuthority = parts[0]?.tag === BOOLEAN && contentOf(parts[0])[0] !== 0;
        const last = parts.at(-1);
        if (last?.tag === INTEGER) pathLength = lengthOf(last);
        break;
      }
      case KEY_USAGE:
        if (inside?.tag !== BIT_STRING) return null;
        keyUsage = contentOf(inside)[1] ?? 0;
        break;
      case EXTENDED_KEY_USAGE:
        purposes = (inside === null ? null : partsOf(inside))?.map((part) => contentOf(part).toString('hex')) ?? null;
        if (purposes === null) return null;
        break;
      case SUBJECT_ALT_NAME:
        names = inside === null ? null : namesIn(partsOf(inside));
        if (names === null) return null;
        break;
      case NAME_CONSTRAINTS:
        constraints = constraintsIn(inside);
        if (constraints === null) return null;
        break;
      case CERTIFICATE_POLICIES:
        // Any policy will do.
        break;
      default:
        unknownCritical ||= critical;
    }
  }
  return { isAuthority, pathLength, keyUsage, purposes, names, constraints, unknownCritical };
}

/** A length that nobody reaches counts as that of the longest chain. */
function lengthOf(value: Der): number {
  const content = contentOf(value);
  return content.length === 1 ? content[0]! & 0x7f : 0x7f;
}

function namesNone(): Names {
  return { dns: [], addresses: [], directories: [], others: [] };
}

function namesIn(parts: readonly Der[] | null): Names | null {
  if (parts === null) return null;
  const names = namesNone();
  for (const part of parts) {
    if (part.tag === DNS) names.dns.push(contentOf(part).toString('latin1'));
    else if (part.tag === ADDRESS) names.addresses.push(contentOf(part));
    else if (part.tag === DIRECTORY) {
      const name = insideOf(part);
      if (name === null) return null;
      names.directories.push(contentOf(name));
    } else names.others.push(part.tag);
  }
  return names;
}

function constraintsIn(inside: Der | null): NameConstraints | null {
  const lists = inside?.tag === SEQUENCE ? partsOf(inside) : null;
  if (lists === null) return null;
  let [permitted, excluded]: [Names | null, Names | null] = [namesNone(), namesNone()];
  for (const list of lists) {
    const bases: Der[] = [];
    for (const subtree of partsOf(list) ?? []) {
      const base = readDer(subtree.bytes, subtree.start, subtree.end);
      if (base === null) return null;
      bases.push(base);
    }
    const names = bases.length === 0 ? null : namesIn(bases);
    if (names === null) return null;
    if (list.tag === 0xa0) permitted = names;
    else if (list.tag === 0xa1) excluded = names;
    else return null;
  }
  return { permitted, excluded };
}
