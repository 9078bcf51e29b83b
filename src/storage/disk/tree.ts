// A tree that is a folder on the disk: `ls` shows what is served. Each change happens below an open folder whose real place
// was checked, and is on the disk, with its folder, before it is answered.
import { closeSync, constants, fchmodSync, fstatSync, fsync, lstatSync, open, type Stats } from 'node:fs';
import { chmod, link, lstat, mkdir, rename, rmdir, statfs, symlink, unlink, utimes } from 'node:fs/promises';
import { posix } from 'node:path';
import { DENIED, EXISTS, INVALID, MISSING, OK, type Outcome, STALE } from '../../core/outcome.ts';
import type { Reading, Sink } from '../../core/sink.ts';
import type {
  AsideFiles,
  FileStat,
  FileTree,
  FileWriteOptions,
  FileWriter,
  NoticedChange,
  NoticeLimits,
  Noticing,
  TreeFile,
  TreeFolder,
} from '../engine.ts';
import { isTreePath, parentOf } from '../paths.ts';
import { ASIDE_FLAGS, Aside } from './aside.ts';
import { DiskFolder, Listings } from './folder.ts';
import { DiskFile, KeptFiles } from './kept-files.ts';
import { DiskNoticing } from './noticing.ts';
import { type Copy, cloneFile, PendingCopies } from './pending.ts';
import { type Held, HIDDEN, Places, statOf, versionOf } from './places.ts';
import { outcomeOf } from './troubles.ts';
import { Turns } from './turns.ts';
import { DiskWriter, done } from './writer.ts';

const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL, O_TRUNC, O_NOFOLLOW } = constants;

export class DiskTree implements FileTree {
  private readonly places: Places;
  private readonly pendingCopies: PendingCopies;
  private readonly listings: Listings;
  private readonly kept: Aside;
  private readonly turns = new Turns();
  private readonly files: KeptFiles;

  /** @param root a folder, which must be there; @param readOnly nothing is written to it, not even beside */
  constructor(root: string, readOnly = false) {
    this.places = new Places(root);
    this.files = new KeptFiles((path) => this.places.whole(path));
    this.pendingCopies = new PendingCopies(this.places.root, readOnly);
    this.kept = new Aside(this.places.root, readOnly);
    this.listings = new Listings((path) => this.stat(path, false), this.places);
  }

  async stat(path: string, follow = true): Promise<FileStat | null> {
    if (!isServed(path)) return null;
    try {
      const found = await this.places.look(path, follow);
      return found === null || !isShown(found.stats)
        ? null
        : statOf(path, found.stats, found.link, this.places.pathOf(found.real));
    } catch (error) {
      return gone(error);
    }
  }

  async realPath(path: string): Promise<string | Outcome> {
    if (!isServed(path)) return INVALID;
    return attempt(async () => {
      const found = await this.places.look(path, true).catch((error: unknown) => gone(error));
      if (found !== null) return this.places.pathOf(found.real);
      return path === '' ? MISSING : ((await this.places.realOfNew(path)) ?? MISSING);
    });
  }

  async list(path: string, after: string, most: number): Promise<FileStat[] | null> {
    if (!isServed(path)) return null;
    try {
      const held = await this.places.hold(path);
      if (held === null) return null;
      try {
        return await this.listings.page(held, path, after, most);
      } finally {
        held.close();
      }
    } catch (error) {
      return gone(error);
    }
  }

  async openFolder(path: string): Promise<TreeFolder | Outcome> {
    if (!isServed(path)) return INVALID;
    const found = await this.stat(path);
    if (found === null) return MISSING;
    if (!found.folder) return INVALID;
    return attempt(async () => {
      const held = await this.places.hold(path);
      return held === null ? MISSING : DiskFolder.open(held, path, (each) => this.stat(each, false));
    });
  }

  async open(path: string): Promise<TreeFile | Outcome> {
    if (!isServed(path)) return INVALID;
    const known = this.files.known(path);
    if (known !== null) return known;
    return attempt(async () => {
      const { mark } = this.files;
      const at = await this.places.open(path, O_RDONLY);
      if (at === null) return MISSING;
      const stats = fstatSync(at.fd);
      if (!stats.isFile()) {
        closeSync(at.fd);
        return INVALID;
      }
      const file = new DiskFile(at.fd, statOf(path, stats, null, this.places.pathOf(at.real)));
      this.files.keep(path, file, stats, mark);
      return file;
    });
  }

  read(path: string, start: number, end: number, sink: Sink): Reading {
    let inner: Reading | null = null;
    let isStopped = false;
    void this.open(path).then((file) => {
      if (typeof file === 'number') {
        if (!isStopped) sink.end(file === INVALID ? MISSING : file);
        return;
      }
      if (!isStopped) inner = file.read(start, end, sink);
      file.close();
    });
    return {
      more: () => inner?.more(),
      stop: () => {
        isStopped = true;
        inner?.stop();
      },
    };
  }

  // ---- files on their way in ---------------------------------------------------------------------------------------

  async write(path: string, options: FileWriteOptions): Promise<FileWriter | Outcome> {
    if (path === '' || !isServed(path)) return INVALID;
    const there = await this.stat(path);
    if (there?.folder === true) return EXISTS;
    const folder = await this.stat(parentOf(path));
    if (folder === null || !folder.folder) return MISSING;
    if (options.ifVersion !== undefined && options.ifVersion !== '' && options.ifVersion !== there?.version)
      return STALE;
    if (options.edit === true && there === null) return MISSING;
    return attempt(() => this.begin(path, options));
  }

  private async begin(path: string, options: FileWriteOptions): Promise<FileWriter | Outcome> {
    const { owner, offset = 0, edit = false } = options;
    const copies = this.pendingCopies;
    const copy = offset > 0 ? await copies.resume(path, owner) : await copies.take(path, owner);
    if (copy === null) return STALE;
    try {
      if (edit) {
        const from = await this.places.openReal(path, O_RDONLY);
        if (from === null) throw Object.assign(new Error('it is gone'), { code: 'ENOENT' });
        try {
          if (copy.isOwn) await unlink(copy.file).catch(() => {});
          await cloneFile(nameOfFd(from), copy.file);
          await chmod(copy.file, 0o644);
        } finally {
          closeSync(from.fd);
        }
      }
      const fresh = copy.isOwn ? O_TRUNC : O_EXCL;
      const fd = await opened(copy.file, O_RDWR | O_NOFOLLOW | (edit || offset > 0 ? 0 : O_CREAT | fresh));
      const { size } = fstatSync(fd);
      if (offset > 0 && size !== offset) {
        closeSync(fd);
        copies.release(copy);
        return STALE;
      }
      return this.writer(path, options, copy, fd, size);
    } catch (error) {
      copies.release(copy);
      return offset > 0 && outcomeOf(error) === MISSING ? STALE : outcomeOf(error);
    }
  }

  private writer(path: string, options: FileWriteOptions, copy: Copy, fd: number, size: number): FileWriter {
    const copies = this.pendingCopies;
    let left: () => void = () => {};
    const ends = {
      appear: async (own: number) => {
        const outcome = await this.turns.take(path, () =>
          this.appear(path, copy.file, own, options.ifVersion, options.keep),
        );
        if (outcome === OK) copies.release(copy);
        return outcome;
      },
      keep: () => copies.keep(copy).finally(() => left()),
      drop: () => copies.drop(copy).finally(() => left()),
    };
    const leaves = () => copies.leaves(copy, new Promise((resolve) => (left = resolve)));
    const position = options.edit === true ? 0 : size;
    const writer = new DiskWriter(fd, size, position, ends, leaves);
    if (options.modified !== undefined) writer.setModified(options.modified);
    return writer;
  }

  /** What was pending takes its place. */
  private async appear(
    path: string,
    file: string,
    fd: number,
    ifVersion: string | undefined,
    keep?: string,
  ): Promise<Outcome> {
    return this.below(path, async (held, name) => {
      const target = `${held.base}/${name}`;
      const there = thereNow(target);
      if (there?.isDirectory() === true) return EXISTS;
      if (ifVersion !== undefined && ifVersion !== (await this.versionAt(path, there))) return STALE;
      if (there?.isFile() === true && (there.mode & 0o777) !== 0o644) fchmodSync(fd, there.mode & 0o777);
      if (ifVersion === '') {
        // Also of programs that know nothing of us, one alone is the first.
        try {
          await link(file, target);
        } catch (error) {
          return outcomeOf(error) === EXISTS ? STALE : outcomeOf(error);
        }
        await unlink(file);
      } else {
        if (keep !== undefined && there?.isFile() === true) await this.kept.keep(target, keep);
        await rename(file, target);
      }
      return sync(held.fd);
    });
  }

  private async versionAt(path: string, there: Stats | null): Promise<string> {
    if (there === null) return '';
    return there.isSymbolicLink() ? ((await this.stat(path))?.version ?? '') : versionOf(there);
  }

  async pending(path: string, owner: string): Promise<number | null> {
    return (await this.pendingCopies.sizeAndTime(path, owner))?.size ?? null;
  }

  async pendingSince(path: string, owner: string): Promise<number | null> {
    return (await this.pendingCopies.sizeAndTime(path, owner))?.since ?? null;
  }

  dropPending(path: string, owner: string): Promise<Outcome> {
    return this.pendingCopies.forget(path, owner);
  }

  sweepPending(before: number): Promise<number> {
    return this.pendingCopies.sweep(before);
  }

  // ---- changes -----------------------------------------------------------------------------------------------------

  async makeFolder(path: string): Promise<Outcome> {
    if (path === '') return EXISTS;
    if (!isServed(path)) return INVALID;
    return this.turns.take(path, () =>
      this.below(path, async (held, name) => {
        await mkdir(`${held.base}/${name}`);
        return sync(held.fd);
      }),
    );
  }

  async remove(path: string, ifVersion?: string): Promise<Outcome> {
    if (path === '' || !isServed(path)) return INVALID;
    return this.turns.take(path, () =>
      this.below(path, async (held, name) => {
        const target = `${held.base}/${name}`;
        const stats = await lstat(target);
        if (ifVersion !== undefined && ifVersion !== (await this.versionAt(path, stats))) return STALE;
        await (stats.isDirectory() ? rmdir(target) : unlink(target));
        return sync(held.fd);
      }),
    );
  }

  async rename(from: string, to: string, replace: boolean, keep?: string): Promise<Outcome> {
    if (from === '' || to === '' || !isServed(from) || !isServed(to) || to.startsWith(`${from}/`)) return INVALID;
    return this.turns.both(from, to, () =>
      this.below(from, (source, name) =>
        this.below(to, async (target, other) => {
          const old = `${source.base}/${name}`;
          const stats = await lstat(old);
          if (from === to) return OK;
          const place = `${target.base}/${other}`;
          const there = await lstat(place).catch((error: unknown) => gone(error));
          // On disks that take `A` and `a` for one, a change of case is no collision.
          const isItself = there !== null && there.ino === stats.ino && there.dev === stats.dev && there.nlink === 1;
          if (there !== null && !isItself && (!replace || there.isDirectory() !== stats.isDirectory())) return EXISTS;
          if (keep !== undefined && !isItself && there?.isFile() === true) await this.kept.keep(place, keep);
          await rename(old, place);
          const outcome = await sync(target.fd);
          return outcome === OK && source.real !== target.real ? sync(source.fd) : outcome;
        }),
      ),
    );
  }

  async copy(from: string, to: string, replace: boolean, keep?: string): Promise<Outcome> {
    if (to === '' || !isServed(from) || !isServed(to)) return INVALID;
    return attempt(async () => {
      const at = await this.places.openReal(from, O_RDONLY);
      if (at === null) return MISSING;
      const file = this.pendingCopies.scratch();
      try {
        const stats = fstatSync(at.fd);
        if (!stats.isFile()) return INVALID;
        if (!replace && (await this.stat(to, false)) !== null) return EXISTS;
        await cloneFile(nameOfFd(at), file);
        const fd = await opened(file, O_RDONLY | O_NOFOLLOW);
        try {
          await utimes(file, stats.atime, stats.mtime);
          const durable = await sync(fd);
          if (durable !== OK) return durable;
          const outcome = await this.turns.take(to, () => this.appear(to, file, fd, replace ? undefined : '', keep));
          return outcome === STALE ? EXISTS : outcome;
        } finally {
          closeSync(fd);
        }
      } finally {
        closeSync(at.fd);
        await unlink(file).catch(() => {});
      }
    });
  }

  async set(path: string, { modified, mode }: { modified?: number; mode?: number }): Promise<Outcome> {
    if (!isServed(path)) return INVALID;
    return attempt(async () => {
      const at = await this.places.openReal(path, O_RDONLY);
      if (at === null) return MISSING;
      this.files.begin(path);
      try {
        if (mode !== undefined) fchmodSync(at.fd, mode & 0o777);
        if (modified !== undefined) await utimes(nameOfFd(at), new Date(), modified / 1_000);
        return await sync(at.fd);
      } finally {
        this.files.end();
        closeSync(at.fd);
      }
    });
  }

  async link(path: string, target: string): Promise<Outcome> {
    if (path === '' || !isServed(path) || target === '' || target.includes('\0')) return INVALID;
    const inTree = target.startsWith('/') ? target.slice(1) : posix.join(parentOf(path), target);
    const clean = posix.normalize(inTree).replace(/^\.$/, '').replace(/\/$/, '');
    if (clean === '..' || clean.startsWith('../') || !isServed(clean)) return DENIED;
    const relative = target.startsWith('/') ? posix.relative(`/${parentOf(path)}`, `/${clean}`) || '.' : target;
    return this.turns.take(path, () =>
      this.below(path, async (held, name) => {
        await symlink(relative, `${held.base}/${name}`);
        return sync(held.fd);
      }),
    );
  }

  // ---- beside the tree ---------------------------------------------------------------------------------------------

  readonly aside: AsideFiles = {
    put: (path, id) => this.putAside(path, id),
    bring: (id, path, replace, keep) => this.bringBack(id, path, replace === true, keep),
    stat: async (id) => {
      const stats = await this.kept.stats(id);
      return stats === null ? null : statOf(id, stats, null, id);
    },
    open: (id) => this.openAside(id),
    drop: (id) => this.kept.drop(id),
    names: (before) => this.kept.names(before),
  };

  notice(limits: NoticeLimits, told: (change: NoticedChange) => void): Noticing {
    return new DiskNoticing(this.places.root, this, limits, told);
  }

  private async putAside(path: string, id: string): Promise<Outcome> {
    if (path === '' || !isServed(path)) return INVALID;
    return this.turns.take(path, () =>
      this.below(path, async (held, name) => {
        const outcome = await this.kept.put(`${held.base}/${name}`, id);
        return outcome === OK ? sync(held.fd) : outcome;
      }),
    );
  }

  private async bringBack(id: string, path: string, replace: boolean, keep?: string): Promise<Outcome> {
    const from = this.kept.place(id);
    if (path === '' || !isServed(path) || from === null) return INVALID;
    return this.turns.take(path, () =>
      this.below(path, async (held, name) => {
        const stats = await lstat(from);
        const place = `${held.base}/${name}`;
        const there = await lstat(place).catch((error: unknown) => gone(error));
        if (there !== null && !(replace && there.isFile() && stats.isFile())) return EXISTS;
        if (there !== null && keep !== undefined) await this.kept.keep(place, keep);
        await rename(from, place);
        return sync(held.fd);
      }),
    );
  }

  private async openAside(id: string): Promise<TreeFile | Outcome> {
    const place = this.kept.place(id);
    if (place === null) return INVALID;
    return attempt(async () => {
      const fd = await opened(place, ASIDE_FLAGS);
      const stats = fstatSync(fd);
      if (stats.isFile()) return new DiskFile(fd, statOf(id, stats, null, id));
      closeSync(fd);
      return INVALID;
    });
  }

  async space(): Promise<{ total: number; free: number }> {
    const { bsize, blocks, bavail } = await statfs(this.places.root);
    return { total: bsize * blocks, free: bsize * bavail };
  }

  async close(): Promise<void> {
    await this.turns.rest();
    this.files.close();
  }

  /** Does something to a name in its open folder; errors of the disk are outcomes. */
  private below<T extends string | Outcome>(
    path: string,
    work: (held: Held, name: string) => Promise<T>,
  ): Promise<T | Outcome> {
    return attempt(async () => {
      const held = await this.places.holdParent(path);
      if (held === null) return MISSING;
      this.files.begin(path);
      try {
        return await work(held, path.slice(path.lastIndexOf('/') + 1));
      } finally {
        this.files.end();
        held.close();
      }
    });
  }
}

function isServed(path: string): boolean {
  return isTreePath(path) && path !== HIDDEN && !path.startsWith(`${HIDDEN}/`);
}

/** Pipes, sockets and devices are none of ours. */
export function isShown(stats: Stats): boolean {
  return stats.isFile() || stats.isDirectory() || stats.isSymbolicLink();
}

/** What is at a name in a folder that is open: its entry was read a moment ago, so that the kernel knows. */
function thereNow(target: string): Stats | null {
  try {
    return lstatSync(target, { throwIfNoEntry: false }) ?? null;
  } catch (error) {
    return gone(error);
  }
}

function gone(error: unknown): null {
  const outcome = outcomeOf(error);
  if (outcome === MISSING || outcome === INVALID || outcome === DENIED) return null;
  throw error;
}

async function attempt<T>(work: () => Promise<T>): Promise<T | Outcome> {
  try {
    return await work();
  } catch (error) {
    return outcomeOf(error);
  }
}

function nameOfFd({ fd, real }: { readonly fd: number; readonly real: string }): string {
  return process.platform === 'linux' ? `/proc/self/fd/${fd}` : real;
}

function sync(fd: number): Promise<Outcome> {
  return done((then) => fsync(fd, then));
}

function opened(path: string, flags: number): Promise<number> {
  return new Promise((resolve, reject) => {
    open(path, flags, 0o644, (error, fd) => (error === null ? resolve(fd) : reject(error)));
  });
}
