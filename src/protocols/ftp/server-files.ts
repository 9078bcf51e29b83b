// Files of the server as FTP asks for them: the one file that knows the resource. A caller that may only read is one who gave
// no name.
import type { Caller } from '../../core/caller.ts';
import { DENIED, INVALID, MISSING, OK, type Outcome, UNSUPPORTED } from '../../core/outcome.ts';
import type {
  FileFacts as Facts,
  Files,
  IncomingFile as Incoming,
  OpenFolder,
  Algorithm as Sum,
} from '../../resources/files/contract.ts';
import type { FtpFiles } from './server.ts';
import type { Algorithm, Beginning, Change, FileFacts, FolderPages, IncomingFile, OpenFile } from './upper.ts';

/** Entries of a folder that are asked for at once. */
const PAGE = 500;

const SUMS: Readonly<Record<Algorithm, Sum>> = {
  'SHA-256': 'sha-256',
  'SHA-512': 'sha-512',
  'SHA-1': 'sha-1',
  MD5: 'md5',
  CRC32: 'crc32',
};

export class CallerFiles implements FtpFiles {
  private readonly files: Files;
  private readonly caller: Caller;
  private readonly readOnly: boolean;
  private readonly broken: (error: unknown) => void;

  /** @param broken told of what the files threw */
  constructor(files: Files, caller: Caller, readOnly: boolean, broken: (error: unknown) => void) {
    this.files = files;
    this.caller = caller;
    this.readOnly = readOnly;
    this.broken = broken;
  }

  home(then: (path: string) => void): void {
    const home = this.readOnly ? '' : this.files.homeOf(this.caller);
    if (home === '') then('');
    else this.when(this.files.stat(this.caller, home), (found) => then(isFacts(found) && found.folder ? home : ''));
  }

  stat(path: string, uploads: boolean, then: (outcome: Outcome, facts: FileFacts | null) => void): void {
    const { files, caller } = this;
    this.when(files.stat(caller, path), (found) => {
      const facts = isFacts(found) ? this.factsOf(found) : null;
      const outcome = isFacts(found) ? OK : found;
      if (!uploads || this.readOnly || facts?.folder === true || (facts === null && outcome !== MISSING)) {
        then(outcome, facts);
        return;
      }
      // What came of an upload of its own is what a client goes on from.
      this.when(files.pending(caller, path), (pending) => {
        if (pending === null) then(outcome, facts);
        else then(OK, { ...(facts ?? unseen(path)), size: pending.size });
      });
    });
  }

  list(path: string, then: (outcome: Outcome, folder: FolderPages | null) => void): void {
    this.when(this.files.openFolder(this.caller, path), (folder) => {
      if (isOutcome(folder)) then(folder, null);
      else then(OK, this.pagesOf(folder));
    });
  }

  private pagesOf(folder: OpenFolder): FolderPages {
    return {
      next: (then) => this.when(folder.next(PAGE), (entries) => then(this.pageOf(entries))),
      close: () => folder.close(),
    };
  }

  /** The disk has an order of its own; what fits into a page is by name. */
  private pageOf(entries: readonly Facts[]): FileFacts[] {
    const page = entries.map((facts) => this.factsOf(facts));
    return page.sort((one, other) => (one.name < other.name ? -1 : 1));
  }

  change(change: Change, then: (outcome: Outcome) => void): void {
    if (this.readOnly) then(DENIED);
    else this.when(this.changed(change), then);
  }

  private async changed(change: Change): Promise<Outcome> {
    const { files, caller } = this;
    const { path } = change;
    switch (change.do) {
      case 'make':
        return files.makeFolder(caller, path);
      case 'rename':
        return files.move(caller, path, change.to, { replace: true });
      case 'touch':
        return files.setAttributes(caller, path, { modified: change.modified });
      case 'remove-folder':
      case 'remove-file': {
        const found = await files.stat(caller, path, false);
        if (!isFacts(found)) return found;
        if (found.folder !== (change.do === 'remove-folder')) return MISSING;
        return files.remove(caller, path);
      }
    }
  }

  open(path: string, then: (outcome: Outcome, file: OpenFile | null) => void): void {
    this.when(this.files.open(this.caller, path), (file) => {
      if (isOutcome(file)) then(file === INVALID ? MISSING : file, null);
      else then(OK, file);
    });
  }

  create(
    path: string,
    begin: Beginning,
    offset: number,
    then: (outcome: Outcome, file: IncomingFile | null) => void,
  ): void {
    if (this.readOnly) {
      then(DENIED, null);
      return;
    }
    this.when(this.written(path, begin, offset), (file) => {
      if (isOutcome(file)) then(file, null);
      else then(OK, this.incoming(file));
    });
  }

  private async written(path: string, begin: Beginning, offset: number): Promise<Incoming | Outcome> {
    const { files, caller } = this;
    // Who was told by SIZE how much came of an upload may go on with APPE, as curl does.
    const pending = begin === 'append' ? await files.pending(caller, path) : null;
    return files.write(caller, path, pending === null ? { begin, offset } : { begin: 'resume', offset: pending.size });
  }

  private incoming(file: Incoming): IncomingFile {
    return {
      write: (input, start, end) => file.write(input, start, end),
      get onRoom() {
        return file.onRoom;
      },
      set onRoom(call) {
        file.onRoom = call;
      },
      sync: (then) => this.when(file.sync(), then),
      commit: (then) => this.when(file.commit(), (answer) => then(isOutcome(answer) ? answer : OK)),
      suspend: () => file.suspend(),
    };
  }

  hash(
    path: string,
    algorithm: Algorithm,
    start: number,
    end: number,
    then: (outcome: Outcome, hex: string, end: number) => void,
  ): void {
    const stop = Number.isFinite(end) ? end : undefined;
    this.when(this.files.hash(this.caller, path, SUMS[algorithm], start, stop), (answer) => {
      if (isOutcome(answer)) then(answer, '', 0);
      else then(OK, answer.hex, answer.end);
    });
  }

  private factsOf({ name, folder, size, modified, unique, writable, removable, mode }: Facts): FileFacts {
    const may = !this.readOnly;
    return { name, folder, size, modified, unique, mode, writable: may && writable, removable: may && removable };
  }

  private when<Value>(promise: Promise<Value>, then: (value: Value) => void): void {
    promise.then(then).catch(this.broken);
  }
}

/** What is on its way, and not there yet. */
function unseen(path: string): FileFacts {
  const name = path.slice(path.lastIndexOf('/') + 1);
  return { name, folder: false, size: 0, modified: 0, unique: '', mode: 0o600, writable: true, removable: true };
}

function isOutcome<Value>(value: Value | Outcome): value is Outcome {
  return typeof value === 'number';
}

function isFacts(value: Facts | Outcome): value is Facts {
  return typeof value !== 'number';
}

/** On a server without files. */
export const NOWHERE: FtpFiles = {
  home: (then) => then(''),
  stat: (_path, _uploads, then) => then(UNSUPPORTED, null),
  list: (_path, then) => then(UNSUPPORTED, null),
  change: (_change, then) => then(UNSUPPORTED),
  open: (_path, then) => then(UNSUPPORTED, null),
  create: (_path, _beginning, _offset, then) => then(UNSUPPORTED, null),
  hash: (_path, _algorithm, _start, _end, then) => then(UNSUPPORTED, '', 0),
};
