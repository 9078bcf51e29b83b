// What outcomes of the files are as answers, how paths stand in targets, and the frame of a request that waits for a disk.
import type { Exchange } from '../../core/exchange.ts';
import type { Fault } from '../../core/fault.ts';
import { Fields } from '../../core/fields.ts';
import * as O from '../../core/outcome.ts';
import type { Host } from '../../core/protocol.ts';
import { NEVER } from '../../core/time.ts';
import type { FileFacts, Files } from '../../resources/files/contract.ts';
import type { Resources } from '../../resources/resources.ts';
import { answerOutcome, answerProblem } from '../http/answers.ts';
import { dateText } from '../http/dates.ts';
import { decodePath, splitTarget } from '../http/target.ts';
import type { limits } from './limits.ts';

export type FilesHost = Host<Resources, typeof limits>;

/** As much of it as reading and writing need. */
export type TreeHost = Host<Resources, Pick<typeof limits, 'pageEntries'>>;

export const PREFIX = '/files/';

const DETAILS: O.OutcomeTable<string> = {
  [O.OK]: '',
  [O.DENIED]: 'The rules do not let you do this here.',
  [O.UNKNOWN]: 'Sign in first.',
  [O.MISSING]: 'There is nothing at this path, or the folder that it is to be in is not there.',
  [O.EXISTS]: 'There is something already, or the folder is not empty.',
  [O.INVALID]: 'This cannot be done to what is at this path, or no file can have this name.',
  [O.STALE]: 'It is not in the state that the request asks for.',
  [O.FULL]: 'The disk is full, or a quota is.',
  [O.BUSY]: 'It is locked, or the server has too much to do.',
  [O.LATE]: 'It took too long.',
  [O.GONE]: 'The server is going away.',
  [O.UNSUPPORTED]: 'This cannot be done here.',
  [O.FAILED]: 'The disk failed.',
};

/** As the caller is told: what is locked is 423, everything else as for all resources. */
export function answerFileOutcome(exchange: Exchange, outcome: O.Outcome, files: Files, path: string): void {
  if (outcome === O.BUSY && files.locks.on(path, true).length > 0)
    answerProblem(exchange, 423, 'It is locked.', new Fields(), { outcome: O.OUTCOME_NAMES[outcome] });
  else answerOutcome(exchange, outcome, DETAILS[outcome]);
}

export function refuse(exchange: Exchange, fault: Fault, fields = new Fields()): void {
  answerProblem(exchange, fault.wire, fault.text, fields);
}

/** The path of the files that a target names, without slashes at its ends; null for a broken escape. */
export function pathOf(target: string, prefix: string = PREFIX): string | null {
  const { path } = splitTarget(target);
  const below = decodePath(path.slice(prefix.length));
  return below === null ? null : below.endsWith('/') ? below.slice(0, -1) : below;
}

/** A path as it stands in a target. */
export function encodedPath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}

export function etagOf({ version }: FileFacts): string {
  return `"${version}"`;
}

/** What a client may want to know of what it wrote. */
export function writtenFields(facts: FileFacts, wall: number): Fields {
  return Fields.of({
    etag: etagOf(facts),
    'last-modified': dateText(Math.min(facts.modified, wall)),
    'content-location': PREFIX + encodedPath(facts.path),
  });
}

/** Whether a request is still there to be answered. */
export interface Waiting {
  isOver: boolean;
}

/**
 * Does what a request asks for while nothing of it is read; `work` answers it. Errors that nobody foresaw are the server's
 * own to tell.
 */
export function during(
  exchange: Exchange,
  host: Pick<TreeHost, 'bug'>,
  work: (waiting: Waiting) => Promise<void>,
): void {
  const waiting = { isOver: false };
  exchange.deadline = NEVER;
  exchange.on = {
    writable() {},
    tick() {},
    leave() {},
    lost() {
      waiting.isOver = true;
    },
  };
  work(waiting).catch((error: unknown) => {
    const { connection, method } = exchange;
    if (host.bug !== undefined) host.bug(error, 'files over HTTP', { connection, method });
    if (!waiting.isOver) answerOutcome(exchange, O.FAILED, DETAILS[O.FAILED]);
  });
}
