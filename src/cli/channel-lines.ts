// `tcp:` for the commands: Lines by the protocol's own client half.
import { MISSING, OK, OUTCOME_NAMES, type Outcome } from '../core/outcome.ts';
import { type Cause, ENDED } from '../core/pipe.ts';
import { policyFor } from '../exports/loop.ts';
import { LinesClient, type ReceivedMessage } from '../protocols/lines/client.ts';
import type { TurnLoop } from '../server/turn.ts';
import { dial } from '../transports/socket-pipe.ts';
import { type Channel, MAKING, type Place, type PublishOptions, Refusal, type Shown } from './channel.ts';

/** Connects, and gives the name of the URL where it has one. Rejects when nobody answers or the name is refused. */
export function linesChannel(place: Place, turn: TurnLoop): Promise<Channel> {
  return new Promise((resolve, reject) => {
    const channel = new LinesChannel(`${place.host}:${place.port}`);
    dial(
      { host: place.host, port: place.port },
      place.tls === null ? null : policyFor(place.host, place.tls),
      { turn, ...MAKING },
      (pipe) => {
        channel.client = new LinesClient(pipe, {
          answered: (number, outcome, value, text, found) => channel.answered(number, outcome, value, text, found),
          message: (message) => channel.message(message),
          gap: (_filter, after, from) => channel.gap(after, from),
          refused: (outcome, command, text) => channel.refused(outcome, command, text),
          roomy: () => channel.roomy(),
          closed: (cause) => channel.over(cause),
        });
        if (place.user === '') resolve(channel);
        else channel.sign(place).then(() => resolve(channel), reject);
        return channel.client;
      },
      (_cause, why) => reject(new Error(`${place.host}:${place.port} does not answer: ${why}; is Portico up?`)),
    );
  });
}

class LinesChannel implements Channel {
  client!: LinesClient;
  readonly closed: Promise<void>;
  private readonly where: string;
  private readonly asked = new Map<number, { resolve(value: number): void; reject(error: Error): void }>();
  /** What `LAST` found, just before its answer. */
  private found: ReceivedMessage | null = null;
  private shown: ((message: Shown) => void) | null = null;
  private toldGap: ((text: string) => void) | null = null;
  private waiting: (() => void)[] = [];
  private end!: { resolve(): void; reject(error: Error): void };
  private problem: Error | null = null;
  private leaving = false;

  constructor(where: string) {
    this.where = where;
    this.closed = new Promise((resolve, reject) => {
      this.end = { resolve, reject };
    });
    this.closed.catch(() => {});
  }

  async sign({ user, password, token }: Place): Promise<void> {
    const secret = token || password;
    await this.answerTo(secret === '' ? this.client.name(user) : this.client.name(user, secret));
  }

  async publish(topic: string, payload: Buffer, { retain, qos, contentType }: PublishOptions): Promise<number | null> {
    if (contentType !== '') throw new Error('tcp: carries no content type; leave --content-type out, or use mqtt:');
    while (!this.client.isRoomy) await new Promise<void>((resolve) => this.waiting.push(resolve));
    if (qos > 0) return (await this.answerTo(this.client.publish(topic, payload, retain))) || null;
    this.client.send(topic, payload, retain);
    return null;
  }

  async subscribe(
    filter: string,
    { after }: { after: number | null },
    on: { message(message: Shown): void; gap(text: string): void },
  ): Promise<void> {
    this.shown = on.message;
    this.toldGap = on.gap;
    await this.answerTo(this.client.subscribe(filter, after ?? -1));
  }

  async get(topic: string): Promise<Shown | null> {
    try {
      const cursor = await this.answerTo(this.client.last(topic));
      return { topic, payload: this.found!.payload, retained: true, cursor: cursor || null };
    } catch (error) {
      if (error instanceof Refusal && error.isMissing) return null;
      throw error;
    }
  }

  close(): void {
    this.leaving = true;
    this.client.quit();
  }

  private answerTo(number: number): Promise<number> {
    return new Promise((resolve, reject) => this.asked.set(number, { resolve, reject }));
  }

  // ---- what the client tells ---------------------------------------------------------------------------------------

  answered(number: number, outcome: Outcome, value: number, text: string, found: ReceivedMessage | null): void {
    if (found !== null) this.found = found;
    const asked = this.asked.get(number);
    this.asked.delete(number);
    if (outcome === OK) asked?.resolve(value);
    else asked?.reject(new Refusal(`${this.where} answered ${OUTCOME_NAMES[outcome]}: ${text}`, outcome === MISSING));
  }

  message({ topic, payload, cursor }: ReceivedMessage): void {
    this.shown?.({ topic, payload, retained: null, cursor: cursor === 0 ? null : cursor });
  }

  gap(after: number, from: number): void {
    this.toldGap?.(`${after}-${from}`);
  }

  refused(outcome: Outcome, command: string, text: string): void {
    this.problem ??= new Refusal(`${this.where} answered ${command} with ${OUTCOME_NAMES[outcome]}: ${text}`);
  }

  roomy(): void {
    for (const go of this.waiting.splice(0)) go();
  }

  over(cause: Cause): void {
    this.roomy();
    if (this.problem !== null) this.end.reject(this.problem);
    else if (this.leaving || cause === ENDED) this.end.resolve();
    else this.end.reject(new Error(`${this.where} ended the connection (${cause})`));
  }
}
