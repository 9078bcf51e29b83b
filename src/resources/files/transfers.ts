// Files and folders that are copied, or moved to another tree: what they replace is kept where rules say so, and what
// protocols keep with them goes along. Rights and quotas were asked before.
import type { Caller } from '../../core/caller.ts';
import { EXISTS, OK, type Outcome } from '../../core/outcome.ts';
import type { FileStat } from '../../storage/engine.ts';
import type { Former } from './former.ts';
import type { KeptProperties } from './properties.ts';
import { type Place, pathOf } from './trees.ts';
import { copyAcross, eachBelow } from './walks.ts';

/** Who does it, and what notes what it replaces and what goes along. */
export interface Keeping {
  readonly caller: Caller;
  readonly former: Former;
  readonly kept: KeptProperties;
}

export async function copyAll(
  { caller, former, kept }: Keeping,
  source: Place,
  stat: FileStat,
  target: Place,
  replace: boolean,
  deep: boolean,
): Promise<Outcome> {
  const there = await target.tree.stat(target.inner, false);
  if (there !== null && (!replace || there.folder !== stat.folder)) return EXISTS;
  const put = async (each: FileStat, at: string) => {
    const path = pathOf(target.before, at);
    const keep = former.keepFor(path);
    const outcome = await copyAcross(source.tree, each, target.tree, at, replace, keep);
    if (outcome === OK) await former.note(caller, target, path, keep);
    return outcome;
  };
  const first = await put(stat, target.inner);
  if (first !== OK || !stat.folder || !deep) return first;
  const visit = async (each: FileStat): Promise<Outcome> => {
    const at = target.inner + each.path.slice(stat.path.length);
    if (each.link !== null)
      return target.tree.link(at, each.link).then((outcome) => (outcome === EXISTS ? OK : outcome));
    const outcome = await put(each, at);
    if (outcome === OK) await kept.copied(source.before + each.path, target.before + at);
    return outcome;
  };
  return eachBelow(source.tree, stat.path, visit, 'folders-first');
}

export async function moveAcross(
  keeping: Keeping,
  source: Place,
  stat: FileStat,
  target: Place,
  replace: boolean,
): Promise<Outcome> {
  const copied = await copyAll(keeping, source, stat, target, replace, true);
  if (copied !== OK) return copied;
  const { tree } = source;
  if (stat.folder) {
    const gone = await eachBelow(tree, stat.path, (each) => tree.remove(each.path), 'folders-last');
    if (gone !== OK) return gone;
  }
  return tree.remove(stat.path);
}
