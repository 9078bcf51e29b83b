// What the rules let whom do. A denial wins over all that is allowed; what no rule allows is denied. What was decided for a
// caller and a name is kept until rules, groups or accounts change. It does not store anything.
import { type Caller, OPERATOR } from '../../../core/caller.ts';
import { ALL, type Coverage, KINDS, type Kind, NONE, SOME, VERBS, type Verb } from '../../../core/permissions.ts';
import type { Groups, RuleBook } from '../accounts.ts';
import { patternFor, type Rule, readRule, readScope, type Scope } from './language.ts';
import { fits, isCovered, meet, type Pattern, patternOf } from './patterns.ts';

/** A rule as it is stored or configured. */
export interface Numbered {
  /** `config` for those of the configuration, `default` and `built-in` for our own. */
  readonly id: string;
  readonly rule: Rule;
}

/** What is so whatever the rules say; administrators are above all of them. */
export const BUILT_IN: readonly Numbered[] = own('built-in', [
  'deny * * topics/accounts/#',
  'deny * * topics/connections/#',
]);

/** What holds while there are no rules of one's own: whoever has an account may use the topics. */
export const DEFAULTS: readonly Numbered[] = own('default', [
  'allow everyone publish,subscribe,read,delete topics/#',
  'allow everyone subscribe,read topics/$SYS/#',
]);

function own(id: string, texts: readonly string[]): Numbered[] {
  return texts.map((text) => ({ id, rule: readRule(text) as Rule }));
}

/** The group whose members may do all. */
export const ADMINS = 'admins';

/** Callers of whom it is kept what they may, and names of each. */
const CLASSES_MAX = 10_000;
const NAMES_MAX = 4_096;

/** One bit a verb. */
const BITS = Object.fromEntries(VERBS.map((verb, index) => [verb, 1 << index])) as Readonly<Record<Verb, number>>;
/** Shifted by so much, the bit says that it was decided. */
const DECIDED = VERBS.length;

interface Line {
  readonly numbered: Numbered;
  readonly verbs: number;
  readonly pattern: Pattern;
}

/** Rules of one effect and kind, found by the first level of a name. */
class Lines {
  readonly all: Line[] = [];
  private readonly byFirst = new Map<string, Line[]>();
  private readonly wild: Line[] = [];

  add(line: Line): void {
    this.all.push(line);
    const [first] = line.pattern;
    if (typeof first !== 'string') {
      this.wild.push(line);
      return;
    }
    const others = this.byFirst.get(first);
    if (others === undefined) this.byFirst.set(first, [line]);
    else others.push(line);
  }

  has(bit: number, levels: readonly string[]): boolean {
    const about = ({ verbs, pattern }: Line) => (verbs & bit) !== 0 && fits(pattern, levels);
    return this.wild.some(about) || this.byFirst.get(levels[0]!)?.some(about) === true;
  }
}

type LinesByKind = ReadonlyMap<Kind, Lines>;

/** All callers of one account, its groups and scopes. */
interface Class {
  readonly isAdmin: boolean;
  /** By kind. */
  readonly allows: LinesByKind;
  readonly denies: LinesByKind;
  /** What a token is narrowed to; null for nothing. */
  readonly scopes: LinesByKind | null;
  /** What was decided, by kind and name. */
  readonly decided: Map<Kind, Map<string, number>>;
}

/** Why a caller may or may not. */
export interface Decision {
  readonly allowed: boolean;
  readonly why: string;
  /** What decided it; null when no rule did. */
  readonly by: Numbered | null;
  /** All that are about it. */
  readonly matching: readonly Numbered[];
}

export class Rules implements RuleBook {
  epoch = 0;
  grantsAnonymous = false;
  /** Those that hold now, in the order in which they are shown. */
  standing: readonly Numbered[] = [];
  private readonly configured: readonly Numbered[];
  private groups: Groups = { groupsOf: () => null };
  /** By whom they are about. */
  private readonly byWho = new Map<string, Numbered[]>();
  private readonly classes = new Map<string, Class>();
  private ofCaller = new WeakMap<Caller, Class>();
  private last: Caller | null = null;
  private lastClass: Class = NOTHING;

  /** @param configured rules of the configuration, as text. Throws a RangeError for one that cannot be read. */
  constructor(configured: readonly string[] = []) {
    this.configured = configured.map((text) => {
      const rule = readRule(text);
      if (typeof rule === 'string') throw new RangeError(`${JSON.stringify(text)}: ${rule}`);
      return { id: 'config', rule };
    });
  }

  replace(stored: readonly unknown[], groups: Groups): void {
    this.groups = groups;
    const own = [...this.configured, ...stored.flatMap(numberedOf)];
    this.standing = [...BUILT_IN, ...(own.length === 0 ? DEFAULTS : own)];
    this.byWho.clear();
    this.grantsAnonymous = false;
    for (const numbered of this.standing) {
      const { who, effect } = numbered.rule;
      const key = 'name' in who ? `${who.kind} ${who.name}` : who.kind;
      const others = this.byWho.get(key);
      if (others === undefined) this.byWho.set(key, [numbered]);
      else others.push(numbered);
      if (effect === 'allow' && (who.kind === 'anonymous' || who.kind === 'all')) this.grantsAnonymous = true;
    }
    this.epoch++;
    this.classes.clear();
    this.ofCaller = new WeakMap();
    this.last = null;
  }

  may(caller: Caller, verb: Verb, kind: Kind, name: string): boolean {
    const of = caller === this.last ? this.lastClass : this.classOf(caller);
    const names = of.decided.get(kind);
    const bit = BITS[verb];
    const before = names?.get(name) ?? 0;
    if ((before & (bit << DECIDED)) !== 0) return (before & bit) !== 0;
    const allowed = decide(of, bit, kind, name);
    this.keep(of, kind, name, before | (bit << DECIDED) | (allowed ? bit : 0));
    return allowed;
  }

  private keep({ decided }: Class, kind: Kind, name: string, bits: number): void {
    let names = decided.get(kind);
    if (names === undefined) decided.set(kind, (names = new Map()));
    // Begun anew rather than one by one: whoever asks for so many names does not ask for the same ones again.
    else if (names.size >= NAMES_MAX && !names.has(name)) names.clear();
    names.set(name, bits);
  }

  covers(caller: Caller, verb: Verb, kind: Kind, filter: string): Coverage {
    const of = this.classOf(caller);
    const bit = BITS[verb];
    const wanted = patternOf(filter);
    const scopes = of.scopes === null ? null : patternsOf(of.scopes, kind, bit);
    const allows = of.isAdmin ? [patternOf('#'), patternOf('$SYS/#')] : patternsOf(of.allows, kind, bit);
    const denies = of.isAdmin ? [] : patternsOf(of.denies, kind, bit);
    // Whatever begins with `$` is not within `#`.
    if (of.isAdmin && typeof wanted[0] === 'string' && scopes === null) return ALL;
    const isWhole = (set: readonly Pattern[]) => isCovered(wanted, set);
    if (isWhole(allows) && (scopes === null || isWhole(scopes)) && denies.every((deny) => meet(deny, wanted) === null))
      return ALL;
    for (const allow of allows) {
      const part = meet(allow, wanted);
      if (part === null) continue;
      for (const scope of scopes ?? [null]) {
        const both = scope === null ? part : meet(scope, part);
        if (both !== null && !isCovered(both, denies)) return SOME;
      }
    }
    return NONE;
  }

  /** Which rule decides, and which others are about it. */
  explain(caller: Caller, verb: Verb, kind: Kind, name: string): Decision {
    const of = this.classOf(caller);
    const bit = BITS[verb];
    const levels = name.split('/');
    const about = (lines: LinesByKind) =>
      (lines.get(kind)?.all ?? []).filter(({ verbs, pattern }) => (verbs & bit) !== 0 && fits(pattern, levels));
    const denies = about(of.denies).map(({ numbered }) => numbered);
    const allows = about(of.allows).map(({ numbered }) => numbered);
    const matching = [...denies, ...allows];
    if (of.scopes !== null && about(of.scopes).length === 0)
      return { allowed: false, why: 'the token is not for that', by: null, matching };
    if (of.isAdmin) return { allowed: true, why: `a member of @${ADMINS} may do all`, by: null, matching };
    const by = denies[0] ?? allows[0] ?? null;
    if (by === null) return { allowed: false, why: 'no rule allows it', by, matching };
    return {
      allowed: denies.length === 0,
      why: denies.length === 0 ? 'a rule allows it' : 'a rule denies it',
      by,
      matching,
    };
  }

  private classOf(caller: Caller): Class {
    if (caller === this.last) return this.lastClass;
    let of = this.ofCaller.get(caller);
    if (of === undefined) this.ofCaller.set(caller, (of = this.sharedClassOf(caller)));
    this.last = caller;
    this.lastClass = of;
    return of;
  }

  private sharedClassOf(caller: Caller): Class {
    if (caller === OPERATOR) return EVERYTHING;
    const { account, scopes } = caller;
    const own = account === '' ? [] : this.groups.groupsOf(account);
    // No such account any more.
    if (own === null) return NOTHING;
    const groups = [...new Set([...own, ...(caller.groups ?? [])])].sort();
    const key = JSON.stringify([account, groups, scopes]);
    const known = this.classes.get(key);
    if (known !== undefined) return known;
    const made = this.compile(account, groups, scopes);
    if (this.classes.size >= CLASSES_MAX) this.classes.clear();
    this.classes.set(key, made);
    return made;
  }

  private compile(account: string, groups: readonly string[], scopes: readonly string[] | null): Class {
    const whos = account === '' ? ['all', 'anonymous'] : ['all', 'everyone', `account ${account}`];
    for (const group of groups) whos.push(`group ${group}`);
    const rules = whos.flatMap((who) => this.byWho.get(who) ?? []);
    const lines = (effect: Rule['effect']) =>
      linesOf(
        rules.filter(({ rule }) => rule.effect === effect).map((numbered) => ({ numbered, of: numbered.rule })),
        account,
      );
    return {
      isAdmin: groups.includes(ADMINS),
      allows: lines('allow'),
      denies: lines('deny'),
      scopes: scopes === null ? null : scopesOf(scopes, account),
      decided: new Map(),
    };
  }
}

const NOTHING: Class = {
  isAdmin: false,
  allows: new Map(),
  denies: new Map(),
  scopes: null,
  decided: new Map(),
};

const EVERYTHING: Class = { ...NOTHING, isAdmin: true, decided: new Map() };

function decide({ isAdmin, allows, denies, scopes }: Class, bit: number, kind: Kind, name: string): boolean {
  const levels = name.split('/');
  const has = (lines: LinesByKind) => lines.get(kind)?.has(bit, levels) === true;
  if (scopes !== null && !has(scopes)) return false;
  return isAdmin || (has(allows) && !has(denies));
}

function patternsOf(lines: LinesByKind, kind: Kind, bit: number): Pattern[] {
  return (lines.get(kind)?.all ?? []).filter(({ verbs }) => (verbs & bit) !== 0).map(({ pattern }) => pattern);
}

function linesOf(rules: readonly { readonly numbered: Numbered; readonly of: Scope }[], account: string): LinesByKind {
  const lines = new Map<Kind, Lines>();
  for (const { numbered, of } of rules) {
    const pattern = patternFor(of.path, account);
    if (pattern === null) continue;
    let verbs = 0;
    for (const verb of of.verbs) verbs |= BITS[verb];
    let ofKind = lines.get(of.kind);
    if (ofKind === undefined) lines.set(of.kind, (ofKind = new Lines()));
    ofKind.add({ numbered, verbs, pattern });
  }
  return lines;
}

/** A scope that cannot be read gives nothing. */
function scopesOf(scopes: readonly string[], account: string): LinesByKind {
  const read = scopes.map(readScope).filter((scope): scope is Scope => typeof scope !== 'string');
  return linesOf(
    read.map((of) => ({ numbered: BUILT_IN[0]!, of })),
    account,
  );
}

/** A stored rule. One that cannot be read may have been a denial: then nobody may do anything until it is mended. */
function numberedOf(record: unknown): Numbered[] {
  const { id, text } = (typeof record === 'object' && record !== null ? record : {}) as Record<string, unknown>;
  const rule = typeof text === 'string' ? readRule(text) : '';
  if (typeof rule !== 'string') return [{ id: String(id), rule }];
  return KINDS.map((kind) => ({ id: `${String(id)} (unreadable)`, rule: readRule(`deny * * ${kind}/#`) as Rule }));
}
