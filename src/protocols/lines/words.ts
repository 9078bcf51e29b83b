// The words of Lines: its verbs, what an answer says for each outcome, and which topics must be written escaped so that a
// message is never taken for something else.
import {
  BUSY,
  DENIED,
  EXISTS,
  FAILED,
  FULL,
  GONE,
  INVALID,
  LATE,
  MISSING,
  OK,
  type Outcome,
  type OutcomeTable,
  STALE,
  UNKNOWN,
  UNSUPPORTED,
} from '../../core/outcome.ts';

/** An empty line. */
export const NOTHING = 0;
export const UNHEARD = 1;
export const PUB = 2;
export const PUT = 3;
export const PUBB = 4;
export const PUTB = 5;
export const DEL = 6;
export const SUB = 7;
export const UNSUB = 8;
export const LAST = 9;
export const NAME = 10;
export const SLOW = 11;
export const JSON_MODE = 12;
export const TEXT_MODE = 13;
export const PING = 14;
export const HELP = 15;
export const QUIT = 16;

/** By verb: how an error names it. `-` is no command's. */
export const VERBS: readonly string[] = [
  '-',
  '-',
  'PUB',
  'PUT',
  'PUBB',
  'PUTB',
  'DEL',
  'SUB',
  'UNSUB',
  'LAST',
  'NAME',
  'SLOW',
  'JSON',
  'TEXT',
  'PING',
  'HELP',
  'QUIT',
];

/** A word of at most five letters as a number, whatever their case; 0 for what is not one. */
export function wordCode(word: string): number {
  let code = 0;
  for (let at = 0; at < word.length; at++) code = code * 32 + (word.charCodeAt(at) & 31);
  return code;
}

/** Verb by word code. */
export const VERB_OF: ReadonlyMap<number, number> = new Map(
  VERBS.flatMap((word, verb) => (verb >= PUB ? [[wordCode(word), verb] as const] : [])),
);

/** Whether a verb is followed by raw bytes. */
export function hasBody(verb: number): boolean {
  return verb === PUBB || verb === PUTB;
}

/**
 * Whether a command waits until all before it have ended, so that it sees what they did: a LAST behind a PUT finds it, and
 * what is written as JSON does not depend on how long a commit takes.
 */
export function waitsForAll(verb: number): boolean {
  return verb >= SUB && verb <= TEXT_MODE;
}

/** What stands at the head of a server's line that is neither a message nor begins with `+` or `-`. */
const SERVER_WORDS = ['GAP', 'B64', 'MSGB', 'CHALLENGE', 'TOOBIG'];

/** Topics that are written with their first character escaped: a line that began with them would say something else. */
const RESERVED: ReadonlySet<string> = new Set([...SERVER_WORDS, ...VERBS.slice(PUB)]);

export function isReservedWord(topic: string): boolean {
  if (topic.charCodeAt(0) === 0x2d) return true;
  if (topic.length > 10) return false;
  const word = topic.endsWith('!') ? topic.slice(0, -1) : topic;
  return RESERVED.has(word.toUpperCase());
}

/** What Lines calls each outcome. */
export const OUTCOME_WORDS: OutcomeTable<string> = {
  [OK]: 'OK',
  [DENIED]: 'DENIED',
  [UNKNOWN]: 'UNKNOWN',
  [MISSING]: 'MISSING',
  [EXISTS]: 'EXISTS',
  [INVALID]: 'INVALID',
  [STALE]: 'STALE',
  [FULL]: 'FULL',
  [BUSY]: 'BUSY',
  [LATE]: 'LATE',
  [GONE]: 'GONE',
  [UNSUPPORTED]: 'UNSUPPORTED',
  [FAILED]: 'FAILED',
};

/** And says about it, where nothing more exact is known. */
export const OUTCOME_TEXTS: OutcomeTable<string> = {
  [OK]: 'done',
  [DENIED]: 'this is not allowed',
  [UNKNOWN]: 'sign in first: NAME <name> <password>',
  [MISSING]: 'there is none',
  [EXISTS]: 'there is one already',
  [INVALID]: 'this is not a topic or filter',
  [STALE]: 'it has changed meanwhile',
  [FULL]: 'there is no more space',
  [BUSY]: 'try again later',
  [LATE]: 'it took too long',
  [GONE]: 'the server is going away',
  [UNSUPPORTED]: 'this cannot be done here',
  [FAILED]: 'the server failed to do it',
};

const BY_WORD: ReadonlyMap<string, Outcome> = new Map(
  Object.entries(OUTCOME_WORDS).map(([outcome, word]) => [word, Number(outcome) as Outcome]),
);

/** The outcome behind a word of an error; FAILED for one that is not known. */
export function outcomeOf(word: string): Outcome {
  return BY_WORD.get(word) ?? FAILED;
}

/** How messages of a subscription are written: as text where they are, always base64, or with a length and raw bytes. */
export type Encoding = 'auto' | 'base64' | 'raw';

export const HELP_LINES: readonly string[] = [
  'PUB <topic> <payload>        publish            PUT the same, and retain it',
  'PUBB <topic> <length>        publish that many bytes, which follow the line   PUTB the same, and retain',
  'DEL <topic>                  clear what is retained',
  'SUB <filter> [after=<cursor>] [encoding=base64|raw]    UNSUB <filter>',
  'LAST <topic>                 what is retained',
  'NAME <name> [<password>]     sign in    SLOW disconnect|drop-oldest|keep-latest    before the first SUB',
  'JSON  TEXT                   how answers and messages are written',
  'PING  HELP  QUIT',
  'Only errors are answered; with ! behind the verb (PUB! a 1) success is as well: +OK',
];
