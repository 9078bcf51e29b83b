// The keys by which clients of SSH know this server: made on the first run, Ed25519 and ECDSA, and the same ever after. They
// lie in the data folder as OpenSSH writes its own, and may be replaced by others in that form.
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ssh2 from 'ssh2';
import type { Log } from '../core/log.ts';

/** Within the data folder. */
export const HOST_KEY_FOLDER = 'ssh';
const KINDS = [
  ['ed25519', undefined],
  ['ecdsa', 256],
] as const;

/** Private keys in OpenSSH's form; without a folder, of this process only. Throws what the system says of the files. */
export function openHostKeys(data: string | null, log: Log): readonly string[] {
  return KINDS.map(([kind, bits]) => {
    const path = data === null ? null : join(data, HOST_KEY_FOLDER, `ssh_host_${kind}_key`);
    if (path !== null && existsSync(path)) {
      const text = readFileSync(path, 'utf8');
      const key = ssh2.utils.parseKey(text);
      if (key instanceof Error) throw new Error(`${path} is no private key of OpenSSH's: ${key.message}`);
      return text;
    }
    const made = ssh2.utils.generateKeyPairSync(
      kind as 'ecdsa',
      { comment: 'portico', ...(bits && { bits }) } as never,
    );
    if (path !== null) {
      mkdirSync(join(path, '..'), { recursive: true, mode: 0o700 });
      writeFileSync(path, made.private, { mode: 0o600 });
      chmodSync(path, 0o600);
      writeFileSync(`${path}.pub`, `${made.public}\n`);
      log.info('made a host key for SSH', { kind, file: path });
    }
    return made.private;
  });
}
