// The retained values of a filter one by one, in as many steps as whoever asks likes: it goes through the tree as that
// changes. It does not know whom they are for.

import type { Message } from './contract.ts';
import { isApart } from './names.ts';
import type { RetainedNode, RetainedValues } from './retained.ts';

/** So many topics were looked at, and there may be more. */
export const LATER = Symbol('later');

interface Branch {
  readonly children: Iterator<[string, RetainedNode]>;
  /** The level of the filter that children are held against; -1: all below match. */
  readonly at: number;
  /** At the top, where a wildcard does not match what begins with `$` ([MQTT-4.7.2-1]). */
  readonly top: boolean;
}

/** What was retained before the walk began, and still is: what comes meanwhile is somebody else's to tell. */
export class RetainedWalk {
  private readonly levels: readonly string[];
  private readonly before: number;
  private readonly branches: Branch[] = [];
  private root: RetainedNode | null;

  constructor(values: RetainedValues, filter: string) {
    this.levels = filter.split('/');
    this.before = values.changes;
    this.root = values.root;
  }

  /** The next value; null at the end; LATER when `most` topics were looked at and none of them matched. */
  next(most: number): Message | null | typeof LATER {
    if (this.root !== null) {
      const { root } = this;
      this.root = null;
      const found = this.enter(root, 0);
      if (found !== null) return found;
    }
    for (let looked = 0; looked < most; looked++) {
      const branch = this.branches.at(-1);
      if (branch === undefined) return null;
      const { done, value } = branch.children.next();
      if (done === true) {
        this.branches.pop();
        continue;
      }
      const [name, node] = value;
      if (branch.top && isApart(name)) continue;
      const found = branch.at < 0 ? this.all(node, false) : this.enter(node, branch.at);
      if (found !== null) return found;
    }
    return LATER;
  }

  /** Goes down to where the filter branches, and answers the value that stands there. */
  private enter(node: RetainedNode, at: number): Message | null {
    const { levels } = this;
    for (; at < levels.length; at++) {
      const level = levels[at]!;
      if (level === '#') return this.all(node, at === 0);
      if (level === '+') {
        this.branches.push({ children: node.children.entries(), at: at + 1, top: at === 0 });
        return null;
      }
      const child = node.children.get(level);
      if (child === undefined) return null;
      node = child;
    }
    return this.valueOf(node);
  }

  private all(node: RetainedNode, top: boolean): Message | null {
    if (node.children.size > 0) this.branches.push({ children: node.children.entries(), at: -1, top });
    return this.valueOf(node);
  }

  private valueOf({ message, changed }: RetainedNode): Message | null {
    return changed <= this.before ? message : null;
  }
}
