// Retained values: the last one of each topic that has one, found by name or by filter.

import type { Message } from './contract.ts';
import { isApart } from './names.ts';

export interface RetainedNode {
  readonly children: Map<string, RetainedNode>;
  message: Message | null;
  /** Which of all changes set it. */
  changed: number;
}

export class RetainedValues {
  size = 0;
  /** How often something was set. */
  changes = 0;
  readonly root: RetainedNode = { children: new Map(), message: null, changed: 0 };

  get(topic: string): Message | null {
    let node: RetainedNode | undefined = this.root;
    for (const level of topic.split('/')) if ((node = node.children.get(level)) === undefined) return null;
    return node.message;
  }

  set(message: Message): void {
    let node = this.root;
    for (const level of message.topic.split('/')) {
      let next = node.children.get(level);
      if (next === undefined) node.children.set(level, (next = { children: new Map(), message: null, changed: 0 }));
      node = next;
    }
    if (node.message === null) this.size++;
    node.message = message;
    node.changed = ++this.changes;
  }

  delete(topic: string): boolean {
    const levels = topic.split('/');
    const path: RetainedNode[] = [];
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

function walk(node: RetainedNode, levels: readonly string[], at: number, visit: (message: Message) => void): void {
  if (at === levels.length) {
    if (node.message !== null) visit(node.message);
    return;
  }
  const level = levels[at]!;
  if (level === '#') {
    everything(node, at === 0, visit);
  } else if (level === '+') {
    for (const [name, child] of node.children) if (at > 0 || !isApart(name)) walk(child, levels, at + 1, visit);
  } else {
    const child = node.children.get(level);
    if (child !== undefined) walk(child, levels, at + 1, visit);
  }
}

function everything(node: RetainedNode, first: boolean, visit: (message: Message) => void): void {
  if (node.message !== null) visit(node.message);
  for (const [name, child] of node.children) if (!first || !isApart(name)) everything(child, false, visit);
}
