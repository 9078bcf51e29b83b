// Files of a server of SFTP: one channel for all that is done at once, with several requests under way for each file.

import { type SftpAnswer, type SftpAnswered, SftpClient } from '../protocols/sftp/client.ts';
import * as C from '../protocols/sftp/codec.ts';
import {
  type Digest,
  type Facts,
  isOwnName,
  joined,
  leafOf,
  parentOf,
  partName,
  type Reading,
  type Remote,
  type Source,
  TransferError,
  type Writing,
} from './remote.ts';
import { dialSsh, type SshPlace } from './ssh-dial.ts';

/** What every server takes in one request (draft-ietf-secsh-filexfer-02 §3). */
const PIECE = 32_768;
const UNDER_WAY = 24;
const NAMES_MAX = 10_000_000;

export class SftpRemote implements Remote {
  private readonly host: string;
  private client!: SftpClient;
  private disconnect: () => void = () => {};
  private extensions: ReadonlyMap<string, string> = new Map();
  private home = '/';
  private trouble: TransferError | null = null;
  private readonly failing = new Set<(error: Error) => void>();
  private waiting: (() => void)[] = [];

  private constructor(host: string) {
    this.host = host;
  }

  static async connect(place: SshPlace): Promise<SftpRemote> {
    const remote = new SftpRemote(place.host);
    let begun: () => void = () => {};
    const ready = new Promise<void>((resolve, reject) => {
      remote.failing.add(reject);
      begun = resolve;
    });
    ready.catch(() => {});
    remote.disconnect = await dialSsh(place, 'sftp', (pipe) => {
      remote.client = new SftpClient(pipe, {
        begun: (extensions) => {
          remote.extensions = extensions;
          begun();
        },
        roomy: () => remote.stir(),
        closed: (_cause, fault) => remote.lost(fault === null ? 'the connection was lost' : fault.text),
      });
      return remote.client;
    });
    await ready;
    remote.failing.clear();
    const home = await remote.ask((answered) => remote.client.ofPath(C.REALPATH, '.', answered));
    remote.home = home.entries[0]?.name ?? '/';
    return remote;
  }

  private stir(): void {
    for (const go of this.waiting.splice(0)) go();
  }

  private lost(why: string): void {
    this.trouble ??= new TransferError('lost', `${this.host}: ${why}`);
    for (const fail of this.failing) fail(this.trouble);
    this.failing.clear();
    this.stir();
  }

  private ask(say: (answered: SftpAnswered) => void): Promise<SftpAnswer> {
    return new Promise((resolve, reject) => {
      if (this.trouble !== null) {
        reject(this.trouble);
        return;
      }
      this.failing.add(reject);
      say((answer) => {
        this.failing.delete(reject);
        resolve(answer);
      });
    });
  }

  private refusal(answer: SftpAnswer, what: string): TransferError {
    const { NO_SUCH_FILE, PERMISSION_DENIED } = C.SSH_FX;
    const text = answer.text === '' ? `status ${answer.code}` : answer.text;
    const trouble = answer.code === NO_SUCH_FILE ? 'missing' : 'refused';
    const why = answer.code === PERMISSION_DENIED && answer.text === '' ? 'permission denied' : text;
    return new TransferError(trouble, `${this.host}: ${what}: ${why}`);
  }

  private async done(what: string, say: (answered: SftpAnswered) => void): Promise<SftpAnswer> {
    const answer = await this.ask(say);
    if (answer.type === C.STATUS && answer.code !== C.SSH_FX.OK) throw this.refusal(answer, what);
    return answer;
  }

  /** `/~/` is where the account begins, as in the URLs of curl. */
  private whole(path: string): string {
    if (path === '/~' || path.startsWith('/~/')) return joined(this.home, path.slice(3));
    return path.startsWith('/') ? path : joined(this.home, path);
  }

  // ---- Remote ------------------------------------------------------------------------------------------------------

  async stat(path: string): Promise<Facts | null> {
    const answer = await this.ask((answered) => this.client.ofPath(C.STAT, this.whole(path), answered));
    if (answer.type === C.STATUS && answer.code === C.SSH_FX.NO_SUCH_FILE) return null;
    if (answer.type !== C.ATTRS) throw this.refusal(answer, path);
    return factsOf(leafOf(path), answer.attributes);
  }

  async list(path: string): Promise<Facts[]> {
    const { client } = this;
    const { bytes: handle } = await this.done(path, (answered) => client.ofPath(C.OPENDIR, this.whole(path), answered));
    const found: Facts[] = [];
    try {
      for (;;) {
        const answer = await this.ask((answered) => client.ofHandle(C.READDIR, handle, answered));
        if (answer.type === C.STATUS && answer.code === C.SSH_FX.EOF) break;
        if (answer.type !== C.NAME) throw this.refusal(answer, path);
        for (const { name, attributes } of answer.entries) if (isOwnName(name)) found.push(factsOf(name, attributes));
        if (found.length > NAMES_MAX) throw new TransferError('refused', `${path} has too many names`);
      }
    } finally {
      await this.ask((answered) => client.ofHandle(C.CLOSE, handle, answered));
    }
    return found;
  }

  async read(path: string, offset: number, known: Facts): Promise<Reading> {
    const whole = this.whole(path);
    const { bytes: handle } = await this.done(path, (answered) => this.client.open(whole, C.FOR_READ, answered));
    const { attributes } = await this.done(path, (answered) => this.client.ofHandle(C.FSTAT, handle, answered));
    const size = attributes.size ?? known.size;
    return { offset, size, digest: null, bytes: this.pieces(path, handle, offset, size) };
  }

  private async *pieces(path: string, handle: Buffer, from: number, size: number): AsyncGenerator<Uint8Array> {
    const asked: { readonly at: number; readonly length: number; readonly answer: Promise<SftpAnswer> }[] = [];
    const ask = (at: number, length: number) => {
      const answer = this.ask((answered) => this.client.read(handle, at, length, answered));
      answer.catch(() => {});
      return { at, length, answer };
    };
    let next = from;
    try {
      for (;;) {
        for (; asked.length < UNDER_WAY && next < size; next += PIECE)
          asked.push(ask(next, Math.min(PIECE, size - next)));
        const first = asked.shift();
        if (first === undefined) return;
        const answer = await first.answer;
        // It became shorter.
        if (answer.type === C.STATUS && answer.code === C.SSH_FX.EOF) return;
        if (answer.type !== C.DATA || answer.bytes.length === 0) throw this.refusal(answer, path);
        const missing = first.length - answer.bytes.length;
        // Fewer than asked for is no end (§6.4).
        if (missing > 0) asked.unshift(ask(first.at + answer.bytes.length, missing));
        yield answer.bytes;
      }
    } finally {
      if (this.trouble === null) await this.ask((answered) => this.client.ofHandle(C.CLOSE, handle, answered));
    }
  }

  async write(path: string, source: Source, writing: Writing): Promise<void> {
    const { client } = this;
    const whole = this.whole(path);
    const part = joined(parentOf(whole), partName(leafOf(whole), source.size, source.modified));
    let offset = 0;
    if (writing.isContinued) {
      const there = await this.stat(part);
      if (there !== null && there.size <= source.size) offset = Math.max(0, there.size);
    }
    const flags = C.FOR_WRITE | C.CREATE | (offset === 0 ? C.TRUNCATE : 0);
    const { bytes: handle } = await this.done(path, (answered) => client.open(part, flags, answered));
    try {
      await this.send(path, handle, source, offset, writing);
    } catch (error) {
      if (this.trouble === null) await this.ask((answered) => client.ofHandle(C.CLOSE, handle, answered));
      throw error;
    }
    // Portico's answer to this is that all of it is on the disk.
    await this.done(path, (answered) => client.ofHandle(C.CLOSE, handle, answered));
    const seconds = Math.floor(source.modified / 1_000);
    if (source.modified >= 0)
      await this.ask((answered) =>
        client.withAttributes(C.SETSTAT, part, { accessed: seconds, modified: seconds }, answered),
      );
    await this.replace(part, whole);
  }

  private async send(path: string, handle: Buffer, source: Source, from: number, writing: Writing): Promise<void> {
    const underWay = new Set<Promise<void>>();
    let failed: Error | null = null;
    let offset = from;
    for await (const bytes of source.from(from))
      for (let at = 0; at < bytes.length; at += PIECE) {
        const end = Math.min(bytes.length, at + PIECE);
        while (underWay.size >= UNDER_WAY) await Promise.race(underWay);
        while (this.client.room === 0 && this.trouble === null)
          await new Promise<void>((resolve) => this.waiting.push(resolve));
        if (failed !== null) throw failed;
        const position = offset;
        offset += end - at;
        const until = offset;
        const one = this.done(path, (answered) => this.client.write(handle, position, bytes, at, end, answered)).then(
          () => writing.went(until),
          (error: Error) => {
            failed ??= error;
          },
        );
        underWay.add(one);
        void one.then(() => underWay.delete(one));
      }
    await Promise.all(underWay);
    if (failed !== null) throw failed;
    if (offset !== source.size) throw new TransferError('changed', 'the file changed while it was sent');
  }

  /** Over what is there, where the server does that; else that goes first. */
  private async replace(from: string, to: string): Promise<void> {
    const { client } = this;
    const replaces = this.extensions.has('posix-rename@openssh.com');
    const answer = await this.ask((answered) => client.rename(from, to, replaces, answered));
    if (answer.code === C.SSH_FX.OK) return;
    if (replaces || (await this.stat(to))?.kind !== 'file') throw this.refusal(answer, to);
    await this.done(to, (answered) => client.ofPath(C.REMOVE, to, answered));
    await this.done(to, (answered) => client.rename(from, to, false, answered));
  }

  async remove(path: string, isFolder: boolean): Promise<void> {
    await this.done(path, (answered) => this.client.ofPath(isFolder ? C.RMDIR : C.REMOVE, this.whole(path), answered));
  }

  async rename(from: string, to: string): Promise<void> {
    await this.done(from, (answered) => this.client.rename(this.whole(from), this.whole(to), false, answered));
  }

  async makeFolder(path: string): Promise<void> {
    const whole = this.whole(path);
    const answer = await this.ask((answered) => this.client.withAttributes(C.MKDIR, whole, {}, answered));
    if (answer.code !== C.SSH_FX.OK && (await this.stat(path))?.kind !== 'folder') throw this.refusal(answer, path);
  }

  async hash(): Promise<Digest | null> {
    return null;
  }

  get isLost(): boolean {
    return this.trouble !== null;
  }

  /** The channel is shared. */
  close(): void {}

  end(): void {
    this.trouble ??= new TransferError('lost', 'closed');
    this.client.end();
    this.disconnect();
  }
}

function factsOf(name: string, { size, mode, modified }: C.Attributes): Facts {
  // Where no mode is told, nothing but a file can be meant.
  const type = (mode ?? C.S_IFREG) & 0o170000;
  const kind = type === C.S_IFDIR ? 'folder' : type === C.S_IFREG ? 'file' : 'other';
  return {
    name,
    kind,
    size: kind === 'file' ? (size ?? -1) : -1,
    modified: modified === undefined ? -1 : modified * 1_000,
    tag: '',
  };
}
