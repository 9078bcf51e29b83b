// The certificates of a server: its own authority's, those that are kept as files, and those that another authority gave, in
// one choice by the name that a client asks for. Everything that is due is renewed here.
import { createHash } from 'node:crypto';
import { type FSWatcher, watch } from 'node:fs';
import { join } from 'node:path';
import type { Log } from '../core/log.ts';
import { type Address, isLoopback } from '../core/peer.ts';
import type { ClientCertificates, Identities, Identity } from '../core/tls.ts';
import { Authority, challengeIdentity, type Issued, type IssuePlan, renewalOf } from './authority.ts';
import { newKey } from './certificate.ts';
import { OwnClientCertificates } from './client-certificates.ts';
import { FolderKeeping, type Keeping, MemoryKeeping } from './keeping.ts';
import {
  Constraints,
  covers,
  isAddress,
  LOCAL_ZONE,
  machineNames,
  nameOf,
  type Range,
  rangeOf,
  reverseName,
} from './names.ts';
import { ocspAnswer } from './ocsp.ts';
import { checkPair, type FilePair, type Known, OwnFiles } from './own-files.ts';

export interface CertificatesOptions {
  /** The data folder; null keeps all in memory. */
  readonly data: string | null;
  /** The machine's name. */
  readonly hostname: string;
  /** Further names that the server answers to, and that the authority may speak for. */
  readonly names?: readonly string[];
  /** Names that it answers to as well, as far as the authority may speak for them. */
  readonly hosts?: readonly string[];
  /** Ranges of addresses beside the loopback that a new root may speak for. */
  readonly ranges?: readonly string[];
  readonly files?: readonly FilePair[];
  /** Files in PEM of authorities whose client certificates are taken, beside our own. */
  readonly clientAuthorities?: readonly string[];
  /** Files, DER or PEM, of what those authorities revoked. */
  readonly revocationLists?: readonly string[];
  /** Where this server is reached over plain HTTP, for revocation lists: `http://portico.test:8080`; '' for nowhere. */
  readonly url?: string;
  readonly wall?: () => number;
  readonly log: Log;
}

export interface CertificateFigure {
  readonly names: string;
  readonly issuer: string;
  /** Milliseconds since 1970. */
  readonly expires: number;
}

/** Certificates that are made when a name is first asked for. */
const ON_DEMAND_MAX = 256;
const CHALLENGES_MAX = 256;
const REFRESH_MS = 60_000;
const SOON_MS = 100;
/** The name by which a client asks for a challenge's certificate (RFC 8737 §3). */
export const ACME_ALPN = 'acme-tls/1';
/** The folder within the data. */
export const CERTIFICATE_FOLDER = 'certificates';

const IMPORTED = /^imported-[\w.-]+\.pem$/;

interface OnDemand {
  readonly identity: Identity;
  readonly renewal: number;
}

export class Certificates implements Identities {
  readonly authority: Authority;
  readonly clientCertificates: ClientCertificates;
  private readonly options: CertificatesOptions;
  private readonly keeping: Keeping;
  private readonly files: OwnFiles;
  private readonly clients: OwnClientCertificates;
  private readonly wall: () => number;
  private server: Known;
  /** Of another authority, by the names that they were asked for. */
  private readonly obtained = new Map<string, Known>();
  private readonly onDemand = new Map<string, OnDemand>();
  private readonly onDemandKey = newKey();
  private readonly challenges = new Map<string, Identity>();
  private readonly timer: NodeJS.Timeout;
  private watcher: FSWatcher | null = null;
  private soon: NodeJS.Timeout | null = null;

  /** Opens or makes all of it. Throws an Error when what is kept cannot be read. */
  constructor(options: CertificatesOptions) {
    this.options = options;
    this.wall = options.wall ?? Date.now;
    const { data, hostname, log, url = '' } = options;
    this.keeping = data === null ? new MemoryKeeping() : new FolderKeeping(join(data, CERTIFICATE_FOLDER));
    const wall = this.wall();
    const constraints = constraintsOf(options);
    this.authority = new Authority({ keeping: this.keeping, constraints, machine: hostname, url, log }, wall);
    this.files = new OwnFiles(() => this.pairs(), log, this.wall);
    this.server = this.openServer(wall);
    this.clients = new OwnClientCertificates(this.authority, options, this.wall);
    this.clientCertificates = this.clients;
    this.timer = setInterval(() => this.refresh(), REFRESH_MS);
    this.timer.unref();
    if (data !== null) this.watchFolder(join(data, CERTIFICATE_FOLDER));
  }

  pick(serverName: string | null, local: Address | null, alpn: readonly string[]): Identity | null {
    const asked = serverName === null ? (local === null ? null : local.host) : serverName;
    const form = asked === null ? null : nameOf(asked.replace(/^::ffff:(?=\d+\.)/i, ''));
    const name = form?.startsWith('*.') === true ? null : form;
    if (alpn.includes(ACME_ALPN)) return name === null ? null : (this.challenges.get(name) ?? null);
    const fallback = () => (first(this.files.known) ?? first(this.obtained.values()) ?? this.server).identity;
    if (name === null) return fallback();
    const known = this.find(name);
    if (known !== null) return known.identity;
    // Whoever reached the loopback by its address and gave no name wants what this server is.
    if (serverName === null && isLoopback(name)) return fallback();
    return this.onDemandFor(name) ?? fallback();
  }

  /** Does what is due. Called once a minute; throws nothing. */
  refresh(): void {
    const wall = this.wall();
    try {
      this.authority.refresh(wall);
      this.files.reload();
      this.clients.reload();
      // `portico cert renew` of another process.
      const kept = this.keptServer(wall);
      if (kept !== null && kept.facts.serial !== this.server.facts.serial) this.take(kept);
      if (wall >= renewalOf(this.server.facts.from, this.server.facts.to)) this.renew();
    } catch (error) {
      this.options.log.error('the certificates could not be renewed', {
        why: error instanceof Error ? error.message : String(error),
      });
    }
  }

  /** Makes the server's own certificate anew. */
  renew(): void {
    this.take(this.makeServer(this.wall()));
  }

  /** Puts a certificate of somebody else's into the folder, from where it is shown; answers what is wrong with it. */
  import(certificate: string, key: string): Known | string {
    const known = checkPair(certificate, key, this.wall());
    if (typeof known === 'string') return known;
    const name = known.names[0]!.replaceAll('*', '_').replaceAll(':', '-');
    this.keeping.write(`imported-${name}.pem`, known.identity.certificate + known.identity.key);
    this.files.reload();
    return known;
  }

  /** What is shown to clients. */
  *shown(): Generator<Known & { readonly from: 'authority' | 'file' | 'acme' }> {
    yield { ...this.server, from: 'authority' };
    for (const known of this.files.known) yield { ...known, from: 'file' };
    for (const known of this.obtained.values()) yield { ...known, from: 'acme' };
  }

  issue(plan: IssuePlan): Issued {
    return this.authority.issue(plan, this.wall());
  }

  /** Answers an OCSP request (RFC 6960), whatever it is. */
  ocsp(request: Uint8Array): Buffer {
    return ocspAnswer(this.authority, request, this.wall());
  }

  revocationList(id: string): Buffer | null {
    return this.authority.revocationList(id, this.wall());
  }

  /** Shows the proof of RFC 8737 for a name until it is taken back; false when there are too many. */
  challenge(name: string, authorization: string): boolean {
    const asked = challengeName(name);
    if (this.challenges.size >= CHALLENGES_MAX && !this.challenges.has(asked)) return false;
    this.challenges.set(asked, challengeIdentity(name, authorization, this.wall()));
    return true;
  }

  unchallenge(name: string): void {
    this.challenges.delete(challengeName(name));
  }

  /** A certificate that another authority gave is kept, and shown from now on; answers what is wrong with it. */
  obtain(label: string, certificate: string, key: string): Known | string {
    const known = checkPair(certificate, key, this.wall());
    if (typeof known === 'string') return known;
    this.keeping.write(obtainedName(label), known.identity.certificate + known.identity.key);
    this.obtained.set(label, known);
    return known;
  }

  /** Shows what was obtained under this label before; null when there is nothing that can be shown. */
  obtainedBefore(label: string): Known | null {
    const text = this.keeping.read(obtainedName(label)) ?? '';
    const known = checkPair(text, text, this.wall());
    if (typeof known === 'string') return null;
    this.obtained.set(label, known);
    return known;
  }

  /** Lines that last, in the order in which they were remembered. */
  recall(name: string): readonly string[] {
    return (this.keeping.read(`${name}.log`) ?? '').split('\n').filter((line) => line !== '');
  }

  remember(name: string, line: string): void {
    this.keeping.append(`${name}.log`, line);
  }

  /** These lines in place of all that were remembered. */
  rewrite(name: string, lines: readonly string[]): void {
    this.keeping.write(`${name}.log`, lines.map((line) => `${line}\n`).join(''));
  }

  /** What is shown to clients, with its end. */
  figures(): CertificateFigure[] {
    const shown = [...this.shown()].map(({ names, facts }) => {
      return { names: names.join(' '), issuer: facts.issuer, expires: facts.to };
    });
    const { root, intermediate } = this.authority;
    const own = [root, intermediate].map(({ facts }) => {
      return { names: facts.subject, issuer: facts.issuer, expires: facts.to };
    });
    return [...shown, ...own];
  }

  close(): void {
    clearInterval(this.timer);
    if (this.soon !== null) clearTimeout(this.soon);
    this.watcher?.close();
    this.files.close();
  }

  /** What the commands do in the folder counts at once. */
  private watchFolder(folder: string): void {
    const changed = () => {
      this.soon ??= setTimeout(() => {
        this.soon = null;
        this.refresh();
      }, SOON_MS);
      this.soon.unref();
    };
    try {
      this.watcher = watch(folder, { persistent: false }, changed);
      this.watcher.on('error', () => this.watcher?.close());
    } catch {
      // Then within a minute.
    }
  }

  /** Those of the configuration, and those that `portico cert import` put into the folder. */
  private pairs(): FilePair[] {
    const { data, files = [] } = this.options;
    if (data === null) return [...files];
    const imported = this.keeping.list().filter((name) => IMPORTED.test(name));
    const paths = imported.map((name) => join(data, CERTIFICATE_FOLDER, name));
    return [...files, ...paths.map((path) => ({ certificate: path, key: path }))];
  }

  private find(name: string): Known | null {
    for (const known of this.files.known) if (known.names.some((own) => covers(own, name))) return known;
    for (const known of this.obtained.values()) if (known.names.some((own) => covers(own, name))) return known;
    return this.server.names.some((own) => covers(own, name)) ? this.server : null;
  }

  private take(server: Known): void {
    this.server = server;
    this.onDemand.clear();
  }

  private onDemandFor(name: string): Identity | null {
    const wall = this.wall();
    const known = this.onDemand.get(name);
    if (known !== undefined) {
      // The one that was asked for last goes last.
      this.onDemand.delete(name);
      if (wall < known.renewal) {
        this.onDemand.set(name, known);
        return known.identity;
      }
    }
    if (this.authority.refusal([name]) !== null) return null;
    const plan = { names: [name], purpose: 'server', by: 'self', key: this.onDemandKey, isKept: false } as const;
    const { chain, key, from, to } = this.authority.issue(plan, wall);
    if (this.onDemand.size >= ON_DEMAND_MAX) this.onDemand.delete(this.onDemand.keys().next().value!);
    const made = { identity: { certificate: chain, key }, renewal: renewalOf(from, to) };
    this.onDemand.set(name, made);
    return made.identity;
  }

  /** The names that the server's own certificate is for: of those wanted, what the authority may speak for. */
  private wantedNames(): string[] {
    const { hostname, names = [], hosts = [] } = this.options;
    const wanted = ['localhost', LOCAL_ZONE, `*.${LOCAL_ZONE}`, ...machineNames(hostname), '127.0.0.1', '::1'];
    for (const name of [...names, ...hosts]) {
      const known = nameOf(name);
      if (known !== null) wanted.push(known);
    }
    return [...new Set(wanted)].filter((name) => this.authority.constraints.permits(name));
  }

  private openServer(wall: number): Known {
    const known = this.keptServer(wall);
    if (known === null) return this.makeServer(wall);
    const { facts, names } = known;
    const isOurs = this.authority.intermediates.some(({ id }) => id === facts.authorityKey);
    const isDue = wall >= renewalOf(facts.from, facts.to);
    return !isOurs || isDue || names.join(' ') !== this.wantedNames().join(' ') ? this.makeServer(wall) : known;
  }

  private keptServer(wall: number): Known | null {
    const text = this.keeping.read('server.pem') ?? '';
    const known = checkPair(text, text, wall);
    return typeof known === 'string' ? null : known;
  }

  private makeServer(wall: number): Known {
    const names = this.wantedNames();
    const issued = this.authority.issue({ names, purpose: 'server', by: 'self' }, wall);
    this.keeping.write('server.pem', issued.chain + issued.key);
    // Whether it is valid now is for clients to say: the clock of this machine may be wrong.
    const known = checkPair(issued.chain, issued.key, Number.NaN);
    if (typeof known === 'string') throw new Error(`the server’s own certificate is of no use: ${known}`);
    this.options.log.info('issued the server’s certificate', {
      names: names.join(' '),
      until: new Date(issued.to).toISOString(),
    });
    return known;
  }
}

/** What SNI has for it: no address stands there (RFC 8738 §6). */
function challengeName(name: string): string {
  return isAddress(name) ? reverseName(name) : name;
}

function obtainedName(label: string): string {
  return `obtained-${createHash('sha256').update(label).digest('hex').slice(0, 16)}.pem`;
}

function first<Item>(items: Iterable<Item>): Item | undefined {
  for (const item of items) return item;
  return undefined;
}

/** What a root that is made now may speak for: this machine, and what its owner names. */
function constraintsOf({ hostname, names = [], ranges = [] }: CertificatesOptions): Constraints {
  const domains = new Set(['localhost', LOCAL_ZONE, ...machineNames(hostname)]);
  const found: Range[] = [rangeOf('127.0.0.0/8')!, rangeOf('::1')!];
  for (const text of names) {
    const name = nameOf(text);
    if (name === null) continue;
    if (isAddress(name)) found.push(rangeOf(name)!);
    else domains.add(name.replace(/^\*\./, ''));
  }
  for (const text of ranges) {
    const range = rangeOf(text);
    if (range !== null) found.push(range);
  }
  return new Constraints([...domains], found);
}
