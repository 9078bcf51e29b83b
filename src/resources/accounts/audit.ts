// The audit: who did what, when, from where, by what and how it went, appended to the accounts' space. Sign-ins that repeat
// are counted into one entry, and have a share of the room of their own: no number of guesses drives out what an
// administrator did.
import type { Log } from '../../core/log.ts';
import { OK, type Outcome } from '../../core/outcome.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import { type Turn, Turned } from '../../core/turn.ts';
import { Batch } from '../../storage/batch.ts';
import type { Keep, Space } from '../../storage/engine.ts';
import { decoded, encoded } from './records.ts';

export interface AuditEntry {
  /** Milliseconds since 1970. */
  readonly time: number;
  /** The account that it was done to or by, as it was given. */
  readonly who: string;
  /** `sign-in`, or the order: `account.add`, `token.revoke`. */
  readonly what: string;
  /** By what: `password`, `token:ci`; or who gave the order: `command`, an account's name. */
  readonly by: string;
  /** An address without its port; `''` for this machine's command. */
  readonly from: string;
  readonly protocol: string;
  /** `ok`, or why not. */
  readonly outcome: string;
  /** How often, where it is more than once. */
  readonly times?: number;
  readonly detail?: string;
}

const CHANGES = 'log/changes';
const SIGN_INS = 'log/sign-ins';
const PREFIX = 'log/';

const DAY_MS = 86_400_000;

/** Changes for a year, sign-ins for 90 days, each within its bytes. */
export const AUDIT_KEEPS: readonly Keep[] = [
  { prefix: CHANGES, last: Number.POSITIVE_INFINITY, ageMs: 365 * DAY_MS, bytes: 33_554_432 },
  { prefix: SIGN_INS, last: Number.POSITIVE_INFINITY, ageMs: 90 * DAY_MS, bytes: 33_554_432 },
];

/** For so long the same sign-in is counted and not written again. */
const WINDOW_OK_MS = 3_600_000;
const WINDOW_REFUSED_MS = 60_000;

/** Different sign-ins that are counted at once; those beyond it are counted together. */
const COUNTED_MAX = 512;

/** Entries that may wait to be written. */
const PENDING_MAX = 4_096;

const SWEEP_MS = 3_600_000;
const TEXT_MAX = 128;

interface Counted {
  readonly entry: AuditEntry;
  times: number;
  readonly until: number;
}

interface Pending {
  readonly key: string;
  readonly entry: AuditEntry;
  readonly stored: () => void;
}

/** What is told of an entry that was read. */
export type AuditVisitor = (entry: AuditEntry, sequence: number) => boolean;

export class Audit extends Turned {
  due: Instant;
  /** Entries that could not be written. */
  lost = 0;
  /** Told of each entry once it is stored. */
  told: ((entry: AuditEntry) => void) | null = null;
  private readonly space: Space;
  private readonly turn: Turn;
  private readonly log: Log;
  private pending: Pending[] = [];
  private readonly counted = new Map<string, Counted>();
  private readonly waiting: (() => void)[] = [];
  private committing = 0;
  private sweepAt: Instant;

  constructor(space: Space, turn: Turn, log: Log) {
    super();
    this.space = space;
    this.turn = turn;
    this.log = log;
    this.sweepAt = turn.clock.now + SWEEP_MS;
    this.due = this.sweepAt;
    turn.touch(this);
  }

  /** A change, or an order that was refused; resolves once it is stored, or cannot be. */
  note(entry: Omit<AuditEntry, 'time'>): Promise<void> {
    return new Promise((resolve) => {
      this.write(CHANGES, { time: this.turn.clock.wall, ...bounded(entry) }, resolve);
    });
  }

  /** A sign-in, let in or not. The first of its kind is written at once, what repeats it is counted. */
  noteSignIn(who: string, by: string, from: string, protocol: string, outcome: string): void {
    const key = `${outcome}\0${from}\0${by}\0${protocol}\0${who}`;
    if (this.counted.has(key) || this.counted.size < COUNTED_MAX)
      this.count(key, { who, what: 'sign-in', by, from, protocol, outcome });
    else
      this.count(outcome, { who: '', what: 'sign-in', by: '', from: '', protocol: '', outcome, detail: 'many others' });
  }

  /** Visits what is kept after a sequence, oldest first. */
  read(after: number, visit: AuditVisitor): Promise<number> {
    return this.space.scan(PREFIX, after, (entry) => visit(decoded(entry.bytes) as AuditEntry, entry.sequence));
  }

  /** Writes what was counted and waits until all of it is stored. */
  async close(): Promise<void> {
    for (const [key, counted] of this.counted) this.finish(key, counted);
    this.submit();
    if (this.committing > 0) await new Promise<void>((resolve) => this.waiting.push(resolve));
    this.turn.forget(this);
  }

  work(_clock: Clock): void {
    this.submit();
  }

  tick({ now, wall }: Clock): void {
    for (const [key, counted] of this.counted) if (counted.until <= wall) this.finish(key, counted);
    if (now >= this.sweepAt) {
      this.sweepAt = now + SWEEP_MS;
      this.space
        .sweep(wall)
        .catch((error: unknown) => this.log.warn('old audit was not dropped', { error: String(error) }));
    }
    let next = NEVER;
    for (const { until } of this.counted.values()) next = Math.min(next, now + until - wall);
    this.due = Math.min(next, this.sweepAt);
  }

  private count(key: string, given: Omit<AuditEntry, 'time'>): void {
    const { wall, now } = this.turn.clock;
    const known = this.counted.get(key);
    if (known !== undefined && wall < known.until) {
      known.times++;
      return;
    }
    if (known !== undefined) this.finish(key, known);
    const entry = { time: wall, ...bounded(given) };
    const window = entry.outcome === 'ok' ? WINDOW_OK_MS : WINDOW_REFUSED_MS;
    this.counted.set(key, { entry, times: 0, until: wall + window });
    this.write(SIGN_INS, entry);
    this.due = Math.min(this.due, now + window);
  }

  private finish(key: string, { entry, times }: Counted): void {
    this.counted.delete(key);
    if (times > 0) this.write(SIGN_INS, { ...entry, time: this.turn.clock.wall, times });
  }

  private write(key: string, entry: AuditEntry, stored: () => void = () => {}): void {
    if (this.pending.length >= PENDING_MAX) {
      this.lose(1);
      stored();
      return;
    }
    this.pending.push({ key, entry, stored });
    this.turn.touch(this);
  }

  private submit(): void {
    const { pending } = this;
    if (pending.length === 0) return;
    this.pending = [];
    for (let from = 0; from < pending.length; from += 500) {
      const some = pending.slice(from, from + 500);
      const batch = new Batch(this.turn.clock.wall);
      for (const { key, entry } of some) {
        const bytes = encoded(entry);
        batch.append(key, bytes, 0, bytes.length);
      }
      this.committing++;
      this.space.commit(batch, { settled: (_token, outcome) => this.settled(some, outcome) }, 0);
    }
  }

  private settled(entries: readonly Pending[], outcome: Outcome): void {
    this.committing--;
    if (outcome !== OK) this.lose(entries.length);
    for (const { entry, stored } of entries) {
      stored();
      if (outcome === OK) this.told?.(entry);
    }
    if (this.committing === 0) for (const resolve of this.waiting.splice(0)) resolve();
  }

  private lose(entries: number): void {
    if (this.lost === 0) this.log.error('the audit could not be written');
    this.lost += entries;
  }
}

function bounded(entry: Omit<AuditEntry, 'time'>): Omit<AuditEntry, 'time'> {
  const short = (text: string) => (text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}…` : text);
  return { ...entry, who: short(entry.who), by: short(entry.by), from: short(entry.from) };
}
