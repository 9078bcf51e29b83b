// Threads of messages (RFC 5256 §3): by subject, and by the references that they make to one another.
import type { Candidate } from './match.ts';
import { baseSubject, sentDate } from './sort.ts';

/** References of one message that are followed, and how deep a thread may be: what is deeper begins one of its own. */
const REFERENCES_MAX = 200;
const DEPTH_MAX = 100;

export interface Threaded {
  readonly place: number;
  readonly date: number;
  readonly subject: string;
  readonly isReply: boolean;
  readonly id: string;
  readonly references: readonly string[];
}

export function threadedOf(one: Candidate, byReferences: boolean): Threaded {
  const { base, isReply } = baseSubject(one.field('subject') ?? '');
  const plain = { place: one.place, date: sentDate(one), subject: base, isReply };
  if (!byReferences) return { ...plain, id: '', references: [] };
  const references = idsOf(one.field('references'));
  if (references.length === 0) references.push(...idsOf(one.field('in-reply-to')).slice(0, 1));
  return { ...plain, id: idsOf(one.field('message-id'))[0] ?? '', references: references.slice(-REFERENCES_MAX) };
}

function idsOf(text: string | null): string[] {
  return (text ?? '').match(/<[^<>\s]+>/g) ?? [];
}

/** One message with what answers it; without a message it only holds others together. */
interface Node {
  readonly message: Threaded | null;
  parent: Node | null;
  readonly children: Set<Node>;
}

/** `number` names the message at a place. */
export function threads(all: readonly Threaded[], byReferences: boolean, number: (place: number) => number): string {
  const ordered = [...all].sort((one, other) => one.date - other.date || one.place - other.place);
  const roots = byReferences ? bySubjects(byReferenced(ordered)) : bySubject(ordered);
  return roots.map((root) => `(${textOf(root, number)})`).join('');
}

const node = (message: Threaded | null): Node => ({ message, parent: null, children: new Set() });

function link(parent: Node, child: Node): void {
  let depth = 0;
  for (let up: Node | null = parent; up !== null; up = up.parent) if (up === child || ++depth >= DEPTH_MAX) return;
  child.parent?.children.delete(child);
  child.parent = parent;
  parent.children.add(child);
}

/** ORDEREDSUBJECT: the first of each subject, and all others below it. */
function bySubject(ordered: readonly Threaded[]): Node[] {
  const firsts = new Map<string, Node>();
  for (const message of ordered) {
    const first = firsts.get(message.subject);
    if (first === undefined) firsts.set(message.subject, node(message));
    else link(first, node(message));
  }
  return [...firsts.values()];
}

function byReferenced(ordered: readonly Threaded[]): Node[] {
  const known = new Map<string, Node>();
  const all: Node[] = [];
  for (const message of ordered) {
    const own = node(message);
    all.push(own);
    // Of messages with one id the first has it (RFC 5256 §3, step 1).
    if (message.id !== '' && !known.has(message.id)) known.set(message.id, own);
  }
  for (const own of all.slice()) {
    const { references } = own.message!;
    let parent: Node | null = null;
    for (const id of references) {
      let next = known.get(id);
      if (next === undefined) {
        next = node(null);
        known.set(id, next);
        all.push(next);
      }
      if (parent !== null && next.parent === null && next !== parent) link(parent, next);
      parent = next;
    }
    if (parent !== null && parent !== own) {
      own.parent?.children.delete(own);
      own.parent = null;
      link(parent, own);
    }
  }
  return all.filter(({ parent }) => parent === null).flatMap((root) => pruned(root, true));
}

/** Without those that have no message: their children take their place; at the root only if there is one. */
function pruned(of: Node, isRoot: boolean): Node[] {
  const children = [...of.children].flatMap((child) => pruned(child, false));
  of.children.clear();
  if (of.message === null && (!isRoot || children.length < 2)) {
    for (const child of children) child.parent = null;
    return children;
  }
  for (const child of children) {
    child.parent = of;
    of.children.add(child);
  }
  return [of];
}

function first(of: Node): Threaded {
  let least = of.message;
  if (least !== null) return least;
  for (const child of of.children) {
    const message = first(child);
    if (least === null || message.date < least.date || (message.date === least.date && message.place < least.place))
      least = message;
  }
  return least!;
}

const byDate = (one: Node, other: Node): number =>
  first(one).date - first(other).date || first(one).place - first(other).place;

/** Threads of one subject are one (RFC 5256 §3, step 5). */
function bySubjects(roots: Node[]): Node[] {
  const subjects = new Map<string, Node>();
  for (const root of [...roots].sort(byDate)) {
    const { subject, isReply } = first(root);
    if (subject === '') continue;
    const known = subjects.get(subject);
    if (known === undefined || (known.message !== null && root.message === null) || (first(known).isReply && !isReply))
      subjects.set(subject, root);
  }
  const made = new Set<Node>();
  for (const root of roots) {
    const known = subjects.get(first(root).subject);
    if (known === undefined || known === root) made.add(root);
    else if (known.message === null)
      for (const child of root.message === null ? [...root.children] : [root]) link(known, child);
    else if (first(root).isReply && !first(known).isReply) link(known, root);
    else {
      // Neither answers the other: both below one that has no message.
      const both = node(null);
      made.delete(known);
      link(both, known);
      link(both, root);
      subjects.set(first(root).subject, both);
      made.add(both);
    }
  }
  return [...made].filter(({ parent }) => parent === null).sort(byDate);
}

function textOf(of: Node, number: (place: number) => number): string {
  const own = of.message === null ? '' : String(number(of.message.place));
  const children = [...of.children].sort(byDate);
  if (children.length === 0) return own;
  const rest =
    children.length === 1 && own !== ''
      ? textOf(children[0]!, number)
      : children.map((child) => `(${textOf(child, number)})`).join('');
  return own === '' ? rest : `${own} ${rest}`;
}
