// The worker that writes the SQLite store: it commits whatever arrived while the last fsync ran, as one transaction, and
// answers one message a group. It does not know what waits for the answers.
import { mkdirSync, readdirSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import { FULL, type Outcome } from '../../core/outcome.ts';
import { Applying } from './applying.ts';
import { type Lock, lockFolder } from './lock.ts';
import { CROSSING_HEAD, type FromWriter, type ToWriter, type WorkerStart, type WriterFaults } from './messages.ts';
import { BLOB_FOLDER, isCorrupt, makeDatabaseFile, migrate, openToWrite, outcomeOf, syncFolder } from './schema.ts';

/** A group is closed past this, so that the first in it does not wait for a long queue. */
const GROUP_BYTES = 8 * 1_048_576;

/** Past this many times the pages of a checkpoint the log must begin anew, even when a reader has to be waited for. */
const RESTART_TIMES = 4;

class Writer {
  private readonly port: NonNullable<typeof parentPort>;
  private readonly folder: string;
  private readonly lock: Lock;
  private readonly checkpointPages: number;
  private database: DatabaseSync | null = null;
  private applying: Applying | null = null;
  private walPages: StatementSync | null = null;
  private faults: WriterFaults = { refuse: null, hold: false };
  private queue: ToWriter[] = [];
  private results: number[] = [];

  constructor(port: NonNullable<typeof parentPort>, { folder, checkpointPages }: WorkerStart) {
    this.port = port;
    this.folder = folder;
    this.checkpointPages = checkpointPages;
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    mkdirSync(join(folder, BLOB_FOLDER), { recursive: true, mode: 0o700 });
    this.lock = lockFolder(folder);
    try {
      makeDatabaseFile(folder);
      const database = this.open();
      const { last } = database
        .prepare(
          `SELECT max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'blob'), 0),
                      coalesce((SELECT max(id) FROM blob), 0)) AS last`,
        )
        .get() as { last: number };
      this.dropOrphans(database);
      this.post({ kind: 'ready', lastBlob: last });
    } catch (error) {
      this.database?.close();
      this.lock.release();
      throw error;
    }
  }

  /** Takes what has arrived and commits it, and what arrives meanwhile. */
  arrived(message: ToWriter): void {
    this.take(message);
    this.takeAll();
    while (this.queue.length > 0 && !this.faults.hold) {
      if (this.queue[0]!.kind === 'close') {
        this.close();
        return;
      }
      this.commitGroup(this.nextGroup());
      this.checkpoint();
      this.takeAll();
    }
  }

  private take(message: ToWriter): void {
    if (message.kind !== 'faults') {
      if (message.kind === 'close') this.faults = { ...this.faults, hold: false };
      this.queue.push(message);
      return;
    }
    this.faults = message.faults;
    if (message.faults.die) throw new Error('ended by a test');
  }

  private takeAll(): void {
    for (;;) {
      const next = receiveMessageOnPort(this.port) as { message: ToWriter } | undefined;
      if (next === undefined) return;
      this.take(next.message);
    }
  }

  private nextGroup(): ToWriter[] {
    let size = 0;
    let count = 0;
    for (const message of this.queue) {
      if (message.kind === 'close' || size > GROUP_BYTES) break;
      if (message.kind === 'batches') size += message.buffer.byteLength;
      else if (message.kind === 'blob') size += message.bytes?.length ?? 0;
      count++;
    }
    return this.queue.splice(0, count);
  }

  private commitGroup(group: readonly ToWriter[]): void {
    this.results.length = 0;
    const result = (outcome: number, value: number, second: number) => void this.results.push(outcome, value, second);
    try {
      const database = this.database ?? this.open();
      const applying = this.applying!;
      database.exec('BEGIN IMMEDIATE');
      for (const message of group) applying.apply(message, result);
      applying.seal();
      if (this.faults.refuse !== null) throw injected(this.faults.refuse);
      database.exec('COMMIT');
      applying.committed();
    } catch (error) {
      if (!this.recover(error)) this.refuseAll(group, outcomeOf(error, this.folder));
      if (isCorrupt(error)) this.post({ kind: 'corrupt', why: String(error) });
    }
    const results = new Float64Array(this.results);
    this.port.postMessage({ kind: 'settled', results } satisfies FromWriter, [results.buffer]);
  }

  /** Each batch and message of a group that did not commit has the same outcome. */
  private refuseAll(group: readonly ToWriter[], outcome: Outcome): void {
    const count = group.reduce((sum, message) => sum + resultsOf(message), 0);
    this.results.length = 0;
    for (let index = 0; index < count; index++) this.results.push(outcome, 0, 0);
  }

  /**
   * After an error nothing that this connection remembers is believed: it is closed, which rolls back, and the heads are
   * read anew. Answers whether the group turns out to have committed after all.
   */
  private recover(error: unknown): boolean {
    const wanted = this.applying?.movedHeads() ?? new Map<number, number>();
    this.letGo();
    try {
      const database = this.open();
      const headOf = database.prepare('SELECT head FROM space WHERE id = ?1');
      for (const [space, head] of wanted)
        if ((headOf.get(space) as { head: number } | undefined)?.head === head) return true;
      // The log's own space can be what a full disk lacks.
      if (outcomeOf(error, this.folder) === FULL) database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    } catch {
      // The disk is still in trouble; the next group tries again.
      this.letGo();
    }
    return false;
  }

  private open(): DatabaseSync {
    const database = openToWrite(this.folder);
    this.database = database;
    migrate(database);
    this.applying = new Applying(database);
    this.walPages = database.prepare('PRAGMA wal_checkpoint(NOOP)');
    return database;
  }

  private letGo(): void {
    const { database } = this;
    this.database = null;
    this.applying = null;
    this.walPages = null;
    try {
      database?.close();
    } catch {
      // A connection that cannot be closed holds nothing that the next one needs.
    }
  }

  private checkpoint(): void {
    if (this.database === null) return;
    try {
      const { log, checkpointed } = this.walPages!.get() as { log: number; checkpointed: number };
      if (log > RESTART_TIMES * this.checkpointPages) this.database.exec('PRAGMA wal_checkpoint(RESTART)');
      else if (log - checkpointed >= this.checkpointPages) this.database.exec('PRAGMA wal_checkpoint(PASSIVE)');
    } catch (error) {
      // What is committed stands in the log; the next checkpoint copies it.
      if (isCorrupt(error)) this.post({ kind: 'corrupt', why: String(error) });
    }
  }

  /** Removes blob files that no row names: what a crash left between the file and its row. */
  private dropOrphans(database: DatabaseSync): void {
    const folder = join(this.folder, BLOB_FOLDER);
    const named = database.prepare('SELECT 1 FROM blob WHERE id = ?1 AND bytes IS NULL');
    let gone = 0;
    for (const name of readdirSync(folder)) {
      if (/^\d+$/.test(name) && named.get(Number(name)) !== undefined) continue;
      unlinkSync(join(folder, name));
      gone++;
    }
    if (gone > 0) syncFolder(folder);
  }

  private close(): void {
    try {
      this.database?.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    } catch {
      // Opening again recovers from the log.
    }
    this.letGo();
    this.lock.release();
    this.post({ kind: 'closed' });
    this.port.close();
  }

  private post(message: FromWriter): void {
    this.port.postMessage(message);
  }
}

function resultsOf(message: ToWriter): number {
  if (message.kind !== 'batches') return 1;
  const bytes = Buffer.from(message.buffer);
  let count = 0;
  for (let at = 0; at < bytes.length; at += CROSSING_HEAD + bytes.readUInt32BE(at + 4)) count++;
  return count;
}

/** An error as SQLite would throw it. */
function injected(outcome: Outcome): Error {
  return Object.assign(new Error('refused by a test'), { errcode: outcome === FULL ? 13 : 1 });
}

function begin(): void {
  const port = parentPort;
  if (port === null) throw new Error('the writer runs in a worker');
  let writer: Writer;
  try {
    writer = new Writer(port, workerData as WorkerStart);
  } catch (error) {
    port.postMessage({
      kind: 'refused',
      why: error instanceof Error ? error.message : String(error),
    } satisfies FromWriter);
    return;
  }
  port.on('message', (message: ToWriter) => writer.arrived(message));
}

begin();
