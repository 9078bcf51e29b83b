// Certificates that somebody else issued and keeps up, as files: read when they change, checked before they are taken. What
// is wrong with a new one is said, and the former goes on.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { type FSWatcher, readFileSync, realpathSync, watch } from 'node:fs';
import { dirname, resolve } from 'node:path';
import type { Log } from '../core/log.ts';
import type { Identity } from '../core/tls.ts';
import { pem, pemBlocks } from './certificate.ts';
import { covers, nameOf } from './names.ts';
import { type CertificateFacts, readCertificate } from './reading.ts';

export interface FilePair {
  /** A path to PEM: its own certificate first, then its issuers'. */
  readonly certificate: string;
  readonly key: string;
  /** For what it is shown; the names that stand in it when absent. */
  readonly names?: readonly string[] | undefined;
}

/** An identity with what is known of it. */
export interface Known {
  readonly identity: Identity;
  readonly names: readonly string[];
  readonly facts: CertificateFacts;
}

/** What writes files often writes several; they are read when it has been quiet for so long. */
const QUIET_MS = 200;

/** Checks a certificate and its key; answers what is wrong with them as text. */
export function checkPair(
  certificate: string,
  keyText: string,
  wall: number,
  names?: readonly string[],
): Known | string {
  // Both may stand in one file.
  const key = keyText.slice(Math.max(0, keyText.search(/-----BEGIN [A-Z ]*PRIVATE KEY-----/)));
  const blocks = pemBlocks(certificate, 'CERTIFICATE');
  if (blocks.length === 0) return 'there is no certificate in it';
  const chain: CertificateFacts[] = [];
  for (const block of blocks) {
    const facts = readCertificate(block);
    if (facts === null) return `certificate ${chain.length + 1} of it cannot be read`;
    chain.push(facts);
  }
  const [facts] = chain as [CertificateFacts];
  try {
    if (!new X509Certificate(facts.der).checkPrivateKey(createPrivateKey(key)))
      return 'the key is not that of its first certificate';
    for (const [index, { der, issuerDer }] of chain.slice(0, -1).entries()) {
      const next = chain[index + 1]!;
      const isIssuer = Buffer.compare(issuerDer, next.subjectDer) === 0;
      if (!isIssuer || !new X509Certificate(der).checkIssued(new X509Certificate(next.der)))
        return `certificate ${index + 2} of it did not issue the one before: they stand in another order than they should`;
    }
  } catch (error) {
    return `its key cannot be read: ${error instanceof Error ? error.message : String(error)}`;
  }
  if (facts.to < wall) return `it expired at ${new Date(facts.to).toISOString()}`;
  if (facts.from > wall) return `it is not valid before ${new Date(facts.from).toISOString()}`;
  const asked = names?.map((name) => nameOf(name) ?? name) ?? facts.names;
  const beyond = asked.find((name) => !facts.names.some((own) => covers(own, name)));
  if (beyond !== undefined) return `it is not for ${beyond}, but for ${facts.names.join(', ') || 'no name'}`;
  if (asked.length === 0) return 'it is for no name';
  const text = chain.map(({ der }) => pem('CERTIFICATE', der)).join('');
  return { identity: { certificate: text, key }, names: asked, facts };
}

export class OwnFiles {
  private readonly pairs: () => readonly FilePair[];
  private readonly log: Log;
  private readonly wall: () => number;
  /** By the path of the certificate. */
  private readonly taken = new Map<string, Known>();
  /** What was read last of each, whether it was taken or not. */
  private readonly seen = new Map<string, string>();
  private readonly watchers = new Map<string, FSWatcher>();
  private quiet: NodeJS.Timeout | null = null;

  constructor(pairs: () => readonly FilePair[], log: Log, wall: () => number) {
    this.pairs = pairs;
    this.log = log;
    this.wall = wall;
    this.reload();
  }

  get known(): Iterable<Known> {
    return this.taken.values();
  }

  /** Reads what has changed. */
  reload(): void {
    const pairs = this.pairs();
    for (const path of [...this.seen.keys()]) {
      if (pairs.some(({ certificate }) => certificate === path)) continue;
      this.taken.delete(path);
      this.seen.delete(path);
    }
    for (const pair of pairs) this.reloadOne(pair);
    this.watchFolders(pairs);
  }

  close(): void {
    if (this.quiet !== null) clearTimeout(this.quiet);
    for (const watcher of this.watchers.values()) watcher.close();
    this.watchers.clear();
  }

  private reloadOne({ certificate, key, names }: FilePair): void {
    let texts: [string, string];
    try {
      texts = [readFileSync(certificate, 'utf8'), readFileSync(key, 'utf8')];
    } catch (error) {
      this.refuse(certificate, error instanceof Error ? error.message : String(error));
      return;
    }
    const whole = texts.join('\0');
    if (whole === this.seen.get(certificate)) return;
    const checked = checkPair(...texts, this.wall(), names);
    if (typeof checked === 'string') this.refuse(certificate, checked, whole);
    else {
      this.seen.set(certificate, whole);
      this.taken.set(certificate, checked);
      const until = new Date(checked.facts.to).toISOString();
      this.log.info('took a certificate', { file: certificate, names: checked.names.join(' '), until });
    }
  }

  private refuse(file: string, why: string, whole = `\0${why}`): void {
    // Said once for each content.
    if (this.seen.get(file) === whole) return;
    this.seen.set(file, whole);
    const goesOn = this.taken.has(file);
    this.log.error('a certificate was not taken', {
      file,
      why,
      instead: goesOn ? 'the former' : 'the local authority’s',
    });
  }

  /** The folders of the files and of what they link to: certbot and Kubernetes change the link, others the file. */
  private watchFolders(pairs: readonly FilePair[]): void {
    const folders = new Set<string>();
    for (const { certificate, key } of pairs)
      for (const path of [certificate, key]) {
        folders.add(dirname(resolve(path)));
        try {
          folders.add(dirname(realpathSync(path)));
        } catch {
          // It is not there now; its folder is watched.
        }
      }
    for (const [folder, watcher] of this.watchers) {
      if (folders.has(folder)) continue;
      watcher.close();
      this.watchers.delete(folder);
    }
    for (const folder of folders) {
      if (this.watchers.has(folder)) continue;
      try {
        const watcher = watch(folder, { persistent: false }, () => this.changed());
        watcher.on('error', () => {
          watcher.close();
          this.watchers.delete(folder);
        });
        this.watchers.set(folder, watcher);
      } catch {
        // The next refresh, a minute later at most, looks again.
      }
    }
  }

  private changed(): void {
    if (this.quiet !== null) clearTimeout(this.quiet);
    this.quiet = setTimeout(() => this.reload(), QUIET_MS);
    this.quiet.unref();
  }
}
