// SFTP version 3 as OpenSSH speaks it (draft-ietf-secsh-filexfer-02, and OpenSSH's PROTOCOL): requests read by offsets, answers
// written in place. It knows no files.
import { BAD, isUtf8, MORE, u32, u64, utf8 } from '../../bytes/reader.ts';
import type { ByteWriter } from '../../bytes/writer.ts';
import type { Fault } from '../../core/fault.ts';
import { faults } from './faults.ts';

// Packet types (§3).
export const INIT = 1;
export const VERSION = 2;
export const OPEN = 3;
export const CLOSE = 4;
export const READ = 5;
export const WRITE = 6;
export const LSTAT = 7;
export const FSTAT = 8;
export const SETSTAT = 9;
export const FSETSTAT = 10;
export const OPENDIR = 11;
export const READDIR = 12;
export const REMOVE = 13;
export const MKDIR = 14;
export const RMDIR = 15;
export const REALPATH = 16;
export const STAT = 17;
export const RENAME = 18;
export const READLINK = 19;
export const SYMLINK = 20;
export const STATUS = 101;
export const HANDLE = 102;
export const DATA = 103;
export const NAME = 104;
export const ATTRS = 105;
export const EXTENDED = 200;
export const EXTENDED_REPLY = 201;

export const TYPE_NAMES: Readonly<Record<number, string>> = {
  [INIT]: 'INIT',
  [VERSION]: 'VERSION',
  [OPEN]: 'OPEN',
  [CLOSE]: 'CLOSE',
  [READ]: 'READ',
  [WRITE]: 'WRITE',
  [LSTAT]: 'LSTAT',
  [FSTAT]: 'FSTAT',
  [SETSTAT]: 'SETSTAT',
  [FSETSTAT]: 'FSETSTAT',
  [OPENDIR]: 'OPENDIR',
  [READDIR]: 'READDIR',
  [REMOVE]: 'REMOVE',
  [MKDIR]: 'MKDIR',
  [RMDIR]: 'RMDIR',
  [REALPATH]: 'REALPATH',
  [STAT]: 'STAT',
  [RENAME]: 'RENAME',
  [READLINK]: 'READLINK',
  [SYMLINK]: 'SYMLINK',
  [STATUS]: 'STATUS',
  [HANDLE]: 'HANDLE',
  [DATA]: 'DATA',
  [NAME]: 'NAME',
  [ATTRS]: 'ATTRS',
  [EXTENDED]: 'EXTENDED',
  [EXTENDED_REPLY]: 'EXTENDED_REPLY',
};

// Status codes (§7).
export const SSH_FX = {
  OK: 0,
  EOF: 1,
  NO_SUCH_FILE: 2,
  PERMISSION_DENIED: 3,
  FAILURE: 4,
  BAD_MESSAGE: 5,
  OP_UNSUPPORTED: 8,
} as const;
export type StatusCode = (typeof SSH_FX)[keyof typeof SSH_FX];

// How a file is opened (§6.3).
export const FOR_READ = 1;
export const FOR_WRITE = 2;
export const FOR_APPEND = 4;
export const CREATE = 8;
export const TRUNCATE = 16;
export const EXCLUSIVE = 32;

// Which attributes are there (§5).
const HAS_SIZE = 1;
const HAS_OWNER = 2;
const HAS_MODE = 4;
const HAS_TIMES = 8;
const HAS_EXTENDED = 0x8000_0000;

// Kinds of files within `mode`, as POSIX has them.
export const S_IFDIR = 0o040000;
export const S_IFREG = 0o100000;
export const S_IFLNK = 0o120000;

/** What is said of a file; what is absent is not said. Times are in seconds since 1970. */
export interface Attributes {
  readonly size?: number | undefined;
  readonly uid?: number | undefined;
  readonly gid?: number | undefined;
  readonly mode?: number | undefined;
  readonly accessed?: number | undefined;
  readonly modified?: number | undefined;
}

export interface Entry {
  readonly name: string;
  /** As `ls -l` has it. */
  readonly long: string;
  readonly attributes: Attributes;
}

/** Names of the extensions, with their versions, as VERSION tells them. */
export const EXTENSIONS: readonly (readonly [string, string])[] = [
  ['posix-rename@openssh.com', '1'],
  ['statvfs@openssh.com', '2'],
  ['fstatvfs@openssh.com', '2'],
  ['fsync@openssh.com', '1'],
  ['lsetstat@openssh.com', '1'],
  ['limits@openssh.com', '1'],
  ['expand-path@openssh.com', '1'],
  ['copy-data', '1'],
  ['home-directory', '1'],
];

/** The fixed head of a packet: its length, its type. */
const HEAD = 5;

/** Reads requests one by one: `read` finds one, the others take its fields in their order. */
export class RequestReader {
  type = 0;
  id = 0;
  fault: Fault | null = null;
  /** A field was not there, or was too long: the packet is answered with BAD_MESSAGE. */
  broken = false;
  /** Where the bytes of the last `bytes()` lie. */
  bytesStart = 0;
  bytesEnd = 0;
  private readonly packetBytesMax: number;
  private at = 0;
  private stop = 0;
  private input: Uint8Array = new Uint8Array(0);

  constructor(packetBytesMax: number) {
    this.packetBytesMax = packetBytesMax;
  }

  /** Finds a whole packet at `start`; answers the index behind it, MORE, or BAD with the fault set. */
  read(input: Uint8Array, start: number, end: number): number {
    if (end - start < HEAD) return MORE;
    const length = u32(input, start);
    if (length > this.packetBytesMax) return this.refuse(faults.packetTooLong);
    this.type = input[start + 4]!;
    if (length < 5) return this.refuse(faults.packetTooShort);
    const next = start + 4 + length;
    if (next > end) return MORE;
    this.input = input;
    this.id = u32(input, start + HEAD);
    this.at = start + HEAD + 4;
    this.stop = next;
    this.broken = false;
    return next;
  }

  private refuse(fault: Fault): number {
    this.fault = fault;
    return BAD;
  }

  /** Every field was taken. */
  get isSpent(): boolean {
    return this.broken || this.at >= this.stop;
  }

  u32(): number {
    if (this.stop - this.at < 4) return this.lacks(0);
    this.at += 4;
    return u32(this.input, this.at - 4);
  }

  /** A position or a length in a file; one that no number here can hold is broken. */
  u64(): number {
    if (this.stop - this.at < 8) return this.lacks(0);
    this.at += 8;
    const value = u64(this.input, this.at - 8);
    return value > Number.MAX_SAFE_INTEGER ? this.lacks(0) : value;
  }

  /** Finds bytes with their length before them: `bytesStart` to `bytesEnd`. */
  bytes(): void {
    const length = this.u32();
    if (this.broken || this.stop - this.at < length) {
      this.lacks(0);
      this.bytesStart = this.bytesEnd = this.at;
      return;
    }
    this.bytesStart = this.at;
    this.at += length;
    this.bytesEnd = this.at;
  }

  /** A name or a path; what is no UTF-8 is broken, since no file here has such a name. */
  text(): string {
    this.bytes();
    if (this.broken) return '';
    if (!isUtf8(this.input, this.bytesStart, this.bytesEnd)) return this.lacks('');
    return utf8(this.input, this.bytesStart, this.bytesEnd);
  }

  /** A handle of ours, which is four bytes; -1 for what is none. */
  handle(): number {
    this.bytes();
    return this.bytesEnd - this.bytesStart === 4 ? u32(this.input, this.bytesStart) : -1;
  }

  attributes(): Attributes {
    const flags = this.u32();
    const size = flags & HAS_SIZE ? this.u64() : undefined;
    const uid = flags & HAS_OWNER ? this.u32() : undefined;
    const gid = flags & HAS_OWNER ? this.u32() : undefined;
    const mode = flags & HAS_MODE ? this.u32() : undefined;
    const accessed = flags & HAS_TIMES ? this.u32() : undefined;
    const modified = flags & HAS_TIMES ? this.u32() : undefined;
    if (flags & HAS_EXTENDED)
      for (let left = Math.min(this.u32(), 64); left > 0 && !this.broken; left--) {
        this.bytes();
        this.bytes();
      }
    return { size, uid, gid, mode, accessed, modified };
  }

  private lacks<Value>(value: Value): Value {
    this.broken = true;
    return value;
  }
}

// ---- answers -------------------------------------------------------------------------------------------------------

export function writeVersion(out: ByteWriter): void {
  let length = 5;
  for (const [name, value] of EXTENSIONS) length += 8 + name.length + value.length;
  out.u32(length);
  out.u8(VERSION);
  out.u32(3);
  for (const [name, value] of EXTENSIONS) {
    out.u32(name.length);
    out.ascii(name);
    out.u32(value.length);
    out.ascii(value);
  }
}

export function writeStatus(out: ByteWriter, id: number, code: StatusCode, text: string): void {
  const length = Buffer.byteLength(text);
  out.u32(17 + length);
  out.u8(STATUS);
  out.u32(id);
  out.u32(code);
  out.u32(length);
  out.utf8(text);
  // No language.
  out.u32(0);
}

export function writeHandle(out: ByteWriter, id: number, handle: number): void {
  out.u32(13);
  out.u8(HANDLE);
  out.u32(id);
  out.u32(4);
  out.u32(handle);
}

/** The head of DATA; so many bytes follow. */
export function writeDataHead(out: ByteWriter, id: number, length: number): void {
  out.u32(9 + length);
  out.u8(DATA);
  out.u32(id);
  out.u32(length);
}

export function writeAttributes(out: ByteWriter, id: number, attributes: Attributes): void {
  const at = begin(out, ATTRS, id);
  putAttributes(out, attributes);
  finish(out, at);
}

export function writeNames(out: ByteWriter, id: number, entries: readonly Entry[]): void {
  const at = begin(out, NAME, id);
  out.u32(entries.length);
  for (const { name, long, attributes } of entries) {
    putText(out, name);
    putText(out, long);
    putAttributes(out, attributes);
  }
  finish(out, at);
}

/** EXTENDED_REPLY with 64-bit numbers, which is what statvfs and limits answer. */
export function writeNumbers(out: ByteWriter, id: number, numbers: readonly number[]): void {
  out.u32(5 + numbers.length * 8);
  out.u8(EXTENDED_REPLY);
  out.u32(id);
  for (const each of numbers) out.u64(each);
}

/** Leaves room for the length, which `finish` puts there. */
export function begin(out: ByteWriter, type: number, id: number): number {
  const at = out.length;
  out.u32(0);
  out.u8(type);
  out.u32(id);
  return at;
}

export function finish(out: ByteWriter, at: number): void {
  const length = out.length - at - 4;
  out.bytes[at] = length >>> 24;
  out.bytes[at + 1] = length >>> 16;
  out.bytes[at + 2] = length >>> 8;
  out.bytes[at + 3] = length;
}

function putText(out: ByteWriter, text: string): void {
  out.u32(Buffer.byteLength(text));
  out.utf8(text);
}

export function putAttributes(out: ByteWriter, { size, uid, gid, mode, accessed, modified }: Attributes): void {
  const owned = uid !== undefined && gid !== undefined;
  const timed = accessed !== undefined && modified !== undefined;
  out.u32(
    (size === undefined ? 0 : HAS_SIZE) |
      (owned ? HAS_OWNER : 0) |
      (mode === undefined ? 0 : HAS_MODE) |
      (timed ? HAS_TIMES : 0),
  );
  if (size !== undefined) out.u64(size);
  if (owned) {
    out.u32(uid);
    out.u32(gid);
  }
  if (mode !== undefined) out.u32(mode);
  if (timed) {
    out.u32(accessed >>> 0);
    out.u32(modified >>> 0);
  }
}
