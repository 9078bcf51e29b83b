// The protections that need no handshake, or one secret of it: what a connection makes by itself.
import type { Protection, Version } from '../crypto.ts';
import { type Ciphers, PLAIN_CIPHERS } from './ciphers.ts';
import { initialSecrets } from './keys.ts';
import { LevelProtection } from './protection.ts';
import { INITIAL_SUITE } from './suites.ts';

export type Role = 'client' | 'server';

/** @param connectionId the Destination Connection ID of the client's first Initial packet, or of the one after a Retry */
export function initialProtection(
  version: Version,
  connectionId: Uint8Array,
  role: Role,
  ciphers: Ciphers = PLAIN_CIPHERS,
): Protection {
  const secrets = initialSecrets(version, connectionId);
  const protection = new LevelProtection(version, INITIAL_SUITE, false, ciphers);
  protection.sealWith(role === 'client' ? secrets.client : secrets.server);
  protection.openWith(role === 'client' ? secrets.server : secrets.client);
  return protection;
}
