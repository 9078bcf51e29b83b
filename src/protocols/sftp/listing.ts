// Files as SFTP shows them: their attributes, and a line as `ls -l` has it, which clients print as it is.
import { type Attributes, S_IFDIR, S_IFLNK, S_IFREG } from './codec.ts';

/** What is shown of a file. */
export interface Shown {
  readonly name: string;
  readonly folder: boolean;
  readonly link: string | null;
  readonly size: number;
  readonly modified: number;
  readonly accessed: number;
  readonly mode: number;
  readonly owner: string;
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const HALF_YEAR_MS = 15_778_800_000;

export function attributesOf({ folder, link, size, modified, accessed, mode }: Shown): Attributes {
  const kind = link !== null ? S_IFLNK : folder ? S_IFDIR : S_IFREG;
  return {
    size,
    // Accounts are no users of the system's.
    uid: 0,
    gid: 0,
    mode: kind | (mode & 0o777),
    accessed: Math.floor(accessed / 1_000),
    modified: Math.floor(modified / 1_000),
  };
}

/** @param wall milliseconds since 1970: what is older than half a year has its year in place of the time of day */
export function longName(shown: Shown, wall: number): string {
  const { name, folder, link, size, modified, mode, owner } = shown;
  let bits = link !== null ? 'l' : folder ? 'd' : '-';
  for (let bit = 8; bit >= 0; bit--) bits += mode & (1 << bit) ? 'xwr'[bit % 3]! : '-';
  const date = new Date(modified);
  const two = (value: number) => String(value).padStart(2, '0');
  const time =
    Math.abs(wall - modified) < HALF_YEAR_MS
      ? `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}`
      : ` ${date.getUTCFullYear()}`;
  const day = `${MONTHS[date.getUTCMonth()]} ${String(date.getUTCDate()).padStart(2)}`;
  const who = owner === '' ? 'portico' : owner;
  return `${bits}    1 ${who.padEnd(8)} ${who.padEnd(8)} ${String(size).padStart(8)} ${day} ${time} ${name}`;
}
