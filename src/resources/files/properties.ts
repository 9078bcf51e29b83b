// What protocols keep with files: a record for each path that has something.
import { FULL, type Outcome } from '../../core/outcome.ts';
import { Batch } from '../../storage/batch.ts';
import type { Entry, Space } from '../../storage/engine.ts';
import type { Properties } from './contract.ts';
import { FILE_LIMITS } from './limits.ts';

/** Records that one batch moves. */
const AT_ONCE = 500;

export class KeptProperties {
  private readonly space: Space;
  private readonly wall: () => number;

  constructor(space: Space, wall: () => number) {
    this.space = space;
    this.wall = wall;
  }

  async of(path: string): Promise<Properties> {
    const entry = await this.space.last(keyOf(path));
    return entry === null ? {} : read(entry);
  }

  async set(path: string, changes: Readonly<Record<string, string | null>>): Promise<Outcome> {
    const now: Record<string, string> = { ...(await this.of(path)) };
    for (const [name, value] of Object.entries(changes)) {
      if (value === null) delete now[name];
      else now[name] = value;
    }
    const bytes = Buffer.from(JSON.stringify(now));
    if (bytes.length > FILE_LIMITS.propertiesBytesMax) return FULL;
    const batch = new Batch(this.wall());
    if (Object.keys(now).length === 0) batch.remove(keyOf(path));
    else batch.put(keyOf(path), bytes, 0, bytes.length);
    return this.commit(batch);
  }

  /** All at and below a path goes, or goes with it to another. */
  async forget(path: string): Promise<void> {
    await this.each(path, (batch, entry) => batch.remove(entry.key));
  }

  async moved(from: string, to: string): Promise<void> {
    await this.each(from, (batch, entry) => {
      batch.remove(entry.key);
      batch.put(keyOf(to) + entry.key.slice(keyOf(from).length), entry.bytes, 0, entry.bytes.length);
    });
  }

  /** Of one path. */
  async copied(from: string, to: string): Promise<void> {
    const properties = await this.of(from);
    if (Object.keys(properties).length > 0) await this.set(to, properties);
    else await this.forget(to);
  }

  private async each(path: string, change: (batch: Batch, entry: Entry) => void): Promise<void> {
    const own = await this.space.last(keyOf(path));
    const found: Entry[] = own === null ? [] : [own];
    await this.space.scan(`${keyOf(path)}/`, 0, (entry) => {
      found.push(entry);
      return true;
    });
    for (let at = 0; at < found.length; at += AT_ONCE) {
      const batch = new Batch(this.wall());
      for (const entry of found.slice(at, at + AT_ONCE)) change(batch, entry);
      await this.commit(batch);
    }
  }

  private commit(batch: Batch): Promise<Outcome> {
    return new Promise((resolve) => {
      this.space.commit(batch, { settled: (_token, outcome) => resolve(outcome) }, 0);
    });
  }
}

function keyOf(path: string): string {
  return `p/${path}`;
}

function read({ bytes }: Entry): Properties {
  const value: unknown = JSON.parse(Buffer.from(bytes).toString());
  return typeof value === 'object' && value !== null ? (value as Properties) : {};
}
