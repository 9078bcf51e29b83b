// The queue of mail that leaves: kept in the same space as the mailboxes, so that a mail is with all who take it or with none; tried
// again with growing waits until it is taken, refused or too old, and its sender told. What is acknowledged by another server is
// written down before anything else is done with it: only a crash between that word and our write leaves a doubt.
import type { Log } from '../../core/log.ts';
import { BUSY, MISSING, OK, type Outcome } from '../../core/outcome.ts';
import type { Reading, Sink } from '../../core/sink.ts';
import type { Clock, Entropy, Instant } from '../../core/time.ts';
import { type Turn, Turned } from '../../core/turn.ts';
import type { Batch } from '../../storage/batch.ts';
import { Shares } from './bytes.ts';
import type { Envelope } from './contract.ts';
import type { Incoming } from './incoming.ts';
import { readAddress } from './names.ts';
import type {
  Carrier,
  MailQueue,
  Origin,
  QueuedMail,
  QueuedRecipient,
  QueueEvent,
  QueueFigures,
  QueueSettings,
  Result,
  Wishes,
} from './queue-contract.ts';
import { Due } from './queue-due.ts';
import {
  backoff,
  LAST_KEY,
  type Notice,
  QUEUE_FOLDER,
  Queued,
  type QueueRecord,
  queueKey,
  readRecord,
  type Unit,
} from './queue-mail.ts';
import { number32 } from './records.ts';
import type { MailStore } from './store.ts';

export interface QueueOptions {
  readonly turn: Turn;
  readonly entropy: Entropy;
  readonly log: Log;
  readonly settings: QueueSettings;
  readonly told: (event: QueueEvent) => void;
}

/** What the queue needs of the mail around it: who makes a report, in one write with what `also` puts. */
export type Reporter = (
  record: QueueRecord,
  notices: readonly Notice[],
  also: (batch: Batch) => (done: boolean) => void,
) => Promise<Outcome>;

/** A recipient that leaves. */
export interface Leaving extends Wishes {
  readonly address: string;
}

interface Destination {
  active: number;
  /** Attempts in a row that found it down. */
  failures: number;
  /** Nothing is tried before. */
  until: number;
  readonly ready: Set<Unit>;
}

/** What could not be written is written again after. */
const SAVE_AGAIN_MS = 5_000;
/** How long what is under way may take to end when the server does. */
const LAST_WORD_MS = 2_000;

export class Queue extends Turned implements MailQueue {
  readonly settings: QueueSettings;
  private readonly options: QueueOptions;
  private readonly store: MailStore;
  private readonly report: Reporter;
  private readonly mails = new Map<number, Queued>();
  private readonly waiting = new Due<Unit>();
  private readonly destinations = new Map<string, Destination>();
  /** Destinations with something that is to be tried now. */
  private readonly ready = new Set<string>();
  private readonly unsaved = new Set<Queued>();
  private readonly saves = new Set<Promise<void>>();
  private carrier: Carrier | null = null;
  private lastId = 0;
  private active = 0;
  private saveAt = Number.POSITIVE_INFINITY;
  private isClosed = false;
  /** Told when nothing is under way any more. */
  private idle: (() => void) | null = null;
  private readonly counted = { attempts: 0, sent: 0, deferred: 0, failed: 0, reports: 0 };

  constructor(options: QueueOptions, store: MailStore, report: Reporter) {
    super();
    this.options = options;
    this.settings = options.settings;
    this.store = store;
    this.report = report;
  }

  /** Reads what is queued. Rejects when the store cannot be read. */
  async load(): Promise<void> {
    const { space } = this.store;
    const last = await space.last(LAST_KEY);
    if (last !== null) this.lastId = Buffer.from(last.bytes).readUInt32BE(0);
    await space.scan('q/', 0, ({ bytes }) => {
      const record = readRecord(bytes);
      this.mails.set(record.id, new Queued(record, domainOf));
      return true;
    });
  }

  /** From now on mail is carried. */
  begin(carrier: Carrier): void {
    this.carrier = carrier;
    for (const { record } of [...this.mails.values()]) this.add(record);
  }

  get figures(): QueueFigures {
    return { mails: this.mails.size, underWay: this.active, ...this.counted };
  }

  get isFull(): boolean {
    return this.mails.size >= this.settings.mailsMax;
  }

  // ---- what comes --------------------------------------------------------------------------------------------------

  /** Puts a mail into a batch. Answers what is to be called once that is durable. */
  put(
    batch: Batch,
    shares: Shares,
    incoming: Incoming,
    envelope: Envelope,
    leaving: readonly Leaving[],
    origin: Origin,
  ): () => void {
    const id = ++this.lastId;
    batch.put(LAST_KEY, number32(id), 0, 4);
    const place = incoming.put(batch, shares, QUEUE_FOLDER, id);
    const { from, trace, ret, envid } = envelope;
    // A return path is written by who delivers (RFC 5321 §4.4).
    const skip = /^Return-Path:[^\n]*\n/i.exec(trace)?.[0].length ?? 0;
    const now = this.now;
    const record: QueueRecord = {
      ...{ version: 1, id, from, origin, skip, place, size: incoming.size - skip, held: false, ret, envid },
      created: now,
      expires: now + this.settings.expireMs,
      isUtf8:
        envelope.isUtf8 === true || [from, ...leaving.map(({ address }) => address)].some((text) => !isAscii(text)),
      recipients: leaving.map(({ address, notify, orcpt }): QueuedRecipient => {
        const fresh = { tries: 0, next: now, said: '', at: 0, server: '', warned: false } as const;
        return { address, notify, orcpt, state: 'waiting', ...fresh };
      }),
    };
    new Queued(record, domainOf).put(batch);
    return () => {
      this.add(record);
      this.tell(
        'queued',
        record,
        leaving.map(({ address }) => address),
        '',
        '',
      );
    };
  }

  private add(record: QueueRecord): void {
    const mail = new Queued(record, (address) => this.destinationOf(address));
    this.mails.set(record.id, mail);
    if (!record.held) for (const unit of mail.units.values()) this.schedule(unit);
    // A crash came between the last word about it and the end of it.
    if (mail.isOver) this.save(mail);
    this.options.turn.touch(this);
  }

  private destinationOf(address: string): string {
    const domain = domainOf(address);
    return this.carrier?.destinationOf(domain) ?? domain;
  }

  // ---- when what is tried ------------------------------------------------------------------------------------------

  private get now(): number {
    return this.options.turn.clock.wall;
  }

  private get chance(): number {
    const bytes = Buffer.alloc(2);
    this.options.entropy.fill(bytes);
    return bytes.readUInt16BE() / 65_536;
  }

  get due(): Instant {
    if (this.carrier === null || this.isClosed) return Number.POSITIVE_INFINITY;
    const { clock } = this.options.turn;
    return clock.now + Math.max(0, Math.min(this.waiting.next, this.saveAt) - clock.wall);
  }

  work(_clock: Clock): void {
    this.pump();
  }

  tick(_clock: Clock): void {
    if (this.now >= this.saveAt) {
      this.saveAt = Number.POSITIVE_INFINITY;
      for (const mail of [...this.unsaved]) this.save(mail);
    }
    this.pump();
  }

  private schedule(unit: Unit): void {
    const { mail } = unit;
    unit.at = mail.nextOf(unit, (address) => this.destinationOf(address));
    if (unit.at === Number.POSITIVE_INFINITY) return;
    const destination = this.destinations.get(unit.destination);
    this.waiting.add(Math.max(unit.at, destination?.until ?? 0), unit);
    this.options.turn.touch(this);
  }

  private pump(): void {
    if (this.carrier === null || this.isClosed) return;
    const now = this.now;
    for (let held = this.waiting.take(now); held !== null; held = this.waiting.take(now)) {
      const unit = held.item;
      if (unit.running || !this.isWanted(unit) || held.at < unit.at) continue;
      const destination = this.destination(unit.destination);
      if (destination.until > now) this.waiting.add(destination.until, unit);
      else {
        destination.ready.add(unit);
        this.ready.add(unit.destination);
      }
    }
    const { attemptsMax, perDestinationMax } = this.settings;
    for (const name of [...this.ready]) {
      if (this.active >= attemptsMax) return;
      const destination = this.destination(name);
      for (const unit of destination.ready) {
        // One attempt shows whether a destination is there again.
        const most = destination.failures > 0 ? 1 : perDestinationMax;
        if (this.active >= attemptsMax || destination.active >= most) break;
        destination.ready.delete(unit);
        if (this.isWanted(unit)) this.attempt(unit, destination);
      }
      // Who had a turn is the last to have another.
      this.ready.delete(name);
      if (destination.ready.size > 0) this.ready.add(name);
      this.forget(name, destination);
    }
  }

  private isWanted({ mail }: Unit): boolean {
    return this.mails.get(mail.record.id) === mail && !mail.record.held;
  }

  private destination(name: string): Destination {
    let known = this.destinations.get(name);
    if (known === undefined) {
      known = { active: 0, failures: 0, until: 0, ready: new Set() };
      this.destinations.set(name, known);
    }
    return known;
  }

  /** Nothing is known of it that is not so of any. */
  private forget(name: string, { active, failures, ready }: Destination): void {
    if (active === 0 && failures === 0 && ready.size === 0) this.destinations.delete(name);
  }

  // ---- attempts ----------------------------------------------------------------------------------------------------

  private attempt(unit: Unit, destination: Destination): void {
    const { mail } = unit;
    const places = mail.duePlaces(unit, (address) => this.destinationOf(address), this.now);
    if (places.length === 0) {
      this.schedule(unit);
      return;
    }
    unit.running = true;
    destination.active++;
    this.active++;
    this.counted.attempts++;
    const { record } = mail;
    let isDone = false;
    this.carrier!.carry(unit.destination, {
      mail: record,
      recipients: places.map((place) => record.recipients[place]!),
      read: (start, end, sink) => this.read(record, start, end, sink),
      done: (results, isDown) => {
        if (isDone) return;
        isDone = true;
        this.done(unit, places, results, isDown);
      },
    });
  }

  private read({ place, skip, size }: QueueRecord, start: number, end: number, sink: Sink): Reading {
    return this.store.bytes.read(place, skip + start, skip + Math.min(end, size), sink);
  }

  private done(unit: Unit, places: readonly number[], results: readonly Result[], isDown: boolean): void {
    const { mail } = unit;
    const destination = this.destination(unit.destination);
    unit.running = false;
    destination.active--;
    if (--this.active === 0) this.idle?.();
    const now = this.now;
    if (isDown) {
      destination.failures++;
      destination.until = now + backoff(destination.failures, this.settings, this.chance);
      // Mails that are to be tried wait with it.
      for (const other of destination.ready) this.waiting.add(destination.until, other);
      destination.ready.clear();
      this.ready.delete(unit.destination);
    } else {
      destination.failures = 0;
      destination.until = 0;
    }
    mail.took(places, results, now, this.settings, this.chance);
    this.account(mail, places, results);
    this.schedule(unit);
    this.save(mail);
    if (destination.ready.size > 0) this.ready.add(unit.destination);
    this.forget(unit.destination, destination);
    this.options.turn.touch(this);
  }

  private account(mail: Queued, places: readonly number[], results: readonly Result[]): void {
    const { record } = mail;
    for (const [index, place] of places.entries()) {
      const { address, state, tries } = record.recipients[place]!;
      const { text, server, isDoubtful = false } = results[index]!;
      const event = state === 'sent' ? 'sent' : state === 'failed' ? 'failed' : 'deferred';
      this.counted[event]++;
      const fields = { mail: record.id, from: record.from, to: address, server, tries, said: text };
      if (event === 'failed') this.options.log.warn('a mail could not be sent', fields);
      else this.options.log.info(event === 'sent' ? 'a mail was sent' : 'a mail is tried again later', fields);
      if (isDoubtful)
        this.options.log.warn(
          'a mail may have been taken, and is sent again: its server was lost before it said so',
          fields,
        );
      this.tell(event, record, [address], text, server);
    }
  }

  private tell(
    event: QueueEvent['event'],
    { id, from }: QueueRecord,
    to: readonly string[],
    text: string,
    server: string,
  ): void {
    this.options.told({ event, id, from, to, text, server });
  }

  // ---- what is kept of it ------------------------------------------------------------------------------------------

  /** Writes what became of a mail, with the report about it in one. */
  private save(mail: Queued): void {
    if (mail.saving) return;
    mail.saving = true;
    const saved = this.saveNow(mail).finally(() => {
      mail.saving = false;
      this.saves.delete(saved);
    });
    this.saves.add(saved);
  }

  private async saveNow(mail: Queued): Promise<void> {
    this.unsaved.delete(mail);
    do {
      mail.isDirty = false;
      const notices = mail.notices;
      mail.notices = [];
      const outcome = await this.write(mail, notices);
      if (outcome === OK) continue;
      // What was acknowledged is known here: it is not sent again, and is written once that can be done.
      mail.isDirty = true;
      mail.notices = [...notices, ...mail.notices];
      this.unsaved.add(mail);
      this.saveAt = Math.min(this.saveAt, this.now + SAVE_AGAIN_MS);
      this.options.log.error('what became of a mail could not be written', { mail: mail.record.id });
      this.options.turn.touch(this);
      return;
    } while (mail.isDirty);
  }

  private async write(mail: Queued, notices: readonly Notice[]): Promise<Outcome> {
    const { record } = mail;
    let isOver = false;
    const also = (batch: Batch) => {
      isOver = mail.isOver;
      return this.writeState(batch, mail, isOver);
    };
    // Nobody is told of a mail that has no sender: reports would go round for ever (RFC 5321 §6.1).
    if (notices.length > 0 && record.from !== '') {
      const outcome = await this.report(record, notices, also);
      if (outcome === OK) {
        this.counted.reports++;
        if (isOver) this.mails.delete(record.id);
        return OK;
      }
      this.options.log.warn('a sender cannot be told what became of a mail', {
        mail: record.id,
        to: record.from,
        outcome,
      });
      if (outcome === BUSY) return outcome;
    }
    let done: (done: boolean) => void = () => {};
    const outcome = await this.store.commit((batch) => {
      done = also(batch);
    });
    done(outcome === OK);
    if (outcome === OK && isOver) this.mails.delete(record.id);
    return outcome;
  }

  private writeState(batch: Batch, mail: Queued, isOver: boolean): (done: boolean) => void {
    if (!isOver) {
      mail.put(batch);
      return () => {};
    }
    const shares = new Shares();
    batch.remove(queueKey(mail.record.id));
    shares.add(mail.record.place, -1);
    return this.store.bytes.write(batch, shares);
  }

  // ---- for who runs it ---------------------------------------------------------------------------------------------

  /** By number, those behind `after`. */
  list(after: number, most: number): readonly QueuedMail[] {
    const found: QueuedMail[] = [];
    for (const [id, { record }] of this.mails) {
      if (id <= after) continue;
      found.push(record);
    }
    return found.sort((one, other) => one.id - other.id).slice(0, most);
  }

  find(id: number): QueuedMail | null {
    return this.mails.get(id)?.record ?? null;
  }

  /** Its first bytes; null when it is not there. Rejects when the store cannot be read. */
  async bytesOf(id: number): Promise<Buffer | null> {
    const record = this.mails.get(id)?.record;
    if (record === undefined) return null;
    const whole = await this.store.bytes.whole(record.place, record.skip + record.size);
    return whole?.subarray(record.skip) ?? null;
  }

  /** Tries a mail now, or all: also destinations that are thought to be down. MISSING. */
  async retry(id: number | null): Promise<Outcome> {
    return this.changeEach(
      id,
      (recipient) => ({ ...recipient, next: this.now }),
      (mail) => {
        for (const unit of mail.units.values()) {
          const destination = this.destinations.get(unit.destination);
          if (destination !== undefined) destination.until = 0;
        }
      },
    );
  }

  async hold(id: number | null): Promise<Outcome> {
    return this.changeEach(id, null, (mail) => {
      mail.record = { ...mail.record, held: true };
    });
  }

  async release(id: number | null): Promise<Outcome> {
    return this.changeEach(id, null, (mail) => {
      mail.record = { ...mail.record, held: false };
    });
  }

  /** Takes out what is not being sent at this moment; `tells`: the sender is told. */
  async remove(id: number | null, tells: boolean): Promise<Outcome> {
    const said = { said: '5.0.0 It was removed from the queue.', at: this.now, server: '' };
    return this.changeEach(
      id,
      (recipient) => {
        const removed: QueuedRecipient = { ...recipient, ...said, state: 'removed' };
        return removed;
      },
      (mail, before) => {
        const gone = mail.record.recipients.filter(
          ({ state }, at) => state === 'removed' && before[at]!.state !== state,
        );
        if (tells) for (const recipient of gone) mail.notices.push({ action: 'failed', recipient });
        this.tell(
          'removed',
          mail.record,
          gone.map(({ address }) => address),
          said.said,
          '',
        );
      },
    );
  }

  private async changeEach(
    id: number | null,
    change: ((recipient: QueuedRecipient) => QueuedRecipient) | null,
    then: (mail: Queued, before: readonly QueuedRecipient[]) => void,
  ): Promise<Outcome> {
    const mails = id === null ? [...this.mails.values()] : [this.mails.get(id)].filter((mail) => mail !== undefined);
    if (mails.length === 0) return id === null ? OK : MISSING;
    const isBusy = (mail: Queued) => (address: string) => mail.units.get(this.destinationOf(address))?.running === true;
    for (const mail of mails) {
      const before = mail.record.recipients;
      if (change !== null) mail.change(change, isBusy(mail));
      then(mail, before);
      mail.isDirty = true;
      if (!mail.record.held) for (const unit of mail.units.values()) if (!unit.running) this.schedule(unit);
      this.save(mail);
    }
    await Promise.all(this.saves);
    return mails.some((mail) => this.unsaved.has(mail)) ? BUSY : OK;
  }

  /** Tries nothing more; what is under way may end. */
  rest(): void {
    this.isClosed = true;
    this.options.turn.touch(this);
  }

  /** Tries nothing more, and waits until what came of what was tried is written. */
  async close(): Promise<void> {
    this.rest();
    this.options.turn.forget(this);
    // What was said of mails that are out is heard: else they would be sent again.
    if (this.active > 0)
      await new Promise<void>((resolve) => {
        const late = setTimeout(resolve, LAST_WORD_MS);
        this.idle = () => {
          clearTimeout(late);
          resolve();
        };
      });
    for (const mail of [...this.unsaved]) this.save(mail);
    while (this.saves.size > 0) await Promise.all(this.saves);
  }
}

function domainOf(address: string): string {
  return readAddress(address)?.domain ?? '';
}

function isAscii(text: string): boolean {
  return /^[\x20-\x7e]*$/.test(text);
}
