// What SCRAM-SHA-256 needs of a password (RFC 5802 §3, RFC 7677): made when the password is set, since the hash that is
// kept for it cannot give it. Decoys are for names that do not exist. The exchange itself is the protocols'.
import { createHmac, hash, pbkdf2 } from 'node:crypto';
import type { ScramCredentials } from './contract.ts';

/**
 * RFC 7677 §4 asks for at least 4,096. Whoever steals the store attacks these and not argon2id, so there are more; a
 * small device pays for them once a connection.
 */
export const SCRAM_ITERATIONS = 65_536;

const SALT_BYTES = 16;

/** Derives the credentials of a password. Rejects when the thread pool cannot. */
export function makeScram(password: string, salt: Uint8Array, iterations: number): Promise<ScramCredentials> {
  return new Promise((resolve, reject) => {
    // SASLprep (RFC 4013) is what clients of SCRAM do: it normalises to KC.
    pbkdf2(password.normalize('NFKC'), salt, iterations, 32, 'sha256', (error, salted) => {
      if (error === null) resolve(scramOfSalted(salted, salt, iterations));
      else reject(error);
    });
  });
}

/** `ClientKey`, `StoredKey` and `ServerKey` of a salted password: RFC 5802 §3. */
export function scramOfSalted(salted: Uint8Array, salt: Uint8Array, iterations: number): ScramCredentials {
  const clientKey = createHmac('sha256', salted).update('Client Key').digest();
  const storedKey = hash('sha256', clientKey, 'buffer');
  const serverKey = createHmac('sha256', salted).update('Server Key').digest();
  return { salt, iterations, storedKey, serverKey };
}

/** For a name that has none: always the same for that name, and as many iterations as others have. */
export function decoyScram(secret: Uint8Array, name: string): ScramCredentials {
  const of = (what: string) => createHmac('sha256', secret).update(what).update('\0').update(name).digest();
  return {
    salt: of('salt').subarray(0, SALT_BYTES),
    iterations: SCRAM_ITERATIONS,
    storedKey: of('stored'),
    serverKey: of('server'),
  };
}
