// Path templates of google.api.http: `/v1/{name=shelves/*}/books/{book}:publish`. Each is a pattern made once; what it captures
// is decoded segment by segment, so that an escaped slash stays within its segment.
import { decodePath } from '../http/target.ts';

export interface Template {
  readonly text: string;
  /** Fields of the input by their `protoName`s, in the order in which they stand. */
  readonly fields: readonly string[];
  /** The first segment, where it is literal; `''` for a template that begins with a variable. */
  readonly first: string;
  /** Higher is tried before lower: literal segments before `*` before `**`. */
  readonly rank: number;
  /** What a path gives for each of `fields`; null when it does not fit, or an escape in it is broken. */
  match(path: string): string[] | null;
}

const ESCAPED = /[.*+?^${}()|[\]\\]/g;

/** Throws a RangeError that says what is wrong with the template. */
export function templateOf(text: string): Template {
  if (!text.startsWith('/')) throw new RangeError(`${text} does not begin with a slash`);
  const colon = text.lastIndexOf(':');
  const verb = colon > text.lastIndexOf('/') && colon > text.lastIndexOf('}') ? text.slice(colon) : '';
  const path = text.slice(1, verb === '' ? undefined : colon);
  const fields: string[] = [];
  let pattern = '';
  let rank = 0;
  for (const part of segmentsOf(path)) {
    const found = /^\{([a-zA-Z_][\w.]*)(?:=(.+))?\}$/.exec(part);
    if (found === null && /[{}]/.test(part)) throw new RangeError(`${text}: ${part} is no variable and no literal`);
    if (found !== null) fields.push(found[1]!);
    const inner = (found === null ? part : (found[2] ?? '*')).split('/').map((segment) => {
      rank = rank * 4 + (segment === '**' ? 1 : segment === '*' ? 2 : 3);
      if (segment === '**') return '.*';
      return segment === '*' ? '[^/]+' : segment.replace(ESCAPED, '\\$&');
    });
    pattern += `/${found === null ? inner.join('/') : `(${inner.join('/')})`}`;
  }
  const whole = new RegExp(`^${pattern}${verb.replace(ESCAPED, '\\$&')}$`);
  const [first = ''] = path.split('/');
  return {
    text,
    fields,
    first: /[{*]/.test(first) ? '' : first,
    rank: rank + (verb === '' ? 0 : 1),
    match(target) {
      const found = whole.exec(target);
      if (found === null) return null;
      const values: string[] = [];
      for (let index = 1; index < found.length; index++) {
        const value = decodePath(found[index]!);
        if (value === null) return null;
        values.push(value);
      }
      return values;
    },
  };
}

/** Parts between slashes, of which those within braces do not count. */
function segmentsOf(path: string): string[] {
  const parts: string[] = [];
  let depth = 0;
  let part = '';
  for (const letter of path) {
    if (letter === '/' && depth === 0) {
      parts.push(part);
      part = '';
      continue;
    }
    if (letter === '{') depth++;
    if (letter === '}') depth--;
    part += letter;
  }
  return [...parts, part];
}
