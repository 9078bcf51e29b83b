// Certificates and keys of our own as the handshake shows them, read out of PEM once for each identity.
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { ByteWriter } from '../../../bytes/writer.ts';
import type { Identity } from '../../../core/tls.ts';
import { close, open, vector } from './writing.ts';

export interface Credential {
  readonly key: KeyObject;
  /** DER, our own first. */
  readonly chain: readonly Buffer[];
  /** The certificate_list of a Certificate message, with its length (RFC 8446 §4.4.2). */
  readonly list: Buffer;
}

const LIST_MOST = 524_288;
const known = new WeakMap<Identity, Credential>();

/** The certificates of a PEM in DER. */
export function certificatesOf(pem: string): Buffer[] {
  const blocks = pem.matchAll(/-----BEGIN CERTIFICATE-----([^-]+)-----END CERTIFICATE-----/g);
  return Array.from(blocks, ([, base64]) => Buffer.from(base64!, 'base64'));
}

/** Throws where certificate or key cannot be read: they are our own. */
export function credentialOf(identity: Identity): Credential {
  let credential = known.get(identity);
  if (credential === undefined) {
    const chain = certificatesOf(identity.certificate);
    if (chain.length === 0) throw new RangeError('there is no certificate in the PEM of an identity');
    credential = { key: createPrivateKey(identity.key), chain, list: listOf(chain) };
    known.set(identity, credential);
  }
  return credential;
}

function listOf(chain: readonly Buffer[]): Buffer {
  const out = new ByteWriter(LIST_MOST);
  const at = open(out, 3);
  for (const certificate of chain) {
    vector(out, 3, certificate);
    // No extensions of its own.
    out.u16(0);
  }
  close(out, at, 3);
  const list = Buffer.from(out.bytes.subarray(0, out.length));
  out.clear();
  return list;
}
