// Retained values: the last one of each topic that has one, found by name or by filter.
import type { Message } from './contract.ts';

interface Node {
  readonly children: Map<string, Node>;
  message: Message | null;
}

export class RetainedValues {
  size = 0;
  private readonly root: Node = { children: new Map(), message: null };

  get(topic: string): Message | null {
    let node: Node | undefined = this.root;
    for (const level of topic.split('/')) if ((node = node.children.get(level)) === undefined) return null;
    return node.message;
  }

  set(message: Message): void {
    let node = this.root;
    for (const level of message.topic.split('/')) {
      let next = node.children.get(level);
      if (next === undefined) node.children.set(level, (next = { children: new Map(), message: null }));
      node = next;
    }
    if (node.message === null) this.size++;
    node.message = message;
  }

  delete(topic: string): boolean {
    const levels = topic.split('/');
    const path: Node[] = [];
    let node = this.root;
    for (const level of levels) {
      path.push(node);
      const next = node.children.get(level);
      if (next === undefined) return false;
      node = next;
    }
    if (node.message === null) return false;
    node.message = null;
    this.size--;
    for (let index = path.length - 1; index >= 0 && node.message === null && node.children.size === 0; index--) {
      node = path[index]!;
      node.children.delete(levels[index]!);
    }
    return true;
  }

  /** Visits the values of all topics that a filter matches, by name within a level as they were first set. */
  match(filter: string, visit: (message: Message) => void): void {
    const literal = !filter.includes('+') && !filter.includes('#');
    if (literal) {
      const message = this.get(filter);
      if (message !== null) visit(message);
    } else walk(this.root, filter.split('/'), 0, visit);
  }
}

function walk(node: Node, levels: readonly string[], at: number, visit: (message: Message) => void): void {
  if (at === levels.length) {
    if (node.message !== null) visit(node.message);
    return;
  }
  const level = levels[at]!;
  if (level === '#') {
    everything(node, at === 0, visit);
  } else if (level === '+') {
    for (const [name, child] of node.children) if (at > 0 || !name.startsWith('$')) walk(child, levels, at + 1, visit);
  } else {
    const child = node.children.get(level);
    if (child !== undefined) walk(child, levels, at + 1, visit);
  }
}

function everything(node: Node, first: boolean, visit: (message: Message) => void): void {
  if (node.message !== null) visit(node.message);
  for (const [name, child] of node.children) if (!first || !name.startsWith('$')) everything(child, false, visit);
}
