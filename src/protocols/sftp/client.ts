// The client half of SFTP: requests out, each with a number, and answers in by that number, in any order and many at once. It
// knows no files and no SSH; the caller keeps as many requests under way as it likes to hold.
import { BAD, MORE } from '../../bytes/reader.ts';
import type { Fault } from '../../core/fault.ts';
import type { Cause, Pipe, Session } from '../../core/pipe.ts';
import { type Instant, NEVER } from '../../core/time.ts';
import * as C from './codec.ts';
import { faults } from './faults.ts';

/** A server may answer with more than we would take as a server. */
const PACKET_MAX = 1_048_576;
const NAMES_MAX = 100_000;
const EXTENSIONS_MAX = 64;

export interface RemoteEntry {
  readonly name: string;
  readonly attributes: C.Attributes;
}

/** What a request came to; what its type does not carry is empty. */
export interface SftpAnswer {
  /** STATUS, HANDLE, DATA, NAME, ATTRS or EXTENDED_REPLY. */
  readonly type: number;
  /** Of STATUS. */
  readonly code: number;
  readonly text: string;
  /** The handle, or the bytes of DATA: a copy. */
  readonly bytes: Buffer;
  readonly entries: readonly RemoteEntry[];
  readonly attributes: C.Attributes;
}

export type SftpAnswered = (answer: SftpAnswer) => void;

export interface SftpClientEvents {
  /** The server speaks version 3 and these extensions. */
  begun(extensions: ReadonlyMap<string, string>): void;
  /** There is room for requests again. */
  roomy(): void;
  /** The channel is gone, and with it every request that was not answered. */
  closed(cause: Cause, fault: Fault | null): void;
}

const NOTHING = Buffer.alloc(0);
const EMPTY = { code: 0, text: '', bytes: NOTHING, entries: [], attributes: {} };

export class SftpClient implements Session {
  readonly deadline: Instant = NEVER;
  private readonly pipe: Pipe;
  private readonly events: SftpClientEvents;
  private readonly reader = new C.RequestReader(PACKET_MAX);
  private readonly asked = new Map<number, SftpAnswered>();
  private number = 0;
  private isBegun = false;
  private over = false;
  private fault: Fault | null = null;

  constructor(pipe: Pipe, events: SftpClientEvents) {
    this.pipe = pipe;
    this.events = events;
    const { out } = pipe;
    out.u32(5);
    out.u8(C.INIT);
    out.u32(3);
    pipe.flush();
  }

  /** How many bytes may be written now. */
  get room(): number {
    return this.over ? 0 : this.pipe.room;
  }

  // ---- requests ----------------------------------------------------------------------------------------------------

  open(path: string, flags: number, answered: SftpAnswered): void {
    this.request(C.OPEN, answered, (out) => {
      putText(out, path);
      out.u32(flags);
      C.putAttributes(out, {});
    });
  }

  read(handle: Buffer, offset: number, length: number, answered: SftpAnswered): void {
    this.request(C.READ, answered, (out) => {
      putBytes(out, handle, 0, handle.length);
      out.u64(offset);
      out.u32(length);
    });
  }

  write(handle: Buffer, offset: number, data: Uint8Array, start: number, end: number, answered: SftpAnswered): void {
    this.request(C.WRITE, answered, (out) => {
      putBytes(out, handle, 0, handle.length);
      out.u64(offset);
      putBytes(out, data, start, end);
    });
  }

  /** CLOSE, FSTAT and READDIR. */
  ofHandle(type: typeof C.CLOSE | typeof C.FSTAT | typeof C.READDIR, handle: Buffer, answered: SftpAnswered): void {
    this.request(type, answered, (out) => putBytes(out, handle, 0, handle.length));
  }

  /** LSTAT, STAT, OPENDIR, REMOVE, RMDIR, REALPATH and READLINK. */
  ofPath(type: number, path: string, answered: SftpAnswered): void {
    this.request(type, answered, (out) => putText(out, path));
  }

  /** MKDIR and SETSTAT. */
  withAttributes(
    type: typeof C.MKDIR | typeof C.SETSTAT,
    path: string,
    attributes: C.Attributes,
    answered: SftpAnswered,
  ): void {
    this.request(type, answered, (out) => {
      putText(out, path);
      C.putAttributes(out, attributes);
    });
  }

  /** @param replaces by OpenSSH's extension, which goes over what is there */
  rename(from: string, to: string, replaces: boolean, answered: SftpAnswered): void {
    this.request(replaces ? C.EXTENDED : C.RENAME, answered, (out) => {
      if (replaces) putText(out, 'posix-rename@openssh.com');
      putText(out, from);
      putText(out, to);
    });
  }

  end(): void {
    if (this.over) return;
    this.over = true;
    this.pipe.end();
    this.pipe.flush();
  }

  private request(type: number, answered: SftpAnswered, put: (out: Pipe['out']) => void): void {
    if (this.over) return;
    const id = this.number;
    this.number = (this.number + 1) >>> 0;
    this.asked.set(id, answered);
    const at = C.begin(this.pipe.out, type, id);
    put(this.pipe.out);
    C.finish(this.pipe.out, at);
    this.pipe.flush();
  }

  // ---- Session -----------------------------------------------------------------------------------------------------

  receive(input: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end && !this.over) {
      const next = this.reader.read(input, at, end);
      if (next === MORE) return at;
      if (next === BAD) {
        this.break(this.reader.fault!);
        return end;
      }
      at = next;
      this.take(input);
    }
    return this.over ? end : at;
  }

  private take(input: Uint8Array): void {
    const { reader } = this;
    if (!this.isBegun) {
      // Where a request has its number, VERSION has the version (§4).
      if (reader.type !== C.VERSION || reader.id < 3) {
        this.break(faults.notFirst);
        return;
      }
      const extensions = new Map<string, string>();
      while (!reader.isSpent && extensions.size < EXTENSIONS_MAX) {
        const name = reader.text();
        const value = reader.text();
        if (!reader.broken) extensions.set(name, value);
      }
      this.isBegun = true;
      this.events.begun(extensions);
      return;
    }
    const answered = this.asked.get(reader.id);
    const answer = answered === undefined ? null : this.answer(input);
    if (answered === undefined || answer === null) {
      this.break(faults.badAnswer);
      return;
    }
    this.asked.delete(reader.id);
    answered(answer);
  }

  /** Null for what is none. */
  private answer(input: Uint8Array): SftpAnswer | null {
    const { reader } = this;
    const { type } = reader;
    if (type === C.STATUS) {
      const code = reader.u32();
      if (reader.broken) return null;
      // Old servers leave the text out.
      const text = reader.isSpent ? '' : reader.text();
      return { ...EMPTY, type, code, text };
    }
    if (type === C.HANDLE || type === C.DATA) {
      reader.bytes();
      const bytes = Buffer.from(input.subarray(reader.bytesStart, reader.bytesEnd));
      return reader.broken ? null : { ...EMPTY, type, bytes };
    }
    if (type === C.ATTRS) {
      const attributes = reader.attributes();
      return reader.broken ? null : { ...EMPTY, type, attributes };
    }
    if (type === C.NAME) return this.names(input);
    return type === C.EXTENDED_REPLY ? { ...EMPTY, type } : null;
  }

  private names(input: Uint8Array): SftpAnswer | null {
    const { reader } = this;
    const entries: RemoteEntry[] = [];
    for (let left = reader.u32(); left > 0; left--) {
      reader.bytes();
      const name = Buffer.from(input.subarray(reader.bytesStart, reader.bytesEnd)).toString();
      reader.bytes();
      const attributes = reader.attributes();
      if (reader.broken || entries.length >= NAMES_MAX) return null;
      entries.push({ name, attributes });
    }
    return reader.broken ? null : { ...EMPTY, type: C.NAME, entries };
  }

  private break(fault: Fault): void {
    this.fault = fault;
    this.over = true;
    this.pipe.fail(fault);
  }

  gather(): void {}

  overlong(): void {
    this.break(faults.packetTooLong);
  }

  writable(): void {
    this.events.roomy();
  }

  tick(): void {}

  finish(): void {
    this.end();
  }

  leave(): void {
    this.end();
  }

  lost(cause: Cause): void {
    this.over = true;
    this.asked.clear();
    this.events.closed(cause, this.fault);
  }
}

function putText(out: Pipe['out'], text: string): void {
  out.u32(Buffer.byteLength(text));
  out.utf8(text);
}

function putBytes(out: Pipe['out'], bytes: Uint8Array, start: number, end: number): void {
  out.u32(end - start);
  out.copy(bytes, start, end);
}
