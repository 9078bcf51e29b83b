// What is done to a folder and all that is in it, entry by entry, in memory that depends on its depth alone.
import { EXISTS, INVALID, MISSING, OK, type Outcome } from '../../core/outcome.ts';
import type { FileStat, FileTree } from '../../storage/engine.ts';
import { FILE_LIMITS } from './limits.ts';

/** Visits what is below a folder, what is in a folder before the folder itself; ends with the first that is not OK. */
export async function eachBelow(
  tree: FileTree,
  path: string,
  visit: (stat: FileStat) => Promise<Outcome>,
  order: 'folders-last' | 'folders-first',
  depth = 0,
): Promise<Outcome> {
  if (depth > FILE_LIMITS.depthMax) return INVALID;
  const folder = await tree.openFolder(path);
  if (typeof folder === 'number') return folder;
  try {
    for (;;) {
      const page = await folder.next(FILE_LIMITS.pageMax);
      if (page.length === 0) return OK;
      for (const stat of page) {
        // A link is a leaf: what it leads to is elsewhere.
        const isFolder = stat.folder && stat.link === null;
        if (!isFolder || order === 'folders-first') {
          const outcome = await visit(stat);
          if (outcome !== OK && outcome !== MISSING) return outcome;
        }
        if (!isFolder) continue;
        const outcome = await eachBelow(tree, stat.path, visit, order, depth + 1);
        if (outcome !== OK && outcome !== MISSING) return outcome;
        if (order === 'folders-first') continue;
        const after = await visit(stat);
        if (after !== OK && after !== MISSING) return after;
      }
    }
  } finally {
    folder.close();
  }
}

/** A file of one tree into another, or a folder with nothing in it yet. */
export async function copyAcross(
  from: FileTree,
  stat: FileStat,
  to: FileTree,
  path: string,
  replace: boolean,
  keep?: string,
): Promise<Outcome> {
  if (stat.folder) {
    const made = await to.makeFolder(path);
    return made === EXISTS ? OK : made;
  }
  if (from === to) return from.copy(stat.path, path, replace, keep);
  const file = await from.open(stat.path);
  if (typeof file === 'number') return file;
  const options = { owner: '\0copy', modified: stat.modified, ...(keep === undefined ? {} : { keep }) };
  const writer = await to.write(path, replace ? options : { ...options, ifVersion: '' });
  if (typeof writer === 'number') {
    file.close();
    return writer;
  }
  const read = await new Promise<Outcome>((resolve) => {
    let rest: Uint8Array | null = null;
    const reading = file.read(0, stat.size, {
      get room() {
        return rest === null ? 1 : 0;
      },
      bytes(data, start, end) {
        const took = writer.write(data, start, end);
        rest = took < end - start ? data.subarray(start + took, end) : null;
      },
      end: resolve,
    });
    writer.onRoom = () => {
      if (rest === null) return;
      const took = writer.write(rest, 0, rest.length);
      rest = took < rest.length ? rest.subarray(took) : null;
      if (rest === null) reading.more();
    };
  });
  file.close();
  if (read !== OK) {
    writer.abort();
    return read;
  }
  return new Promise((resolve) => writer.commit({ settled: (_token, outcome) => resolve(outcome) }, 0));
}
