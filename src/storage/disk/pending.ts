// Pending copies: in a hidden folder of the tree, each under a name made of its path and owner, so that it is found again
// after a crash. Two writers of one path and owner at a time have a copy each; the first one's can be continued.
import { createHash, randomBytes } from 'node:crypto';
import { constants, existsSync, mkdirSync } from 'node:fs';
import { copyFile, opendir, rename, rm, stat, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { MISSING, OK, type Outcome } from '../../core/outcome.ts';
import { HIDDEN } from './places.ts';
import { outcomeOf } from './troubles.ts';

/** A copy that somebody writes to. */
export interface Copy {
  readonly file: string;
  /** The name under which it can be continued. */
  readonly name: string;
  readonly isOwn: boolean;
}

export class PendingCopies {
  private readonly folder: string;
  /** Names that are written to. */
  private readonly active = new Set<string>();
  /** Copies that are about to be kept or dropped. */
  private readonly leaving = new Map<string, Promise<void>>();

  constructor(root: string, readOnly: boolean) {
    this.folder = join(root, HIDDEN, 'pending');
    if (!readOnly) mkdirSync(this.folder, { recursive: true, mode: 0o700 });
  }

  nameOf(path: string, owner: string): string {
    return `${createHash('sha256').update(`${owner}\0${path}`).digest('hex').slice(0, 40)}.part`;
  }

  /** A place for a new copy. */
  async take(path: string, owner: string): Promise<Copy> {
    const name = this.nameOf(path, owner);
    await this.leaving.get(name);
    if (!this.active.has(name)) {
      this.active.add(name);
      return { file: join(this.folder, name), name, isOwn: true };
    }
    return { file: join(this.folder, `${randomBytes(16).toString('hex')}.copy`), name, isOwn: false };
  }

  /** The copy that is to be continued; null while somebody else writes to it. */
  async resume(path: string, owner: string): Promise<Copy | null> {
    const name = this.nameOf(path, owner);
    await this.leaving.get(name);
    if (this.active.has(name)) return null;
    this.active.add(name);
    return { file: join(this.folder, name), name, isOwn: true };
  }

  /** A file for work of the tree's own, that nobody continues. */
  scratch(): string {
    return join(this.folder, `${randomBytes(16).toString('hex')}.copy`);
  }

  /** It has become something else. */
  release(copy: Copy): void {
    if (copy.isOwn) this.active.delete(copy.name);
  }

  async drop(copy: Copy): Promise<void> {
    await this.leave(copy, () => rm(copy.file, { force: true }));
  }

  async keep(copy: Copy): Promise<void> {
    await this.leave(copy, async () => {
      if (copy.isOwn) return;
      // Another's place, unless that has become free.
      if (this.active.has(copy.name)) await unlink(copy.file);
      else await rename(copy.file, join(this.folder, copy.name));
    });
  }

  /** From the moment on at which the writer lets go: whoever asks waits for what it has. */
  leaves(copy: Copy, until: Promise<void>): void {
    if (!copy.isOwn) return;
    const settled = until.finally(() => {
      if (this.leaving.get(copy.name) === settled) this.leaving.delete(copy.name);
    });
    this.leaving.set(copy.name, settled);
  }

  private async leave(copy: Copy, work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch {
      // It is swept later.
    } finally {
      this.release(copy);
    }
  }

  async sizeAndTime(path: string, owner: string): Promise<{ size: number; since: number } | null> {
    const name = this.nameOf(path, owner);
    await this.leaving.get(name);
    try {
      const { size, mtimeMs } = await stat(join(this.folder, name));
      return { size, since: mtimeMs };
    } catch {
      return null;
    }
  }

  async forget(path: string, owner: string): Promise<Outcome> {
    const name = this.nameOf(path, owner);
    await this.leaving.get(name);
    if (this.active.has(name)) return MISSING;
    try {
      await unlink(join(this.folder, name));
      return OK;
    } catch (error) {
      return outcomeOf(error);
    }
  }

  async sweep(before: number): Promise<number> {
    let count = 0;
    if (!existsSync(this.folder)) return 0;
    for await (const { name } of await opendir(this.folder)) {
      if (this.active.has(name)) continue;
      const file = join(this.folder, name);
      const { mtimeMs } = await stat(file).catch(() => ({ mtimeMs: Number.POSITIVE_INFINITY }));
      if (mtimeMs >= before) continue;
      await rm(file, { force: true });
      count++;
    }
    return count;
  }
}

/** A copy of a file's bytes, which shares them on disks that can. */
export function cloneFile(from: string, to: string): Promise<void> {
  return copyFile(from, to, constants.COPYFILE_FICLONE | constants.COPYFILE_EXCL);
}
