// `mqtt:` for the commands: MQTT 5.0 by the protocol's own client half.

import { policyFor } from '../exports/loop.ts';
import type { MqttClient } from '../protocols/mqtt/client.ts';
import { MqttClient as Client } from '../protocols/mqtt/client.ts';
import type { Closed, Received } from '../protocols/mqtt/client-memory.ts';
import type { TurnLoop } from '../server/turn.ts';
import { dial } from '../transports/socket-pipe.ts';
import { type Channel, MAKING, type Place, QUIET_MS, Refusal, type Shown } from './channel.ts';

/** Connects. Rejects when nobody answers or the server refuses. */
export function mqttChannel(place: Place, turn: TurnLoop): Promise<Channel> {
  return new Promise((resolve, reject) => {
    const channel = new MqttChannel();
    dial(
      { host: place.host, port: place.port },
      place.tls === null ? null : policyFor(place.host, place.tls),
      { turn, ...MAKING },
      (pipe) => {
        const secret = place.token || place.password;
        const options = {
          username: place.user === '' ? null : place.user,
          password: secret === '' ? null : Buffer.from(secret),
        };
        channel.client = new Client(pipe, turn.clock, options, {
          connected: () => resolve(channel),
          message: (message) => channel.received(message),
          room: () => channel.room(),
          closed: (closed) => {
            reject(endOf(closed, `${place.host}:${place.port} ${ended(closed)}`));
            channel.ended(closed);
          },
        });
        return channel.client;
      },
      (_cause, why) => reject(new Error(`${place.host}:${place.port} does not answer: ${why}; is Portico up?`)),
    );
  });
}

function ended({ why, reason, text }: Closed): string {
  const code = reason === 0 ? '' : ` with 0x${reason.toString(16).padStart(2, '0')}`;
  return `ended the connection (${why}${code}${text === '' ? '' : `: ${text}`})`;
}

const endOf = (closed: Closed, text: string) => (closed.why === 'refused' ? new Refusal(text) : new Error(text));

class MqttChannel implements Channel {
  client!: MqttClient;
  readonly closed: Promise<void>;
  private onMessage: ((message: Shown) => void) | null = null;
  private onGap: ((text: string) => void) | null = null;
  private waiting: (() => void)[] = [];
  private end!: { resolve(): void; reject(error: Error): void };

  constructor() {
    this.closed = new Promise((resolve, reject) => {
      this.end = { resolve, reject };
    });
    this.closed.catch(() => {});
  }

  async publish(
    topic: string,
    payload: Buffer,
    { retain, qos, contentType }: { retain: boolean; qos: 0 | 1 | 2; contentType: string },
  ): Promise<number | null> {
    for (;;) {
      let settle!: (reason: number) => void;
      const done = new Promise<number>((resolve) => {
        settle = resolve;
      });
      const taken = this.client.publish({ topic, payload, retain, qos, contentType }, settle);
      if (taken === 'taken') {
        const reason = await done;
        if (reason >= 0x80) throw new Refusal(`${topic} was refused with 0x${reason.toString(16)}`);
        if (reason < 0) throw new Error('the connection ended before the acknowledgement');
        return null;
      }
      if (taken !== 'full') throw new Error(`${topic} could not be published: ${taken}`);
      await new Promise<void>((resolve) => this.waiting.push(resolve));
    }
  }

  subscribe(
    filter: string,
    { after, qos }: { after: number | null; qos: 0 | 1 | 2 },
    on: { message(message: Shown): void; gap(text: string): void },
  ): Promise<void> {
    this.onMessage = on.message;
    this.onGap = on.gap;
    const user = after === null ? ['cursor', '1'] : ['after', String(after)];
    return new Promise((resolve, reject) => {
      const asked = [{ filter, qos, retainAsPublished: false }];
      const answered = ([reason]: readonly number[]) => {
        if (reason === undefined) reject(new Error('the connection ended before the answer'));
        else if (reason >= 0x80) reject(new Refusal(`${filter} was refused with 0x${reason.toString(16)}`));
        else resolve();
      };
      const taken = this.client.subscribe(asked, answered, 0, user);
      if (taken !== 'taken') reject(new Error(`${filter} could not be subscribed to: ${taken}`));
    });
  }

  /** MQTT has no question for it: what is retained comes first, and soon. */
  get(topic: string): Promise<Shown | null> {
    return new Promise((resolve, reject) => {
      const silence = setTimeout(resolve, QUIET_MS, null);
      const message = (found: Shown) => {
        if (found.retained !== true) return;
        clearTimeout(silence);
        resolve(found);
      };
      this.subscribe(topic, { after: null, qos: 0 }, { message, gap: () => {} }).then(
        () => silence.refresh(),
        (error: unknown) => {
          clearTimeout(silence);
          reject(error);
        },
      );
    });
  }

  received({ topic, payload, retain, properties }: Received): void {
    const user = properties.user ?? [];
    const of = (name: string) => {
      const at = user.findIndex((text, index) => index % 2 === 0 && text === name);
      return at < 0 ? null : user[at + 1]!;
    };
    const gap = of('gap');
    if (gap !== null) this.onGap?.(gap);
    const cursor = of('cursor');
    this.onMessage?.({
      topic,
      payload: Buffer.from(payload),
      retained: retain,
      cursor: cursor === null ? null : Number(cursor),
    });
  }

  room(): void {
    for (const go of this.waiting.splice(0)) go();
  }

  ended(closed: Closed): void {
    for (const go of this.waiting.splice(0)) go();
    if (closed.why === 'done') this.end.resolve();
    else this.end.reject(new Error(ended(closed)));
  }

  close(): void {
    this.client.disconnect();
  }
}
