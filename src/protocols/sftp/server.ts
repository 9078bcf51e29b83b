// SFTP over the files: requests of a channel as verbs of the tree, with the handles that are open meanwhile. Paths are from the
// root; those that do not begin there are from the home of whoever signed in.
import { ANYONE, type Caller, callerOf } from '../../core/caller.ts';
import { MISSING, OK, type Outcome } from '../../core/outcome.ts';
import type { Pipe, Session } from '../../core/pipe.ts';
import { type Host, reportBug } from '../../core/protocol.ts';
import type { FileFacts, Files, WriteWish } from '../../resources/files/contract.ts';
import type { Resources } from '../../resources/resources.ts';
import * as C from './codec.ts';
import { FolderHandle, type Handle, ReadHandle, WriteHandle } from './handles.ts';
import type { limits } from './limits.ts';
import { attributesOf, longName } from './listing.ts';
import { OUTCOME_STATUS } from './outcomes.ts';
import { SftpSession, type Upper } from './session.ts';

export type SftpHost = Host<Resources, typeof limits>;

/** Entries of one NAME. */
const NAMES_EACH = 128;
const BLOCK = 4_096;

class SftpServer implements Upper {
  private readonly session: SftpSession;
  private readonly host: SftpHost;
  private readonly files: Files;
  private readonly caller: Caller;
  private readonly handles = new Map<number, Handle>();
  private last = 0;
  private over = false;
  /** The last of the changes that are under way, one behind the other. */
  private changing: Promise<unknown> | null = null;

  constructor(session: SftpSession, host: SftpHost, files: Files, caller: Caller) {
    this.session = session;
    this.host = host;
    this.files = files;
    this.caller = caller;
  }

  /** The path of the tree that a client means. */
  private path(given: string): string {
    const levels = given.startsWith('/') ? [] : this.files.homeOf(this.caller).split('/').filter(Boolean);
    for (const level of given.split('/')) {
      if (level === '..') levels.pop();
      else if (level !== '' && level !== '.') levels.push(level);
    }
    return levels.join('/');
  }

  /** Does something that takes its time, and answers for it when it comes to nothing. */
  private ask<Value>(id: number, asked: Promise<Value | Outcome>, then: (value: Value) => void): void {
    asked.then(
      (value) => {
        if (this.over) return;
        if (typeof value === 'number') this.end(id, value as Outcome);
        else then(value);
      },
      (error: unknown) => {
        reportBug(this.host, error, 'sftp', { connection: this.session.pipe.id });
        if (!this.over) this.session.status(id, C.SSH_FX.FAILURE, 'a bug of the server’s');
      },
    );
  }

  /**
   * What comes behind a change finds it done, though the client has not waited for its answer (draft-ietf-secsh-filexfer-02
   * §4.1): sshfs opens a file anew that it has just closed.
   */
  private after<Value>(work: () => Promise<Value>): Promise<Value> {
    return this.changing === null ? work() : this.changing.then(work, work);
  }

  private change<Value>(work: () => Promise<Value>): Promise<Value> {
    const asked = this.after(work);
    const settled = () => {
      if (this.changing === asked) this.changing = null;
    };
    this.changing = asked;
    asked.then(settled, settled);
    return asked;
  }

  /** Answers a request that only has to be done. */
  private done(id: number, asked: Promise<Outcome>): void {
    this.ask<never>(id, asked, () => {});
  }

  private end(id: number, outcome: Outcome): void {
    const [code, text] = OUTCOME_STATUS[outcome];
    this.session.status(id, code, text);
  }

  private keep(id: number, handle: Handle): void {
    const number = ++this.last;
    this.handles.set(number, handle);
    this.session.handle(id, number);
  }

  private isFull(id: number): boolean {
    if (this.handles.size < this.host.limits.handlesMax) return false;
    this.session.status(id, C.SSH_FX.FAILURE, 'as many files as may be are open');
    return true;
  }

  /** The handle of a request; null when it was answered, since there is no such one. */
  private handleOf<Kind extends Handle>(id: number, number: number, kinds: readonly Handle['kind'][]): Kind | null {
    const handle = this.handles.get(number);
    if (handle !== undefined && kinds.includes(handle.kind)) return handle as Kind;
    this.session.status(id, C.SSH_FX.FAILURE, 'there is no such handle, or it is not for this');
    return null;
  }

  // ---- files -------------------------------------------------------------------------------------------------------

  open(id: number, given: string, flags: number): void {
    if (this.isFull(id)) return;
    const path = this.path(given);
    if ((flags & (C.FOR_WRITE | C.FOR_APPEND)) === 0) {
      this.ask(
        id,
        this.after(() => this.files.open(this.caller, path)),
        (file) => this.keep(id, new ReadHandle(path, file)),
      );
      return;
    }
    this.ask(
      id,
      this.after(() => this.begin(path, flags)),
      (file) => {
        file.onRoom = () => this.session.goOn();
        this.keep(id, new WriteHandle(path, file, (flags & C.FOR_APPEND) !== 0));
      },
    );
  }

  private async begin(path: string, flags: number) {
    const { files, caller } = this;
    const has = (flag: number) => (flags & flag) !== 0;
    const write = (wish: WriteWish) => files.write(caller, path, wish);
    if (has(C.CREATE) && has(C.EXCLUSIVE)) return write({ begin: 'fresh' });
    if (has(C.CREATE) && has(C.TRUNCATE)) return write({ begin: 'new' });
    const there = await files.stat(caller, path);
    if (typeof there !== 'number')
      return write({ begin: has(C.TRUNCATE) ? 'new' : has(C.FOR_APPEND) ? 'append' : 'edit' });
    if (there !== MISSING || !has(C.CREATE)) return there;
    // What the same account's upload left goes on: its size is what the client was told of.
    const left = await files.pending(caller, path);
    return left === null ? write({ begin: 'new' }) : write({ begin: 'resume', offset: left.size });
  }

  private async committed({ file, mode, path }: WriteHandle): Promise<Outcome> {
    const facts = await file.commit();
    if (typeof facts === 'number') return facts;
    return mode === undefined ? OK : this.files.setAttributes(this.caller, path, { mode });
  }

  close(id: number, number: number): void {
    const handle = this.handleOf<Handle>(id, number, ['read', 'write', 'folder']);
    if (handle === null) return;
    this.handles.delete(number);
    if (handle.kind !== 'write') {
      handle.let();
      this.session.status(id, C.SSH_FX.OK);
      return;
    }
    this.done(
      id,
      this.change(() => this.committed(handle)),
    );
  }

  read(id: number, number: number, offset: number, length: number): void {
    const handle = this.handleOf<ReadHandle | WriteHandle>(id, number, ['read', 'write']);
    if (handle === null) return;
    const end = Math.min(offset + length, handle.size);
    if (offset >= end) {
      this.session.status(id, C.SSH_FX.EOF, 'the end');
      return;
    }
    handle.collect(offset, end, (bytes, storage) => {
      if (this.over) return;
      if (typeof bytes === 'number') this.end(id, bytes);
      else if (bytes.length === 0) this.session.status(id, C.SSH_FX.EOF, 'the end');
      else this.session.data(id, bytes, 0, bytes.length, storage);
    });
  }

  write(id: number, number: number, offset: number, input: Uint8Array, start: number, end: number): boolean {
    const handle = this.handleOf<WriteHandle>(id, number, ['write']);
    if (handle === null) return true;
    if (!handle.take(id, offset, input, start, end)) return false;
    this.end(id, handle.file.trouble);
    return true;
  }

  sync(id: number, number: number): void {
    const handle = this.handleOf<WriteHandle | ReadHandle>(id, number, ['write', 'read']);
    if (handle?.kind === 'write') this.done(id, handle.file.sync());
    else if (handle !== null) this.session.status(id, C.SSH_FX.OK);
  }

  copy(id: number, from: number, fromOffset: number, length: number, to: number, toOffset: number): void {
    const source = this.handleOf<ReadHandle | WriteHandle>(id, from, ['read', 'write']);
    const target = source === null ? null : this.handleOf<WriteHandle>(id, to, ['write']);
    if (source === null || target === null) return;
    // A length of 0 is all that there is (copy-data of draft-ietf-secsh-filexfer-extensions).
    const end = length === 0 ? source.size : Math.min(source.size, fromOffset + length);
    target.copyFrom(source, Math.min(fromOffset, end), end, toOffset, (outcome) => {
      if (!this.over) this.end(id, outcome);
    });
  }

  // ---- what is there -----------------------------------------------------------------------------------------------

  stat(id: number, given: string, follows: boolean): void {
    const path = this.path(given);
    this.ask(
      id,
      this.after(() => this.found(path, follows)),
      (facts) => this.session.attributes(id, attributesOf(facts)),
    );
  }

  /** What is there, or what this account's own upload left of it. */
  private async found(path: string, follows: boolean): Promise<FileFacts | Outcome> {
    const there = await this.files.stat(this.caller, path, follows);
    if (there !== MISSING) return there;
    const left = await this.files.pending(this.caller, path);
    return left === null ? MISSING : pendingFacts(path, left.size, this.host.clock.wall);
  }

  statHandle(id: number, number: number): void {
    const handle = this.handleOf<Handle>(id, number, ['read', 'write', 'folder']);
    if (handle === null) return;
    if (handle.kind === 'read') this.session.attributes(id, attributesOf(handle.file.facts));
    else if (handle.kind === 'write')
      this.session.attributes(id, attributesOf(pendingFacts(handle.path, handle.size, this.host.clock.wall)));
    else this.stat(id, `/${handle.path}`, true);
  }

  set(id: number, given: string, { size, mode, modified }: C.Attributes): void {
    const change = {
      ...(size === undefined ? {} : { size }),
      ...(mode === undefined ? {} : { mode: mode & 0o777 }),
      ...(modified === undefined ? {} : { modified: modified * 1_000 }),
    };
    this.done(
      id,
      this.change(() => this.files.setAttributes(this.caller, this.path(given), change)),
    );
  }

  setHandle(id: number, number: number, { size, mode, modified }: C.Attributes): void {
    const handle = this.handleOf<Handle>(id, number, ['read', 'write', 'folder']);
    if (handle === null) return;
    if (handle.kind !== 'write') {
      this.set(id, `/${handle.path}`, { size, mode, modified });
      return;
    }
    if (size !== undefined) handle.file.truncate(size);
    if (modified !== undefined) handle.file.setModified(modified * 1_000);
    if (mode !== undefined) handle.mode = mode & 0o777;
    this.end(id, handle.file.trouble);
  }

  realPath(id: number, given: string): void {
    const name = `/${this.path(given)}`;
    this.session.names(id, [{ name, long: name, attributes: {} }]);
  }

  readLink(id: number, given: string): void {
    this.ask(
      id,
      this.after(() => this.files.stat(this.caller, this.path(given), false)),
      ({ link }) => {
        if (link === null) this.session.status(id, C.SSH_FX.FAILURE, 'this is no link');
        else this.session.names(id, [{ name: link, long: link, attributes: {} }]);
      },
    );
  }

  // ---- folders -----------------------------------------------------------------------------------------------------

  openFolder(id: number, given: string): void {
    if (this.isFull(id)) return;
    const path = this.path(given);
    const asked = this.after(() => this.files.openFolder(this.caller, path));
    this.ask(id, asked, (folder) => this.keep(id, new FolderHandle(path, folder)));
  }

  readFolder(id: number, number: number): void {
    const handle = this.handleOf<FolderHandle>(id, number, ['folder']);
    if (handle === null) return;
    this.ask(id, handle.next(NAMES_EACH), (entries) => {
      if (entries.length === 0) {
        this.session.status(id, C.SSH_FX.EOF, 'the end');
        return;
      }
      const { wall } = this.host.clock;
      this.session.names(
        id,
        entries.map((each) => ({ name: each.name, long: longName(each, wall), attributes: attributesOf(each) })),
      );
    });
  }

  makeFolder(id: number, given: string): void {
    this.done(
      id,
      this.change(() => this.files.makeFolder(this.caller, this.path(given))),
    );
  }

  remove(id: number, given: string, folder: boolean): void {
    const path = this.path(given);
    const removed = async (): Promise<string | Outcome> => {
      const facts = await this.files.stat(this.caller, path, false);
      if (typeof facts === 'number') return facts;
      if (facts.folder && (facts.link === null) !== folder) return folder ? 'this is no folder' : 'this is a folder';
      return !facts.folder && folder ? 'this is no folder' : this.files.remove(this.caller, path);
    };
    this.ask(id, this.change(removed), (wrong: string) => this.session.status(id, C.SSH_FX.FAILURE, wrong));
  }

  rename(id: number, from: string, to: string, replaces: boolean): void {
    const wish = { replace: replaces };
    this.done(
      id,
      this.change(() => this.files.move(this.caller, this.path(from), this.path(to), wish)),
    );
  }

  link(id: number, target: string, given: string): void {
    this.done(
      id,
      this.change(() => this.files.link(this.caller, this.path(given), target)),
    );
  }

  // ---- room --------------------------------------------------------------------------------------------------------

  space(id: number, given: string): void {
    this.ask(id, this.files.space(this.caller, this.path(given)), ({ total, free }) => {
      const blocks = Math.floor(total / BLOCK);
      const left = Math.floor(free / BLOCK);
      // f_bsize, f_frsize, f_blocks, f_bfree, f_bavail, f_files, f_ffree, f_favail, f_fsid, f_flag, f_namemax.
      this.session.numbers(id, [BLOCK, BLOCK, blocks, left, left, 0, 0, 0, 0, 0, 255]);
    });
  }

  spaceOfHandle(id: number, number: number): void {
    const handle = this.handleOf<Handle>(id, number, ['read', 'write', 'folder']);
    if (handle !== null) this.space(id, `/${handle.path}`);
  }

  // ---- the channel -------------------------------------------------------------------------------------------------

  leaving(): void {
    for (const handle of this.handles.values()) handle.let();
    this.handles.clear();
  }

  gone(): void {
    this.over = true;
    this.leaving();
  }
}

/** What is not there yet, as its own account sees it. */
function pendingFacts(path: string, size: number, wall: number): FileFacts {
  return {
    path,
    name: path.slice(path.lastIndexOf('/') + 1),
    folder: false,
    link: null,
    size,
    modified: wall,
    accessed: wall,
    created: wall,
    mode: 0o644,
    owner: '',
    version: '',
    unique: '',
    writable: true,
    removable: true,
  };
}

export function serveSftp(pipe: Pipe, host: SftpHost): Session {
  const { files, accounts } = host.resources;
  // Whoever the connection below was opened for; nobody else comes here.
  const caller = callersOf(pipe).at(-1) ?? callerOf(pipe.peer, '', accounts.permissions.epoch);
  return new SftpSession(pipe, host.limits, (session) => new SftpServer(session, host, files!, caller));
}

/** On whose behalf a pipe is open. */
function callersOf(pipe: Pipe): readonly Caller[] {
  return (pipe as { readonly callers?: readonly Caller[] }).callers?.filter(({ by }) => by !== ANYONE) ?? [];
}
