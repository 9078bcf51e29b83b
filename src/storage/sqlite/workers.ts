// The two workers of the SQLite store as the main thread sees them: a queue of what was sent to the one that writes, in
// the order in which it answers, and questions by number to the one that reads. It does not know spaces.
import { Worker } from 'node:worker_threads';
import { FAILED, type Outcome } from '../../core/outcome.ts';
import { guarded } from './guarded.ts';
import {
  type Answers,
  type Ask,
  type FromReader,
  type FromWriter,
  SETTLED_STRIDE,
  type ToReader,
  type ToWriter,
  type WorkerStart,
} from './messages.ts';

/** Something that was sent and waits for its settlement. */
export interface Waiting {
  settle(outcome: Outcome, value: number, second: number): void;
}

/** Beside this file, with this file's own extension: TypeScript in the repository, JavaScript when compiled. */
function start(name: 'writer' | 'reader', workerData: WorkerStart): Worker {
  const extension = import.meta.url.slice(import.meta.url.lastIndexOf('.'));
  const url = new URL(`./${name}${extension}`, import.meta.url);
  // The program's own flags are not for a worker: `--input-type`, for one, ends it.
  return new Worker(url, { workerData, execArgv: [], name: `storage ${name}` });
}

export class WriterWorker {
  lastBlob = 0;
  private readonly worker: Worker;
  private readonly onFatal: (error: Error) => void;
  /** Sent and not settled, in order; `first` is where the oldest stands. */
  private sent: Waiting[] = [];
  private first = 0;
  private over = false;
  private whenClosed: (() => void) | null = null;

  private constructor(worker: Worker, onFatal: (error: Error) => void) {
    this.worker = worker;
    this.onFatal = onFatal;
  }

  /** Starts it and waits until the store is open. Rejects with the reason for which it cannot be. */
  static open(at: WorkerStart, onFatal: (error: Error) => void): Promise<WriterWorker> {
    const worker = start('writer', at);
    const writer = new WriterWorker(worker, onFatal);
    return new Promise((resolve, reject) => {
      let ready = false;
      worker.on('message', (message: FromWriter) => {
        if (message.kind === 'ready') {
          ready = true;
          writer.lastBlob = message.lastBlob;
          resolve(writer);
        } else if (message.kind === 'refused') reject(new Error(message.why));
        else writer.receive(message);
      });
      worker.on('error', (error: Error) => (ready ? writer.died(error) : reject(error)));
      worker.on('exit', (code) => {
        if (ready) writer.died(new Error(`the storage worker ended with ${code}`));
        else reject(new Error(`the storage worker ended with ${code}`));
      });
    });
  }

  /** Whether anything waits for its settlement. */
  get idle(): boolean {
    return this.first === this.sent.length;
  }

  /** Sends what settles `waiting`, in order: one for each batch in it, or one. */
  send(message: ToWriter, moved: ArrayBuffer[], waiting: readonly Waiting[]): void {
    if (this.over) {
      setImmediate(() => {
        for (const one of waiting) guarded(() => one.settle(FAILED, 0, 0));
      });
      return;
    }
    for (const one of waiting) this.sent.push(one);
    this.worker.postMessage(message, moved);
  }

  /** Settles once what was sent before has settled and the store is closed. */
  close(): Promise<void> {
    if (this.over) return Promise.resolve();
    return new Promise((resolve) => {
      this.whenClosed = resolve;
      this.worker.postMessage({ kind: 'close' } satisfies ToWriter);
    });
  }

  private receive(message: FromWriter): void {
    if (message.kind === 'settled') this.settle(message.results);
    else if (message.kind === 'corrupt') this.onFatal(new Error(`the store is corrupt: ${message.why}`));
    else if (message.kind === 'closed') {
      this.over = true;
      this.worker.once('exit', () => this.whenClosed?.());
    }
  }

  private settle(results: Float64Array): void {
    for (let at = 0; at < results.length; at += SETTLED_STRIDE) {
      const waiting = this.sent[this.first++]!;
      guarded(() => waiting.settle(results[at]! as Outcome, results[at + 1]!, results[at + 2]!));
    }
    if (this.first === this.sent.length || this.first > 65_536) {
      this.sent = this.sent.slice(this.first);
      this.first = 0;
    }
  }

  /** It ended without being told to: nothing is known of what it was given. */
  private died(error: Error): void {
    if (this.over) return;
    this.over = true;
    const waiting = this.sent.slice(this.first);
    this.sent = [];
    this.first = 0;
    for (const one of waiting) guarded(() => one.settle(FAILED, 0, 0));
    this.whenClosed?.();
    this.onFatal(error);
  }
}

interface Asked {
  resolve(answer: Answers[keyof Answers]): void;
  reject(error: Error): void;
}

export class ReaderWorker {
  private readonly worker: Worker;
  private readonly onFatal: (error: Error) => void;
  private readonly asked = new Map<number, Asked>();
  private lastToken = 0;
  private over = false;
  private whenClosed: (() => void) | null = null;

  private constructor(worker: Worker, onFatal: (error: Error) => void) {
    this.worker = worker;
    this.onFatal = onFatal;
  }

  /** Starts it over a store that is open to write. Rejects when it cannot read. */
  static open(at: WorkerStart, onFatal: (error: Error) => void): Promise<ReaderWorker> {
    const worker = start('reader', at);
    const reader = new ReaderWorker(worker, onFatal);
    return new Promise((resolve, reject) => {
      let ready = false;
      const ended = (error: Error) => (ready ? reader.died(error) : reject(error));
      worker.on('message', (message: FromReader) => {
        if (!('ready' in message)) reader.receive(message);
        else {
          ready = true;
          resolve(reader);
        }
      });
      worker.on('error', ended);
      worker.on('exit', (code) => {
        ended(new Error(`the reading storage worker ended with ${code}`));
        reader.whenClosed?.();
      });
    });
  }

  ask<Kind extends Ask['kind']>(ask: Extract<Ask, { kind: Kind }>): Promise<Answers[Kind]> {
    if (this.over) return Promise.reject(new Error('the store is closed'));
    return new Promise((resolve, reject) => {
      const token = ++this.lastToken;
      this.asked.set(token, { resolve: (answer) => resolve(answer as Answers[Kind]), reject });
      this.worker.postMessage({ token, ask } satisfies ToReader);
    });
  }

  /** Questions that were asked before are answered. */
  close(): Promise<void> {
    if (this.over) return Promise.resolve();
    return new Promise((resolve) => {
      this.whenClosed = resolve;
      this.worker.postMessage({ close: true } satisfies ToReader);
    });
  }

  private receive(message: FromReader): void {
    if ('closed' in message) this.over = true;
    if (!('token' in message)) return;
    const asked = this.asked.get(message.token);
    this.asked.delete(message.token);
    if ('answer' in message) asked?.resolve(message.answer);
    else {
      asked?.reject(new Error(`the store could not be read: ${message.why}`));
      if (message.corrupt) this.onFatal(new Error(`the store is corrupt: ${message.why}`));
    }
  }

  private died(error: Error): void {
    if (this.over) return;
    this.over = true;
    for (const { reject } of this.asked.values()) reject(error);
    this.asked.clear();
    this.onFatal(error);
  }
}

/** The outcome of something that settles with nothing else. */
export function settled(
  begin: (waiting: Waiting) => void,
): Promise<{ outcome: Outcome; value: number; second: number }> {
  return new Promise((resolve) => begin({ settle: (outcome, value, second) => resolve({ outcome, value, second }) }));
}
