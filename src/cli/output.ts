// How the commands speak to people and machines: colours that respect NO_COLOR, JSON on request, exit codes that mean
// something, a log for the server.
import type { Log, LogFields } from '../core/log.ts';

/** Exit codes, after sysexits. */
export const EXIT = {
  ok: 0,
  failed: 1,
  /** The command line was wrong. */
  usage: 64,
  /** What was to be reached could not be. */
  unavailable: 69,
  /** A bug of Portico's own. */
  software: 70,
  /** Something could not be read or written. */
  io: 74,
  /** Refused: by us, since it would not be safe, or by the server that was asked. */
  refused: 77,
  /** The configuration was wrong. */
  config: 78,
} as const;

const colourful = process.env.NO_COLOR === undefined && process.env.TERM !== 'dumb';

/** A style for a stream, or the text as it is where colours are not wanted. */
function styled(stream: NodeJS.WriteStream, code: number, text: string): string {
  return colourful && stream.isTTY ? `\u001b[${code}m${text}\u001b[0m` : text;
}

export const bold = (text: string) => styled(process.stdout, 1, text);
export const dim = (text: string) => styled(process.stdout, 2, text);
export const red = (text: string) => styled(process.stdout, 31, text);
export const green = (text: string) => styled(process.stdout, 32, text);
export const yellow = (text: string) => styled(process.stdout, 33, text);
export const blue = (text: string) => styled(process.stdout, 34, text);
export const cyan = (text: string) => styled(process.stdout, 36, text);

/** One line for a person, on standard error. */
export function complain(text: string): void {
  process.stderr.write(`${styled(process.stderr, 31, 'portico:')} ${text}\n`);
}

/** Ends with a message; for what went wrong before anything ran. */
export function fail(text: string, code: number): never {
  complain(text);
  process.exit(code);
}

/** Whoever reads us went away: that is no error of ours. */
export function quietPipes(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') process.exit(EXIT.ok);
    throw error;
  });
}

const ENDING_ROUNDS = 5;
const ENDING_MS = 2;

/**
 * Node waits for its compiling threads when it exits, and for ever where one of them waits for the collector, which only this
 * thread can run (nodejs/node#54918). A moment lets them finish, and between its parts the collector may run.
 */
export function endQuietly(): void {
  process.on('exit', () => {
    const still = new Int32Array(new SharedArrayBuffer(4));
    for (let round = 0; round < ENDING_ROUNDS; round++) Atomics.wait(still, 0, 0, ENDING_MS);
  });
}

const LEVELS = ['debug', 'info', 'warn', 'error'] as const;
type Level = (typeof LEVELS)[number];

/** A log on standard error: a line each, for people or as JSON. */
export function logTo(level: Level | 'silent', format: 'text' | 'json'): Log {
  const least = level === 'silent' ? LEVELS.length : LEVELS.indexOf(level);
  const write = (at: Level) => (text: string, fields?: LogFields) => {
    if (LEVELS.indexOf(at) < least) return;
    const time = new Date().toISOString();
    if (format === 'json') process.stderr.write(`${JSON.stringify({ time, level: at, text, ...fields })}\n`);
    else process.stderr.write(`${styled(process.stderr, 2, time)} ${at.padEnd(5)} ${text}${shown(fields)}\n`);
  };
  return { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
}

/** The fields of a line; a stack stands below it. What a peer said cannot move the cursor, colour or add a line. */
export function shown(fields: LogFields | undefined): string {
  if (fields === undefined) return '';
  return Object.entries(fields)
    .map(([key, value]) => {
      if (key === 'stack') return `\n${String(value).split('\n').map(visible).join('\n')}`;
      return ` ${key}=${visible(String(value))}`;
    })
    .join('');
}

/** Text of a peer's, with what would move the cursor, colour or add a line written out. */
export function visible(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  return text.replace(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, (found) => {
    return `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`;
  });
}
