// The log: one line an event, as JSON for machines or as text for people. It does not know where the lines go; it is given
// a function that takes them.
import type { Log, LogFields } from '../core/log.ts';

/** From the most to the fewest lines. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export interface LineLogOptions {
  readonly level: LogLevel;
  readonly format: 'json' | 'pretty';
  readonly colour: boolean;
  /** Milliseconds since 1970. */
  readonly wall: () => number;
  /** Takes one line with its line feed. */
  readonly write: (line: string) => void;
}

/** ANSI colours of the level's word. */
const COLOURS: Readonly<Record<string, string>> = { debug: '90', info: '36', warn: '33', error: '31' };

/** A stack or a text of a peer's may be as long as it likes; a line is not. */
const VALUE_MAX = 8_192;

export class LineLog implements Log {
  private readonly options: LineLogOptions;
  private readonly least: number;

  constructor(options: LineLogOptions) {
    this.options = options;
    this.least = LOG_LEVELS.indexOf(options.level);
  }

  debug(text: string, fields?: LogFields): void {
    this.line('debug', text, fields);
  }

  info(text: string, fields?: LogFields): void {
    this.line('info', text, fields);
  }

  warn(text: string, fields?: LogFields): void {
    this.line('warn', text, fields);
  }

  error(text: string, fields?: LogFields): void {
    this.line('error', text, fields);
  }

  private line(level: LogLevel, text: string, fields: LogFields = {}): void {
    if (LOG_LEVELS.indexOf(level) < this.least) return;
    const time = new Date(this.options.wall()).toISOString();
    this.options.write(
      this.options.format === 'json' ? jsonLine(time, level, text, fields) : this.pretty(time, level, text, fields),
    );
  }

  private pretty(time: string, level: LogLevel, text: string, fields: LogFields): string {
    const word = level.padEnd(5);
    const shown = this.options.colour ? `\u001b[${COLOURS[level]}m${word}\u001b[0m` : word;
    let line = `${time.slice(11, 23)} ${shown} ${visible(text)}`;
    let below = '';
    for (const [name, value] of Object.entries(fields)) {
      if (name === 'stack') below += `\n${indent(String(value).slice(0, VALUE_MAX))}`;
      else line += ` ${name}=${typeof value === 'string' ? quoted(value) : String(value)}`;
    }
    return `${line}${below}\n`;
  }
}

function jsonLine(time: string, level: LogLevel, text: string, fields: LogFields): string {
  const short: Record<string, string | number | boolean | null> = {};
  for (const [name, value] of Object.entries(fields))
    short[name] = typeof value === 'string' ? value.slice(0, VALUE_MAX) : value;
  // Its own three names come last, so that no field can pass for them.
  return `${JSON.stringify({ ...short, time, level, text })}\n`;
}

function quoted(value: string): string {
  const short = value.slice(0, VALUE_MAX);
  return /^[\w./:@+-]+$/.test(short) ? short : JSON.stringify(short);
}

/** What a peer said goes to a terminal without its control characters. */
function visible(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, (character) => JSON.stringify(character).slice(1, -1));
}

function indent(text: string): string {
  return text
    .split('\n')
    .map((line) => `    ${visible(line)}`)
    .join('\n');
}

/** How many lines of one kind are written a minute; the rest is counted. */
const A_MINUTE = 10;
const WINDOW_MS = 60_000;
/** Kinds that are told apart. */
const KINDS_MAX = 1_024;

/** Lets the first lines of a kind through and counts the rest, so that a peer cannot fill a disk with the log. */
export class RateLimited {
  private readonly kinds = new Map<string, { since: number; count: number }>();

  /** How many lines of this kind were left out before this one, or -1 when this one is left out too. */
  pass(kind: string, now: number): number {
    const seen = this.kinds.get(kind);
    if (seen === undefined || now - seen.since >= WINDOW_MS) {
      this.kinds.delete(kind);
      const [oldest] = this.kinds.keys();
      if (this.kinds.size >= KINDS_MAX && oldest !== undefined) this.kinds.delete(oldest);
      this.kinds.set(kind, { since: now, count: 1 });
      return seen === undefined ? 0 : Math.max(0, seen.count - A_MINUTE);
    }
    seen.count++;
    return seen.count > A_MINUTE ? -1 : 0;
  }
}
