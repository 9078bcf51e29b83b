// Lines of `ls -l`, which is what LIST of servers without MLSD answers. Times in them are of no known zone: they are left out.
import type { Facts } from './remote.ts';

const LINE =
  /^([-dlbcps])[-rwxsStT]{9}[.+@]?\s+\d+\s+\S+\s+\S+\s+(\d+)\s+[A-Z][a-z]{2}\s+\d{1,2}\s+(?:\d{4}|\d\d?:\d\d) (.+)$/;

/** Null for what is no entry. */
export function readLongLine(line: string): Facts | null {
  const [, type, size, name] = LINE.exec(line) ?? [];
  if (type === undefined) return null;
  const kind = type === '-' ? 'file' : type === 'd' ? 'folder' : 'other';
  return { name: name!, kind, size: kind === 'file' ? Number(size) : -1, modified: -1, tag: '' };
}
