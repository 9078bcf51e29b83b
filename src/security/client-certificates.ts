// Whose client certificates are taken: our own authority's and those that the configuration names, less what was revoked.
import { readFileSync } from 'node:fs';
import type { Log } from '../core/log.ts';
import type { ClientCertificates } from '../core/tls.ts';
import type { Authority } from './authority.ts';
import { pemBlocks } from './certificate.ts';
import { OIDS } from './oids.ts';
import { type RevocationList, readCertificate, readRevocationList } from './reading.ts';

export interface ClientCertificateOptions {
  readonly clientAuthorities?: readonly string[];
  readonly revocationLists?: readonly string[];
  readonly log: Log;
}

export class OwnClientCertificates implements ClientCertificates {
  private readonly authority: Authority;
  private readonly options: ClientCertificateOptions;
  private readonly wall: () => number;
  private readonly texts = new Map<string, string>();
  private lists: readonly RevocationList[] = [];

  constructor(authority: Authority, options: ClientCertificateOptions, wall: () => number) {
    this.authority = authority;
    this.options = options;
    this.wall = wall;
    this.reload();
  }

  get authorities(): string {
    const { clientAuthorities = [] } = this.options;
    return this.authority.root.pem + clientAuthorities.map((file) => this.texts.get(file) ?? '').join('\n');
  }

  /** Reads the files again; what cannot be read stays as it was. */
  reload(): void {
    const { clientAuthorities = [], revocationLists = [], log } = this.options;
    let isChanged = false;
    for (const file of [...clientAuthorities, ...revocationLists]) {
      try {
        const text = readFileSync(file, 'latin1');
        if (this.texts.get(file) === text) continue;
        this.texts.set(file, text);
        isChanged = true;
      } catch (error) {
        log.error('a file of authorities or revocations cannot be read', {
          file,
          why: error instanceof Error ? error.message : String(error),
        });
      }
    }
    if (isChanged) this.lists = revocationLists.flatMap((file) => this.listsOf(file));
  }

  refuse(chain: readonly Uint8Array[]): string | null {
    const wall = this.wall();
    const all = chain.map(readCertificate);
    for (const [index, facts] of all.entries()) {
      if (facts === null) return 'it cannot be read';
      if (facts.authorityKey !== '' && this.isRevokedHere(facts.serial, facts.authorityKey))
        return `certificate ${facts.serial} was revoked`;
      const issuer = all[index + 1];
      for (const list of this.lists) {
        if (Buffer.compare(list.issuerDer, facts.issuerDer) !== 0) continue;
        if (issuer !== undefined && issuer !== null && !list.signedBy(issuer.spki)) continue;
        if (list.serials.has(facts.serial)) return `certificate ${facts.serial} was revoked`;
        // A list that is not kept up would hide what was revoked since.
        if (list.to < wall) return `the list of what ${facts.issuer} revoked is out of date`;
      }
    }
    const { purposes = [] } = all[0] ?? {};
    return purposes.length > 0 && !purposes.includes(OIDS.clientAuth) ? 'it is not for clients' : null;
  }

  private isRevokedHere(serial: string, issuer: string): boolean {
    const isOurs = this.authority.intermediates.some(({ id }) => id === issuer);
    return isOurs && this.authority.issued.revoked(serial) !== null;
  }

  private listsOf(file: string): RevocationList[] {
    const text = this.texts.get(file) ?? '';
    const blocks = pemBlocks(text, 'X509 CRL');
    const found: RevocationList[] = [];
    for (const block of blocks.length === 0 ? [Buffer.from(text, 'latin1')] : blocks) {
      const list = readRevocationList(block);
      if (list === null) this.options.log.error('a list of revocations cannot be read', { file });
      else found.push(list);
    }
    return found;
  }
}
