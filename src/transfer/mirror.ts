// What is to be done so that one tree becomes as the other: found folder by folder while the first of it is being done, so that
// a tree of any size is never held.
import { join } from 'node:path';
import { makeHere, removeHere, removeTree, type Task } from './copy.ts';
import { localHash, localList } from './local.ts';
import { type Facts, isPart, joined, type Remote } from './remote.ts';

export interface MirrorOptions {
  /** What the source does not have goes. */
  readonly deletes: boolean;
  /** Files of the same size are compared by hash, where the server tells one. */
  readonly checks: boolean;
  /** All is copied, whatever is there. */
  readonly copiesAll: boolean;
  readonly isDry: boolean;
}

/** Protocols tell times in seconds, and clocks differ a little. */
const SLACK_MS = 2_000;

/** A remote folder to one here. */
export async function* down(remote: Remote, path: string, here: string, options: MirrorOptions): AsyncGenerator<Task> {
  const theirs = await remote.list(path);
  const ours = byName(await localList(here));
  if (!options.isDry) await makeHere(here);
  const wanted = new Set<string>();
  for (const facts of sorted(theirs)) {
    const { name, kind } = facts;
    const [from, to] = [joined(path, name), join(here, name)];
    if (kind === 'other' || isPart(name)) continue;
    wanted.add(name);
    const there = ours.get(name);
    if (there !== undefined && there.kind !== kind) {
      if (!options.deletes) {
        yield { do: 'skip', path: to, why: `${to} is a ${there.kind}, and ${from} a ${kind}; --delete replaces it` };
        continue;
      }
      // It makes room before anything comes.
      if (!options.isDry) await removeHere(to, true);
    }
    if (kind === 'folder') yield* down(remote, from, to, options);
    else if (await isOther(facts, there, remote, from, to, options)) yield { do: 'get', path: from, here: to, facts };
  }
  if (options.deletes)
    for (const { name, kind } of ours.values())
      if (!wanted.has(name)) yield { do: 'delete-here', here: join(here, name), isFolder: kind === 'folder' };
}

/** A folder here to a remote one. */
export async function* up(remote: Remote, here: string, path: string, options: MirrorOptions): AsyncGenerator<Task> {
  const there = await remote.stat(path);
  if (there === null && !options.isDry) await makeThere(remote, path);
  const theirs = byName(there === null ? [] : await remote.list(path));
  const wanted = new Set<string>();
  for (const facts of sorted(await localList(here))) {
    const { name, kind } = facts;
    const [from, to] = [join(here, name), joined(path, name)];
    if (kind === 'other' || isPart(name)) continue;
    wanted.add(name);
    const known = theirs.get(name);
    if (known !== undefined && known.kind !== kind) {
      if (!options.deletes || known.kind === 'other') {
        yield { do: 'skip', path: to, why: `${to} is a ${known.kind}, and ${from} a ${kind}; --delete replaces it` };
        continue;
      }
      if (!options.isDry) await removeTree(remote, to, known.kind === 'folder');
    }
    if (kind === 'folder') yield* up(remote, from, to, options);
    else if (await isOther(facts, known, remote, to, from, options)) yield { do: 'put', path: to, here: from, facts };
  }
  if (options.deletes)
    for (const { name, kind } of theirs.values())
      if (!wanted.has(name)) yield { do: 'delete', path: joined(path, name), isFolder: kind === 'folder' };
}

async function isOther(
  source: Facts,
  target: Facts | undefined,
  remote: Remote,
  path: string,
  here: string,
  { checks, copiesAll }: MirrorOptions,
): Promise<boolean> {
  if (copiesAll || target === undefined || target.kind !== 'file') return true;
  if (source.size >= 0 && target.size >= 0 && source.size !== target.size) return true;
  if (checks) {
    const digest = await remote.hash(path);
    if (digest !== null) return (await localHash(here, digest.algorithm)) !== digest.hex;
  }
  // A target that is newer was copied: not every server takes the time of its source.
  return source.modified >= 0 && target.modified >= 0 && source.modified > target.modified + SLACK_MS;
}

function byName(all: readonly Facts[]): Map<string, Facts> {
  return new Map(all.map((facts) => [facts.name, facts]));
}

function sorted(all: readonly Facts[]): Facts[] {
  return [...all].sort((one, other) => (one.name < other.name ? -1 : 1));
}

/** With the folders on the way. */
export async function makeThere(remote: Remote, path: string): Promise<void> {
  const bare = path.replace(/\/+$/, '');
  const at = bare.lastIndexOf('/');
  const parent = bare.slice(0, Math.max(at, 0));
  if (parent !== '' && (await remote.stat(parent)) === null) await makeThere(remote, parent);
  await remote.makeFolder(bare);
}
