// A tree on disk: what `ls` shows below its folder is what is served. Files on their way in lie in a folder of its own, which
// nobody sees, and take their name in one step once they are whole and on the disk. No path and no link leads out.
//
// A folder may be changed by other programs at any time: nothing is remembered of it but names of long listings, for as long as
// the folder's own time of change stands.
import { type BigIntStats, constants, fstat, open as openFile } from 'node:fs';
import * as fs from 'node:fs/promises';
import { join, sep } from 'node:path';
import { EXISTS, FAILED, INVALID, MISSING, OK, type Outcome, STALE } from '../../core/outcome.ts';
import type { Reading, Sink } from '../../core/sink.ts';
import type { BeginOptions, FileTree, FileWriter, OpenTreeFile, Stat, TreeWriter, WriteOptions } from '../engine.ts';
import { isTreePath, parentOf } from '../paths.ts';
import { Names } from './names.ts';
import { outcomeOfError } from './outcomes.ts';
import { Pending } from './pending.ts';
import { DiskFile } from './reading.ts';
import { DiskWriter } from './writing.ts';

/** The folder of files on their way in; no path of the tree begins with it. */
export const PENDING_FOLDER = '.portico';

/** Entries that are looked at together. */
const TOGETHER = 256;

export interface DiskTreeOptions {
  /** Files and folders are on the disk before anybody is told that they are there. */
  readonly sync: boolean;
  /** Milliseconds since 1970. */
  readonly wall: () => number;
}

export class DiskTree implements FileTree {
  private readonly root: string;
  private readonly options: DiskTreeOptions;
  private readonly pendings: Pending;
  private readonly names = new Names();
  /** What takes a name waits for what is taking it. */
  private readonly turns = new Map<string, Promise<unknown>>();

  private constructor(root: string, options: DiskTreeOptions, pendings: Pending) {
    this.root = root;
    this.options = options;
    this.pendings = pendings;
  }

  /** Opens a folder, making it when it is new. Rejects with what the system says. */
  static async open(folder: string, options: DiskTreeOptions): Promise<DiskTree> {
    await fs.mkdir(folder, { recursive: true, mode: 0o700 });
    const root = await fs.realpath(folder);
    return new DiskTree(root, options, await Pending.open(join(root, PENDING_FOLDER), options.wall));
  }

  async close(): Promise<void> {
    this.pendings.close();
  }

  // ---- places ------------------------------------------------------------------------------------------------------

  /** Where a path lies, without a link on the way out of the tree; an outcome when it lies nowhere. */
  private async locate(path: string): Promise<string | Outcome> {
    if (!isTreePath(path) || path === PENDING_FOLDER || path.startsWith(`${PENDING_FOLDER}/`)) return INVALID;
    if (path === '') return this.root;
    const parent = parentOf(path);
    if (parent === '') return join(this.root, path);
    try {
      const real = await fs.realpath(join(this.root, parent));
      return this.isWithin(real) ? join(real, path.slice(parent.length + 1)) : INVALID;
    } catch (error) {
      return outcomeOfError(error);
    }
  }

  private isWithin(real: string): boolean {
    const hidden = join(this.root, PENDING_FOLDER);
    return (
      (real === this.root || real.startsWith(this.root + sep)) && real !== hidden && !real.startsWith(hidden + sep)
    );
  }

  /** What a place is, through a link that stays in the tree. */
  private async look(place: string): Promise<{ readonly place: string; readonly stats: BigIntStats } | Outcome> {
    try {
      const stats = await fs.lstat(place, { bigint: true });
      if (!stats.isSymbolicLink()) return { place, stats };
      const real = await fs.realpath(place);
      if (!this.isWithin(real)) return INVALID;
      return { place: real, stats: await fs.lstat(real, { bigint: true }) };
    } catch (error) {
      return outcomeOfError(error);
    }
  }

  private async found(path: string): Promise<{ readonly place: string; readonly stats: BigIntStats } | Outcome> {
    const place = await this.locate(path);
    return typeof place === 'string' ? this.look(place) : place;
  }

  /** Runs steps that take or free a name one after the other. */
  private inTurn<Value>(path: string, step: () => Promise<Value>): Promise<Value> {
    const before = this.turns.get(path) ?? Promise.resolve();
    const next = before.then(step, step);
    const last = next.catch(() => {});
    this.turns.set(path, last);
    void last.then(() => {
      if (this.turns.get(path) === last) this.turns.delete(path);
    });
    return next;
  }

  private async syncFolder(place: string): Promise<void> {
    if (!this.options.sync) return;
    const handle = await fs.open(place, constants.O_RDONLY);
    try {
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  // ---- reading -----------------------------------------------------------------------------------------------------

  async stat(path: string): Promise<Stat | null> {
    const found = await this.found(path);
    return typeof found === 'number' ? null : statOf(path, found.stats);
  }

  async list(path: string, after: string, most: number): Promise<Stat[] | null> {
    const found = await this.found(path);
    if (typeof found === 'number' || !found.stats.isDirectory()) return null;
    const names = await this.names.of(found.place, found.stats.mtimeNs);
    const stats: Stat[] = [];
    for (let at = firstAfter(names, after); at < names.length && stats.length < most; at += TOGETHER) {
      const some = names.slice(at, Math.min(at + TOGETHER, at + most - stats.length));
      stats.push(...(await this.statsOf(path, found.place, some)));
    }
    return stats;
  }

  async *scan(path: string): AsyncGenerator<readonly Stat[], Outcome> {
    const found = await this.found(path);
    if (typeof found === 'number') return found;
    if (!found.stats.isDirectory()) return INVALID;
    try {
      const folder = await fs.opendir(found.place, { bufferSize: TOGETHER });
      let some: string[] = [];
      for await (const { name } of folder) {
        some.push(name);
        if (some.length < TOGETHER) continue;
        yield await this.statsOf(path, found.place, some);
        some = [];
      }
      if (some.length > 0) yield await this.statsOf(path, found.place, some);
      return OK;
    } catch (error) {
      return outcomeOfError(error);
    }
  }

  /** Of those that are there, files or folders, and have names that a path may have. */
  private async statsOf(path: string, place: string, names: readonly string[]): Promise<Stat[]> {
    const inside = path === '' ? '' : `${path}/`;
    const all = await Promise.all(
      names.map(async (name) => {
        if (!isTreePath(name) || (path === '' && name === PENDING_FOLDER)) return null;
        const found = await this.look(join(place, name));
        return typeof found === 'number' ? null : statOf(inside + name, found.stats);
      }),
    );
    return all.filter((stat) => stat !== null);
  }

  async open(path: string): Promise<OpenTreeFile | Outcome> {
    const found = await this.found(path);
    if (typeof found === 'number') return found;
    if (!found.stats.isFile()) return INVALID;
    const fd = await new Promise<number | Outcome | Error>((resolve) => {
      // A link that took its place meanwhile is not followed, and a pipe is not waited for.
      openFile(found.place, constants.O_RDONLY | NO_FOLLOW | NO_WAIT, (error, opened) => resolve(error ?? opened));
    });
    if (typeof fd !== 'number') return outcomeOfError(fd);
    const file = await statsOfOpen(fd);
    const stat = file === null ? null : statOf(path, file);
    if (stat !== null && !stat.folder) return new DiskFile(fd, stat);
    new DiskFile(fd, EMPTY).close();
    return FAILED;
  }

  read(path: string, start: number, end: number, sink: Sink): Reading {
    let reading: Reading | null = null;
    let stopped = false;
    void this.open(path).then((file) => {
      if (typeof file === 'number') {
        if (!stopped) sink.end(file === INVALID ? MISSING : file);
        return;
      }
      if (!stopped) reading = file.read(start, Math.min(end, file.stat.size), sink);
      file.close();
    });
    return {
      more: () => reading?.more(),
      stop() {
        stopped = true;
        reading?.stop();
      },
    };
  }

  // ---- folders -----------------------------------------------------------------------------------------------------

  async makeFolder(path: string): Promise<Outcome> {
    if (path === '') return EXISTS;
    return this.changing(path, async (place) => {
      await fs.mkdir(place, { mode: 0o755 });
      await this.syncFolder(join(place, '..'));
      return OK;
    });
  }

  /** One step that changes what a name is. */
  private async changing(path: string, step: (place: string) => Promise<Outcome>): Promise<Outcome> {
    const place = await this.locate(path);
    if (typeof place === 'number') return place;
    return this.inTurn(place, async () => {
      try {
        return await step(place);
      } catch (error) {
        return outcomeOfError(error);
      }
    });
  }

  async remove(path: string, ifVersion?: string): Promise<Outcome> {
    if (path === '') return INVALID;
    return this.changing(path, async (place) => {
      const stats = await fs.lstat(place, { bigint: true });
      if (ifVersion !== undefined && ifVersion !== versionOf(stats)) return STALE;
      if (stats.isDirectory()) await fs.rmdir(place);
      else await fs.unlink(place);
      await this.syncFolder(join(place, '..'));
      return OK;
    });
  }

  async removeAll(path: string): Promise<Outcome> {
    if (path === '') return INVALID;
    return this.changing(path, async (place) => {
      await fs.lstat(place);
      // It is gone at once, however much is in it.
      const aside = this.pendings.aside();
      await fs.rename(place, aside);
      await this.syncFolder(join(place, '..'));
      await fs.rm(aside, { recursive: true, force: true });
      return OK;
    });
  }

  async rename(from: string, to: string, replace: boolean): Promise<Outcome> {
    if (from === '' || to === '' || to.startsWith(`${from}/`)) return INVALID;
    const target = await this.locate(to);
    if (typeof target === 'number') return target;
    return this.changing(from, async (place) => {
      const stats = await fs.lstat(place);
      if (place === target) return OK;
      return this.inTurn(target, async () => {
        const there = await fs.lstat(target).catch(() => null);
        if (there !== null && (!replace || there.isDirectory() || stats.isDirectory())) return EXISTS;
        await fs.rename(place, target);
        await this.syncFolder(join(target, '..'));
        await this.syncFolder(join(place, '..'));
        return OK;
      });
    });
  }

  async copy(from: string, to: string, replace: boolean): Promise<Outcome> {
    if (from === '' || to === '' || to === from || to.startsWith(`${from}/`)) return INVALID;
    const found = await this.found(from);
    if (typeof found === 'number') return found;
    const target = await this.locate(to);
    if (typeof target === 'number') return target;
    return this.changing(to, async () => {
      const there = await fs.lstat(target).catch(() => null);
      if (there !== null && (!replace || there.isDirectory() || found.stats.isDirectory())) return EXISTS;
      const aside = this.pendings.aside();
      try {
        // What links lead to outside of the tree is not in it.
        await fs.cp(found.place, aside, {
          recursive: true,
          verbatimSymlinks: true,
          mode: constants.COPYFILE_FICLONE,
          filter: async (each) => typeof (await this.look(each)) !== 'number',
        });
        await fs.rename(aside, target);
      } catch (error) {
        await fs.rm(aside, { recursive: true, force: true });
        throw error;
      }
      await this.syncFolder(join(target, '..'));
      return OK;
    });
  }

  async touch(path: string, modified: number): Promise<Outcome> {
    const found = await this.found(path);
    if (typeof found === 'number') return found;
    try {
      await fs.utimes(found.place, modified / 1_000, modified / 1_000);
      return OK;
    } catch (error) {
      return outcomeOfError(error);
    }
  }

  async space(): Promise<{ readonly total: number; readonly free: number }> {
    const { bsize, blocks, bavail } = await fs.statfs(this.root);
    return { total: bsize * blocks, free: bsize * bavail };
  }

  // ---- writing -----------------------------------------------------------------------------------------------------

  async write(path: string, options: WriteOptions): Promise<TreeWriter | Outcome> {
    const { offset = 0, ...more } = options;
    if (offset === 0) return this.begin(path, { how: 'new', ...more });
    // Here, what goes on is a suspended copy and nothing else.
    if ((await this.pending(path, options.owner)) === null) return STALE;
    return this.begin(path, { how: 'resume', offset, ...more });
  }

  async pending(path: string, owner: string): Promise<number | null> {
    return isTreePath(path) ? this.pendings.sizeOf(path, owner) : null;
  }

  async begin(path: string, options: BeginOptions): Promise<FileWriter | Outcome> {
    if (path === '') return INVALID;
    const place = await this.locate(path);
    if (typeof place === 'number') return place;
    const there = await this.look(place);
    if (typeof there === 'number' ? there !== MISSING : !there.stats.isFile())
      return typeof there === 'number' ? there : EXISTS;
    if (typeof there === 'number') {
      const parent = await this.look(join(place, '..'));
      if (typeof parent === 'number' || !parent.stats.isDirectory()) return MISSING;
    } else if (options.how === 'fresh') return EXISTS;
    const file = typeof there === 'number' ? null : there.place;
    try {
      const begun = await this.pendings.begin(path, options, file);
      if (typeof begun === 'number') return begun;
      const { fd, size, name } = begun;
      return new DiskWriter(fd, size, this.options.sync, {
        appear: () => this.appear(place, name, options),
        keep: (written) => this.pendings.keep(path, options.owner, name, written),
        drop: () => this.pendings.drop(name),
      });
    } catch (error) {
      return outcomeOfError(error);
    }
  }

  /** A written copy takes its name. */
  private appear(place: string, copy: string, options: BeginOptions): Promise<Outcome> {
    const { ifVersion, modified, how } = options;
    return this.inTurn(place, async () => {
      try {
        if (modified !== undefined) await fs.utimes(copy, modified / 1_000, modified / 1_000);
        const there = await fs.lstat(place, { bigint: true }).catch(() => null);
        if (there?.isDirectory() === true) return EXISTS;
        if (ifVersion !== undefined && ifVersion !== (there === null ? '' : versionOf(there))) return STALE;
        if (how === 'fresh') {
          // A name that another took meanwhile is not taken from it.
          await fs.link(copy, place);
          await fs.unlink(copy);
        } else {
          if (there !== null) await fs.chmod(copy, Number(there.mode) & 0o777).catch(() => {});
          await fs.rename(copy, place);
        }
        await this.syncFolder(join(place, '..'));
        return OK;
      } catch (error) {
        return outcomeOfError(error);
      }
    });
  }
}

const NO_FOLLOW = constants.O_NOFOLLOW ?? 0;
const NO_WAIT = constants.O_NONBLOCK ?? 0;
const EMPTY: Stat = { path: '', folder: false, size: 0, modified: 0, version: '' };

function statsOfOpen(fd: number): Promise<BigIntStats | null> {
  return new Promise((resolve) =>
    fstat(fd, { bigint: true }, (error, stats) => resolve(error === null ? stats : null)),
  );
}

function versionOf({ ino, size, mtimeNs }: BigIntStats): string {
  return `${ino.toString(36)}-${size.toString(36)}-${mtimeNs.toString(36)}`;
}

/** Null for what is neither file nor folder. */
function statOf(path: string, stats: BigIntStats): Stat | null {
  const folder = stats.isDirectory();
  if (!folder && !stats.isFile()) return null;
  return {
    path,
    folder,
    size: folder ? 0 : Number(stats.size),
    modified: Number(stats.mtimeMs),
    version: versionOf(stats),
  };
}

/** The index of the first name that comes after another. */
function firstAfter(names: readonly string[], after: string): number {
  if (after === '') return 0;
  let low = 0;
  let high = names.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (names[middle]! <= after) low = middle + 1;
    else high = middle;
  }
  return low;
}
