// Which paths a tree takes.

/** Whether a path may be used in a tree: see `Tree`. The root, `''`, is one. */
export function isTreePath(path: string): boolean {
  if (path === '') return true;
  for (const level of path.split('/')) {
    if (level === '' || level === '.' || level === '..' || Buffer.byteLength(level) > 255) return false;
    for (let at = 0; at < level.length; at++) {
      const code = level.charCodeAt(at);
      if (code < 0x20 || code === 0x7f) return false;
    }
  }
  return Buffer.byteLength(path) <= 4_096;
}

/** The folder that a path is in; `''` for what is in the root. */
export function parentOf(path: string): string {
  return path.slice(0, Math.max(0, path.lastIndexOf('/')));
}
