// What an authority issued and revoked, as lines of JSON. A file holds what expires in one month, so that what has expired
// goes with its file and nothing is ever written anew; two processes may append at once.
import type { Keeping } from './keeping.ts';

export type Purpose = 'server' | 'client';

export interface IssuedRecord {
  /** In hexadecimal. */
  readonly serial: string;
  readonly purpose: Purpose;
  /** By what it was asked for: the server itself, the command, an ACME account. */
  readonly by: 'self' | 'command' | 'acme';
  readonly names: readonly string[];
  /** Of a client's certificate: whose it is, and SHA-256 of its DER in hexadecimal. */
  readonly account?: string;
  readonly fingerprint?: string;
  readonly from: number;
  readonly to: number;
  /** The issuer's key, by its hash. */
  readonly issuer: string;
}

export interface Revocation {
  readonly serial: string;
  readonly at: number;
}

/** So many are kept in mind; the oldest that were asked for by nobody else go first. */
const RECORDS_MAX = 100_000;
const FILE = /^issued-(\d{4})-(\d\d)\.log$/;

export class IssuedLog {
  private readonly keeping: Keeping;
  private readonly records = new Map<string, IssuedRecord>();
  private readonly lengths = new Map<string, number>();
  private readonly revocations = new Map<string, Revocation>();

  constructor(keeping: Keeping, wall: number) {
    this.keeping = keeping;
    this.refresh(wall);
  }

  /** Reads what other processes wrote, and forgets what has expired. */
  refresh(wall: number): void {
    for (const name of this.keeping.list()) {
      const month = FILE.exec(name);
      if (month === null) continue;
      // A day later: clocks differ.
      const over = Date.UTC(Number(month[1]), Number(month[2]), 2);
      if (over < wall) this.keeping.remove(name);
      else this.read(name);
    }
    for (const [serial, { to }] of this.records) {
      if (to >= wall) continue;
      this.records.delete(serial);
      this.revocations.delete(serial);
    }
  }

  get isFull(): boolean {
    return this.records.size >= RECORDS_MAX;
  }

  add(record: IssuedRecord): void {
    this.records.set(record.serial, record);
    this.keeping.append(fileOf(record.to), JSON.stringify(record));
  }

  /** False when there is none with this serial number; one that is revoked already stays so. */
  revoke(serial: string, at: number): boolean {
    const record = this.records.get(serial);
    if (record === undefined) return false;
    if (this.revocations.has(serial)) return true;
    this.keeping.append(fileOf(record.to), JSON.stringify({ revoked: serial, at }));
    this.revocations.set(serial, { serial, at });
    return true;
  }

  get(serial: string): IssuedRecord | null {
    return this.records.get(serial) ?? null;
  }

  revoked(serial: string): Revocation | null {
    return this.revocations.get(serial) ?? null;
  }

  all(): IssuedRecord[] {
    return [...this.records.values()];
  }

  allRevoked(): Revocation[] {
    return [...this.revocations.values()];
  }

  /** Only what is new in it: files of this kind only grow. */
  private read(name: string): void {
    const text = this.keeping.read(name) ?? '';
    for (const line of text.slice(this.lengths.get(name) ?? 0).split('\n')) this.take(line);
    this.lengths.set(name, text.lastIndexOf('\n') + 1);
  }

  private take(line: string): void {
    if (line === '') return;
    try {
      const value = JSON.parse(line) as IssuedRecord | { revoked: string; at: number };
      if ('revoked' in value) {
        const { revoked: serial, at } = value;
        if (!this.revocations.has(serial)) this.revocations.set(serial, { serial, at });
      } else if (!this.records.has(value.serial)) this.records.set(value.serial, value);
    } catch {
      // A line that a crash cut short was never acknowledged.
    }
  }
}

/** The file of what expires then. */
function fileOf(to: number): string {
  return `issued-${new Date(to).toISOString().slice(0, 7)}.log`;
}
