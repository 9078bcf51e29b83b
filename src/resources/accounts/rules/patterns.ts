// Patterns of resource names, `+` for one level and `#` for all that follow, and what sets of them have in common: exactly,
// for all names that there could be. A leading wildcard stands for no name that begins with `$`.

/** A level that is a name, a wildcard, or, at the end, the rest. */
export const ONE = Symbol('+');
export const REST = Symbol('#');
export type Level = string | typeof ONE | typeof REST;
export type Pattern = readonly Level[];

export function patternOf(text: string): Pattern {
  return text.split('/').map((level) => (level === '+' ? ONE : level === '#' ? REST : level));
}

export function patternText(pattern: Pattern): string {
  return pattern.map((level) => (level === ONE ? '+' : level === REST ? '#' : level)).join('/');
}

/** Whether it stands for a name; `a/#` stands for `a` too. */
export function fits(pattern: Pattern, levels: readonly string[]): boolean {
  const [first] = pattern;
  if (typeof first === 'symbol' && levels[0]!.startsWith('$')) return false;
  for (let at = 0; at < pattern.length; at++) {
    const level = pattern[at]!;
    if (level === REST) return true;
    if (at >= levels.length) return false;
    if (level !== ONE && level !== levels[at]) return false;
  }
  return pattern.length === levels.length;
}

/** The pattern of the names that both stand for; null for none. */
export function meet(one: Pattern, other: Pattern): Pattern | null {
  const both: Level[] = [];
  for (let at = 0; ; at++) {
    const a = one[at];
    const b = other[at];
    if (a === REST || b === REST) {
      const tail = a === REST ? other.slice(at) : one.slice(at);
      both.push(...tail);
      break;
    }
    if (a === undefined || b === undefined) {
      if (a !== b) return null;
      break;
    }
    if (typeof a === 'string' && typeof b === 'string' && a !== b) return null;
    const level = typeof a === 'string' ? a : b;
    // A wildcard in front is never `$SYS`.
    if (at === 0 && typeof level === 'string' && level.startsWith('$') && (a === ONE || b === ONE)) return null;
    both.push(level);
  }
  // `#` in front was met with a name that begins with `$`.
  const [first] = both;
  if (typeof first === 'string' && first.startsWith('$') && (one[0] === REST || other[0] === REST)) return null;
  return both;
}

/** Whether every name that `inner` stands for has one among `outer` that stands for it. */
export function isCovered(inner: Pattern, outer: readonly Pattern[]): boolean {
  return covered(inner, 0, outer, 0);
}

/** @param rest those of `outer` that fit as far as `depth` levels; `at` is where `inner` is, which stays at its `#` */
function covered(inner: Pattern, at: number, rest: readonly Pattern[], depth: number): boolean {
  if (rest.length === 0) return false;
  const level = inner[at];
  // `#` takes all that follows, and nothing as well.
  if (rest.some((pattern) => pattern[depth] === REST && (depth > 0 || !isHidden(level)))) return true;
  if (level === undefined) return rest.some((pattern) => pattern.length === depth);
  if (typeof level === 'string') {
    const next = rest.filter(
      (pattern) => pattern[depth] === level || (pattern[depth] === ONE && (depth > 0 || !isHidden(level))),
    );
    return covered(inner, at + 1, next, depth + 1);
  }
  // A name that stands in none of them is the hardest: what covers that covers all.
  const next = rest.filter((pattern) => pattern[depth] === ONE);
  if (level === ONE) return covered(inner, at + 1, next, depth + 1);
  // `#`: it may end here, where there is something before it, or go on.
  const mayEnd = depth > 0 && !rest.some((pattern) => pattern.length === depth);
  if (mayEnd) return false;
  return covered(inner, at, next, depth + 1);
}

function isHidden(level: Level | undefined): boolean {
  return typeof level === 'string' && level.startsWith('$');
}
