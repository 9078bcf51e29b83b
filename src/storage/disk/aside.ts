// What a tree keeps beside itself, whole, under a name that its owner gave: what was deleted, and what was overwritten. It is
// on the same disk, so that nothing is copied where the disk can rename and link.
import { constants, mkdirSync, type Stats } from 'node:fs';
import { link, lstat, open, opendir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { INVALID, MISSING, OK, type Outcome } from '../../core/outcome.ts';
import { cloneFile } from './pending.ts';
import { HIDDEN } from './places.ts';
import { outcomeOf } from './troubles.ts';

/** Names of the hidden folder that are looked at together. */
const PAGE = 4_096;

export class Aside {
  private readonly folder: string;

  constructor(root: string, readOnly: boolean) {
    this.folder = join(root, HIDDEN, 'aside');
    if (!readOnly) mkdirSync(this.folder, { recursive: true, mode: 0o700 });
  }

  /** Where it is on the disk; null for what is no name. */
  place(id: string): string | null {
    return /^[\da-z]{1,64}$/.test(id) ? join(this.folder, id) : null;
  }

  /** The whole of what is at a place goes there. */
  async put(from: string, id: string): Promise<Outcome> {
    const to = this.place(id);
    if (to === null) return INVALID;
    await rename(from, to);
    return this.sync();
  }

  /** What is at a place stays, and is kept also when another takes its name. */
  async keep(file: string, id: string): Promise<Outcome> {
    const to = this.place(id);
    if (to === null) return INVALID;
    try {
      await link(file, to);
    } catch {
      // Disks without links: a copy, which is as good.
      await cloneFile(file, to);
      await this.sync(to);
    }
    return this.sync();
  }

  /** Its names are on the disk, or what is in one of them. */
  private async sync(place = this.folder): Promise<Outcome> {
    const file = await open(place, constants.O_RDONLY);
    try {
      await file.sync();
      return OK;
    } finally {
      await file.close();
    }
  }

  async stats(id: string): Promise<Stats | null> {
    const place = this.place(id);
    return place === null ? null : lstat(place).catch(() => null);
  }

  async drop(id: string): Promise<Outcome> {
    const place = this.place(id);
    if (place === null) return INVALID;
    try {
      if ((await this.stats(id)) === null) return MISSING;
      await rm(place, { recursive: true, force: true });
      return OK;
    } catch (error) {
      return outcomeOf(error);
    }
  }

  /** All names that came there before a time, some at a time. */
  async *names(before: number): AsyncGenerator<string[]> {
    let page: string[] = [];
    const folder = await opendir(this.folder).catch(() => null);
    if (folder === null) return;
    for await (const { name } of folder) {
      const stats = await this.stats(name);
      if (stats === null || stats.ctimeMs >= before) continue;
      page.push(name);
      if (page.length < PAGE) continue;
      yield page;
      page = [];
    }
    if (page.length > 0) yield page;
  }
}

export const ASIDE_FLAGS = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
