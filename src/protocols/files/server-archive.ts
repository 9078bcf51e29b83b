// A folder as an archive, made as it is sent: the walk waits for the client, and nothing is kept but a zip's directory.
import { crc32 } from 'node:zlib';
import { type Coder, FINISH, NONE } from '../../core/compress.ts';
import type { Exchange } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import { INVALID, OK, type Outcome } from '../../core/outcome.ts';
import { REVOKED, type Why } from '../../core/pipe.ts';
import { NEVER } from '../../core/time.ts';
import type { FileFacts, Files, OpenFile } from '../../resources/files/contract.ts';
import { encoderOf } from '../http/coding.ts';
import { ARCHIVE_TYPES, type ArchiveFormat, type ArchiveKind, Tar, Zip } from './archive.ts';
import { answerFileOutcome, type TreeHost, type Waiting } from './server-answers.ts';

const ENTRIES_MAX = 1_000_000;
const DEPTH_MAX = 128;
const PAGE = 256;
/** INTERNAL_ERROR (RFC 9113 §7). */
const INTERNAL_ERROR = 2;
const CANCEL = 8;

class Stopped extends Error {}

export async function answerArchive(
  exchange: Exchange,
  host: TreeHost,
  path: string,
  kind: ArchiveKind,
  waiting: Waiting,
): Promise<void> {
  const files = host.resources.files!;
  const stat = await files.stat(exchange.caller, path);
  if (waiting.isOver) return;
  if (typeof stat === 'number' || !stat.folder) {
    answerFileOutcome(exchange, typeof stat === 'number' ? stat : INVALID, files, path);
    return;
  }
  const name = stat.name === '' ? 'files' : stat.name;
  const disposition = `attachment; filename*=UTF-8''${encodeURIComponent(`${name}.${kind}`)}`;
  exchange.respond(200, Fields.of({ 'content-type': ARCHIVE_TYPES[kind], 'content-disposition': disposition }));
  if (exchange.method === 'HEAD') {
    exchange.end();
    exchange.flush();
    return;
  }
  const flow = new Flow(exchange, kind === 'tar.gz' ? encoderOf('gzip') : null);
  try {
    const writing = new Writing(files, exchange, flow, kind === 'zip' ? new Zip() : new Tar(), kind === 'zip');
    await writing.folder(path, name, 0);
    await writing.end();
  } catch (error) {
    flow.fail();
    if (!(error instanceof Stopped)) throw error;
  }
}

/** The answer's body, as fast as the client takes it. */
class Flow {
  private readonly exchange: Exchange;
  private readonly coder: Coder | null;
  private isOver = false;
  private roomy: (() => void) | null = null;

  constructor(exchange: Exchange, coder: Coder | null) {
    this.exchange = exchange;
    this.coder = coder;
    exchange.deadline = NEVER;
    exchange.on = {
      writable: () => this.wake(),
      tick() {},
      leave: (why: Why) => {
        if (why === REVOKED) exchange.reset(CANCEL);
      },
      lost: () => {
        this.stop();
        this.wake();
      },
    };
  }

  private wake(): void {
    const { roomy } = this;
    this.roomy = null;
    roomy?.();
  }

  get room(): number {
    return this.isOver ? 0 : this.exchange.room;
  }

  /** Rejects with `Stopped` when the client is gone. */
  async ready(): Promise<void> {
    while (!this.isOver && this.exchange.room <= 0) {
      await new Promise<void>((resolve) => {
        this.roomy = resolve;
      });
    }
    if (this.isOver) throw new Stopped();
  }

  put(bytes: Uint8Array, start = 0, end: number = bytes.length): void {
    if (this.isOver || start === end) return;
    if (this.coder === null) this.exchange.share(bytes, start, end);
    else this.coder.push(bytes, start, end, NONE, this);
    this.exchange.flush();
  }

  coded(bytes: Uint8Array, start: number, end: number): void {
    this.exchange.out.copy(bytes, start, end);
  }

  finish(): void {
    if (this.isOver) return;
    this.coder?.push(Buffer.alloc(0), 0, 0, FINISH, this);
    this.stop();
    this.exchange.end();
    this.exchange.flush();
  }

  fail(): void {
    if (this.isOver) return;
    this.stop();
    this.exchange.reset(INTERNAL_ERROR);
  }

  private stop(): void {
    if (this.isOver) return;
    this.isOver = true;
    this.coder?.close();
  }
}

class Writing {
  private readonly files: Files;
  private readonly exchange: Exchange;
  private readonly flow: Flow;
  private readonly format: ArchiveFormat;
  private readonly wantsSum: boolean;
  private count = 0;

  constructor(files: Files, exchange: Exchange, flow: Flow, format: ArchiveFormat, wantsSum: boolean) {
    this.files = files;
    this.exchange = exchange;
    this.flow = flow;
    this.format = format;
    this.wantsSum = wantsSum;
  }

  async folder(path: string, name: string, depth: number): Promise<void> {
    if (depth > DEPTH_MAX) return;
    const folder = await this.files.openFolder(this.exchange.caller, path);
    if (typeof folder === 'number') return;
    try {
      for (;;) {
        const page = await folder.next(PAGE);
        if (page.length === 0) return;
        for (const facts of page) await this.entry(facts, `${name}/${facts.name}`, depth);
      }
    } finally {
      folder.close();
    }
  }

  private async entry(facts: FileFacts, name: string, depth: number): Promise<void> {
    if (++this.count > ENTRIES_MAX) throw new Stopped();
    await this.flow.ready();
    if (facts.folder) {
      // What a link leads to is somewhere else in the tree, or above.
      if (facts.link !== null) return;
      const entry = { name: `${name}/`, size: 0, modified: facts.modified, crc: 0 };
      this.flow.put(this.format.before(entry));
      await this.folder(facts.path, name, depth + 1);
      return;
    }
    const file = await this.files.open(this.exchange.caller, facts.path);
    // What may not be read, or went meanwhile, is left out.
    if (typeof file === 'number') return;
    try {
      await this.file(file, name);
    } finally {
      file.close();
    }
  }

  private async file(file: OpenFile, name: string): Promise<void> {
    const crc = this.wantsSum ? await sumOf(file) : 0;
    const entry = { name, size: file.size, modified: file.facts.modified, crc };
    this.flow.put(this.format.before(entry));
    const { flow } = this;
    for (let at = 0; at < file.size; ) {
      await flow.ready();
      const end = Math.min(file.size, at + STRETCH);
      const outcome = await new Promise<Outcome>((resolve) => {
        const bytes = (data: Uint8Array, from: number, to: number) => flow.put(data, from, to);
        file.read(at, end, { room: Number.POSITIVE_INFINITY, bytes, end: resolve });
      });
      // It became shorter: what was promised cannot be kept.
      if (outcome !== OK) throw new Stopped();
      at = end;
    }
    flow.put(this.format.after(entry));
  }

  async end(): Promise<void> {
    await this.flow.ready();
    this.flow.put(this.format.end());
    this.flow.finish();
  }
}

/** Read between two looks at the room. */
const STRETCH = 262_144;

async function sumOf(file: OpenFile): Promise<number> {
  let sum = 0;
  await new Promise<Outcome>((resolve) => {
    const bytes = (data: Uint8Array, start: number, end: number) => {
      sum = crc32(data.subarray(start, end), sum);
    };
    file.read(0, file.size, { room: Number.POSITIVE_INFINITY, bytes, end: resolve });
  });
  return sum;
}
