// The local authority: a root that signs nothing but its intermediates, and the intermediate that signs what is issued here.
// What it speaks for stands in the root as name constraints and never grows. It knows no server and no protocol.
import { createPrivateKey, createPublicKey, hash, type KeyObject, X509Certificate } from 'node:crypto';
import type { Log } from '../core/log.ts';
import {
  acmeIdentifier,
  authorityAccess,
  authorityKey,
  BACKDATED,
  basicConstraints,
  CRL_SIGN,
  DAY,
  DIGITAL_SIGNATURE,
  distinguishedName,
  distributionPoint,
  extendedKeyUsage,
  KEY_CERT_SIGN,
  KEY_ENCIPHERMENT,
  keyHash,
  keyPem,
  keyUsage,
  makeCertificate,
  makeRevocationList,
  nameConstraints,
  newKey,
  newSerial,
  pem,
  pemBlocks,
  rootConstraints,
  spkiOf,
  subjectAltName,
  subjectKey,
} from './certificate.ts';
import { IssuedLog, type IssuedRecord, type Purpose } from './issued.ts';
import type { Keeping } from './keeping.ts';
import type { Constraints } from './names.ts';
import { OIDS } from './oids.ts';
import { type CertificateFacts, readCertificate } from './reading.ts';

/** One that signs: its certificate and its key. */
export interface Signer {
  readonly facts: CertificateFacts;
  readonly pem: string;
  readonly key: KeyObject;
  /** SHA-1 of its key, in hexadecimal: by what lists, responses and files name it. */
  readonly id: string;
}

export interface AuthorityOptions {
  readonly keeping: Keeping;
  /** What a root that is made now may speak for; of one that is there, its own counts. */
  readonly constraints: Constraints;
  /** The machine's name, for people who look at certificates. */
  readonly machine: string;
  /** Where revocation lists and the responder are reached over plain HTTP; '' when they are not. */
  readonly url: string;
  readonly log: Log;
}

export interface IssuePlan {
  readonly names: readonly string[];
  readonly purpose: Purpose;
  readonly by: IssuedRecord['by'];
  readonly account?: string;
  /** Of the one who asks; a key is made when absent. */
  readonly publicKey?: KeyObject;
  /** Of the issued one, instead of a fresh one. */
  readonly key?: KeyObject;
  readonly days?: number;
  /** False: it is not written down, and is known as long as the process runs. */
  readonly isKept?: boolean;
}

export interface Issued {
  readonly serial: string;
  /** SHA-256 of its DER, in hexadecimal. */
  readonly fingerprint: string;
  /** Its own first, then its issuer's. */
  readonly chain: string;
  readonly key: string;
  readonly from: number;
  readonly to: number;
}

const ROOT_DAYS = 3_652;
const INTERMEDIATE_DAYS = 366;
export const LEAF_DAYS = 90;
const LIST_DAYS = 7;
const UNKEPT_MAX = 4_096;
/** Names of one certificate. */
export const NAMES_MAX = 100;
const INTERMEDIATE = /^intermediate-(\d+)\.pem$/;

/** When something that lasts from then to then is made anew: at two thirds of its life. */
export function renewalOf(from: number, to: number): number {
  return from + ((to - from) * 2) / 3;
}

/** By what a client's certificate names its account. */
function accountUri(account: string): string {
  return `urn:portico:account:${encodeURIComponent(account)}`;
}

/** Why something is not issued; the message says it to whoever asked. */
export class IssueError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'IssueError';
  }
}

export class Authority {
  readonly root: Signer;
  readonly issued: IssuedLog;
  private readonly options: AuthorityOptions;
  private signers: Signer[] = [];
  private generation = 0;
  /** Serial numbers of what was issued and not written down. */
  private readonly unkept = new Set<string>();
  private readonly lists = new Map<string, { bytes: Buffer; until: number; count: number }>();

  /** Opens what is kept, or makes it. Throws what the folder says, and an Error when what is there cannot be read. */
  constructor(options: AuthorityOptions, wall: number) {
    this.options = options;
    const { keeping } = options;
    this.root = this.openRoot(wall);
    if (keeping.read('root.crt') !== this.root.pem) keeping.write('root.crt', this.root.pem, true);
    this.issued = new IssuedLog(keeping, wall);
    this.refresh(wall);
  }

  get constraints(): Constraints {
    const { constraints } = this.root.facts;
    // One of ours always has them.
    if (constraints === null) throw new Error('root.pem has no name constraints: it is no root of Portico');
    return constraints;
  }

  /** The one that signs now. */
  get intermediate(): Signer {
    return this.signers.at(-1)!;
  }

  /** All whose lists and responses are still of use. */
  get intermediates(): readonly Signer[] {
    return this.signers;
  }

  /** Reads what other processes did, and renews the intermediate when it is time. */
  refresh(wall: number): void {
    this.issued.refresh(wall);
    this.readIntermediates(wall);
    const current = this.signers.at(-1);
    if (current !== undefined && wall < renewalOf(current.facts.from, current.facts.to)) return;
    this.renewIntermediate(wall);
  }

  /** Makes another intermediate; the former go on for what they issued. */
  renewIntermediate(wall: number): void {
    const { keeping, log } = this.options;
    const name = `intermediate-${String(this.generation + 1).padStart(4, '0')}.pem`;
    keeping.create(name, bundleOf(this.makeIntermediate(this.generation + 1, wall)));
    this.readIntermediates(wall);
    log.info('the authority has a new intermediate', { until: new Date(this.intermediate.facts.to).toISOString() });
  }

  /** What stands in the way of a certificate for these names; null when nothing does. */
  refusal(names: readonly string[]): string | null {
    if (names.length === 0) return 'a certificate needs a name';
    if (names.length > NAMES_MAX) return `a certificate has at most ${NAMES_MAX} names`;
    const beyond = names.find((name) => !this.constraints.permits(name));
    if (beyond === undefined) return null;
    return `${beyond} is beyond what this authority may speak for: ${this.constraints.text}`;
  }

  /** Issues a certificate. Throws an `IssueError` for names that it may not speak for. */
  issue(plan: IssuePlan, wall: number): Issued {
    const refusal = plan.purpose === 'server' ? this.refusal(plan.names) : null;
    if (refusal !== null) throw new IssueError(refusal);
    if (plan.isKept !== false && this.issued.isFull) throw new IssueError('as many certificates as may be are in use');
    const { intermediate } = this;
    const own = plan.publicKey === undefined ? (plan.key ?? newKey()) : null;
    const publicKey = plan.publicKey ?? createPublicKey(own as never);
    const from = wall - BACKDATED;
    // To the second: that is what is written.
    const to = Math.floor(Math.min(wall + (plan.days ?? LEAF_DAYS) * DAY, intermediate.facts.to) / 1_000) * 1_000;
    const serial = newSerial();
    const bytes = makeCertificate(
      {
        serial,
        issuer: intermediate.facts.subjectDer,
        publicKey,
        from,
        to,
        ...this.contentOf(plan, publicKey, intermediate),
      },
      intermediate.key,
    );
    const hex = serial.toString('hex');
    const { names, purpose, by, account, isKept } = plan;
    const fingerprint = hash('sha256', bytes, 'hex');
    const record = { serial: hex, purpose, by, names, from, to, issuer: intermediate.id };
    if (isKept === false) this.remember(hex);
    else this.issued.add(account === undefined ? record : { ...record, account, fingerprint });
    return {
      serial: hex,
      fingerprint,
      chain: pem('CERTIFICATE', bytes) + intermediate.pem,
      key: own === null ? '' : keyPem(own),
      from,
      to,
    };
  }

  /** Whether it was issued here and has not expired, as far as is known. */
  knows(serial: string): boolean {
    return this.unkept.has(serial) || this.issued.get(serial) !== null;
  }

  /** The list of what an intermediate issued and is revoked; null when there is no such intermediate. */
  revocationList(id: string, wall: number): Buffer | null {
    const signer = this.signers.find((candidate) => candidate.id === id);
    if (signer === undefined) return null;
    const revoked = this.issued.allRevoked().filter(({ serial }) => this.issued.get(serial)?.issuer === id);
    const made = this.lists.get(id);
    if (made !== undefined && made.count === revoked.length && wall < made.until) return made.bytes;
    const bytes = makeRevocationList(
      {
        issuer: signer.facts.subjectDer,
        issuerKey: createPublicKey(signer.key as never),
        // Grows with each list, also over restarts (RFC 5280 §5.2.3).
        number: Math.floor(wall / 1_000),
        from: wall - BACKDATED,
        to: wall + LIST_DAYS * DAY,
        revoked: revoked.map(({ serial, at }) => ({ serial: Buffer.from(serial, 'hex'), at })),
      },
      signer.key,
    );
    this.lists.set(id, { bytes, until: wall + DAY, count: revoked.length });
    return bytes;
  }

  /** The root that is kept; another one where there is none, or where the one that is kept is over. */
  private openRoot(wall: number): Signer {
    const { keeping, log } = this.options;
    const kept = keeping.read('root.pem');
    if (kept !== null) {
      const root = signerOf(kept, 'root.pem');
      if (root.facts.to > wall) return root;
      log.warn('the root has expired and another one was made: portico trust', { expired: root.facts.subject });
      keeping.write(`expired-${root.id.slice(0, 8)}.pem`, kept);
      keeping.remove('root.pem');
    }
    return signerOf(keeping.create('root.pem', bundleOf(this.makeRoot(wall))), 'root.pem');
  }

  private remember(serial: string): void {
    if (this.unkept.size >= UNKEPT_MAX) this.unkept.delete(this.unkept.values().next().value!);
    this.unkept.add(serial);
  }

  private contentOf(plan: IssuePlan, publicKey: KeyObject, issuer: Signer): { subject: Buffer; extensions: Buffer[] } {
    const spki = spkiOf(publicKey);
    const isServer = plan.purpose === 'server';
    const title = isServer ? plan.names[0]! : (plan.account ?? '');
    const hasTitle = title !== '' && title.length <= 64;
    const isRsa = publicKey.asymmetricKeyType === 'rsa';
    const uri = isServer ? undefined : accountUri(plan.account ?? '');
    const { url } = this.options;
    const extensions = [
      basicConstraints(null),
      keyUsage(...(isRsa && isServer ? [DIGITAL_SIGNATURE, KEY_ENCIPHERMENT] : [DIGITAL_SIGNATURE])),
      extendedKeyUsage(isServer ? OIDS.serverAuth : OIDS.clientAuth),
      subjectKey(spki),
      authorityKey(createPublicKey(issuer.key as never)),
      subjectAltName(plan.names, !hasTitle, uri),
    ];
    if (url !== '') extensions.push(authorityAccess(url, issuer.id), distributionPoint(`${url}/crl/${issuer.id}.crl`));
    const subject = distinguishedName(hasTitle ? [[OIDS.commonName, title]] : []);
    return { subject, extensions };
  }

  private makeRoot(wall: number): { bytes: Buffer; key: KeyObject } {
    const { machine, constraints, log } = this.options;
    const key = newKey();
    const publicKey = createPublicKey(key as never);
    const name = distinguishedName([
      [OIDS.organization, 'Portico'],
      [OIDS.commonName, `Portico Local Root (${machine} ${keyHash(spkiOf(key)).toString('hex', 0, 3)})`.slice(0, 64)],
    ]);
    const bytes = makeCertificate(
      {
        serial: newSerial(),
        issuer: name,
        subject: name,
        publicKey,
        from: wall - BACKDATED,
        to: wall + ROOT_DAYS * DAY,
        extensions: [
          rootConstraints(),
          keyUsage(KEY_CERT_SIGN, CRL_SIGN),
          subjectKey(spkiOf(publicKey)),
          nameConstraints(constraints),
        ],
      },
      key,
    );
    log.info('made a local authority', { for: constraints.text });
    return { bytes, key };
  }

  private makeIntermediate(generation: number, wall: number): { bytes: Buffer; key: KeyObject } {
    const { root } = this;
    const key = newKey();
    const publicKey = createPublicKey(key as never);
    const subject = distinguishedName([
      [OIDS.organization, 'Portico'],
      [OIDS.commonName, `Portico Local Intermediate ${generation} (${root.id.slice(0, 6)})`],
    ]);
    const bytes = makeCertificate(
      {
        serial: newSerial(),
        issuer: root.facts.subjectDer,
        subject,
        publicKey,
        from: wall - BACKDATED,
        to: Math.min(wall + INTERMEDIATE_DAYS * DAY, root.facts.to),
        extensions: [
          basicConstraints(0),
          keyUsage(DIGITAL_SIGNATURE, KEY_CERT_SIGN, CRL_SIGN),
          extendedKeyUsage(OIDS.serverAuth, OIDS.clientAuth),
          subjectKey(spkiOf(publicKey)),
          authorityKey(createPublicKey(root.key as never)),
        ],
      },
      root.key,
    );
    return { bytes, key };
  }

  private readIntermediates(wall: number): void {
    const { keeping } = this.options;
    const found: Signer[] = [];
    for (const name of keeping.list().sort()) {
      const generation = INTERMEDIATE.exec(name)?.[1];
      if (generation === undefined) continue;
      this.generation = Math.max(this.generation, Number(generation));
      const known = this.signers.find((signer) => signer.pem === keeping.read(name));
      const signer = known ?? signerOf(keeping.read(name) ?? '', name);
      // What another root signed is of no use any more.
      if (signer.facts.to < wall || signer.facts.authorityKey !== this.root.id) keeping.remove(name);
      else found.push(signer);
    }
    this.signers = found;
  }
}

/** A certificate that proves, in a handshake, that this server answers for a name (RFC 8737 §3). */
export function challengeIdentity(
  name: string,
  authorization: string,
  wall: number,
): { certificate: string; key: string } {
  const key = newKey();
  const publicKey = createPublicKey(key as never);
  const subject = distinguishedName([[OIDS.commonName, 'ACME challenge']]);
  const bytes = makeCertificate(
    {
      serial: newSerial(),
      issuer: subject,
      subject,
      publicKey,
      from: wall - BACKDATED,
      to: wall + DAY,
      extensions: [subjectAltName([name], false), acmeIdentifier(authorization)],
    },
    key,
  );
  return { certificate: pem('CERTIFICATE', bytes), key: keyPem(key) };
}

function bundleOf({ bytes, key }: { readonly bytes: Buffer; readonly key: KeyObject }): string {
  return pem('CERTIFICATE', bytes) + keyPem(key);
}

function signerOf(text: string, name: string): Signer {
  const [bytes] = pemBlocks(text, 'CERTIFICATE');
  const facts = bytes === undefined ? null : readCertificate(bytes);
  const mend = `restore it from a backup, or move it away and a new one is made`;
  if (facts === null) throw new Error(`certificates/${name} cannot be read; ${mend}`);
  let key: KeyObject;
  try {
    key = createPrivateKey(text.slice(text.indexOf('-----BEGIN PRIVATE')));
  } catch {
    throw new Error(`certificates/${name} has no key that can be read; ${mend}`);
  }
  if (!new X509Certificate(facts.der).checkPrivateKey(key))
    throw new Error(`the key and the certificate of certificates/${name} do not belong together; ${mend}`);
  return { facts, pem: pem('CERTIFICATE', facts.der), key, id: keyHash(facts.spki).toString('hex') };
}
