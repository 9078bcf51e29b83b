// The query of a target as names and values. A plus sign is a plus sign, not a space: filters of topics are full of them
// (RFC 3986 §3.4 gives it no other meaning; only HTML forms do).
import { decodePath } from './target.ts';

export class Query {
  /** Name, value, name, value; decoded. */
  private readonly list: readonly string[];

  private constructor(list: readonly string[]) {
    this.list = list;
  }

  /** Null when an escape is broken or is not UTF-8. */
  static of(query: string): Query | null {
    const list: string[] = [];
    for (const part of query.split('&')) {
      if (part === '') continue;
      const equals = part.indexOf('=');
      const name = decodePath(equals < 0 ? part : part.slice(0, equals));
      const value = decodePath(equals < 0 ? '' : part.slice(equals + 1));
      if (name === null || value === null) return null;
      list.push(name, value);
    }
    return new Query(list);
  }

  /** The last value of a name, or null: what is added to a query counts for more than what was there. */
  get(name: string): string | null {
    return this.all(name).at(-1) ?? null;
  }

  all(name: string): string[] {
    const { list } = this;
    const found: string[] = [];
    for (let at = 0; at < list.length; at += 2) if (list[at] === name) found.push(list[at + 1]!);
    return found;
  }

  /** A whole number; null where there is none, NaN for what is no number or too long to be exact. */
  number(name: string): number | null {
    const text = this.get(name);
    return text === null ? null : wholeNumber(text);
  }
}

/** Digits as a number that is exact; NaN for anything else. */
export function wholeNumber(text: string): number {
  const value = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  return Number.isSafeInteger(value) ? value : Number.NaN;
}
