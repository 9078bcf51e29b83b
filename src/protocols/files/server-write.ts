// PUT, DELETE, MOVE, COPY and MKCOL: a file appears whole, or nothing of it does.
import { createHash, type Hash } from 'node:crypto';
import type { Exchange } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import { DENIED, EXISTS, MISSING, OK, type Outcome } from '../../core/outcome.ts';
import type { FileFacts, IncomingFile, WriteWish } from '../../resources/files/contract.ts';
import { answerNothing, answerProblem } from '../http/answers.ts';
import { evaluate } from '../http/conditions.ts';
import { readDigests } from '../http/digests.ts';
import { Query } from '../http/query.ts';
import { decodePath, splitTarget } from '../http/target.ts';
import { faults } from './faults.ts';
import { answerFileOutcome, during, etagOf, PREFIX, refuse, type TreeHost, writtenFields } from './server-answers.ts';
import { Intake } from './server-intake.ts';

/** Tokens of locks that a request shows (RFC 4918 §10.4). */
export function locksOf({ fields }: Exchange): string[] {
  return [...(fields.joined('if') ?? '').matchAll(/<(urn:uuid:[^>]{1,100})>/g)].map(([, token]) => token!);
}

/** The conditions of a request, held against what is there: null when it is answered with 412. */
export function conditionOf(
  exchange: Exchange,
  there: FileFacts | null,
  wall: number,
): { readonly ifVersion?: string } | null {
  const { fields, method } = exchange;
  const current = there === null ? null : { etag: etagOf(there), lastModified: there.modified };
  if (evaluate(method, fields, current, wall) !== 0) return null;
  const isConditional = fields.has('if-match') || fields.has('if-none-match') || fields.has('if-unmodified-since');
  // What held now must still hold when it appears.
  return isConditional ? { ifVersion: there?.version ?? '' } : {};
}

/** `bytes first-last/length` of a body that is a part (RFC 9110 §14.5); null when it is none. */
function contentRange(text: string): { start: number; end: number; length: number } | null {
  const found = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/i.exec(text.trim());
  if (found === null) return null;
  const start = Number(found[1]);
  const end = Number(found[2]) + 1;
  const length = found[3] === '*' ? -1 : Number(found[3]);
  return end <= start || (length >= 0 && end > length) ? null : { start, end, length };
}

/** A time that a client gives, in seconds since 1970, as ownCloud's and rclone's clients do. */
function modifiedOf({ fields }: Exchange): { modified?: number } {
  const text = fields.get('x-oc-mtime') ?? '';
  return /^\d{1,11}(?:\.\d{1,9})?$/.test(text) ? { modified: Number(text) * 1_000 } : {};
}

/** What a protocol that goes further asks for beside. */
export interface Manner {
  /** Where the paths stand in targets. */
  readonly prefix: string;
  /** Whether folders are deleted with all that is in them. */
  readonly deep: boolean;
  /** Asked before anything is done: an outcome to answer with, or 0. */
  check(): Promise<Outcome>;
}

const PLAIN: Manner = { prefix: PREFIX, deep: false, check: async () => OK };

export function takePut(exchange: Exchange, host: TreeHost, path: string, manner: Manner = PLAIN): void {
  const { fields, caller } = exchange;
  const coding = fields.get('content-encoding');
  const part = fields.get('content-range');
  const range = part === null ? null : contentRange(part);
  const digests = digestsOf(exchange, range !== null);
  if (coding !== null && coding.toLowerCase() !== 'identity') refuse(exchange, faults.coded);
  else if (part !== null && range === null) refuse(exchange, faults.badRange);
  else if (digests === null) refuse(exchange, faults.badDigest);
  else {
    const files = host.resources.files!;
    const put = new Put(exchange, host, path, range, digests);
    const query = Query.of(splitTarget(exchange.target).query);
    void put.begin(async (there) => {
      const may = await manner.check();
      if (may !== OK) return may;
      const condition = conditionOf(exchange, there, host.clock.wall);
      if (condition === null) return null;
      const length = range?.length ?? Number(fields.get('content-length') ?? 0);
      const wish: WriteWish = {
        begin: range === null || range.start === 0 ? 'new' : 'resume',
        offset: range?.start ?? 0,
        locks: locksOf(exchange),
        folders: query !== null && query.get('folders') !== null,
        ...(length > 0 ? { length } : {}),
        ...condition,
        ...modifiedOf(exchange),
      };
      return files.write(caller, path, wish);
    });
  }
}

interface Sum {
  readonly hash: Hash;
  readonly wanted: Buffer;
}

/** What the whole body must hash to (RFC 9530 §2, §3); null when a field is malformed. */
function digestsOf({ fields }: Exchange, isPart: boolean): readonly Sum[] | null {
  const names = isPart ? ['content-digest'] : ['content-digest', 'repr-digest'];
  const sums: Sum[] = [];
  for (const name of names) {
    const found = readDigests(fields.joined(name));
    if (found === null) return null;
    for (const [algorithm, wanted] of found) sums.push({ hash: createHash(algorithm.replace('-', '')), wanted });
  }
  return sums;
}

/** One PUT: what was there, the body, the commit. */
class Put {
  private readonly exchange: Exchange;
  private readonly host: TreeHost;
  private readonly path: string;
  private readonly range: { start: number; end: number; length: number } | null;
  private readonly intake: Intake;
  private readonly sums: readonly Sum[];
  private file: IncomingFile | null = null;
  private there: FileFacts | null = null;
  private isOver = false;

  constructor(exchange: Exchange, host: TreeHost, path: string, range: Put['range'], sums: readonly Sum[]) {
    this.sums = sums;
    this.exchange = exchange;
    this.host = host;
    this.path = path;
    this.range = range;
    const ends = {
      ended: (isWhole: boolean) => void this.ended(isWhole),
      lost: () => {
        this.isOver = true;
        this.file?.suspend();
      },
    };
    const passing = (input: Uint8Array, start: number, end: number) => {
      for (const { hash } of sums) hash.update(input.subarray(start, end));
    };
    this.intake = new Intake(exchange, ends, sums.length === 0 ? null : passing);
  }

  async begin(write: (there: FileFacts | null) => Promise<IncomingFile | number | null>): Promise<void> {
    const files = this.host.resources.files!;
    const stat = await files.stat(this.exchange.caller, this.path);
    if (this.isOver) return;
    this.there = typeof stat === 'object' ? stat : null;
    const file = typeof stat === 'object' || stat === MISSING ? await write(this.there) : stat;
    if (typeof file === 'object' && file !== null) {
      this.file = file;
      if (this.isOver) file.abort();
      else this.intake.into(file);
      return;
    }
    if (this.isOver) return;
    this.isOver = true;
    if (file === null) refuse412(this.exchange);
    // A folder that is missing on the way is a conflict (RFC 4918 §9.7.1).
    else if (file === MISSING) answerFileOutcome(this.exchange, EXISTS, files, this.path);
    else answerFileOutcome(this.exchange, file as never, files, this.path);
    this.intake.drop();
  }

  private async ended(isWhole: boolean): Promise<void> {
    const { exchange, host, range } = this;
    const files = host.resources.files!;
    const file = this.file!;
    if (isWhole && range !== null && this.intake.came !== range.end - range.start) {
      file.suspend();
      refuse(exchange, faults.badRange);
      return;
    }
    if (isWhole && this.sums.some(({ hash, wanted }) => !hash.digest().equals(wanted))) {
      if (range === null) file.abort();
      else {
        file.truncate(range.start);
        file.suspend();
      }
      refuse(exchange, faults.wrongDigest);
      return;
    }
    // More of it is to come: it is kept until then.
    if (isWhole && range !== null && range.end < range.length) {
      file.suspend();
      answerNothing(exchange, 202, Fields.of({ 'upload-offset': String(range.end) }));
      return;
    }
    const facts = await file.commit();
    if (this.isOver) return;
    if (typeof facts === 'number') answerFileOutcome(exchange, facts, files, this.path);
    else answerNothing(exchange, this.there === null ? 201 : 204, writtenFields(facts, host.clock.wall));
  }
}

function refuse412(exchange: Exchange): void {
  answerProblem(exchange, 412, 'It is not in the state that the request asks for.');
}

export function takeDelete(exchange: Exchange, host: TreeHost, path: string, manner: Manner = PLAIN): void {
  const files = host.resources.files!;
  during(exchange, host, async (waiting) => {
    const stat = await files.stat(exchange.caller, path, false);
    const there = typeof stat === 'object' ? stat : null;
    const condition = there === null ? {} : conditionOf(exchange, there, host.clock.wall);
    if (waiting.isOver) return;
    if (condition === null) {
      refuse412(exchange);
      return;
    }
    const query = Query.of(splitTarget(exchange.target).query);
    const deep = manner.deep || (query !== null && query.get('deep') !== null);
    const may = await manner.check();
    const forever = query !== null && query.get('forever') !== null;
    const options = { locks: locksOf(exchange), deep, forever, ...condition };
    const outcome = may === OK ? await files.remove(exchange.caller, path, options) : may;
    if (waiting.isOver) return;
    if (outcome === OK) answerNothing(exchange, 204);
    else answerFileOutcome(exchange, outcome, files, path);
  });
}

/** The path that Destination names; a fault when it names none of ours. */
export function destinationOf(exchange: Exchange, prefix: string = PREFIX) {
  const text = exchange.fields.get('destination');
  if (text === null) return faults.badDestination;
  const absolute = /^https?:\/\/([^/]*)(\/.*)?$/i.exec(text);
  if (absolute !== null && absolute[1]!.toLowerCase() !== exchange.authority.toLowerCase()) return faults.elsewhere;
  const target = absolute === null ? text : (absolute[2] ?? '/');
  if (!target.startsWith(prefix) || target.includes('?')) return faults.badDestination;
  const path = decodePath(target.slice(prefix.length));
  if (path === null) return faults.badPath;
  return { path: path.endsWith('/') ? path.slice(0, -1) : path };
}

/** MOVE and COPY (RFC 4918 §9.8, §9.9). */
export function takeTransfer(exchange: Exchange, host: TreeHost, path: string, manner: Manner = PLAIN): void {
  const { prefix } = manner;
  const to = destinationOf(exchange, prefix);
  if ('wire' in to) {
    refuse(exchange, to);
    return;
  }
  const files = host.resources.files!;
  const { caller, fields, method } = exchange;
  during(exchange, host, async (waiting) => {
    const replace = fields.get('overwrite')?.toUpperCase() !== 'F';
    const deep = method === 'MOVE' || fields.get('depth') !== '0';
    const locks = locksOf(exchange);
    const there = await files.stat(caller, to.path, false);
    const isSame = to.path === path || to.path.startsWith(`${path}/`) || path.startsWith(`${to.path}/`);
    let outcome: Outcome = await manner.check();
    if (isSame) {
      if (!waiting.isOver) answerFileOutcome(exchange, DENIED, files, path);
      return;
    }
    if (outcome === OK && typeof there === 'object') {
      const source = await files.stat(caller, path, false);
      if (!replace) {
        if (!waiting.isOver) refuse412(exchange);
        return;
      }
      if (typeof source === 'number') outcome = source;
      // A folder takes the place of what is there, with all that is in it (RFC 4918 §9.8.4).
      else if (there.folder || source.folder) outcome = await files.remove(caller, to.path, { locks, deep: true });
    }
    if (outcome === OK) {
      const options = { locks, replace, deep };
      outcome = await (method === 'MOVE'
        ? files.move(caller, path, to.path, options)
        : files.copy(caller, path, to.path, options));
      // The folder that it is to be in is missing (RFC 4918 §9.8.5).
      if (outcome === MISSING && typeof (await files.stat(caller, path, false)) === 'object') outcome = EXISTS;
    }
    if (waiting.isOver) return;
    const locked = files.locks.on(path, true).length > 0 ? path : to.path;
    if (outcome !== OK) answerFileOutcome(exchange, outcome, files, locked);
    else if (typeof there === 'object') answerNothing(exchange, 204);
    else
      answerNothing(
        exchange,
        201,
        Fields.of({ location: prefix + to.path.split('/').map(encodeURIComponent).join('/') }),
      );
  });
}

/** MKCOL, and PUT of a path that ends with `/`. */
export function takeFolder(exchange: Exchange, host: TreeHost, path: string, manner: Manner = PLAIN): void {
  const files = host.resources.files!;
  during(exchange, host, async (waiting) => {
    const may = await manner.check();
    const locks = locksOf(exchange);
    const outcome = may === OK ? await files.makeFolder(exchange.caller, path, { locks }) : may;
    if (waiting.isOver) return;
    if (outcome === OK) answerNothing(exchange, 201);
    else if (outcome === MISSING) answerFileOutcome(exchange, EXISTS, files, path);
    else if (outcome === EXISTS) answerNothing(exchange, 405, Fields.of({ allow: 'GET, HEAD, DELETE, OPTIONS' }));
    else answerFileOutcome(exchange, outcome, files, path);
  });
}
