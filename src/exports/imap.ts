// A client of IMAP with promises: connects, signs in, and asks for folders, mails and what is new (docs/imap.md).
import { type Command, ImapClient, stringPiece } from '../protocols/imap/client.ts';
import { type Ending, pairOf, type Untagged, type Value } from '../protocols/imap/codec-responses.ts';
import { decodeUtf7, encodeUtf7 } from '../protocols/imap/utf7.ts';
import { ConnectionError, dialWith, ENTROPY, placeOf, policyFor, type TlsOptions, turn } from './loop.ts';

export type { Untagged, Value } from '../protocols/imap/codec-responses.ts';
export { ConnectionError, type TlsOptions } from './loop.ts';

export interface MailboxOptions {
  /** Who signs in; the URL's when absent. */
  readonly user?: string;
  readonly password?: string;
  readonly tls?: TlsOptions;
  /** `offered`, the default: TLS where the server has it; `required`: nobody signs in without; `never`. */
  readonly startTls?: 'offered' | 'required' | 'never';
}

/** The server said no to what was asked. */
export class RefusedError extends Error {
  /** The response code, as `TRYCREATE`; '' for none. */
  readonly code: string;

  constructor(text: string, code = '') {
    super(text);
    this.name = 'RefusedError';
    this.code = code;
  }
}

/** A mail in a list. */
export interface ListedMail {
  readonly uid: number;
  readonly size: number;
  readonly flags: readonly string[];
  /** Of its header: the fields of people, subject and date. */
  readonly header: Buffer;
}

const PORTS = { 'imap:': 1_143, 'imaps:': 9_993 };
const INPUT_MAX = 2_097_152;
const FIELDS = 'BODY.PEEK[HEADER.FIELDS (FROM TO CC SUBJECT DATE MESSAGE-ID)]';

/**
 * Connects and signs in.
 *
 * Errors: TypeError for what is no URL of these; ConnectionError when nobody answers; RefusedError when nobody is let in.
 *
 * @param url `imap://` or `imaps://[user[:password]@]host[:port]`; the ports are Portico's own unless said
 */
export function connectImap(url: string, options: MailboxOptions = {}): Promise<ImapConnection> {
  const place = placeOf(url, PORTS);
  const { host, port } = place;
  const { startTls = 'offered' } = options;
  const policy = policyFor(host, options.tls);
  const isImplicit = place.url.protocol === 'imaps:';
  const credentials = { account: options.user ?? place.user, password: options.password ?? place.password };
  return new Promise((resolve, reject) => {
    dialWith(INPUT_MAX)(
      { host, port },
      isImplicit ? policy : null,
      (pipe) => {
        let connection: ImapConnection | null = null;
        const client = new ImapClient(
          pipe,
          {
            ...{ credentials, entropy: ENTROPY, tlsRequired: startTls === 'required' },
            tls: isImplicit || startTls === 'never' ? null : policy,
          },
          {
            ready: () => {
              connection = new ImapConnection(client);
              resolve(connection);
            },
            unready: (text) => reject(new RefusedError(text)),
            told: (untagged) => connection?.told(untagged),
            closed: (cause, fault) => {
              const error = new ConnectionError(`${host}:${port}: ${fault?.text ?? `the connection ended (${cause})`}`);
              reject(error);
              connection?.lost(error);
            },
          },
          turn.clock,
        );
        return client;
      },
      (_cause, why) => reject(new ConnectionError(`${host}:${port}: ${why}`)),
    );
  });
}

export class ImapConnection {
  /** Messages of the open folder. */
  count = 0;
  private readonly client: ImapClient;
  private readonly waiting = new Set<(error: Error) => void>();
  private listener: ((untagged: Untagged) => void) | null = null;
  private error: Error | null = null;

  constructor(client: ImapClient) {
    this.client = client;
  }

  told(untagged: Untagged): void {
    if (untagged.name === 'EXISTS') this.count = untagged.number;
    else if (untagged.name === 'EXPUNGE') this.count--;
    this.listener?.(untagged);
  }

  lost(error: Error): void {
    this.error = error;
    for (const reject of this.waiting) reject(error);
    this.waiting.clear();
  }

  /** Says a command; answers what came before its end. */
  private ask(command: Command, begin?: (done: (ending: Ending) => void) => void): Promise<Untagged[]> {
    return new Promise((resolve, reject) => {
      if (this.error !== null) return reject(this.error);
      const heard: Untagged[] = [];
      this.waiting.add(reject);
      const done = ({ status, code, text }: Ending) => {
        this.waiting.delete(reject);
        if (status === 'OK') resolve(heard);
        else reject(new RefusedError(text, code));
      };
      if (begin === undefined) this.client.say(command, (untagged) => void heard.push(untagged), done);
      else begin(done);
    });
  }

  /** All folders, with their attributes: `\Sent`, `\HasNoChildren`. */
  async folders(): Promise<{ readonly name: string; readonly attributes: readonly string[] }[]> {
    const heard = await this.ask(['LIST "" "*"']);
    return heard.flatMap(({ name, values }) => {
      if (name !== 'LIST') return [];
      const [attributes, , folder] = values;
      return [{ name: decoded(textOf(folder)), attributes: textsOf(attributes) }];
    });
  }

  /** Opens a folder. RefusedError where there is none. */
  async open(folder: string, readOnly = false): Promise<void> {
    await this.ask([`${readOnly ? 'EXAMINE' : 'SELECT'} `, stringPiece(encodeUtf7(folder))]);
  }

  /** UIDs of those that match, ascending; all without a key. */
  async search(keys: Command = ['ALL']): Promise<number[]> {
    const heard = await this.ask(['UID SEARCH CHARSET UTF-8 ', ...keys]);
    const uids = heard.flatMap(({ name, values }) => (name === 'SEARCH' ? values.map(Number) : []));
    return uids.filter((uid) => uid > 0).sort((one, other) => one - other);
  }

  /** What a list shows of mails, in the order of their UIDs. */
  async list(uids: readonly number[]): Promise<ListedMail[]> {
    const found: ListedMail[] = [];
    for (let at = 0; at < uids.length; at += 500) {
      const set = uids.slice(at, at + 500).join(',');
      const heard = await this.ask([`UID FETCH ${set} (UID FLAGS RFC822.SIZE ${FIELDS})`]);
      for (const { name, values } of heard) {
        const list = values[0];
        const header = headerOf(list);
        if (name !== 'FETCH' || header === null) continue;
        found.push({
          uid: Number(pairOf(list, 'UID')),
          size: Number(pairOf(list, 'RFC822.SIZE')),
          flags: textsOf(pairOf(list, 'FLAGS')),
          header,
        });
      }
    }
    return found.sort((one, other) => one.uid - other.uid);
  }

  /** A whole mail; null where there is none. It is not marked as seen. */
  async read(uid: number): Promise<Buffer | null> {
    const heard = await this.ask([`UID FETCH ${uid} (UID BODY.PEEK[])`]);
    for (const { name, values } of heard) {
      const bytes = pairOf(values[0], 'BODY[]');
      if (name === 'FETCH' && bytes !== undefined && bytes !== null) return bytesOf(bytes);
    }
    return null;
  }

  async flag(uids: readonly number[], how: '+' | '-', flags: readonly string[]): Promise<void> {
    await this.ask([`UID STORE ${uids.join(',')} ${how}FLAGS.SILENT (${flags.join(' ')})`]);
  }

  /** Removes mails for good: those alone where the server can, else all that are marked as deleted. */
  async remove(uids: readonly number[]): Promise<void> {
    await this.flag(uids, '+', ['\\Deleted']);
    await this.ask([this.client.capabilities.has('UIDPLUS') ? `UID EXPUNGE ${uids.join(',')}` : 'EXPUNGE']);
  }

  /** Tells what happens in the open folder, until the promise that `until` is settles (RFC 2177). */
  async watch(told: (untagged: Untagged) => void, until: Promise<unknown>): Promise<void> {
    this.listener = told;
    const wake = () => this.client.wake();
    until.then(wake, wake);
    // Servers may end what is idle for half an hour.
    const timer = setInterval(wake, 20 * 60_000);
    let over = false;
    const end = () => void (over = true);
    until.then(end, end);
    try {
      while (!over) await this.ask([], (done) => this.client.idle(done));
    } finally {
      clearInterval(timer);
      this.listener = null;
    }
  }

  close(): void {
    this.client.quit();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function headerOf(list: Value | undefined): Buffer | null {
  if (!Array.isArray(list)) return null;
  for (let at = 0; at + 1 < list.length; at += 2) {
    const key: Value = list[at];
    if (typeof key === 'string' && key.toUpperCase().startsWith('BODY[')) return bytesOf(list[at + 1]);
  }
  return null;
}

function decoded(name: string): string {
  return decodeUtf7(name) ?? name;
}

function bytesOf(value: Value): Buffer {
  return value instanceof Buffer ? value : Buffer.from(typeof value === 'string' ? value : '');
}

function textOf(value: Value | undefined): string {
  return typeof value === 'string' ? value : value instanceof Buffer ? value.toString() : '';
}

function textsOf(value: Value | undefined): readonly string[] {
  return Array.isArray(value) ? value.map((each: Value) => textOf(each)) : [];
}
