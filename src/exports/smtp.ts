// A client of SMTP with promises: connects, signs in, and sends one mail after another (docs/smtp.md).
import { OK } from '../core/outcome.ts';
import type { Sink } from '../core/sink.ts';
import { SmtpClient } from '../protocols/smtp/client.ts';
import type { Extensions, OutgoingRecipient, RecipientOutcome, Waits } from '../protocols/smtp/client-terms.ts';
import { ConnectionError, dialWith, ENTROPY, placeOf, policyFor, type TlsOptions, turn } from './loop.ts';

export type { Extensions, OutgoingRecipient, RecipientOutcome } from '../protocols/smtp/client-terms.ts';
export { ConnectionError, type TlsOptions } from './loop.ts';

export interface SmtpOptions {
  /** Who signs in; the URL's when absent. */
  readonly user?: string;
  readonly password?: string;
  /** How this side calls itself; `localhost` when absent. */
  readonly name?: string;
  readonly tls?: TlsOptions;
  /** `offered`, the default: STARTTLS where the server has it; `required`: nothing is sent without; `never`. */
  readonly startTls?: 'offered' | 'required' | 'never';
  readonly waits?: Partial<Waits>;
}

export interface Letter {
  /** `''` for the null reverse path. */
  readonly from: string;
  readonly to: readonly (string | OutgoingRecipient)[];
  /** A whole message, its lines ended by CRLF. */
  readonly message: Uint8Array;
  readonly ret?: 'FULL' | 'HDRS' | undefined;
  readonly envid?: string | undefined;
}

const PORTS = { 'smtp:': 2_525, 'submission:': 5_587, 'smtps:': 4_465 };
const INPUT_MAX = 65_536;

/**
 * Connects, and signs in where there is a name.
 *
 * Errors: TypeError for what is no URL of these; ConnectionError when nobody answers, or the server lets nobody in.
 *
 * @param url `smtp://`, `submission://` or `smtps://[user[:password]@]host[:port]`; the ports are Portico's own unless said
 */
export function connectSmtp(url: string, options: SmtpOptions = {}): Promise<SmtpConnection> {
  const place = placeOf(url, PORTS);
  const { host, port } = place;
  const account = options.user ?? place.user;
  const policy = policyFor(host, options.tls);
  const isImplicit = place.url.protocol === 'smtps:';
  const { startTls = 'offered', name = 'localhost', waits = {} } = options;
  return new Promise((resolve, reject) => {
    dialWith(INPUT_MAX)(
      { host, port },
      isImplicit ? policy : null,
      (pipe) => {
        const connection = new SmtpConnection();
        const client = new SmtpClient(
          pipe,
          {
            ...{ name, waits, entropy: ENTROPY, tls: isImplicit || startTls === 'never' ? null : policy },
            tlsRequired: startTls === 'required',
            credentials: account === '' ? null : { account, password: options.password ?? place.password },
          },
          {
            ready: (extensions) => {
              connection.begin(client, extensions);
              resolve(connection);
            },
            unready: ({ text }) => reject(new ConnectionError(`${host}:${port}: ${text}`)),
            sent: (outcomes) => connection.told(outcomes),
            closed: () => connection.lost(),
          },
          turn.clock,
        );
        return client;
      },
      (_cause, why) => reject(new ConnectionError(`${host}:${port}: ${why}`)),
    );
  });
}

interface Waiting {
  readonly letter: Letter;
  resolve(outcomes: readonly RecipientOutcome[]): void;
}

export class SmtpConnection {
  extensions: Extensions = new Map();
  private client: SmtpClient | null = null;
  private readonly waiting: Waiting[] = [];
  private current: Waiting | null = null;

  /** It is let in. Called once, by who connected. */
  begin(client: SmtpClient, extensions: Extensions): void {
    this.client = client;
    this.extensions = extensions;
  }

  /** Sends behind what was given before. One outcome for each recipient; it does not reject. */
  send(letter: Letter): Promise<readonly RecipientOutcome[]> {
    return new Promise((resolve) => {
      this.waiting.push({ letter, resolve });
      this.next();
    });
  }

  /** Says goodbye. */
  close(): void {
    this.client?.quit();
    this.client = null;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** What became of the mail that is under way: the client half tells it. */
  told(outcomes: readonly RecipientOutcome[]): void {
    const { current } = this;
    this.current = null;
    current?.resolve(outcomes);
    // Whether the connection still stands is known once this call is over.
    setImmediate(() => this.next());
  }

  lost(): void {
    this.client = null;
    this.next();
  }

  private next(): void {
    const { client } = this;
    if (this.current !== null) return;
    if (client === null || !client.isIdle) {
      if (client === null)
        for (const { letter, resolve } of this.waiting.splice(0))
          resolve(letter.to.map(() => ({ state: 'transient', reply: null, text: '4.4.2 The connection is gone.' })));
      return;
    }
    const next = this.waiting.shift();
    if (next === undefined) return;
    this.current = next;
    const { from, to, message, ret, envid } = next.letter;
    const recipients = to.map((each) => (typeof each === 'string' ? { address: each } : each));
    const isUtf8 = [from, ...recipients.map(({ address }) => address)].some((address) => /[^\x20-\x7e]/.test(address));
    client.send({
      ...{ from, recipients, ret, envid, isUtf8 },
      size: message.length,
      isEightBit: message.some((byte) => byte > 0x7f),
      read: (sink) => new Given(message, sink),
    });
  }
}

/** Bytes that are there, as fast as there is room. */
class Given {
  private readonly bytes: Uint8Array;
  private readonly sink: Sink;
  private at = 0;
  private over = false;

  constructor(bytes: Uint8Array, sink: Sink) {
    this.bytes = bytes;
    this.sink = sink;
    this.more();
  }

  more(): void {
    const { bytes, sink } = this;
    while (!this.over && this.at < bytes.length && sink.room > 0) {
      const from = this.at;
      this.at = Math.min(bytes.length, from + Math.min(sink.room, 65_536));
      sink.bytes(bytes, from, this.at);
    }
    if (this.over || this.at < bytes.length) return;
    this.over = true;
    sink.end(OK);
  }

  stop(): void {
    this.over = true;
  }
}
