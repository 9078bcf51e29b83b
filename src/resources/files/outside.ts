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
  private readonly told: FilesOptions['told'];
  /** Changes of the server's own that are not told of yet. */
  private underWay = 0;
  /** What was heard meanwhile, which may be theirs; and what turned out to be. */
  private held: FileEvent[] = [];
  private readonly owned = new Set<string>();

  constructor(
    trees: Trees,
    options: NoticeOptions,
    told: FilesOptions['told'],
    counted: (path: string, bytes: number) => void,
  ) {
    this.trees = trees;
    this.told = told;
    const limits: NoticeLimits = { ...options, waitingMax: WAITING_MAX };
    for (const before of ['', ...[...trees.mounts.keys()].map((name) => `${name}/`)]) {
      const { tree } = trees.find(before.slice(0, -1));
      const heard = tree.notice(limits, ({ kind, path: inner, stat, before: former }) => {
        const path = pathOf(before, inner);
        if (kind === 'file' && stat !== null) {
          const { size, modified, version } = stat;
          counted(path, size - former);
          this.hear({ event: 'complete', path, size, modified, version });
        } else {
          counted(path, -former);
          this.hear({ event: kind === 'folder' ? 'folder' : 'gone', path });
        }
      });
      this.noticing.set(before, heard);
    }
  }

  get ready(): Promise<unknown> {
    return Promise.all([...this.noticing.values()].map(({ ready }) => ready));
  }

  private hear(event: FileEvent): void {
    if (this.underWay === 0) this.told(event);
    else if (this.held.length < WAITING_MAX) this.held.push(event);
  }

  /** While the server changes something, what is heard may be that: it is looked at when all such are told of. */
  async during<Answer>(change: () => Promise<Answer>): Promise<Answer> {
    this.underWay++;
    try {
      return await change();
    } finally {
      if (--this.underWay === 0) {
        const { held } = this;
        this.held = [];
        for (const event of held) if (!this.isOwned(event.path)) this.told(event);
        this.owned.clear();
      }
    }
  }

  /** It, or a folder that it is in, is what the server changed. */
  private isOwned(path: string): boolean {
    for (let end = path.length; end > 0; end = path.lastIndexOf('/', end - 1))
      if (this.owned.has(path.slice(0, end))) return true;
    return false;
  }

  /** The server did it, and tells of it itself. */
  own({ path, from }: FileEvent): void {
    for (const each of from === undefined ? [path] : [from, path]) {
      if (this.underWay > 0) this.owned.add(each);
      const { before, inner }: Place = this.trees.find(each);
      this.noticing.get(before)?.own(inner);
    }
  }

  stop(): void {
    for (const each of this.noticing.values()) each.stop();
  }
}
