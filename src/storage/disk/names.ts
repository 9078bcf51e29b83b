// The sorted names of folders that are listed page by page, kept while a folder's own time of change stands, so that a listing
// of many pages sorts once.
import { readdir } from 'node:fs/promises';

const FOLDERS_MAX = 8;
/** Names that are kept of all folders together; a folder with more is read anew for each page. */
const NAMES_MAX = 1_000_000;

interface Kept {
  readonly changed: bigint;
  readonly names: readonly string[];
}

export class Names {
  /** The one asked for longest ago first. */
  private readonly kept = new Map<string, Kept>();

  async of(place: string, changed: bigint): Promise<readonly string[]> {
    const known = this.kept.get(place);
    if (known?.changed === changed) return known.names;
    const names = await readdir(place);
    names.sort();
    this.kept.delete(place);
    // A page that has all is not asked for again.
    if (names.length < 256) return names;
    this.kept.set(place, { changed, names });
    let total = 0;
    for (const each of this.kept.values()) total += each.names.length;
    for (const [oldest, each] of this.kept) {
      if (this.kept.size <= FOLDERS_MAX && total <= NAMES_MAX) break;
      total -= each.names.length;
      this.kept.delete(oldest);
    }
    return names;
  }
}
