// `portico/websocket`: a WebSocket whose sending waits for the network, and topics over one (docs/portico-json.md).
import { Fields } from '../core/fields.ts';
import { bindLimits } from '../core/limits.ts';
import type { MessageSession, Messages } from '../core/messages.ts';
import { OK, type Outcome } from '../core/outcome.ts';
import { ENDED } from '../core/pipe.ts';
import { NEVER } from '../core/time.ts';
import { PorticoJsonClient } from '../protocols/messages/client.ts';
import type {
  CallSettings,
  PublishOptions as JsonPublishOptions,
  SubscribeOptions as JsonSubscribeOptions,
  ReceivedMessage,
} from '../protocols/messages/requests.ts';
import { WebSocketClient } from '../protocols/websocket/client.ts';
import { limits } from '../protocols/websocket/limits.ts';
import type { Call, CallReceiver } from '../resources/services/contract.ts';
import { Inbox } from './inbox.ts';
import { ConnectionError, dialWith, ENTROPY, placeOf, policyFor, type TlsOptions } from './loop.ts';
import { type Message, pairsOf, RefusedError, TopicConnection } from './topics.ts';

export { ConnectionError, type TlsOptions } from './loop.ts';
export { type Gap, type Message, RefusedError } from './topics.ts';

export interface WebSocketOptions {
  readonly subprotocols?: readonly string[];
  /** Further fields of the request: Authorization, Cookie, Origin. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Whether to offer permessage-deflate (RFC 7692); yes unless said. */
  readonly compress?: boolean;
  /** The longest message that is taken, in bytes; 4 MiB unless said. */
  readonly messageBytesMax?: number;
  readonly tls?: TlsOptions;
}

/**
 * Opens a WebSocket.
 *
 * Errors: TypeError for what is no `ws:` or `wss:` URL; ConnectionError when nobody answers or the server breaks the
 * protocol; RefusedError, with the status, when it answers otherwise.
 *
 * Source: RFC 6455, RFC 7692.
 *
 * @param url `ws://[user[:password]@]host[:port]/path`, or `wss:`; the ports are 80 and 443 unless said
 */
export function connect(url: string, options: WebSocketOptions = {}): Promise<WebSocketConnection> {
  return open(url, options, (messages) => new WebSocketConnection(messages));
}

function open<Session extends MessageSession>(
  text: string,
  options: WebSocketOptions,
  make: (messages: Messages) => Session,
): Promise<Session> {
  const { url, host, port, user, password } = placeOf(text, { 'ws:': 80, 'wss:': 443 });
  const tls = url.protocol === 'wss:' || options.tls !== undefined ? policyFor(host, options.tls) : null;
  const fields = new Fields();
  for (const [name, value] of Object.entries(options.headers ?? {})) fields.append(name, value);
  if (user !== '' && !fields.has('authorization'))
    fields.append('authorization', `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`);
  const bound = bindLimits(
    limits,
    options.messageBytesMax === undefined ? {} : { messageBytesMax: options.messageBytesMax },
  );
  return new Promise((resolve, reject) => {
    dialWith(bound.messageBytesMax + 65_536)(
      { host, port },
      tls,
      (pipe) =>
        new WebSocketClient(pipe, {
          authority: url.host,
          target: `${url.pathname}${url.search}`,
          ...(options.subprotocols === undefined ? {} : { subprotocols: options.subprotocols }),
          ...(options.compress === undefined ? {} : { compress: options.compress }),
          fields,
          limits: bound,
          entropy: ENTROPY,
          open: (messages) => {
            const session = make(messages);
            resolve(session);
            return session;
          },
          refused: (fault, cause, status) =>
            reject(
              status > 0 && status !== 101
                ? new RefusedError(`${url.host} answered with the status ${status}`, '', status)
                : new ConnectionError(`${url.host}: ${fault?.text ?? `the connection is gone (${cause})`}`, fault?.id),
            ),
        }),
      (_cause, why) => reject(new ConnectionError(`${url.host}: ${why}`)),
    );
  });
}

/** How a WebSocket ended: its code (RFC 6455 §7.4), 1005 for none, 1006 where the connection was lost. */
export interface CloseInfo {
  readonly code: number;
}

/**
 * An open WebSocket. `for await (const message of socket)` gives text as strings and the rest as Buffers, and holds the
 * other end back while nobody asks.
 */
export class WebSocketConnection implements MessageSession, AsyncIterable<string | Buffer> {
  readonly deadline = NEVER;
  /** Resolves when it has ended, however that was. */
  readonly closed: Promise<CloseInfo>;
  private readonly messages: Messages;
  private readonly inbox: Inbox<string | Buffer>;
  private waiting: (() => void)[] = [];
  private isOver = false;
  private settle!: (info: CloseInfo) => void;

  constructor(messages: Messages) {
    this.messages = messages;
    this.inbox = new Inbox((stop) => (stop ? messages.pause() : messages.resume()));
    this.closed = new Promise((resolve) => {
      this.settle = resolve;
    });
  }

  /** What the server chose; '' for none. */
  get subprotocol(): string {
    return this.messages.subprotocol;
  }

  /** Sends text, or bytes, which must not change any more; resolves when there is room for more. */
  async send(message: string | Uint8Array): Promise<void> {
    if (this.isOver) throw new ConnectionError('the WebSocket is closed');
    const text = typeof message === 'string';
    const bytes = text ? Buffer.from(message) : message;
    this.messages.send(bytes, 0, bytes.length, text);
    this.messages.flush();
    while (!this.isOver && this.messages.room === 0) await new Promise<void>((resolve) => this.waiting.push(resolve));
  }

  /** Closes with a code (1000, 3000-4999) and a reason of at most 123 bytes; resolves when it is closed. */
  close(code = 1000, reason = ''): Promise<CloseInfo> {
    if (!this.isOver) {
      this.messages.end(code, reason);
      this.messages.flush();
    }
    return this.closed;
  }

  [Symbol.asyncIterator](): AsyncIterator<string | Buffer> {
    return this.inbox[Symbol.asyncIterator]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  // ---- what the session tells --------------------------------------------------------------------------------------

  receive(input: Uint8Array, start: number, end: number, text: boolean): void {
    const bytes = Buffer.from(input.subarray(start, end));
    this.inbox.put(text ? bytes.toString('utf8') : bytes);
  }

  writable(): void {
    for (const go of this.waiting.splice(0)) go();
  }

  tick(): void {}

  leave(): void {
    void this.close(1001);
  }

  lost(_cause: string, wire: number): void {
    this.isOver = true;
    this.writable();
    this.inbox.end();
    this.settle({ code: wire });
  }
}

/**
 * Connects to a server's topics by `portico.json`. Errors as those of `connect`.
 *
 * @param url `ws://[user[:password]@]host[:port]`; the path is `/ws` unless said
 */
export async function connectTopics(url: string, options: WebSocketOptions = {}): Promise<PorticoConnection> {
  const at = new URL(url);
  if (at.pathname === '/') at.pathname = '/ws';
  let connection!: PorticoConnection;
  await open(at.href, { ...options, subprotocols: ['portico.json'] }, (messages) => {
    connection = new PorticoConnection((stop) => (stop ? messages.pause() : messages.resume()));
    return connection.begin(messages);
  });
  return connection;
}

export interface PublishOptions {
  readonly retain?: boolean;
  readonly contentType?: string;
  readonly properties?: readonly (readonly [name: string, value: string])[];
  readonly responseTopic?: string;
  readonly correlation?: Uint8Array;
  /** For how long it is of use, in milliseconds. */
  readonly expiresIn?: number;
}

/** As docs/portico-json.md has them. */
export type SubscribeOptions = Omit<JsonSubscribeOptions, 'encoding'>;

interface Asked {
  resolve(answer: { cursor: number; message: ReceivedMessage | null }): void;
  reject(error: Error): void;
}

export class PorticoConnection extends TopicConnection {
  private client!: PorticoJsonClient;
  private readonly asked = new Map<number, Asked>();
  private waiting: (() => void)[] = [];
  private isOver = false;

  begin(messages: Messages): PorticoJsonClient {
    this.client = new PorticoJsonClient(messages, {
      answered: (number, outcome, cursor, detail, message) => this.answered(number, outcome, cursor, detail, message),
      message: (message) => this.inbox.put(shown(message)),
      live: () => {},
      gap: (filter, after, from) => this.onGap?.({ filter, after, from }),
      refused: () => {},
      roomy: () => this.roomy(),
      closed: (cause, wire, fault) => {
        this.isOver = true;
        this.roomy();
        const done = fault === null && (cause === ENDED || wire === 1000);
        this.ended(done ? null : new ConnectionError(fault?.text ?? `the WebSocket ended with ${wire}`, fault?.id));
      },
    });
    return this.client;
  }

  /** Resolves once it is committed, with its cursor; null where the topic keeps no history. */
  async publish(topic: string, payload: string | Uint8Array, options: PublishOptions = {}): Promise<number | null> {
    const { properties, ...others } = options;
    const request: JsonPublishOptions =
      properties === undefined ? others : { ...others, properties: properties.flat() };
    return (await this.ask(() => this.client.publish(topic, payload, request))).cursor || null;
  }

  async subscribe(filter: string, options: SubscribeOptions = {}): Promise<void> {
    await this.ask(() => this.client.subscribe(filter, options));
  }

  async unsubscribe(filter: string): Promise<void> {
    await this.ask(() => this.client.unsubscribe(filter));
  }

  /** The retained value of a topic; null when there is none. */
  async get(topic: string): Promise<Message | null> {
    try {
      const { message } = await this.ask(() => this.client.get(topic));
      return message === null ? null : shown(message);
    } catch (error) {
      if (error instanceof RefusedError && error.outcome === 'MISSING') return null;
      throw error;
    }
  }

  /** Calls a method of a service, with values as JSON has them; null once the connection is over. */
  call(method: string, params: unknown, settings: CallSettings, receiver: CallReceiver): Call | null {
    return this.client.call(method, params, settings, receiver);
  }

  close(): Promise<void> {
    if (!this.isOver) this.client.end();
    return this.closed;
  }

  private async ask(request: () => number): Promise<{ cursor: number; message: ReceivedMessage | null }> {
    for (;;) {
      if (this.isOver) throw new ConnectionError('the WebSocket is closed');
      const number = request();
      if (number > 0) return new Promise((resolve, reject) => this.asked.set(number, { resolve, reject }));
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
  }

  private answered(
    number: number,
    outcome: Outcome,
    cursor: number,
    detail: string,
    message: ReceivedMessage | null,
  ): void {
    const asked = this.asked.get(number);
    this.asked.delete(number);
    if (outcome === OK) asked?.resolve({ cursor, message });
    else asked?.reject(RefusedError.of('refused', outcome, detail));
  }

  private roomy(): void {
    for (const go of this.waiting.splice(0)) go();
  }
}

function shown({ topic, payload, contentType, properties, retained, cursor }: ReceivedMessage): Message {
  return {
    topic,
    payload,
    contentType,
    properties: pairsOf(properties),
    retained,
    cursor: cursor === 0 ? null : cursor,
  };
}
