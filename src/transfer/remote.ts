// What copying needs of any server of files, whatever is spoken: paths with `/`, of which only the server knows more. It knows no
// protocol and no local file.
import { createHash } from 'node:crypto';

export interface Facts {
  readonly name: string;
  readonly kind: 'file' | 'folder' | 'other';
  /** -1: not told. */
  readonly size: number;
  /** Milliseconds since 1970; -1: not told. */
  readonly modified: number;
  /** What tells one state of the file from another, where the protocol has it; else `''`. */
  readonly tag: string;
}

export interface Digest {
  /** As `node:crypto` names it. */
  readonly algorithm: string;
  readonly hex: string;
}

/** What is read, from where it really begins: a server may begin anew. */
export interface Reading {
  readonly offset: number;
  /** Of the whole file; -1: not told. */
  readonly size: number;
  readonly digest: Digest | null;
  readonly bytes: AsyncIterable<Uint8Array>;
}

/** What is to be written: it can be read again from anywhere. */
export interface Source {
  readonly size: number;
  readonly modified: number;
  from(offset: number): AsyncIterable<Uint8Array>;
}

export interface Writing {
  /** Goes on with what an earlier attempt left there. */
  readonly isContinued: boolean;
  /** Told how far it is, in bytes of the whole. */
  went(offset: number): void;
}

/** One server, as one account. Failures reject with a `TransferError`. */
export interface Remote {
  /** Null: there is nothing. */
  stat(path: string): Promise<Facts | null>;
  /** What is in a folder; names that are none of a folder's own are left out. */
  list(path: string): Promise<Facts[]>;
  /** @param known the file must still be this one to be read from behind its beginning */
  read(path: string, offset: number, known: Facts): Promise<Reading>;
  /** It appears whole, over what was there, as far as the server can do that. */
  write(path: string, source: Source, writing: Writing): Promise<void>;
  /** A file, or an empty folder. */
  remove(path: string, isFolder: boolean): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  /** That it is there already is as good. */
  makeFolder(path: string): Promise<void>;
  /** Null where the server does not tell. */
  hash(path: string): Promise<Digest | null>;
  close(): void;
}

export type Trouble = 'refused' | 'missing' | 'lost' | 'local' | 'changed';

export class TransferError extends Error {
  /** `lost`: trying again may help. */
  readonly trouble: Trouble;

  constructor(trouble: Trouble, message: string) {
    super(message);
    this.name = 'TransferError';
    this.trouble = trouble;
  }
}

/** Whether a name that a server told can be a name in a folder here: nothing that leads elsewhere. */
export function isOwnName(name: string): boolean {
  return (
    name !== '' &&
    name !== '.' &&
    name !== '..' &&
    !/[/\\\0]/.test(name) &&
    Buffer.byteLength(name) <= 255 &&
    name.isWellFormed()
  );
}

export function joined(folder: string, name: string): string {
  return folder === '' || folder.endsWith('/') ? `${folder}${name}` : `${folder}/${name}`;
}

/** The folder that a path is in; `''` for a name alone. */
export function parentOf(path: string): string {
  const bare = path.replace(/\/+$/, '');
  return bare.slice(0, bare.lastIndexOf('/') + 1);
}

export function leafOf(path: string): string {
  const bare = path.replace(/\/+$/, '');
  return bare.slice(bare.lastIndexOf('/') + 1);
}

const PART = /^\..*\.[0-9a-f]{10}\.part$/s;

/** What is on its way has a name that tells of what: another state of the same file has another one. */
export function partName(name: string, ...state: (string | number)[]): string {
  const mark = createHash('sha256').update(state.join('\n')).digest('hex').slice(0, 10);
  // A name has at most 255 bytes, and is cut between characters.
  return `.${Buffer.from(name)
    .subarray(0, 200)
    .toString()
    .replace(/\ufffd+$/, '')}.${mark}.part`;
}

export function isPart(name: string): boolean {
  return PART.test(name);
}
