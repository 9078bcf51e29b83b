// Certificates for tests: a root, what it issues, and what should not be believed.
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import {
  basicConstraints,
  DIGITAL_SIGNATURE,
  distinguishedName,
  extendedKeyUsage,
  KEY_CERT_SIGN,
  keyPem,
  keyUsage,
  makeCertificate,
  newKey,
  newSerial,
  pem,
  rootConstraints,
  subjectAltName,
} from '../../../../security/certificate.ts';

export const NOW = Date.UTC(2030, 0, 1);
// Around the clocks of machines too: OpenSSL goes by them.
export const FROM = Date.UTC(2020, 0, 1);
export const TO = Date.UTC(2040, 0, 1);
export const SERVER_AUTH = '1.3.6.1.5.5.7.3.1';
export const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const COMMON_NAME = '2.5.4.3';

export interface Signer {
  readonly name: string;
  readonly key: KeyObject;
  readonly der: Buffer;
  readonly pem: string;
}

export interface Plan {
  readonly name: string;
  readonly issuer?: Signer | undefined;
  readonly key?: KeyObject;
  readonly from?: number;
  readonly to?: number;
  readonly extensions?: readonly Uint8Array[];
  /** Signs in the issuer's place. */
  readonly forger?: KeyObject;
}

export function made(plan: Plan): Signer {
  const key = plan.key ?? newKey();
  const certificate = makeCertificate(
    {
      serial: newSerial(),
      issuer: distinguishedName([[COMMON_NAME, plan.issuer?.name ?? plan.name]]),
      subject: distinguishedName([[COMMON_NAME, plan.name]]),
      publicKey: key,
      from: plan.from ?? FROM,
      to: plan.to ?? TO,
      extensions: plan.extensions ?? [],
    },
    plan.forger ?? plan.issuer?.key ?? key,
  );
  return { name: plan.name, key, der: certificate, pem: pem('CERTIFICATE', certificate) };
}

export function authority(name: string, issuer?: Signer, extensions?: readonly Uint8Array[]): Signer {
  return made({ name, issuer, extensions: extensions ?? [rootConstraints(), keyUsage(KEY_CERT_SIGN)] });
}

/** The extensions of a server's certificate for these names. */
export function serverExtensions(names: readonly string[], purpose = SERVER_AUTH): Uint8Array[] {
  return [basicConstraints(null), keyUsage(DIGITAL_SIGNATURE), extendedKeyUsage(purpose), subjectAltName(names, false)];
}

export function server(names: readonly string[], issuer: Signer, key?: KeyObject): Signer {
  return made({ name: names[0] ?? 'nobody', issuer, extensions: serverExtensions(names), ...(key && { key }) });
}

export function client(name: string, issuer: Signer): Signer {
  return made({ name, issuer, extensions: serverExtensions([name], CLIENT_AUTH) });
}

export const KEYS: Readonly<Record<string, () => KeyObject>> = {
  'P-256': () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
  'P-384': () => generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey,
  'P-521': () => generateKeyPairSync('ec', { namedCurve: 'P-521' }).privateKey,
  Ed25519: () => generateKeyPairSync('ed25519').privateKey,
  RSA: () => generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey,
};

/** As policies take it, with what stands between it and the root. */
export function identityOf(own: Signer, ...between: readonly Signer[]): { certificate: string; key: string } {
  return { certificate: [own, ...between].map((one) => one.pem).join(''), key: keyPem(own.key) };
}

export const ROOT = authority('root of tests');
export const BETWEEN = authority('between', ROOT);
export const HOST = 'portico.test';
export const SERVER = identityOf(server([HOST, `*.${HOST}`, '127.0.0.1', '::1'], BETWEEN), BETWEEN);
export const CLIENT = identityOf(client('somebody', ROOT));
