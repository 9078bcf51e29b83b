// The changes of a group of commits as SQL, within a transaction that the caller began. It does not know when that is
// durable, nor who waits.
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { MISSING, OK, STALE } from '../../core/outcome.ts';
import { ANY, APPEND, PUT, REMOVE, TRIM, walkBatch } from '../batch.ts';
import { CROSSING_HEAD, type ToWriter } from './messages.ts';
import { SEQUENCE_BITS, SEQUENCE_MAX } from './schema.ts';

/** Takes the result of one batch or message. */
export type Result = (outcome: number, value: number, second: number) => void;

const ID = `(?1 << ${SEQUENCE_BITS})`;

/** Keys of one space of which it is noted what was dropped. */
const NOTES_MAX = 20_000;

export class Applying {
  /** Where each space stands in this transaction; what a rollback makes of it is `forget`'s. */
  private readonly heads = new Map<number, number>();
  private readonly moved = new Set<number>();
  private key = Buffer.alloc(4_096);
  private readonly insert: StatementSync;
  private readonly putOf: StatementSync;
  private readonly erase: StatementSync;
  private readonly trim: StatementSync;
  private readonly drop: StatementSync;
  private readonly noteTrim: StatementSync;
  private readonly noteDrop: StatementSync;
  private readonly countNotes: StatementSync;
  private readonly coarsen: StatementSync;
  private readonly forgetNotes: StatementSync;
  private readonly headOf: StatementSync;
  private readonly setHead: StatementSync;
  private readonly findSpace: StatementSync;
  private readonly addSpace: StatementSync;
  private readonly addBlob: StatementSync;
  private readonly findBlob: StatementSync;
  private readonly eraseBlob: StatementSync;

  constructor(database: DatabaseSync) {
    const sql = (text: string) => database.prepare(text);
    this.insert = sql(`INSERT INTO record (id, time, put, key, bytes) VALUES (${ID} | ?2, ?3, ?4, ?5, ?6)`);
    this.putOf = sql(`SELECT id & ${SEQUENCE_MAX} AS sequence FROM record WHERE key = ?1 AND put = 1`);
    this.erase = sql(`DELETE FROM record WHERE id = ${ID} | ?2`);
    this.trim = sql(`DELETE FROM record WHERE key >= ?2 AND key < ?3 AND put = 0 AND id <= ${ID} | ?4`);
    this.drop = sql(`DELETE FROM record WHERE id = ${ID} | ?2 AND put = 0`);
    const note = 'ON CONFLICT (key) DO UPDATE SET sequence = max(sequence, excluded.sequence)';
    this.noteTrim = sql(`INSERT INTO dropped SELECT key, max(id & ${SEQUENCE_MAX}) FROM record
      WHERE key >= ?2 AND key < ?3 AND put = 0 AND id <= ${ID} | ?4 GROUP BY key ${note}`);
    this.noteDrop = sql(`INSERT INTO dropped SELECT key, id & ${SEQUENCE_MAX} FROM record
      WHERE id = ${ID} | ?2 AND put = 0 ${note}`);
    this.countNotes = sql(
      'SELECT count(*) AS count, avg(sequence) AS middle FROM dropped WHERE key >= ?1 AND key < ?2',
    );
    this.coarsen = sql('UPDATE space SET dropped = max(dropped, ?2) WHERE id = ?1');
    this.forgetNotes = sql('DELETE FROM dropped WHERE key >= ?1 AND key < ?2 AND sequence <= ?3');
    this.headOf = sql('SELECT head FROM space WHERE id = ?1');
    this.setHead = sql('UPDATE space SET head = ?2 WHERE id = ?1');
    this.findSpace = sql('SELECT id, head FROM space WHERE name = ?1');
    this.addSpace = sql('INSERT INTO space (name, head) VALUES (?1, 0)');
    this.addBlob = sql('INSERT INTO blob (id, size, bytes) VALUES (?1, ?2, ?3)');
    this.findBlob = sql('SELECT bytes IS NULL AS file FROM blob WHERE id = ?1');
    this.eraseBlob = sql('DELETE FROM blob WHERE id = ?1');
  }

  /** Does one message; `result` is called once for each batch in it, or once. */
  apply(message: ToWriter, result: Result): void {
    switch (message.kind) {
      case 'batches':
        this.applyBatches(Buffer.from(message.buffer), result);
        return;
      case 'open':
        this.open(message.name, result);
        return;
      case 'drop':
        for (const sequence of message.sequences) {
          this.noteDrop.run(message.space, sequence);
          this.drop.run(message.space, sequence);
        }
        this.boundNotes(message.space);
        result(OK, message.sequences.length, 0);
        return;
      case 'blob':
        this.addBlob.run(message.id, message.size, message.bytes);
        result(OK, message.id, 0);
        return;
      case 'unblob':
        this.unblob(message.id, result);
        return;
    }
  }

  /** Writes the heads that moved: the last change before COMMIT. */
  seal(): void {
    for (const space of this.moved) this.setHead.run(space, this.heads.get(space)!);
  }

  /** The transaction has committed. */
  committed(): void {
    this.moved.clear();
  }

  /** The heads that this transaction would have given. */
  movedHeads(): Map<number, number> {
    return new Map([...this.moved].map((space) => [space, this.heads.get(space)!]));
  }

  private open(name: string, result: Result): void {
    let row = this.findSpace.get(name) as { id: number; head: number } | undefined;
    if (row === undefined) row = { id: Number(this.addSpace.run(name).lastInsertRowid), head: 0 };
    // A message earlier in this transaction may have moved the head beyond its row.
    result(OK, row.id, this.heads.get(row.id) ?? row.head);
  }

  private unblob(id: number, result: Result): void {
    const row = this.findBlob.get(id) as { file: number } | undefined;
    if (row !== undefined) this.eraseBlob.run(id);
    result(row === undefined ? MISSING : OK, row?.file ?? 0, 0);
  }

  private head(space: number): number {
    let head = this.heads.get(space);
    if (head === undefined) {
      head = (this.headOf.get(space) as { head: number }).head;
      this.heads.set(space, head);
    }
    return head;
  }

  private applyBatches(bytes: Buffer, result: Result): void {
    let at = 0;
    while (at < bytes.length) {
      const space = bytes.readUInt32BE(at);
      const start = at + CROSSING_HEAD;
      const stop = start + bytes.readUInt32BE(at + 4);
      // Judged before anything is applied, so that a batch that is stale leaves nothing and the group goes on.
      if (this.holds(space, bytes, start, stop)) {
        this.applyBatch(space, bytes.readDoubleBE(at + 8), bytes, start, stop);
        result(OK, this.head(space), 0);
      } else result(STALE, 0, 0);
      at = stop;
    }
  }

  private holds(space: number, bytes: Buffer, start: number, stop: number): boolean {
    let conditions = false;
    walkBatch(bytes, start, stop, (change, condition) => {
      if (condition !== ANY && change !== TRIM) conditions = true;
    });
    if (!conditions) return true;
    let holds = true;
    let sequence = this.head(space);
    const seen = new Map<string, number>();
    walkBatch(bytes, start, stop, (change, condition, keyAt, keyEnd) => {
      if (change === TRIM) return;
      sequence++;
      const name = bytes.toString('latin1', keyAt, keyEnd);
      if (condition !== ANY && holds) {
        const now = seen.get(name) ?? this.sequenceOf(this.keyOf(space, bytes, keyAt, keyEnd));
        if (now !== condition) holds = false;
      }
      if (change !== APPEND) seen.set(name, change === REMOVE ? 0 : sequence);
    });
    return holds;
  }

  private applyBatch(space: number, time: number, bytes: Buffer, start: number, stop: number): void {
    let sequence = this.head(space);
    const before = sequence;
    walkBatch(bytes, start, stop, (change, condition, keyAt, keyEnd, end) => {
      const key = this.keyOf(space, bytes, keyAt, keyEnd);
      if (change === TRIM) {
        const upTo = Math.min(condition, SEQUENCE_MAX);
        const past = pastPrefix(key);
        this.noteTrim.run(space, key, past, upTo);
        this.trim.run(space, key, past, upTo);
        return;
      }
      sequence++;
      if (change !== APPEND) {
        const former = this.sequenceOf(key);
        if (former !== 0) this.erase.run(space, former);
      }
      if (change !== REMOVE)
        this.insert.run(space, sequence, time, change === PUT ? 1 : 0, key, bytes.subarray(keyEnd, end));
    });
    if (sequence === before) return;
    this.heads.set(space, sequence);
    this.moved.add(space);
  }

  /** A million short-lived keys leave no million notes: of the older half, only the space's own figure stays. */
  private boundNotes(space: number): void {
    const prefix = Buffer.alloc(4);
    prefix.writeUInt32BE(space);
    const past = pastPrefix(prefix);
    const { count, middle } = this.countNotes.get(prefix, past) as { count: number; middle: number };
    if (count <= NOTES_MAX) return;
    this.coarsen.run(space, Math.floor(middle));
    this.forgetNotes.run(prefix, past, Math.floor(middle));
  }

  private sequenceOf(key: Uint8Array): number {
    const row = this.putOf.get(key) as { sequence: number } | undefined;
    return row?.sequence ?? 0;
  }

  /** The key as it is stored; valid until the next call, since SQLite copies what is bound. */
  private keyOf(space: number, bytes: Buffer, start: number, end: number): Buffer {
    const size = 4 + end - start;
    if (size > this.key.length) this.key = Buffer.alloc(size * 2);
    this.key.writeUInt32BE(space, 0);
    bytes.copy(this.key, 4, start, end);
    return this.key.subarray(0, size);
  }
}

/** The least bytes above everything that begins with `prefix`; UTF-8 has no byte 255. */
export function pastPrefix(prefix: Uint8Array): Buffer {
  const past = Buffer.alloc(prefix.length + 1, 255);
  past.set(prefix);
  return past;
}
