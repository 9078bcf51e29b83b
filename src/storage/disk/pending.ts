// Files on their way in: each is written under a name of its own, and what was suspended, or what a crash left, waits under the
// name of its path and owner for 24 hours.
import { createHash } from 'node:crypto';
import { constants, open as openFile } from 'node:fs';
import * as fs from 'node:fs/promises';
import { join } from 'node:path';
import { type Outcome, STALE } from '../../core/outcome.ts';
import type { BeginOptions } from '../engine.ts';

const KEPT_MS = 86_400_000;
const SWEEP_MS = 3_600_000;

export interface Begun {
  readonly fd: number;
  readonly size: number;
  /** Where it lies. */
  readonly name: string;
}

export class Pending {
  private readonly folder: string;
  private readonly wall: () => number;
  private readonly timer: NodeJS.Timeout;
  private last = 0;
  private readonly keeping = new Map<string, Promise<void>>();

  private constructor(folder: string, wall: () => number) {
    this.folder = folder;
    this.wall = wall;
    this.timer = setInterval(() => void this.sweep().catch(() => {}), SWEEP_MS);
    this.timer.unref();
  }

  /** Opens the folder. What was being written when the process ended waits from now on to be continued. */
  static async open(folder: string, wall: () => number): Promise<Pending> {
    await fs.mkdir(folder, { recursive: true, mode: 0o700 });
    const pending = new Pending(folder, wall);
    for (const name of await fs.readdir(folder)) {
      const place = join(folder, name);
      if (name.startsWith('aside.')) await fs.rm(place, { recursive: true, force: true });
      const key = /^([0-9a-f]{40})\.\d+\.[0-9a-z]+\.writing$/.exec(name)?.[1];
      if (key !== undefined) await fs.rename(place, join(folder, `${key}.part`));
    }
    await pending.sweep();
    return pending;
  }

  close(): void {
    clearInterval(this.timer);
  }

  private async sweep(): Promise<void> {
    for (const name of await fs.readdir(this.folder)) {
      if (!name.endsWith('.part')) continue;
      const { mtimeMs } = await fs.lstat(join(this.folder, name));
      if (mtimeMs < this.wall() - KEPT_MS) await fs.rm(join(this.folder, name), { force: true });
    }
  }

  private keyOf(path: string, owner: string): string {
    return createHash('sha256').update(`${owner}\0${path}`).digest('hex').slice(0, 40);
  }

  private partOf(path: string, owner: string): string {
    return join(this.folder, `${this.keyOf(path, owner)}.part`);
  }

  /** A name for something that is gone from the tree, or not there yet, for a moment. */
  aside(): string {
    return join(this.folder, `aside.${process.pid}.${++this.last}`);
  }

  async sizeOf(path: string, owner: string): Promise<number | null> {
    const part = this.partOf(path, owner);
    await this.keeping.get(part);
    try {
      return (await fs.lstat(part)).size;
    } catch {
      return null;
    }
  }

  /** Begins a copy. `file`: what is there, or null. Rejects with what the system says. */
  async begin(path: string, { how, owner, offset = 0 }: BeginOptions, file: string | null): Promise<Begun | Outcome> {
    const name = join(this.folder, `${this.keyOf(path, owner)}.${process.pid}.${(++this.last).toString(36)}.writing`);
    const part = this.partOf(path, owner);
    await this.keeping.get(part);
    if (how === 'resume') {
      const waiting = await this.sizeOf(path, owner);
      const size = waiting ?? (file === null ? 0 : (await fs.stat(file)).size);
      if (size !== offset) return STALE;
      // Who takes it has it: two that go on with one upload would tear it.
      if (waiting !== null) await fs.rename(part, name);
      else if (file !== null) await fs.copyFile(file, name, constants.COPYFILE_FICLONE);
    } else {
      await fs.rm(part, { force: true });
      if (how === 'change' && file !== null) await fs.copyFile(file, name, constants.COPYFILE_FICLONE);
    }
    const fd = await new Promise<number>((resolve, reject) => {
      openFile(name, constants.O_RDWR | constants.O_CREAT, 0o644, (error, opened) =>
        error === null ? resolve(opened) : reject(error),
      );
    });
    const { size } = await fs.stat(name);
    return { fd, size, name };
  }

  /** Keeps a copy that is suspended, once it is written; who asks for it meanwhile waits. */
  keep(path: string, owner: string, name: string, written: Promise<boolean>): void {
    const part = this.partOf(path, owner);
    const kept: Promise<void> = written
      .then((isWhole) => (isWhole ? fs.rename(name, part) : this.drop(name)))
      .catch(() => {})
      .then(() => {
        if (this.keeping.get(part) === kept) this.keeping.delete(part);
      });
    this.keeping.set(part, kept);
  }

  async drop(name: string): Promise<void> {
    await fs.rm(name, { force: true });
  }
}
