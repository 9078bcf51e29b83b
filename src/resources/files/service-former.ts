// What was deleted or overwritten, as methods of portico.v1.Files.
import { z } from 'zod';
import type { HandlerCall } from '../services/handler.ts';
import { empty } from '../services/zod-types.ts';
import type { Files } from './contract.ts';
import { done, entryValue, FileEntry, given, path } from './service-values.ts';

const PAGE = 100;
const PAGE_MAX = 1_000;

export const TrashedFile = z
  .object({
    id: z.string(),
    path: z.string().describe('Where it was.'),
    folder: z.boolean(),
    size: z.uint64().describe('With all that is in it.'),
    deleted: z.date(),
    until: z.date(),
    by: z.string(),
  })
  .describe('Something that lies in the trash.');

export const FileVersion = z
  .object({
    id: z.string(),
    size: z.uint64(),
    modified: z.date(),
    replaced: z.date(),
    until: z.date(),
    by: z.string().describe('The account that overwrote it.'),
  })
  .describe('What a file was before it was overwritten.');

const TrashRequest = z.object({
  path: path(),
  after: z.uint64().optional().describe('Begins behind this cursor.'),
  most: z.uint32().min(1).max(PAGE_MAX).optional(),
});

const RestoreRequest = z.object({
  id: z.string().min(1),
  to: z.string().optional().describe('Where to; where it was when absent.'),
});

const VersionRef = z.object({ path: z.string().min(1), id: z.string().min(1) });
type VersionRefValue = z.output<typeof VersionRef>;

export function formerFiles(files: Files) {
  return {
    Trash: {
      description: 'A page of what was deleted at or below a path, oldest first; `next` is 0 at the end.',
      idempotency: 'safe' as const,
      input: TrashRequest,
      output: z.object({ entries: z.array(TrashedFile), next: z.uint64() }),
      handler: async (asked: z.output<typeof TrashRequest>, { caller }: HandlerCall) => {
        const page = given(await files.former.trash(caller, asked.path, Number(asked.after ?? 0n), asked.most ?? PAGE));
        const entries = page.entries.map((each) => ({
          ...each,
          size: BigInt(each.size),
          deleted: new Date(each.deleted),
          until: new Date(each.until),
        }));
        return { entries, next: BigInt(page.next ?? 0) };
      },
    },
    Restore: {
      description: 'Takes something out of the trash. Nothing that is there is replaced.',
      input: RestoreRequest,
      output: FileEntry,
      handler: async ({ id, to }: z.output<typeof RestoreRequest>, { caller }: HandlerCall) =>
        entryValue(given(await files.former.restore(caller, id, to))),
    },
    Purge: {
      description: 'Something in the trash is gone for good.',
      idempotency: 'idempotent' as const,
      input: z.object({ id: z.string().min(1) }),
      output: empty,
      handler: async ({ id }: { id: string }, { caller }: HandlerCall) => done(await files.former.purge(caller, id)),
    },
    Versions: {
      description: 'What a file was, oldest first; `former` of Read and ReadPart has their bytes.',
      idempotency: 'safe' as const,
      input: z.object({ path: z.string().min(1) }),
      output: z.object({ versions: z.array(FileVersion) }),
      handler: async (asked: { path: string }, { caller }: HandlerCall) => {
        const found = given(await files.former.versions(caller, asked.path));
        const versions = found.map((each) => ({
          ...each,
          size: BigInt(each.size),
          modified: new Date(each.modified),
          replaced: new Date(each.replaced),
          until: new Date(each.until),
        }));
        return { versions };
      },
    },
    RestoreVersion: {
      description: 'A version is the file again; what the file is now becomes a version.',
      input: VersionRef,
      output: FileEntry,
      handler: async ({ path, id }: VersionRefValue, { caller }: HandlerCall) =>
        entryValue(given(await files.former.restoreVersion(caller, path, id))),
    },
    PurgeVersion: {
      description: 'A version is gone for good.',
      idempotency: 'idempotent' as const,
      input: VersionRef,
      output: empty,
      handler: async ({ path, id }: VersionRefValue, { caller }: HandlerCall) =>
        done(await files.former.purgeVersion(caller, path, id)),
    },
  };
}
