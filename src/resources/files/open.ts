// Opens the files of a server: its trees, its shared folders, and the sweeping of what was left.
import { OK } from '../../core/outcome.ts';
import type { Permissions } from '../../core/permissions.ts';
import type { Engine, FileTree } from '../../storage/engine.ts';
import type { FileEvent, Files } from './contract.ts';
import { TreeFiles } from './files.ts';
import { FormerRecords, type KeepRule } from './former-records.ts';
import { FILE_LIMITS } from './limits.ts';
import { type NoticeOptions, Outside } from './outside.ts';
import { KeptProperties } from './properties.ts';
import type { QuotaRule } from './quotas.ts';
import { Rights } from './rights.ts';
import { type Mount, Trees } from './trees.ts';

export interface FilesOptions {
  readonly engine: Engine;
  readonly tree: FileTree;
  /** By the name of the root that they stand below. */
  readonly mounts?: ReadonlyMap<string, Mount>;
  readonly permissions: Permissions;
  /** Folders of the root that are made at start. */
  readonly folders?: readonly string[];
  readonly quotas?: readonly QuotaRule[];
  /** What is kept of what is deleted and overwritten. */
  readonly keep?: readonly KeepRule[];
  /** Tells of what other programs change in the trees; not when absent. */
  readonly notice?: NoticeOptions | undefined;
  /** Of one account, each way; 0 for as fast as it goes. */
  readonly bytesPerSecond?: number;
  readonly told: (event: FileEvent) => void;
  /** Milliseconds since 1970. */
  readonly wall: () => number;
}

/** Files that can be closed. */
export interface OpenFiles extends Files {
  /** From then on it is told of what other programs change. */
  readonly noticing: Promise<unknown>;
  close(): Promise<void>;
}

export async function openFiles(options: FilesOptions): Promise<OpenFiles> {
  const space = await options.engine.space('files', []);
  const trees = new Trees(options.tree, options.mounts ?? new Map());
  const kept = new KeptProperties(space, options.wall);
  const records = new FormerRecords(space, options.wall);
  let outside: Outside | null = null;
  const told = (event: FileEvent) => {
    outside?.own(event);
    options.told(event);
  };
  const files = new TreeFiles({ ...options, told }, trees, new Rights(options.permissions), kept, records);
  for (const folder of options.folders ?? []) {
    const made = await options.tree.makeFolder(folder);
    if (made === OK) options.told({ event: 'folder', path: folder });
  }
  await files.sweep();
  if (options.notice !== undefined)
    outside = new Outside(trees, options.notice, options.told, (path, bytes) => files.quotas.changed(path, bytes));
  const timer = setInterval(() => void files.sweep().catch(() => {}), FILE_LIMITS.sweepMs);
  timer.unref();
  const close = files.close.bind(files);
  if (outside !== null) {
    files.noticing = outside.ready;
    holdDuring(files, outside);
  }
  files.close = async () => {
    clearInterval(timer);
    outside?.stop();
    await close();
  };
  return files;
}

/** What the server changes by itself is not told of as another's. */
function holdDuring(files: TreeFiles, outside: Outside): void {
  const { makeFolder, remove, move, copy, setAttributes, write } = files;
  files.makeFolder = (...given) => outside.during(() => makeFolder.apply(files, given));
  files.remove = (...given) => outside.during(() => remove.apply(files, given));
  files.move = (...given) => outside.during(() => move.apply(files, given));
  files.copy = (...given) => outside.during(() => copy.apply(files, given));
  files.setAttributes = (...given) => outside.during(() => setAttributes.apply(files, given));
  files.write = async (...given) => {
    const incoming = await outside.during(() => write.apply(files, given));
    if (typeof incoming === 'number') return incoming;
    const commit = incoming.commit.bind(incoming);
    incoming.commit = () => outside.during(commit);
    return incoming;
  };
}
