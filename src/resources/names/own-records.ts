// What a server publishes of itself in its own zone: where it listens, by every record that clients look for, and what its
// names say of mail. It is given facts and knows no listeners.
import { ByteWriter } from '../../bytes/writer.ts';
import { nameFrom } from '../../formats/dns/name.ts';
import { readRdata, typeFrom, Words } from '../../formats/dns/records.ts';
import { ZoneContents } from './contents.ts';

/** One listener. `service` is what SRV calls it (RFC 2782, RFC 6335). */
export interface OwnListener {
  readonly service: string;
  readonly transport: 'tcp' | 'udp';
  readonly port: number;
}

/** What mail says of its domains. */
export interface OwnMail {
  /** The address that reports of DMARC and of TLS are wanted at; null for none. */
  readonly reports: string | null;
  readonly host: string;
  /** Domains within the zone, beside the zone's own name. */
  readonly domains: readonly string[];
  /** The id of the policy of MTA-STS that is served; null where none is. */
  readonly policy: string | null;
}

export interface OwnFacts {
  /** The zone, without the dot at the end. */
  readonly zone: string;
  /** Addresses by which the server is reached. */
  readonly addresses: readonly string[];
  /** Names beside the zone's own, within it. */
  readonly names: readonly string[];
  readonly listeners: readonly OwnListener[];
  /** HTTP over TLS: its port and what it speaks there by ALPN, the best first. */
  readonly https: { readonly port: number; readonly alpn: readonly string[] } | null;
  /** SHA-256 of the public key that listeners with TLS show, in hexadecimal, by port. */
  readonly keys: readonly { readonly port: number; readonly digest: string }[];
  /** Who may issue certificates for its names (RFC 8659). */
  readonly issuers: readonly string[];
  /** Where its mail is taken, and what it says of itself; null where none is. */
  readonly mail: OwnMail | null;
  /** Records of the keys that its mail is signed with, by their names without the last dot (RFC 6376 §3.6.2). */
  readonly mailKeys?: readonly { readonly name: string; readonly text: string }[];
  readonly serial: number;
}

const TTL = 60;

/** The records of a server in its own zone. */
export function ownRecords(facts: OwnFacts): ZoneContents {
  const { zone } = facts;
  const origin = nameFrom(`${zone}.`)!;
  const contents = new ZoneContents(origin);
  const data = new ByteWriter(70_000);
  const add = (name: string, type: string, text: string): void => {
    const owner = nameFrom(name, origin);
    const words = Words.of(text);
    data.cut(0);
    if (owner === null || words === null || readRdata(typeFrom(type), words, data, origin) !== null)
      throw new RangeError(`${name} ${type} ${text} is not a record`);
    contents.add(owner, 0, typeFrom(type), TTL, data.bytes, 0, data.length);
  };
  add('@', 'SOA', `ns hostmaster ${facts.serial} 3600 600 1209600 60`);
  add('@', 'NS', 'ns');
  for (const name of ['@', 'ns', ...facts.names])
    for (const address of facts.addresses) add(name, address.includes(':') ? 'AAAA' : 'A', address);
  for (const { service, transport, port } of facts.listeners) add(`_${service}._${transport}`, 'SRV', `0 0 ${port} @`);
  if (facts.https !== null) {
    const { port, alpn } = facts.https;
    // Clients of https://<zone>/ are sent to the port; those that name it ask below `_<port>` (RFC 9460 §9.1).
    const params = `alpn=${alpn.join(',')}${port === 443 ? '' : ` port=${port}`}`;
    add('@', 'HTTPS', `1 . ${params}`);
    for (const name of facts.names) add(name, 'HTTPS', `1 . ${params}`);
    if (port !== 443) add(`_${port}._https`, 'HTTPS', `1 @ ${params}`);
  }
  nameServers(facts, add);
  for (const { port, digest } of facts.keys) add(`_${port}._tcp`, 'TLSA', `3 1 1 ${digest}`);
  for (const issuer of facts.issuers) add('@', 'CAA', `0 issue "${issuer}"`);
  mailRecords(facts, add);
  for (const { name, text } of facts.mailKeys ?? []) add(`${name}.`, 'TXT', textOf(text));
  data.clear();
  return contents;
}

/** Where this name server is asked within TLS, QUIC and HTTPS (RFC 9461 §3, §5). */
function nameServers({ listeners, https }: OwnFacts, add: (name: string, type: string, text: string) => void): void {
  const secured = listeners.filter(({ service }) => service === 'domain-s');
  const ways = secured.map(({ transport, port }) => `alpn=${transport === 'udp' ? 'doq' : 'dot'} port=${port}`);
  // The path stands in HTTPS whatever else of DNS listens; without DNS there is nothing to ask.
  if (https !== null && listeners.some(({ service }) => service.startsWith('domain')))
    ways.push(`alpn=${https.alpn.join(',')} port=${https.port} dohpath=/dns-query{?dns}`);
  for (const [index, way] of ways.entries()) add('_dns', 'SVCB', `${index + 1} @ ${way}`);
}

/** A name without mail says so, so that nobody can send in it (RFC 7505, RFC 7208, RFC 7489). */
function mailRecords({ mail, addresses }: OwnFacts, add: (name: string, type: string, text: string) => void): void {
  if (mail === null) {
    add('@', 'MX', '0 .');
    add('@', 'TXT', '"v=spf1 -all"');
    add('_dmarc', 'TXT', '"v=DMARC1; p=reject"');
    return;
  }
  const { host, reports, policy } = mail;
  for (const domain of ['@', ...mail.domains]) {
    const below = (label: string) => (domain === '@' ? label : `${label}.${domain}`);
    add(domain, 'MX', `10 ${host}`);
    add(domain, 'TXT', '"v=spf1 mx -all"');
    add(below('_dmarc'), 'TXT', `"v=DMARC1; p=reject${reports === null ? '' : `; rua=mailto:${reports}`}"`);
    // Who sends here may be sure of TLS (RFC 8461 §3.1), and tell when that failed (RFC 8460 §3).
    if (reports !== null) add(below('_smtp._tls'), 'TXT', `"v=TLSRPTv1; rua=mailto:${reports}"`);
    if (policy === null) continue;
    add(below('_mta-sts'), 'TXT', `"v=STSv1; id=${policy}"`);
    for (const address of addresses) add(below('mta-sts'), address.includes(':') ? 'AAAA' : 'A', address);
  }
}

/** A text of any length as strings of 255 octets, which are read as one (RFC 6376 §3.6.2.2). */
function textOf(record: string): string {
  const parts = record.match(/[\s\S]{1,255}/g) ?? [''];
  return parts.map((part) => `"${part.replace(/[\\"]/g, '\\$&')}"`).join(' ');
}
