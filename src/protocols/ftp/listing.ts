// How folders are shown: as `ls -l` does (LIST), as bare names (NLST), and as facts (RFC 3659 §7). It knows no connection.
import { timeText } from './codec.ts';
import type { FileFacts } from './upper.ts';

export const LONG_FORM = 0;
export const NAMES = 1;
export const FACTS = 2;
export type ListingForm = typeof LONG_FORM | typeof NAMES | typeof FACTS;

/** The facts that are known, in the order in which they are told (RFC 3659 §7.5). */
export const FACT_NAMES = ['type', 'size', 'modify', 'perm', 'unique', 'unix.mode'] as const;
export type FactName = (typeof FACT_NAMES)[number];

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** From then on a year is shown in place of the time, as `ls` does. */
const HALF_A_YEAR_MS = 15_778_476_000;

export function longLine({ name, folder, size, modified, mode }: FileFacts, wall: number): string {
  const date = new Date(modified);
  const month = MONTHS[date.getUTCMonth()]!;
  const day = String(date.getUTCDate()).padStart(2);
  const age = wall - modified;
  const clock = `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}`;
  const when = age > HALF_A_YEAR_MS || age < -86_400_000 ? ` ${date.getUTCFullYear()}` : clock;
  return `${folder ? 'd' : '-'}${modeText(mode)}   1 portico  portico ${String(folder ? 0 : size).padStart(12)} ${month} ${day} ${when} ${name}`;
}

/** `rwxr-xr-x` */
function modeText(mode: number): string {
  let text = '';
  for (let bit = 8; bit >= 0; bit--) text += (mode >> bit) & 1 ? 'xwr'[bit % 3] : '-';
  return text;
}

function two(number: number): string {
  return String(number).padStart(2, '0');
}

/** `type=file;size=3;…; name`; `as` is what stands for the name, and the type may be that of the folder itself. */
export function factsLine(
  facts: FileFacts,
  chosen: ReadonlySet<FactName>,
  as = facts.name,
  kind: 'cdir' | 'pdir' | null = null,
): string {
  let line = '';
  for (const name of FACT_NAMES) {
    if (!chosen.has(name)) continue;
    const value = factOf(facts, name, kind);
    if (value !== null) line += `${NAME_ON_THE_WIRE[name]}=${value};`;
  }
  return `${line} ${as}`;
}

/** As they are told; asked for in any case. */
export const NAME_ON_THE_WIRE: Readonly<Record<FactName, string>> = {
  type: 'type',
  size: 'size',
  modify: 'modify',
  perm: 'perm',
  unique: 'unique',
  'unix.mode': 'UNIX.mode',
};

function factOf(facts: FileFacts, name: FactName, kind: string | null): string | null {
  const { folder, size, modified, unique, mode } = facts;
  switch (name) {
    case 'type':
      return kind ?? (folder ? 'dir' : 'file');
    case 'size':
      return folder ? null : String(size);
    case 'modify':
      return timeText(modified);
    case 'perm':
      return permOf(facts);
    case 'unique':
      return unique === '' ? null : unique;
    case 'unix.mode':
      return `0${mode.toString(8).padStart(3, '0')}`;
  }
}

/** What may be done with it (RFC 3659 §7.5.5). */
function permOf({ folder, writable, removable }: FileFacts): string {
  const change = removable ? 'df' : '';
  if (!folder) return `${writable ? 'a' : ''}${change}r${writable ? 'w' : ''}`;
  return `${writable ? 'c' : ''}${change}el${writable ? 'mp' : ''}`;
}

/** Whether a name fits a pattern of `*` and `?`, as old clients ask for by NLST. Linear in what it is given. */
export function fits(name: string, pattern: string): boolean {
  let at = 0;
  let to = 0;
  let star = -1;
  let mark = 0;
  while (at < name.length) {
    if (to < pattern.length && (pattern[to] === '?' || pattern[to] === name[at]) && pattern[to] !== '*') {
      at++;
      to++;
    } else if (pattern[to] === '*') {
      star = to++;
      mark = at;
    } else if (star >= 0) {
      to = star + 1;
      at = ++mark;
    } else return false;
  }
  while (pattern[to] === '*') to++;
  return to === pattern.length;
}

export function isPattern(name: string): boolean {
  return name.includes('*') || name.includes('?');
}
