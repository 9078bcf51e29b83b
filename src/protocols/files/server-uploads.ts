// Resumable uploads: by the IETF draft (draft-ietf-httpbis-resumable-upload) and by tus 1.0. An upload is a pending copy of
// its account; its name says the rest.
import { createHash, type Hash } from 'node:crypto';
import type { Exchange, ExchangeHandler } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import { BUSY, EXISTS, MISSING, OK, type Outcome } from '../../core/outcome.ts';
import type { IncomingFile } from '../../resources/files/contract.ts';
import { answerNothing, answerProblem } from '../http/answers.ts';
import { dateText } from '../http/dates.ts';
import { splitTarget } from '../http/target.ts';
import { faults } from './faults.ts';
import { answerFileOutcome, during, type FilesHost, refuse, writtenFields } from './server-answers.ts';
import { Intake } from './server-intake.ts';
import { locksOf } from './server-write.ts';
import {
  CHECKSUMS,
  readBoolean,
  readChecksum,
  readConcat,
  readCount,
  readMetadata,
  readUploadName,
  type UploadName,
  writeUploadName,
} from './upload-fields.ts';

export const UPLOADS = '/uploads/';
/** Uploads of which it is remembered that they are complete. */
const COMPLETE_MAX = 10_000;

export const TUS = {
  'tus-resumable': '1.0.0',
  'tus-version': '1.0.0',
  'tus-extension': 'creation,creation-with-upload,creation-defer-length,checksum,expiration,termination,concatenation',
  'tus-checksum-algorithm': CHECKSUMS,
} as const;

/** How one request adds to an upload. */
interface Step {
  readonly id: string;
  readonly name: UploadName;
  readonly offset: number;
  readonly isNew: boolean;
  readonly isTus: boolean;
  /** It is asked for by the file's own path: what a request there left is gone on with, and nothing is told of an upload. */
  readonly isOwn?: boolean;
  /** By the draft: this is the last of it. */
  readonly isLast: boolean;
  readonly checksum: { readonly algorithm: string; readonly digest: Buffer } | null;
}

export class Uploads {
  readonly host: FilesHost;
  /** What adds to an upload now, by its id: one at a time. */
  readonly active = new Map<string, Adding>();
  private readonly complete = new Map<string, number>();
  /** Of uploads that began without one: a restart forgets it, and HEAD asks for it again. */
  private readonly lengths = new Map<string, number>();

  constructor(host: FilesHost) {
    this.host = host;
  }

  completed(id: string, size: number): void {
    this.lengths.delete(id);
    this.complete.set(id, size);
    if (this.complete.size > COMPLETE_MAX) this.complete.delete(this.complete.keys().next().value!);
  }

  /** An upload's name, with the length that was told later (tus 1.0.0 §Upload-Defer-Length). */
  private named(id: string): UploadName | null {
    const name = readUploadName(id);
    return name === null || name.length >= 0 ? name : { ...name, length: this.lengths.get(id) ?? -1 };
  }

  /** `/uploads/<id>`. */
  readonly handle: ExchangeHandler = (exchange) => {
    const id = splitTarget(exchange.target).path.slice(UPLOADS.length);
    const name = this.named(id);
    const { method, fields } = exchange;
    const isTus = fields.has('tus-resumable');
    if (method === 'OPTIONS')
      answerNothing(exchange, 204, Fields.of({ allow: 'HEAD, PATCH, DELETE, OPTIONS', ...TUS }));
    else if (this.host.resources.files === undefined || name === null)
      answerProblem(exchange, 404, 'There is no such upload.');
    else if (isTus && fields.get('tus-resumable') !== '1.0.0') refuse(exchange, faults.wrongVersion, Fields.of(TUS));
    else if (method === 'HEAD' || method === 'GET') this.tell(exchange, id, name, isTus);
    else if (method === 'PATCH') this.append(exchange, id, name, isTus);
    else if (method === 'DELETE') this.cancel(exchange, id, name, isTus);
    else
      answerProblem(
        exchange,
        405,
        'An upload knows HEAD, PATCH and DELETE.',
        Fields.of({ allow: 'HEAD, PATCH, DELETE, OPTIONS' }),
      );
  };

  private tell(exchange: Exchange, id: string, name: UploadName, isTus: boolean): void {
    during(exchange, this.host, async (waiting) => {
      // What is still being added to is the client's own former request, which it has given up.
      this.active.get(id)?.stop();
      const pending = await this.host.resources.files!.pending(exchange.caller, name.path, name.nonce);
      const done = this.complete.get(id);
      if (waiting.isOver) return;
      if (pending === null && done === undefined) {
        answerProblem(
          exchange,
          404,
          'There is no such upload.',
          isTus ? Fields.of({ 'tus-resumable': '1.0.0' }) : new Fields(),
        );
        return;
      }
      const fields = this.stateFields(name, pending?.size ?? done!, pending === null, isTus);
      if (pending !== null && isTus) fields.append('upload-expires', dateText(pending.expires));
      fields.append('cache-control', 'no-store');
      answerNothing(exchange, isTus ? 200 : 204, fields);
    });
  }

  stateFields(name: UploadName, offset: number, isComplete: boolean, isTus: boolean): Fields {
    const fields = Fields.of({ 'upload-offset': String(offset) });
    if (name.length >= 0) fields.append('upload-length', String(name.length));
    if (isTus) {
      fields.append('tus-resumable', '1.0.0');
      if (name.length < 0) fields.append('upload-defer-length', '1');
      if (name.isPart) fields.append('upload-concat', 'partial');
    } else fields.append('upload-complete', isComplete ? '?1' : '?0').append('upload-limit', 'max-age=86400');
    return fields;
  }

  private append(exchange: Exchange, id: string, name: UploadName, isTus: boolean, isOwn = false): void {
    const { fields } = exchange;
    const type = (fields.get('content-type') ?? '').split(';', 1)[0]!.trim().toLowerCase();
    const offset = readCount(fields.get('upload-offset'));
    const last = readBoolean(fields.get('upload-complete'));
    const given = fields.get('upload-checksum');
    const checksum = given === null ? null : readChecksum(given);
    const told = isTus ? readCount(fields.get('upload-length')) : null;
    const wanted = isTus ? 'application/offset+octet-stream' : 'application/partial-upload';
    if (type !== wanted) refuse(exchange, faults.wrongType, Fields.of({ 'accept-patch': wanted }));
    else if (offset === null || Number.isNaN(offset) || (!isTus && last === null)) refuse(exchange, faults.badUpload);
    else if (given !== null && checksum === null) refuse(exchange, faults.badUpload);
    // It is told once (tus 1.0.0 §Upload-Defer-Length).
    else if (told !== null && !(name.length === told || (name.length < 0 && told >= offset)))
      refuse(exchange, faults.inconsistentLength);
    else {
      if (told !== null && name.length < 0) this.defer(id, told);
      const length = told ?? name.length;
      this.add(exchange, {
        id,
        name: { ...name, length },
        offset,
        isNew: false,
        isTus,
        isOwn,
        isLast: last === true,
        checksum,
      });
    }
  }

  private defer(id: string, length: number): void {
    this.lengths.set(id, length);
    if (this.lengths.size > COMPLETE_MAX) this.lengths.delete(this.lengths.keys().next().value!);
  }

  /** By the draft, to the path of the file itself: goes on with what a PUT or PATCH there left, or begins at 0. */
  patch(exchange: Exchange, path: string): void {
    const name = { nonce: '', path, length: readCount(exchange.fields.get('upload-length')) ?? -1, isPart: false };
    const { account } = exchange.caller;
    if (Number.isNaN(name.length)) refuse(exchange, faults.badUpload);
    else this.append(exchange, JSON.stringify([account, path]), name, false, true);
  }

  private add(exchange: Exchange, step: Step): void {
    if (this.active.size >= this.host.limits.uploadsMax)
      answerFileOutcome(exchange, BUSY, this.host.resources.files!, '');
    else void new Adding(this, exchange, step).begin();
  }

  private cancel(exchange: Exchange, id: string, name: UploadName, isTus: boolean): void {
    during(exchange, this.host, async (waiting) => {
      this.active.get(id)?.stop();
      const outcome = await this.host.resources.files!.dropPending(exchange.caller, name.path, name.nonce);
      if (waiting.isOver) return;
      if (outcome === OK) answerNothing(exchange, 204, isTus ? Fields.of({ 'tus-resumable': '1.0.0' }) : new Fields());
      else answerProblem(exchange, 404, 'There is no such upload.');
    });
  }

  // ---- beginning ---------------------------------------------------------------------------------------------------

  /** By the draft: the request that would make the file, with Upload-Complete (§4.2). */
  create(exchange: Exchange, path: string): void {
    const { fields } = exchange;
    const last = readBoolean(fields.get('upload-complete'));
    const said = readCount(fields.get('upload-length'));
    const content = readCount(fields.get('content-length'));
    const length = said ?? (last === true && content !== null ? content : -1);
    if (last === null || Number.isNaN(length)) {
      refuse(exchange, faults.badUpload);
      return;
    }
    const name = { nonce: this.nonce(), path, length, isPart: false };
    const id = writeUploadName(name);
    exchange.inform(
      104,
      Fields.of({ location: UPLOADS + id, 'upload-limit': 'max-age=86400', 'upload-draft-interop-version': '8' }),
    );
    this.add(exchange, { id, name, offset: 0, isNew: true, isTus: false, isLast: last, checksum: null });
  }

  /** By tus: POST to a folder, or to the path itself (tus 1.0.0 §Creation). */
  createTus(exchange: Exchange, target: string, isFolder: boolean): void {
    const { fields } = exchange;
    const metadata = readMetadata(fields.get('upload-metadata') ?? 'x');
    const length = readCount(fields.get('upload-length'));
    const deferred = fields.get('upload-defer-length')?.trim() ?? null;
    const concat = fields.get('upload-concat');
    const parts = concat === null ? null : readConcat(concat, UPLOADS);
    const file = metadata?.get('filename') ?? metadata?.get('name');
    const leaf =
      file === undefined ? undefined : file.slice(Math.max(file.lastIndexOf('/'), file.lastIndexOf('\\')) + 1);
    const isPart = parts === 'partial';
    const nonce = this.nonce();
    const own = isFolder ? (leaf ?? (isPart ? `part ${nonce}` : '')) : null;
    const path = own === null ? target : target === '' ? own : `${target}/${own}`;
    const given = fields.get('upload-checksum');
    const checksum = given === null ? null : readChecksum(given);
    const isFinal = typeof parts === 'object' && parts !== null;
    if (fields.get('tus-resumable') !== '1.0.0') refuse(exchange, faults.wrongVersion, Fields.of(TUS));
    else if (
      metadata === null ||
      own === '' ||
      (concat !== null && parts === null) ||
      (given !== null && checksum === null)
    )
      refuse(exchange, faults.badUpload);
    else if (isFinal) this.join(exchange, path, parts);
    else if (Number.isNaN(length) || (deferred === null) === (length === null) || (deferred ?? '1') !== '1')
      refuse(exchange, faults.badUpload);
    else {
      const name = { nonce, path, length: length ?? -1, isPart };
      this.add(exchange, {
        id: writeUploadName(name),
        name,
        offset: 0,
        isNew: true,
        isTus: true,
        isLast: false,
        checksum,
      });
    }
  }

  private nonce(): string {
    const bytes = Buffer.alloc(12);
    this.host.entropy.fill(bytes);
    return bytes.toString('base64url');
  }

  /** Parts become one file (tus 1.0.0 §Concatenation). */
  private join(exchange: Exchange, path: string, ids: readonly string[]): void {
    const files = this.host.resources.files!;
    const names = ids.map((id) => this.named(id));
    during(exchange, this.host, async (waiting) => {
      const parts: IncomingFile[] = [];
      let outcome: Outcome = OK;
      const whole = await files.write(exchange.caller, path, {
        begin: 'new',
        locks: locksOf(exchange),
        upload: this.nonce(),
      });
      if (typeof whole === 'number') outcome = whole;
      for (const name of names) {
        if (outcome !== OK) break;
        const pending = name === null ? null : await files.pending(exchange.caller, name.path, name.nonce);
        if (name?.isPart !== true || pending?.size !== name.length) outcome = MISSING;
        else outcome = await takePart(exchange, this.host, whole as IncomingFile, name, parts);
      }
      const facts = outcome === OK ? await (whole as IncomingFile).commit() : outcome;
      const isDone = typeof facts === 'object';
      if (!isDone && typeof whole === 'object') whole.abort();
      for (const part of parts) isDone ? part.abort() : part.suspend();
      if (waiting.isOver) return;
      if (!isDone) {
        answerFileOutcome(exchange, facts, files, path);
        return;
      }
      const id = writeUploadName({ nonce: this.nonce(), path: facts.path, length: facts.size, isPart: false });
      this.completed(id, facts.size);
      answerNothing(exchange, 201, Fields.of({ location: UPLOADS + id, 'tus-resumable': '1.0.0' }));
    });
  }
}

/** Copies a part behind what is there. */
async function takePart(
  { caller }: Exchange,
  host: FilesHost,
  whole: IncomingFile,
  { path, nonce, length }: UploadName,
  parts: IncomingFile[],
): Promise<Outcome> {
  if (length === 0) return OK;
  const part = await host.resources.files!.write(caller, path, { begin: 'resume', offset: length, upload: nonce });
  if (typeof part === 'number') return part;
  parts.push(part);
  return new Promise((resolve) => {
    let rest: Uint8Array | null = null;
    const reading = part.read(0, length, {
      get room() {
        return rest === null ? 1 : 0;
      },
      bytes(data, start, end) {
        const took = whole.write(data, start, end);
        rest = took < end - start ? data.subarray(start + took, end) : null;
      },
      end: (outcome) => resolve(whole.trouble !== OK ? whole.trouble : outcome),
    });
    whole.onRoom = () => {
      if (rest === null) return;
      const took = whole.write(rest, 0, rest.length);
      rest = took < rest.length ? rest.subarray(took) : null;
      if (rest === null) reading.more();
    };
  });
}

/** One request that adds to an upload. */
class Adding {
  private readonly uploads: Uploads;
  private readonly exchange: Exchange;
  private readonly step: Step;
  private readonly intake: Intake;
  private readonly sum: Hash | null;
  private file: IncomingFile | null = null;
  private isOver = false;

  constructor(uploads: Uploads, exchange: Exchange, step: Step) {
    this.uploads = uploads;
    this.exchange = exchange;
    this.step = step;
    this.sum = step.checksum === null ? null : createHash(step.checksum.algorithm);
    const passing =
      this.sum === null
        ? null
        : (input: Uint8Array, start: number, end: number) => void this.sum!.update(input.subarray(start, end));
    const ends = { ended: (isWhole: boolean) => void this.ended(isWhole), lost: () => this.stop() };
    this.intake = new Intake(exchange, ends, passing);
  }

  /** The client has given it up: what came is kept. */
  stop(): void {
    if (this.isOver) return;
    this.over();
    // What comes may not be checked any more: it does not count.
    if (this.sum !== null) this.file?.truncate(this.step.offset);
    this.file?.suspend();
    this.intake.drop();
  }

  private over(): void {
    this.isOver = true;
    if (this.uploads.active.get(this.step.id) === this) this.uploads.active.delete(this.step.id);
  }

  async begin(): Promise<void> {
    const { uploads, exchange, step } = this;
    const { name, offset } = step;
    const files = uploads.host.resources.files!;
    uploads.active.get(step.id)?.stop();
    uploads.active.set(step.id, this);
    if (!step.isNew) {
      const pending = await files.pending(exchange.caller, name.path, name.nonce);
      if (this.isOver) return;
      const at = pending?.size ?? (step.isOwn === true ? 0 : null);
      if (at !== offset) {
        this.refuseOffset(at);
        return;
      }
    }
    const wish = {
      begin: offset === 0 ? ('new' as const) : ('resume' as const),
      offset,
      upload: name.nonce,
      locks: locksOf(exchange),
      ...(name.length > 0 ? { length: name.length } : {}),
    };
    const file = await files.write(exchange.caller, name.path, wish);
    if (this.isOver) {
      if (typeof file === 'object') file.suspend();
      return;
    }
    if (typeof file === 'object') {
      this.file = file;
      this.intake.into(file);
      return;
    }
    this.over();
    answerFileOutcome(exchange, file === MISSING ? EXISTS : file, files, name.path);
    this.intake.drop();
  }

  private refuseOffset(at: number | null): void {
    this.over();
    const { exchange, step } = this;
    const { isTus, offset } = step;
    if (at === null) answerProblem(exchange, 404, 'There is no such upload.');
    else if (isTus) refuse(exchange, faults.wrongOffset, Fields.of({ 'tus-resumable': '1.0.0' }));
    else {
      const extensions = {
        type: 'https://iana.org/assignments/http-problem-types#mismatching-upload-offset',
        'expected-offset': at,
        'provided-offset': offset,
      };
      const { text, wire } = faults.wrongOffset;
      answerProblem(exchange, wire, text, this.uploads.stateFields(step.name, at, false, false), extensions);
    }
    this.intake.drop();
  }

  private async ended(isWhole: boolean): Promise<void> {
    const { exchange, step, uploads } = this;
    const file = this.file!;
    const files = uploads.host.resources.files!;
    const { name, isTus } = step;
    if (this.isOver) return;
    const size = file.size;
    const refused = !isWhole ? null : this.problem(size);
    if (refused !== null) {
      file.truncate(step.offset);
      file.suspend();
      this.over();
      refuse(exchange, refused, isTus ? Fields.of({ 'tus-resumable': '1.0.0' }) : new Fields());
      return;
    }
    const isDone = isTus ? size === name.length && !name.isPart : step.isLast;
    if (isWhole && !isDone) {
      const synced = await file.sync();
      if (this.isOver) return;
      this.over();
      file.suspend();
      if (synced === OK) this.answer(size, false, null);
      else answerFileOutcome(exchange, synced, files, name.path);
      return;
    }
    // From here on it is not stopped: it appears, or it is in trouble.
    this.over();
    const facts = await file.commit();
    if (typeof facts === 'number') answerFileOutcome(exchange, facts, files, name.path);
    else {
      if (step.isOwn !== true) uploads.completed(step.id, facts.size);
      this.answer(size, true, writtenFields(facts, uploads.host.clock.wall));
    }
  }

  private problem(size: number) {
    const { name, isTus, isLast, checksum } = this.step;
    if (checksum !== null && !this.sum!.digest().equals(checksum.digest)) return faults.wrongChecksum;
    const isWrong = name.length >= 0 && (size > name.length || (!isTus && isLast && size !== name.length));
    return isWrong ? faults.inconsistentLength : null;
  }

  private answer(size: number, isComplete: boolean, written: Fields | null): void {
    const { exchange, step, uploads } = this;
    const fields = uploads.stateFields(step.name, size, isComplete, step.isTus);
    if (written !== null) for (const [name, value] of written) fields.append(name, value);
    if (step.isNew) fields.set('location', UPLOADS + step.id);
    if (step.isTus && !isComplete) fields.append('upload-expires', dateText(uploads.host.clock.wall + 86_400_000));
    answerNothing(exchange, step.isNew || (!step.isTus && isComplete) ? 201 : 204, fields);
  }
}
