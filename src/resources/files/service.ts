// The files as a service: what REST, GraphQL, gRPC, SOAP, WebSocket and MQTT calls have of them, under the files' own rules.
import { z } from 'zod';
import { OK } from '../../core/outcome.ts';
import type { Entropy } from '../../core/time.ts';
import { defineService, type ServiceDefinition } from '../services/define.ts';
import type { HandlerCall } from '../services/handler.ts';
import { ServiceError } from '../services/status.ts';
import { empty } from '../services/zod-types.ts';
import type { Topics } from '../topics/contract.ts';
import { TopicStream } from '../topics/topic-stream.ts';
import type { FileEvent, FileFacts, Files } from './contract.ts';
import { readingFiles, writingFiles } from './service-content.ts';
import { FileVersion, formerFiles, TrashedFile } from './service-former.ts';
import {
  ALGORITHM_NAMES,
  done,
  entryValue,
  FileChange,
  FileEntry,
  FileHash,
  FilePart,
  failed,
  given,
  HashAlgorithm,
  locks,
  path,
  version,
  WriteBegin,
  WriteMode,
} from './service-values.ts';
import { endShare, makeShare, SHARE_SECONDS, SHARE_SECONDS_MAX, sharesOf } from './sharing.ts';
import { topicOf } from './topics.ts';

const PAGE = 100;
const PAGE_MAX = 1_000;

export interface FilesServiceParts {
  readonly files: Files;
  /** Where the events of files are heard. */
  readonly topics: Topics;
  readonly entropy: Entropy;
  /** Milliseconds since 1970. */
  readonly wall: () => number;
}

/** `portico.v1.Files` over these files. */
export function filesService(parts: FilesServiceParts): ServiceDefinition {
  const { files, topics } = parts;
  const methods = {
    ...looking(files),
    ...readingFiles(files),
    ...writingFiles(files),
    ...changing(files),
    ...sharing(parts),
    ...formerFiles(files),
    Watch: watching(topics),
  };
  return defineService({
    name: 'portico.v1.Files',
    description: 'The tree of files that HTTP, WebDAV, FTP and SFTP serve.',
    types: named(methods),
    methods,
  }) as unknown as ServiceDefinition;
}

/** The names of all types: those of the package's other services are theirs. */
function named(methods: Readonly<Record<string, { readonly input: z.ZodType; readonly output: z.ZodType }>>) {
  const types: Record<string, z.ZodType> = {
    FileEntry,
    FilePart,
    FileHash,
    HashAlgorithm,
    WriteBegin,
    WriteMode,
    FileChange,
    ShareLink,
    TrashedFile,
    FileVersion,
  };
  const known = new Set<z.ZodType>([...Object.values(types), empty]);
  for (const [name, { input, output }] of Object.entries(methods)) {
    if (!known.has(input)) types[`Files${name}Request`] = input;
    if (!known.has(output)) types[`Files${name}Response`] = output;
    known.add(input).add(output);
  }
  return types;
}

const ListRequest = z.object({
  path: path(),
  after: z.string().optional().describe('Begins behind this name.'),
  most: z.uint32().min(1).max(PAGE_MAX).optional(),
});

const SearchRequest = z.object({
  path: path(),
  text: z.string().min(1).describe('What names hold; case does not matter.'),
  most: z.uint32().min(1).max(PAGE_MAX).optional(),
});

const HashRequest = z.object({
  path: path(),
  algorithm: HashAlgorithm.default('SHA_256'),
  start: z.uint64().optional(),
  end: z.uint64().optional(),
});

function looking(files: Files) {
  return {
    List: {
      description: 'A page of a folder, by name; go on behind `next`, which is empty at the end.',
      idempotency: 'safe' as const,
      input: ListRequest,
      output: z.object({ entries: z.array(FileEntry), next: z.string() }),
      handler: async (asked: z.output<typeof ListRequest>, { caller }: HandlerCall) => {
        const page = given(await files.list(caller, asked.path, asked.after ?? '', asked.most ?? PAGE));
        return { entries: page.entries.map(entryValue), next: page.next ?? '' };
      },
    },
    Stat: {
      description: 'What is at a path.',
      idempotency: 'safe' as const,
      input: z.object({
        path: path(),
        keepLink: z.boolean().optional().describe('Answers a symbolic link itself, and not what it leads to.'),
      }),
      output: FileEntry,
      handler: async (asked: { path: string; keepLink?: boolean | undefined }, { caller }: HandlerCall) =>
        entryValue(given(await files.stat(caller, asked.path, asked.keepLink !== true))),
    },
    Hash: {
      description: 'The hash of a file, or of a part of it, in hexadecimal.',
      idempotency: 'safe' as const,
      input: HashRequest,
      output: z.object({ hex: z.string(), end: z.uint64() }),
      handler: async ({ path, algorithm, start, end }: z.output<typeof HashRequest>, { caller }: HandlerCall) => {
        const upTo = end === undefined ? Number.POSITIVE_INFINITY : Number(end);
        const found = given(await files.hash(caller, path, ALGORITHM_NAMES[algorithm], Number(start ?? 0n), upTo));
        return { hex: found.hex, end: BigInt(found.end) };
      },
    },
    Search: {
      description: 'What is below a folder and whose name holds a text.',
      idempotency: 'safe' as const,
      input: SearchRequest,
      output: z.object({
        entries: z.array(FileEntry),
        more: z.boolean().describe('There is more than was asked for.'),
      }),
      handler: async (asked: z.output<typeof SearchRequest>, { caller, signal }: HandlerCall) => {
        const { most = PAGE } = asked;
        const entries: z.input<typeof FileEntry>[] = [];
        let more = false;
        const take = (facts: FileFacts) => {
          if (entries.length < most) entries.push(entryValue(facts));
          else more = true;
          return !more && !signal.aborted;
        };
        done(await files.search(caller, asked.path, asked.text, take));
        return { entries, more };
      },
    },
    Space: {
      description: 'How much room there is, for the caller.',
      idempotency: 'safe' as const,
      input: z.object({ path: path() }),
      output: z.object({ total: z.uint64(), free: z.uint64(), used: z.uint64(), hasQuota: z.boolean() }),
      handler: async (asked: { path: string }, { caller }: HandlerCall) => {
        const { total, free, used, hasQuota } = given(await files.space(caller, asked.path));
        return { total: BigInt(total), free: BigInt(free), used: BigInt(used), hasQuota };
      },
    },
  };
}

const DeleteRequest = z.object({
  path: z.string().min(1),
  deep: z.boolean().optional().describe('With all that is in it; else a folder must be empty.'),
  ifVersion: version(),
  locks: locks(),
  forever: z.boolean().optional().describe('Not into the trash, and its versions go too.'),
});

const MoveRequest = z.object({
  from: z.string().min(1),
  to: z.string().min(1),
  replace: z.boolean().optional().describe('What is there goes; else ALREADY_EXISTS.'),
  ifVersion: version(),
  locks: locks(),
});

const CopyRequest = z.object({
  from: z.string().min(1),
  to: z.string().min(1),
  replace: z.boolean().optional(),
  deep: z.boolean().optional().describe('Of a folder: with all that is in it; else an empty one.'),
  locks: locks(),
});

const AttributesRequest = z.object({
  path: z.string().min(1),
  modified: z.date().optional(),
  mode: z.uint32().max(0o777).optional(),
  size: z.uint64().optional().describe('Cuts a file off, or fills it with zeros.'),
  locks: locks(),
});

/** What is there, without what is not. */
function known<T extends object>(given: T): { [Name in keyof T]: Exclude<T[Name], undefined> } {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as never;
}

function changing(files: Files) {
  return {
    MakeDirectory: {
      description: 'Makes a folder.',
      input: z.object({ path: z.string().min(1), locks: locks() }),
      output: empty,
      handler: async (asked: { path: string; locks?: string[] | undefined }, { caller }: HandlerCall) =>
        done(await files.makeFolder(caller, asked.path, known({ locks: asked.locks }))),
    },
    Delete: {
      description: 'Removes a file or a folder.',
      input: DeleteRequest,
      output: empty,
      handler: async ({ path, ...options }: z.output<typeof DeleteRequest>, { caller }: HandlerCall) =>
        done(await files.remove(caller, path, known(options))),
    },
    Move: {
      description: 'Moves or renames a file or a folder.',
      input: MoveRequest,
      output: empty,
      handler: async ({ from, to, ...options }: z.output<typeof MoveRequest>, { caller }: HandlerCall) =>
        done(await files.move(caller, from, to, known(options))),
    },
    Copy: {
      description: 'Copies on the server. A file appears whole.',
      input: CopyRequest,
      output: empty,
      handler: async ({ from, to, ...options }: z.output<typeof CopyRequest>, { caller }: HandlerCall) =>
        done(await files.copy(caller, from, to, known(options))),
    },
    SetAttributes: {
      description: 'Changes the time, the mode or the size.',
      idempotency: 'idempotent' as const,
      input: AttributesRequest,
      output: empty,
      handler: async (asked: z.output<typeof AttributesRequest>, { caller }: HandlerCall) => {
        const { path, modified, mode, size, locks } = asked;
        const wanted = known({
          mode,
          modified: modified?.getTime(),
          size: size === undefined ? undefined : Number(size),
        });
        return done(await files.setAttributes(caller, path, wanted, known({ locks })));
      },
    },
  };
}

const ShareLink = z.object({
  id: z.string(),
  until: z.date(),
  hasPassword: z.boolean(),
  url: z.string().describe('Below the address of HTTP; told when it is made, and never again.'),
});

const ShareRequest = z.object({
  path: path(),
  seconds: z.uint32().min(1).max(SHARE_SECONDS_MAX).default(SHARE_SECONDS),
  password: z.string().max(1_024).optional(),
});

function sharing({ files, entropy, wall }: FilesServiceParts) {
  return {
    Share: {
      description: 'Makes a link by which whoever has it may read a file or a folder, until it ends.',
      input: ShareRequest,
      output: ShareLink,
      handler: async ({ path, seconds, password = '' }: z.output<typeof ShareRequest>, { caller }: HandlerCall) => {
        const { id, until, url } = given(
          await makeShare(files, caller, path, { seconds, password }, { entropy, wall }),
        );
        return { id, until: new Date(until), hasPassword: password !== '', url };
      },
    },
    ListShares: {
      description: 'The links to it that the caller made, and that stand.',
      idempotency: 'safe' as const,
      input: z.object({ path: path() }),
      output: z.object({ links: z.array(ShareLink) }),
      handler: async (asked: { path: string }, { caller }: HandlerCall) => {
        const found = given(await sharesOf(files, caller, asked.path, wall()));
        return { links: found.map((share) => ({ ...share, until: new Date(share.until), url: '' })) };
      },
    },
    Unshare: {
      description: 'Ends a link.',
      idempotency: 'idempotent' as const,
      input: z.object({ path: path(), id: z.string().min(1) }),
      output: empty,
      handler: async (asked: { path: string; id: string }, { caller }: HandlerCall) =>
        done(await endShare(files, caller, asked.path, asked.id)),
    },
  };
}

const WatchRequest = z.object({
  path: path(),
  only: z.boolean().optional().describe('What is at the path alone; else also all that is below it.'),
});

const NOTHING = { from: '', size: 0n, version: '', by: '' };

function watching(topics: Topics) {
  return {
    description: 'What happens to what is at or below a path, by whichever protocol, as far as the caller may read it.',
    kind: 'server' as const,
    idempotency: 'safe' as const,
    input: WatchRequest,
    output: FileChange,
    handler: async function* (
      { path, only = false }: z.output<typeof WatchRequest>,
      { caller, signal }: HandlerCall,
    ): AsyncGenerator<z.input<typeof FileChange>> {
      const stream = new TopicStream(topics, caller, signal);
      try {
        const at = topicOf(path);
        const filter = path === '' ? 'files/#' : only ? at : `${at}/#`;
        const outcome = await stream.subscribe({ filter, assurance: 0, retained: 'never' });
        if (outcome !== OK) throw failed(outcome);
        yield { ...NOTHING, kind: 'BEGUN', path };
        for await (const event of stream) {
          const change = 'message' in event ? changeOf(event.message.payload) : null;
          if (change !== null) yield change;
        }
        if (stream.isTooSlow) throw new ServiceError('RESOURCE_EXHAUSTED', 'changes were not taken fast enough');
      } finally {
        stream.end();
      }
    },
  };
}

const KINDS: Readonly<Record<FileEvent['event'], z.input<typeof FileChange>['kind']>> = {
  complete: 'COMPLETE',
  moved: 'MOVED',
  gone: 'GONE',
  folder: 'FOLDER',
};

function changeOf(payload: Uint8Array): z.input<typeof FileChange> | null {
  const event = JSON.parse(Buffer.from(payload).toString()) as FileEvent;
  const kind = KINDS[event.event];
  if (kind === undefined) return null;
  const { path, from = '', size = 0, modified, version = '', by = '' } = event;
  const when = modified === undefined ? {} : { modified: new Date(modified) };
  return { kind, path, from, size: BigInt(size), version, by, ...when };
}
