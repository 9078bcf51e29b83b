// The tables of the SQLite store, their numbered migrations, and how a connection is opened. It does not know who reads
// or writes.
import { closeSync, fsyncSync, openSync, statfsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { FAILED, FULL, type Outcome } from '../../core/outcome.ts';

/**
 * A record's row id is its space's number above these bits and its sequence within them: records of one space stand
 * together, in order, and a million records a second fill it in two years.
 */
export const SEQUENCE_BITS = 46;

/** The largest sequence; `id & SEQUENCE_MAX` is a row's sequence. */
export const SEQUENCE_MAX = 2 ** SEQUENCE_BITS - 1;

/** Blobs up to this many bytes are rows; larger ones are files. */
export const ROW_BLOB_MAX = 65_536;

export const DATABASE = 'portico.db';
export const BLOB_FOLDER = 'blobs';

/** One step a version; a store at version n has had the first n. A step that was released is never changed. */
const MIGRATIONS: readonly string[] = [
  // A key is its space's number as u32 and then the key's UTF-8, so that one index serves all spaces and prefixes are
  // ranges of bytes. `dropped` has the last sequence of each key that is no longer kept; for keys that it has forgotten,
  // the space's own figure stands. `put` is 1 for the one record of a key that was put, 0 for those that were appended.
  `CREATE TABLE space (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, head INTEGER NOT NULL,
     dropped INTEGER NOT NULL DEFAULT 0);
   CREATE TABLE record (
     id INTEGER PRIMARY KEY, time INTEGER NOT NULL, put INTEGER NOT NULL, key BLOB NOT NULL, bytes BLOB NOT NULL);
   CREATE INDEX record_key ON record (key, put);
   CREATE TABLE dropped (key BLOB PRIMARY KEY, sequence INTEGER NOT NULL) WITHOUT ROWID;
   CREATE TABLE blob (id INTEGER PRIMARY KEY AUTOINCREMENT, size INTEGER NOT NULL, bytes BLOB);`,
];

export const SCHEMA_VERSION = MIGRATIONS.length;

/** Makes the database file durable in its folder before SQLite sees it, readable by its owner alone. */
export function makeDatabaseFile(folder: string): void {
  closeSync(openSync(join(folder, DATABASE), 'a', 0o600));
  syncFolder(folder);
  syncFolder(dirname(folder));
}

export function syncFolder(folder: string): void {
  const descriptor = openSync(folder, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/**
 * Opens the connection that writes. Checkpoints are the caller's: one that SQLite ran by itself would make a COMMIT
 * answer an error (a full disk) although the transaction had committed.
 */
export function openToWrite(folder: string): DatabaseSync {
  const database = new DatabaseSync(join(folder, DATABASE));
  database.exec(`
    PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA wal_autocheckpoint = 0;
    PRAGMA journal_size_limit = 67108864; PRAGMA cache_size = -32768; PRAGMA temp_store = MEMORY`);
  return database;
}

export function openToRead(folder: string): DatabaseSync {
  const database = new DatabaseSync(join(folder, DATABASE));
  database.exec(`
    PRAGMA busy_timeout = 5000; PRAGMA query_only = ON; PRAGMA wal_autocheckpoint = 0;
    PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY`);
  return database;
}

/** Brings the store to the version that this program knows. Throws when it is newer than that. */
export function migrate(database: DatabaseSync): void {
  const { user_version: found } = database.prepare('PRAGMA user_version').get() as { user_version: number };
  if (found > SCHEMA_VERSION)
    throw new Error(
      `the store was written by a newer version: its schema is ${found}, this program knows up to ${SCHEMA_VERSION}`,
    );
  for (let version = found; version < SCHEMA_VERSION; version++)
    database.exec(`BEGIN IMMEDIATE; ${MIGRATIONS[version]}; PRAGMA user_version = ${version + 1}; COMMIT`);
}

const SQLITE_CORRUPT = 11;
const SQLITE_FULL = 13;
const SQLITE_NOTADB = 26;

/** SQLite's primary result code, or 0 for another kind of error. */
function codeOf(error: unknown): number {
  const code = error instanceof Error && 'errcode' in error ? error.errcode : 0;
  return typeof code === 'number' ? code & 0xff : 0;
}

/** Whether the store itself is damaged: nothing that it answers can be believed any more. */
export function isCorrupt(error: unknown): boolean {
  const code = codeOf(error);
  return code === SQLITE_CORRUPT || code === SQLITE_NOTADB;
}

const ROOM_LEAST = 1_048_576;

/** FULL when the disk has no room, else FAILED. */
export function outcomeOf(error: unknown, folder: string): Outcome {
  if (codeOf(error) === SQLITE_FULL) return FULL;
  const system = error instanceof Error && 'code' in error ? error.code : '';
  if (system === 'ENOSPC' || system === 'EDQUOT') return FULL;
  // Growing the shared index, syncing and creating a file fail as I/O errors that do not say why.
  try {
    const { bavail, bsize } = statfsSync(folder);
    return bavail * bsize < ROOM_LEAST ? FULL : FAILED;
  } catch {
    return FAILED;
  }
}
