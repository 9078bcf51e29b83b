// All mailboxes and folders of a server by name, and the batches that change them. Folders' messages are read when a folder
// is opened; what is not open any more goes when the memory for it is needed.
import { FAILED, OK, type Outcome } from '../../core/outcome.ts';
import { BATCH_RECORDS_MAX, Batch } from '../../storage/batch.ts';
import type { Blobs, Engine, Space } from '../../storage/engine.ts';
import { Bytes, Shares } from './bytes.ts';
import type { SpecialUse } from './contract.ts';
import { type FolderHost, OpenFolder } from './folder.ts';
import { MAIL_LIMITS } from './limits.ts';
import { Listed } from './listed.ts';
import { INBOX } from './names.ts';
import { Recent } from './recent.ts';
import {
  decoded,
  encoded,
  expungedKey,
  type FolderRecord,
  folderKey,
  type MailboxRecord,
  mailboxKey,
  messageKey,
  number32,
  removedKey,
  snapshotPrefix,
  uidKey,
} from './records.ts';

/** A folder that may not be open. */
export interface KeptFolder {
  record: FolderRecord;
  uidNext: number;
  open: OpenFolder | null;
  loading: Promise<OpenFolder> | null;
  /** Mails that came to it while it was not open. */
  unread: number;
}

export interface KeptMailbox {
  record: MailboxRecord;
  readonly folders: Map<string, KeptFolder>;
  /** Bytes of its messages; counted when it is first asked for. */
  used: number | null;
}

/** Messages that one batch changes: each has some records in it. */
export const MESSAGES_AT_ONCE = 200;
const UNREAD_MAX = 8_192;

const FIRST_FOLDERS: readonly (readonly [name: string, use: SpecialUse])[] = [
  [INBOX, 'inbox'],
  ['Archive', 'archive'],
  ['Drafts', 'drafts'],
  ['Junk', 'junk'],
  ['Sent', 'sent'],
  ['Trash', 'trash'],
];

export class MailStore implements FolderHost {
  readonly space: Space;
  readonly bytes: Bytes;
  readonly listed = new Listed();
  readonly made = new Recent(MAIL_LIMITS.heldBytesMax);
  readonly raw = new Recent(MAIL_LIMITS.heldBytesMax);
  readonly mailboxes = new Map<string, KeptMailbox>();
  readonly blobs: Blobs;
  readonly wall: () => number;
  private lastFolder = 0;
  private lastValidity = 0;
  /** Open folders that nobody holds, the longest idle first. */
  private readonly idle = new Set<KeptFolder>();

  private constructor(engine: Engine, space: Space, wall: () => number) {
    this.blobs = engine.blobs;
    this.space = space;
    this.wall = wall;
    this.bytes = new Bytes(space, engine.blobs);
  }

  /** Rejects when the store cannot be read. */
  static async open(engine: Engine, wall: () => number): Promise<MailStore> {
    const keeps = [{ prefix: 'e/', last: MAIL_LIMITS.expungesKept, ageMs: Infinity, bytes: Infinity }];
    const store = new MailStore(engine, await engine.space('mail', keeps), wall);
    await store.load();
    return store;
  }

  private async load(): Promise<void> {
    const { space } = this;
    await space.scan('x/', 0, ({ bytes }) => {
      const record = decoded<MailboxRecord>(bytes);
      this.mailboxes.set(record.name, { record, folders: new Map(), used: null });
      return true;
    });
    const folders = new Map<number, KeptFolder>();
    await space.scan('f/', 0, ({ bytes }) => {
      const record = decoded<FolderRecord>(bytes);
      const folder: KeptFolder = { record, uidNext: 1, open: null, loading: null, unread: 0 };
      folders.set(record.id, folder);
      this.mailboxes.get(record.mailbox)?.folders.set(record.name, folder);
      this.lastValidity = Math.max(this.lastValidity, record.uidValidity);
      return true;
    });
    await space.scan('u/', 0, ({ key, bytes }) => {
      const id = Number(key.slice(2));
      // Also of folders that are gone: no number is given again.
      this.lastFolder = Math.max(this.lastFolder, id);
      const folder = folders.get(id);
      if (folder !== undefined) folder.uidNext = Buffer.from(bytes).readUInt32BE(0);
      return true;
    });
    await this.bytes.load();
    const removed: FolderRecord[] = [];
    await space.scan('d/', 0, ({ bytes }) => {
      removed.push(decoded<FolderRecord>(bytes));
      return true;
    });
    for (const record of removed) {
      const left = new OpenFolder(this, record, 1);
      await left.load();
      left.close();
      await this.clear(left);
    }
    await this.blobs.sweep((id) => this.bytes.has(id));
  }

  close(): void {
    for (const { folders } of this.mailboxes.values())
      for (const { open } of folders.values()) {
        open?.keep(true);
        open?.close();
      }
  }

  commit(write: (batch: Batch) => void): Promise<Outcome> {
    const batch = new Batch(this.wall());
    write(batch);
    if (batch.count === 0) return Promise.resolve(OK);
    return new Promise((resolve) => {
      this.space.commit(batch, { settled: (_token, outcome) => resolve(outcome) }, 0);
    });
  }

  // ---- mailboxes and folders -------------------------------------------------------------------------------------------

  /** Makes a mailbox with the folders that each has. It is there at once, and durable when this answers. */
  makeMailbox(name: string): Promise<Outcome> {
    const record: MailboxRecord = { name, created: this.wall(), lost: [] };
    const made: KeptMailbox = { record, folders: new Map(), used: 0 };
    this.mailboxes.set(name, made);
    return this.commit((batch) => {
      const bytes = encoded(record);
      batch.put(mailboxKey(name), bytes, 0, bytes.length);
      for (const [folder, use] of FIRST_FOLDERS) this.addFolder(batch, made, folder, use);
    }).then((outcome) => {
      if (outcome !== OK) this.mailboxes.delete(name);
      return outcome;
    });
  }

  /** Adds a folder to a mailbox and to a batch. */
  addFolder(batch: Batch, mailbox: KeptMailbox, name: string, use: SpecialUse): KeptFolder {
    const id = ++this.lastFolder;
    // Never the same for one name again (RFC 3501 §2.3.1.1): the time, or more than any before.
    this.lastValidity = Math.max(this.lastValidity + 1, Math.floor(this.wall() / 1_000));
    const record: FolderRecord = {
      id,
      mailbox: mailbox.record.name,
      name,
      use,
      subscribed: use !== '',
      uidValidity: this.lastValidity,
      recent: 1,
    };
    const folder: KeptFolder = { record, uidNext: 1, open: null, loading: null, unread: 0 };
    mailbox.folders.set(name, folder);
    this.putFolder(batch, record);
    batch.put(uidKey(id), number32(1), 0, 4);
    return folder;
  }

  putFolder(batch: Batch, record: FolderRecord): void {
    const bytes = encoded(record);
    batch.put(folderKey(record.id), bytes, 0, bytes.length);
  }

  putMailbox(batch: Batch, record: MailboxRecord): void {
    const bytes = encoded(record);
    batch.put(mailboxKey(record.name), bytes, 0, bytes.length);
  }

  /** A folder's next UID, given to nobody else; the batch keeps what follows. */
  nextUids(batch: Batch, folder: KeptFolder, count: number): number {
    const first = folder.uidNext;
    folder.uidNext += count;
    if (folder.open !== null) folder.open.uidNext = folder.uidNext;
    else this.came(folder, count);
    batch.put(uidKey(folder.record.id), number32(folder.uidNext), 0, 4);
    return first;
  }

  /** What comes to a folder that nobody opens is in its snapshot too, so that opening it is not slow when somebody does. */
  private came(folder: KeptFolder, count: number): void {
    folder.unread += count;
    if (folder.unread < UNREAD_MAX) return;
    folder.unread = 0;
    this.hold(folder).then(
      () => this.letGo(folder),
      // Whoever opens it hears of it.
      () => {},
    );
  }

  recent(open: OpenFolder): void {
    const folder = this.mailboxes.get(open.record.mailbox)?.folders.get(open.record.name);
    if (folder !== undefined) folder.record = open.record;
    void this.commit((batch) => this.putFolder(batch, open.record));
  }

  // ---- open folders ----------------------------------------------------------------------------------------------------

  /** Rejects when the store cannot be read. */
  async hold(folder: KeptFolder): Promise<OpenFolder> {
    this.idle.delete(folder);
    const open = folder.open ?? (await (folder.loading ??= this.loaded(folder)));
    open.holders++;
    folder.unread = 0;
    this.idle.delete(folder);
    return open;
  }

  private async loaded(folder: KeptFolder): Promise<OpenFolder> {
    const open = new OpenFolder(this, folder.record, folder.uidNext);
    try {
      await open.load();
      open.record = folder.record;
      folder.open = open;
      open.uidNext = folder.uidNext = Math.max(open.uidNext, folder.uidNext);
      return open;
    } catch (error) {
      open.close();
      throw error;
    } finally {
      folder.loading = null;
    }
  }

  letGo(folder: KeptFolder): void {
    const { open } = folder;
    if (open === null || --open.holders > 0) return;
    this.idle.add(folder);
    let bytes = 0;
    for (const { open: each } of this.idle) bytes += each?.indexBytes ?? 0;
    for (const each of this.idle) {
      if (bytes <= MAIL_LIMITS.idleIndexBytesMax) return;
      bytes -= each.open?.indexBytes ?? 0;
      each.open?.keep(true);
      each.open?.close();
      each.open = null;
      this.idle.delete(each);
    }
  }

  /** Removes a folder. It is gone when this answers; its messages go after that, also over a restart. */
  async removeFolder(mailbox: KeptMailbox, folder: KeptFolder): Promise<Outcome> {
    const { id, name } = folder.record;
    const open = await this.hold(folder);
    mailbox.folders.delete(name);
    const outcome = await this.commit((batch) => {
      batch.remove(folderKey(id));
      const bytes = encoded(folder.record);
      batch.put(removedKey(id), bytes, 0, bytes.length);
    });
    if (outcome !== OK) {
      mailbox.folders.set(name, folder);
      this.letGo(folder);
      return outcome;
    }
    if (mailbox.used !== null) mailbox.used -= open.bytes;
    open.removed();
    folder.open = null;
    void this.clear(open).catch(() => {});
    return OK;
  }

  /** Removes what was in a folder that is gone. */
  private async clear(open: OpenFolder): Promise<void> {
    const { id } = open.record;
    for (let at = 0; at < open.count; at += MESSAGES_AT_ONCE) {
      let done = (_done: boolean): void => {};
      const outcome = await this.commit((batch) => {
        const shares = new Shares();
        for (let index = at; index < Math.min(open.count, at + MESSAGES_AT_ONCE); index++) {
          batch.remove(messageKey(id, open.uids[index]!));
          shares.add(open.placeAt(index), -1);
        }
        done = this.bytes.write(batch, shares);
      });
      done(outcome === OK);
      if (outcome !== OK) return;
    }
    const snapshot: string[] = [];
    await this.space.scan(snapshotPrefix(id), 0, ({ key }) => snapshot.push(key) < BATCH_RECORDS_MAX - 2);
    await this.commit((batch) => {
      for (const key of snapshot) batch.remove(key);
      batch.remove(removedKey(id));
      batch.trim(expungedKey(id), Number.MAX_SAFE_INTEGER);
    });
  }

  /** Bytes of a mailbox's messages. Rejects when the store cannot be read. */
  async usedOf(mailbox: KeptMailbox): Promise<number> {
    if (mailbox.used !== null) return mailbox.used;
    let used = 0;
    for (const folder of [...mailbox.folders.values()]) {
      const open = await this.hold(folder);
      used += open.bytes;
      this.letGo(folder);
    }
    // What came meanwhile is in it or counted by whoever added it: nobody adds before this is known.
    mailbox.used = used;
    return used;
  }
}

/** Of what may reject because the store cannot be read. */
export async function readable<Value>(promise: Promise<Value>): Promise<Value | typeof FAILED> {
  try {
    return await promise;
  } catch {
    return FAILED;
  }
}
