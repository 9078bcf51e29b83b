// One mail of the queue: its record, what became of its recipients, and what is to be told to its sender.
import type { Batch } from '../../storage/batch.ts';
import {
  type Origin,
  type QueuedMail,
  type QueuedRecipient,
  type QueueSettings,
  RECIPIENTS_AT_ONCE,
  type Result,
} from './queue-contract.ts';
import { bytesKey, decoded, encoded, type Place } from './records.ts';

/** What is kept of a mail: under `q/<id>`, its bytes under `b/0/<id>` or in a blob. */
export interface QueueRecord extends QueuedMail {
  readonly version: 1;
  readonly place: Place;
  /** Where it begins in the bytes: what stands before is for mailboxes only. */
  readonly skip: number;
  readonly origin: Origin;
}

export const queueKey = (id: number): string => `q/${id}`;
/** The last number that was given. */
export const LAST_KEY = 'n/queue';
/** Its bytes stand where those of a folder that is none would. */
export const QUEUE_FOLDER = 0;
export const queueBytesKey = (id: number): string => bytesKey(QUEUE_FOLDER, id);

/** Throws for a record of a newer version. */
export function readRecord(bytes: Uint8Array): QueueRecord {
  const record = decoded<QueueRecord>(bytes);
  if (record.version !== 1)
    throw new Error(`a mail is queued in version ${String(record.version)}, which is newer than this Portico`);
  return record;
}

/** What the sender is told of one recipient. */
export interface Notice {
  readonly action: 'failed' | 'delayed' | 'relayed';
  readonly recipient: QueuedRecipient;
}

/** The recipients of one mail that go to one destination. */
export interface Unit {
  readonly mail: Queued;
  readonly destination: string;
  /** When it is tried next; what is in the heap by another time is old. */
  at: number;
  running: boolean;
}

export class Queued {
  record: QueueRecord;
  readonly units = new Map<string, Unit>();
  /** What its sender is to be told with the next write. */
  notices: Notice[] = [];
  /** What is in memory is not on the disk yet. */
  isDirty = false;
  saving = false;

  constructor(record: QueueRecord, destinationOf: (address: string) => string) {
    this.record = record;
    for (const { address, state, next } of record.recipients) {
      if (state !== 'waiting') continue;
      const destination = destinationOf(address);
      const unit = this.units.get(destination);
      if (unit === undefined) this.units.set(destination, { mail: this, destination, at: next, running: false });
      else unit.at = Math.min(unit.at, next);
    }
  }

  get isRunning(): boolean {
    for (const { running } of this.units.values()) if (running) return true;
    return false;
  }

  get isOver(): boolean {
    return !this.isRunning && this.record.recipients.every(({ state }) => state !== 'waiting');
  }

  /** Places of recipients that are to be tried now. */
  duePlaces(unit: Unit, destinationOf: (address: string) => string, now: number): number[] {
    const places: number[] = [];
    const { recipients } = this.record;
    for (let at = 0; at < recipients.length && places.length < RECIPIENTS_AT_ONCE; at++) {
      const { state, address, next } = recipients[at]!;
      if (state === 'waiting' && next <= now && destinationOf(address) === unit.destination) places.push(at);
    }
    return places;
  }

  /** The next time of a unit; Infinity when none of its recipients waits. */
  nextOf(unit: Unit, destinationOf: (address: string) => string): number {
    let next = Number.POSITIVE_INFINITY;
    for (const { state, address, next: at } of this.record.recipients)
      if (state === 'waiting' && destinationOf(address) === unit.destination) next = Math.min(next, at);
    return next;
  }

  /** Takes in what became of recipients in an attempt. */
  took(
    places: readonly number[],
    results: readonly Result[],
    now: number,
    settings: QueueSettings,
    chance: number,
  ): void {
    const recipients = [...this.record.recipients];
    for (const [index, place] of places.entries()) {
      const before = recipients[place]!;
      const after = this.judged(before, results[index]!, now, settings, chance);
      recipients[place] = after;
    }
    this.record = { ...this.record, recipients };
    this.isDirty = true;
  }

  private judged(
    before: QueuedRecipient,
    { state, text, server, tells = false }: Result,
    now: number,
    settings: QueueSettings,
    chance: number,
  ): QueuedRecipient {
    const tries = before.tries + 1;
    const said = { ...before, tries, said: text.slice(0, 1_000), at: now, server };
    if (state === 'sent') {
      const sent: QueuedRecipient = { ...said, state: 'sent' };
      if (!tells && wishes(before).includes('SUCCESS')) this.notices.push({ action: 'relayed', recipient: sent });
      return sent;
    }
    if (state === 'permanent' || now >= this.record.expires) {
      const isOld = state === 'transient';
      const failed: QueuedRecipient = {
        ...said,
        ...(isOld ? { said: `4.4.7 It was tried until it was too old. The last answer: ${said.said}` } : {}),
        state: 'failed',
      };
      if (wishes(before).includes('FAILURE')) this.notices.push({ action: 'failed', recipient: failed });
      return failed;
    }
    const warns = settings.warnMs > 0 && !before.warned && now >= this.record.created + settings.warnMs;
    const next = Math.min(now + backoff(tries, settings, chance), Math.max(this.record.expires, now + 1));
    const later: QueuedRecipient = { ...said, next, warned: before.warned || warns };
    if (warns && wishes(before).includes('DELAY')) this.notices.push({ action: 'delayed', recipient: later });
    return later;
  }

  /** Changes recipients that wait, and are not being tried now. Answers how many. */
  change(change: (recipient: QueuedRecipient) => QueuedRecipient, isBusy: (address: string) => boolean): number {
    let count = 0;
    const recipients = this.record.recipients.map((recipient) => {
      if (recipient.state !== 'waiting' || isBusy(recipient.address)) return recipient;
      count++;
      return change(recipient);
    });
    this.record = { ...this.record, recipients };
    if (count > 0) this.isDirty = true;
    return count;
  }

  put(batch: Batch): void {
    const bytes = encoded(this.record);
    batch.put(queueKey(this.record.id), bytes, 0, bytes.length);
  }
}

/** What the sender wishes to be told of; of failures and delays where he did not say (RFC 3461 §4.1). */
function wishes({ notify }: QueuedRecipient): readonly string[] {
  return notify === undefined ? ['FAILURE', 'DELAY'] : notify.toUpperCase().split(',');
}

/** How long until the next attempt, a third of it left to chance so that not all come back at once. */
export function backoff(tries: number, { retryMs, retryMostMs }: QueueSettings, chance: number): number {
  const whole = Math.min(retryMs * 3 ** Math.min(tries - 1, 20), retryMostMs);
  return Math.round(whole * (0.83 + chance * 0.34));
}
