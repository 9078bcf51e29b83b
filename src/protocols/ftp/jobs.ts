// What a data connection is made for: a file out, a file in, a folder's listing out. Each knows its source or target and the
// connection, and no command.
import { OK, type Outcome } from '../../core/outcome.ts';
import type { Reading, Sink } from '../../core/sink.ts';
import type { Clock } from '../../core/time.ts';
import { type DataConnection, KERNEL_SENDS } from './data.ts';
import { FACTS, type FactName, factsLine, fits, type ListingForm, LONG_FORM, longLine } from './listing.ts';
import type { FileFacts, FolderPages, IncomingFile, OpenFile } from './upper.ts';

/** How a job ends, told once by whoever runs it. */
export interface JobEnds {
  /** Its source failed: there is no more to send. */
  broken(outcome: Outcome): void;
  /** All came: it is to be made durable, and then visible. */
  whole(storing: Storing): void;
}

export interface Job {
  /** For the 150, and for STAT. */
  readonly title: string;
  /** The connection stands, and is as secure as was agreed. */
  begin(connection: DataConnection, clock: Clock): void;
  roomy(): void;
  /** The peer has sent all; true when the transfer is not over by that. */
  received(): boolean;
  /** Lets go of what it holds; what came of a file is kept. */
  cancel(): void;
  /** It is over as it should be. */
  close(): void;
}

/** What is read and written where the network took no more from the kernel. */
const SLICE = 65_536;

/** RETR. */
export class Retrieval implements Job, Sink {
  readonly title: string;
  private readonly file: OpenFile;
  private readonly isText: boolean;
  private readonly ends: JobEnds;
  private at: number;
  private readonly stop: number;
  private connection: DataConnection | null = null;
  private reading: Reading | null = null;
  private byKernel = true;
  private readTo = 0;

  constructor(title: string, file: OpenFile, start: number, stop: number, isText: boolean, ends: JobEnds) {
    this.title = title;
    this.file = file;
    this.at = start;
    this.stop = stop;
    this.isText = isText;
    this.ends = ends;
  }

  begin(connection: DataConnection, clock: Clock): void {
    this.connection = connection;
    connection.beginSending(this.isText, clock);
    this.pump(connection);
  }

  /** The kernel sends what it can; what is between is read and written, and the kernel is asked again once that has left. */
  private pump(connection: DataConnection): void {
    const wasEmpty = connection.isEmpty;
    const sent = this.byKernel ? connection.sendFile(this.file, this.at, this.stop) : 0;
    this.at += sent;
    if (this.at >= this.stop) {
      connection.end();
      return;
    }
    if (sent === KERNEL_SENDS) {
      connection.goOn();
      return;
    }
    if (sent === 0 && wasEmpty) this.byKernel = false;
    this.readTo = this.byKernel ? Math.min(this.stop, this.at + SLICE) : this.stop;
    this.reading = this.file.read(this.at, this.readTo, this);
  }

  get room(): number {
    return this.connection?.room ?? 0;
  }

  bytes(data: Uint8Array, start: number, end: number): void {
    this.connection?.bytes(data, start, end);
  }

  end(outcome: Outcome): void {
    this.reading = null;
    this.at = this.readTo;
    if (outcome !== OK) this.ends.broken(outcome);
    else if (this.at >= this.stop) this.connection?.end();
    // It may all have left already, while the disk was read.
    else if (this.connection?.isEmpty === true) this.connection.goOn();
  }

  roomy(): void {
    const { connection, reading } = this;
    if (reading !== null) reading.more();
    else if (connection !== null && this.at < this.stop) this.pump(connection);
  }

  received(): boolean {
    return false;
  }

  cancel(): void {
    this.reading?.stop();
    this.reading = null;
    this.connection = null;
    this.file.close();
  }

  close(): void {
    this.file.close();
  }
}

/** STOR, STOU, APPE. */
export class Storing implements Job {
  readonly title: string;
  private readonly file: IncomingFile;
  private readonly isText: boolean;
  private readonly ends: JobEnds;
  private isCommitting = false;

  constructor(title: string, file: IncomingFile, isText: boolean, ends: JobEnds) {
    this.title = title;
    this.file = file;
    this.isText = isText;
    this.ends = ends;
  }

  begin(connection: DataConnection, clock: Clock): void {
    connection.beginReceiving(this.file, this.isText, clock);
  }

  roomy(): void {}

  received(): boolean {
    this.ends.whole(this);
    return true;
  }

  sync(then: (outcome: Outcome) => void): void {
    this.file.sync(then);
  }

  commit(then: (outcome: Outcome) => void): void {
    this.isCommitting = true;
    this.file.commit(then);
  }

  cancel(): void {
    // What is being committed is on its way, and its answer comes to nobody.
    if (!this.isCommitting) this.file.suspend();
  }

  close(): void {}
}

export interface ListingOrder {
  readonly form: ListingForm;
  readonly facts: ReadonlySet<FactName>;
  /** Before each name (NLST of a folder tells paths); '' for none. */
  readonly prefix: string;
  /** Which names; null for all. */
  readonly pattern: string | null;
  /** For the times of LIST. */
  readonly wall: number;
}

/** LIST, NLST, MLSD. */
export class Listing implements Job {
  readonly title: string;
  private readonly order: ListingOrder;
  /** Null: what is in `entries` is all. */
  private folder: FolderPages | null;
  private connection: DataConnection | null = null;
  private entries: readonly FileFacts[];
  private at = 0;
  private asked = false;

  constructor(folder: FolderPages | null, entries: readonly FileFacts[], order: ListingOrder) {
    this.title = 'Listing a folder';
    this.folder = folder;
    this.entries = entries;
    this.order = order;
  }

  begin(connection: DataConnection, clock: Clock): void {
    this.connection = connection;
    connection.beginSending(false, clock);
    this.roomy();
  }

  roomy(): void {
    const { connection, folder } = this;
    if (connection === null || this.asked) return;
    while (this.at < this.entries.length) {
      if (connection.room === 0) return;
      this.tell(connection, this.entries[this.at++]!);
    }
    if (folder === null) {
      connection.end();
      return;
    }
    this.asked = true;
    folder.next((entries) => {
      this.asked = false;
      this.entries = entries;
      this.at = 0;
      if (entries.length === 0) this.close();
      this.roomy();
    });
  }

  private tell(connection: DataConnection, entry: FileFacts): void {
    const { form, facts, prefix, pattern, wall } = this.order;
    if (pattern !== null && !fits(entry.name, pattern)) return;
    const line =
      form === FACTS ? factsLine(entry, facts) : form === LONG_FORM ? longLine(entry, wall) : `${prefix}${entry.name}`;
    connection.line(line);
  }

  received(): boolean {
    return false;
  }

  cancel(): void {
    this.connection = null;
    this.close();
  }

  close(): void {
    this.folder?.close();
    this.folder = null;
  }
}
