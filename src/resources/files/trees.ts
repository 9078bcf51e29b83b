// Which tree a path is in: the server's own, or a folder of elsewhere that stands below a name of the root.
import type { FileTree } from '../../storage/engine.ts';

export interface Mount {
  readonly tree: FileTree;
  readonly readOnly: boolean;
}

export interface Place extends Mount {
  /** Within the tree. */
  readonly inner: string;
  /** What stands before paths of the tree: `''` or `name/`. */
  readonly before: string;
}

export class Trees {
  readonly main: FileTree;
  readonly mounts: ReadonlyMap<string, Mount>;

  constructor(main: FileTree, mounts: ReadonlyMap<string, Mount>) {
    this.main = main;
    this.mounts = mounts;
  }

  find(path: string): Place {
    const slash = path.indexOf('/');
    const first = slash < 0 ? path : path.slice(0, slash);
    const mount = this.mounts.get(first);
    if (mount === undefined) return { tree: this.main, readOnly: false, inner: path, before: '' };
    return { ...mount, inner: slash < 0 ? '' : path.slice(slash + 1), before: `${first}/` };
  }

  get all(): FileTree[] {
    return [this.main, ...[...this.mounts.values()].map(({ tree }) => tree)];
  }
}

/** Of the whole, for a path in a tree. */
export function pathOf(before: string, inner: string): string {
  return inner === '' ? before.slice(0, -1) : before + inner;
}
