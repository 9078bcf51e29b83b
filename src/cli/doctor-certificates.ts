// What `portico doctor` says of certificates: what is about to end, what cannot be used, and keys that others may read. It
// makes and renews nothing.
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config.ts';
import { DAY, pemBlocks } from '../security/certificate.ts';
import { CERTIFICATE_FOLDER } from '../security/certificates.ts';
import { checkPair, type FilePair } from '../security/own-files.ts';
import { readCertificate } from '../security/reading.ts';
import type { Finding } from './doctor-checks.ts';

const SOON = 14 * DAY;
const check = 'certificates';

export function checkCertificates(config: Config, wall: number): Finding[] {
  const found = config.certificates.files.flatMap((pair) => filesFindings(pair, wall));
  const folder = join(config.data, CERTIFICATE_FOLDER);
  if (config.storage !== 'memory' && existsSync(folder)) found.push(...folderFindings(folder, wall));
  if (found.length > 0) return found;
  return [{ check, result: 'ok', text: 'the certificates are valid for two weeks at least, or made at the start' }];
}

function filesFindings({ certificate, key, names }: FilePair, wall: number): Finding[] {
  const mend = 'see what keeps it up; until then the server shows the former, or its own';
  try {
    const checked = checkPair(readFileSync(certificate, 'utf8'), readFileSync(key, 'utf8'), wall, names);
    if (typeof checked === 'string') return [{ check, result: 'fail', text: `${certificate}: ${checked}`, mend }];
    return endFindings(certificate, checked.facts.to, wall, mend);
  } catch (error) {
    return [{ check, result: 'fail', text: error instanceof Error ? error.message : String(error), mend }];
  }
}

function folderFindings(folder: string, wall: number): Finding[] {
  const found: Finding[] = [];
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    if (!name.endsWith('.pem')) continue;
    if (process.platform !== 'win32' && (statSync(path).mode & 0o077) !== 0)
      found.push({ check, result: 'fail', text: `others may read the key in ${path}`, mend: `chmod 600 ${path}` });
    const [der] = pemBlocks(readFileSync(path, 'utf8'), 'CERTIFICATE');
    const facts = der === undefined ? null : readCertificate(der);
    if (facts === null) found.push({ check, result: 'fail', text: `${path} cannot be read`, mend: 'restore it' });
    else if (name === 'root.pem')
      found.push(...endFindings(path, facts.to, wall, 'move the folder away, start anew, and portico trust'));
    else if (name === 'server.pem') found.push(...endFindings(path, facts.to, wall, 'start the server: it renews it'));
    else if (name.startsWith('imported-')) found.push(...endFindings(path, facts.to, wall, 'import the next one'));
    else if (name.startsWith('obtained-'))
      found.push(...endFindings(path, facts.to, wall, 'start the server, and see in its log why it is not renewed'));
  }
  return found;
}

function endFindings(path: string, to: number, wall: number, mend: string): Finding[] {
  const day = new Date(to).toISOString().slice(0, 10);
  if (to <= wall) return [{ check, result: 'fail', text: `${path} expired on ${day}`, mend }];
  return to - wall < SOON ? [{ check, result: 'warn', text: `${path} expires on ${day}`, mend }] : [];
}
