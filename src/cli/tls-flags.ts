// What the commands check of servers that they reach over TLS, and what they show of themselves.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { isLoopback } from '../core/peer.ts';
import type { TlsOptions } from '../exports/loop.ts';
import { CERTIFICATE_FOLDER } from '../security/certificates.ts';
import { complain, EXIT, fail } from './output.ts';

export interface TlsFlags {
  readonly cacert?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly insecure?: boolean;
}

/** Schemes with TLS from the first byte. */
const SECURE = new Set([
  'https',
  'wss',
  'sses',
  'mqtts',
  'tls',
  'grpcs',
  'connects',
  'graphqls',
  'soaps',
  'davs',
  'ftps',
  'smtps',
  'imaps',
  'pop3s',
]);

export function isSecure(scheme: string): boolean {
  return SECURE.has(scheme);
}

export function addTls(command: Command): Command {
  return command
    .option('--cacert <file>', 'PEM of the authorities to trust, as portico cert root prints it')
    .option('--cert <file>', 'PEM of a certificate to show')
    .option('--key <file>', 'PEM of its key')
    .option('--insecure', 'trust whoever answers');
}

/** How TLS is spoken to a host; null for a scheme without it. Ends the command when a file cannot be read. */
export function tlsFor(scheme: string, host: string, flags: TlsFlags): TlsOptions | null {
  if (!isSecure(scheme)) {
    const given = Object.entries({ cacert: flags.cacert, cert: flags.cert, key: flags.key, insecure: flags.insecure });
    const [named] = given.find(([, value]) => value !== undefined) ?? [];
    if (named !== undefined) fail(`--${named} is for ${[...SECURE].join(': ')}:`, EXIT.usage);
    return null;
  }
  if ((flags.cert === undefined) !== (flags.key === undefined)) fail('--cert and --key belong together', EXIT.usage);
  const authorities = flags.cacert === undefined ? ownRoot(host) : file(flags.cacert);
  if (flags.insecure === true) complain(`--insecure: whoever answers as ${host} is believed`);
  return {
    ...(authorities === null ? {} : { authorities }),
    ...(flags.cert === undefined ? {} : { certificate: file(flags.cert), key: file(flags.key!) }),
    ...(flags.insecure === true ? { verify: false } : {}),
  };
}

/** Of this machine: the authority of the data folder here vouches for it, without being asked for. */
function ownRoot(host: string): string | null {
  const isHere = host === 'localhost' || host.endsWith('.localhost') || isLoopback(host);
  const path = join(process.env.PORTICO_DATA ?? 'portico-data', CERTIFICATE_FOLDER, 'root.crt');
  return isHere && existsSync(path) ? readFileSync(path, 'utf8') : null;
}

function file(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    return fail(`${path} cannot be read: ${(error as Error).message}`, EXIT.usage);
  }
}

/** What a person can do about a handshake that failed; `''` for what is none. */
export function tlsHint(why: string): string {
  if (/self.signed|unable to (?:get|verify)|issuer|UNABLE_TO|SELF_SIGNED/i.test(why))
    return '; nobody trusted vouches for it: portico cert root > root.pem and --cacert root.pem, or portico trust';
  if (/altname|does not match|ALTNAME/i.test(why)) return '; its certificate is for other names';
  if (/expired|EXPIRED|not yet valid/i.test(why)) return '; its certificate is not good at this time';
  if (/wrong version|packet length|handshake failed/i.test(why)) return '; is it a port with TLS?';
  return '';
}
