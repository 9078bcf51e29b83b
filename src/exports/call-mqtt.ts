// Calls over MQTT 5.0 by request and response (docs/mqtt.md): all on one connection, with a response topic of its own.
import { randomUUID } from 'node:crypto';
import type { Received } from '../protocols/mqtt/client-memory.ts';
import type { Call, CallReceiver, Metadata } from '../resources/services/contract.ts';
import {
  type CarrierOptions,
  failure,
  type JsonCarrier,
  Outputs,
  statusFrom,
  type Terms,
  takesMany,
} from './call-carrier.ts';
import { connectWith, MqttConnection } from './mqtt.ts';

/** Inputs that are not acknowledged. */
const INPUTS_MAX = 16;
/** How long the server's word on a deadline is waited for beyond it. */
const GRACE_MS = 2_000;

export interface MqttCarrierOptions extends CarrierOptions {
  /** Where answers are published; one of its own below `replies/` unless said. It must be allowed to the account. */
  readonly responseTopic?: string;
}

/** @param url `mqtt://[user[:password]@]host[:port]`, or `mqtts:` */
export async function mqttCarrier(url: string, options: MqttCarrierOptions = {}): Promise<JsonCarrier> {
  const { user, password, token, tls, responseTopic = `replies/${randomUUID()}` } = options;
  // A token stands where the password does.
  const secret = token ?? password;
  const connection = await connectWith(
    url,
    {
      ...(user === undefined ? {} : { user }),
      ...(secret === undefined ? {} : { password: secret }),
      ...(tls === undefined ? {} : { tls }),
    },
    (hold) => new AnswerConnection(hold),
  );
  const carrier = new MqttCarrier(connection, responseTopic);
  await connection.subscribe(responseTopic);
  return carrier;
}

/** A connection whose messages are answers. */
class AnswerConnection extends MqttConnection {
  onAnswer: (message: Received) => void = () => {};

  override received(message: Received): void {
    this.onAnswer(message);
  }
}

class MqttCarrier implements JsonCarrier {
  readonly responseTopic: string;
  private readonly connection: AnswerConnection;
  private readonly calls = new Map<string, MqttCall>();
  private last = 0;

  constructor(connection: AnswerConnection, responseTopic: string) {
    this.connection = connection;
    this.responseTopic = responseTopic;
    connection.onAnswer = ({ topic, payload, properties: { user, correlation } }) => {
      if (topic !== responseTopic || correlation == null) return;
      this.calls.get(Buffer.from(correlation).toString())?.answered(Buffer.from(payload).toString(), user ?? []);
    };
    const lost = () => {
      for (const call of [...this.calls.values()]) call.end(failure('UNAVAILABLE', 'the connection is gone'), []);
    };
    connection.closed.then(lost, lost);
  }

  begin(service: string, method: string, terms: Terms, receiver: CallReceiver): Call {
    const id = String(++this.last);
    const call = new MqttCall(this, id, `services/${service}/${method}`, terms, receiver);
    this.calls.set(id, call);
    return call;
  }

  over(id: string): void {
    this.calls.delete(id);
  }

  publish(
    topic: string,
    payload: string,
    id: string,
    properties: readonly (readonly [string, string])[],
  ): Promise<void> {
    const { responseTopic } = this;
    return this.connection.publish(topic, payload, { responseTopic, correlation: Buffer.from(id), properties });
  }

  close(): Promise<void> {
    return this.connection.close();
  }
}

class MqttCall implements Call {
  private readonly carrier: MqttCarrier;
  private readonly id: string;
  private readonly topic: string;
  private readonly terms: Terms;
  private readonly receiver: CallReceiver;
  private readonly outputs: Outputs;
  private readonly timer: NodeJS.Timeout | null = null;
  private underWay = 0;
  private headersGiven = false;

  constructor(carrier: MqttCarrier, id: string, topic: string, terms: Terms, receiver: CallReceiver) {
    this.carrier = carrier;
    this.id = id;
    this.topic = topic;
    this.terms = terms;
    this.receiver = receiver;
    this.outputs = new Outputs(receiver);
    const { timeoutMs } = terms;
    if (Number.isFinite(timeoutMs))
      this.timer = setTimeout(
        () => this.end(failure('DEADLINE_EXCEEDED', 'it took too long'), []),
        timeoutMs + GRACE_MS,
      );
  }

  send(value: unknown): void {
    const { kind, metadata, timeoutMs } = this.terms;
    const pairs: [string, string][] = [];
    for (let at = 0; at + 1 < metadata.length; at += 2) pairs.push([metadata[at]!, metadata[at + 1]!]);
    if (Number.isFinite(timeoutMs)) pairs.push(['timeout-ms', String(Math.max(1, Math.ceil(timeoutMs)))]);
    if (takesMany(kind)) pairs.push(['more', 'true']);
    this.say(JSON.stringify(value), pairs);
  }

  finish(): void {
    // The end of many inputs is an empty one; a single input is the last by itself.
    if (takesMany(this.terms.kind)) this.say('', []);
  }

  private say(payload: string, properties: readonly (readonly [string, string])[]): void {
    if (this.outputs.isOver) return;
    this.underWay++;
    this.carrier
      .publish(this.topic, payload, this.id, properties)
      .catch((error: unknown) => this.end(failure('UNAVAILABLE', (error as Error).message), []))
      .finally(() => {
        if (--this.underWay === INPUTS_MAX >> 1 && !this.outputs.isOver) this.receiver.writable();
      });
  }

  get room(): number {
    return Math.max(0, INPUTS_MAX - this.underWay);
  }

  more(): void {
    this.outputs.give();
  }

  cancel(): void {
    if (!this.outputs.isOver) this.say('', [['cancel', 'true']]);
    this.outputs.drop();
    this.over();
  }

  answered(text: string, user: readonly string[]): void {
    const of = (prefix: string): Metadata => {
      const found: string[] = [];
      for (let at = 0; at + 1 < user.length; at += 2)
        if (user[at]!.startsWith(prefix)) found.push(user[at]!.slice(prefix.length), user[at + 1]!);
      return found;
    };
    const headers = of('header.');
    if (headers.length > 0 && !this.headersGiven && !this.outputs.isOver) {
      this.headersGiven = true;
      this.receiver.headers(headers);
    }
    const status = user[user.indexOf('status') + 1];
    const isLast = user.indexOf('status') % 2 === 0;
    let json: unknown = null;
    try {
      if (text !== '') json = JSON.parse(text);
    } catch {
      this.end(failure('INTERNAL', 'an answer is not JSON'), []);
      return;
    }
    if (isLast && status !== 'OK') this.end(statusFrom(json), of('trailer.'));
    else {
      if (text !== '') this.outputs.put(json);
      if (isLast) this.end({ code: 'OK', message: '', details: [] }, of('trailer.'));
    }
  }

  end(status: ReturnType<typeof statusFrom>, trailers: Metadata): void {
    this.outputs.end(status, trailers);
    this.over();
  }

  private over(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.carrier.over(this.id);
  }
}
