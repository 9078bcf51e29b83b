// Files here: folders listed, files read from anywhere, and what comes written beside its place until it is whole.

import { createHash } from 'node:crypto';
import { constants, createReadStream } from 'node:fs';
import { type FileHandle, lstat, open, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type Digest, type Facts, partName, type Reading, type Source, TransferError } from './remote.ts';

const READ = 262_144;

/** Null: there is nothing. Links are followed: what they lead to is meant. */
export async function localFacts(path: string): Promise<Facts | null> {
  try {
    const found = await stat(path);
    return factsOf(basename(path), found, found.size, found.mtimeMs);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw local(error);
  }
}

function factsOf(
  name: string,
  kinds: { isDirectory(): boolean; isFile(): boolean },
  size: number,
  modified: number,
): Facts {
  const kind = kinds.isDirectory() ? 'folder' : kinds.isFile() ? 'file' : 'other';
  return { name, kind, size: kind === 'file' ? size : -1, modified, tag: '' };
}

/** Links are `other`: one could lead anywhere, also round in circles. Empty when there is no folder. */
export async function localList(folder: string): Promise<Facts[]> {
  let names: string[];
  try {
    names = await readdir(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw local(error);
  }
  const found: Facts[] = [];
  for (const name of names) {
    // It may have gone meanwhile.
    const each = await lstat(join(folder, name)).catch(() => null);
    if (each !== null) found.push(factsOf(name, each, each.size, each.mtimeMs));
  }
  return found;
}

export function localSource(path: string, { size, modified }: Facts): Source {
  return {
    size,
    modified,
    async *from(offset) {
      if (offset >= size) return;
      try {
        yield* createReadStream(path, { start: offset, highWaterMark: READ }) as AsyncIterable<Uint8Array>;
      } catch (error) {
        throw local(error);
      }
    },
  };
}

export interface Taking {
  readonly isContinued: boolean;
  went(offset: number): void;
}

/** Has a file come to a path: whole, or not at all. Answers how many bytes came. */
export async function takeFile(
  path: string,
  facts: Facts,
  of: string,
  { isContinued, went }: Taking,
  read: (offset: number) => Promise<Reading>,
): Promise<number> {
  const part = join(dirname(path), partName(basename(path), of, facts.size, facts.modified, facts.tag));
  const there = isContinued ? await lstat(part).catch(() => null) : null;
  const offered = there?.isFile() === true && (facts.size < 0 || there.size <= facts.size) ? there.size : 0;
  const reading = await read(offered);
  if (reading.offset > offered) throw new TransferError('refused', 'the server left out a part of the file');
  let handle: FileHandle;
  try {
    const { O_RDWR, O_CREAT, O_NOFOLLOW } = constants;
    handle = await open(part, O_RDWR | O_CREAT | (O_NOFOLLOW ?? 0), 0o666);
  } catch (error) {
    throw local(error);
  }
  let offset = reading.offset;
  try {
    await handle.truncate(offset).catch((error) => Promise.reject(local(error)));
    went(offset);
    for await (const piece of reading.bytes) {
      if (reading.size >= 0 && offset + piece.length > reading.size)
        throw new TransferError('changed', 'more came than the server said');
      await handle.writev([piece], offset).catch((error) => Promise.reject(local(error)));
      offset += piece.length;
      went(offset);
    }
  } finally {
    await handle.close();
  }
  if (reading.size >= 0 && offset !== reading.size) throw new TransferError('lost', 'the file ended too early');
  const { digest } = reading;
  if (digest !== null && (await localHash(part, digest.algorithm)) !== digest.hex) {
    await rm(part, { force: true });
    throw new TransferError('changed', `what came has another ${digest.algorithm} than the server said`);
  }
  try {
    if (facts.modified >= 0) await utimes(part, new Date(facts.modified), new Date(facts.modified));
    await rename(part, path);
  } catch (error) {
    throw local(error);
  }
  return offset - reading.offset;
}

export async function localHash(path: string, algorithm: Digest['algorithm']): Promise<string> {
  const hash = createHash(algorithm);
  try {
    for await (const piece of createReadStream(path, { highWaterMark: READ })) hash.update(piece as Buffer);
  } catch (error) {
    throw local(error);
  }
  return hash.digest('hex');
}

export function local(error: unknown): TransferError {
  return new TransferError('local', (error as Error).message);
}
