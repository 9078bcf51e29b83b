// A mailbox as one caller has it: what is allowed is decided here, and what changes is written in batches.
import type { Caller } from '../../core/caller.ts';
import {
  DENIED,
  EXISTS,
  FAILED,
  FULL,
  GONE,
  INVALID,
  MISSING,
  OK,
  type Outcome,
  STALE,
  UNKNOWN,
} from '../../core/outcome.ts';
import type { Permissions } from '../../core/permissions.ts';
import type { Batch } from '../../storage/batch.ts';
import { Shares } from './bytes.ts';
import type { AppendedMail, AppendWish, FlagChange, Folder, FolderFacts, Mailbox, SpecialUse } from './contract.ts';
import { DELETED } from './contract.ts';
import type { OpenFolder } from './folder.ts';
import { Incoming } from './incoming.ts';
import { MAIL_LIMITS } from './limits.ts';
import { above, folderName, INBOX, isKeyword } from './names.ts';
import { expungedKey, type MessageRecord, messageKey, writeMessage, writeUids } from './records.ts';
import { type KeptFolder, type KeptMailbox, type MailStore, MESSAGES_AT_ONCE, readable } from './store.ts';

export interface MailboxTerms {
  readonly store: MailStore;
  readonly permissions: Permissions;
  readonly quotaOf: (mailbox: string) => number;
  readonly messageBytesMax: number;
  readonly wall: () => number;
}

/** A batch that somebody else came before is written again so often. */
const TRIES = 20;

export class CallersMailbox implements Mailbox {
  readonly name: string;
  private readonly terms: MailboxTerms;
  private readonly caller: Caller;
  private readonly kept: KeptMailbox;
  private readonly isOwn: boolean;

  constructor(terms: MailboxTerms, caller: Caller, kept: KeptMailbox, isOwn: boolean) {
    this.terms = terms;
    this.caller = caller;
    this.kept = kept;
    this.isOwn = isOwn;
    this.name = kept.record.name;
  }

  get writable(): boolean {
    return this.isOwn || this.terms.permissions.may(this.caller, 'write', 'mail', this.name);
  }

  get removable(): boolean {
    return this.isOwn || this.terms.permissions.may(this.caller, 'delete', 'mail', this.name);
  }

  private get refusal(): Outcome {
    return this.caller.account === '' ? UNKNOWN : DENIED;
  }

  get used(): number {
    return this.kept.used ?? 0;
  }

  get quota(): number {
    return this.terms.quotaOf(this.name);
  }

  folders(): readonly FolderFacts[] {
    const facts = [...this.kept.folders.values()].map(({ record: { name, use, subscribed, id } }) => ({
      name,
      use,
      subscribed,
      id,
    }));
    return facts.sort((one, other) => rank(one.name) - rank(other.name) || (one.name < other.name ? -1 : 1));
  }

  subscriptions(): readonly string[] {
    const standing = this.folders().flatMap(({ name, subscribed }) => (subscribed ? [name] : []));
    return [...standing, ...this.kept.record.lost];
  }

  async open(name: string): Promise<Folder | Outcome> {
    const folder = this.find(name);
    return typeof folder === 'number' ? folder : readable(this.terms.store.hold(folder));
  }

  close(folder: Folder): void {
    const kept = this.keptOf(folder);
    if (kept !== null) this.terms.store.letGo(kept);
  }

  private find(name: string): KeptFolder | Outcome {
    const plain = folderName(name);
    return plain === null ? INVALID : (this.kept.folders.get(plain) ?? MISSING);
  }

  /** Null for a folder that was removed. */
  private keptOf(folder: Folder): KeptFolder | null {
    const kept = this.kept.folders.get((folder as OpenFolder).record.name);
    return kept?.open === folder ? kept : null;
  }

  // ---- folders ---------------------------------------------------------------------------------------------------------

  async make(name: string, use: SpecialUse = ''): Promise<Outcome> {
    if (!this.writable) return this.refusal;
    const plain = folderName(name);
    if (plain === null) return INVALID;
    const { folders } = this.kept;
    if (folders.has(plain)) return EXISTS;
    const made: string[] = [];
    const { store } = this.terms;
    const names = [...above(plain), plain].filter((each) => !folders.has(each));
    if (folders.size + names.length > MAIL_LIMITS.foldersMax) return FULL;
    const outcome = await store.commit((batch) => {
      for (const each of names) {
        store.addFolder(batch, this.kept, each, each === plain ? use : '');
        made.push(each);
      }
    });
    if (outcome !== OK) for (const each of made) folders.delete(each);
    return outcome;
  }

  async remove(name: string): Promise<Outcome> {
    if (!this.removable) return this.refusal;
    const folder = this.find(name);
    if (typeof folder === 'number') return folder;
    if (folder.record.name === INBOX) return DENIED;
    const { store } = this.terms;
    const { subscribed, name: plain } = folder.record;
    const outcome = await store.removeFolder(this.kept, folder).catch(() => FAILED as Outcome);
    // A subscription outlives its folder (RFC 3501 §6.3.6).
    if (outcome === OK && subscribed) await this.setLost([...this.kept.record.lost, plain]);
    return outcome;
  }

  async rename(from: string, to: string): Promise<Outcome> {
    if (!this.writable || !this.removable) return this.refusal;
    const folder = this.find(from);
    if (typeof folder === 'number') return folder;
    const target = folderName(to);
    const source = folder.record.name;
    if (target === null || `${target}/`.startsWith(`${source}/`)) return INVALID;
    if (this.kept.folders.has(target)) return EXISTS;
    if (source === INBOX) return this.emptyInbox(target);
    const parents = above(target).filter((each) => !this.kept.folders.has(each));
    for (const each of parents) {
      const outcome = await this.make(each);
      if (outcome !== OK && outcome !== EXISTS) return outcome;
    }
    const moved = [...this.kept.folders.values()].filter(({ record }) => `${record.name}/`.startsWith(`${source}/`));
    if (moved.some(({ record }) => folderName(target + record.name.slice(source.length)) === null)) return INVALID;
    const { store } = this.terms;
    const before = moved.map(({ record }) => record);
    for (const each of moved) this.place(each, target + each.record.name.slice(source.length));
    const outcome = await store.commit((batch) => {
      for (const { record } of moved) store.putFolder(batch, record);
    });
    if (outcome !== OK) for (let at = 0; at < moved.length; at++) this.place(moved[at]!, before[at]!.name);
    return outcome;
  }

  private place(folder: KeptFolder, name: string): void {
    this.kept.folders.delete(folder.record.name);
    folder.record = { ...folder.record, name };
    if (folder.open !== null) folder.open.record = folder.record;
    this.kept.folders.set(name, folder);
  }

  /** What INBOX had goes to a new folder; it stays, empty. */
  private async emptyInbox(target: string): Promise<Outcome> {
    const made = await this.make(target);
    if (made !== OK) return made;
    const inbox = await this.open(INBOX);
    if (typeof inbox === 'number') return inbox;
    const moved = await this.copy(inbox, [...inbox.uids.subarray(0, inbox.count)], target, true);
    this.close(inbox);
    return typeof moved === 'number' ? moved : OK;
  }

  async subscribe(name: string, subscribed: boolean): Promise<Outcome> {
    const plain = folderName(name);
    if (plain === null) return INVALID;
    const folder = this.kept.folders.get(plain);
    if (folder === undefined) {
      const { lost } = this.kept.record;
      if (subscribed) return MISSING;
      return lost.includes(plain) ? this.setLost(lost.filter((each) => each !== plain)) : OK;
    }
    folder.record = { ...folder.record, subscribed };
    if (folder.open !== null) folder.open.record = folder.record;
    return this.terms.store.commit((batch) => this.terms.store.putFolder(batch, folder.record));
  }

  private setLost(lost: readonly string[]): Promise<Outcome> {
    this.kept.record = { ...this.kept.record, lost: [...new Set(lost)].slice(0, MAIL_LIMITS.foldersMax) };
    return this.terms.store.commit((batch) => this.terms.store.putMailbox(batch, this.kept.record));
  }

  // ---- messages --------------------------------------------------------------------------------------------------------

  async append(name: string, size: number, wish: AppendWish): Promise<AppendedMail | Outcome> {
    if (!this.writable) return this.refusal;
    const folder = this.find(name);
    if (typeof folder === 'number') return folder;
    const { store, messageBytesMax, wall } = this.terms;
    if (size > messageBytesMax) return FULL;
    if (!wish.keywords.every(isKeyword)) return INVALID;
    const open = await readable(store.hold(folder));
    if (typeof open === 'number') return open;
    if (!open.hasRoomFor(wish.keywords) || (await this.room()) < size) {
      store.letGo(folder);
      return open.hasRoomFor(wish.keywords) ? FULL : INVALID;
    }
    return new Appended(store, this.kept, folder, wish, messageBytesMax, wall);
  }

  private async room(): Promise<number> {
    if (this.quota === Number.POSITIVE_INFINITY) return Number.POSITIVE_INFINITY;
    const used = await readable(this.terms.store.usedOf(this.kept));
    return used < 0 ? 0 : this.quota - used;
  }

  async flag(
    folder: Folder,
    uids: readonly number[],
    change: FlagChange,
  ): Promise<{ readonly modified: number[] } | Outcome> {
    if (!this.writable) return this.refusal;
    const open = folder as OpenFolder;
    if (!change.keywords.every(isKeyword)) return INVALID;
    if (change.how !== 'remove' && !open.hasRoomFor(change.keywords)) return FULL;
    const { unchangedSince = Number.POSITIVE_INFINITY } = change;
    const modified = uids.filter((uid) => {
      const at = open.find(uid);
      return at >= 0 && open.modseqAt(at) > unchangedSince;
    });
    const left = modified.length === 0 ? uids : uids.filter((uid) => !modified.includes(uid));
    const { id } = open.record;
    const outcome = await this.inParts(open, left, (batch, uid) => {
      const at = open.find(uid);
      if (at < 0) return;
      const record = open.recordAt(at);
      const changed = flagged(record, change);
      if (changed === record) return;
      const bytes = writeMessage(changed);
      // Somebody else may have changed it, or expunged it, in a batch before this one.
      batch.put(messageKey(id, uid), bytes, 0, bytes.length, open.modseqAt(at));
    });
    return outcome === OK ? { modified } : outcome;
  }

  private async inParts(
    open: OpenFolder,
    uids: readonly number[],
    write: (batch: Batch, uid: number) => void,
  ): Promise<Outcome> {
    for (let at = 0; at < uids.length; at += MESSAGES_AT_ONCE) {
      const part = uids.slice(at, at + MESSAGES_AT_ONCE);
      const outcome = await written(open, () =>
        this.terms.store.commit((batch) => {
          for (const uid of part) write(batch, uid);
        }),
      );
      if (outcome !== OK) return outcome;
    }
    return OK;
  }

  async expunge(folder: Folder, uids: readonly number[], any = false): Promise<Outcome> {
    if (!this.removable) return this.refusal;
    const open = folder as OpenFolder;
    const wanted = uids.filter((uid) => {
      const at = open.find(uid);
      return at >= 0 && (any || (open.flagsAt(at) & DELETED) !== 0);
    });
    const taken = await this.take(open, wanted, () => {});
    return typeof taken === 'number' ? taken : OK;
  }

  /**
   * Removes messages, in batches in which something else is done as well: `write` may be called again for one of them. Answers
   * those that were removed.
   */
  private async take(
    open: OpenFolder,
    uids: readonly number[],
    write: (batch: Batch, at: number, shares: Shares) => void,
  ): Promise<number[] | Outcome> {
    const taken: number[] = [];
    for (let from = 0; from < uids.length; from += MESSAGES_AT_ONCE) {
      const part = uids.slice(from, from + MESSAGES_AT_ONCE);
      const outcome = await written(open, async () => {
        const there = part.filter((uid) => open.find(uid) >= 0);
        const done = there.length === 0 ? OK : await this.takeAtOnce(open, there, write);
        if (done === OK) for (const uid of there) taken.push(uid);
        return done;
      });
      if (outcome !== OK) return outcome;
    }
    return taken;
  }

  private async takeAtOnce(
    open: OpenFolder,
    uids: readonly number[],
    write: (batch: Batch, at: number, shares: Shares) => void,
  ): Promise<Outcome> {
    const { store } = this.terms;
    const { id } = open.record;
    let bytes = 0;
    let done = (_done: boolean): void => {};
    const outcome = await store.commit((batch) => {
      const shares = new Shares();
      for (const uid of uids) {
        const at = open.find(uid);
        batch.remove(messageKey(id, uid), open.modseqAt(at));
        shares.add(open.placeAt(at), -1);
        bytes += open.sizeAt(at);
        write(batch, at, shares);
      }
      const gone = writeUids(uids);
      batch.append(expungedKey(id), gone, 0, gone.length);
      done = store.bytes.write(batch, shares);
    });
    done(outcome === OK);
    if (outcome === OK && this.kept.used !== null) this.kept.used -= bytes;
    return outcome;
  }

  async copy(
    folder: Folder,
    uids: readonly number[],
    to: string,
    move: boolean,
  ): Promise<{ readonly from: number[]; readonly to: number[]; readonly uidValidity: number } | Outcome> {
    if (!this.writable || (move && !this.removable)) return this.refusal;
    const target = this.find(to);
    if (typeof target === 'number') return target;
    const { store } = this.terms;
    const source = folder as OpenFolder;
    const wanted = uids.filter((uid) => source.find(uid) >= 0);
    const held = await readable(store.hold(target));
    if (typeof held === 'number') return held;
    try {
      if (!wanted.every((uid) => held.hasRoomFor(source.keywordsAt(source.find(uid))))) return FULL;
      const bytes = move ? 0 : wanted.reduce((sum, uid) => sum + source.sizeAt(source.find(uid)), 0);
      if (!move && (await this.room()) < bytes) return FULL;
      const made = move ? await this.moveTo(source, wanted, target) : await this.copyTo(source, wanted, target);
      if (typeof made === 'number') return made;
      if (this.kept.used !== null) this.kept.used += bytes;
      return { ...made, uidValidity: target.record.uidValidity };
    } finally {
      store.letGo(target);
    }
  }

  private async copyTo(source: OpenFolder, uids: readonly number[], target: KeptFolder): Promise<Pairs | Outcome> {
    const { store } = this.terms;
    const to: number[] = [];
    for (let from = 0; from < uids.length; from += MESSAGES_AT_ONCE) {
      const part = uids.slice(from, from + MESSAGES_AT_ONCE);
      if (part.some((uid) => source.find(uid) < 0)) return GONE;
      let done = (_done: boolean): void => {};
      const outcome = await store.commit((batch) => {
        const shares = new Shares();
        let next = store.nextUids(batch, target, part.length);
        for (const uid of part) {
          const at = source.find(uid);
          putMessage(batch, target.record.id, next, source.recordAt(at));
          shares.add(source.placeAt(at), 1);
          to.push(next++);
        }
        done = store.bytes.write(batch, shares);
      });
      done(outcome === OK);
      if (outcome !== OK) return outcome;
    }
    return { from: [...uids], to };
  }

  private async moveTo(source: OpenFolder, uids: readonly number[], target: KeptFolder): Promise<Pairs | Outcome> {
    const { store } = this.terms;
    const made = new Map<number, number>();
    const from = await this.take(source, uids, (batch, at, shares) => {
      const uid = store.nextUids(batch, target, 1);
      putMessage(batch, target.record.id, uid, source.recordAt(at));
      // What leaves one folder comes to another: nothing of it is dropped.
      shares.add(source.placeAt(at), 1);
      made.set(source.uids[at]!, uid);
    });
    return typeof from === 'number' ? from : { from, to: from.map((uid) => made.get(uid)!) };
  }
}

/**
 * Writes a batch that may be stale, since somebody else changed the same messages in one before it, again from what is now.
 * Who was too late once takes turns with the others, so that everybody comes to an end.
 */
async function written(open: OpenFolder, write: () => Promise<Outcome>): Promise<Outcome> {
  if (!open.hasTurns) {
    const outcome = await write();
    if (outcome !== STALE) return outcome;
  }
  return open.inTurn(async () => {
    let outcome: Outcome = STALE;
    // Only those that began before there were turns can still come between.
    for (let tries = 0; outcome === STALE && tries < TRIES; tries++) outcome = await write();
    return outcome;
  });
}

interface Pairs {
  readonly from: number[];
  readonly to: number[];
}

function rank(name: string): number {
  return name === INBOX ? 0 : 1;
}

export function putMessage(batch: Batch, folder: number, uid: number, record: MessageRecord): void {
  const bytes = writeMessage(record);
  batch.put(messageKey(folder, uid), bytes, 0, bytes.length);
}

/** The same record where nothing changes. */
function flagged(record: MessageRecord, { how, flags, keywords }: FlagChange): MessageRecord {
  const named = new Set(keywords.map((keyword) => keyword.toLowerCase()));
  const has = new Set(record.keywords.map((keyword) => keyword.toLowerCase()));
  if (how === 'remove') {
    const left = record.keywords.filter((keyword) => !named.has(keyword.toLowerCase()));
    if ((record.flags & flags) === 0 && left.length === record.keywords.length) return record;
    return { ...record, flags: record.flags & ~flags, keywords: left };
  }
  const more = keywords.filter((keyword, at) => !has.has(keyword.toLowerCase()) && keywords.indexOf(keyword) === at);
  if (how === 'add') {
    if ((record.flags & flags) === flags && more.length === 0) return record;
    return { ...record, flags: record.flags | flags, keywords: [...record.keywords, ...more] };
  }
  const kept = record.keywords.filter((keyword) => named.has(keyword.toLowerCase()));
  if (record.flags === flags && more.length === 0 && kept.length === record.keywords.length) return record;
  return { ...record, flags, keywords: [...kept, ...more] };
}

/** A message that a client adds to a folder. */
class Appended implements AppendedMail {
  private readonly store: MailStore;
  private readonly mailbox: KeptMailbox;
  private readonly folder: KeptFolder;
  private readonly wish: AppendWish;
  private readonly wall: () => number;
  private readonly incoming: Incoming;

  constructor(
    store: MailStore,
    mailbox: KeptMailbox,
    folder: KeptFolder,
    wish: AppendWish,
    bytesMax: number,
    wall: () => number,
  ) {
    this.store = store;
    this.mailbox = mailbox;
    this.folder = folder;
    this.wish = wish;
    this.wall = wall;
    this.incoming = new Incoming(store.blobs, bytesMax);
  }

  get size(): number {
    return this.incoming.size;
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

  async commit(): Promise<{ readonly uid: number } | Outcome> {
    const { store, folder, wish, incoming } = this;
    const finished = await incoming.finish();
    if (finished !== OK) return this.ended(finished);
    if (this.mailbox.folders.get(folder.record.name) !== folder) return this.ended(GONE);
    let uid = 0;
    let done = (_done: boolean): void => {};
    const outcome = await store.commit((batch) => {
      const shares = new Shares();
      uid = store.nextUids(batch, folder, 1);
      const place = incoming.put(batch, shares, folder.record.id, uid);
      putMessage(batch, folder.record.id, uid, {
        ...place,
        flags: wish.flags,
        keywords: wish.keywords,
        date: wish.date ?? this.wall(),
        size: incoming.size,
        headerSize: incoming.headerSize,
      });
      done = store.bytes.write(batch, shares);
    });
    done(outcome === OK);
    if (outcome === OK && this.mailbox.used !== null) this.mailbox.used += incoming.size;
    if (outcome !== OK) incoming.abort();
    this.store.letGo(folder);
    return outcome === OK ? { uid } : outcome;
  }

  private ended(outcome: Outcome): Outcome {
    this.incoming.abort();
    this.store.letGo(this.folder);
    return outcome;
  }

  abort(): void {
    this.ended(OK);
  }
}
