// The tree of filters: which subscriptions a topic name has, by walking its levels once. It does not know what a
// subscription is.
import { isApart } from './names.ts';

interface Node<Item> {
  readonly children: Map<string, Node<Item>>;
  plus: Node<Item> | null;
  /** Subscribed with this filter. */
  readonly items: Set<Item>;
  /** Subscribed with this filter and `/#`. */
  readonly below: Set<Item>;
}

function nodeOf<Item>(): Node<Item> {
  return { children: new Map(), plus: null, items: new Set(), below: new Set() };
}

export class FilterTree<Item> {
  /** Grows with every change: what was worked out at another epoch is out of date. */
  epoch = 0;
  size = 0;
  private readonly root = nodeOf<Item>();

  add(filter: string, item: Item): void {
    const { node, below } = this.find(filter, true)!;
    const set = below ? node.below : node.items;
    if (set.has(item)) return;
    set.add(item);
    this.size++;
    this.epoch++;
  }

  remove(filter: string, item: Item): void {
    const path: [Node<Item>, string][] = [];
    const found = this.find(filter, false, path);
    if (found === null || !(found.below ? found.node.below : found.node.items).delete(item)) return;
    this.size--;
    this.epoch++;
    // Nodes that nobody needs any more go, so that a million short-lived filters leave nothing.
    let { node } = found;
    for (let index = path.length - 1; index >= 0; index--) {
      if (node.items.size + node.below.size + node.children.size > 0 || node.plus !== null) return;
      const [parent, level] = path[index]!;
      if (level === '+') parent.plus = null;
      else parent.children.delete(level);
      node = parent;
    }
  }

  /** Visits each item whose filter matches the name, in no order, each as often as it was added with such a filter. */
  match(name: string, visit: (item: Item) => void): void {
    const levels = name.split('/');
    walk(this.root, levels, 0, isApart(name), visit);
  }

  private find(
    filter: string,
    make: boolean,
    path: [Node<Item>, string][] = [],
  ): { node: Node<Item>; below: boolean } | null {
    let node = this.root;
    const levels = filter.split('/');
    const below = levels.at(-1) === '#';
    if (below) levels.pop();
    for (const level of levels) {
      path.push([node, level]);
      let next: Node<Item> | null = level === '+' ? node.plus : (node.children.get(level) ?? null);
      if (next === null) {
        if (!make) return null;
        next = nodeOf<Item>();
        if (level === '+') node.plus = next;
        else node.children.set(level, next);
      }
      node = next;
    }
    return { node, below };
  }
}

function walk<Item>(
  node: Node<Item>,
  levels: readonly string[],
  at: number,
  hidden: boolean,
  visit: (item: Item) => void,
): void {
  // A name that begins with `$` is not matched by a wildcard in the first place ([MQTT-4.7.2-1]).
  const wild = at > 0 || !hidden;
  // `a/#` matches `a` as well.
  if (wild) for (const item of node.below) visit(item);
  if (at === levels.length) {
    for (const item of node.items) visit(item);
    return;
  }
  const child = node.children.get(levels[at]!);
  if (child !== undefined) walk(child, levels, at + 1, hidden, visit);
  if (wild && node.plus !== null) walk(node.plus, levels, at + 1, hidden, visit);
}
