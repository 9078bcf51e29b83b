// `portico/lines`: a client of Lines, the protocol for shells and small devices (docs/lines.md).
import { OK, type Outcome } from '../core/outcome.ts';
import { type Cause, ENDED } from '../core/pipe.ts';
import { LinesClient, type ReceivedMessage } from '../protocols/lines/client.ts';
import { ConnectionError, dialWith, placeOf, policyFor, type TlsOptions } from './loop.ts';
import {
  bytesOf,
  type Message,
  type PublishOptions,
  RefusedError,
  type SubscribeOptions,
  TopicConnection,
} from './topics.ts';

export { ConnectionError, type TlsOptions } from './loop.ts';
export { type Gap, type Message, type PublishOptions, RefusedError, type SubscribeOptions } from './topics.ts';

export interface LinesOptions {
  /** Who signs in; the URL's when absent. */
  readonly user?: string;
  readonly password?: string;
  /** TLS, where the listener has it. */
  readonly tls?: TlsOptions;
}

/**
 * Connects, and signs in where there is a name.
 *
 * Errors: TypeError for what is no `tcp:` URL; ConnectionError when nobody answers; RefusedError when the name is refused.
 *
 * @param url `tcp://[user[:password]@]host[:port]`; the port is 7000 unless said
 */
export function connect(url: string, options: LinesOptions = {}): Promise<LinesConnection> {
  const { host, port, user, password } = placeOf(url, { 'tcp:': 7_000 });
  const name = options.user ?? user;
  const secret = options.password ?? password;
  return new Promise((resolve, reject) => {
    dialWith(268_435_456)(
      { host, port },
      options.tls === undefined ? null : policyFor(host, options.tls),
      (pipe) => {
        const connection = new LinesConnection((stop) => (stop ? pipe.pause() : pipe.resume()));
        const client = new LinesClient(pipe, connection.events);
        connection.begin(client);
        if (name === '') resolve(connection);
        else connection.sign(name, secret).then(() => resolve(connection), reject);
        return client;
      },
      (_cause, why) => reject(new ConnectionError(`${host}:${port}: ${why}`)),
    );
  });
}

interface Asked {
  resolve(answer: { value: number; message: ReceivedMessage | null }): void;
  reject(error: Error): void;
}

/** Lines carries no content type and no properties, and does not tell which messages are retained. */
export class LinesConnection extends TopicConnection {
  /** Told of what the server refuses that nobody waits for, as what `send` published. */
  onRefused: ((error: RefusedError) => void) | null = null;
  /** What the client half tells; the connection's own. */
  readonly events = {
    answered: (number: number, outcome: Outcome, value: number, text: string, message: ReceivedMessage | null) =>
      this.answered(number, outcome, value, text, message),
    message: (message: ReceivedMessage) => this.inbox.put(shown(message)),
    gap: (filter: string, after: number, from: number) => this.onGap?.({ filter, after, from }),
    refused: (outcome: Outcome, command: string, text: string) =>
      this.onRefused?.(RefusedError.of(command, outcome, text)),
    roomy: () => {
      for (const go of this.waiting.splice(0)) go();
    },
    closed: (cause: Cause) => this.over(cause),
  };
  private client!: LinesClient;
  private readonly asked = new Map<number, Asked>();
  private waiting: (() => void)[] = [];
  private isOver = false;

  begin(client: LinesClient): void {
    this.client = client;
  }

  async sign(name: string, password: string): Promise<void> {
    await this.answer(password === '' ? this.client.name(name) : this.client.name(name, password));
  }

  /** Resolves once it is committed, with its cursor; null where the topic keeps no history. */
  async publish(
    topic: string,
    payload: string | Uint8Array,
    { retain = false }: PublishOptions = {},
  ): Promise<number | null> {
    await this.room();
    return (await this.answer(this.client.publish(topic, bytesOf(payload), retain))).value || null;
  }

  /** Publishes without an answer; resolves when there is room for it. */
  async send(topic: string, payload: string | Uint8Array, { retain = false }: PublishOptions = {}): Promise<void> {
    await this.room();
    this.client.send(topic, bytesOf(payload), retain);
  }

  /** Clears what is retained. */
  async clear(topic: string): Promise<void> {
    await this.answer(this.client.clear(topic));
  }

  async subscribe(filter: string, { after = -1 }: SubscribeOptions = {}): Promise<void> {
    await this.answer(this.client.subscribe(filter, after));
  }

  async unsubscribe(filter: string): Promise<void> {
    await this.answer(this.client.unsubscribe(filter));
  }

  /** The retained value of a topic; null when there is none. */
  async last(topic: string): Promise<Message | null> {
    try {
      const { message } = await this.answer(this.client.last(topic));
      return message === null ? null : { ...shown(message), retained: true };
    } catch (error) {
      if (error instanceof RefusedError && error.outcome === 'MISSING') return null;
      throw error;
    }
  }

  close(): Promise<void> {
    if (!this.isOver) this.client.quit();
    return this.closed;
  }

  private async room(): Promise<void> {
    while (!this.isOver && !this.client.isRoomy) await new Promise<void>((resolve) => this.waiting.push(resolve));
    if (this.isOver) throw new ConnectionError('the connection has ended');
  }

  private answer(number: number): Promise<{ value: number; message: ReceivedMessage | null }> {
    if (this.isOver) return Promise.reject(new ConnectionError('the connection has ended'));
    return new Promise((resolve, reject) => this.asked.set(number, { resolve, reject }));
  }

  private answered(
    number: number,
    outcome: Outcome,
    value: number,
    text: string,
    message: ReceivedMessage | null,
  ): void {
    const asked = this.asked.get(number);
    this.asked.delete(number);
    if (outcome === OK) asked?.resolve({ value, message });
    else asked?.reject(RefusedError.of('refused', outcome, text));
  }

  private over(cause: Cause): void {
    this.isOver = true;
    this.events.roomy();
    this.ended(cause === ENDED ? null : new ConnectionError(`the connection is gone (${cause})`));
  }
}

function shown({ topic, payload, cursor }: ReceivedMessage): Message {
  return { topic, payload, contentType: '', properties: [], retained: null, cursor: cursor === 0 ? null : cursor };
}
