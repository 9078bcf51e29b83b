// Files of a server of FTP: one control connection, which does one thing at a time, and a data connection for each transfer, on
// the session of the control connection where there is TLS. Passive alone.
import type { TlsPolicy } from '../core/tls.ts';
import { dialWith, policyFor, type TlsOptions } from '../exports/loop.ts';
import {
  DataClient,
  FtpClient,
  namedPath,
  passivePort,
  type RemoteFacts,
  type Reply,
  readFacts,
} from '../protocols/ftp/client.ts';
import { Flow } from './flow.ts';
import { readLongLine } from './long-lines.ts';
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

export interface FtpPlace {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** From the first byte, by `AUTH TLS`, or by it where the server knows it. */
  readonly secure: 'implicit' | 'explicit' | 'never';
  readonly tls: TlsOptions;
}

interface Data {
  readonly client: DataClient;
  readonly flow: Flow;
  ready: Promise<void>;
  roomy: Promise<void>;
  readonly closed: Promise<boolean>;
}

const dial = dialWith(1_048_576);
/** Bytes that are written at once. */
const PIECE = 65_536;

export class FtpRemote implements Remote {
  private readonly place: FtpPlace;
  private readonly policy: TlsPolicy;
  private client!: FtpClient;
  private features = new Set<string>();
  private root = '/';
  private hashName = '';
  private trouble: TransferError | null = null;
  private readonly failing = new Set<(error: Error) => void>();
  /** The reply that ends a transfer which is read. */
  private pending: Promise<void> = Promise.resolve();

  private constructor(place: FtpPlace) {
    this.place = place;
    this.policy = { ...policyFor(place.host, place.tls), kept: { session: null } };
  }

  static async connect(place: FtpPlace): Promise<FtpRemote> {
    const remote = new FtpRemote(place);
    try {
      await remote.begin();
    } catch (error) {
      remote.client?.end();
      throw error;
    }
    return remote;
  }

  private async begin(): Promise<void> {
    const { place } = this;
    let secured = () => {};
    const greeting = await new Promise<Reply>((resolve, reject) => {
      this.failing.add(reject);
      dial(
        { host: place.host, port: place.port },
        place.secure === 'implicit' ? this.policy : null,
        (pipe) => {
          this.client = new FtpClient(pipe, {
            greeted: resolve,
            secured: () => secured(),
            closed: (_cause, fault) => this.lost(fault === null ? 'the connection was lost' : fault.text),
          });
          return this.client;
        },
        (_cause, why) => this.lost(why),
      );
    }).finally(() => this.failing.clear());
    this.expect(greeting, 'greeting', 220);
    if (place.secure === 'explicit') {
      this.expect(await this.ask('AUTH TLS'), 'AUTH TLS', 234);
      await this.orLost<void>((resolve) => {
        secured = resolve;
        this.client.secure(this.policy);
      });
    }
    if (place.secure !== 'never') {
      await this.ask('PBSZ 0');
      this.expect(await this.ask('PROT P'), 'PROT P', 200);
    }
    const named = await this.ask(`USER ${place.user === '' ? 'anonymous' : place.user}`);
    if (named.code === 331)
      this.expect(await this.ask(`PASS ${place.password === '' ? 'anonymous@' : place.password}`), 'sign-in', 230, 202);
    else this.expect(named, 'sign-in', 230, 232);
    for (const line of (await this.ask('FEAT')).lines) this.features.add(line.trim().toUpperCase());
    this.hashName = /^HASH .*\bSHA-256\b/m.test([...this.features].join('\n')) ? 'SHA-256' : '';
    if (this.features.has('UTF8')) await this.ask('OPTS UTF8 ON');
    this.expect(await this.ask('TYPE I'), 'TYPE I', 200);
    this.root = namedPath(await this.ask('PWD')) ?? '/';
  }

  // ---- conversation ------------------------------------------------------------------------------------------------

  private lost(why: string): void {
    const { host, port } = this.place;
    this.trouble ??= new TransferError('lost', `${host}:${port}: ${why}`);
    for (const fail of this.failing) fail(this.trouble);
    this.failing.clear();
  }

  private orLost<Value>(begin: (resolve: (value: Value) => void) => void): Promise<Value> {
    return new Promise<Value>((resolve, reject) => {
      if (this.trouble !== null) {
        reject(this.trouble);
        return;
      }
      this.failing.add(reject);
      begin((value) => {
        this.failing.delete(reject);
        resolve(value);
      });
    });
  }

  private async ask(command: string): Promise<Reply> {
    if (/[\r\n\0]/.test(command)) throw new TransferError('refused', 'FTP has no names with line ends');
    const reply = await this.orLost<Reply>((resolve) => this.client.say(command, resolve));
    if (reply.code === 421) throw new TransferError('lost', `${this.place.host}: ${said(reply)}`);
    return reply;
  }

  private expect(reply: Reply, what: string, ...codes: number[]): void {
    if (codes.includes(reply.code)) return;
    // What is passing may be tried again (RFC 959 §4.2.1).
    const trouble = reply.code < 500 ? 'lost' : 'refused';
    throw new TransferError(trouble, `${this.place.host} answered ${what} with ${said(reply)}`);
  }

  /** Relative paths begin where the account does. */
  private absolute(path: string): string {
    return path.startsWith('/') ? path : path === '' ? this.root : joined(this.root, path);
  }

  // ---- data connections --------------------------------------------------------------------------------------------

  private async passive(): Promise<number> {
    const port = passivePort(await this.ask('EPSV'));
    if (port !== null) return port;
    const reply = await this.ask('PASV');
    // The address that it names may be another's: data come from where the server is (RFC 2577 §3).
    const [, high, low] = /\d+,\d+,\d+,\d+,(\d{1,3}),(\d{1,3})/.exec(reply.lines.at(-1) ?? '') ?? [];
    this.expect(reply, 'PASV', 227);
    return Number(high) * 256 + Number(low);
  }

  private async data(): Promise<Data> {
    const port = await this.passive();
    const tls = this.place.secure === 'never' ? null : this.policy;
    let client!: DataClient;
    const flow: Flow = new Flow(() => client.resume());
    let ready = () => {};
    let roomy = () => {};
    let closed: (isWhole: boolean) => void = () => {};
    const found = {
      flow,
      ready: new Promise<void>((resolve) => (ready = resolve)),
      roomy: new Promise<void>((resolve) => (roomy = resolve)),
      closed: new Promise<boolean>((resolve) => (closed = resolve)),
    };
    await this.orLost<void>((resolve) =>
      dial(
        { host: this.place.host, port },
        null,
        (pipe) => {
          client = new DataClient(pipe, tls, {
            ready: () => ready(),
            received: (input, start, end) => flow.take(input, start, end),
            roomy: () => {
              roomy();
              found.roomy = new Promise<void>((again) => (roomy = again));
            },
            finished: () => flow.end(),
            closed: (isWhole) => {
              if (!isWhole) flow.fail(`${this.place.host}: the data connection was lost`);
              for (const go of [ready, roomy]) go();
              closed(isWhole);
            },
          });
          resolve();
          return client;
        },
        (_cause, why) => this.lost(`no data connection: ${why}`),
      ),
    );
    return Object.assign(found, { client });
  }

  /** Says a command that a transfer follows, and answers when that begins; then `pending` is its end. */
  private async begun(command: string): Promise<void> {
    let failed: Reply | null = null;
    let over: () => void = () => {};
    let broken: (error: Error) => void = () => {};
    this.pending = new Promise((resolve, reject) => {
      over = resolve;
      broken = reject;
    });
    this.pending.catch(() => {});
    this.failing.add(broken);
    await this.orLost<void>((resolve) =>
      this.client.say(
        command,
        (reply) => {
          this.failing.delete(broken);
          if (reply.code >= 400) failed = reply;
          if (reply.code < 400) over();
          else {
            const trouble = reply.code < 500 ? 'lost' : 'refused';
            broken(new TransferError(trouble, `${this.place.host} answered ${command} with ${said(reply)}`));
          }
          resolve();
        },
        () => resolve(),
      ),
    );
    if (failed !== null) await this.pending;
  }

  private async fetched(command: string, offset = 0): Promise<AsyncIterable<Uint8Array>> {
    const data = await this.data();
    try {
      if (offset > 0) this.expect(await this.ask(`REST ${offset}`), 'REST', 350);
      await this.begun(command);
    } catch (error) {
      data.client.drop();
      throw error;
    }
    return this.drained(data);
  }

  private async *drained(data: Data): AsyncGenerator<Uint8Array> {
    let isWhole = false;
    try {
      yield* data.flow;
      isWhole = true;
      await this.pending;
    } finally {
      if (!isWhole) {
        data.client.drop();
        await this.pending.catch(() => {});
      }
    }
  }

  // ---- Remote ------------------------------------------------------------------------------------------------------

  async stat(path: string): Promise<Facts | null> {
    const whole = this.absolute(path);
    if (this.speaks('MLST')) {
      const { code, lines } = await this.ask(`MLST ${whole}`);
      const line = code === 250 ? lines.slice(1, -1).find((each) => each.includes(';')) : undefined;
      // It names the path, which is what was asked for.
      const facts = line === undefined ? null : readFacts(`${line.trim().split(' ', 1)[0]} x`);
      return facts === null ? null : { ...factsOf(facts), name: leafOf(whole) };
    }
    const sized = await this.ask(`SIZE ${whole}`);
    if (sized.code === 213) {
      const size = Number(/\d+/.exec(sized.lines[0] ?? '')?.[0] ?? -1);
      return { name: leafOf(whole), kind: 'file', size, modified: await this.modified(whole), tag: '' };
    }
    const isFolder = (await this.ask(`CWD ${whole}`)).code === 250;
    return isFolder ? { name: leafOf(whole), kind: 'folder', size: -1, modified: -1, tag: '' } : null;
  }

  private speaks(command: string): boolean {
    for (const feature of this.features) if (feature.split(' ', 1)[0] === command) return true;
    return false;
  }

  private async modified(whole: string): Promise<number> {
    if (!this.features.has('MDTM')) return -1;
    const { code, lines } = await this.ask(`MDTM ${whole}`);
    return code === 213 ? timeOf(/(\d{14})/.exec(lines[0] ?? '')?.[1] ?? '') : -1;
  }

  async list(path: string): Promise<Facts[]> {
    const whole = this.absolute(path);
    const isExact = this.speaks('MLST');
    // LIST takes options: a name like one would be taken for them.
    if (!isExact) this.expect(await this.ask(`CWD ${whole}`), `CWD ${whole}`, 250);
    const pieces: Uint8Array[] = [];
    for await (const piece of await this.fetched(isExact ? `MLSD ${whole}` : 'LIST')) pieces.push(piece);
    const lines = Buffer.concat(pieces).toString().split(/\r?\n/);
    if (isExact)
      return lines.flatMap((line) => {
        const facts = readFacts(line);
        return facts === null || !isOwnName(facts.name) || /^[cp]dir$/.test(facts.type) ? [] : [factsOf(facts)];
      });
    const found: Facts[] = [];
    for (const line of lines) {
      const facts = readLongLine(line);
      if (facts === null || !isOwnName(facts.name)) continue;
      found.push(
        facts.kind === 'file' ? { ...facts, modified: await this.modified(joined(whole, facts.name)) } : facts,
      );
    }
    return found;
  }

  async read(path: string, offset: number, known: Facts): Promise<Reading> {
    const bytes = await this.fetched(`RETR ${this.absolute(path)}`, offset);
    return { offset, size: known.size, digest: null, bytes };
  }

  async write(path: string, source: Source, writing: Writing): Promise<void> {
    const whole = this.absolute(path);
    const part = joined(parentOf(whole), partName(leafOf(whole), source.size, source.modified));
    let offset = 0;
    if (writing.isContinued) {
      const sized = await this.ask(`SIZE ${part}`);
      const size = sized.code === 213 ? Number(/\d+/.exec(sized.lines[0] ?? '')?.[0] ?? 0) : 0;
      if (size <= source.size) offset = size;
    }
    const data = await this.data();
    try {
      if (offset > 0) this.expect(await this.ask(`REST ${offset}`), 'REST', 350);
      await this.begun(`STOR ${part}`);
      await this.send(data, source, offset, writing);
    } catch (error) {
      data.client.drop();
      await this.pending.catch(() => {});
      throw error;
    }
    await this.pending;
    await this.replace(part, whole);
    if (source.modified >= 0 && this.speaks('MFMT')) await this.ask(`MFMT ${stamp(source.modified)} ${whole}`);
  }

  private async send(data: Data, source: Source, from: number, writing: Writing): Promise<void> {
    let offset = from;
    let isOpen = true;
    void data.closed.then(() => (isOpen = false));
    await data.ready;
    for await (const bytes of source.from(offset))
      for (let at = 0; at < bytes.length; at += PIECE) {
        while (isOpen && data.client.room === 0) await data.roomy;
        // The reply says why.
        if (!isOpen) {
          await this.pending;
          throw new TransferError('lost', `${this.place.host} ended the data connection`);
        }
        const end = Math.min(bytes.length, at + PIECE);
        data.client.bytes(bytes, at, end);
        offset += end - at;
        writing.went(offset);
      }
    if (offset !== source.size) throw new TransferError('changed', 'the file changed while it was sent');
    data.client.end();
  }

  /** Over what is there, where the server does that; else that goes first. */
  private async replace(from: string, to: string): Promise<void> {
    this.expect(await this.ask(`RNFR ${from}`), `RNFR ${from}`, 350);
    const renamed = await this.ask(`RNTO ${to}`);
    if (renamed.code === 250) return;
    const there = await this.stat(to);
    if (there?.kind !== 'file') this.expect(renamed, `RNTO ${to}`, 250);
    this.expect(await this.ask(`DELE ${to}`), `DELE ${to}`, 250);
    await this.rename(from, to);
  }

  async remove(path: string, isFolder: boolean): Promise<void> {
    const command = `${isFolder ? 'RMD' : 'DELE'} ${this.absolute(path)}`;
    this.expect(await this.ask(command), command, 250);
  }

  async rename(from: string, to: string): Promise<void> {
    this.expect(await this.ask(`RNFR ${this.absolute(from)}`), `RNFR ${from}`, 350);
    this.expect(await this.ask(`RNTO ${this.absolute(to)}`), `RNTO ${to}`, 250);
  }

  async makeFolder(path: string): Promise<void> {
    const whole = this.absolute(path);
    const made = await this.ask(`MKD ${whole}`);
    if (made.code !== 257 && (await this.stat(path))?.kind !== 'folder') this.expect(made, `MKD ${whole}`, 257);
  }

  async hash(path: string): Promise<Digest | null> {
    const whole = this.absolute(path);
    if (this.hashName !== '') {
      await this.ask('OPTS HASH SHA-256');
      const { code, lines } = await this.ask(`HASH ${whole}`);
      const [, hex] = /SHA-256 \S+ ([0-9a-f]{64})\b/i.exec(code === 213 ? (lines.at(-1) ?? '') : '') ?? [];
      if (hex !== undefined) return { algorithm: 'sha256', hex: hex.toLowerCase() };
    }
    if (!this.speaks('XSHA256')) return null;
    const [, hex] = /\b([0-9a-f]{64})\b/i.exec((await this.ask(`XSHA256 "${whole}"`)).lines.at(-1) ?? '') ?? [];
    return hex === undefined ? null : { algorithm: 'sha256', hex: hex.toLowerCase() };
  }

  close(): void {
    this.trouble ??= new TransferError('lost', 'closed');
    this.client.say('QUIT', () => this.client.end());
  }
}

function said({ lines }: Reply): string {
  return lines[0] ?? '';
}

function factsOf({ name, type, size, modify }: RemoteFacts): Facts {
  const kind = type === 'file' ? 'file' : /dir$/.test(type) ? 'folder' : 'other';
  return { name, kind, size, modified: timeOf(modify), tag: '' };
}

/** `YYYYMMDDHHMMSS` (RFC 3659 §2.3) in milliseconds; -1 for what is none. */
function timeOf(text: string): number {
  const found = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)/.exec(text);
  if (found === null) return -1;
  const [year, month, day, hour, minute, second] = found.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  return Date.UTC(year, month - 1, day, hour, minute, second);
}

function stamp(time: number): string {
  return new Date(time).toISOString().replace(/\D/g, '').slice(0, 14);
}
