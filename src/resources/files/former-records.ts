// What is known of files that were deleted or overwritten, and which rules keep them: a record for each, whose bytes lie beside
// the tree under its id.
import type { Outcome } from '../../core/outcome.ts';
import { Batch } from '../../storage/batch.ts';
import type { Entry, Space } from '../../storage/engine.ts';
import type { FileVersion, Trashed } from './contract.ts';

export interface KeepRule {
  /** A path, in which `*` stands for one level: `home/*`. */
  readonly path: string;
  /** Deleted files and folders are kept so long. */
  readonly trash?: { readonly days: number } | undefined;
  /** So many overwritten versions of each file are kept, and so long. */
  readonly versions?: { readonly count: number; readonly days: number } | undefined;
}

export type TrashRecord = Omit<Trashed, 'id'>;
export type VersionRecord = Omit<FileVersion, 'id'>;

const TRASH = 't/';
const VERSION = 'v/';
/** Between a path, which cannot have it, and an id. */
const END = '\0';
const AT_ONCE = 500;

export class FormerRecords {
  private readonly space: Space;
  private readonly wall: () => number;

  constructor(space: Space, wall: () => number) {
    this.space = space;
    this.wall = wall;
  }

  // ---- trash -------------------------------------------------------------------------------------------------------

  putTrash(id: string, record: TrashRecord): Promise<Outcome> {
    return this.put(TRASH + id, record);
  }

  async trashed(id: string): Promise<TrashRecord | null> {
    const entry = await this.space.last(TRASH + id);
    return entry === null ? null : (read(entry) as TrashRecord);
  }

  dropTrash(id: string): Promise<Outcome> {
    return this.drop([TRASH + id]);
  }

  /** In the order in which it was deleted; `cursor` is where to go on. */
  async eachTrashed(after: number, visit: (id: string, record: TrashRecord, cursor: number) => boolean): Promise<void> {
    await this.space.scan(TRASH, after, (entry) =>
      visit(entry.key.slice(TRASH.length), read(entry) as TrashRecord, entry.sequence),
    );
  }

  // ---- versions ----------------------------------------------------------------------------------------------------

  putVersion(path: string, id: string, record: VersionRecord): Promise<Outcome> {
    return this.put(VERSION + path + END + id, record);
  }

  async version(path: string, id: string): Promise<VersionRecord | null> {
    const entry = await this.space.last(VERSION + path + END + id);
    return entry === null ? null : (read(entry) as VersionRecord);
  }

  dropVersion(path: string, id: string): Promise<Outcome> {
    return this.drop([VERSION + path + END + id]);
  }

  async versionsOf(path: string): Promise<FileVersion[]> {
    const found: FileVersion[] = [];
    await this.space.scan(VERSION + path + END, 0, (entry) => {
      found.push({ id: idOf(entry), ...(read(entry) as VersionRecord) });
      return true;
    });
    return found;
  }

  /** Of all files at and below a path. */
  async eachVersion(path: string, visit: (path: string, version: FileVersion) => boolean): Promise<void> {
    const take = (entry: Entry) => visit(pathOf(entry), { id: idOf(entry), ...(read(entry) as VersionRecord) });
    if (path !== '') await this.space.scan(VERSION + path + END, 0, take);
    await this.space.scan(path === '' ? VERSION : `${VERSION}${path}/`, 0, take);
  }

  /** The versions of all files at and below a path go with them to another. */
  async moved(from: string, to: string): Promise<void> {
    const found: Entry[] = [];
    const take = (entry: Entry) => {
      found.push(entry);
      return true;
    };
    await this.space.scan(VERSION + from + END, 0, take);
    await this.space.scan(`${VERSION}${from}/`, 0, take);
    for (let at = 0; at < found.length; at += AT_ONCE) {
      const batch = new Batch(this.wall());
      for (const { key, bytes } of found.slice(at, at + AT_ONCE)) {
        batch.remove(key);
        batch.put(VERSION + to + key.slice(VERSION.length + from.length), bytes, 0, bytes.length);
      }
      await this.commit(batch);
    }
  }

  /** Bytes of all that was at or below a path and is kept. */
  async bytesBelow(path: string): Promise<number> {
    let bytes = 0;
    const inside = path === '' ? '' : `${path}/`;
    await this.eachTrashed(0, (_id, record) => {
      if (record.path === path || record.path.startsWith(inside)) bytes += record.size;
      return true;
    });
    await this.eachVersion(path, (_path, { size }) => {
      bytes += size;
      return true;
    });
    return bytes;
  }

  /** Takes the ids that have a record out of a set. */
  async known(ids: Set<string>): Promise<void> {
    await this.eachTrashed(0, (id) => {
      ids.delete(id);
      return ids.size > 0;
    });
    await this.eachVersion('', (_path, { id }) => {
      ids.delete(id);
      return ids.size > 0;
    });
  }

  private put(key: string, record: object): Promise<Outcome> {
    const bytes = Buffer.from(JSON.stringify(record));
    const batch = new Batch(this.wall());
    batch.put(key, bytes, 0, bytes.length);
    return this.commit(batch);
  }

  private drop(keys: readonly string[]): Promise<Outcome> {
    const batch = new Batch(this.wall());
    for (const key of keys) batch.remove(key);
    return this.commit(batch);
  }

  private commit(batch: Batch): Promise<Outcome> {
    return new Promise((resolve) => {
      this.space.commit(batch, { settled: (_token, outcome) => resolve(outcome) }, 0);
    });
  }
}

function read({ bytes }: Entry): unknown {
  return JSON.parse(Buffer.from(bytes).toString());
}

function idOf({ key }: Entry): string {
  return key.slice(key.lastIndexOf(END) + 1);
}

function pathOf({ key }: Entry): string {
  return key.slice(VERSION.length, key.lastIndexOf(END));
}
