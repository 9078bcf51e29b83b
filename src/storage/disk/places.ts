// Where paths of a tree are on the disk. What is opened is asked where it really is, so that no link leads out of the tree,
// also one that is made between two steps; names are then used below the open folder, never by a path again.
import { closeSync, constants, fstatSync, open, readlinkSync, realpathSync, type Stats } from 'node:fs';
import { lstat, readlink, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import type { FileStat } from '../engine.ts';
import { parentOf } from '../paths.ts';
import { openQuickly } from './quick.ts';

/** In the root of each tree: what is not yet a part of it. */
export const HIDDEN = '.portico';

/** Linux: a descriptor for a place only, with no right to read (open(2)). */
const O_PATH = 0o10000000;
const isLinux = process.platform === 'linux';

/** An open folder of the tree. */
export interface Held {
  readonly fd: number;
  /** Names are appended to this with `/`. */
  readonly base: string;
  readonly real: string;
  close(): void;
}

export class Places {
  /** Without links. */
  readonly root: string;
  private readonly hidden: string;

  constructor(root: string) {
    this.root = realpathSync(root);
    this.hidden = join(this.root, HIDDEN);
  }

  /** Whether an absolute path without links is one of the tree. */
  isInside(real: string): boolean {
    if (real !== this.root && !real.startsWith(this.root === '/' ? '/' : `${this.root}/`)) return false;
    return real !== this.hidden && !real.startsWith(`${this.hidden}/`);
  }

  /** As a path of the tree. */
  pathOf(real: string): string {
    return real === this.root ? '' : real.slice(this.root === '/' ? 1 : this.root.length + 1);
  }

  whole(path: string): string {
    return path === '' ? this.root : `${this.root}/${path}`;
  }

  /** Opens what is at a path, with links followed while they stay inside; null where it leaves. Rejects with the disk's error. */
  async open(path: string, flags: number): Promise<{ fd: number; real: string } | null> {
    const whole = this.whole(path);
    const quick = openQuickly(whole, flags | constants.O_NONBLOCK);
    const fd = quick >= 0 ? quick : await opened(whole, flags | constants.O_NONBLOCK);
    const real = realOf(fd, whole, (flags & constants.O_NOFOLLOW) !== 0);
    if (real !== null && this.isInside(real)) return { fd, real };
    closeSync(fd);
    return null;
  }

  /** As `open`, of a real path: null as well where a link was on the way. */
  async openReal(path: string, flags: number): Promise<{ fd: number; real: string } | null> {
    const at = await this.open(path, flags);
    if (at === null || at.real === this.whole(path)) return at;
    closeSync(at.fd);
    return null;
  }

  /** The folder at a real path, open; null where it leaves or a link is on the way. Rejects with the disk's error. */
  async hold(path: string): Promise<Held | null> {
    const at = await this.openReal(path, constants.O_RDONLY | constants.O_DIRECTORY);
    if (at === null) return null;
    const { fd, real } = at;
    let isOpen = true;
    const close = () => {
      if (isOpen) closeSync(fd);
      isOpen = false;
    };
    return { fd, real, base: isLinux ? `/proc/self/fd/${fd}` : real, close };
  }

  /** What a path whose last level is not there would really be; null where that leaves. */
  async realOfNew(path: string): Promise<string | null> {
    const at = await this.open(parentOf(path), constants.O_RDONLY | constants.O_DIRECTORY);
    if (at === null) return null;
    closeSync(at.fd);
    const parent = this.pathOf(at.real);
    const name = path.slice(path.lastIndexOf('/') + 1);
    return parent === '' ? name : `${parent}/${name}`;
  }

  holdParent(path: string): Promise<Held | null> {
    return this.hold(parentOf(path));
  }

  /** What is at a path, or null where it leaves. Rejects with the disk's error. */
  async look(path: string, follow: boolean): Promise<{ stats: Stats; link: string | null; real: string } | null> {
    const whole = this.whole(path);
    if (!isLinux) return this.lookByPath(path, follow);
    const at = await this.open(path, O_PATH | (follow ? 0 : constants.O_NOFOLLOW));
    if (at === null) return null;
    try {
      const stats = fstatSync(at.fd);
      return { stats, link: stats.isSymbolicLink() ? readlinkSync(whole) : null, real: at.real };
    } finally {
      closeSync(at.fd);
    }
  }

  private async lookByPath(path: string, follow: boolean) {
    const own = path === '' ? '' : await this.realOfNew(path);
    if (own === null) return null;
    const real = follow ? await realpath(this.whole(own)) : this.whole(own);
    if (!this.isInside(real)) return null;
    const stats = await lstat(real);
    return { stats, link: stats.isSymbolicLink() ? await readlink(real) : null, real };
  }
}

function opened(path: string, flags: number): Promise<number> {
  return new Promise((resolve, reject) => {
    open(path, flags, (error, fd) => (error === null ? resolve(fd) : reject(error)));
  });
}

/** What Linux puts behind the path of an open file that has no name any more (proc(5)). */
const DELETED = ' (deleted)';

function realOf(fd: number, whole: string, isLink: boolean): string | null {
  try {
    if (isLinux) {
      const real = readlinkSync(`/proc/self/fd/${fd}`);
      // Replaced since it was opened: it was there, and is whole.
      return real.endsWith(DELETED) && fstatSync(fd).nlink === 0 ? real.slice(0, -DELETED.length) : real;
    }
    if (!isLink) return realpathSync(whole);
    const slash = whole.lastIndexOf('/');
    return join(realpathSync(whole.slice(0, slash)), whole.slice(slash + 1));
  } catch {
    return null;
  }
}

/** Changes with each write, by whomever, and with each replacement. */
export function versionOf(stats: Stats): string {
  const { ino, size, mtimeMs, ctimeMs } = stats;
  return [ino, size, Math.round(mtimeMs * 1_000), Math.round(ctimeMs * 1_000)].map((n) => n.toString(36)).join('-');
}

export function statOf(path: string, stats: Stats, link: string | null, real: string): FileStat {
  const { size, mtimeMs, atimeMs, birthtimeMs, mode, dev, ino } = stats;
  const folder = stats.isDirectory();
  return {
    path,
    folder,
    link,
    real,
    size: folder ? 0 : size,
    modified: Math.floor(mtimeMs),
    accessed: Math.floor(atimeMs),
    created: Math.floor(birthtimeMs),
    mode: mode & 0o777,
    version: versionOf(stats),
    unique: `${dev.toString(36)}g${ino.toString(36)}`,
  };
}
