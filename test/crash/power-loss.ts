// Losses of power, made again: a run is recorded below the file system, and for any point of it the folder is built as a
// disk could hold it, with what was not synced present, absent, in part or torn. It does not know what ran.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { Random } from '../../src/sim/random.ts';

/** The file below the recorded folder to which a program writes what it has acknowledged, a line each. */
export const ACKNOWLEDGED = 'acknowledged';

const CREATE = 1;
const WRITE = 2;
const TRUNCATE = 3;
const RENAME = 4;
const UNLINK = 5;
const SYNC = 6;
const MKDIR = 7;
const SYNC_FOLDER = 8;

export interface Recorded {
  readonly kind: number;
  readonly path: string;
  readonly to: string;
  readonly inode: number;
  readonly offset: number;
  readonly data: Buffer;
}

/** What is left of what was not synced. */
export type Loss = 'nothing lost' | 'all lost' | 'some lost' | 'torn at 512' | 'torn at 4096';

const LOSSES: readonly Loss[] = ['all lost', 'some lost', 'torn at 512', 'nothing lost', 'torn at 4096'];

export interface Image {
  /** Removed when the next image is asked for. */
  readonly folder: string;
  /** The lines that the program had written to ACKNOWLEDGED by then. */
  readonly acknowledged: readonly string[];
  /** How many records of the log had happened. */
  readonly cut: number;
  readonly loss: Loss;
}

/**
 * Compiles the recorder into `folder` and answers its path, or null where there is no compiler or it is not Linux. Rejects when it does not
 * compile.
 */
export async function compileRecorder(folder: string): Promise<string | null> {
  // Preloading as the recorder does it is Linux's.
  if (process.platform !== 'linux') return null;
  const library = join(folder, 'recorder.so');
  const source = join(import.meta.dirname, 'recorder.c');
  const done = await run('gcc', ['-shared', '-fPIC', '-O2', '-Wall', '-o', library, source, '-ldl'], process.env);
  if (done === 'missing') return null;
  if (done.code !== 0) throw new Error(`the recorder does not compile: ${done.errors}`);
  return library;
}

/**
 * Runs a command to its end and answers what it changed below `folder`, which must be there and empty; no path in it may
 * be a link, nor relative. Null when the recorder cannot be compiled here.
 */
export async function recordRun(
  command: readonly string[],
  folder: string,
  env: NodeJS.ProcessEnv = {},
): Promise<Recorded[] | null> {
  const beside = mkdtempSync(join(tmpdir(), 'portico-recorder-'));
  try {
    const library = await compileRecorder(beside);
    if (library === null) return null;
    const log = join(beside, 'log');
    const done = await run(command[0]!, command.slice(1), {
      ...process.env,
      ...env,
      LD_PRELOAD: library,
      PORTICO_RECORD_FOLDER: realpathSync(folder),
      PORTICO_RECORD_LOG: log,
    });
    if (done === 'missing' || done.code !== 0)
      throw new Error(`the recorded command failed: ${done === 'missing' ? 'not found' : done.errors}`);
    return readLog(readFileSync(log));
  } finally {
    rmSync(beside, { recursive: true });
  }
}

function run(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<{ code: number; errors: string } | 'missing'> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { env, stdio: ['ignore', 'inherit', 'pipe'] });
    let errors = '';
    child.stderr.on('data', (data: Buffer) => {
      errors += data;
    });
    child.on('error', () => resolve('missing'));
    child.on('close', (code) => resolve({ code: code ?? -1, errors }));
  });
}

function readLog(bytes: Buffer): Recorded[] {
  const log: Recorded[] = [];
  for (let at = 0; at + 25 <= bytes.length; ) {
    const pathEnd = at + 25 + bytes.readUInt16LE(at + 1);
    const toEnd = pathEnd + bytes.readUInt16LE(at + 3);
    const end = toEnd + bytes.readUInt32LE(at + 21);
    log.push({
      kind: bytes[at]!,
      path: bytes.toString('utf8', at + 25, pathEnd),
      to: bytes.toString('utf8', pathEnd, toEnd),
      inode: Number(bytes.readBigUInt64LE(at + 5)),
      offset: Number(bytes.readBigUInt64LE(at + 13)),
      data: bytes.subarray(toEnd, end),
    });
    at = end;
  }
  return log;
}

/** The bytes of a file, growing. */
class Content {
  bytes = Buffer.alloc(0);
  length = 0;

  copy(): Content {
    const copy = new Content();
    copy.bytes = Buffer.from(this.bytes.subarray(0, this.length));
    copy.length = this.length;
    return copy;
  }

  write(offset: number, data: Buffer): void {
    this.grow(Math.max(this.length, offset + data.length));
    data.copy(this.bytes, offset);
  }

  truncate(length: number): void {
    if (length < this.length) this.bytes.fill(0, length, this.length);
    this.grow(length);
    this.length = length;
  }

  private grow(length: number): void {
    if (length > this.bytes.length) {
      const grown = Buffer.alloc(Math.max(length, this.bytes.length * 2));
      this.bytes.copy(grown, 0, 0, this.length);
      this.bytes = grown;
    }
    this.length = Math.max(this.length, length);
  }
}

interface File {
  readonly folder: false;
  /** What is synced. */
  readonly content: Content;
  /** Writes and truncations since. */
  pending: Recorded[];
}

/** A name that begins to be this node's, or nobody's; `from` ceases to be in the same step. */
interface Naming {
  readonly name: string;
  readonly node: Node | null;
  readonly from: string | null;
}

interface Folder {
  readonly folder: true;
  readonly synced: Map<string, Node>;
  readonly now: Map<string, Node>;
  pending: Naming[];
}

type Node = File | Folder;

const emptyFolder = (): Folder => ({ folder: true, synced: new Map(), now: new Map(), pending: [] });

function rename(names: Map<string, Node>, { name, node, from }: Naming): void {
  if (from !== null) names.delete(from);
  if (node === null) names.delete(name);
  else names.set(name, node);
}

/** The disk as the log has changed it so far: what is certain, and what is not yet. */
class Disk {
  private readonly root = emptyFolder();
  private readonly files = new Map<number, File>();

  apply(change: Recorded): void {
    const { kind, path, to, inode } = change;
    if (kind === CREATE) {
      const file: File = { folder: false, content: new Content(), pending: [] };
      this.files.set(inode, file);
      this.name(path, file);
    } else if (kind === MKDIR) this.name(path, emptyFolder());
    else if (kind === UNLINK) this.name(path, null);
    else if (kind === RENAME) {
      if (dirname(path) !== dirname(to)) throw new Error('a rename from folder to folder is not modelled');
      this.name(to, this.folderOf(path).now.get(basename(path)) ?? null, basename(path));
    } else if (kind === SYNC_FOLDER) {
      const folder = path === '' ? this.root : (this.folderOf(path).now.get(basename(path)) as Folder);
      for (const naming of folder.pending) rename(folder.synced, naming);
      folder.pending = [];
    } else this.change(this.files.get(inode), change);
  }

  /** Everything that was written to a file by now, synced or not. */
  text(path: string): string {
    const node = this.root.now.get(path);
    return node === undefined || node.folder ? '' : contentOf(node, () => true, 0, null).toString('utf8');
  }

  /** Writes one of the states that the disk may be in. */
  build(folder: string, loss: Loss, chances: Random): void {
    this.buildFolder(this.root, folder, loss, chances);
  }

  private buildFolder(folder: Folder, path: string, loss: Loss, chances: Random): void {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    const names = new Map(folder.synced);
    const keeps = keeping(loss, chances);
    for (const naming of folder.pending) if (keeps()) rename(names, naming);
    for (const [name, node] of names) {
      const below = join(path, name);
      if (node.folder) this.buildFolder(node, below, loss, chances);
      // SQLite's shared index is mapped, not written, and made anew by recovery.
      else if (!name.endsWith('-shm')) {
        const sector = loss === 'torn at 512' ? 512 : loss === 'torn at 4096' ? 4_096 : 0;
        writeFileSync(below, contentOf(node, keeping(loss, chances), sector, chances));
      }
    }
  }

  private change(file: File | undefined, change: Recorded): void {
    // A file that was there before the recording began is not modelled.
    if (file === undefined) return;
    if (change.kind === SYNC) {
      for (const one of file.pending) applyTo(file.content, one);
      file.pending = [];
    } else file.pending.push(change);
  }

  private name(path: string, node: Node | null, from: string | null = null): void {
    const folder = this.folderOf(path);
    const naming = { name: basename(path), node, from };
    rename(folder.now, naming);
    folder.pending.push(naming);
  }

  private folderOf(path: string): Folder {
    let at = this.root;
    for (const level of dirname(path).split('/')) {
      if (level === '.' || level === '') continue;
      at = at.now.get(level) as Folder;
    }
    return at;
  }
}

function applyTo(content: Content, { kind, offset, data }: Recorded): void {
  if (kind === WRITE) content.write(offset, data);
  else if (kind === TRUNCATE) content.truncate(offset);
}

/** Whether each of the changes of one file or folder is kept. */
function keeping(loss: Loss, chances: Random): () => boolean {
  if (loss === 'nothing lost') return () => true;
  if (loss === 'all lost') return () => false;
  // Half of the time in order up to somewhere, as a journal would; else any of them.
  const share = chances.fraction();
  if (chances.below(2) === 0) return () => chances.fraction() < share;
  let going = true;
  return () => {
    if (going && chances.below(8) === 0) going = false;
    return going;
  };
}

function contentOf(file: File, keeps: () => boolean, sector: number, chances: Random | null): Buffer {
  const content = file.content.copy();
  for (const change of file.pending) {
    if (!keeps()) continue;
    if (sector === 0 || chances === null || change.kind !== WRITE || chances.below(2) === 0) {
      applyTo(content, change);
      continue;
    }
    // Each sector of a write reaches the disk or not, by itself.
    const { offset, data } = change;
    for (let at = 0; at < data.length; ) {
      const end = Math.min(data.length, at + sector - ((offset + at) % sector));
      if (chances.below(2) === 0) content.write(offset + at, data.subarray(at, end));
      at = end;
    }
  }
  return content.bytes.subarray(0, content.length);
}

/** At most `most` images of what a loss of power leaves, from all over the log. The seed decides everything. */
export function* images(log: readonly Recorded[], seed: number, most: number): Generator<Image> {
  const chances = new Random(seed);
  const cuts = cutsOf(log, most, chances);
  const beside = mkdtempSync(join(tmpdir(), 'portico-image-'));
  const disk = new Disk();
  let done = 0;
  try {
    for (const [index, cut] of cuts.entries()) {
      for (; done < cut; done++) disk.apply(log[done]!);
      const loss = LOSSES[index % LOSSES.length]!;
      const folder = join(beside, String(index));
      disk.build(folder, loss, chances);
      // A line that is half written is no acknowledgement.
      const acknowledged = disk.text(ACKNOWLEDGED).split('\n').slice(0, -1);
      yield { folder, acknowledged, cut, loss };
      rmSync(folder, { recursive: true });
    }
  } finally {
    rmSync(beside, { recursive: true });
  }
}

/** Half of them anywhere, half beside what matters most: around syncs, and just after an acknowledgement. */
function cutsOf(log: readonly Recorded[], most: number, chances: Random): number[] {
  const marks: number[] = [];
  let acknowledged = -1;
  for (const [index, { kind, path, inode }] of log.entries()) {
    if (kind === CREATE && path === ACKNOWLEDGED) acknowledged = inode;
    if (kind !== WRITE || inode === acknowledged) marks.push(index);
  }
  const cuts: number[] = [log.length];
  while (cuts.length < most)
    cuts.push(
      chances.below(2) === 0
        ? chances.below(log.length)
        : Math.min(log.length, marks[chances.below(marks.length)]! + chances.below(3)),
    );
  return cuts.sort((one, other) => one - other);
}
