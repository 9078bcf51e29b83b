// What a channel has open: files that are read, files on their way in, folders that are listed.
import { OK, type Outcome } from '../../core/outcome.ts';
import type { Reading, Sink } from '../../core/sink.ts';
import type { FileFacts, IncomingFile, OpenFile, OpenFolder } from '../../resources/files/contract.ts';

export type Handle = ReadHandle | WriteHandle | FolderHandle;

interface Readable {
  read(start: number, end: number, sink: Sink): Reading;
}

/** What was read: all of it in one piece, and the pool's storage that it lies in where that is nobody else's. */
export type Collected = (bytes: Uint8Array | Outcome, storage?: Buffer) => void;

/** Bytes that are read are one answer, however they come. */
function collect(from: Readable, start: number, end: number, then: Collected): void {
  const parts: Uint8Array[] = [];
  let lent: Buffer | undefined;
  from.read(start, end, {
    room: end - start,
    bytes: (data, first, last, storage) => {
      parts.push(data.subarray(first, last));
      lent = storage;
    },
    end: (outcome) => {
      if (outcome !== OK) then(outcome);
      else if (parts.length === 1) then(parts[0]!, lent);
      else then(Buffer.concat(parts));
    },
  });
}

/** A read that was asked for, and what came of it. */
interface Asked {
  bytes: Uint8Array | Outcome | null;
  storage: Buffer | undefined;
  readonly then: Collected;
}

export class ReadHandle {
  readonly kind = 'read';
  readonly path: string;
  readonly file: OpenFile;
  /** Reads are done side by side and answered in order: OpenSSH's client cuts a file off behind the first that came late. */
  private readonly asked: Asked[] = [];

  constructor(path: string, file: OpenFile) {
    this.path = path;
    this.file = file;
  }

  get size(): number {
    return this.file.size;
  }

  collect(start: number, end: number, then: Collected): void {
    const own: Asked = { bytes: null, storage: undefined, then };
    this.asked.push(own);
    collect(this.file, start, end, (bytes, storage) => {
      own.bytes = bytes;
      own.storage = storage;
      for (let first = this.asked[0]; first?.bytes != null; first = this.asked[0]) {
        this.asked.shift();
        first.then(first.bytes, first.storage);
      }
    });
  }

  let(): void {
    this.file.close();
  }
}

export class WriteHandle {
  readonly kind = 'write';
  readonly path: string;
  readonly file: IncomingFile;
  /** Set when it has become a file. */
  mode: number | undefined;
  private readonly appends: boolean;
  /** The request of which a part was taken, and how much. */
  private begun = -1;
  private taken = 0;

  constructor(path: string, file: IncomingFile, appends: boolean) {
    this.path = path;
    this.file = file;
    this.appends = appends;
  }

  get size(): number {
    return this.file.size;
  }

  /** Takes the bytes of a request; false when not all of them fit for now: they come again. */
  take(id: number, offset: number, input: Uint8Array, start: number, end: number): boolean {
    const { file } = this;
    if (this.begun !== id) {
      this.begun = id;
      this.taken = 0;
      // Who appends writes at the end, whatever the offset says (§6.3).
      file.seek(this.appends ? file.size : offset);
    }
    this.taken += file.write(input, start + this.taken, end);
    if (this.taken < end - start) return false;
    this.begun = -1;
    return true;
  }

  collect(start: number, end: number, then: Collected): void {
    collect(this.file, start, end, then);
  }

  /** Copies a range of another, at the pace of the disk. */
  copyFrom(
    source: ReadHandle | WriteHandle,
    start: number,
    end: number,
    at: number,
    then: (outcome: Outcome) => void,
  ): void {
    const { file } = this;
    const before = file.onRoom;
    file.seek(at);
    const waiting: Uint8Array[] = [];
    let ended: Outcome | null = null;
    const pump = () => {
      while (waiting.length > 0) {
        const first = waiting[0]!;
        const took = file.write(first, 0, first.length);
        if (took < first.length) {
          waiting[0] = first.subarray(took);
          return;
        }
        waiting.shift();
      }
      if (ended === null) {
        reading?.more();
        return;
      }
      file.onRoom = before;
      then(ended === OK ? file.trouble : ended);
    };
    file.onRoom = pump;
    const sink: Sink = {
      get room() {
        return waiting.length === 0 ? COPY_ROOM : 0;
      },
      bytes(data, first, last) {
        waiting.push(data.subarray(first, last));
        pump();
      },
      end(outcome) {
        ended = outcome;
        pump();
      },
    };
    let reading: Reading | null = null;
    reading = source.file.read(start, end, sink);
  }

  /** The connection went away: what came of it is kept for its owner. */
  let(): void {
    this.file.suspend();
  }
}

const COPY_ROOM = 1_048_576;

export class FolderHandle {
  readonly kind = 'folder';
  readonly path: string;
  private readonly folder: OpenFolder;
  /** One call at a time, however many requests there are. */
  private last: Promise<unknown> = Promise.resolve();

  constructor(path: string, folder: OpenFolder) {
    this.path = path;
    this.folder = folder;
  }

  next(most: number): Promise<readonly FileFacts[]> {
    const next = this.last.then(() => this.folder.next(most));
    this.last = next;
    return next;
  }

  let(): void {
    this.folder.close();
  }
}
