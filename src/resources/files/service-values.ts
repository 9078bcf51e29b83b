// The values of portico.v1.Files: what its methods take and answer, and how outcomes and facts become them.
import { z } from 'zod';
import { OK, OUTCOME_NAMES, type Outcome } from '../../core/outcome.ts';
import { OUTCOME_CODES, ServiceError } from '../services/status.ts';
import { bytes } from '../services/zod-types.ts';
import type { Algorithm, FileFacts } from './contract.ts';

export const path = () =>
  z.string().describe('From the root and without a slash in front: `shared/a.txt`; nothing for the root.');
export const locks = () => z.array(z.string()).optional().describe('Tokens of locks that the caller holds.');
export const version = () => z.string().optional().describe('It must be at this version, else ABORTED.');

export const FileEntry = z
  .object({
    path: z.string(),
    name: z.string(),
    folder: z.boolean(),
    link: z.string().optional().describe('Where it is a symbolic link: what it says.'),
    size: z.uint64(),
    modified: z.date(),
    accessed: z.date(),
    created: z.date(),
    mode: z.uint32().describe('The nine bits of permission that other programs see.'),
    owner: z.string().describe('The account whose home it is in.'),
    version: z.string().describe('Changes whenever the content does.'),
    unique: z.string().describe('Kept when it is renamed.'),
    writable: z.boolean().describe('The caller may change it.'),
    removable: z.boolean().describe('The caller may remove or rename it.'),
  })
  .describe('A file or a folder.');

export const HashAlgorithm = z.enum(['SHA_256', 'SHA_512', 'SHA_1', 'MD5', 'CRC32']);
export const WriteMode = z
  .enum(['NEW', 'FRESH', 'RESUME', 'APPEND'])
  .describe(
    'NEW replaces what is there. FRESH: nothing must be there. RESUME goes on at `offset` with what the same account left. APPEND goes on behind what is there.',
  );

export const FileHash = z.object({ algorithm: HashAlgorithm, hex: z.string() });

export const WriteBegin = z
  .object({
    path: z.string().min(1),
    mode: WriteMode.default('NEW'),
    offset: z.uint64().optional(),
    ifVersion: version(),
    modified: z.date().optional().describe('The time of modification that it is given.'),
    length: z.uint64().optional().describe('How long it will be: what has no room is refused at the beginning.'),
    upload: z.string().optional().describe('Tells several uploads of one account to one path apart.'),
    makeFolders: z.boolean().optional().describe('Makes the folders on the way to it.'),
    hash: FileHash.optional().describe('Of the whole file: it does not appear when it has another.'),
    locks: locks(),
  })
  .describe('What is written where, under which conditions.');

export const FilePart = z
  .object({
    offset: z.uint64(),
    data: bytes(),
    file: FileEntry.optional().describe('In the first part.'),
  })
  .describe('Bytes of a file.');

export const FileChange = z
  .object({
    kind: z
      .enum(['BEGUN', 'COMPLETE', 'MOVED', 'GONE', 'FOLDER'])
      .describe('BEGUN comes first, and says that all that follows is told. COMPLETE: a file is there, whole.'),
    path: z.string(),
    from: z.string().describe('Of MOVED: where it was.'),
    size: z.uint64(),
    modified: z.date().optional(),
    version: z.string(),
    by: z.string().describe('The account that did it; nothing for nobody by name, and for other programs.'),
  })
  .describe('Something that happened to a file or a folder.');

export const ALGORITHM_NAMES: Readonly<Record<z.output<typeof HashAlgorithm>, Algorithm>> = {
  SHA_256: 'sha-256',
  SHA_512: 'sha-512',
  SHA_1: 'sha-1',
  MD5: 'md5',
  CRC32: 'crc32',
};

export function entryValue(facts: FileFacts): z.input<typeof FileEntry> {
  const { link, size, modified, accessed, created } = facts;
  return {
    path: facts.path,
    name: facts.name,
    folder: facts.folder,
    ...(link === null ? {} : { link }),
    size: BigInt(Math.trunc(size)),
    modified: new Date(modified),
    accessed: new Date(accessed),
    created: new Date(created),
    mode: facts.mode,
    owner: facts.owner,
    version: facts.version,
    unique: facts.unique,
    writable: facts.writable,
    removable: facts.removable,
  };
}

const DETAILS: Readonly<Partial<Record<Outcome, string>>> = {
  1: 'a rule forbids it, or it is read-only',
  2: 'sign in first',
  3: 'there is no such file or folder, or no folder to be in',
  4: 'something is there already',
  5: 'that is no path of a file, or not what this can be done with',
  6: 'it is at another version or size meanwhile',
  7: 'a quota or the disk is full',
  8: 'it is locked',
};

export function failed(outcome: Outcome): ServiceError {
  const code = OUTCOME_CODES[outcome];
  const text = DETAILS[outcome] ?? `the files answered ${OUTCOME_NAMES[outcome]}`;
  return new ServiceError(code === 'OK' ? 'INTERNAL' : code, text);
}

/** What was asked for, or the error that the outcome is. */
export function given<T extends object | string>(answer: T | Outcome): T {
  if (typeof answer === 'number') throw failed(answer);
  return answer;
}

export function done(outcome: Outcome): Record<never, never> {
  if (outcome !== OK) throw failed(outcome);
  return {};
}
