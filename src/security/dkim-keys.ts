// The keys that mail of this server is signed with: made on the first run, RSA and Ed25519 for each domain, and the same ever after. They
// lie in the data folder in PEM, and may be replaced by others; beside them, for who runs the zone, the records that go with them.
import { createPrivateKey, generateKeyPair, type KeyObject } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../core/log.ts';

/** Within the data folder. */
export const DKIM_FOLDER = 'dkim';
const RSA_BITS = 2_048;
const KINDS = ['rsa', 'ed25519'] as const;

export interface DkimKey {
  readonly domain: string;
  readonly selector: string;
  readonly key: KeyObject;
}

/** Without a folder, of this process only. Rejects with what the system says of the files. */
export async function openDkimKeys(data: string | null, domains: readonly string[], log: Log): Promise<DkimKey[]> {
  const keys: DkimKey[] = [];
  for (const domain of domains)
    for (const kind of KINDS) {
      const path = data === null ? null : join(data, DKIM_FOLDER, `${domain}.${kind}.pem`);
      const isThere = path !== null && existsSync(path);
      const key = isThere ? createPrivateKey(readFileSync(path)) : await makeKey(kind);
      if (path !== null && !isThere) {
        mkdirSync(join(path, '..'), { recursive: true, mode: 0o700 });
        writeFileSync(path, key.export({ format: 'pem', type: 'pkcs8' }), { mode: 0o600 });
        log.info('made a key to sign mail with', { domain, kind, file: path });
      }
      keys.push({ domain, selector: `portico-${kind}`, key });
    }
  return keys;
}

/** Puts the records beside the keys, as they stand in a master file. */
export function writeDkimRecords(data: string, domain: string, lines: readonly string[]): void {
  writeFileSync(join(data, DKIM_FOLDER, `${domain}.zone`), `${lines.join('\n')}\n`);
}

function makeKey(kind: (typeof KINDS)[number]): Promise<KeyObject> {
  return new Promise((resolve, reject) => {
    const done = (error: Error | null, _publicKey: KeyObject, privateKey: KeyObject) => {
      if (error === null) resolve(privateKey);
      else reject(error);
    };
    if (kind === 'ed25519') generateKeyPair('ed25519', {}, done);
    else generateKeyPair('rsa', { modulusLength: RSA_BITS }, done);
  });
}
