// The durable engine: SQLite behind two workers, one that writes and one that reads. This file gathers the batches of a
// turn, bounds what is on its way, and settles in order; it does not know the tables.
import { mkdir } from 'node:fs/promises';
import { resolve as absolute } from 'node:path';
import { giveBack } from '../../bytes/pool.ts';
import { BUSY, GONE, OK, type Outcome, type Waiter } from '../../core/outcome.ts';
import type { Batch } from '../batch.ts';
import type { Engine, Keep, Space } from '../engine.ts';
import { SqliteBlobs } from './blobs.ts';
import { guarded } from './guarded.ts';
import { type Answers, type Ask, CROSSING_HEAD, type WriterFaults } from './messages.ts';
import { type SpaceHost, SqliteSpace } from './space.ts';
import { ReaderWorker, settled, type Waiting, WriterWorker } from './workers.ts';

export interface SqliteOptions {
  /** Bytes of batches that are on their way to the disk; past it the answer is BUSY. One batch alone always may. */
  readonly bytesMax?: number;
  /** Pages of 4 KiB in the write-ahead log past which they are copied into the database. */
  readonly checkpointPages?: number;
  /**
   * The store is corrupt, or a worker ended by itself: nothing more can be stored, and the process should end. Without it
   * the error is thrown as uncaught.
   */
  readonly onFatal?: (error: Error) => void;
}

/** 16 MiB. */
const CHECKPOINT_PAGES = 4_096;

const BYTES_MAX = 64 * 1_048_576;

/** A batch on its way, with its bytes until the followers have had them. */
class Sent implements Waiting {
  readonly space: SqliteSpace;
  readonly bytes: Buffer;
  readonly time: number;
  private readonly storage: Buffer;
  private readonly records: number;
  private readonly waiter: Waiter;
  private readonly token: number;
  private readonly left: (size: number) => void;

  constructor(space: SqliteSpace, batch: Batch, waiter: Waiter, token: number, left: (size: number) => void) {
    this.space = space;
    this.records = batch.records;
    this.time = batch.time;
    this.bytes = batch.finish();
    // A batch lies at the start of storage that it owns whole.
    this.storage = Buffer.from(this.bytes.buffer, 0, this.bytes.buffer.byteLength);
    this.waiter = waiter;
    this.token = token;
    this.left = left;
  }

  settle(outcome: Outcome, value: number): void {
    this.left(this.bytes.length);
    let kept = false;
    if (outcome === OK) {
      const { space, bytes, storage, records, time } = this;
      guarded(() => {
        kept = true;
        kept = space.committed(bytes, storage, records, time, value);
      });
    }
    if (!kept) giveBack(this.storage);
    this.waiter.settled(this.token, outcome, outcome === OK ? value : 0);
  }
}

export class SqliteEngine implements Engine, SpaceHost {
  readonly name = 'sqlite';
  readonly durable = true;
  readonly blobs: SqliteBlobs;
  private readonly writer: WriterWorker;
  private readonly reader: ReaderWorker;
  private readonly bytesMax: number;
  private readonly names = new Set<string>();
  private waiting: Sent[] = [];
  private bytesSent = 0;
  private scheduled = false;
  private closing: Promise<void> | null = null;

  private constructor(folder: string, writer: WriterWorker, reader: ReaderWorker, bytesMax: number) {
    this.writer = writer;
    this.reader = reader;
    this.bytesMax = bytesMax;
    this.blobs = new SqliteBlobs(folder, writer, reader);
  }

  /**
   * Opens the store in a folder, which is made when it is new. Rejects when another process has it, naming that, when a
   * newer version wrote it, and when it cannot be read.
   */
  static async open(folder: string, options: SqliteOptions = {}): Promise<SqliteEngine> {
    const path = absolute(folder);
    await mkdir(path, { recursive: true, mode: 0o700 });
    let surfaced = false;
    const onFatal = (error: Error) => {
      if (surfaced) return;
      surfaced = true;
      guarded(() => {
        if (options.onFatal === undefined) throw error;
        options.onFatal(error);
      });
    };
    const start = { folder: path, checkpointPages: options.checkpointPages ?? CHECKPOINT_PAGES };
    const writer = await WriterWorker.open(start, onFatal);
    const reader = await ReaderWorker.open(start, onFatal).catch(async (error: unknown) => {
      await writer.close();
      throw error;
    });
    return new SqliteEngine(path, writer, reader, options.bytesMax ?? BYTES_MAX);
  }

  async space(name: string, keeps: readonly Keep[]): Promise<Space> {
    if (this.closing !== null) throw new Error('the store is closed');
    if (this.names.has(name)) throw new Error(`the space ${name} is open already`);
    this.names.add(name);
    const { outcome, value, second } = await settled((waiting) => {
      this.writer.send({ kind: 'open', name }, [], [waiting]);
    });
    if (outcome === OK) return new SqliteSpace(this, name, value, second, keeps);
    this.names.delete(name);
    throw new Error(`the space ${name} could not be opened (outcome ${outcome})`);
  }

  commit(space: SqliteSpace, batch: Batch, waiter: Waiter, token: number): void {
    const { size } = batch;
    if (this.closing !== null) refuse(waiter, token, GONE);
    else if (this.bytesSent > 0 && this.bytesSent + size > this.bytesMax) refuse(waiter, token, BUSY);
    else {
      this.bytesSent += size;
      this.waiting.push(new Sent(space, batch, waiter, token, this.left));
      if (this.scheduled) return;
      this.scheduled = true;
      setImmediate(() => this.cross());
    }
  }

  ask<Kind extends Ask['kind']>(ask: Extract<Ask, { kind: Kind }>): Promise<Answers[Kind]> {
    return this.reader.ask(ask);
  }

  async drop(space: number, sequences: Float64Array): Promise<Outcome> {
    if (this.closing !== null) return GONE;
    const { outcome } = await settled((waiting) => {
      this.writer.send({ kind: 'drop', space, sequences }, [], [waiting]);
    });
    return outcome;
  }

  /** What a test does to the worker that writes. */
  inject(faults: WriterFaults): void {
    this.writer.send({ kind: 'faults', faults }, [], []);
  }

  close(): Promise<void> {
    this.closing ??= this.finish();
    return this.closing;
  }

  private async finish(): Promise<void> {
    this.cross();
    await this.blobs.close();
    await this.reader.close();
    await this.writer.close();
  }

  private readonly left = (size: number): void => {
    this.bytesSent -= size;
  };

  /** Sends the batches of this turn as one buffer, made for it alone and given away. */
  private cross(): void {
    this.scheduled = false;
    const { waiting } = this;
    if (waiting.length === 0) return;
    this.waiting = [];
    let size = 0;
    for (const { bytes } of waiting) size += CROSSING_HEAD + bytes.length;
    const crossing = Buffer.from(new ArrayBuffer(size));
    let at = 0;
    for (const { space, bytes, time } of waiting) {
      crossing.writeUInt32BE(space.id, at);
      crossing.writeUInt32BE(bytes.length, at + 4);
      crossing.writeDoubleBE(time, at + 8);
      crossing.set(bytes, at + CROSSING_HEAD);
      at += CROSSING_HEAD + bytes.length;
    }
    this.writer.send({ kind: 'batches', buffer: crossing.buffer }, [crossing.buffer], waiting);
  }
}

/** In a later step, as every settlement. */
function refuse(waiter: Waiter, token: number, outcome: Outcome): void {
  setImmediate(() => guarded(() => waiter.settled(token, outcome, 0)));
}
