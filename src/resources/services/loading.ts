// A program's services: from modules or values to descriptions with what runs them, numbered by the lock and compared with it;
// and anew when a file changes, where what is broken changes nothing.
import { existsSync, type FSWatcher, readFileSync, statSync, watch } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import type { Log } from '../../core/log.ts';
import { type Described, describe, isDefinition, ownLock, type ServiceDefinition } from './define.ts';
import { type Change, changesOf, LOCK_FILE, type Lock, type LockedService, numbersOf, readLock } from './lock.ts';
import { foldersOf, importServices, ServiceModuleError, unmarked } from './modules.ts';
import { isProto, type ProtoDefinition } from './proto-service.ts';

/** What is named as a service: a module's path, or what such a module exports. */
export type ServiceEntry = string | ServiceDefinition | ProtoDefinition;

export function isServiceEntry(value: unknown): value is ServiceEntry {
  return typeof value === 'string' || isDefinition(value) || isProto(value);
}

/** Services that would break what their lock promises. A line a change, with its mend. */
export class LockError extends Error {
  constructor(file: string, changes: readonly Change[]) {
    super(changes.map(({ place, text }) => `${place}: ${text} (${relative('.', file) || file})`).join('\n'));
    this.name = 'LockError';
  }
}

export interface Loaded {
  /** As messages name it. */
  readonly name: string;
  readonly described: readonly Described[];
  /** What it was read from, to be watched. */
  readonly files: readonly string[];
  readonly lock: LockFile;
  /** What is other than the lock says; nothing while there is no lock. */
  readonly changes: readonly Change[];
}

/** A lock where it lies; null when there is none there yet. */
export interface LockFile {
  readonly path: string;
  readonly lock: Lock | null;
}

/** Reads an entry as it is now. Throws an Error whose message says what is wrong; a break of the lock only when asked to. */
export async function loadEntry(entry: ServiceEntry, { refuseBreaks = true } = {}): Promise<Loaded> {
  const name =
    typeof entry === 'string' ? relative('.', resolve(entry)) : entry.portico === 'proto' ? entry.path : entry.name;
  const { value, files } = typeof entry === 'string' ? await importServices(entry) : { value: entry, files: [] };
  const folder = typeof entry === 'string' ? dirname(resolve(entry)) : process.cwd();
  const lock = lockOf(folder);
  const { described, read, changes } = await describeAll(name, value, lock.lock);
  const broken = changes.filter(({ breaks }) => breaks);
  if (refuseBreaks && broken.length > 0) throw new LockError(lock.path, broken);
  return { name, described, files: [...files, ...read], lock, changes };
}

export function lockOf(folder: string): LockFile {
  const path = join(folder, LOCK_FILE);
  if (!existsSync(path)) return { path, lock: null };
  const lock = readLock(readFileSync(path, 'utf8'));
  if (lock instanceof Error) throw new ServiceModuleError(path, lock.message);
  return { path, lock };
}

interface DescribedAll {
  readonly described: Described[];
  readonly read: string[];
  readonly changes: Change[];
}

/** By the lock beside it, else by the one that it has in itself. */
async function describeAll(name: string, value: unknown, lock: Lock | null): Promise<DescribedAll> {
  const all: DescribedAll = { described: [], read: [], changes: [] };
  const add = (one: Described, before: LockedService | undefined) => {
    all.described.push(one);
    if (before !== undefined || lock !== null) all.changes.push(...changesOf(before, one.service));
  };
  for (const each of Array.isArray(value) ? (value as unknown[]) : [value]) {
    if (isDefinition(each)) {
      const before = lock?.services[each.name] ?? ownLock(each);
      add(describe(each, numbersOf(before)), before);
    } else if (isProto(each)) {
      // protobufjs is loaded by those who have a .proto.
      const { describeProto } = await import('./from-proto.ts');
      const { services, files } = describeProto(each);
      for (const one of services) add(one, lock?.services[one.service.name]);
      all.read.push(...files);
    } else
      throw new ServiceModuleError(
        name,
        'its default export is what defineService or protoService made, or a list of those',
      );
  }
  return all;
}

/** Where services are put: the registry, as far as it is needed here. */
interface Registry {
  put(source: string, services: readonly Described[]): void;
}

/** Editors write a file in several steps. */
const QUIET_MS = 60;

interface Source {
  readonly entry: ServiceEntry;
  readonly key: string;
  loaded: Loaded;
  /** Its files when they were last looked at. */
  seen: string;
  /** Why they cannot be used as they are; what was loaded before goes on. */
  broken: string | null;
}

/** All services of a program on a running server. */
export class ProgramServices {
  private readonly registry: Registry;
  private readonly log: Log;
  private readonly sources: Source[] = [];
  private readonly watchers = new Map<string, FSWatcher>();
  private quiet: NodeJS.Timeout | null = null;
  private isLoading = false;
  private isClosed = false;

  constructor(registry: Registry, log: Log) {
    this.registry = registry;
    this.log = log;
  }

  /** Takes all of them into the server. Throws, with a message for who wrote them. */
  async load(entries: readonly ServiceEntry[]): Promise<void> {
    for (const [index, entry] of entries.entries()) {
      const loaded = await loadEntry(entry);
      const key = typeof entry === 'string' ? loaded.name : `services.${index}`;
      this.registry.put(key, loaded.described);
      this.sources.push({ entry, key, loaded, seen: seenOf(loaded), broken: null });
      this.tellLock(loaded);
    }
  }

  /** Loads again what changes from now on. */
  watch(): void {
    const files = this.sources.flatMap(({ loaded }) => [...loaded.files, loaded.lock.path]);
    const folders = foldersOf(files);
    for (const [folder, watcher] of this.watchers)
      if (!folders.has(folder)) {
        watcher.close();
        this.watchers.delete(folder);
      }
    for (const folder of folders) {
      if (this.watchers.has(folder)) continue;
      try {
        const watcher = watch(folder, { persistent: false }, () => this.stirred());
        watcher.on('error', (error) =>
          this.log.warn('a folder is not watched any more', { folder, why: error.message }),
        );
        this.watchers.set(folder, watcher);
      } catch (error) {
        this.log.warn('a folder cannot be watched', { folder, why: (error as Error).message });
      }
    }
  }

  close(): void {
    this.isClosed = true;
    if (this.quiet !== null) clearTimeout(this.quiet);
    for (const watcher of this.watchers.values()) watcher.close();
    this.watchers.clear();
  }

  private stirred(): void {
    if (this.isClosed) return;
    if (this.quiet !== null) clearTimeout(this.quiet);
    this.quiet = setTimeout(() => void this.reload(), QUIET_MS);
  }

  private async reload(): Promise<void> {
    this.quiet = null;
    if (this.isLoading) return this.stirred();
    this.isLoading = true;
    try {
      let mended = false;
      for (const source of this.sources) {
        const seen = seenOf(source.loaded);
        // What a broken version imports is not known: whatever stirs may mend it.
        if ((seen !== source.seen || source.broken !== null) && !this.isClosed)
          mended = (await this.renew(source, seen)) || mended;
      }
      // A service that went from one module to another was in the way of it.
      if (mended && this.sources.some(({ broken }) => broken !== null)) this.stirred();
      if (!this.isClosed) this.watch();
    } finally {
      this.isLoading = false;
    }
  }

  /** True when the source is new. */
  private async renew(source: Source, seen: string): Promise<boolean> {
    const { name } = source.loaded;
    source.seen = seen;
    try {
      const loaded = await loadEntry(source.entry);
      if (this.isClosed) return false;
      this.registry.put(source.key, loaded.described);
      source.loaded = loaded;
      source.seen = seenOf(loaded);
      source.broken = null;
      this.log.info('services are new', { from: name, services: namesOf(loaded) });
      this.tellLock(loaded);
      return true;
    } catch (error) {
      const stack = isToldShort(error) ? error.message : stackOf(error);
      if (stack !== source.broken) this.log.error('services are broken; those before go on', { from: name, stack });
      source.broken = stack;
      return false;
    }
  }

  private tellLock({ name, lock, changes }: Loaded): void {
    if (lock.lock === null) return;
    if (changes.length > 0)
      this.log.warn('services have what their lock does not; portico services lock writes it down', {
        from: name,
        new: changes.map(({ place }) => place).join(', '),
      });
  }
}

export function namesOf({ described }: Loaded): string {
  return described.map(({ service }) => service.name).join(', ');
}

/** Errors whose message says all, place and mend. */
export function isToldShort(error: unknown): error is Error {
  const short = ['LockError', 'ServiceModuleError', 'DefinitionError', 'ServiceClash'];
  return error instanceof Error && short.includes(error.name);
}

/** The rest, with where it came from. */
export function stackOf(error: unknown): string {
  const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return unmarked(text);
}

function seenOf({ files, lock }: Loaded): string {
  return snapshot([...files, lock.path]);
}

/** What can be seen of files from outside: it is other once one of them has changed. */
function snapshot(files: readonly string[]): string {
  return files
    .map((file) => {
      const stat = statSync(file, { throwIfNoEntry: false });
      return stat === undefined ? `${file} gone` : `${file} ${stat.mtimeMs} ${stat.size} ${stat.ino}`;
    })
    .join('\n');
}
