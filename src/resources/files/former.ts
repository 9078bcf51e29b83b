// Deleted and overwritten files, where rules keep them: put aside within their tree, with a record that says what they were,
// given back under the rights of the path where they were, and dropped when their time is over.
import { randomBytes } from 'node:crypto';
import type { Caller } from '../../core/caller.ts';
import { FULL, INVALID, MISSING, OK, type Outcome } from '../../core/outcome.ts';
import type { FileStat, TreeFile } from '../../storage/engine.ts';
import type * as C from './contract.ts';
import type { FormerRecords, KeepRule } from './former-records.ts';
import { FILE_LIMITS } from './limits.ts';
import { levelsOf, narrowest, sizeBelow } from './quotas.ts';
import type { FileVerb } from './rights.ts';
import { type Place, pathOf, type Trees } from './trees.ts';

const DAY_MS = 86_400_000;
/** What came beside the tree so recently may still be waiting for its record. */
const YOUNG_MS = 3_600_000;
/** Records that one sweep looks at before it drops what it found. */
const AT_ONCE = 1_000;
/** Where the properties of what is in the trash are, below which there are no paths. */
const PROPERTIES = '\0trash/';

/** What it asks of the files that it is a part of. */
export interface FormerHost {
  /** Whether a change may be made there now: rules, locks, a tree that is read-only. */
  mayChange(caller: Caller, verb: 'write' | 'delete', path: string): Outcome;
  check(caller: Caller, verb: FileVerb, path: string): Outcome;
  mayBelow(caller: Caller, verb: FileVerb, path: string): Outcome;
  /** Whether the caller may be shown what is in a folder, as far as he may see it. */
  lists(caller: Caller, path: string): Outcome;
  reach(caller: Caller, verb: FileVerb, path: string): Promise<Place | Outcome>;
  /** What protocols keep with a thing goes with it; null: goes. */
  carried(from: string, to: string | null): Promise<void>;
  makeParents(caller: Caller, path: string): Promise<Outcome>;
  /** It is there again, with what it replaced. */
  returned(caller: Caller, place: Place, folder: boolean): Promise<C.FileFacts | Outcome>;
  opened(caller: Caller, place: Place, file: TreeFile): C.OpenFile;
  /** How much lies beside a folder has changed. */
  counted(path: string, bytes: number): void;
  /** Whether a quota has room for what lies beside another path. */
  fits(from: string, to: string, bytes: number): Promise<boolean>;
}

export class Former implements C.FormerFiles {
  private readonly rules: readonly (KeepRule & { readonly levels: readonly string[] })[];
  private readonly records: FormerRecords;
  private readonly trees: Trees;
  private readonly host: FormerHost;
  private readonly wall: () => number;

  constructor(rules: readonly KeepRule[], records: FormerRecords, trees: Trees, host: FormerHost, wall: () => number) {
    this.rules = rules.map((rule) => ({ ...rule, levels: levelsOf(rule.path) }));
    this.records = records;
    this.trees = trees;
    this.host = host;
    this.wall = wall;
  }

  // ---- what is kept ------------------------------------------------------------------------------------------------

  /** Days that deleted things are kept there; 0 for not at all. */
  trashDays(path: string): number {
    return narrowest(this.rules, path)?.rule.trash?.days ?? 0;
  }

  private versionRule(path: string) {
    return narrowest(this.rules, path)?.rule.versions ?? null;
  }

  /** A name for what a change at a path overwrites; undefined where that is not kept. */
  keepFor(path: string): string | undefined {
    return this.versionRule(path) === null ? undefined : newId();
  }

  /** Out of the tree, into the trash. */
  async throwAway(caller: Caller, { tree, inner }: Place, path: string, stat: FileStat): Promise<Outcome> {
    const id = newId();
    const size = stat.folder ? await sizeBelow(tree, inner) : stat.size;
    const deleted = this.wall();
    const until = deleted + this.trashDays(path) * DAY_MS;
    const { folder } = stat;
    // First the record: what is aside without one is swept away.
    const noted = await this.records.putTrash(id, { path, folder, size, deleted, until, by: caller.account });
    if (noted !== OK) return noted;
    const outcome = await tree.aside.put(inner, id);
    if (outcome === OK) await this.host.carried(path, PROPERTIES + id);
    else await this.records.dropTrash(id);
    return outcome;
  }

  /** Notes what a change kept under an id, if it replaced a file. Answers how many bytes that was. */
  async note(caller: Caller, { tree }: Place, path: string, keep: string | undefined): Promise<number> {
    const rule = keep === undefined ? null : this.versionRule(path);
    const stat = rule === null ? null : await tree.aside.stat(keep!);
    if (stat === null || rule === null) return 0;
    const { size, modified } = stat;
    const replaced = this.wall();
    const until = replaced + rule.days * DAY_MS;
    await this.records.putVersion(path, keep!, { size, modified, replaced, until, by: caller.account });
    const all = await this.records.versionsOf(path);
    let left = size;
    for (const old of all.slice(0, Math.max(0, all.length - rule.count))) {
      await this.dropVersion(path, old.id);
      left -= old.size;
    }
    return left;
  }

  /** The versions of files go where they go. */
  async moved(from: string, to: string): Promise<void> {
    if (this.rules.length > 0 && this.trees.find(from).tree === this.trees.find(to).tree) {
      await this.records.moved(from, to);
    }
  }

  /** The versions of all files at and below a path go for good. */
  async forget(path: string): Promise<void> {
    if (this.rules.length === 0) return;
    const found: [string, string][] = [];
    await this.records.eachVersion(path, (each, { id }) => {
      found.push([each, id]);
      return true;
    });
    for (const [each, id] of found) await this.dropVersion(each, id);
  }

  /** Bytes that lie beside a folder. */
  async bytesBeside(path: string): Promise<number> {
    return this.rules.length === 0 ? 0 : this.records.bytesBelow(path);
  }

  // ---- trash -------------------------------------------------------------------------------------------------------

  async trash(caller: Caller, path: string, after: number, most: number) {
    const may = this.host.lists(caller, path);
    if (may !== OK) return may;
    const inside = path === '' ? '' : `${path}/`;
    const entries: C.Trashed[] = [];
    let next: number | null = null;
    let last = after;
    await this.records.eachTrashed(after, (id, record, cursor) => {
      const isIn = record.path === path || record.path.startsWith(inside);
      if (!isIn || record.until <= this.wall() || this.host.check(caller, 'list', record.path) !== OK) return true;
      if (entries.length === most) {
        next = last;
        return false;
      }
      entries.push({ id, ...record });
      last = cursor;
      return true;
    });
    return { entries, next };
  }

  async restore(caller: Caller, id: string, to?: string): Promise<C.FileFacts | Outcome> {
    const record = await this.records.trashed(id);
    if (record === null || this.host.check(caller, 'list', record.path) !== OK) return MISSING;
    const target = to ?? record.path;
    for (const verb of ['read', 'write'] as const) {
      const path = verb === 'read' ? record.path : target;
      const may = record.folder ? this.host.mayBelow(caller, verb, path) : this.host.check(caller, verb, path);
      if (may !== OK) return may;
    }
    const free = this.host.mayChange(caller, 'write', target);
    if (free !== OK) return free;
    if (!(await this.host.fits(record.path, target, record.size))) return FULL;
    const made = await this.host.makeParents(caller, target);
    if (made !== OK) return made;
    const place = await this.host.reach(caller, 'write', target);
    if (typeof place === 'number') return place;
    const { tree } = this.trees.find(record.path);
    if (place.tree !== tree) return INVALID;
    const outcome = await tree.aside.bring(id, place.inner);
    if (outcome !== OK) return outcome;
    await this.host.carried(PROPERTIES + id, pathOf(place.before, place.inner));
    await this.records.dropTrash(id);
    this.host.counted(record.path, -record.size);
    this.host.counted(target, record.size);
    return this.host.returned(caller, place, record.folder);
  }

  async purge(caller: Caller, id: string): Promise<Outcome> {
    const record = await this.records.trashed(id);
    if (record === null || this.host.check(caller, 'list', record.path) !== OK) return MISSING;
    const may = record.folder
      ? this.host.mayBelow(caller, 'delete', record.path)
      : this.host.check(caller, 'delete', record.path);
    return may === OK ? this.dropTrash(id, record.path, record.size) : may;
  }

  private async dropTrash(id: string, path: string, size: number): Promise<Outcome> {
    const outcome = await this.trees.find(path).tree.aside.drop(id);
    if (outcome !== OK && outcome !== MISSING) return outcome;
    this.host.counted(path, -size);
    await this.host.carried(PROPERTIES + id, null);
    return this.records.dropTrash(id);
  }

  // ---- versions ----------------------------------------------------------------------------------------------------

  async versions(caller: Caller, path: string): Promise<readonly C.FileVersion[] | Outcome> {
    const real = await this.real(caller, 'read', path);
    if (typeof real === 'number') return real;
    const now = this.wall();
    return (await this.records.versionsOf(real.path)).filter(({ until }) => until > now);
  }

  async openVersion(caller: Caller, path: string, id: string): Promise<C.OpenFile | Outcome> {
    const real = await this.real(caller, 'read', path);
    if (typeof real === 'number') return real;
    if ((await this.records.version(real.path, id)) === null) return MISSING;
    const file = await real.place.tree.aside.open(id);
    return typeof file === 'number' ? file : this.host.opened(caller, real.place, file);
  }

  async restoreVersion(caller: Caller, path: string, id: string): Promise<C.FileFacts | Outcome> {
    const may = this.host.mayChange(caller, 'write', path);
    if (may !== OK) return may;
    const real = await this.real(caller, 'write', path);
    if (typeof real === 'number') return real;
    const record = await this.records.version(real.path, id);
    if (record === null) return MISSING;
    const keep = this.keepFor(real.path);
    const { tree, inner } = real.place;
    const former = await tree.stat(inner);
    const outcome = await tree.aside.bring(id, inner, true, keep);
    if (outcome !== OK) return outcome;
    await this.records.dropVersion(real.path, id);
    const kept = await this.note(caller, real.place, real.path, keep);
    this.host.counted(real.path, kept - (former?.size ?? 0));
    return this.host.returned(caller, real.place, false);
  }

  async purgeVersion(caller: Caller, path: string, id: string): Promise<Outcome> {
    const may = this.host.mayChange(caller, 'delete', path);
    if (may !== OK) return may;
    const real = await this.real(caller, 'delete', path);
    if (typeof real === 'number') return real;
    const record = await this.records.version(real.path, id);
    if (record === null) return MISSING;
    this.host.counted(real.path, -record.size);
    return this.dropVersion(real.path, id);
  }

  private async dropVersion(path: string, id: string): Promise<Outcome> {
    const outcome = await this.trees.find(path).tree.aside.drop(id);
    return outcome === OK || outcome === MISSING ? this.records.dropVersion(path, id) : outcome;
  }

  /** Where a file is, which need not be there any more. */
  private async real(caller: Caller, verb: FileVerb, path: string) {
    const may = this.host.check(caller, verb, path);
    if (may !== OK) return may;
    const place = await this.host.reach(caller, verb, path);
    return typeof place === 'number' ? place : { place, path: pathOf(place.before, place.inner) };
  }

  // ---- the end -----------------------------------------------------------------------------------------------------

  /** Drops what was kept long enough, and what a crash left without a record. */
  async sweep(): Promise<void> {
    while ((await this.sweepTrash()) + (await this.sweepVersions()) >= AT_ONCE);
    for (const tree of this.trees.all) {
      for await (const page of tree.aside.names(this.wall() - YOUNG_MS)) {
        const left = new Set(page);
        await this.records.known(left);
        for (const id of left) await tree.aside.drop(id);
      }
    }
  }

  private async sweepTrash(): Promise<number> {
    const now = this.wall();
    const over: [string, string, number][] = [];
    await this.records.eachTrashed(0, (id, { path, until, size }) => {
      if (until <= now) over.push([id, path, size]);
      return over.length < AT_ONCE;
    });
    let dropped = 0;
    for (const [id, path, size] of over) if ((await this.dropTrash(id, path, size)) === OK) dropped++;
    return dropped;
  }

  private async sweepVersions(): Promise<number> {
    const now = this.wall();
    const over: [string, string, number][] = [];
    await this.records.eachVersion('', (path, { id, until, size }) => {
      if (until <= now) over.push([id, path, size]);
      return over.length < AT_ONCE;
    });
    let dropped = 0;
    for (const [id, path, size] of over) {
      if ((await this.dropVersion(path, id)) !== OK) continue;
      this.host.counted(path, -size);
      dropped++;
    }
    return dropped;
  }
}

function newId(): string {
  return randomBytes(FILE_LIMITS.formerIdBytes).toString('hex');
}
