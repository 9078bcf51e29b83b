// What the rules let whom do. A denial wins over all that is allowed; what no rule allows is denied. What was decided for a
// caller and a name is kept until rules, groups or accounts change. It does not store anything.
import { type Caller, OPERATOR } from '../../../core/caller.ts';
import { ALL, type Coverage, KINDS, type Kind, NONE, SOME, VERBS, type Verb } from '../../../core/permissions.ts';
import type { Groups, RuleBook } from '../accounts.ts';
import { patternFor, type Rule, readRule, readScope, type Scope } from './language.ts';
import { fits, isCovered, meet, ONE, type Pattern, patternOf, REST } from './patterns.ts';

/** A rule as it is stored or configured. */
export interface Numbered {
  /** `config` for those of the configuration, `default` and `built-in` for our own. */
  readonly id: string;
  readonly rule: Rule;
}

/** The folder in which each account has one of its own. */
const HOMES = 'home';

/** What is so whatever the rules say, but that a denial takes away a home; administrators are above all of them. */
export const BUILT_IN: readonly Numbered[] = own('built-in', [
  `allow everyone read,write,delete,list files/${HOMES}/{account}/#`,
  'deny * * topics/accounts/#',
  'deny * * topics/connections/#',
]);

/** What holds while there are no rules of one's own: whoever has an account may use the topics and the shared folder. */
export const DEFAULTS: readonly Numbered[] = own('default', [
  'allow everyone publish,subscribe,read,delete topics/#',
  'allow everyone subscribe,read topics/$SYS/#',
  'allow everyone read,write,delete,list files/shared/#',
]);

function own(id: string, texts: readonly string[]): Numbered[] {
  return texts.map((text) => ({ id, rule: readRule(text) as Rule }));
}

/** The group whose members may do all. */
export const ADMINS = 'admins';

/** Callers of whom it is kept what they may. */
const CLASSES_MAX = 10_000;
/** Characters of all names of which it is kept what was decided, and what one costs beside them. */
const KEPT_MAX = 33_554_432;
const KEPT_EACH = 96;
/** Longer names are decided each time: whoever has many of them would fill the memory. */
const NAME_KEPT_MAX = 256;
/** Past so many pairs it is not worked out whether denials take away all that is allowed: each name is asked instead. */
const PAIRS_MAX = 100_000;

/** One bit a verb. */
const BITS = Object.fromEntries(VERBS.map((verb, index) => [verb, 1 << index])) as Readonly<Record<Verb, number>>;
/** Shifted by so much, the bit says that it was decided. */
const DECIDED = VERBS.length;

interface Line {
  readonly numbered: Numbered;
  readonly verbs: number;
  readonly pattern: Pattern;
}

/** A level in the tree of patterns. */
interface Node {
  children: Map<string, Node> | null;
  one: Node | null;
  /** Verbs of the patterns that end here, and of those that go on with `#`. */
  here: number;
  rest: number;
}

const nodeOf = (): Node => ({ children: null, one: null, here: 0, rest: 0 });

/** Patterns of one effect and kind. */
class Lines {
  readonly all: Line[] = [];
  private readonly root = nodeOf();

  add(line: Line): void {
    this.all.push(line);
    let node = this.root;
    for (const level of line.pattern) {
      if (level === REST) {
        node.rest |= line.verbs;
        return;
      }
      if (level === ONE) node = node.one ??= nodeOf();
      else {
        node.children ??= new Map();
        let next = node.children.get(level);
        if (next === undefined) node.children.set(level, (next = nodeOf()));
        node = next;
      }
    }
    node.here |= line.verbs;
  }

  has(bit: number, levels: readonly string[]): boolean {
    return has(this.root, bit, levels, 0);
  }
}

function has(node: Node, bit: number, levels: readonly string[], at: number): boolean {
  // A leading wildcard stands for nothing that begins with `$`.
  const wild = at > 0 || !levels[0]!.startsWith('$');
  if (wild && (node.rest & bit) !== 0) return true;
  if (at === levels.length) return (node.here & bit) !== 0;
  const child = node.children?.get(levels[at]!);
  if (child !== undefined && has(child, bit, levels, at + 1)) return true;
  return wild && node.one !== null && has(node.one, bit, levels, at + 1);
}

type LinesByKind = ReadonlyMap<Kind, Lines>;

/** Rules that are the same for all whom they are about, or that were written out for one account. */
interface Part {
  readonly allows: LinesByKind;
  readonly denies: LinesByKind;
}

/** What is said of one `who`: once for all, and what is written out for each account. */
interface About {
  readonly shared: Part;
  readonly templates: readonly Numbered[];
}

/** All callers of one account, its groups and scopes. */
interface Class {
  readonly isAdmin: boolean;
  readonly parts: readonly Part[];
  /** What a token is narrowed to; null for nothing. */
  readonly scopes: LinesByKind | null;
  /** What was decided, by kind and name; and of filters. */
  readonly decided: Map<Kind, Map<string, number>>;
  readonly coverage: Map<string, Coverage>;
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
  /** The stored rules of the last time, as they were read. */
  private stored: readonly unknown[] = [];
  private read = new WeakMap<object, Numbered[]>();
  /** By whom they are about. */
  private readonly byWho = new Map<string, Numbered[]>();
  private readonly abouts = new Map<string, About>();
  private readonly classes = new Map<string, Class>();
  private ofCaller = new WeakMap<Caller, Class>();
  private last: Caller | null = null;
  private lastClass: Class = NOTHING;
  /** Characters of the names that are kept, of all classes. */
  private kept = 0;

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
    const isSame =
      stored.length === this.stored.length && stored.every((record, index) => record === this.stored[index]);
    if (!isSame || this.epoch === 0) this.index(stored);
    this.epoch++;
    this.forget();
  }

  private index(stored: readonly unknown[]): void {
    this.stored = [...stored];
    const own = [...this.configured, ...stored.flatMap((record) => this.readOnce(record))];
    this.standing = [...BUILT_IN, ...(own.length === 0 ? DEFAULTS : own)];
    this.byWho.clear();
    this.abouts.clear();
    this.grantsAnonymous = false;
    for (const numbered of this.standing) {
      const { who, effect } = numbered.rule;
      const key = 'name' in who ? `${who.kind} ${who.name}` : who.kind;
      const others = this.byWho.get(key);
      if (others === undefined) this.byWho.set(key, [numbered]);
      else others.push(numbered);
      if (effect === 'allow' && (who.kind === 'anonymous' || who.kind === 'all')) this.grantsAnonymous = true;
    }
  }

  private readOnce(record: unknown): Numbered[] {
    if (typeof record !== 'object' || record === null) return numberedOf(record);
    let known = this.read.get(record);
    if (known === undefined) this.read.set(record, (known = numberedOf(record)));
    return known;
  }

  private forget(): void {
    this.classes.clear();
    this.ofCaller = new WeakMap();
    this.last = null;
    this.kept = 0;
  }

  may(caller: Caller, verb: Verb, kind: Kind, name: string): boolean {
    const of = caller === this.last ? this.lastClass : this.classOf(caller);
    const names = of.decided.get(kind);
    const bit = BITS[verb];
    const before = names?.get(name) ?? 0;
    if ((before & (bit << DECIDED)) !== 0) return (before & bit) !== 0;
    const allowed = decide(of, bit, kind, name);
    if (name.length <= NAME_KEPT_MAX) {
      if (before === 0) this.keeps(name);
      let kept = of.decided.get(kind);
      if (kept === undefined) of.decided.set(kind, (kept = new Map()));
      kept.set(name, before | (bit << DECIDED) | (allowed ? bit : 0));
    }
    return allowed;
  }

  /** Makes room for one more name: begun anew rather than one by one, since what is asked often is soon there again. */
  private keeps(name: string): void {
    this.kept += name.length + KEPT_EACH;
    if (this.kept <= KEPT_MAX) return;
    for (const of of [...this.classes.values(), EVERYTHING, NOTHING]) {
      of.decided.clear();
      of.coverage.clear();
    }
    this.kept = name.length + KEPT_EACH;
  }

  covers(caller: Caller, verb: Verb, kind: Kind, filter: string): Coverage {
    const of = this.classOf(caller);
    if (filter.length > NAME_KEPT_MAX) return coverageOf(of, BITS[verb], kind, filter);
    const key = `${verb} ${kind} ${filter}`;
    let coverage = of.coverage.get(key);
    if (coverage === undefined) {
      this.keeps(key);
      of.coverage.set(key, (coverage = coverageOf(of, BITS[verb], kind, filter)));
    }
    return coverage;
  }

  /** Which rule decides, and which others are about it. */
  explain(caller: Caller, verb: Verb, kind: Kind, name: string): Decision {
    const of = this.classOf(caller);
    const bit = BITS[verb];
    const levels = name.split('/');
    const about = (lines: LinesByKind) =>
      (lines.get(kind)?.all ?? []).filter(({ verbs, pattern }) => (verbs & bit) !== 0 && fits(pattern, levels));
    const denies = of.parts.flatMap((part) => about(part.denies)).map(({ numbered }) => numbered);
    const allows = of.parts.flatMap((part) => about(part.allows)).map(({ numbered }) => numbered);
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
    // What an issuer says of groups makes nobody an administrator: that is for the accounts here.
    const isAdmin = own.includes(ADMINS);
    const key = JSON.stringify([account, groups, scopes, isAdmin]);
    const known = this.classes.get(key);
    if (known !== undefined) return known;
    if (this.classes.size >= CLASSES_MAX) this.forget();
    const made = this.compile(account, groups, scopes, isAdmin);
    this.classes.set(key, made);
    return made;
  }

  private compile(
    account: string,
    groups: readonly string[],
    scopes: readonly string[] | null,
    isAdmin: boolean,
  ): Class {
    const whos = account === '' ? ['all', 'anonymous'] : ['all', 'everyone', `account ${account}`];
    for (const group of groups) whos.push(`group ${group}`);
    const abouts = whos.map((who) => this.aboutOf(who)).filter((about) => about !== null);
    const templates = abouts.flatMap((about) => about.templates);
    const parts = abouts.map(({ shared }) => shared);
    if (templates.length > 0) parts.push(partOf(templates, account));
    return {
      isAdmin,
      parts,
      scopes: scopes === null ? null : scopesOf(scopes, account),
      decided: new Map(),
      coverage: new Map(),
    };
  }

  /** What is said of a `who`, worked out once for all of them. */
  private aboutOf(who: string): About | null {
    const known = this.abouts.get(who);
    if (known !== undefined) return known;
    const rules = this.byWho.get(who);
    if (rules === undefined) return null;
    const isTemplate = ({ rule }: Numbered) => rule.path.includes('{account}');
    const about = {
      shared: partOf(
        rules.filter((numbered) => !isTemplate(numbered)),
        '',
      ),
      templates: rules.filter(isTemplate),
    };
    this.abouts.set(who, about);
    return about;
  }
}

const NOTHING: Class = { isAdmin: false, parts: [], scopes: null, decided: new Map(), coverage: new Map() };

const EVERYTHING: Class = { ...NOTHING, isAdmin: true, decided: new Map(), coverage: new Map() };

function decide({ isAdmin, parts, scopes }: Class, bit: number, kind: Kind, name: string): boolean {
  const levels = name.split('/');
  if (scopes !== null && scopes.get(kind)?.has(bit, levels) !== true) return false;
  if (isAdmin) return true;
  let isAllowed = false;
  for (const { allows, denies } of parts) {
    if (denies.get(kind)?.has(bit, levels) === true) return false;
    isAllowed ||= allows.get(kind)?.has(bit, levels) === true;
  }
  return isAllowed;
}

function coverageOf(of: Class, bit: number, kind: Kind, filter: string): Coverage {
  const wanted = patternOf(filter);
  const scopes = of.scopes === null ? null : patternsOf(of.scopes, kind, bit);
  const all = (side: 'allows' | 'denies') => of.parts.flatMap((part) => patternsOf(part[side], kind, bit));
  const allows = of.isAdmin ? [wanted] : all('allows');
  // Those that have nothing to do with it are most, where there are many.
  const denies = of.isAdmin ? [] : all('denies').filter((deny) => meet(deny, wanted) !== null);
  if (denies.length === 0 && isCovered(wanted, allows) && (scopes === null || isCovered(wanted, scopes))) return ALL;
  const met = allows.map((allow) => meet(allow, wanted)).filter((part) => part !== null);
  if (met.length > 0 && met.length * denies.length > PAIRS_MAX) return SOME;
  for (const part of met)
    for (const scope of scopes ?? [null]) {
      const both = scope === null ? part : meet(scope, part);
      if (both !== null && !isCovered(both, denies)) return SOME;
    }
  return NONE;
}

function partOf(rules: readonly Numbered[], account: string): Part {
  const lines = (effect: Rule['effect']) =>
    linesOf(
      rules.filter(({ rule }) => rule.effect === effect).map((numbered) => ({ numbered, of: numbered.rule })),
      account,
    );
  return { allows: lines('allow'), denies: lines('deny') };
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
