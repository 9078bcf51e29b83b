// Certificates and keys of our own as the handshake shows them, read out of PEM once for each identity.
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { ByteWriter } from '../../../bytes/writer.ts';
import type { Identity, TlsPolicy } from '../../../core/tls.ts';
import { close, open, vector } from './writing.ts';

export interface Credential {
  readonly key: KeyObject;
  /** DER, our own first. */
  readonly chain: readonly Buffer[];
  /** The certificate_list of a Certificate message, with its length (RFC 8446 §4.4.2). */
  readonly list: Buffer;
}

const LIST_MOST = 524_288;
const known = new WeakMap<Identity, Credential | null>();

/** The certificates of a PEM in DER. */
export function certificatesOf(pem: string): Buffer[] {
  const blocks = pem.matchAll(/-----BEGIN CERTIFICATE-----([^-]+)-----END CERTIFICATE-----/g);
  return Array.from(blocks, ([, base64]) => Buffer.from(base64!, 'base64'));
}

const inPolicy = new WeakMap<TlsPolicy, Identity>();

/** The certificate that stands in a policy itself, as one value. */
export function identityIn(policy: TlsPolicy): Identity | null {
  const { certificate, key } = policy;
  if (certificate === undefined || key === undefined) return null;
  let identity = inPolicy.get(policy);
  if (identity === undefined) inPolicy.set(policy, (identity = { certificate, key }));
  return identity;
}

/** Null where certificate or key cannot be read, or do not belong together. */
export function credentialOf(identity: Identity): Credential | null {
  let credential = known.get(identity);
  if (credential === undefined) known.set(identity, (credential = readIdentity(identity)));
  return credential;
}

function readIdentity({ certificate, key }: Identity): Credential | null {
  const chain = certificatesOf(certificate);
  try {
    const own = createPrivateKey(key);
    return new X509Certificate(chain[0]!).checkPrivateKey(own) ? { key: own, chain, list: listOf(chain) } : null;
  } catch {
    return null;
  }
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
