// What other programs change in a tree: each folder is watched, what stays quiet for a moment is held against what was known,
// and all of it is looked through again from time to time, since the system may drop what it tells. Bounded in folders, in
// names that are known, and in changes that wait.
import { type FSWatcher, watch } from 'node:fs';
import type { FileStat, FileTree, NoticedChange, NoticeLimits, Noticing } from '../engine.ts';
import { isTreePath } from '../paths.ts';
import { HIDDEN } from './places.ts';

const PAGE = 256;

interface Folder {
  readonly watcher: FSWatcher | null;
  /** By name: the size and the version of files, null for folders. */
  readonly names: Map<string, { readonly size: number; readonly version: string } | null>;
}

export class DiskNoticing implements Noticing {
  private readonly tree: FileTree;
  private readonly root: string;
  private readonly limits: NoticeLimits;
  private readonly told: (change: NoticedChange) => void;
  private readonly folders = new Map<string, Folder>();
  private watched = 0;
  private known = 0;
  /** Paths that something was heard of, and when they have been quiet for long enough. */
  private readonly due = new Map<string, number>();
  private timer: NodeJS.Timeout | null = null;
  private readonly rescan: NodeJS.Timeout;
  private wantsAll = false;
  private ownTail: Promise<void> = Promise.resolve();
  private owns = 0;
  private isBusy = false;
  private isOver = false;
  /** The first look is done: what is found from then on is new. */
  readonly ready: Promise<void>;

  constructor(root: string, tree: FileTree, limits: NoticeLimits, told: (change: NoticedChange) => void) {
    this.root = root;
    this.tree = tree;
    this.limits = limits;
    this.told = told;
    this.ready = this.scan('', false);
    this.rescan = setInterval(() => this.lookThrough(), limits.rescanMs);
    this.rescan.unref();
  }

  /** A change of the server's own, of which it tells itself. One after another: what is in a folder comes after the folder. */
  own(path: string): void {
    if (this.isOver || this.owns >= this.limits.waitingMax) return;
    this.owns++;
    this.ownTail = this.ownTail
      .then(() => this.takeOwn(path))
      .catch(() => {})
      .finally(() => void this.owns--);
  }

  private async takeOwn(path: string): Promise<void> {
    this.due.delete(path);
    const stat = await this.statOf(path);
    this.forget(path);
    if (this.isOver || stat === null || !this.remember(path, stat)) return;
    if (stat.folder && stat.link === null) await this.scan(path, false);
  }

  stop(): void {
    this.isOver = true;
    clearInterval(this.rescan);
    if (this.timer !== null) clearTimeout(this.timer);
    for (const { watcher } of this.folders.values()) watcher?.close();
    this.folders.clear();
    this.due.clear();
  }

  // ---- what is heard -----------------------------------------------------------------------------------------------

  private heard(folder: string, name: string | null): void {
    if (this.isOver) return;
    if (name === null || this.due.size >= this.limits.waitingMax) {
      this.lookThrough();
      return;
    }
    const path = folder === '' ? name : `${folder}/${name}`;
    if (!isTreePath(path) || path === HIDDEN) return;
    this.wait(path);
  }

  private wait(path: string): void {
    if (this.due.size >= this.limits.waitingMax) {
      // It is found again once there is room.
      this.wantsAll = true;
      return;
    }
    this.due.set(path, performance.now() + this.limits.quietMs);
    this.timer ??= setTimeout(() => this.tick(), this.limits.quietMs);
  }

  /** Everything is held against what is known, as soon as nothing else is. */
  private lookThrough(): void {
    this.wantsAll = true;
    this.timer ??= setTimeout(() => this.tick(), this.limits.quietMs);
  }

  private tick(): void {
    this.timer = null;
    if (this.isBusy || this.isOver) return;
    this.isBusy = true;
    const over = () => {
      this.isBusy = false;
      if (!this.isOver && (this.due.size > 0 || this.wantsAll)) {
        this.timer ??= setTimeout(() => this.tick(), this.limits.quietMs / 2);
      }
    };
    this.checkDue().then(over, over);
  }

  private async checkDue(): Promise<void> {
    await this.ready;
    await this.ownTail;
    if (this.wantsAll) {
      this.wantsAll = false;
      await this.scan('', true);
    }
    const now = performance.now();
    const quiet = [...this.due].filter(([, at]) => at <= now).map(([path]) => path);
    // A folder before what is in it: what went with it is not told again.
    for (const path of quiet.sort()) {
      if (this.isOver || !this.due.delete(path)) continue;
      await this.check(path);
    }
  }

  // ---- what is there -----------------------------------------------------------------------------------------------

  private statOf(path: string): Promise<FileStat | null> {
    return this.tree.stat(path, false).then(
      (stat) => (stat !== null && stat.real === path ? stat : null),
      () => null,
    );
  }

  /** What is known of a path; undefined for nothing. */
  private knownOf(path: string) {
    const slash = path.lastIndexOf('/');
    return this.folders.get(path.slice(0, Math.max(0, slash)))?.names.get(path.slice(slash + 1));
  }

  private async check(path: string): Promise<void> {
    const stat = await this.statOf(path);
    if (this.isOver) return;
    const before = this.knownOf(path);
    if (stat === null) {
      if (before === undefined) return;
      const size = this.forget(path);
      this.told({ kind: 'gone', path, stat: null, before: size });
      return;
    }
    const isFolder = stat.folder && stat.link === null;
    if (isFolder ? before === null : before?.version === stat.version) return;
    const size = this.forget(path);
    if (!this.remember(path, stat)) return;
    this.told({ kind: isFolder ? 'folder' : 'file', path, stat, before: size });
    if (isFolder) await this.scan(path, true);
  }

  /** False when there is no room for more names, or its folder is not known. */
  private remember(path: string, stat: FileStat): boolean {
    const slash = path.lastIndexOf('/');
    const folder = this.folders.get(path.slice(0, Math.max(0, slash)));
    if (folder === undefined || this.known >= this.limits.namesMax) return false;
    const isFolder = stat.folder && stat.link === null;
    folder.names.set(path.slice(slash + 1), isFolder ? null : { size: stat.size, version: stat.version });
    this.known++;
    return true;
  }

  /** Nothing is known of it any more, and of all below it. Answers how many bytes that was. */
  private forget(path: string): number {
    const slash = path.lastIndexOf('/');
    const names = this.folders.get(path.slice(0, Math.max(0, slash)))?.names;
    const name = path.slice(slash + 1);
    const before = names?.get(name);
    if (before === undefined) return 0;
    names!.delete(name);
    this.known--;
    return before === null ? this.leave(path) : before.size;
  }

  private leave(path: string): number {
    const folder = this.folders.get(path);
    if (folder === undefined) return 0;
    this.folders.delete(path);
    folder.watcher?.close();
    if (folder.watcher !== null) this.watched--;
    let bytes = 0;
    for (const [name, known] of folder.names) {
      this.known--;
      bytes += known === null ? this.leave(path === '' ? name : `${path}/${name}`) : known.size;
    }
    return bytes;
  }

  /** Looks through a folder and all below it. `news`: what is not as it was known is checked, and told. */
  private async scan(top: string, news: boolean): Promise<void> {
    const waiting = [top];
    for (let path = waiting.pop(); path !== undefined && !this.isOver; path = waiting.pop()) {
      const open = await this.tree.openFolder(path);
      if (typeof open === 'number') continue;
      const folder = this.folders.get(path) ?? this.enter(path);
      const missing = news ? new Set(folder.names.keys()) : null;
      try {
        for (;;) {
          const page = await open.next(PAGE);
          if (page.length === 0 || this.isOver) break;
          for (const stat of page) {
            const name = stat.path.slice(stat.path.lastIndexOf('/') + 1);
            missing?.delete(name);
            const isFolder = stat.folder && stat.link === null;
            const before = folder.names.get(name);
            const isSame = isFolder ? before === null : before?.version === stat.version;
            if (news && !isSame) {
              if (before !== undefined || this.known < this.limits.namesMax) this.wait(stat.path);
            } else if (isSame || this.remember(stat.path, stat)) {
              if (isFolder) waiting.push(stat.path);
            }
          }
        }
      } finally {
        open.close();
      }
      if (missing !== null) for (const name of missing) this.wait(path === '' ? name : `${path}/${name}`);
    }
  }

  private enter(path: string): Folder {
    const folder: Folder = { watcher: this.watch(path), names: new Map() };
    if (folder.watcher !== null) this.watched++;
    this.folders.set(path, folder);
    return folder;
  }

  /** Null where there are too many, or the system has no more of them: it is looked through from time to time. */
  private watch(path: string): FSWatcher | null {
    if (this.watched >= this.limits.foldersMax) return null;
    try {
      const watcher = watch(path === '' ? this.root : `${this.root}/${path}`, { persistent: false });
      watcher.on('change', (_kind, name) => this.heard(path, name === null ? null : String(name)));
      watcher.on('error', () => watcher.close());
      return watcher;
    } catch {
      return null;
    }
  }
}
