// Key exchange: the shares of each group and the secret that two of them make. Private keys stay in node:crypto.
import {
  createECDH,
  createPublicKey,
  decapsulate,
  diffieHellman,
  encapsulate,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';

/** Our half of an exchange that waits for the other's. */
export interface Offer {
  readonly share: Buffer;
  /** The secret; null when the other's share is not one of this group. */
  secret(other: Uint8Array): Buffer | null;
}

export interface Group {
  readonly code: number;
  readonly name: string;
  /** A client's half. */
  offer(): Offer;
  /** A server's half, and the secret that it makes with the client's; null when that is not one of this group. */
  answer(other: Uint8Array): { readonly share: Buffer; readonly secret: Buffer } | null;
}

const X25519_BYTES = 32;
const ML_KEM_KEY_BYTES = 1_184;
const ML_KEM_TEXT_BYTES = 1_088;

function raw(key: KeyObject): Buffer {
  return key.export({ format: 'raw-public' } as never) as unknown as Buffer;
}

function publicKey(type: 'x25519' | 'ml-kem-768', bytes: Uint8Array): KeyObject {
  return createPublicKey({ key: Buffer.from(bytes), format: 'raw-public', asymmetricKeyType: type } as never);
}

/** Null for what throws: the points and keys of the other side are whatever it likes. */
function orNull<Value>(make: () => Value): Value | null {
  try {
    return make();
  } catch {
    return null;
  }
}

const X25519: Group = {
  code: 0x001d,
  name: 'X25519',
  offer() {
    const own = generateKeyPairSync('x25519');
    return {
      share: raw(own.publicKey),
      secret: (other) => (other.length === X25519_BYTES ? orNull(() => exchange(own.privateKey, other)) : null),
    };
  },
  answer(other) {
    const own = X25519.offer();
    const secret = own.secret(other);
    return secret === null ? null : { share: own.share, secret };
  },
};

/** Throws where the secret is all zeros, which OpenSSL finds (RFC 8446 §7.4.2). */
function exchange(privateKey: KeyObject, other: Uint8Array): Buffer {
  return diffieHellman({ privateKey, publicKey: publicKey('x25519', other) });
}

function curve(code: number, name: string, called: string, bytes: number): Group {
  const group: Group = {
    code,
    name,
    offer() {
      const own = createECDH(called);
      return {
        share: own.generateKeys(),
        // Uncompressed and nothing else (RFC 8446 §4.2.8.2).
        secret: (other) =>
          other.length === 1 + 2 * bytes && other[0] === 4 ? orNull(() => own.computeSecret(other)) : null,
      };
    },
    answer(other) {
      const own = group.offer();
      const secret = own.secret(other);
      return secret === null ? null : { share: own.share, secret };
    },
  };
  return group;
}

/** ML-KEM first, in shares and secret alike (draft-ietf-tls-ecdhe-mlkem §4.1). */
const X25519_ML_KEM_768: Group = {
  code: 0x11ec,
  name: 'X25519MLKEM768',
  offer() {
    const own = generateKeyPairSync('ml-kem-768');
    const classic = X25519.offer();
    return {
      share: Buffer.concat([raw(own.publicKey), classic.share]),
      secret(other) {
        if (other.length !== ML_KEM_TEXT_BYTES + X25519_BYTES) return null;
        const text = Buffer.from(other.subarray(0, ML_KEM_TEXT_BYTES));
        const first = orNull(() => decapsulate(own.privateKey, text));
        const second = classic.secret(other.subarray(ML_KEM_TEXT_BYTES));
        return first === null || second === null ? null : Buffer.concat([first, second]);
      },
    };
  },
  answer(other) {
    if (other.length !== ML_KEM_KEY_BYTES + X25519_BYTES) return null;
    const first = orNull(() => encapsulate(publicKey('ml-kem-768', other.subarray(0, ML_KEM_KEY_BYTES))));
    const second = X25519.answer(other.subarray(ML_KEM_KEY_BYTES));
    if (first === null || second === null) return null;
    return {
      share: Buffer.concat([first.ciphertext, second.share]),
      secret: Buffer.concat([first.sharedKey, second.secret]),
    };
  },
};

/** By preference. */
export const GROUPS: readonly Group[] = [
  X25519_ML_KEM_768,
  X25519,
  curve(0x0017, 'P-256', 'prime256v1', 32),
  curve(0x0018, 'P-384', 'secp384r1', 48),
];
