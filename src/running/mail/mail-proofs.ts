// What mail proves of itself: signatures for what leaves, seals for what is sent on, and checks of what comes from strangers.
import { createPublicKey } from 'node:crypto';
import { type Config, ConfigError } from '../../config.ts';
import type { Log } from '../../core/log.ts';
import { OK } from '../../core/outcome.ts';
import type { Sink } from '../../core/sink.ts';
import { sealArc, verifyArc } from '../../formats/mail-auth/arc.ts';
import { type BodyHash, type CheckedMessage, fieldsOf, flat, valueOfField } from '../../formats/mail-auth/canonical.ts';
import { signDkim } from '../../formats/mail-auth/dkim.ts';
import { recordOf } from '../../formats/mail-auth/dkim-keys.ts';
import type { DnsFind } from '../../formats/mail-auth/lookup.ts';
import { checkMail, resultsText, withoutForged } from '../../formats/mail-auth/results.ts';
import { flatAddresses, readAddresses } from '../../formats/mime/addresses.ts';
import { headerEnd } from '../../formats/mime/header.ts';
import type { Checked, CheckedQuery, MailChecks } from '../../resources/mail/checks.ts';
import type { Carriage } from '../../resources/mail/queue-contract.ts';
import { type DkimKey, openDkimKeys, writeDkimRecords } from '../../security/dkim-keys.ts';
import type { Lookup } from '../names/looking-up.ts';

/** Of a longer header nothing is signed. */
const HEADER_MAX = 262_144;
/** All questions to DNS about one mail; what is not known then is not known. */
const CHECK_MS = 30_000;

/** A record of a key, for DNS. */
export interface KeyRecord {
  /** `portico-rsa._domainkey.example.org` */
  readonly name: string;
  readonly text: string;
}

export class MailProofs implements MailChecks {
  readonly keys: readonly DkimKey[];
  private readonly server: string;
  private readonly honours: boolean;
  private readonly wall: () => number;
  private find: DnsFind = async () => ({ kind: 'failed', values: [] });

  /** Null where mail is caught. Rejects with a `ConfigError` where keys cannot be had. */
  static async open(config: Config, wall: () => number, log: Log): Promise<MailProofs | null> {
    const { mail, storage, data } = config;
    if (mail.mode === 'catch') return null;
    const folder = storage === 'memory' ? null : data;
    try {
      const keys = mail.relay === false || !mail.relay.sign ? [] : await openDkimKeys(folder, mail.domains, log);
      const proofs = new MailProofs(config, keys, wall);
      if (folder !== null) for (const domain of mail.domains) proofs.writeRecords(folder, domain);
      return proofs;
    } catch (error) {
      throw new ConfigError([`mail: the keys to sign with: ${(error as Error).message}`]);
    }
  }

  private constructor({ mail }: Config, keys: readonly DkimKey[], wall: () => number) {
    this.keys = keys;
    this.server = (mail.relay === false ? undefined : mail.relay.name) ?? mail.domains[0]!;
    this.honours = mail.checks === 'honour';
    this.wall = wall;
  }

  /** DNS can be asked from now on. */
  begin(lookup: Lookup): void {
    this.find = (name, type) => lookup.find(name, type);
  }

  private get seconds(): number {
    return Math.floor(this.wall() / 1_000);
  }

  // ---- keys --------------------------------------------------------------------------------------------------------

  get records(): readonly KeyRecord[] {
    return this.keys.map(({ domain, selector, key }) => {
      return { name: `${selector}._domainkey.${domain}`, text: recordOf(createPublicKey(key)) };
    });
  }

  private writeRecords(folder: string, domain: string): void {
    const own = this.records.filter(({ name }) => name.endsWith(`._domainkey.${domain}`));
    if (own.length > 0)
      writeDkimRecords(
        folder,
        domain,
        own.map(({ name, text }) => `${name}. TXT ${quotedText(text)}`),
      );
  }

  // ---- what leaves -------------------------------------------------------------------------------------------------

  /** What stands before a message on its way out: signatures of the domain that its reader sees, or one more link of a chain. */
  async sealed(carriage: Carriage): Promise<Buffer> {
    const { mail } = carriage;
    const head = await headOf(carriage);
    if (head === null || this.keys.length === 0) return NOTHING;
    const message: CheckedMessage = { head, hash: (hashes) => hashBody(carriage, head.length, hashes) };
    const now = this.seconds;
    if (mail.origin === 'forwarded') {
      // One signature: verifiers of chains know RSA all, and Ed25519 few.
      const key = this.keys[0]!;
      const chain = await verifyArc(message, this.find, now);
      return Buffer.from(await sealArc(message, this.resultsIn(head), chain, key, now), 'latin1');
    }
    const from = [...new Set(domainsOf(head))];
    const keys = this.keys.filter(({ domain }) => from.length === 1 && from[0] === domain);
    return keys.length === 0 ? NOTHING : Buffer.from(await signDkim(message, keys, now), 'latin1');
  }

  /** What this server found when the mail came. */
  private resultsIn(head: Buffer): string {
    for (const field of fieldsOf(head)) {
      if (field.name !== 'authentication-results') continue;
      const value = valueOfField(field).trim();
      if (flat(value).split(/[\s;]/, 1)[0]!.toLowerCase() === this.server.toLowerCase()) return value;
    }
    return `${this.server}; none`;
  }

  // ---- what comes --------------------------------------------------------------------------------------------------

  async check({ ip, helo, from }: CheckedQuery, message: CheckedMessage): Promise<Checked> {
    const { server } = this;
    const until = this.wall() + CHECK_MS;
    const find: DnsFind = (name, type) =>
      this.wall() > until ? Promise.resolve({ kind: 'failed', values: [] }) : this.find(name, type);
    const query = { ip, helo, from, receiver: server };
    const checks = await checkMail(message, query, domainsOf(message.head), find, this.seconds);
    const { result, policy } = checks.dmarc;
    return {
      field: `Authentication-Results: ${resultsText(server, checks)}\r\n`,
      head: withoutForged(message.head, server),
      policy: this.honours && result === 'fail' ? policy : 'none',
    };
  }
}

const NOTHING = Buffer.alloc(0);

/** A text in quotes, in pieces that a record can hold. */
export function quotedText(text: string): string {
  return text
    .match(/.{1,255}/g)!
    .map((piece) => `"${piece.replace(/["\\]/g, '\\$&')}"`)
    .join(' ');
}

/** The domains that a reader sees as senders. */
function domainsOf(head: Buffer): string[] {
  const fields = fieldsOf(head).filter(({ name }) => name === 'from');
  return fields.flatMap((field) =>
    flatAddresses(readAddresses(Buffer.from(flat(valueOfField(field)), 'latin1').toString('utf8')))
      .map(({ domain }) => domain.toLowerCase())
      .filter((domain) => domain !== ''),
  );
}

/** The header of a message with its empty line; null where it cannot be read, or is too long. */
function headOf(carriage: Carriage): Promise<Buffer | null> {
  const chunks: Buffer[] = [];
  const most = Math.min(carriage.mail.size, HEADER_MAX);
  return new Promise((resolve) => {
    carriage.read(0, most, {
      room: HEADER_MAX,
      bytes: (data, start, end) => void chunks.push(Buffer.from(data.subarray(start, end))),
      end: (outcome) => {
        const all = Buffer.concat(chunks);
        const end = outcome === OK ? headerEnd(all) : 0;
        resolve(end === 0 || (end === HEADER_MAX && end < carriage.mail.size) ? null : all.subarray(0, end));
      },
    });
  });
}

function hashBody(carriage: Carriage, from: number, hashes: readonly BodyHash[]): Promise<void> {
  return new Promise((resolve, reject) => {
    carriage.read(from, carriage.mail.size, hashing(hashes, resolve, reject));
  });
}

/** Gives all that is read to the hashes. */
export function hashing(hashes: readonly BodyHash[], done: () => void, failed: (error: Error) => void): Sink {
  return {
    room: 65_536,
    bytes: (data, start, end) => {
      for (const each of hashes) each.update(data, start, end);
    },
    end: (outcome) => (outcome === OK ? done() : failed(new Error('the message could not be read'))),
  };
}
