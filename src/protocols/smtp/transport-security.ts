// What a domain says of the TLS that its mail is to come in: policies of MTA-STS (RFC 8461) and TLSA records (RFC 7672), read and held
// against hosts and certificates. It fetches nothing.
import { createHash, X509Certificate } from 'node:crypto';
import { BAD } from '../../bytes/reader.ts';

export interface StsPolicy {
  readonly mode: 'enforce' | 'testing' | 'none';
  /** Names of hosts, `*.` for one label. */
  readonly hosts: readonly string[];
  readonly maxAgeSeconds: number;
}

const MAX_AGE_MOST = 31_557_600;

/** The `id` of the policy that a TXT record announces (RFC 8461 §3.1); null where none is, or several are. */
export function stsId(values: readonly string[]): string | null {
  const ids = values.flatMap((value) => {
    const parts = /^v=STSv1\s*;(?:.*;)?\s*id=([A-Za-z0-9]{1,32})\s*(?:;|$)/.exec(value);
    return parts === null ? [] : [parts[1]!];
  });
  return ids.length === 1 ? ids[0]! : null;
}

/** RFC 8461 §3.2; null for what is no policy. */
export function readStsPolicy(text: string): StsPolicy | null {
  const fields = new Map<string, string>();
  const hosts: string[] = [];
  for (const line of text.split(/\r?\n/)) {
    const parts = /^([A-Za-z0-9][\w.-]{0,31}):[ \t]*(.*?)[ \t]*$/.exec(line);
    if (parts === null) continue;
    const [, name = '', value = ''] = parts;
    if (name === 'mx') hosts.push(value.toLowerCase());
    else if (!fields.has(name)) fields.set(name, value);
  }
  const mode = fields.get('mode');
  const age = fields.get('max_age') ?? '';
  if (fields.get('version') !== 'STSv1' || !/^\d{1,10}$/.test(age)) return null;
  if (mode !== 'enforce' && mode !== 'testing' && mode !== 'none') return null;
  if (hosts.length === 0 && mode !== 'none') return null;
  return { mode, hosts: hosts.slice(0, 100), maxAgeSeconds: Math.min(Number(age), MAX_AGE_MOST) };
}

/** RFC 8461 §4.1. */
export function mayTake({ hosts }: StsPolicy, host: string): boolean {
  const name = host.toLowerCase().replace(/\.$/, '');
  return hosts.some((pattern) =>
    pattern.startsWith('*.')
      ? name.slice(name.indexOf('.') + 1) === pattern.slice(2) && name.includes('.')
      : name === pattern,
  );
}

/** `3 1 1 0a1b…` (RFC 6698 §2.1). */
export interface TlsaRecord {
  /** 2: an authority of its own; 3: the very certificate. Others are of no use for mail (RFC 7672 §3.1.3). */
  readonly usage: 2 | 3;
  readonly selector: 0 | 1;
  readonly matching: 0 | 1 | 2;
  readonly data: string;
}

/** Those that mail can use. */
export function usableTlsa(values: readonly string[]): TlsaRecord[] {
  return values.flatMap((value) => {
    const [usage = '', selector = '', matching = '', ...rest] = value.trim().split(/\s+/);
    const data = rest.join('').toLowerCase();
    if (!/^[23] [01] [012]$/.test(`${usage} ${selector} ${matching}`) || !/^(?:[0-9a-f]{2})+$/.test(data)) return [];
    return [{ usage: Number(usage), selector: Number(selector), matching: Number(matching), data } as TlsaRecord];
  });
}

/** Why a server's certificates, its own first, are not those that the records name; null when they are (RFC 7672 §3.1, §3.2). */
export function judgeTlsa(
  records: readonly TlsaRecord[],
  chain: readonly Uint8Array[],
  names: readonly string[],
  wall: number,
): string | null {
  const certificates = chain.map(read).filter((one) => one !== BAD) as X509Certificate[];
  const [own] = certificates;
  if (own === undefined || certificates.length !== chain.length) return 'its certificate cannot be read';
  // The very certificate, or its key: neither its names nor its dates matter (RFC 7672 §3.1.1).
  if (records.some((record) => record.usage === 3 && fits(record, own))) return null;
  for (const record of records) {
    if (record.usage !== 2) continue;
    const at = certificates.findIndex((one, index) => index > 0 && fits(record, one));
    if (
      at > 0 &&
      isChain(certificates.slice(0, at + 1), wall) &&
      names.some((name) => own.checkHost(name) !== undefined)
    )
      return null;
  }
  return 'its certificate is none that its domain names (DANE)';
}

function read(der: Uint8Array): X509Certificate | typeof BAD {
  try {
    return new X509Certificate(der);
  } catch {
    return BAD;
  }
}

function fits({ selector, matching, data }: TlsaRecord, one: X509Certificate): boolean {
  const bytes = selector === 0 ? one.raw : one.publicKey.export({ type: 'spki', format: 'der' });
  const shown =
    matching === 0
      ? bytes
      : createHash(matching === 1 ? 'sha256' : 'sha512')
          .update(bytes)
          .digest();
  return shown.toString('hex') === data;
}

/** Each is issued and signed by the next, and good now. */
function isChain(certificates: readonly X509Certificate[], wall: number): boolean {
  return certificates.every((one, at) => {
    const issuer = certificates[at + 1];
    const isNow = Date.parse(one.validFrom) <= wall && wall <= Date.parse(one.validTo);
    return isNow && (issuer === undefined || (issuer.ca && one.checkIssued(issuer) && one.verify(issuer.publicKey)));
  });
}
