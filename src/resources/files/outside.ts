// Changes that other programs make in the trees, told as events like all others, with nobody's name: and the server's own
// changes, which are known before they are heard of.
import type { NoticeLimits, Noticing } from '../../storage/engine.ts';
import type { FileEvent } from './contract.ts';
import type { FilesOptions } from './open.ts';
import type { Place, Trees } from './trees.ts';
import { pathOf } from './trees.ts';

/** What can be said of it; the rest is as it is. */
export interface NoticeOptions {
  readonly quietMs: number;
  readonly rescanMs: number;
  readonly foldersMax: number;
  readonly namesMax: number;
}

const WAITING_MAX = 10_000;

export class Outside {
  private readonly noticing = new Map<string, Noticing>();
  private readonly trees: Trees;

  constructor(
    trees: Trees,
    options: NoticeOptions,
    told: FilesOptions['told'],
    counted: (path: string, bytes: number) => void,
  ) {
    this.trees = trees;
    const limits: NoticeLimits = { ...options, waitingMax: WAITING_MAX };
    for (const before of ['', ...[...trees.mounts.keys()].map((name) => `${name}/`)]) {
      const { tree } = trees.find(before.slice(0, -1));
      const heard = tree.notice(limits, ({ kind, path: inner, stat, before: former }) => {
        const path = pathOf(before, inner);
        if (kind === 'file' && stat !== null) {
          const { size, modified, version } = stat;
          counted(path, size - former);
          told({ event: 'complete', path, size, modified, version });
        } else {
          counted(path, -former);
          told({ event: kind === 'folder' ? 'folder' : 'gone', path });
        }
      });
      this.noticing.set(before, heard);
    }
  }

  get ready(): Promise<unknown> {
    return Promise.all([...this.noticing.values()].map(({ ready }) => ready));
  }

  /** The server did it, and tells of it itself. */
  own({ path, from }: FileEvent): void {
    for (const each of from === undefined ? [path] : [from, path]) {
      const { before, inner }: Place = this.trees.find(each);
      this.noticing.get(before)?.own(inner);
    }
  }

  stop(): void {
    for (const each of this.noticing.values()) each.stop();
  }
}
