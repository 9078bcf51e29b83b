// What a space no longer keeps: found by the worker that reads, in slices, and dropped by the one that writes. Only
// appended records are found; what was put stays.
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import { pastPrefix } from './applying.ts';
import type { Ask, SweepPlace, SweepSlice } from './messages.ts';
import { SEQUENCE_BITS, SEQUENCE_MAX } from './schema.ts';

/** A slice drops at most this many, so that the commits beside it do not wait long. */
const DROPS_MOST = 1_000;

/** How many sequences one statement looks at: some milliseconds. */
const WINDOW = 16_384;

type Sweep = Extract<Ask, { kind: 'sweep' }>;

export function storedKey(space: number, key: string): Buffer {
  const stored = Buffer.allocUnsafe(4 + Buffer.byteLength(key));
  stored.writeUInt32BE(space, 0);
  stored.write(key, 4);
  return stored;
}

export class Sweeper {
  private readonly database: DatabaseSync;
  private readonly firstKey: StatementSync;
  private readonly nextKey: StatementSync;
  private readonly boundary: StatementSync;
  private readonly upTo: StatementSync;
  /** The statements of a keep, by their text: a space has few, and they are the same each time. */
  private readonly prepared = new Map<string, StatementSync>();

  constructor(database: DatabaseSync) {
    this.database = database;
    this.firstKey = database.prepare('SELECT key FROM record WHERE key >= ?1 AND key < ?2 ORDER BY key LIMIT 1');
    this.nextKey = database.prepare('SELECT key FROM record WHERE key > ?1 AND key < ?2 ORDER BY key LIMIT 1');
    this.boundary = database.prepare(
      `SELECT id & ${SEQUENCE_MAX} AS sequence FROM record
       WHERE key = ?1 AND put = 0 ORDER BY id DESC LIMIT 1 OFFSET ?2`,
    );
    this.upTo = database.prepare(
      `SELECT id & ${SEQUENCE_MAX} AS sequence FROM record
       WHERE key = ?1 AND put = 0 AND id <= (?2 << ${SEQUENCE_BITS}) | ?3 ORDER BY id LIMIT ?4`,
    );
  }

  /** Goes on at the sweep's place until there are enough drops or the time is up. */
  slice(sweep: Sweep, until: number): SweepSlice {
    const drops: number[] = [];
    let place: SweepPlace | null = sweep.place ?? placeOf(sweep, 0);
    while (place !== null && drops.length < DROPS_MOST && performance.now() < until) {
      if (place.phase === 'last') place = this.byCount(sweep, place, drops);
      else if (place.phase === 'bytes') place = this.byBytes(sweep, place);
      else place = this.byPassing(sweep, place, drops);
    }
    return { sequences: new Float64Array(drops), place };
  }

  /** One key: all but its last n. */
  private byCount(sweep: Sweep, place: SweepPlace, drops: number[]): SweepPlace | null {
    const keep = sweep.keeps[place.keep]!;
    const prefix = storedKey(sweep.space, keep.prefix);
    const past = pastPrefix(prefix);
    const found = place.key === null ? this.firstKey.get(prefix, past) : this.nextKey.get(place.key, past);
    const row = found as { key: Uint8Array } | undefined;
    if (row === undefined) return afterLast(sweep, place);
    if (keepOf(sweep, row.key) !== place.keep) return { ...place, key: row.key };
    const edge = this.boundary.get(row.key, keep.last) as { sequence: number } | undefined;
    if (edge === undefined) return { ...place, key: row.key };
    const most = DROPS_MOST - drops.length;
    const gone = this.upTo.all(row.key, sweep.space, edge.sequence, most) as { sequence: number }[];
    for (const { sequence } of gone) drops.push(sequence);
    // A key with more than one slice of drops is come back to once these are gone.
    return gone.length < most ? { ...place, key: row.key } : place;
  }

  /** One window downwards: how far the bytes that are kept reach. */
  private byBytes(sweep: Sweep, place: SweepPlace): SweepPlace | null {
    const keep = sweep.keeps[place.keep]!;
    const { text, values } = below(sweep, place.keep);
    const low = Math.max(0, place.at - WINDOW);
    const window = [sweep.space, low, place.at, ...values];
    const sum = this.get(`SELECT coalesce(sum(length(bytes)), 0) AS size FROM record WHERE ${text}`, window) as {
      size: number;
    };
    if (place.total + sum.size <= keep.bytes) {
      const next = this.newest(sweep.space, low);
      return next === 0 ? nextKeep(sweep, place) : { ...place, at: next, total: place.total + sum.size };
    }
    let { total } = place;
    const rows = this.all(
      `SELECT id & ${SEQUENCE_MAX} AS sequence, length(bytes) AS size FROM record WHERE ${text} ORDER BY id DESC`,
      window,
    ) as { sequence: number; size: number }[];
    for (const { sequence, size } of rows)
      if ((total += size) > keep.bytes) return { ...place, phase: 'older', at: 0, total: sequence };
    return nextKeep(sweep, place);
  }

  /** One window upwards: what is older than the keep's age, or, in the phase `older`, than the sequence `total`. */
  private byPassing(sweep: Sweep, place: SweepPlace, drops: number[]): SweepPlace | null {
    const aged = place.phase === 'age';
    const first = this.oldest(sweep.space, place.at);
    if (first === 0 || (!aged && first > place.total)) return aged ? afterAge(sweep, place) : nextKeep(sweep, place);
    const { text, values } = below(sweep, place.keep);
    const high = aged ? first + WINDOW : Math.min(place.total, first + WINDOW);
    const most = DROPS_MOST - drops.length;
    const cutoff = aged ? sweep.wall - sweep.keeps[place.keep]!.ageMs : Number.MAX_SAFE_INTEGER;
    const gone = this.all(
      `SELECT id & ${SEQUENCE_MAX} AS sequence FROM record WHERE ${text} AND time < ? ORDER BY id LIMIT ?`,
      [sweep.space, first - 1, high, ...values, cutoff, most],
    ) as { sequence: number }[];
    for (const { sequence } of gone) drops.push(sequence);
    return { ...place, at: gone.length < most ? high : gone.at(-1)!.sequence };
  }

  private oldest(space: number, above: number): number {
    return this.edge('SELECT min(id)', space, above, SEQUENCE_MAX);
  }

  private newest(space: number, upTo: number): number {
    return this.edge('SELECT max(id)', space, 0, upTo);
  }

  private edge(select: string, space: number, above: number, upTo: number): number {
    const row = this.get(
      `SELECT (${select} FROM record WHERE id > (?1 << ${SEQUENCE_BITS}) | ?2 AND id <= (?1 << ${SEQUENCE_BITS}) | ?3)
       & ${SEQUENCE_MAX} AS sequence`,
      [space, above, upTo],
    ) as { sequence: number | null };
    return row.sequence ?? 0;
  }

  private get(text: string, values: readonly SQLInputValue[]): unknown {
    return this.statement(text).get(...values);
  }

  private all(text: string, values: readonly SQLInputValue[]): unknown {
    return this.statement(text).all(...values);
  }

  private statement(text: string): StatementSync {
    let statement = this.prepared.get(text);
    if (statement === undefined) {
      statement = this.database.prepare(text);
      this.prepared.set(text, statement);
    }
    return statement;
  }
}

/** Where the sweep begins with the keep at `index`; null past the last. */
function placeOf(sweep: Sweep, index: number): SweepPlace | null {
  if (index >= sweep.keeps.length) return null;
  const place: SweepPlace = { keep: index, phase: 'last', key: null, at: 0, total: 0 };
  return sweep.keeps[index]!.last === Number.POSITIVE_INFINITY ? afterLast(sweep, place) : place;
}

function afterLast(sweep: Sweep, place: SweepPlace): SweepPlace | null {
  if (sweep.keeps[place.keep]!.ageMs === Number.POSITIVE_INFINITY) return afterAge(sweep, place);
  return { ...place, phase: 'age', key: null, at: 0 };
}

function afterAge(sweep: Sweep, place: SweepPlace): SweepPlace | null {
  if (sweep.keeps[place.keep]!.bytes === Number.POSITIVE_INFINITY) return nextKeep(sweep, place);
  return { ...place, phase: 'bytes', key: null, at: SEQUENCE_MAX, total: 0 };
}

function nextKeep(sweep: Sweep, place: SweepPlace): SweepPlace | null {
  return placeOf(sweep, place.keep + 1);
}

/** The keep that counts for a stored key: the first that fits. */
function keepOf(sweep: Sweep, key: Uint8Array): number {
  return sweep.keeps.findIndex(({ prefix }) => {
    const stored = storedKey(sweep.space, prefix);
    return key.length >= stored.length && stored.compare(key, 0, stored.length) === 0;
  });
}

/** Appended records in a window that are this keep's: below its prefix and below no earlier one. */
function below(sweep: Sweep, index: number): { text: string; values: SQLInputValue[] } {
  const terms = [
    `id > (?1 << ${SEQUENCE_BITS}) | ?2 AND id <= (?1 << ${SEQUENCE_BITS}) | ?3 AND put = 0 AND +key >= ? AND +key < ?`,
  ];
  const prefix = storedKey(sweep.space, sweep.keeps[index]!.prefix);
  const values: SQLInputValue[] = [prefix, pastPrefix(prefix)];
  for (const earlier of sweep.keeps.slice(0, index)) {
    const other = storedKey(sweep.space, earlier.prefix);
    terms.push('NOT (+key >= ? AND +key < ?)');
    values.push(other, pastPrefix(other));
  }
  return { text: terms.join(' AND '), values };
}
