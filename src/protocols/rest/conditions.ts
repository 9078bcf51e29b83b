// The preconditions of a request against the state of what it names (RFC 9110 §13).
import type { Fields } from '../../core/fields.ts';

export interface State {
  /** With its quotes. */
  readonly etag: string;
  /** Milliseconds since 1970. */
  readonly lastModified: number;
}

const NAMES = ['if-match', 'if-none-match', 'if-modified-since', 'if-unmodified-since'];

export function isConditional(fields: Fields): boolean {
  return NAMES.some((name) => fields.has(name));
}

/** 0 to go on, or the status to answer with. `state` is null where nothing is there (§13.2.2). */
export function evaluate(method: string, fields: Fields, state: State | null): 0 | 304 | 412 {
  const reads = method === 'GET' || method === 'HEAD';
  const match = fields.joined('if-match');
  if (match !== null) {
    if (state === null || !(match.trim() === '*' || tagsOf(match).includes(state.etag))) return 412;
  } else {
    const before = dateOf(fields.get('if-unmodified-since'));
    if (before !== null && (state === null || seconds(state.lastModified) > before)) return 412;
  }
  const none = fields.joined('if-none-match');
  if (none !== null) {
    const found = state !== null && (none.trim() === '*' || tagsOf(none).some((tag) => weak(tag) === weak(state.etag)));
    if (found) return reads ? 304 : 412;
  } else if (reads) {
    const since = dateOf(fields.get('if-modified-since'));
    if (since !== null && state !== null && seconds(state.lastModified) <= since) return 304;
  }
  return 0;
}

const tagsOf = (list: string): string[] => list.match(/(?:W\/)?"[^"]*"/g) ?? [];
const weak = (tag: string): string => (tag.startsWith('W/') ? tag.slice(2) : tag);
const seconds = (ms: number): number => Math.floor(ms / 1_000) * 1_000;

function dateOf(text: string | null): number | null {
  const at = text === null ? Number.NaN : Date.parse(text);
  return Number.isNaN(at) ? null : at;
}
