// A program that keeps a store busy and writes down what was acknowledged, to be ended at any point; and the check of what
// it left. Run as: workload.ts <folder> <seed> <first number> <how many batches>.
import { mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { OK } from '../../src/core/outcome.ts';
import { Random } from '../../src/sim/random.ts';
import { Batch } from '../../src/storage/batch.ts';
import type { Engine, Space } from '../../src/storage/engine.ts';
import { SqliteEngine } from '../../src/storage/sqlite/engine.ts';
import { ACKNOWLEDGED } from './power-loss.ts';

const KEEPS = [{ prefix: '', last: Infinity, ageMs: Infinity, bytes: Infinity }];
const LANES = 8;

/** Small, so that checkpoints are in a short run too. */
const CHECKPOINT_PAGES = 64;

function commit(space: Space, batch: Batch): Promise<number> {
  return new Promise((resolve, reject) => {
    space.commit(
      batch,
      {
        settled: (_token, outcome, value) =>
          outcome === OK ? resolve(value) : reject(new Error(`a commit settled with ${outcome}`)),
      },
      0,
    );
  });
}

export async function writeBlob(engine: Engine, bytes: Buffer): Promise<number> {
  const writer = engine.blobs.writer();
  for (let at = 0; at < bytes.length; ) {
    const taken = writer.write(bytes, at, bytes.length);
    at += taken;
    if (taken === 0)
      await new Promise<void>((resolve) => {
        writer.onRoom = resolve;
      });
  }
  return new Promise((resolve, reject) => {
    writer.commit(
      {
        settled: (_token, outcome, value) =>
          outcome === OK ? resolve(value) : reject(new Error(`a blob settled with ${outcome}`)),
      },
      0,
    );
  });
}

export function readBlob(engine: Engine, id: number): Promise<Buffer | null> {
  return new Promise((resolve) => {
    const parts: Buffer[] = [];
    engine.blobs.read(id, 0, Infinity, {
      room: Infinity,
      bytes: (data, start, end) => void parts.push(Buffer.from(data.subarray(start, end))),
      end: (outcome) => resolve(outcome === OK ? Buffer.concat(parts) : null),
    });
  });
}

function blobBytes(size: number, number: number): Buffer {
  return Buffer.alloc(size, `${number};`);
}

class Run {
  private readonly folder: string;
  private readonly chances;
  private readonly file: number;
  private readonly last: number;
  private next: number;

  constructor(folder: string, seed: number, first: number, count: number) {
    this.folder = folder;
    this.chances = new Random(seed);
    this.next = first;
    this.last = first + count;
    mkdirSync(folder, { recursive: true });
    this.file = openSync(join(folder, ACKNOWLEDGED), 'a');
  }

  /** Half of the work, closing and opening again, and the other half. */
  async all(): Promise<void> {
    const middle = (this.next + this.last) >>> 1;
    for (const end of [middle, this.last]) {
      const engine = await SqliteEngine.open(join(this.folder, 'data'), { checkpointPages: CHECKPOINT_PAGES });
      const log = await engine.space('log', KEEPS);
      const table = await engine.space('table', KEEPS);
      await Promise.all(Array.from({ length: LANES }, () => this.lane(engine, log, table, end)));
      await engine.close();
    }
  }

  private async lane(engine: Engine, log: Space, table: Space, end: number): Promise<void> {
    while (this.next < end) {
      const number = this.next++;
      const kind = this.chances.below(10);
      if (kind < 6) this.say('l', number, await commit(log, this.logBatch(number)));
      else if (kind < 9) this.say('t', number, await commit(table, tableBatch(number)));
      else await this.blob(engine, number);
    }
  }

  private async blob(engine: Engine, number: number): Promise<void> {
    const size = [100, 5_000, 70_000, 150_000][this.chances.below(4)]!;
    const id = await writeBlob(engine, blobBytes(size, number));
    this.say('b', id, size, number);
    if (this.chances.below(3) > 0) return;
    this.say('d', id);
    await engine.blobs.remove(id);
    this.say('r', id);
  }

  private logBatch(number: number): Batch {
    const batch = new Batch(number);
    const count = 1 + this.chances.below(20);
    for (let index = 0; index < count; index++) {
      const size = this.chances.below(20) === 0 ? 20_000 : this.chances.below(300);
      const bytes = Buffer.from(`${number} ${index} ${count} ${'.'.repeat(size)}`);
      batch.append(`l/${number % 5}`, bytes, 0, bytes.length);
    }
    return batch;
  }

  private say(...words: (string | number)[]): void {
    writeSync(this.file, `${words.join(' ')}\n`);
  }
}

function tableBatch(number: number): Batch {
  const batch = new Batch(number);
  const bytes = Buffer.from(String(number));
  batch.put('t/v', bytes, 0, bytes.length);
  if (number % 5 === 0) batch.remove('t/x');
  else batch.put('t/x', bytes, 0, bytes.length);
  return batch;
}

/** Opens what a run left and compares it with what it acknowledged. Answers what is wrong, a line each. */
export async function wrongIn(folder: string, acknowledged: readonly string[]): Promise<string[]> {
  const wrong: string[] = [];
  const engine = await SqliteEngine.open(join(folder, 'data'), { onFatal: (error) => wrong.push(String(error)) });
  try {
    await checkLog(engine, acknowledged, wrong);
    await checkTable(engine, acknowledged, wrong);
    await checkBlobs(engine, acknowledged, wrong);
  } catch (error) {
    wrong.push(String(error));
  } finally {
    await engine.close();
  }
  return wrong;
}

function numbersOf(acknowledged: readonly string[], kind: string): number[][] {
  return acknowledged.filter((line) => line.startsWith(`${kind} `)).map((line) => line.slice(2).split(' ').map(Number));
}

async function checkLog(engine: Engine, acknowledged: readonly string[], wrong: string[]): Promise<void> {
  const space = await engine.space('log', KEEPS);
  const ends = new Map<number, number>();
  let before = 0;
  await space.scan('', 0, ({ sequence, bytes, time }) => {
    const [number, index, count] = Buffer.from(bytes).toString('latin1').split(' ').map(Number);
    if (sequence !== before + 1) wrong.push(`the log goes from ${before} to ${sequence}`);
    if (index !== 0 && ends.get(number!) !== -index!) wrong.push(`batch ${number} is not whole at ${index}`);
    if (time !== number) wrong.push(`batch ${number} has the time ${time}`);
    ends.set(number!, index! + 1 === count ? sequence : -index! - 1);
    before = sequence;
    return true;
  });
  if (before !== space.head) wrong.push(`the head is ${space.head}, the last record ${before}`);
  for (const [number, end] of ends) if (end < 0) wrong.push(`batch ${number} ends early`);
  for (const [number, sequence] of numbersOf(acknowledged, 'l'))
    if (ends.get(number!) !== sequence) wrong.push(`batch ${number}, acknowledged at ${sequence}, is not there`);
  const next = await commit(
    space,
    (() => {
      const batch = new Batch(-1);
      const bytes = Buffer.from('-1 0 1 ');
      batch.append('l/after', bytes, 0, bytes.length);
      return batch;
    })(),
  );
  if (next !== before + 1) wrong.push(`after ${before} the next record was ${next}`);
}

async function checkTable(engine: Engine, acknowledged: readonly string[], wrong: string[]): Promise<void> {
  const space = await engine.space('table', KEEPS);
  const version = await space.last('t/v');
  const other = await space.last('t/x');
  const said = numbersOf(acknowledged, 't');
  const sequence = Math.max(0, ...said.map(([, at]) => at!));
  if (space.head < sequence) wrong.push(`the table is at ${space.head}, acknowledged was ${sequence}`);
  if (version === null) {
    if (sequence > 0) wrong.push('the table is empty');
    return;
  }
  const number = Number(Buffer.from(version.bytes).toString());
  if (space.head !== version.sequence + 1)
    wrong.push(`the table's head is ${space.head} and not behind its last batch`);
  if (number % 5 === 0 ? other !== null : Buffer.from(other?.bytes ?? []).toString() !== String(number))
    wrong.push(`the table's batch ${number} is not whole`);
}

async function checkBlobs(engine: Engine, acknowledged: readonly string[], wrong: string[]): Promise<void> {
  const doomed = new Set(numbersOf(acknowledged, 'd').map(([id]) => id!));
  const removed = new Set(numbersOf(acknowledged, 'r').map(([id]) => id!));
  for (const [id, size, number] of numbersOf(acknowledged, 'b')) {
    const bytes = await readBlob(engine, id!);
    if (removed.has(id!)) {
      if (bytes !== null) wrong.push(`blob ${id} was removed and is there`);
    } else if (bytes === null) {
      if (!doomed.has(id!)) wrong.push(`blob ${id} is not there`);
    } else if (!bytes.equals(blobBytes(size!, number!))) wrong.push(`blob ${id} has other bytes`);
  }
}

if (import.meta.main) {
  const [folder, seed, first, count] = process.argv.slice(2);
  await new Run(folder!, Number(seed), Number(first), Number(count)).all();
}
