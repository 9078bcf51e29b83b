// `portico cert show`: what stands in the certificates of a file or a server, and what was checked by who issued them.
import { existsSync, readFileSync } from 'node:fs';
import { pemBlocks } from '../security/certificate.ts';
import type { Certificates } from '../security/certificates.ts';
import { isAddress } from '../security/names.ts';
import { OIDS, VALIDATION_TEXT } from '../security/oids.ts';
import { type CertificateFacts, readCertificate } from '../security/reading.ts';
import { type PeerChain, peerChain } from '../transports/peer-chain.ts';
import { bold, EXIT, fail, visible } from './output.ts';

const WAIT_MS = 10_000;

/** Prints one line of JSON, or a block for each certificate of the chain. */
export async function showCertificates(
  what: string,
  { json }: { readonly json?: boolean },
  certificates: Certificates,
): Promise<void> {
  const { chain, peer } = existsSync(what) ? fileChain(what) : await serverChain(what);
  const values = chain.map((facts) => shownOf(facts, certificates));
  if (json === true) {
    process.stdout.write(
      `${JSON.stringify({ certificates: values, ...(peer === null ? {} : { tls: tlsOf(peer) }) })}\n`,
    );
    return;
  }
  const blocks = values.map((value, index) => blockOf(value, index));
  if (peer !== null) {
    const { version, cipher, alpn, distrust } = peer;
    const trust = distrust === '' ? 'trusted by this machine' : `not trusted by this machine: ${distrust}`;
    blocks.push(`${bold('Handshake')}\n  ${version}, ${cipher}${alpn === null ? '' : `, ${alpn}`}; ${trust}\n`);
  }
  process.stdout.write(blocks.join(''));
}

interface Shown {
  readonly chain: readonly CertificateFacts[];
  readonly peer: PeerChain | null;
}

function tlsOf({ version, cipher, alpn, distrust }: PeerChain): object {
  return { version, cipher, alpn, trusted: distrust === '', distrust };
}

function fileChain(path: string): Shown {
  const bytes = readFileSync(path);
  const blocks = pemBlocks(bytes.toString('latin1'), 'CERTIFICATE');
  const chain = (blocks.length === 0 ? [bytes] : blocks).map(readCertificate);
  if (!chain.every((facts) => facts !== null))
    fail(`${path} has no certificate, in PEM or DER, that can be read`, EXIT.io);
  return { chain: chain as CertificateFacts[], peer: null };
}

async function serverChain(what: string): Promise<Shown> {
  const match = /^(?:\w+:\/\/)?(\[[^\]]+\]|[^:/]+):(\d{1,5})\/?$/.exec(what);
  if (match === null) fail(`${what} is no file here, and not of the form host:port`, EXIT.usage);
  const host = match[1]!.replace(/^\[|\]$/g, '');
  const serverName = isAddress(host) ? '' : host;
  const plan = { host, port: Number(match[2]), serverName, waitMs: WAIT_MS };
  try {
    const peer = await peerChain(plan);
    const chain = peer.chain.map(readCertificate).filter((facts) => facts !== null);
    return { chain, peer };
  } catch (error) {
    return fail(`${what}: ${error instanceof Error ? error.message : String(error)}`, EXIT.unavailable);
  }
}

function shownOf(facts: CertificateFacts, { authority }: Certificates) {
  const { subject, issuer, serial, names, uris, policies, validation, constraints, fingerprint, purposes } = facts;
  const isOurs =
    authority.root.id === facts.authorityKey || authority.intermediates.some(({ id }) => id === facts.authorityKey);
  return {
    subject,
    issuer,
    serial,
    names,
    uris,
    from: new Date(facts.from).toISOString(),
    until: new Date(facts.to).toISOString(),
    purposes: purposes.map((oid) => PURPOSES[oid] ?? oid),
    policies,
    validation,
    authority: facts.isAuthority,
    constraints: constraints === null ? null : constraints.text.split(' '),
    fingerprint,
    issuedHere: isOurs,
    revoked: authority.issued.revoked(serial) !== null,
  };
}

const PURPOSES: Readonly<Record<string, string>> = { [OIDS.serverAuth]: 'server', [OIDS.clientAuth]: 'client' };

function blockOf(value: ReturnType<typeof shownOf>, index: number): string {
  const rows: [string, string][] = [
    ['issuer', value.issuer],
    ['serial', value.serial],
    ['valid', `${value.from} to ${value.until}`],
  ];
  if (value.names.length > 0) rows.push(['names', value.names.join(' ')]);
  if (value.uris.length > 0) rows.push(['uris', value.uris.join(' ')]);
  if (value.purposes.length > 0) rows.push(['for', value.purposes.join(', ')]);
  if (value.validation !== null) rows.push(['validation', `${value.validation}: ${VALIDATION_TEXT[value.validation]}`]);
  else if (!value.authority) rows.push(['validation', 'says neither DV, OV nor EV: of no public authority']);
  if (value.policies.length > 0) rows.push(['policies', value.policies.join(' ')]);
  if (value.constraints !== null) rows.push(['permits', value.constraints.join(' ')]);
  rows.push(['SHA-256', value.fingerprint]);
  if (value.issuedHere) rows.push(['here', value.revoked ? 'issued here, and revoked' : 'issued here']);
  const title = value.authority ? 'Authority' : index === 0 ? 'Certificate' : 'Further certificate';
  const text = rows.map(([name, row]) => `  ${name.padEnd(10)} ${visible(row)}\n`).join('');
  return `${bold(`${title} ${visible(value.subject || value.names[0] || '')}`)}\n${text}`;
}
