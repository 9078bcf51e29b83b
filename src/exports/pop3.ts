// A client of POP3 with promises: connects, signs in, and asks for mails (docs/pop3.md).
import { type Answer, Pop3Client } from '../protocols/pop3/client.ts';
import { type MailboxOptions, RefusedError } from './imap.ts';
import { ConnectionError, dialWith, ENTROPY, placeOf, policyFor, turn } from './loop.ts';

export { type MailboxOptions, RefusedError } from './imap.ts';
export { ConnectionError, type TlsOptions } from './loop.ts';

const PORTS = { 'pop3:': 1_110, 'pop3s:': 9_995 };
const INPUT_MAX = 2_097_152;

/**
 * Connects and signs in.
 *
 * Errors: TypeError for what is no URL of these; ConnectionError when nobody answers; RefusedError when nobody is let in.
 *
 * @param url `pop3://` or `pop3s://[user[:password]@]host[:port]`; the ports are Portico's own unless said
 */
export function connectPop3(url: string, options: MailboxOptions = {}): Promise<Pop3Connection> {
  const place = placeOf(url, PORTS);
  const { host, port } = place;
  const { startTls = 'offered' } = options;
  const policy = policyFor(host, options.tls);
  const isImplicit = place.url.protocol === 'pop3s:';
  const credentials = { account: options.user ?? place.user, password: options.password ?? place.password };
  return new Promise((resolve, reject) => {
    dialWith(INPUT_MAX)(
      { host, port },
      isImplicit ? policy : null,
      (pipe) => {
        let connection: Pop3Connection | null = null;
        const client = new Pop3Client(
          pipe,
          {
            ...{ credentials, entropy: ENTROPY, tlsRequired: startTls === 'required' },
            tls: isImplicit || startTls === 'never' ? null : policy,
          },
          {
            ready: () => {
              connection = new Pop3Connection(client);
              resolve(connection);
            },
            unready: (text) => reject(new RefusedError(text)),
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

export class Pop3Connection {
  private readonly client: Pop3Client;
  private readonly waiting = new Set<(error: Error) => void>();
  private error: Error | null = null;

  constructor(client: Pop3Client) {
    this.client = client;
  }

  lost(error: Error): void {
    this.error = error;
    for (const reject of this.waiting) reject(error);
    this.waiting.clear();
  }

  private ask(command: string, isLong: boolean): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.error !== null) return reject(this.error);
      this.waiting.add(reject);
      this.client.say(command, isLong, (answer) => {
        this.waiting.delete(reject);
        if (answer.ok) resolve(answer);
        else reject(new RefusedError(answer.text.replace(/^\[[^\]]*\] ?/, '')));
      });
    });
  }

  /** Numbers of the mails that are there, with their sizes. */
  async list(): Promise<{ readonly number: number; readonly size: number }[]> {
    const { body } = await this.ask('LIST', true);
    return [...body.toString('latin1').matchAll(/^(\d+) (\d+)/gm)].map(([, number, size]) => ({
      number: Number(number),
      size: Number(size),
    }));
  }

  /** A mail's header, and so many lines behind it. */
  async top(number: number, lines = 0): Promise<Buffer> {
    return (await this.ask(`TOP ${number} ${lines}`, true)).body;
  }

  async read(number: number): Promise<Buffer> {
    return (await this.ask(`RETR ${number}`, true)).body;
  }

  /** Marks a mail: it goes when the connection is closed. */
  async remove(number: number): Promise<void> {
    await this.ask(`DELE ${number}`, false);
  }

  /** Says goodbye; what was marked goes. RefusedError where some of it stays. */
  close(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.error !== null) return reject(this.error);
      this.waiting.add(reject);
      this.client.quit(({ ok, text }) => {
        this.waiting.delete(reject);
        if (ok) resolve();
        else reject(new RefusedError(text));
      });
    });
  }
}
