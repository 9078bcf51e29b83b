// Mail over a store: recipients, deliveries, and who opens what.
import { type Caller, OPERATOR } from '../../core/caller.ts';
import { DENIED, FULL, GONE, INVALID, MISSING, OK, type Outcome, UNKNOWN, type Waiter } from '../../core/outcome.ts';
import type { Permissions } from '../../core/permissions.ts';
import { flatAddresses, readAddresses } from '../../formats/mime/addresses.ts';
import { HeaderReader } from '../../formats/mime/header.ts';
import { toXtext } from '../../formats/mime/report.ts';
import { decodeWords } from '../../formats/mime/words.ts';
import { Batch } from '../../storage/batch.ts';
import type { Engine } from '../../storage/engine.ts';
import { Shares } from './bytes.ts';
import { checkedMessage, type MailChecks } from './checks.ts';
import type { Envelope, IncomingMail, Mail, Mailbox, MailEvent, Recipient, Route } from './contract.ts';
import { Greylist } from './greylist.ts';
import { Incoming } from './incoming.ts';
import { MAIL_LIMITS } from './limits.ts';
import { CallersMailbox, type MailboxTerms, putMessage } from './mailbox.ts';
import { folderName, INBOX, mailboxName, readAddress } from './names.ts';
import { Queue, type QueueOptions } from './queue.ts';
import type { Wishes } from './queue-contract.ts';
import { reportDelivered, reportOn } from './queue-reporting.ts';
import { decoded, encoded } from './records.ts';
import { type RouteSettings, Routes } from './routes.ts';
import { type KeptFolder, type KeptMailbox, MailStore } from './store.ts';

export interface MailOptions
  extends Pick<RouteSettings, 'aliases' | 'catchAll' | 'isAccount' | 'domains' | 'catching'> {
  readonly engine: Engine;
  readonly permissions: Permissions;
  /** Bytes of a mailbox; Infinity for no bound. */
  readonly quotaOf?: (mailbox: string) => number;
  readonly messageBytesMax?: number;
  /** Told of each mail that came to a mailbox, once it is durable. */
  readonly told: (event: MailEvent) => void;
  /** Publishes a mail that came to a topic; answers once it is acknowledged. */
  readonly publish: (caller: Caller, topic: string, message: Buffer) => Promise<Outcome>;
  /** Milliseconds since 1970. */
  readonly wall: () => number;
  /** What mail of strangers is checked for; absent where it is taken as it comes. */
  readonly checks?: MailChecks | undefined;
  /** Strangers are asked to come again, and this is too soon; 0 or absent: nobody is. */
  readonly greylistMs?: number;
  /** How mail leaves; absent where none does. */
  readonly leaving?: QueueOptions | undefined;
}

export class StoredMail implements Mail {
  readonly domains: readonly string[];
  readonly catching: boolean;
  readonly messageBytesMax: number;
  readonly store: MailStore;
  readonly options: MailOptions;
  /** Mail that leaves; null where none does. */
  readonly queue: Queue | null;
  private readonly greylist: Greylist | null;
  private readonly routes: Routes;
  private readonly terms: MailboxTerms;
  private readonly making = new Map<string, Promise<Outcome>>();
  private caught = 0;

  private constructor(options: MailOptions, store: MailStore) {
    this.options = options;
    this.store = store;
    this.domains = options.domains;
    this.catching = options.catching;
    this.messageBytesMax = options.messageBytesMax ?? MAIL_LIMITS.messageBytesMax;
    const { greylistMs = 0, wall } = options;
    this.greylist = greylistMs > 0 ? new Greylist(greylistMs, wall) : null;
    this.queue =
      options.leaving === undefined
        ? null
        : new Queue(options.leaving, store, (...given) => reportOn(this, options.leaving!, ...given));
    this.routes = new Routes({ ...options, hasMailbox: (name) => store.mailboxes.has(name) });
    this.terms = {
      store,
      permissions: options.permissions,
      quotaOf: (name) => this.quotaOf(name),
      messageBytesMax: this.messageBytesMax,
      wall: options.wall,
    };
  }

  /** Rejects when the store cannot be read. */
  static async open(options: MailOptions): Promise<StoredMail> {
    const mail = new StoredMail(options, await MailStore.open(options.engine, options.wall));
    await mail.queue?.load();
    return mail;
  }

  quotaOf(name: string): number {
    return this.options.quotaOf?.(name) ?? Number.POSITIVE_INFINITY;
  }

  route(address: string, caller: Caller): Route {
    const route = this.routes.of(address);
    // Open mode never grants relaying, and rules grant it by name.
    if (route.kind === 'elsewhere' && !this.mayRelay(caller))
      return { kind: 'refused', outcome: caller.account === '' ? UNKNOWN : DENIED };
    return route;
  }

  isNew(ip: string, recipient: string): boolean {
    return this.greylist?.isNew(ip, recipient) ?? false;
  }

  /** Whoever has an account may send mail that leaves, and this server what it has to tell. */
  private mayRelay(caller: Caller): boolean {
    if (this.queue === null) return false;
    return caller === OPERATOR || (caller.id !== undefined && caller.id !== '');
  }

  /** @param also puts more into the batch that it is in; what it answers is told whether that was done */
  incoming(envelope: Envelope, also: Also | null = null): IncomingMail {
    return new Arrival(this, envelope, also);
  }

  own({ account }: Caller): string {
    if (account === '') return '';
    if (account.includes('@')) {
      const parts = readAddress(account);
      return parts === null ? '' : mailboxName(parts.local, parts.domain);
    }
    const parts = this.domains.length === 0 ? null : readAddress(`${account}@${this.domains[0]}`);
    return parts === null ? '' : mailboxName(parts.local, parts.domain);
  }

  async open(caller: Caller, name: string): Promise<Mailbox | Outcome> {
    const own = this.own(caller);
    const isOwn = own !== '' && own === name;
    if (!isOwn && !this.options.permissions.may(caller, 'read', 'mail', name))
      return caller.account === '' ? UNKNOWN : DENIED;
    const kept = this.store.mailboxes.get(name);
    if (kept !== undefined) {
      const made = this.making.get(name);
      if (made !== undefined && (await made) !== OK) return GONE;
      return new CallersMailbox(this.terms, caller, kept, isOwn);
    }
    // While mail is caught, somebody may look before it comes.
    const parts = this.catching ? readAddress(name) : null;
    if (!isOwn && (parts === null || mailboxName(parts.local, parts.domain) !== name)) return MISSING;
    const outcome = await this.make(name);
    if (outcome !== OK) return outcome;
    return new CallersMailbox(this.terms, caller, this.store.mailboxes.get(name)!, isOwn);
  }

  list(caller: Caller, after: string, most: number): readonly string[] {
    const own = this.own(caller);
    return [...this.store.mailboxes.keys()]
      .filter((name) => name > after && (name === own || this.options.permissions.may(caller, 'read', 'mail', name)))
      .sort()
      .slice(0, most);
  }

  /** Makes a mailbox, once for all who want it at the same time. */
  make(name: string): Promise<Outcome> {
    const under = this.making.get(name);
    if (under !== undefined) return under;
    if (this.store.mailboxes.has(name)) return Promise.resolve(OK);
    if (this.caught >= MAIL_LIMITS.caughtMax) return Promise.resolve(FULL);
    this.caught++;
    const made = this.store.makeMailbox(name).finally(() => this.making.delete(name));
    this.making.set(name, made);
    return made;
  }

  /** Waits for those that are being made. */
  async ready(names: readonly string[]): Promise<Outcome> {
    for (const name of names) {
      const outcome = await this.make(name);
      if (outcome !== OK) return outcome;
    }
    return OK;
  }

  /** A place for what those who carry mail have to remember, by keys below a prefix that is theirs. */
  shelf(prefix: string): Shelf {
    const { store } = this;
    return {
      async read(visit) {
        await store.space.scan(prefix, 0, ({ key, bytes }) => {
          visit(key.slice(prefix.length), decoded(bytes));
          return true;
        });
      },
      put(key, value) {
        const bytes = encoded(value);
        return store.commit((batch) => batch.put(`${prefix}${key}`, bytes, 0, bytes.length));
      },
      remove: (key) => store.commit((batch) => batch.remove(`${prefix}${key}`)),
    };
  }

  async close(): Promise<void> {
    await this.queue?.close();
    this.store.close();
  }
}

export interface Shelf {
  /** Rejects when the store cannot be read. */
  read(visit: (key: string, value: unknown) => void): Promise<void>;
  put(key: string, value: unknown): Promise<Outcome>;
  remove(key: string): Promise<Outcome>;
}

/** Puts more into a batch. */
export type Also = (batch: Batch) => (done: boolean) => void;

/** What of a header an event tells. */
const TOLD = ['from', 'to', 'subject', 'message-id'] as const;

interface Target {
  readonly mailbox: KeptMailbox;
  readonly folder: KeptFolder;
}

/** A message on its way to all its recipients. */
class Arrival implements IncomingMail {
  private readonly mail: StoredMail;
  private readonly envelope: Envelope;
  private readonly incoming: Incoming;
  private traceSize: number;
  /** Nobody is to find it with his other mail. */
  private isJunk = false;
  private readonly also: Also | null;
  /** Who is elsewhere, each once. */
  private readonly leaving: readonly Leaving[];

  constructor(mail: StoredMail, envelope: Envelope, also: Also | null) {
    this.mail = mail;
    this.envelope = envelope;
    this.also = also;
    this.leaving = mail.queue === null ? [] : leavingOf(envelope.recipients);
    const trace = Buffer.from(envelope.trace);
    this.traceSize = trace.length;
    this.incoming = new Incoming(mail.store.blobs, mail.messageBytesMax + trace.length);
    this.incoming.write(trace, 0, trace.length);
  }

  get size(): number {
    return this.incoming.size - this.traceSize;
  }

  get head(): Buffer {
    return this.incoming.head;
  }

  get onRoom(): (() => void) | null {
    return this.incoming.onRoom;
  }

  set onRoom(room: (() => void) | null) {
    this.incoming.onRoom = room;
  }

  write(input: Uint8Array, start: number, end: number): number {
    return this.incoming.write(input, start, end);
  }

  commit(waiter: Waiter, token: number): void {
    const names = this.names();
    if (this.leaving.length > 0 && this.mail.queue!.isFull) {
      this.failed(waiter, token, FULL);
      return;
    }
    // Most mail is short and goes to mailboxes that are there: nothing waits then but the store.
    if (this.incoming.bytes !== null && names.every((name) => this.isReady(name)) && !this.asksMore()) {
      this.incoming.finishWith(
        {
          settled: (_token, outcome) =>
            outcome === OK ? this.store(names, waiter, token) : this.failed(waiter, token, outcome),
        },
        0,
      );
      return;
    }
    this.slowly(names, waiter, token).catch(() => this.failed(waiter, token, FULL));
  }

  private isReady(name: string): boolean {
    return this.mail.store.mailboxes.has(name) && this.mail.quotaOf(name) === Number.POSITIVE_INFINITY;
  }

  private asksMore(): boolean {
    if (this.envelope.check !== undefined && this.mail.options.checks !== undefined) return true;
    return this.envelope.recipients.some(({ route }) => route.kind === 'here' && route.topics.length > 0);
  }

  /** The mailboxes that it goes to, each once. */
  private names(): string[] {
    const names = new Set<string>();
    for (const { route } of this.envelope.recipients)
      if (route.kind === 'here') for (const name of route.mailboxes) names.add(name);
    return [...names];
  }

  private async slowly(names: readonly string[], waiter: Waiter, token: number): Promise<void> {
    const { mail, incoming } = this;
    const finished = await incoming.finish();
    if (finished !== OK) return this.failed(waiter, token, finished);
    const checked = await this.checked();
    if (checked !== OK) return this.failed(waiter, token, checked);
    const made = await mail.ready(names);
    if (made !== OK) return this.failed(waiter, token, made);
    for (const name of names) {
      const quota = mail.quotaOf(name);
      if (quota === Number.POSITIVE_INFINITY) continue;
      const used = await mail.store.usedOf(mail.store.mailboxes.get(name)!);
      if (used + incoming.size > quota) return this.failed(waiter, token, FULL);
    }
    const bytes = await this.published();
    if (bytes !== OK) return this.failed(waiter, token, bytes);
    this.store(names, waiter, token);
  }

  /** Finds out about a stranger's mail, and writes what was found into its header. */
  private async checked(): Promise<Outcome> {
    const { mail, incoming, traceSize, envelope } = this;
    const { checks } = mail.options;
    const { check, from } = envelope;
    if (checks === undefined || check === undefined) return OK;
    const message = checkedMessage(incoming, mail.store.blobs, traceSize);
    if (message === null) return INVALID;
    const { field, head, policy } = await checks.check({ ...check, from }, message);
    if (policy === 'reject') return DENIED;
    this.isJunk = policy === 'quarantine';
    // A return path stays first: it is what does not leave.
    const { trace } = envelope;
    const path = /^Return-Path:[^\n]*\n/i.exec(trace)?.[0] ?? '';
    const before = Buffer.from(`${path}${field}${trace.slice(path.length)}`);
    this.traceSize = before.length;
    return incoming.rehead(Buffer.concat([before, head]));
  }

  /** What is for topics is published before it is acknowledged. */
  private async published(): Promise<Outcome> {
    const topics = new Set(
      this.envelope.recipients.flatMap(({ route }) => (route.kind === 'here' ? route.topics : [])),
    );
    if (topics.size === 0) return OK;
    // Only what is held can be one message of a topic.
    const bytes = this.incoming.bytes?.subarray(this.traceSize) ?? null;
    if (bytes === null) return FULL;
    for (const topic of topics) {
      const outcome = await this.mail.options.publish(this.envelope.caller, topic, bytes);
      if (outcome !== OK) return outcome;
    }
    return OK;
  }

  private store(names: readonly string[], waiter: Waiter, token: number): void {
    const { mail, incoming } = this;
    const { store } = mail;
    const targets = names.map((name) => this.target(store.mailboxes.get(name)!));
    if (targets.length === 0 && this.leaving.length === 0 && this.also === null) {
      waiter.settled(token, OK, 0);
      return;
    }
    const batch = new Batch(mail.options.wall());
    const shares = new Shares();
    const uids: number[] = [];
    const date = mail.options.wall();
    for (const { folder } of targets) {
      const { id } = folder.record;
      const uid = store.nextUids(batch, folder, 1);
      const place = incoming.put(batch, shares, id, uid);
      const { size, headerSize } = incoming;
      putMessage(batch, id, uid, { ...place, flags: 0, keywords: [], date, size, headerSize });
      uids.push(uid);
    }
    const left = this.leave(batch, shares);
    const done = store.bytes.write(batch, shares);
    const alsoDone = this.also?.(batch);
    const settled = (_token: number, outcome: Outcome) => {
      done(outcome === OK);
      alsoDone?.(outcome === OK);
      if (outcome !== OK) return this.failed(waiter, token, outcome);
      for (let at = 0; at < targets.length; at++) this.arrived(targets[at]!, uids[at]!);
      left();
      waiter.settled(token, OK, 0);
      reportDelivered(mail, this.envelope, incoming.head.subarray(this.traceSize));
    };
    store.space.commit(batch, { settled }, 0);
  }

  /** Puts it into the queue, for who is elsewhere: for those whom an alias leads there by itself. */
  private leave(batch: Batch, shares: Shares): () => void {
    const { mail, incoming, envelope, leaving } = this;
    if (leaving.length === 0) return () => {};
    const added = (['submitted', 'forwarded'] as const).map((origin) => {
      const those = leaving.filter((each) => each.isForwarded === (origin === 'forwarded'));
      const kind = envelope.caller === OPERATOR ? 'report' : origin;
      return those.length === 0 ? null : mail.queue!.put(batch, shares, incoming, envelope, those, kind);
    });
    return () => {
      for (const add of added) add?.();
    };
  }

  /** The folder that plus-addressing names where it is there, else the one that mail comes to. */
  private target(mailbox: KeptMailbox): Target {
    const junk = this.isJunk ? [...mailbox.folders.values()].find(({ record }) => record.use === 'junk') : undefined;
    if (junk !== undefined) return { mailbox, folder: junk };
    for (const { route } of this.envelope.recipients) {
      if (route.kind !== 'here' || route.detail === '' || !route.mailboxes.includes(mailbox.record.name)) continue;
      const wanted = folderName(route.detail)?.toLowerCase();
      for (const [name, folder] of mailbox.folders) if (name.toLowerCase() === wanted) return { mailbox, folder };
    }
    return { mailbox, folder: mailbox.folders.get(INBOX)! };
  }

  private arrived({ mailbox, folder }: Target, uid: number): void {
    const { incoming, mail } = this;
    if (mailbox.used !== null) mailbox.used += incoming.size;
    const { head } = incoming;
    const reader = new HeaderReader(head, 0, head.length);
    const fields = { from: '', to: '', subject: '', 'message-id': '' };
    // The first of each counts.
    while (reader.next())
      for (const name of TOLD) if (fields[name] === '' && reader.is(name)) fields[name] = reader.value;
    mail.options.told({
      mailbox: mailbox.record.name,
      folder: folder.record.name,
      uid,
      size: incoming.size,
      from: decodeWords(fields.from),
      to: flatAddresses(readAddresses(fields.to)).map(({ local, domain }) => `${local}@${domain}`),
      subject: decodeWords(fields.subject),
      messageId: fields['message-id'],
    });
  }

  private failed(waiter: Waiter, token: number, outcome: Outcome): void {
    this.incoming.abort();
    waiter.settled(token, outcome, 0);
  }

  abort(): void {
    this.incoming.abort();
  }
}

interface Leaving extends Wishes {
  readonly address: string;
  readonly isForwarded: boolean;
}

function leavingOf(recipients: readonly Recipient[]): Leaving[] {
  const found = new Map<string, Leaving>();
  const add = (address: string, isForwarded: boolean, { notify, orcpt }: Wishes) => {
    const parts = readAddress(address);
    const key = parts === null ? address : mailboxName(parts.local, parts.domain);
    if (!found.has(key)) found.set(key, { address, isForwarded, notify, orcpt });
  };
  for (const recipient of recipients) {
    const { address, route } = recipient;
    if (route.kind === 'elsewhere') add(route.address, false, recipient);
    else if (route.kind === 'here')
      // Whom it was meant for stays known (RFC 3461 §5.2.7.3).
      for (const each of route.onward) add(each, true, { orcpt: `rfc822;${toXtext(address)}`, ...recipient });
  }
  return [...found.values()];
}
