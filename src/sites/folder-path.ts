// From the path of a request to a path below a folder. It decides by the text alone: nothing is read from the disk.
import { decodePath } from '../protocols/http/target.ts';

/** Names that begin with a dot are not served, but for this one (RFC 8615). */
const WELL_KNOWN = '.well-known';

/** The longest name that file systems take, and the longest path. */
const NAME_BYTES_MAX = 255;
const PATH_BYTES_MAX = 4_096;

/**
 * The names below the folder, decoded, the last one `''` for a path that ends with `/`. Null for what must not or cannot be
 * a file there: broken escapes, NUL and other controls, `.` and `..`, hidden names, separators within a name.
 */
export function namesOf(path: string): string[] | null {
  const names: string[] = [];
  const parts = path.split('/');
  for (const [index, part] of parts.entries()) {
    const name = decodePath(part);
    if (name === null) return null;
    const isLast = index === parts.length - 1;
    if (name === '' && isLast) names.push('');
    // Two slashes: another path, which is not that of the file (the rules of a cache before us may not see it so).
    else if (!isName(name)) return null;
    else names.push(name);
  }
  return Buffer.byteLength(names.join('/')) > PATH_BYTES_MAX ? null : names;
}

function isName(name: string): boolean {
  if (name === '' || (name.startsWith('.') && name !== WELL_KNOWN)) return false;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is refused
  if (/[\u0000-\u001f\u007f/\\]/.test(name)) return false;
  // Streams and devices of Windows: `x::$DATA`, `nul`, `com1.txt`, names that end with a dot.
  if (process.platform === 'win32' && /[:<>"|?*]|[. ]$|^(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)/i.test(name))
    return false;
  return Buffer.byteLength(name) <= NAME_BYTES_MAX;
}
