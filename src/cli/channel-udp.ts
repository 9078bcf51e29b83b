// `udp:` for the commands: Lines over datagrams by the protocol's own client half.
import { lookup } from 'node:dns/promises';
import type { DatagramPort, DatagramSession } from '../core/datagram.ts';
import { OUTCOME_NAMES, type Outcome } from '../core/outcome.ts';
import { LinesDatagramClient } from '../protocols/lines/datagram-client.ts';
import type { TurnLoop } from '../server/turn.ts';
import { type OpenPort, openUdp } from '../transports/udp.ts';
import { type Channel, type Place, type PublishOptions, Refusal, type Shown } from './channel.ts';

/** How long an answer is waited for. What was published is not sent again: it may have arrived. */
const ANSWER_MS = 3_000;
/** What a datagram can hold, without the command before the payload. */
const PAYLOAD_MAX = 65_507;

/** Makes the session of a port; whoever wants to see what crosses it stands between. */
type Over = (port: DatagramPort, make: (port: DatagramPort) => DatagramSession) => DatagramSession;

/** Opens a port of our own. Rejects when the host is not known. */
export async function udpChannel(
  place: Place,
  turn: TurnLoop,
  over: Over = (port, make) => make(port),
): Promise<Channel> {
  const { address } = await lookup(place.host);
  const channel = new UdpChannel(`${place.host}:${place.port}`, turn);
  channel.port = await openUdp({
    turn,
    host: address.includes(':') ? '::' : '0.0.0.0',
    port: 0,
    session: (own) =>
      over(own, (port) => {
        channel.client = new LinesDatagramClient(
          port,
          { to: { host: address, port: place.port } },
          {
            subscribed: () => channel.subscribed(),
            published: (topic, cursor) => channel.published(topic, cursor),
            message: (topic, payload) => channel.message(topic, payload),
            tooBig: (topic, length) => channel.tooBig(topic, length),
            refused: (outcome, command, text) => channel.refused(outcome, command, text),
            unanswered: () => channel.unanswered(),
            closed: () => channel.over(),
          },
        );
        return channel.client;
      }),
  });
  return channel;
}

interface Asked {
  resolve(cursor: number): void;
  reject(error: Error): void;
}

class UdpChannel implements Channel {
  client!: LinesDatagramClient;
  port!: OpenPort;
  readonly closed: Promise<void>;
  private readonly where: string;
  private readonly turn: TurnLoop;
  private readonly publishing = new Map<string, Asked[]>();
  private subscribing: Asked | null = null;
  private shown: ((message: Shown) => void) | null = null;
  private toldGap: ((text: string) => void) | null = null;
  private end!: { resolve(): void; reject(error: Error): void };

  constructor(where: string, turn: TurnLoop) {
    this.where = where;
    this.turn = turn;
    this.closed = new Promise((resolve, reject) => {
      this.end = { resolve, reject };
    });
    this.closed.catch(() => {});
  }

  async publish(topic: string, payload: Buffer, { retain, qos, contentType }: PublishOptions): Promise<number | null> {
    if (contentType !== '') throw new Error('udp: carries no content type; leave --content-type out, or use mqtt:');
    if (payload.length > PAYLOAD_MAX - 3 * topic.length - 16)
      throw new Error(`${payload.length} bytes do not fit into a datagram; use tcp: or mqtt:`);
    const sure = qos > 0;
    while (!this.client.publish(topic, payload, { retain, sure }))
      await new Promise((resolve) => setImmediate(resolve));
    return sure ? this.answerOf(topic) : null;
  }

  private answerOf(topic: string): Promise<number | null> {
    return new Promise((resolve, reject) => {
      const all = this.publishing.get(topic) ?? [];
      this.publishing.set(topic, all);
      const over = () => {
        clearTimeout(timer);
        all.splice(all.indexOf(asked), 1);
        if (all.length === 0) this.publishing.delete(topic);
      };
      const asked: Asked = {
        resolve(cursor) {
          over();
          resolve(cursor || null);
        },
        reject(error) {
          over();
          reject(error);
        },
      };
      all.push(asked);
      const timer = setTimeout(() => asked.reject(this.silence(' (it may have arrived all the same)')), ANSWER_MS);
    });
  }

  subscribe(
    filter: string,
    { after }: { after: number | null },
    on: { message(message: Shown): void; gap(text: string): void },
  ): Promise<void> {
    if (after !== null) return Promise.reject(new Error('udp: resumes nothing; --after needs mqtt: or tcp:'));
    this.shown = on.message;
    this.toldGap = on.gap;
    return new Promise((resolve, reject) => {
      this.subscribing = { resolve: () => resolve(), reject };
      this.client.subscribe(filter, this.turn.clock);
    });
  }

  close(): void {
    this.client.leave();
  }

  // ---- what the client tells ---------------------------------------------------------------------------------------

  subscribed(): void {
    this.subscribing?.resolve(0);
    this.subscribing = null;
  }

  published(topic: string, cursor: number): void {
    this.publishing.get(topic)?.[0]?.resolve(cursor);
  }

  message(topic: string, payload: Buffer): void {
    this.shown?.({ topic, payload, retained: null, cursor: null });
  }

  tooBig(topic: string, length: number): void {
    this.toldGap?.(`${topic}: ${length} bytes do not fit into a datagram`);
  }

  refused(outcome: Outcome, command: string, text: string): void {
    const error = new Refusal(`${this.where} answered ${command} with ${OUTCOME_NAMES[outcome]}: ${text}`);
    const [first] = this.publishing.values();
    if (this.subscribing !== null) this.subscribing.reject(error);
    else if (first !== undefined) first[0]?.reject(error);
    else this.end.reject(error);
  }

  unanswered(): void {
    const error = this.silence('');
    if (this.subscribing !== null) this.subscribing.reject(error);
    else this.end.reject(error);
  }

  over(): void {
    this.end.resolve();
  }

  private silence(more: string): Error {
    return new Error(`${this.where} does not answer${more}; is Portico up?`);
  }
}
