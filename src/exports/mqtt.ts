// `portico/mqtt`: a client of MQTT 5.0 and 3.1.1 (docs/mqtt.md).
import { MqttClient } from '../protocols/mqtt/client.ts';
import type { Closed, Received } from '../protocols/mqtt/client-memory.ts';
import { V5, V311 } from '../protocols/mqtt/packets.ts';
import { ConnectionError, dialWith, placeOf, policyFor, type TlsOptions, turn } from './loop.ts';
import { bytesOf, type Message, pairsOf, RefusedError, TopicConnection } from './topics.ts';

export { ConnectionError, type TlsOptions } from './loop.ts';
export { type Gap, type Message, RefusedError } from './topics.ts';

export type Qos = 0 | 1 | 2;

export interface MqttOptions {
  /** 5 unless said; 4 is MQTT 3.1.1. */
  readonly version?: 4 | 5;
  /** '' lets the server make one up. */
  readonly clientId?: string;
  /** Who signs in; the URL's when absent. */
  readonly user?: string;
  readonly password?: string;
  /** False takes up the session that the server keeps for `clientId`. */
  readonly cleanStart?: boolean;
  /** 5.0: how long the server keeps the session after the end, in seconds. */
  readonly sessionExpirySeconds?: number;
  /** 60 unless said; 0 for none. */
  readonly keepAliveSeconds?: number;
  readonly tls?: TlsOptions;
}

export interface PublishOptions {
  /** 1 unless said: resolves once the server has it. With 0 it resolves when it is sent. */
  readonly qos?: Qos;
  readonly retain?: boolean;
  /** The rest is of 5.0. */
  readonly contentType?: string;
  readonly properties?: readonly (readonly [name: string, value: string])[];
  readonly responseTopic?: string;
  readonly correlation?: Uint8Array;
  readonly expirySeconds?: number;
}

export interface SubscribeOptions {
  /** 1 unless said. */
  readonly qos?: Qos;
  /** 5.0, against Portico: begins with the history behind this cursor; 0 for all of it. */
  readonly after?: number;
  /** 5.0: not what this client publishes. */
  readonly noLocal?: boolean;
}

/**
 * Connects.
 *
 * Errors: TypeError for what is no `mqtt:` or `mqtts:` URL; ConnectionError when nobody answers or the server breaks the
 * protocol; RefusedError, with the reason code, when the server refuses.
 *
 * @param url `mqtt://[user[:password]@]host[:port]`, or `mqtts:` with TLS; the ports are 1883 and 8883 unless said
 */
export function connect(url: string, options: MqttOptions = {}): Promise<MqttConnection> {
  return connectWith(url, options, (hold) => new MqttConnection(hold));
}

/** The same, with a connection of the caller's making. */
export function connectWith<Connection extends MqttConnection>(
  url: string,
  options: MqttOptions,
  make: (hold: (stop: boolean) => void) => Connection,
): Promise<Connection> {
  const { url: parsed, host, port, user, password } = placeOf(url, { 'mqtt:': 1_883, 'mqtts:': 8_883 });
  const tls = parsed.protocol === 'mqtts:' || options.tls !== undefined ? policyFor(host, options.tls) : null;
  const { version, user: name = user, password: secret = password, tls: _tls, ...others } = options;
  return new Promise((resolve, reject) => {
    dialWith(268_435_456)(
      { host, port },
      tls,
      (pipe) => {
        const connection = make((stop) => (stop ? client.pause() : client.resume()));
        const client: MqttClient = new MqttClient(
          pipe,
          turn.clock,
          {
            ...others,
            version: version === 4 ? V311 : V5,
            username: name === '' ? null : name,
            password: secret === '' ? null : Buffer.from(secret),
          },
          {
            connected: () => resolve(connection),
            message: (message) => connection.received(message),
            room: () => connection.roomy(),
            closed: (closed) => {
              const error = errorOf(closed);
              if (error !== null) reject(error);
              connection.over(error);
            },
          },
        );
        connection.begin(client, version === 4);
        return client;
      },
      (_cause, why) => reject(new ConnectionError(`${host}:${port}: ${why}`)),
    );
  });
}

function errorOf({ why, reason, text }: Closed): Error | null {
  if (why === 'done') return null;
  const code = reason === 0 ? '' : ` with 0x${reason.toString(16).padStart(2, '0')}`;
  const message = `the connection ended: ${why}${code}${text === '' ? '' : `: ${text}`}`;
  return why === 'refused' ? new RefusedError(message, '', reason) : new ConnectionError(message);
}

export class MqttConnection extends TopicConnection {
  private client!: MqttClient;
  private isOld = false;
  private waiting: (() => void)[] = [];
  private isOver = false;

  begin(client: MqttClient, isOld: boolean): void {
    this.client = client;
    this.isOld = isOld;
  }

  /** The client identifier, also one that the server made up. */
  get clientId(): string {
    return this.client.clientId;
  }

  /** Resolves once it is acknowledged. Rejects with a RefusedError that has the reason code when the server says no. */
  async publish(topic: string, payload: string | Uint8Array, options: PublishOptions = {}): Promise<void> {
    const { qos = 1, retain = false, contentType = '', properties = [], responseTopic = '', correlation } = options;
    const request = {
      topic,
      payload: bytesOf(payload),
      qos,
      retain,
      contentType,
      properties: properties.flat(),
      responseTopic,
      correlation: correlation ?? null,
      ...(options.expirySeconds === undefined ? {} : { expiry: options.expirySeconds }),
    };
    for (;;) {
      let settle!: (reason: number) => void;
      const done = new Promise<number>((resolve) => {
        settle = resolve;
      });
      const taken = this.client.publish(request, settle);
      if (taken === 'taken') {
        const reason = await done;
        if (reason < 0) throw new ConnectionError('the connection ended before the acknowledgement');
        if (reason >= 0x80) throw new RefusedError(`${topic} was refused with 0x${reason.toString(16)}`, '', reason);
        return;
      }
      if (taken !== 'full') throw new ConnectionError(`${topic} cannot be published: ${taken}`);
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
  }

  subscribe(filter: string, { qos = 1, after, noLocal = false }: SubscribeOptions = {}): Promise<void> {
    const user = this.isOld ? [] : after === undefined ? ['cursor', '1'] : ['after', String(after)];
    return new Promise((resolve, reject) => {
      const answered = ([reason]: readonly number[]) => {
        if (reason === undefined) reject(new ConnectionError('the connection ended before the answer'));
        else if (reason >= 0x80)
          reject(new RefusedError(`${filter} was refused with 0x${reason.toString(16)}`, '', reason));
        else resolve();
      };
      const taken = this.client.subscribe([{ filter, qos, noLocal }], answered, 0, user);
      if (taken !== 'taken') reject(new ConnectionError(`${filter} cannot be subscribed to: ${taken}`));
    });
  }

  unsubscribe(filter: string): Promise<void> {
    return new Promise((resolve, reject) => {
      const taken = this.client.unsubscribe([filter], () => resolve());
      if (taken !== 'taken') reject(new ConnectionError(`${filter} cannot be unsubscribed from: ${taken}`));
    });
  }

  close(): Promise<void> {
    if (!this.isOver) this.client.disconnect();
    return this.closed;
  }

  received({ topic, payload, retain, properties }: Received): void {
    const pairs = pairsOf(properties.user ?? []);
    const of = (name: string) => pairs.find(([has]) => has === name)?.[1] ?? null;
    const gap = /^(\d+)-(\d+)$/.exec(of('gap') ?? '');
    if (gap !== null) this.onGap?.({ filter: topic, after: Number(gap[1]), from: Number(gap[2]) });
    const cursor = of('cursor');
    const message: Message = {
      topic,
      payload: Buffer.from(payload),
      contentType: properties.contentType ?? '',
      properties: pairs.filter(([name]) => name !== 'cursor' && name !== 'gap'),
      retained: retain,
      cursor: cursor === null ? null : Number(cursor),
    };
    this.inbox.put(message);
  }

  roomy(): void {
    for (const go of this.waiting.splice(0)) go();
  }

  over(error: Error | null): void {
    this.isOver = true;
    this.roomy();
    this.ended(error);
  }
}
