// Copies of a data folder: made while a server runs on it, checked, and put in the place of one. A copy is a data folder
// like any other.
import {
  chmodSync,
  closeSync,
  constants,
  copyFileSync,
  existsSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { lockFolder } from './lock.ts';
import { BLOB_FOLDER, DATABASE, ROW_BLOB_MAX, SCHEMA_VERSION, syncFolder } from './schema.ts';

export interface Copied {
  readonly bytes: number;
  readonly records: number;
  readonly blobs: number;
}

/**
 * Copies the data folder `from` into `to`, which must be new or empty: one moment of it, whole, with all that had been
 * acknowledged then. A server may run on it; it goes on meanwhile. Durable when this returns. Throws an Error for a person.
 */
export function backUp(from: string, to: string): Copied {
  const source = resolve(from);
  if (!existsSync(join(source, DATABASE)))
    throw new Error(`${source} is no data folder: there is no ${DATABASE} in it`);
  const target = newFolder(to);
  const partial = join(target, `${DATABASE}.part`);
  try {
    copyBlobs(source, target);
    copyDatabase(source, partial);
    // Those that were made between the two steps before.
    copyBlobs(source, target);
    const copied = check(partial, target);
    sync(partial);
    renameSync(partial, join(target, DATABASE));
    syncFolder(target);
    syncFolder(dirname(target));
    return copied;
  } catch (error) {
    rmSync(target, { recursive: true, force: true });
    throw error;
  }
}

/**
 * Puts a copy where a data folder is to be, which must be new or empty. The copy stays as it is. Throws an Error for a
 * person, also when the copy is damaged.
 */
export function restore(from: string, to: string): Copied {
  const source = resolve(from);
  check(join(source, DATABASE), source);
  // Nobody must begin to write to the copy while it is read.
  const lock = lockFolder(source);
  try {
    return backUp(source, to);
  } finally {
    lock.release();
    for (const name of ['lock.db', 'lock.pid']) rmSync(join(source, name), { force: true });
  }
}

function newFolder(path: string): string {
  const folder = resolve(path);
  if (existsSync(folder) && readdirSync(folder).length > 0)
    throw new Error(`${folder} is there already and not empty; name a new folder, or move that one away`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  chmodSync(folder, 0o700);
  return folder;
}

/** One moment of the database, without its log: a reader of its own, which holds up nobody. */
function copyDatabase(source: string, target: string): void {
  const database = new DatabaseSync(join(source, DATABASE));
  try {
    database.exec('PRAGMA busy_timeout = 10000; PRAGMA wal_autocheckpoint = 0');
    database.prepare('VACUUM INTO ?').run(target);
    chmodSync(target, 0o600);
  } finally {
    database.close();
  }
}

/** Blobs never change once they have their name: where it can be, a copy is another name of the same file. */
function copyBlobs(source: string, target: string): void {
  const folder = join(source, BLOB_FOLDER);
  if (!existsSync(folder)) return;
  const copies = join(target, BLOB_FOLDER);
  mkdirSync(copies, { recursive: true, mode: 0o700 });
  for (const name of readdirSync(folder)) {
    if (!/^\d+$/.test(name) || existsSync(join(copies, name))) continue;
    copyBlob(join(folder, name), join(copies, name));
  }
  syncFolder(copies);
}

function copyBlob(from: string, to: string): void {
  try {
    linkSync(from, to);
    return;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    // Removed meanwhile: then the row is gone as well, or `check` says so.
    if (code === 'ENOENT') return;
  }
  copyFileSync(from, to, constants.COPYFILE_FICLONE);
  sync(to);
}

/** Reads a copy from end to end. Throws when something of it is missing or damaged. */
function check(path: string, folder: string): Copied {
  if (!existsSync(path)) throw new Error(`${folder} is no copy of a data folder: there is no ${DATABASE} in it`);
  const database = new DatabaseSync(path, { readOnly: true });
  try {
    const one = (query: string, ...given: number[]) => Object.values(database.prepare(query).get(...given)!)[0];
    if (one('PRAGMA integrity_check') !== 'ok') throw new Error(`${path} is damaged`);
    const version = Number(one('PRAGMA user_version'));
    if (version > SCHEMA_VERSION) throw new Error(`${path} was written by a newer version of Portico`);
    const files = database.prepare('SELECT id FROM blob WHERE size > ?').all(ROW_BLOB_MAX) as { id: number }[];
    const lost = files.filter(({ id }) => !existsSync(join(folder, BLOB_FOLDER, String(id))));
    if (lost.length > 0)
      throw new Error(`${folder} lacks ${lost.length} blobs, the first is ${lost[0]!.id}; try again`);
    return {
      bytes: Number(one('PRAGMA page_count')) * Number(one('PRAGMA page_size')),
      records: Number(one('SELECT count(*) FROM record')),
      blobs: Number(one('SELECT count(*) FROM blob')),
    };
  } finally {
    database.close();
  }
}

function sync(path: string): void {
  const descriptor = openSync(path, 'r+');
  fsyncSync(descriptor);
  closeSync(descriptor);
}
