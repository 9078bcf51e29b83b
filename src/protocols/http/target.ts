// The target of a request (RFC 9112 §3.2): its path and query, decoded.

export interface Target {
  /** As it was sent, without query; `*` for the whole server. */
  readonly path: string;
  /** Without `?`; '' for none. */
  readonly query: string;
}

/** The parts of a target in origin-form, absolute-form or asterisk-form. */
export function splitTarget(target: string): Target {
  let start = 0;
  if (target.charCodeAt(0) !== 0x2f && target !== '*') {
    const scheme = target.indexOf('://');
    if (scheme > 0) {
      start = scheme + 3;
      while (start < target.length && target[start] !== '/' && target[start] !== '?') start++;
    }
  }
  const mark = target.indexOf('?', start);
  const path = mark < 0 ? target.slice(start) : target.slice(start, mark);
  return { path: path === '' ? '/' : path, query: mark < 0 ? '' : target.slice(mark + 1) };
}

/** Percent-decodes a path (RFC 3986 §2.1); null when it is not UTF-8 or an escape is broken. */
export function decodePath(path: string): string | null {
  if (!path.includes('%')) return path;
  try {
    return decodeURIComponent(path);
  } catch {
    return null;
  }
}

/** What follows `prefix` in a target's path, decoded: `/topics/a%20b?x` below `/topics/` is `a b`. Null when broken. */
export function belowPath(target: string, prefix: string): string | null {
  return decodePath(splitTarget(target).path.slice(prefix.length));
}
