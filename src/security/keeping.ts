// Files that hold keys and what was issued: written whole or not at all, for their owner alone. Two processes may do so at
// once: what is made once is made by whoever is first, and what is appended is one write.
import { randomBytes } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';

const LEFT_MS = 3_600_000;

/** Named files with a text each. */
export interface Keeping {
  read(name: string): string | null;
  /** Puts it in the place of what was there. `isPublic`: others may read it. */
  write(name: string, text: string, isPublic?: boolean): void;
  /** Only where there is nothing of this name; answers what is there then. */
  create(name: string, text: string): string;
  /** Adds a line. */
  append(name: string, line: string): void;
  list(): string[];
  remove(name: string): void;
}

/** In a folder that only its owner may open. */
export class FolderKeeping implements Keeping {
  readonly folder: string;

  constructor(folder: string) {
    this.folder = folder;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    // What a process left that ended while it wrote; a younger one may be being written now.
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      const stat = name.startsWith('.') ? statSync(path, { throwIfNoEntry: false }) : undefined;
      if (stat?.isFile() && Date.now() - stat.mtimeMs > LEFT_MS) rmSync(path, { force: true });
    }
  }

  read(name: string): string | null {
    try {
      return readFileSync(join(this.folder, name), 'utf8');
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
      throw error;
    }
  }

  write(name: string, text: string, isPublic = false): void {
    const temporary = this.prepare(name, text, isPublic ? 0o644 : 0o600);
    renameSync(temporary, join(this.folder, name));
    syncFolder(this.folder);
  }

  create(name: string, text: string): string {
    const temporary = this.prepare(name, text, 0o600);
    try {
      // A link is made or is there already: never half, and never over another's.
      linkSync(temporary, join(this.folder, name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    } finally {
      rmSync(temporary, { force: true });
    }
    syncFolder(this.folder);
    return this.read(name) ?? text;
  }

  append(name: string, line: string): void {
    const descriptor = openSync(join(this.folder, name), 'a', 0o600);
    try {
      // A line that a crash cut short ends here.
      writeSync(descriptor, `\n${line}\n`);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    syncFolder(this.folder);
  }

  list(): string[] {
    return readdirSync(this.folder);
  }

  remove(name: string): void {
    rmSync(join(this.folder, name), { force: true });
  }

  private prepare(name: string, text: string, mode: number): string {
    const temporary = join(this.folder, `.${name}.${process.pid}.${randomBytes(4).toString('hex')}`);
    const descriptor = openSync(temporary, 'wx', mode);
    try {
      writeSync(descriptor, text);
      fsyncSync(descriptor);
    } finally {
      closeSync(descriptor);
    }
    return temporary;
  }
}

/** A new name lasts once its folder was written. */
export function syncFolder(folder: string): void {
  // Windows opens no folder.
  if (process.platform === 'win32') return;
  const descriptor = openSync(folder, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Gone with the process. */
export class MemoryKeeping implements Keeping {
  private readonly files = new Map<string, string>();

  read(name: string): string | null {
    return this.files.get(name) ?? null;
  }

  write(name: string, text: string): void {
    this.files.set(name, text);
  }

  create(name: string, text: string): string {
    const there = this.files.get(name);
    if (there !== undefined) return there;
    this.files.set(name, text);
    return text;
  }

  append(name: string, line: string): void {
    this.files.set(name, `${this.files.get(name) ?? ''}${line}\n`);
  }

  list(): string[] {
    return [...this.files.keys()];
  }

  remove(name: string): void {
    this.files.delete(name);
  }
}
