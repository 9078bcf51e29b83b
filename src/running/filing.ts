// The files of a running server: its folder on the disk, the folders that are mounted, and their events as topics.
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { type Config, ConfigError } from '../config.ts';
import type { Turn } from '../core/turn.ts';
import type { StoredAccounts } from '../resources/accounts/accounts.ts';
import type { FileEvent } from '../resources/files/contract.ts';
import { type OpenFiles, openFiles } from '../resources/files/open.ts';
import { topicOf } from '../resources/files/topics.ts';
import type { Mount } from '../resources/files/trees.ts';
import { type Announcer, announceEvent } from '../resources/topics/events.ts';
import { DiskTree } from '../storage/disk/tree.ts';
import type { Engine } from '../storage/engine.ts';

export interface FilingOptions {
  readonly engine: Engine;
  readonly turn: Turn;
  readonly accounts: StoredAccounts;
  readonly topics: Announcer;
}

/** Throws a `ConfigError` for a folder that is not there. */
export async function openServerFiles(config: Config, options: FilingOptions): Promise<OpenFiles> {
  const { engine, turn, accounts, topics } = options;
  const { folder, folders, mounts, quotas, keep, notice, bytesPerSecond } = config.files;
  // What is gone with the process is gone from the disk too.
  const passing = config.storage === 'memory' && folder === undefined;
  const root = passing ? mkdtempSync(join(tmpdir(), 'portico-files-')) : resolve(folder ?? join(config.data, 'files'));
  mkdirSync(root, { recursive: true, mode: 0o700 });
  const files = await openFiles({
    engine,
    tree: new DiskTree(root),
    mounts: mountsOf(mounts),
    permissions: accounts.permissions,
    folders,
    quotas,
    keep,
    notice,
    bytesPerSecond: bytesPerSecond ?? 0,
    told: (event) => tell(topics, event),
    wall: () => turn.clock.wall,
  });
  if (!passing) return files;
  const close = files.close.bind(files);
  files.close = async () => {
    await close();
    rmSync(root, { recursive: true, force: true });
  };
  return files;
}

function mountsOf(mounts: Config['files']['mounts']): Map<string, Mount> {
  const made = new Map<string, Mount>();
  for (const [name, { folder, readOnly }] of Object.entries(mounts)) {
    if (!existsSync(folder) || !statSync(folder).isDirectory())
      throw new ConfigError([`files.mounts.${name}.folder is ${folder}, which is no folder`]);
    made.set(name, { tree: new DiskTree(resolve(folder), readOnly), readOnly });
  }
  return made;
}

/** Who listens where it was hears that it is gone, and nothing of where it is: that may be none of his. */
function tell(topics: Announcer, event: FileEvent): void {
  const { from, by } = event;
  if (from !== undefined) announceEvent(topics, topicOf(from), { event: 'gone', path: from, by });
  announceEvent(topics, topicOf(event.path), event);
}
