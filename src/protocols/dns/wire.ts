// The numbers of DNS on the wire: header flags, opcodes, response codes, options, extended errors (RFC 1035, 6891, 6895, 8914).

export const HEADER_BYTES = 12;
/** Octets of a message over UDP without EDNS (RFC 1035 §4.2.1). */
export const UDP_BYTES_PLAIN = 512;
export const MESSAGE_BYTES_MAX = 0xffff;

export const QR = 0x8000;
export const AA = 0x0400;
export const TC = 0x0200;
export const RD = 0x0100;
export const RA = 0x0080;
export const AD = 0x0020;
export const CD = 0x0010;
export const OPCODE_BITS = 0x7800;

/** In the flags of EDNS (RFC 3225 §3). */
export const DO = 0x8000;

export const OPCODE = { QUERY: 0, IQUERY: 1, STATUS: 2, NOTIFY: 4, UPDATE: 5, DSO: 6 } as const;

export const RCODE = {
  NOERROR: 0,
  FORMERR: 1,
  SERVFAIL: 2,
  NXDOMAIN: 3,
  NOTIMP: 4,
  REFUSED: 5,
  YXDOMAIN: 6,
  YXRRSET: 7,
  NXRRSET: 8,
  NOTAUTH: 9,
  NOTZONE: 10,
  BADVERS: 16,
  BADKEY: 17,
  BADTIME: 18,
  BADTRUNC: 22,
  BADCOOKIE: 23,
} as const;
/** The same number in the error field of TSIG (RFC 8945 §3). */
export const BADSIG = 16;

const RCODE_NAMES: ReadonlyMap<number, string> = new Map(Object.entries(RCODE).map(([name, code]) => [code, name]));
const OPCODE_NAMES: ReadonlyMap<number, string> = new Map(Object.entries(OPCODE).map(([name, code]) => [code, name]));

export function rcodeName(code: number): string {
  return RCODE_NAMES.get(code) ?? `RCODE${code}`;
}

export function opcodeName(code: number): string {
  return OPCODE_NAMES.get(code) ?? `OPCODE${code}`;
}

export const OPTION = {
  NSID: 3,
  DAU: 5,
  DHU: 6,
  N3U: 7,
  ECS: 8,
  EXPIRE: 9,
  COOKIE: 10,
  KEEPALIVE: 11,
  PADDING: 12,
  CHAIN: 13,
  KEYTAG: 14,
  EDE: 15,
  REPORT_CHANNEL: 18,
  ZONEVERSION: 19,
} as const;

const OPTION_NAMES: ReadonlyMap<number, string> = new Map(Object.entries(OPTION).map(([name, code]) => [code, name]));

export function optionName(code: number): string {
  return OPTION_NAMES.get(code) ?? `OPT${code}`;
}

/** Extended errors (RFC 8914 §5.2, RFC 9567). */
export const EDE = {
  OTHER: 0,
  UNSUPPORTED_ALGORITHM: 1,
  UNSUPPORTED_DS_DIGEST: 2,
  STALE: 3,
  FORGED: 4,
  INDETERMINATE: 5,
  BOGUS: 6,
  EXPIRED: 7,
  NOT_YET_VALID: 8,
  DNSKEY_MISSING: 9,
  RRSIGS_MISSING: 10,
  NO_ZONE_KEY: 11,
  NSEC_MISSING: 12,
  CACHED_ERROR: 13,
  NOT_READY: 14,
  BLOCKED: 15,
  CENSORED: 16,
  FILTERED: 17,
  PROHIBITED: 18,
  STALE_NXDOMAIN: 19,
  NOT_AUTHORITATIVE: 20,
  NOT_SUPPORTED: 21,
  NO_REACHABLE_AUTHORITY: 22,
  NETWORK_ERROR: 23,
  INVALID_DATA: 24,
  SIGNATURE_EXPIRED_BEFORE_VALID: 25,
  TOO_EARLY: 26,
  UNSUPPORTED_NSEC3_ITERATIONS: 27,
} as const;

export const EDE_TEXTS: readonly string[] = [
  ...['Other Error', 'Unsupported DNSKEY Algorithm', 'Unsupported DS Digest Type', 'Stale Answer', 'Forged Answer'],
  ...['DNSSEC Indeterminate', 'DNSSEC Bogus', 'Signature Expired', 'Signature Not Yet Valid', 'DNSKEY Missing'],
  ...['RRSIGs Missing', 'No Zone Key Bit Set', 'NSEC Missing', 'Cached Error', 'Not Ready', 'Blocked', 'Censored'],
  ...['Filtered', 'Prohibited', 'Stale NXDOMAIN Answer', 'Not Authoritative', 'Not Supported'],
  ...['No Reachable Authority', 'Network Error', 'Invalid Data', 'Signature Expired before Valid', 'Too Early'],
  ...['Unsupported NSEC3 Iterations Value'],
];
