// All types of records in current use: number, name, and the fields of their data. What is not here is carried as RFC 3597
// says, in `\#`.
import { BAD, u16 } from '../../bytes/reader.ts';
import { FIELDS, type Field, named } from './fields.ts';
import { loc } from './loc.ts';
import { svcParams } from './svcb.ts';

export const TYPE = {
  A: 1,
  NS: 2,
  MD: 3,
  MF: 4,
  CNAME: 5,
  SOA: 6,
  MB: 7,
  MG: 8,
  MR: 9,
  NULL: 10,
  PTR: 12,
  HINFO: 13,
  MINFO: 14,
  MX: 15,
  TXT: 16,
  RP: 17,
  AFSDB: 18,
  RT: 21,
  SIG: 24,
  KEY: 25,
  PX: 26,
  AAAA: 28,
  LOC: 29,
  SRV: 33,
  NAPTR: 35,
  KX: 36,
  CERT: 37,
  DNAME: 39,
  OPT: 41,
  APL: 42,
  DS: 43,
  SSHFP: 44,
  IPSECKEY: 45,
  RRSIG: 46,
  NSEC: 47,
  DNSKEY: 48,
  DHCID: 49,
  NSEC3: 50,
  NSEC3PARAM: 51,
  TLSA: 52,
  SMIMEA: 53,
  HIP: 55,
  CDS: 59,
  CDNSKEY: 60,
  OPENPGPKEY: 61,
  CSYNC: 62,
  ZONEMD: 63,
  SVCB: 64,
  HTTPS: 65,
  DSYNC: 66,
  SPF: 99,
  NID: 104,
  L32: 105,
  L64: 106,
  LP: 107,
  EUI48: 108,
  EUI64: 109,
  TKEY: 249,
  TSIG: 250,
  IXFR: 251,
  AXFR: 252,
  MAILB: 253,
  MAILA: 254,
  ANY: 255,
  URI: 256,
  CAA: 257,
  RESINFO: 261,
  WALLET: 262,
  TA: 32768,
  DLV: 32769,
} as const;

const BY_NAME: ReadonlyMap<string, number> = new Map(Object.entries(TYPE));
const BY_NUMBER: ReadonlyMap<number, string> = new Map([...BY_NAME].map(([name, type]) => [type, name]));

/** `MX`, or `TYPE65280` for one that has no name (RFC 3597 §5). */
export function typeName(type: number): string {
  return BY_NUMBER.get(type) ?? `TYPE${type}`;
}

/** The number of a type; -1 for what is none. */
export function typeFrom(text: string): number {
  const known = BY_NAME.get(text) ?? BY_NAME.get(text.toUpperCase());
  return known ?? numbered('TYPE', text);
}

function numbered(prefix: string, text: string): number {
  const upper = text.toUpperCase();
  if (!upper.startsWith(prefix)) return -1;
  const digits = upper.slice(prefix.length);
  return /^\d{1,5}$/.test(digits) && Number(digits) <= 0xffff ? Number(digits) : -1;
}

export const CLASS = { IN: 1, CH: 3, HS: 4, NONE: 254, ANY: 255 } as const;

const CLASSES: ReadonlyMap<string, number> = new Map(Object.entries(CLASS));
const CLASS_NAMES: ReadonlyMap<number, string> = new Map([...CLASSES].map(([name, number]) => [number, name]));

export function className(number: number): string {
  return CLASS_NAMES.get(number) ?? `CLASS${number}`;
}

export function classFrom(text: string): number {
  return CLASSES.get(text.toUpperCase()) ?? numbered('CLASS', text);
}

/** Types that are asked for and never stored (RFC 6895 §3.1). */
export function isMetaType(type: number): boolean {
  return type === TYPE.OPT || (type >= 128 && type <= 255);
}

/** Mnemonics of the algorithms of DNSSEC, which are read but written as numbers (RFC 4034 appendix A.1). */
const ALGORITHMS = new Map(
  Object.entries({
    RSAMD5: 1,
    DH: 2,
    DSA: 3,
    RSASHA1: 5,
    'DSA-NSEC3-SHA1': 6,
    'RSASHA1-NSEC3-SHA1': 7,
    RSASHA256: 8,
    RSASHA512: 10,
    ECDSAP256SHA256: 13,
    ECDSAP384SHA384: 14,
    ED25519: 15,
    ED448: 16,
    INDIRECT: 252,
    PRIVATEDNS: 253,
    PRIVATEOID: 254,
  }),
);

/** RFC 4398 §2.1. */
const CERTIFICATES = new Map(
  Object.entries({ PKIX: 1, SPKI: 2, PGP: 3, IPKIX: 4, ISPKI: 5, IPGP: 6, ACPKIX: 7, IACPKIX: 8, URI: 253, OID: 254 }),
);

const algorithm = named(1, ALGORITHMS, false);

const covered: Field = {
  size: FIELDS.u16.size,
  write: (words, out) => {
    const type = typeFrom(words.next());
    if (type >= 0) out.u16(type);
    return type >= 0;
  },
  text: (bytes, at) => typeName(u16(bytes, at)),
};

/** The bit map of types (RFC 4034 §4.1.2). */
const types: Field = {
  size: (bytes, at, end) => {
    let before = -1;
    while (at < end) {
      if (at + 2 > end || bytes[at]! <= before) return BAD;
      before = bytes[at]!;
      const size = bytes[at + 1]!;
      if (size < 1 || size > 32 || at + 2 + size > end) return BAD;
      at += 2 + size;
      // Octets that are zero at the end are left out, and so are blocks of them alone.
      if (bytes[at - 1] === 0) return BAD;
    }
    return at;
  },
  write: (words, out) => {
    const listed: number[] = [];
    while (words.left > 0) listed.push(typeFrom(words.next()));
    if (listed.includes(-1)) return false;
    const map = typesMap(listed);
    out.copy(map, 0, map.length);
    return true;
  },
  text: (bytes, at, end) => typesOf(bytes, at, end).map(typeName).join(' '),
};

/** The types in a bit map, ascending. */
export function typesOf(bytes: Uint8Array, at: number, end: number): number[] {
  const found: number[] = [];
  while (at + 2 <= end) {
    const high = bytes[at]! << 8;
    const size = bytes[at + 1]!;
    for (let index = 0; index < size * 8; index++)
      if (bytes[at + 2 + (index >>> 3)]! & (0x80 >>> (index & 7))) found.push(high | index);
    at += 2 + size;
  }
  return found;
}

/** The bit map of these types. */
export function typesMap(listed: readonly number[]): Uint8Array {
  const map: number[] = [];
  const sorted = [...new Set(listed)].sort((a, b) => a - b);
  for (let index = 0; index < sorted.length; ) {
    const high = sorted[index]! >>> 8;
    const bits = new Uint8Array(32);
    let size = 0;
    for (; index < sorted.length && sorted[index]! >>> 8 === high; index++) {
      const low = sorted[index]! & 0xff;
      bits[low >>> 3]! |= 0x80 >>> (low & 7);
      size = (low >>> 3) + 1;
    }
    map.push(high, size, ...bits.subarray(0, size));
  }
  return Uint8Array.from(map);
}

const { u8, u16: short, u32: long, compressed, name, plain, string, strings, hex, base64, seconds } = FIELDS;

const DIGEST = [short, algorithm, u8, hex];
const KEYS = [short, u8, algorithm, base64];
const SIGNATURE = [covered, algorithm, u8, seconds, FIELDS.time, FIELDS.time, short, name, base64];
const ASSOCIATION = [u8, u8, u8, hex];
const SERVICE = [short, plain, svcParams];

/** By type: what its data is made of. */
const FORMS: ReadonlyMap<number, readonly Field[]> = new Map<number, readonly Field[]>([
  [TYPE.A, [FIELDS.ipv4]],
  [TYPE.NS, [compressed]],
  [TYPE.MD, [compressed]],
  [TYPE.MF, [compressed]],
  [TYPE.CNAME, [compressed]],
  [TYPE.SOA, [compressed, compressed, long, seconds, seconds, seconds, seconds]],
  [TYPE.MB, [compressed]],
  [TYPE.MG, [compressed]],
  [TYPE.MR, [compressed]],
  [TYPE.PTR, [compressed]],
  [TYPE.HINFO, [string, string]],
  [TYPE.MINFO, [compressed, compressed]],
  [TYPE.MX, [short, compressed]],
  [TYPE.TXT, [strings]],
  [TYPE.RP, [name, name]],
  [TYPE.AFSDB, [short, name]],
  [TYPE.RT, [short, name]],
  [TYPE.SIG, SIGNATURE],
  [TYPE.KEY, KEYS],
  [TYPE.PX, [short, name, name]],
  [TYPE.AAAA, [FIELDS.ipv6]],
  [TYPE.LOC, [loc]],
  [TYPE.SRV, [short, short, short, name]],
  [TYPE.NAPTR, [short, short, string, string, string, name]],
  [TYPE.KX, [short, name]],
  [TYPE.CERT, [named(2, CERTIFICATES, true), short, algorithm, base64]],
  [TYPE.DNAME, [name]],
  [TYPE.DS, DIGEST],
  [TYPE.SSHFP, [u8, u8, hex]],
  [TYPE.RRSIG, SIGNATURE],
  [TYPE.NSEC, [plain, types]],
  [TYPE.DNSKEY, KEYS],
  [TYPE.DHCID, [base64]],
  [TYPE.NSEC3, [u8, u8, short, FIELDS.salt, FIELDS.hash32, types]],
  [TYPE.NSEC3PARAM, [u8, u8, short, FIELDS.salt]],
  [TYPE.TLSA, ASSOCIATION],
  [TYPE.SMIMEA, ASSOCIATION],
  [TYPE.CDS, DIGEST],
  [TYPE.CDNSKEY, KEYS],
  [TYPE.OPENPGPKEY, [base64]],
  [TYPE.CSYNC, [long, short, types]],
  [TYPE.ZONEMD, [long, u8, u8, hex]],
  [TYPE.SVCB, SERVICE],
  [TYPE.HTTPS, SERVICE],
  [TYPE.DSYNC, [covered, u8, short, plain]],
  [TYPE.SPF, [strings]],
  [TYPE.L32, [short, FIELDS.ipv4]],
  [TYPE.LP, [short, plain]],
  [TYPE.EUI48, [FIELDS.eui48]],
  [TYPE.EUI64, [FIELDS.eui64]],
  [TYPE.TKEY, [plain, FIELDS.time, FIELDS.time, short, short, FIELDS.blob, FIELDS.blob]],
  [TYPE.TSIG, [plain, FIELDS.u48, short, FIELDS.blob, short, short, FIELDS.blob]],
  [TYPE.URI, [short, short, FIELDS.longString]],
  [TYPE.CAA, [u8, FIELDS.tag, FIELDS.longString]],
  [TYPE.RESINFO, [strings]],
  [TYPE.WALLET, [strings]],
  [TYPE.TA, DIGEST],
  [TYPE.DLV, DIGEST],
]);

/** Types up to here are looked up in an array. */
const DENSE = 320;
const FORM_BY_TYPE: (readonly Field[] | null)[] = Array.from({ length: DENSE }, (_, type) => FORMS.get(type) ?? null);
const NAMED: boolean[] = FORM_BY_TYPE.map((form) => form?.some((field) => field.name !== undefined) === true);
const COMPRESSED: boolean[] = FORM_BY_TYPE.map((form) => form?.some((field) => field.name?.compressed) === true);

/** The fields of a type; null for one that is carried as it is. */
export function formOf(type: number): readonly Field[] | null {
  return type < DENSE ? FORM_BY_TYPE[type]! : (FORMS.get(type) ?? null);
}

/** Whether the data holds names. */
export function holdsNames(type: number): boolean {
  return type < DENSE && NAMED[type]!;
}

/** Whether names in the data may be compressed when it is sent (RFC 3597 §4). */
export function isCompressed(type: number): boolean {
  return type < DENSE && COMPRESSED[type]!;
}
