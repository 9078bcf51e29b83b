// Does what is to be done, several at once, each over a connection of its own where the protocol needs that. What a lost
// connection cut is gone on with.
import { mkdir, rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { local, localHash, localSource, takeFile } from './local.ts';
import { type Facts, joined, type Remote, TransferError } from './remote.ts';

export type Task =
  | { readonly do: 'get' | 'put'; readonly path: string; readonly here: string; readonly facts: Facts }
  | { readonly do: 'delete'; readonly path: string; readonly isFolder: boolean }
  | { readonly do: 'delete-here'; readonly here: string; readonly isFolder: boolean }
  /** It could not even be begun. */
  | { readonly do: 'skip'; readonly path: string; readonly why: string };

/** Told of what happens; nothing waits for it. */
export interface Telling {
  began(task: Task): void;
  went(task: Task, offset: number): void;
  retries(task: Task, why: string): void;
  /** `failed`: null when it is done. */
  ended(task: Task, failed: TransferError | null): void;
}

export interface CopyOptions {
  readonly jobs: number;
  readonly isContinued: boolean;
  /** What came and went is compared by hash, where the server tells one. */
  readonly checks: boolean;
  readonly isDry: boolean;
  readonly retries: number;
  /** What URLs of this server begin with: parts of other servers' files are others. */
  readonly of: string;
}

export interface Outcome {
  readonly copied: number;
  readonly bytes: number;
  readonly deleted: number;
  readonly failed: number;
  /** The first that failed. */
  readonly error: TransferError | null;
}

const RETRY_MS = 250;

export type Connect = () => Promise<Remote>;

/** Does all tasks; those behind one that failed are done all the same. */
export async function runTasks(
  tasks: AsyncIterable<Task>,
  connect: Connect,
  options: CopyOptions,
  telling: Telling,
): Promise<Outcome> {
  const coming = tasks[Symbol.asyncIterator]();
  const sum = { copied: 0, bytes: 0, deleted: 0, failed: 0, error: null as TransferError | null };
  const work = async () => {
    const worker = new Worker(connect, options, telling);
    try {
      for (;;) {
        const { done, value: task } = await coming.next();
        if (done === true) return;
        telling.began(task);
        const failed = await worker.run(task);
        telling.ended(task, failed);
        if (failed !== null) {
          sum.failed++;
          sum.error ??= failed;
        } else if (task.do === 'get' || task.do === 'put') {
          sum.copied++;
          sum.bytes += Math.max(0, task.facts.size);
        } else sum.deleted++;
      }
    } finally {
      worker.close();
    }
  };
  await Promise.all(Array.from({ length: options.jobs }, work));
  return sum;
}

class Worker {
  private readonly connect: Connect;
  private readonly options: CopyOptions;
  private readonly telling: Telling;
  private remote: Remote | null = null;

  constructor(connect: Connect, options: CopyOptions, telling: Telling) {
    this.connect = connect;
    this.options = options;
    this.telling = telling;
  }

  close(): void {
    this.remote?.close();
    this.remote = null;
  }

  /** Null when it is done. */
  async run(task: Task): Promise<TransferError | null> {
    if (task.do === 'skip') return new TransferError('changed', task.why);
    if (this.options.isDry) return null;
    for (let tries = 0; ; tries++) {
      try {
        this.remote ??= await this.connect();
        await this.once(task, this.remote, this.options.isContinued || tries > 0);
        return null;
      } catch (error) {
        if (!(error instanceof TransferError)) throw error;
        if (error.trouble !== 'lost' || tries >= this.options.retries) return error;
        this.telling.retries(task, error.message);
        this.close();
        await sleep(RETRY_MS * 2 ** tries);
      }
    }
  }

  private async once(task: Exclude<Task, { do: 'skip' }>, remote: Remote, isContinued: boolean): Promise<void> {
    const went = (offset: number) => this.telling.went(task, offset);
    if (task.do === 'delete') await removeTree(remote, task.path, task.isFolder);
    else if (task.do === 'delete-here') await removeHere(task.here, task.isFolder);
    else if (task.do === 'get') {
      const { path, here, facts } = task;
      const read = (offset: number) => remote.read(path, offset, facts);
      await takeFile(here, facts, `${this.options.of}${path}`, { isContinued, went }, read);
      if (this.options.checks) await compare(remote, path, here);
    } else {
      const { path, here, facts } = task;
      await remote.write(path, localSource(here, facts), { isContinued, went });
      const there = await remote.stat(path);
      if (there === null || (there.size >= 0 && there.size !== facts.size))
        throw new TransferError('changed', `${path} has ${there?.size ?? 'no'} bytes there, and ${facts.size} here`);
      if (this.options.checks) await compare(remote, path, here);
    }
  }
}

async function compare(remote: Remote, path: string, here: string): Promise<void> {
  const digest = await remote.hash(path);
  if (digest !== null && (await localHash(here, digest.algorithm)) !== digest.hex)
    throw new TransferError('changed', `${path} has another ${digest.algorithm} there than here`);
}

/** With all that is in it. */
export async function removeTree(remote: Remote, path: string, isFolder: boolean): Promise<void> {
  if (isFolder)
    for (const { name, kind } of await remote.list(path))
      await removeTree(remote, joined(path, name), kind === 'folder');
  await remote.remove(path, isFolder);
}

export async function makeHere(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true }).catch((error) => Promise.reject(local(error)));
}

export async function removeHere(path: string, isFolder: boolean): Promise<void> {
  await rm(path, { recursive: isFolder }).catch((error) => Promise.reject(local(error)));
}
