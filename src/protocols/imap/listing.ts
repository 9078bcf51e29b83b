// LIST and LSUB (RFC 9051 §6.3.9, RFC 5258, RFC 6154, RFC 5819): which names match, and what is said of each.
import type { FolderFacts, SpecialUse } from '../../resources/mail/contract.ts';
import type { CommandReader } from './codec.ts';

const SP = 0x20;
const CLOSE = 0x29;

export const USE_NAMES: Readonly<Record<Exclude<SpecialUse, '' | 'inbox'>, string>> = {
  drafts: '\\Drafts',
  sent: '\\Sent',
  junk: '\\Junk',
  trash: '\\Trash',
  archive: '\\Archive',
};

export const STATUS_ITEMS: ReadonlySet<string> = new Set([
  ...['MESSAGES', 'RECENT', 'UIDNEXT', 'UIDVALIDITY', 'UNSEEN', 'DELETED', 'SIZE', 'HIGHESTMODSEQ', 'APPENDLIMIT'],
]);

export interface ListWish {
  reference: string;
  readonly patterns: string[];
  /** Only those that are subscribed; only those with a use. */
  onlySubscribed: boolean;
  onlySpecial: boolean;
  recursive: boolean;
  tellSubscribed: boolean;
  /** Items of STATUS for each; empty for none. */
  readonly status: string[];
}

/** Patterns of one command, and characters of one. */
const PATTERNS_MAX = 20;
const PATTERN_MAX = 255;

export function readListWish(said: CommandReader): ListWish {
  const wish: ListWish = {
    reference: '',
    patterns: [],
    onlySubscribed: false,
    onlySpecial: false,
    recursive: false,
    tellSubscribed: false,
    status: [],
  };
  said.space();
  if (said.opens()) {
    readSelection(said, wish);
    said.space();
  }
  wish.reference = said.mailboxOrNone();
  said.space();
  if (said.opens()) {
    do wish.patterns.push(said.pattern());
    while (said.ok && said.takes(SP));
    said.needs(CLOSE);
  } else wish.patterns.push(said.pattern());
  if (wish.patterns.length > PATTERNS_MAX || wish.patterns.some((pattern) => pattern.length > PATTERN_MAX))
    said.bad('That is too long.');
  if (said.takes(SP)) {
    if (said.word() !== 'RETURN') said.bad('There is more than belongs there.');
    said.space();
    said.needs(0x28);
    readReturn(said, wish);
  }
  return wish;
}

function readSelection(said: CommandReader, wish: ListWish): void {
  while (said.ok && !said.closes()) {
    switch (said.word()) {
      case 'SUBSCRIBED':
        wish.onlySubscribed = true;
        break;
      case 'RECURSIVEMATCH':
        wish.recursive = true;
        break;
      case 'SPECIAL-USE':
        wish.onlySpecial = true;
        break;
      case 'REMOTE':
        break;
      default:
        said.bad('LIST does not know how to select that.');
    }
    if (said.peek() !== CLOSE) said.space();
  }
  if (wish.recursive && !wish.onlySubscribed) said.bad('RECURSIVEMATCH needs something that matches (RFC 5258 §3).');
}

function readReturn(said: CommandReader, wish: ListWish): void {
  while (said.ok && !said.closes()) {
    switch (said.word()) {
      case 'SUBSCRIBED':
        wish.tellSubscribed = true;
        break;
      case 'CHILDREN':
      case 'SPECIAL-USE':
        // Always told.
        break;
      case 'STATUS':
        said.space();
        wish.status.push(...readStatusItems(said));
        break;
      default:
        said.bad('LIST does not know how to return that.');
    }
    if (said.peek() !== CLOSE) said.space();
  }
}

/** `(MESSAGES UNSEEN)` */
export function readStatusItems(said: CommandReader): string[] {
  const items: string[] = [];
  said.needs(0x28);
  do {
    const item = said.word();
    if (!STATUS_ITEMS.has(item)) said.bad('STATUS does not know this item.');
    else if (!items.includes(item)) items.push(item);
  } while (said.ok && said.takes(SP));
  said.needs(CLOSE);
  return items;
}

/** Whether a name matches: `*` stands for anything, `%` for anything but `/`. */
export function matches(pattern: string, name: string): boolean {
  if (pattern === '*') return true;
  if (!/[*%]/.test(pattern)) return pattern === name;
  // Places in the pattern that the name so far may have led to.
  let now = new Uint8Array(pattern.length + 1);
  let next = new Uint8Array(pattern.length + 1);
  now[0] = 1;
  for (let index = 0; index <= name.length; index++) {
    const char = name[index];
    let isAny = false;
    for (let at = 0; at <= pattern.length; at++) {
      if (now[at] === 0) continue;
      const wanted = pattern[at];
      const isWild = wanted === '*' || wanted === '%';
      // It may stand for nothing.
      if (isWild) now[at + 1] = 1;
      if (char === undefined) continue;
      if (wanted === '*' || (wanted === '%' && char !== '/')) next[at] = 1;
      else if (wanted === char && !isWild) next[at + 1] = 1;
      else continue;
      isAny = true;
    }
    if (char === undefined) return now[pattern.length] === 1;
    if (!isAny) return false;
    [now, next] = [next, now];
    next.fill(0);
  }
  return false;
}

export interface Listed {
  readonly name: string;
  readonly attributes: string[];
  readonly exists: boolean;
  /** One below it is subscribed (RFC 5258 §3.5). */
  readonly childInfo: boolean;
}

export interface Folders {
  readonly folders: readonly FolderFacts[];
  readonly subscriptions: readonly string[];
}

/** Those that a LIST is answered with, in their order. */
export function listed(wish: ListWish, { folders, subscriptions }: Folders): Listed[] {
  const found: Listed[] = [];
  const facts = new Map(folders.map((folder) => [folder.name, folder]));
  const subscribed = new Set(subscriptions);
  const parents = parentsOf(folders.map(({ name }) => name));
  const patterns = wish.patterns.map((pattern) => plainInbox(wish.reference + pattern));
  const names = new Set(facts.keys());
  if (wish.onlySubscribed) for (const name of subscribed) names.add(name);
  // Levels that are only there for what is below them.
  else if (patterns.some((pattern) => pattern.includes('%'))) for (const parent of parents) names.add(parent);
  const subscribedParents = wish.recursive ? parentsOf([...subscribed]) : new Set<string>();
  if (wish.recursive) for (const parent of subscribedParents) names.add(parent);
  for (const name of names) {
    if (!patterns.some((pattern) => fits(pattern, name))) continue;
    const folder = facts.get(name);
    const childInfo = subscribedParents.has(name);
    if (wish.onlySubscribed && !subscribed.has(name) && !childInfo) continue;
    const use = folder === undefined || folder.use === '' || folder.use === 'inbox' ? '' : USE_NAMES[folder.use];
    if (wish.onlySpecial && use === '') continue;
    const attributes: string[] = [];
    if (folder === undefined) attributes.push('\\NonExistent');
    if ((wish.onlySubscribed || wish.tellSubscribed) && subscribed.has(name)) attributes.push('\\Subscribed');
    attributes.push(parents.has(name) ? '\\HasChildren' : '\\HasNoChildren');
    if (use !== '') attributes.push(use);
    found.push({ name, attributes, exists: folder !== undefined, childInfo });
  }
  return found;
}

/** As `matches`; INBOX by its letters in any case. */
function fits(pattern: string, name: string): boolean {
  return matches(name === 'INBOX' ? pattern.toUpperCase() : pattern, name);
}

/** INBOX is the same in any case (RFC 9051 §5.1). */
function plainInbox(pattern: string): string {
  return pattern.replace(/^inbox(?=\/|[*%]?$)/i, 'INBOX');
}

function parentsOf(names: readonly string[]): Set<string> {
  const parents = new Set<string>();
  for (const name of names)
    for (let slash = name.lastIndexOf('/'); slash > 0; slash = name.lastIndexOf('/', slash - 1)) {
      const parent = name.slice(0, slash);
      if (parents.has(parent)) break;
      parents.add(parent);
    }
  return parents;
}

/** What LSUB tells (RFC 3501 §6.3.9): with `%`, the level above a subscribed name that does not match itself. */
export function subscribedNames(
  wish: ListWish,
  { folders, subscriptions }: Folders,
): { readonly name: string; readonly isLevel: boolean }[] {
  const patterns = wish.patterns.map((pattern) => plainInbox(wish.reference + pattern));
  const facts = new Set(folders.map(({ name }) => name));
  const found = new Map<string, boolean>();
  for (const name of subscriptions) {
    if (patterns.some((pattern) => fits(pattern, name))) {
      found.set(name, !facts.has(name));
      continue;
    }
    for (const parent of parentsOf([name]))
      if (patterns.some((pattern) => pattern.endsWith('%') && matches(pattern, parent)) && !found.has(parent))
        found.set(parent, true);
  }
  return [...found].map(([name, isLevel]) => ({ name, isLevel }));
}
