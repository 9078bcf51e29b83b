// A key exchange whose keys come out of a seed, and an identity whose signatures are always the same: with both, and seeded
// entropy, a handshake is byte for byte that of the run before.
import { createPrivateKey, createPublicKey, diffieHellman, generateKeyPairSync, type KeyObject } from 'node:crypto';
import type { Entropy } from '../../../../core/time.ts';
import type { Group } from '../groups.ts';
import { BETWEEN, HOST, identityOf, server } from './certificates.ts';

const PRIVATE = Buffer.from('302e020100300506032b656e04220420', 'hex');
const PUBLIC = Buffer.from('302a300506032b656e032100', 'hex');

/** X25519 with private keys out of `entropy`. */
export function replayGroup(entropy: Entropy): Group {
  const offer = () => {
    const seed = Buffer.alloc(32);
    entropy.fill(seed);
    const key = createPrivateKey({ key: Buffer.concat([PRIVATE, seed]), format: 'der', type: 'pkcs8' });
    return { share: shareOf(key), secret: (other: Uint8Array) => secretOf(key, other) };
  };
  return {
    code: 0x001d,
    name: 'X25519',
    offer,
    answer(other) {
      const own = offer();
      const secret = own.secret(other);
      return secret === null ? null : { share: own.share, secret };
    },
  };
}

function shareOf(key: KeyObject): Buffer {
  return createPublicKey(key as never)
    .export({ format: 'der', type: 'spki' })
    .subarray(-32);
}

function secretOf(privateKey: KeyObject, other: Uint8Array): Buffer | null {
  try {
    const key = Buffer.concat([PUBLIC, other]);
    return diffieHellman({ privateKey, publicKey: createPublicKey({ key, format: 'der', type: 'spki' }) });
  } catch {
    return null;
  }
}

/** Ed25519 signs without chance. Its certificates are new in each process, and as long in all. */
export const REPLAY_SERVER = identityOf(server([HOST], BETWEEN, generateKeyPairSync('ed25519').privateKey), BETWEEN);
