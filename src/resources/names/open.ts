// Opens the names of a server: reads each zone from the store or its file, and looks at the files again when asked to.
import { createHash } from 'node:crypto';
import { readFileSync, realpathSync } from 'node:fs';
import { dirname, join, sep } from 'node:path';
import { OK, type Outcome, type Waiter } from '../../core/outcome.ts';
import type { Permissions } from '../../core/permissions.ts';
import { TYPE } from '../../formats/dns/records.ts';
import { Batch } from '../../storage/batch.ts';
import type { Engine, Space } from '../../storage/engine.ts';
import { ADDED, applyChanges, Changes, difference, REMOVED } from './changes.ts';
import { ZoneContents } from './contents.ts';
import { NAMES_LIMITS } from './limits.ts';
import { zoneFromMaster } from './master-file.ts';
import { type NameEvent, ZoneNames } from './names.ts';
import { type SigningSettings, ZoneSigning } from './signed-zone.ts';
import { isNewer, StoredZone, serialOf, soaOf, type ZoneSettings } from './zone.ts';

export interface ZonePlan extends ZoneSettings {
  /** Its master file. */
  readonly file?: string;
  /** It is signed by this server. */
  readonly signing?: SigningSettings;
  /** Told apart from others of its name: a view's number. */
  readonly view?: number;
}

export interface OpenNamesOptions {
  readonly engine: Engine;
  readonly permissions: Permissions;
  readonly zones: readonly ZonePlan[];
  readonly told: (event: NameEvent) => void;
  readonly warn: (text: string) => void;
  /** Milliseconds since 1970. */
  readonly wall: () => number;
}

/** Something is wrong with a zone's file; the message says where. */
export class ZoneFileError extends Error {}

export interface OpenNames {
  readonly names: ZoneNames;
  /** Who keeps the server's own records in a zone. */
  own(zone: StoredZone): OwnRecords;
  close(): void;
}

export async function openNames(options: OpenNamesOptions): Promise<OpenNames> {
  const { engine, permissions, told, wall } = options;
  const space = await engine.space('names', []);
  const names = new ZoneNames({ permissions, told });
  for (const plan of options.zones) {
    const id = plan.view === undefined ? plan.name : `${plan.name}#${plan.view}`;
    const zone = new StoredZone(plan, idOf(id), space, wall, (...given) => names.changed(...given));
    const stored = await zone.load();
    if (plan.file !== undefined) await readFile(zone, plan.file, stored, options.warn);
    else if (plan.kind === 'kept' && !stored) zone.adopt(freshZone(plan.origin), '');
    if (plan.signing !== undefined) {
      zone.signing = new ZoneSigning(plan.signing, space, zone.id, wall);
      await settled((waiter) => zone.sign(waiter, 0));
    }
    await sweep(space, zone, wall);
    names.enter(zone);
  }
  const timer = setInterval(() => {
    for (const zone of names.zones()) void zone.resign();
  }, NAMES_LIMITS.resignMs);
  timer.unref();
  return { names, own: (zone) => new OwnRecords(space, zone, wall), close: () => clearInterval(timer) };
}

/** What is no key: a name of the root, or one with a slash. */
function idOf(name: string): string {
  return name === '' ? '.' : name.replace(/[%/]/g, (character) => `%${character.charCodeAt(0).toString(16)}`);
}

async function readFile(zone: StoredZone, path: string, stored: boolean, warn: (text: string) => void): Promise<void> {
  const { contents, hash } = contentsOf(path, zone.origin);
  if (!stored) {
    zone.adopt(contents, hash);
    return;
  }
  if (zone.state.file === hash) return;
  // Both the file and the zone have changed: only a newer serial says that the file is meant to count.
  if (isNewer(serialOf(contents), zone.serial)) await settled((waiter) => zone.replace(contents, hash, waiter, 0));
  else
    warn(
      `${path} has changed, but its serial ${serialOf(contents)} is not above ${zone.serial}, which dynamic updates of ` +
        `${zone.name} have led to: the zone stays as it is until the file has a higher serial`,
    );
}

/** What a zone begins with that is made by updates alone: without an SOA there is nothing that could be updated. */
function freshZone(origin: Uint8Array): ZoneContents {
  const contents = new ZoneContents(origin);
  zoneFromMaster('$TTL 300\n@ SOA ns hostmaster 1 3600 600 1209600 300\n@ NS ns\n', origin, contents);
  return contents;
}

/** Reads a master file; throws a ZoneFileError that says where it is wrong. */
export function contentsOf(path: string, origin: Uint8Array): { contents: ZoneContents; hash: string } {
  const hash = createHash('sha256');
  const text = readText(path);
  hash.update(text, 'latin1');
  const folder = realpathSync(dirname(path));
  const contents = new ZoneContents(origin, Math.ceil(text.length / 48));
  const wrong = zoneFromMaster(text, origin, contents, (name) => {
    const included = join(folder, name);
    try {
      // Only what lies in the file's own folder: a zone that came from elsewhere names no file of this machine.
      if (!realpathSync(included).startsWith(folder + sep)) return 'is not in the folder of the zone’s file';
      const found = readText(included);
      hash.update(found, 'latin1');
      return { text: found };
    } catch {
      return 'cannot be read';
    }
  });
  if (wrong !== null) {
    const file = wrong.file === '' ? path : `${path}: ${wrong.file}`;
    throw new ZoneFileError(wrong.line === 0 ? `${file}: ${wrong.text}` : `${file}:${wrong.line}: ${wrong.text}`);
  }
  return { contents, hash: hash.digest('base64url') };
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch (error) {
    throw new ZoneFileError(`${path} cannot be read: ${(error as Error).message}`);
  }
}

function settled(begin: (waiter: Waiter) => void): Promise<Outcome> {
  return new Promise((resolve) => begin({ settled: (_token, outcome) => resolve(outcome) }));
}

/** Removes what a crash left of generations that do not count. */
async function sweep(space: Space, zone: StoredZone, wall: () => number): Promise<void> {
  for (const prefix of [`snapshot/${zone.id}/`, `delta/${zone.id}/`]) {
    const keys: string[] = [];
    await space.scan(prefix, 0, ({ key }) => {
      if (!key.startsWith(`${prefix}${zone.state.generation}/`)) keys.push(key);
      return true;
    });
    for (let at = 0; at < keys.length; at += 500) {
      const batch = new Batch(wall());
      for (const key of keys.slice(at, at + 500)) batch.remove(key);
      await settled((waiter) => space.commit(batch, waiter, 0));
    }
  }
}

/**
 * Keeps the server's own records in a zone true: those that it published last and no longer would leave, what is new comes,
 * and what others added stays.
 */
export class OwnRecords {
  private readonly space: Space;
  private readonly zone: StoredZone;
  private readonly wall: () => number;

  constructor(space: Space, zone: StoredZone, wall: () => number) {
    this.space = space;
    this.zone = zone;
    this.wall = wall;
  }

  async publish(wanted: ZoneContents): Promise<Outcome> {
    const { zone, space } = this;
    const key = `own/${zone.id}`;
    const former = new ZoneContents(zone.origin);
    const entry = await space.last(key);
    if (entry !== null) applyChanges(former, entry.bytes);
    const outcome = await settled((waiter) => zone.change((contents) => renewal(contents, former, wanted), waiter, 0));
    if (outcome !== OK) return outcome;
    const list = new Changes();
    wanted.each((name, type, ttl, data, end) =>
      list.push(ADDED, wanted.arena, name, type, ttl, wanted.arena, data, end),
    );
    const bytes = list.take();
    const batch = new Batch(this.wall());
    batch.put(key, bytes, 0, bytes.length);
    return settled((waiter) => space.commit(batch, waiter, 0));
  }
}

function renewal(contents: ZoneContents, former: ZoneContents, wanted: ZoneContents): Changes {
  const changes = new Changes();
  difference(former, wanted).each((direction, name, type, ttl, data, end, bytes) => {
    const node = contents.find(bytes, name);
    const set = node === 0 ? 0 : contents.setOf(node, type);
    const there = set !== 0 && contents.indexOf(set, bytes, data, end) !== 0;
    if (there === (direction === REMOVED)) changes.push(direction, bytes, name, type, ttl, bytes, data, end);
  });
  const [before, after] = [soaOf(contents), soaOf(wanted)];
  if (after !== null && before === null)
    changes.push(ADDED, contents.origin, 0, TYPE.SOA, after.ttl, after.data, 0, after.data.length);
  return changes;
}
