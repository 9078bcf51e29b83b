// What may come when on a channel, and how it is answered: each request once, in whatever order they are done. What requests
// do is the upper half's.
import { BAD, MORE } from '../../bytes/reader.ts';
import type { Fault } from '../../core/fault.ts';
import type { Bound } from '../../core/limits.ts';
import type { Cause, Pipe, Session, Why } from '../../core/pipe.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import * as C from './codec.ts';
import { faults } from './faults.ts';
import type { limits } from './limits.ts';

export type SftpLimits = Bound<typeof limits>;

/** The half that knows the files. Each is told the number of its request and answers it, once and at any time. */
export interface Upper {
  open(id: number, path: string, flags: number): void;
  close(id: number, handle: number): void;
  read(id: number, handle: number, offset: number, length: number): void;
  /** The bytes are borrowed. False: not now; they come again after `session.goOn()`. */
  write(id: number, handle: number, offset: number, input: Uint8Array, start: number, end: number): boolean;
  stat(id: number, path: string, follows: boolean): void;
  statHandle(id: number, handle: number): void;
  set(id: number, path: string, attributes: C.Attributes): void;
  setHandle(id: number, handle: number, attributes: C.Attributes): void;
  openFolder(id: number, path: string): void;
  readFolder(id: number, handle: number): void;
  remove(id: number, path: string, folder: boolean): void;
  makeFolder(id: number, path: string): void;
  realPath(id: number, path: string): void;
  rename(id: number, from: string, to: string, replaces: boolean): void;
  readLink(id: number, path: string): void;
  link(id: number, target: string, path: string): void;
  space(id: number, path: string): void;
  spaceOfHandle(id: number, handle: number): void;
  sync(id: number, handle: number): void;
  copy(id: number, from: number, fromOffset: number, length: number, to: number, toOffset: number): void;
  /** The server leaves: what is under way may end. */
  leaving(): void;
  /** The channel is gone. */
  gone(): void;
}

export class SftpSession implements Session {
  readonly deadline: Instant = NEVER;
  readonly pipe: Pipe;
  readonly limits: SftpLimits;
  private readonly reader: C.RequestReader;
  private readonly upper: Upper;
  private begun = false;
  private over = false;
  private underWay = 0;
  private held = false;
  private finished = false;

  constructor(pipe: Pipe, limits: SftpLimits, upper: (session: SftpSession) => Upper) {
    this.pipe = pipe;
    this.limits = limits;
    this.reader = new C.RequestReader(limits.packetBytesMax);
    this.upper = upper(this);
  }

  // ---- what comes in -----------------------------------------------------------------------------------------------

  receive(input: Uint8Array, start: number, end: number, _clock: Clock): number {
    let at = start;
    while (at < end && !this.over) {
      if (this.underWay >= this.limits.requestsMax || this.pipe.room === 0) {
        this.hold();
        break;
      }
      const next = this.reader.read(input, at, end);
      if (next === MORE) break;
      if (next === BAD) {
        this.fail(this.reader.fault!);
        break;
      }
      if (!this.request(input)) {
        this.hold();
        break;
      }
      at = next;
    }
    return this.over ? end : at;
  }

  private hold(): void {
    this.held = true;
    this.pipe.pause();
  }

  /** What was held back may come now. */
  goOn(): void {
    if (!this.held || this.over) return;
    this.held = false;
    this.pipe.resume();
  }

  /** One request; false when it cannot be taken for now. */
  private request(input: Uint8Array): boolean {
    const { reader } = this;
    const { type, id } = reader;
    if (type === C.INIT || !this.begun) {
      if (type !== C.INIT || this.begun) {
        this.fail(faults.notFirst);
        return true;
      }
      this.begun = true;
      C.writeVersion(this.pipe.out);
      this.pipe.flush();
      return true;
    }
    this.underWay++;
    if (type === C.WRITE) {
      const handle = reader.handle();
      const offset = reader.u64();
      reader.bytes();
      if (reader.broken) this.status(id, C.SSH_FX.BAD_MESSAGE, BROKEN);
      else if (!this.upper.write(id, handle, offset, input, reader.bytesStart, reader.bytesEnd)) {
        this.underWay--;
        return false;
      }
      return true;
    }
    const act = type === C.EXTENDED ? this.extended(id) : this.plain(type, id);
    if (reader.broken) this.status(id, C.SSH_FX.BAD_MESSAGE, BROKEN);
    else act();
    return true;
  }

  /** Takes the fields of a request, and answers what is to be done once all of them are there. */
  private plain(type: number, id: number): () => void {
    const { reader, upper } = this;
    switch (type) {
      case C.OPEN: {
        const path = reader.text();
        const flags = reader.u32();
        reader.attributes();
        return () => upper.open(id, path, flags);
      }
      case C.CLOSE:
      case C.FSTAT:
      case C.READDIR: {
        const handle = reader.handle();
        if (type === C.CLOSE) return () => upper.close(id, handle);
        return type === C.FSTAT ? () => upper.statHandle(id, handle) : () => upper.readFolder(id, handle);
      }
      case C.READ: {
        const handle = reader.handle();
        const offset = reader.u64();
        const length = Math.min(reader.u32(), this.limits.readBytesMax);
        return () => upper.read(id, handle, offset, length);
      }
      case C.SETSTAT: {
        const path = reader.text();
        const attributes = reader.attributes();
        return () => upper.set(id, path, attributes);
      }
      case C.FSETSTAT: {
        const handle = reader.handle();
        const attributes = reader.attributes();
        return () => upper.setHandle(id, handle, attributes);
      }
      case C.RENAME: {
        const from = reader.text();
        const to = reader.text();
        return () => upper.rename(id, from, to, false);
      }
      case C.SYMLINK: {
        // OpenSSH sends the target first, which the draft has second (OpenSSH PROTOCOL §4.1).
        const target = reader.text();
        const path = reader.text();
        return () => upper.link(id, target, path);
      }
      case C.MKDIR: {
        const path = reader.text();
        reader.attributes();
        return () => upper.makeFolder(id, path);
      }
      default:
        return this.ofPath(type, id);
    }
  }

  private ofPath(type: number, id: number): () => void {
    const { upper } = this;
    const known = [C.LSTAT, C.STAT, C.OPENDIR, C.REMOVE, C.RMDIR, C.REALPATH, C.READLINK].includes(type);
    if (!known) return () => this.status(id, C.SSH_FX.OP_UNSUPPORTED, 'there is no such request');
    const path = this.reader.text();
    switch (type) {
      case C.OPENDIR:
        return () => upper.openFolder(id, path);
      case C.REALPATH:
        return () => upper.realPath(id, path);
      case C.READLINK:
        return () => upper.readLink(id, path);
      case C.REMOVE:
      case C.RMDIR:
        return () => upper.remove(id, path, type === C.RMDIR);
      default:
        return () => upper.stat(id, path, type === C.STAT);
    }
  }

  private extended(id: number): () => void {
    const { reader, upper, limits } = this;
    const name = reader.text();
    switch (name) {
      case 'posix-rename@openssh.com': {
        const from = reader.text();
        const to = reader.text();
        return () => upper.rename(id, from, to, true);
      }
      case 'lsetstat@openssh.com': {
        const path = reader.text();
        const attributes = reader.attributes();
        return () => upper.set(id, path, attributes);
      }
      case 'statvfs@openssh.com':
      case 'expand-path@openssh.com':
      case 'home-directory': {
        const path = reader.text();
        if (name === 'statvfs@openssh.com') return () => upper.space(id, path);
        // There is one home, which is where every path begins.
        const home = name === 'home-directory' || path === '~' ? '.' : path.replace(/^~\//, '');
        return () => upper.realPath(id, home);
      }
      case 'fstatvfs@openssh.com':
      case 'fsync@openssh.com': {
        const handle = reader.handle();
        return name === 'fsync@openssh.com' ? () => upper.sync(id, handle) : () => upper.spaceOfHandle(id, handle);
      }
      case 'copy-data': {
        const from = reader.handle();
        const fromOffset = reader.u64();
        const length = reader.u64();
        const to = reader.handle();
        const toOffset = reader.u64();
        return () => upper.copy(id, from, fromOffset, length, to, toOffset);
      }
      case 'limits@openssh.com': {
        const { packetBytesMax, readBytesMax, handlesMax } = limits;
        return () => this.numbers(id, [packetBytesMax, readBytesMax, packetBytesMax - 1_024, handlesMax]);
      }
      default:
        return () => this.status(id, C.SSH_FX.OP_UNSUPPORTED, 'there is no such extension');
    }
  }

  // ---- what goes out -----------------------------------------------------------------------------------------------

  status(id: number, code: C.StatusCode, text = ''): void {
    if (!this.over) C.writeStatus(this.pipe.out, id, code, text);
    this.answered();
  }

  handle(id: number, handle: number): void {
    if (!this.over) C.writeHandle(this.pipe.out, id, handle);
    this.answered();
  }

  /** Bytes that are immutable from now on, or until their storage is given back. */
  data(id: number, bytes: Uint8Array, start: number, end: number, storage?: Buffer): void {
    if (!this.over) {
      C.writeDataHead(this.pipe.out, id, end - start);
      this.pipe.share(bytes, start, end, storage);
    }
    this.answered();
  }

  attributes(id: number, attributes: C.Attributes): void {
    if (!this.over) C.writeAttributes(this.pipe.out, id, attributes);
    this.answered();
  }

  names(id: number, entries: readonly C.Entry[]): void {
    if (!this.over) C.writeNames(this.pipe.out, id, entries);
    this.answered();
  }

  numbers(id: number, numbers: readonly number[]): void {
    if (!this.over) C.writeNumbers(this.pipe.out, id, numbers);
    this.answered();
  }

  private answered(): void {
    this.underWay--;
    if (this.over) return;
    this.pipe.flush();
    if (this.held && this.underWay < this.limits.requestsMax && this.pipe.room > 0) this.goOn();
    if (this.finished && this.underWay === 0) this.end();
  }

  private fail(fault: Fault): void {
    if (this.over) return;
    this.over = true;
    C.writeStatus(this.pipe.out, this.reader.id, fault.wire as C.StatusCode, fault.text);
    this.upper.gone();
    this.pipe.fail(fault);
  }

  private end(): void {
    if (this.over) return;
    this.over = true;
    this.upper.gone();
    this.pipe.end();
  }

  // ---- the channel -------------------------------------------------------------------------------------------------

  overlong(_clock: Clock): void {
    this.fail(faults.packetTooLong);
  }

  writable(_clock: Clock): void {
    this.goOn();
  }

  tick(_clock: Clock): void {}

  finish(_clock: Clock): void {
    this.finished = true;
    if (this.underWay === 0) this.end();
  }

  leave(_why: Why, _clock: Clock): void {
    this.upper.leaving();
    this.finished = true;
    if (this.underWay === 0) this.end();
  }

  lost(_cause: Cause, _wire: number, _clock: Clock): void {
    if (this.over) return;
    this.over = true;
    this.upper.gone();
  }
}

const BROKEN = 'the request is not whole, or a name in it is not UTF-8';
