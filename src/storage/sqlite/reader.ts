// The worker that reads the SQLite store from a connection of its own: one slice of at most 5 ms a question, so that many
// readings share it. It keeps nothing between questions.
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { parentPort, workerData } from 'node:worker_threads';
import { pastPrefix } from './applying.ts';
import {
  type Answers,
  type Ask,
  type FromReader,
  RECORD_HEAD,
  type Slice,
  type ToReader,
  type WorkerStart,
} from './messages.ts';
import { isCorrupt, openToRead, SEQUENCE_BITS, SEQUENCE_MAX } from './schema.ts';
import { Sweeper, storedKey } from './sweeping.ts';

const SLICE_MS = 5;
const SLICE_BYTES = 262_144;
const SLICE_RECORDS = 2_048;

/** Up to this many records below a prefix are found by the index of keys; more are picked out in passing. */
const FEW = 4_096;

/** How many sequences one statement passes over: some milliseconds. */
const WINDOW = 16_384;

interface Row {
  readonly sequence: number;
  readonly time: number;
  readonly key: Uint8Array;
  readonly bytes: Uint8Array;
}

const ID = `(?1 << ${SEQUENCE_BITS})`;
const COLUMNS = `id & ${SEQUENCE_MAX} AS sequence, time, key, bytes`;

class Reader {
  private readonly sweeper: Sweeper;
  private readonly lastOf: StatementSync;
  private readonly few: StatementSync;
  private readonly one: StatementSync;
  private readonly passing: StatementSync;
  private readonly firstAbove: StatementSync;
  private readonly ofKey: StatementSync;
  private readonly droppedOf: StatementSync;
  private readonly blobOf: StatementSync;
  private readonly sizeOf: StatementSync;
  private readonly blobsAfter: StatementSync;

  constructor(database: DatabaseSync) {
    const sql = (text: string) => database.prepare(text);
    this.sweeper = new Sweeper(database);
    this.lastOf = sql(`SELECT ${COLUMNS} FROM record WHERE key = ?1 ORDER BY put DESC, id DESC LIMIT 1`);
    this.few = sql(`SELECT id & ${SEQUENCE_MAX} AS sequence FROM record WHERE key >= ?1 AND key < ?2 LIMIT ${FEW + 1}`);
    this.one = sql(`SELECT ${COLUMNS} FROM record WHERE id = ${ID} | ?2`);
    // The unary plus keeps SQLite from the index of keys, which would sort.
    this.passing = sql(`SELECT ${COLUMNS} FROM record
      WHERE id > ${ID} | ?2 AND id <= ${ID} | ?3 AND +key >= ?4 AND +key < ?5 ORDER BY id`);
    this.firstAbove = sql(`SELECT min(id) & ${SEQUENCE_MAX} AS sequence FROM record
      WHERE id > ${ID} | ?2 AND id <= ${ID} | ?3`);
    const half = (put: 0 | 1) =>
      `SELECT * FROM (SELECT id AS place, ${COLUMNS} FROM record
       WHERE key = ?4 AND put = ${put} AND id > ${ID} | ?2 AND id <= ${ID} | ?3 ORDER BY id LIMIT ${SLICE_RECORDS})`;
    this.ofKey = sql(`SELECT sequence, time, key, bytes FROM (${half(0)} UNION ALL ${half(1)}) ORDER BY place`);
    this.droppedOf = sql(`SELECT max(ifnull((SELECT max(sequence) FROM dropped WHERE key BETWEEN ?1 AND ?2), 0),
      (SELECT dropped FROM space WHERE id = ?3)) AS sequence`);
    this.blobOf = sql('SELECT size, bytes FROM blob WHERE id = ?1');
    this.sizeOf = sql('SELECT size, NULL AS bytes FROM blob WHERE id = ?1');
    this.blobsAfter = sql('SELECT id FROM blob WHERE id > ?1 ORDER BY id LIMIT 1000');
  }

  answer(ask: Ask): Answers[keyof Answers] {
    switch (ask.kind) {
      case 'last': {
        const records = new Records();
        let at = 0;
        while (at < ask.keys.length && !records.full) {
          const row = this.lastOf.get(storedKey(ask.space, ask.keys[at++]!)) as Row | undefined;
          if (row !== undefined) records.add(row);
        }
        return records.slice(at, at === ask.keys.length);
      }
      case 'scan':
        return this.scan(ask, storedKey(ask.space, ask.text));
      case 'sweep':
        return this.sweeper.slice(ask, performance.now() + SLICE_MS);
      case 'dropped': {
        const key = storedKey(ask.space, ask.text);
        const past = ask.whole ? key : pastPrefix(key);
        return (this.droppedOf.get(key, past, ask.space) as { sequence: number }).sequence;
      }
      case 'blob':
        return (this.findBlob(ask.id, ask.whole) as Answers['blob'] | undefined) ?? null;
      case 'blobs':
        return (this.blobsAfter.all(ask.after) as { id: number }[]).map(({ id }) => id);
    }
  }

  private findBlob(id: number, whole: boolean): unknown {
    return (whole ? this.blobOf : this.sizeOf).get(id);
  }

  private scan(ask: Extract<Ask, { kind: 'scan' }>, key: Buffer): Slice {
    const upTo = Math.min(ask.upTo, SEQUENCE_MAX);
    if (ask.whole) {
      const rows = this.ofKey.iterate(ask.space, ask.after, upTo, key);
      return this.fill(rows as Iterable<unknown> as Iterable<Row>, upTo, SLICE_RECORDS);
    }
    const past = pastPrefix(key);
    if (key.length > 4) {
      const found = this.few.all(key, past) as { sequence: number }[];
      if (found.length <= FEW) return this.fill(this.pick(ask, found, upTo), upTo, Number.POSITIVE_INFINITY);
    }
    return this.pass(ask, key, past, upTo);
  }

  private *pick(ask: { space: number; after: number }, found: { sequence: number }[], upTo: number): Iterable<Row> {
    const sequences = found.map(({ sequence }) => sequence).filter((at) => at > ask.after && at <= upTo);
    for (const sequence of sequences.sort((one, other) => one - other)) {
      // Nothing is a statement of its own here, so a record may have gone since.
      const row = this.one.get(ask.space, sequence) as Row | undefined;
      if (row !== undefined) yield row;
    }
  }

  /** Goes through the space by sequence, window by window, since a prefix may be nowhere for long. */
  private pass(ask: { space: number; after: number }, key: Buffer, past: Buffer, upTo: number): Slice {
    const until = performance.now() + SLICE_MS;
    const records = new Records();
    let { after } = ask;
    do {
      const { sequence } = this.firstAbove.get(ask.space, after, upTo) as { sequence: number | null };
      if (sequence === null) return records.slice(upTo, true);
      const high = Math.min(upTo, sequence + WINDOW);
      for (const found of this.passing.iterate(ask.space, after, high, key, past)) {
        const row = found as unknown as Row;
        records.add(row);
        if (records.full) return records.slice(row.sequence, false);
      }
      after = high;
    } while (after < upTo && performance.now() < until);
    return records.slice(after, after >= upTo);
  }

  /** Takes rows until the slice is full; `rowsMost` rows mean that there may be more. */
  private fill(rows: Iterable<Row>, upTo: number, rowsMost: number): Slice {
    const until = performance.now() + SLICE_MS;
    const records = new Records();
    let seen = 0;
    for (const row of rows) {
      records.add(row);
      if (++seen >= rowsMost || records.full || ((seen & 63) === 0 && performance.now() > until))
        return records.slice(row.sequence, false);
    }
    return records.slice(upTo, true);
  }
}

/** A slice being filled. */
class Records {
  private bytes = Buffer.allocUnsafeSlow(4_096);
  private length = 0;
  private count = 0;

  get full(): boolean {
    return this.length >= SLICE_BYTES || this.count >= SLICE_RECORDS;
  }

  add(row: Row): void {
    const keySize = row.key.length - 4;
    const end = this.length + RECORD_HEAD + keySize + row.bytes.length;
    if (end > this.bytes.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(end, this.bytes.length * 2));
      this.bytes.copy(grown, 0, 0, this.length);
      this.bytes = grown;
    }
    const { bytes, length: at } = this;
    bytes.writeDoubleBE(row.sequence, at);
    bytes.writeDoubleBE(row.time, at + 8);
    bytes.writeUInt32BE(keySize, at + 16);
    bytes.writeUInt32BE(row.bytes.length, at + 20);
    bytes.set(row.key.subarray(4), at + RECORD_HEAD);
    bytes.set(row.bytes, at + RECORD_HEAD + keySize);
    this.length = end;
    this.count++;
  }

  slice(at: number, done: boolean): Slice {
    // Whoever keeps a record keeps the slice: without the slack.
    const buffer = this.bytes.buffer as ArrayBuffer;
    return { records: new Uint8Array(buffer.slice(0, this.length)), at, done };
  }
}

function begin(): void {
  const port = parentPort;
  if (port === null) throw new Error('the reader runs in a worker');
  const database = openToRead((workerData as WorkerStart).folder);
  const reader = new Reader(database);
  port.postMessage({ ready: true } satisfies FromReader);
  port.on('message', (message: ToReader) => {
    if ('close' in message) {
      database.close();
      port.postMessage({ closed: true } satisfies FromReader);
      port.close();
      return;
    }
    const { token, ask } = message;
    try {
      const answer = reader.answer(ask);
      const moved = typeof answer === 'object' && answer !== null && 'records' in answer ? [answer.records.buffer] : [];
      port.postMessage({ token, answer } satisfies FromReader, moved);
    } catch (error) {
      port.postMessage({ token, why: String(error), corrupt: isCorrupt(error) } satisfies FromReader);
    }
  });
}

begin();
