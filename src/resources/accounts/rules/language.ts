// The language of rules: `allow @devices publish topics/devices/{account}/#`. One line a rule; it knows no account.
import { KINDS, type Kind, VERBS, type Verb } from '../../../core/permissions.ts';
import { LEVELS_MAX } from '../../topics/names.ts';
import { preparedName } from '../names.ts';
import { type Pattern, patternOf } from './patterns.ts';

export type Effect = 'allow' | 'deny';

/** Whom it is about: an account, the members of a group, who gave no name, all with an account, or all. */
export type Who =
  | { readonly kind: 'account' | 'group'; readonly name: string }
  | { readonly kind: 'anonymous' | 'everyone' | 'all' };

export interface Rule {
  readonly effect: Effect;
  readonly who: Who;
  readonly verbs: readonly Verb[];
  readonly kind: Kind;
  /** As it was written, with `{account}`. */
  readonly path: string;
  /** As it is written back. */
  readonly text: string;
}

/** What a token is narrowed to. */
export type Scope = Pick<Rule, 'verbs' | 'kind' | 'path'>;

const RULE_MAX = 2_048;
const VARIABLE = /\{[^{}]*\}/g;

/** Reads a rule; what is wrong with it, as text, when it is none. */
export function readRule(given: string): Rule | string {
  if (given.length > RULE_MAX) return `a rule is at most ${RULE_MAX} characters`;
  const words = given.trim().split(/\s+/);
  // `who: path: verbs` and the like are told what the form is, not guessed.
  const [effect, ...rest] = words;
  if (effect !== 'allow' && effect !== 'deny') return `a rule begins with allow or deny, ${FORM}`;
  if (rest.length !== 3) return `a rule is four words, ${FORM}`;
  const who = readWho(rest[0]!);
  if (typeof who === 'string') return who;
  const scope = readScope(`${rest[1]} ${rest[2]}`);
  if (typeof scope === 'string') return scope;
  return { effect, who, ...scope, text: [effect, whoText(who), rest[1]!.toLowerCase(), rest[2]].join(' ') };
}

const FORM = 'as in: allow @devices publish,subscribe topics/devices/{account}/#';

/** Reads `verbs kind/path`, of a rule or a token. */
export function readScope(given: string): Scope | string {
  const [verbList, place, more] = given.trim().split(/\s+/);
  if (verbList === undefined || place === undefined || more !== undefined)
    return `${JSON.stringify(given)} is not verbs and a path, as in: publish,subscribe topics/ci/#`;
  const verbs: Verb[] = [];
  for (const word of verbList.toLowerCase().split(',')) {
    if (word === '*') verbs.push(...VERBS);
    else if ((VERBS as readonly string[]).includes(word)) verbs.push(word as Verb);
    else return `${JSON.stringify(word)} is no verb; there are ${VERBS.join(', ')}, and * for all`;
  }
  const slash = place.indexOf('/');
  const kind = slash < 0 ? place : place.slice(0, slash);
  if (!(KINDS as readonly string[]).includes(kind))
    return `${JSON.stringify(kind)} is no kind of resource; there are ${KINDS.join(', ')}`;
  const path = slash < 0 ? '#' : place.slice(slash + 1);
  const problem = pathProblem(path);
  return problem ?? { verbs: [...new Set(verbs)], kind: kind as Kind, path };
}

function readWho(word: string): Who | string {
  if (word === 'anonymous' || word === 'everyone') return { kind: word };
  if (word === '*') return { kind: 'all' };
  const isGroup = word.startsWith('@');
  const name = preparedName(isGroup ? word.slice(1) : word);
  if (name === null)
    return `${JSON.stringify(word)} is nobody; write an account, @group, everyone (with an account), anonymous, or *`;
  return { kind: isGroup ? 'group' : 'account', name };
}

export function whoText(who: Who): string {
  if (who.kind === 'account') return who.name;
  if (who.kind === 'group') return `@${who.name}`;
  return who.kind === 'all' ? '*' : who.kind;
}

function pathProblem(path: string): string | null {
  if (path === '') return 'the path is empty; # stands for all of it';
  if (path.includes('\0')) return 'the path has a NUL';
  const levels = path.split('/');
  if (levels.length > LEVELS_MAX) return `a path has at most ${LEVELS_MAX} levels`;
  for (const [index, level] of levels.entries()) {
    if (level === '#' && index < levels.length - 1) return '# stands for all that follows: it is the last of a path';
    if (level.length > 1 && /[+#]/.test(level))
      return `+ and # stand for whole levels, which ${JSON.stringify(level)} is not`;
    for (const [variable] of level.matchAll(VARIABLE))
      if (variable !== '{account}') return `${variable} is not known; there is {account}`;
  }
  return null;
}

/**
 * The pattern of a path for one account. Null where it stands for nothing: without an account, `{account}` is nobody's, and
 * a name with a slash would be another path.
 */
export function patternFor(path: string, account: string): Pattern | null {
  if (!path.includes('{account}')) return patternOf(path);
  if (account === '' || account.includes('/')) return null;
  // Put in after the wildcards were read: what a name has of them is a name.
  return patternOf(path).map((level) => (typeof level === 'string' ? level.replaceAll('{account}', account) : level));
}
