// SSH public keys as people paste them: one line of an `authorized_keys` or `.pub` file, `type base64 comment`. It checks
// that the blob is what the line says (RFC 4253 §6.6); it verifies no signature.
import { hash } from 'node:crypto';

export interface AuthorizedKey {
  /** As RFC 4253, 5656 and 8709 name it. */
  readonly type: string;
  /** The key in wire form, base 64. */
  readonly blob: string;
  /** `SHA256:…`, as `ssh-keygen -l` prints it. */
  readonly fingerprint: string;
  readonly comment: string;
}

/** Of each kind, how many length-prefixed fields stand in the blob, the name among them. */
const FIELDS: Readonly<Record<string, number>> = {
  'ssh-ed25519': 2,
  'ecdsa-sha2-nistp256': 3,
  'ecdsa-sha2-nistp384': 3,
  'ecdsa-sha2-nistp521': 3,
  'ssh-rsa': 3,
  'sk-ssh-ed25519@openssh.com': 3,
  'sk-ecdsa-sha2-nistp256@openssh.com': 4,
};

const BLOB_MAX = 4_096;

/** A shorter modulus can be factored: 2,048 bits. */
const RSA_BYTES_MIN = 256;

/** Reads a line; or says, as text, why it is no key that can be used. */
export function readPublicKey(line: string): AuthorizedKey | string {
  const text = line.trim();
  if (text.includes('PRIVATE KEY')) return 'that is a private key: give the .pub file, and nobody the private one';
  const [type = '', blob = '', ...rest] = text.split(/[ \t]+/);
  const fields = FIELDS[type];
  if (fields === undefined)
    return `there is no key of a kind that is known; there are ${Object.keys(FIELDS).join(', ')}`;
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(blob)) return 'behind the kind of key there is no base 64';
  const bytes = Buffer.from(blob, 'base64');
  const found = fieldsOf(bytes);
  if (bytes.length > BLOB_MAX || found === null || found.length !== fields || found[0]!.toString('latin1') !== type)
    return `the key is damaged: what is in it is not ${type}`;
  if (type === 'ssh-rsa' && found[2]!.length < RSA_BYTES_MIN)
    return 'an RSA key of less than 2048 bits is not safe; make an Ed25519 key with ssh-keygen';
  if (type === 'ssh-ed25519' && found[1]!.length !== 32) return 'the key is damaged: Ed25519 has 32 bytes';
  return { type, blob: bytes.toString('base64'), fingerprint: fingerprintOf(bytes), comment: rest.join(' ') };
}

/** `SHA256:` and the digest of a key in wire form, base 64 without padding. */
export function fingerprintOf(key: Uint8Array): string {
  return `SHA256:${hash('sha256', key, 'base64').replaceAll('=', '')}`;
}

/** The `string` fields (RFC 4251 §5) that fill the bytes; null when they do not. */
function fieldsOf(bytes: Buffer): Buffer[] | null {
  const fields: Buffer[] = [];
  let at = 0;
  while (at < bytes.length) {
    if (bytes.length - at < 4) return null;
    const end = at + 4 + bytes.readUInt32BE(at);
    if (end > bytes.length) return null;
    fields.push(bytes.subarray(at + 4, end));
    at = end;
  }
  return fields;
}
