// What is in files, as methods of portico.v1.Files: read and written as streams, and in parts of their own for protocols
// whose calls have one message each way.
import { z } from 'zod';
import { OK, type Outcome } from '../../core/outcome.ts';
import type { HandlerCall } from '../services/handler.ts';
import { ServiceError } from '../services/status.ts';
import { bytes, empty } from '../services/zod-types.ts';
import { bytesOf, piecesOf, writeAll } from './chunks.ts';
import type { Beginning, Files, IncomingFile, OpenFile } from './contract.ts';
import { type Digest, digestOf } from './hashes.ts';
import {
  ALGORITHM_NAMES,
  done,
  entryValue,
  FileEntry,
  FilePart,
  failed,
  given,
  path,
  version,
  WriteBegin,
} from './service-values.ts';

/** Of one message; the protocols take 4 MiB, also in base64. */
const PART_MAX = 1_048_576;
const CHUNK = 65_536;

const ReadRequest = z.object({
  path: path(),
  start: z.uint64().optional(),
  end: z.uint64().optional().describe('Where it ends, without the byte there; the end of the file when absent.'),
  ifVersion: version(),
  former: z.string().optional().describe('The id of a version that was overwritten.'),
});

const ReadPartRequest = z.object({
  path: path(),
  start: z.uint64().optional(),
  length: z.uint32().min(1).max(PART_MAX).optional(),
  ifVersion: version(),
  former: z.string().optional().describe('The id of a version that was overwritten.'),
});

const WriteRequest = z.object({
  begin: WriteBegin.optional().describe('In the first message, and in no other.'),
  data: bytes().optional(),
});

const WritePartRequest = z.object({
  begin: WriteBegin,
  data: bytes({ max: PART_MAX }),
  more: z.boolean().optional().describe('It is kept for the next part, which has the mode RESUME and the next offset.'),
});

type Begin = z.output<typeof WriteBegin>;

interface Wanted {
  readonly path: string;
  readonly ifVersion?: string | undefined;
  readonly former?: string | undefined;
}

async function opened(files: Files, { caller }: HandlerCall, { path, ifVersion, former }: Wanted) {
  const file = given(
    await (former === undefined ? files.open(caller, path) : files.former.openVersion(caller, path, former)),
  );
  if (ifVersion === undefined || ifVersion === file.facts.version) return file;
  file.close();
  throw new ServiceError('ABORTED', 'it is at another version meanwhile');
}

/** A place in a file; what is past its end is its end. */
function placeIn({ size }: OpenFile, place: bigint | undefined, otherwise: number): number {
  return place === undefined ? otherwise : Math.min(Number(place), size);
}

export function readingFiles(files: Files) {
  return {
    Read: {
      description: 'The bytes of a file, or of a part of it: the same file to its end, whatever becomes of its name.',
      kind: 'server' as const,
      idempotency: 'safe' as const,
      input: ReadRequest,
      output: FilePart,
      handler: async function* (asked: z.output<typeof ReadRequest>, call: HandlerCall) {
        const file = await opened(files, call, asked);
        try {
          let offset = placeIn(file, asked.start, 0);
          const end = Math.max(offset, placeIn(file, asked.end, file.size));
          let first: z.input<typeof FilePart> | null = {
            offset: BigInt(offset),
            data: new Uint8Array(0),
            file: entryValue(file.facts),
          };
          const pieces = piecesOf(file, offset, end, call.signal);
          for (;;) {
            const next = await pieces.next();
            if (next.done === true) {
              if (next.value !== OK) throw failed(next.value);
              if (first !== null) yield first;
              return;
            }
            for (let at = 0; at < next.value.length; at += CHUNK) {
              const data = next.value.subarray(at, at + CHUNK);
              yield first === null ? { offset: BigInt(offset), data } : { ...first, data };
              first = null;
              offset += data.length;
            }
          }
        } finally {
          file.close();
        }
      },
    },
    ReadPart: {
      description:
        'Some bytes of a file, at most 1 MiB, for calls that have one answer; `file.size` says whether there is more.',
      idempotency: 'safe' as const,
      input: ReadPartRequest,
      output: FilePart,
      handler: async (asked: z.output<typeof ReadPartRequest>, call: HandlerCall) => {
        const file = await opened(files, call, asked);
        try {
          const start = placeIn(file, asked.start, 0);
          const end = Math.min(file.size, start + (asked.length ?? PART_MAX));
          const data = given(await bytesOf(file, start, end, call.signal));
          return { offset: BigInt(start), data, file: entryValue(file.facts) };
        } finally {
          file.close();
        }
      },
    },
  };
}

async function begun(files: Files, { caller }: HandlerCall, begin: Begin): Promise<IncomingFile> {
  const { mode, offset, ifVersion, modified, length, upload, makeFolders, locks } = begin;
  return given(
    await files.write(caller, begin.path, {
      begin: mode.toLowerCase() as Beginning,
      ...(offset === undefined ? {} : { offset: Number(offset) }),
      ...(ifVersion === undefined ? {} : { ifVersion }),
      ...(modified === undefined ? {} : { modified: modified.getTime() }),
      ...(length === undefined ? {} : { length: Number(length) }),
      ...(upload === undefined ? {} : { upload }),
      ...(makeFolders === undefined ? {} : { folders: makeFolders }),
      ...(locks === undefined ? {} : { locks }),
    }),
  );
}

/** A file on its way in, and its hash as far as it is known while it comes. */
class Writing {
  private readonly file: IncomingFile;
  private readonly begin: Begin;
  private readonly call: HandlerCall;
  /** Null where it is worked out at the end, since bytes are there already. */
  private readonly digest: Digest | null;

  constructor(file: IncomingFile, begin: Begin, call: HandlerCall) {
    this.file = file;
    this.begin = begin;
    this.call = call;
    this.digest = begin.hash !== undefined && file.size === 0 ? digestOf(ALGORITHM_NAMES[begin.hash.algorithm]) : null;
  }

  async take(data: Uint8Array): Promise<void> {
    const outcome = await writeAll(this.file, data, this.call.signal);
    if (outcome !== OK) throw failed(outcome);
    this.digest?.update(data);
  }

  async commit(): Promise<{ readonly size: bigint; readonly file: z.input<typeof FileEntry> }> {
    const { length, hash } = this.begin;
    const { file } = this;
    if (length !== undefined && Number(length) !== file.size)
      throw new ServiceError('INVALID_ARGUMENT', `${file.size} bytes came, and ${length} were announced`);
    if (hash !== undefined && (await this.hex(ALGORITHM_NAMES[hash.algorithm])) !== hash.hex.toLowerCase())
      throw new ServiceError('INVALID_ARGUMENT', 'what came has another hash');
    const facts = given(await file.commit());
    return { size: BigInt(facts.size), file: entryValue(facts) };
  }

  private async hex(algorithm: Parameters<typeof digestOf>[0]): Promise<string> {
    if (this.digest !== null) return this.digest.hex();
    const digest = digestOf(algorithm);
    const outcome = await new Promise<Outcome>((resolve) => {
      const take = (data: Uint8Array, start: number, end: number) => digest.update(data.subarray(start, end));
      this.file.read(0, this.file.size, { room: Number.POSITIVE_INFINITY, bytes: take, end: resolve });
    });
    if (outcome !== OK) throw failed(outcome);
    return digest.hex();
  }
}

const Written = z.object({ size: z.uint64(), file: FileEntry.optional().describe('Once it is complete.') });

export function writingFiles(files: Files) {
  return {
    Write: {
      description:
        'Writes a file, which appears whole with the answer. A call that breaks off leaves what came for 24 hours, to be gone on with by RESUME.',
      kind: 'client' as const,
      input: WriteRequest,
      output: Written,
      handler: async (inputs: AsyncIterable<z.output<typeof WriteRequest>>, call: HandlerCall) => {
        let file: IncomingFile | null = null;
        let writing: Writing | null = null;
        try {
          for await (const { begin, data } of inputs) {
            if ((begin === undefined) !== (writing !== null))
              throw new ServiceError('INVALID_ARGUMENT', '`begin` is in the first message, and in no other');
            if (begin !== undefined) {
              file = await begun(files, call, begin);
              writing = new Writing(file, begin, call);
            }
            if (data !== undefined) await writing!.take(data);
          }
          if (writing === null) throw new ServiceError('INVALID_ARGUMENT', 'the first message has `begin`');
          if (call.signal.aborted) throw new ServiceError('CANCELLED', 'the call is over');
          return await writing.commit();
        } catch (error) {
          // Who was cut off goes on; who is refused begins anew.
          if (call.signal.aborted) file?.suspend();
          else file?.abort();
          throw error;
        }
      },
    },
    WritePart: {
      description: 'Writes a file in calls of one message each: all but the last with `more`.',
      input: WritePartRequest,
      output: Written,
      handler: async ({ begin, data, more = false }: z.output<typeof WritePartRequest>, call: HandlerCall) => {
        const file = await begun(files, call, begin);
        const writing = new Writing(file, begin, call);
        try {
          await writing.take(data);
          if (!more) return await writing.commit();
          const synced = await file.sync();
          if (synced !== OK) throw failed(synced);
          const size = BigInt(file.size);
          file.suspend();
          return { size };
        } catch (error) {
          if (begin.mode === 'RESUME') file.suspend();
          else file.abort();
          throw error;
        }
      },
    },
    ...leftFiles(files),
  };
}

function leftFiles(files: Files) {
  return {
    Pending: {
      description: 'How much of an upload that broke off the server has: RESUME goes on there.',
      idempotency: 'safe' as const,
      input: z.object({ path: z.string().min(1), upload: z.string().optional() }),
      output: z.object({ size: z.uint64(), expires: z.date() }),
      handler: async (asked: { path: string; upload?: string | undefined }, { caller }: HandlerCall) => {
        const found = await files.pending(caller, asked.path, asked.upload);
        if (found === null) throw new ServiceError('NOT_FOUND', 'nothing was left of an upload to it');
        return { size: BigInt(found.size), expires: new Date(found.expires) };
      },
    },
    DropPending: {
      description: 'Drops what was left of an upload.',
      idempotency: 'idempotent' as const,
      input: z.object({ path: z.string().min(1), upload: z.string().optional() }),
      output: empty,
      handler: async (asked: { path: string; upload?: string | undefined }, { caller }: HandlerCall) => {
        return done(await files.dropPending(caller, asked.path, asked.upload));
      },
    },
  };
}
