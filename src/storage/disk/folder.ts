// Folders that are listed: page by page in the disk's order, or by name. Neither holds more than a page and a bit, however
// many names there are.
import type { Dir } from 'node:fs';
import { opendir, stat } from 'node:fs/promises';
import type { FileStat, TreeFolder } from '../engine.ts';
import { isTreePath } from '../paths.ts';
import { type Held, HIDDEN, type Places } from './places.ts';
import { eachOf } from './turns.ts';

/** Looked at in one go. */
const AT_ONCE = 32;
/** Names that one call to the disk answers. */
const NAMES = 512;
/** Names that are kept of a folder that is listed by name, so that its next page need not read it all again. */
const AHEAD = 8_192;
/** Folders of which names are kept, and for how long. */
const FOLDERS = 16;
const FRESH_MS = 2_000;

type Look = (path: string) => Promise<FileStat | null>;

/** Whether a name of the disk may be shown: one that is not UTF-8 cannot be asked for. */
function isName(name: string, isRoot: boolean): boolean {
  return isTreePath(name) && !name.includes('�') && !(isRoot && name === HIDDEN);
}

function lookAll(names: readonly string[], path: string, look: Look): Promise<FileStat[]> {
  const inside = path === '' ? '' : `${path}/`;
  return eachOf(names, AT_ONCE, (name) => look(inside + name).catch(() => null)).then((found) =>
    found.filter((each) => each !== null),
  );
}

export class DiskFolder implements TreeFolder {
  private readonly folder: Dir;
  private readonly held: Held;
  private readonly path: string;
  private readonly look: Look;
  private isBusy = false;
  private isOver = false;

  private constructor(folder: Dir, held: Held, path: string, look: Look) {
    this.folder = folder;
    this.held = held;
    this.path = path;
    this.look = look;
  }

  static async open(held: Held, path: string, look: Look): Promise<DiskFolder> {
    try {
      return new DiskFolder(await opendir(held.base, { bufferSize: NAMES }), held, path, look);
    } catch (error) {
      held.close();
      throw error;
    }
  }

  async next(most: number): Promise<FileStat[]> {
    if (this.isOver) return [];
    this.isBusy = true;
    const found: FileStat[] = [];
    try {
      // What went meanwhile leaves a page empty, which would be the end.
      while (found.length === 0 && !this.isOver) {
        const names: string[] = [];
        while (names.length < most) {
          const entry = await this.folder.read();
          if (entry === null) break;
          if (isName(entry.name, this.path === '')) names.push(entry.name);
        }
        if (names.length === 0) break;
        found.push(...(await lookAll(names, this.path, this.look)));
      }
    } catch {
      // The disk says no more.
    }
    this.isBusy = false;
    if (this.isOver) this.letGo();
    return found;
  }

  close(): void {
    if (this.isOver) return;
    this.isOver = true;
    if (!this.isBusy) this.letGo();
  }

  private letGo(): void {
    void this.folder.close().catch(() => {});
    this.held.close();
  }
}

interface Kept {
  /** As the folder was. */
  readonly sign: string;
  readonly after: string;
  readonly names: readonly string[];
  /** There are none behind the last of them. */
  readonly isWhole: boolean;
  readonly until: number;
}

export class Listings {
  private readonly kept = new Map<string, Kept>();
  private readonly look: Look;
  private readonly places: Places;

  constructor(look: Look, places: Places) {
    this.look = look;
    this.places = places;
  }

  async page(held: Held, path: string, after: string, most: number): Promise<FileStat[]> {
    const found: FileStat[] = [];
    for (let behind = after; found.length < most; ) {
      const names = await this.names(held, behind, most - found.length);
      if (names.length === 0) break;
      found.push(...(await lookAll(names, path, this.look)));
      behind = names.at(-1)!;
    }
    return found;
  }

  private async names(held: Held, after: string, most: number): Promise<readonly string[]> {
    const { mtimeMs, ctimeMs, ino } = await stat(held.base);
    const sign = `${ino}-${mtimeMs}-${ctimeMs}`;
    const known = this.kept.get(held.real);
    if (known !== undefined && known.sign === sign && known.after <= after && performance.now() < known.until) {
      const from = firstAfter(known.names, after);
      if (known.isWhole || from + most <= known.names.length) return known.names.slice(from, from + most);
    }
    const { names, isWhole } = await this.read(held, after, Math.max(most, AHEAD));
    this.kept.delete(held.real);
    this.kept.set(held.real, { sign, after, names, isWhole, until: performance.now() + FRESH_MS });
    for (const oldest of this.kept.keys()) {
      if (this.kept.size <= FOLDERS) break;
      this.kept.delete(oldest);
    }
    return names.slice(0, most);
  }

  /** The first `most` names behind `after`. */
  private async read(held: Held, after: string, most: number): Promise<{ names: string[]; isWhole: boolean }> {
    const isRoot = held.real === this.places.root;
    let names: string[] = [];
    let isWhole = true;
    for await (const { name } of await opendir(held.base, { bufferSize: NAMES })) {
      if (name <= after || !isName(name, isRoot)) continue;
      names.push(name);
      if (names.length < most * 2) continue;
      names = names.sort().slice(0, most);
      isWhole = false;
    }
    names.sort();
    if (names.length > most) isWhole = false;
    return { names: names.slice(0, most), isWhole };
  }
}

function firstAfter(names: readonly string[], after: string): number {
  let low = 0;
  let high = names.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (names[middle]! <= after) low = middle + 1;
    else high = middle;
  }
  return low;
}
