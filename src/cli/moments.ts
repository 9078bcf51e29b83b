// Times in commands: a while from now, or a date.
import { EXIT, fail } from './output.ts';

const UNITS: Readonly<Record<string, number>> = {
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
  y: 31_536_000_000,
};

/** `12h`, `30d`, `2027-01-31` or a time with its zone, in milliseconds since 1970. Ends the command when it is none. */
export function momentOf(text: string): number {
  const parts = /^(\d{1,4})([mhdwy])$/.exec(text);
  if (parts !== null) return Date.now() + Number(parts[1]) * UNITS[parts[2]!]!;
  const at = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (at > Date.now()) return at;
  return fail(`${text} is no time in the future: say 12h, 30d, 1y or a date as 2027-01-31`, EXIT.usage);
}

export function momentText(at: number): string {
  return at === 0 ? 'never' : new Date(at).toISOString().replace(/\.\d+Z$/, 'Z');
}
