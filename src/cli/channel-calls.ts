// Topics by calls of `portico.v1.Topics`, over whatever carries calls: gRPC, GraphQL, SOAP.
import type { JsonCarrier } from '../exports/call-carrier.ts';
import { carrierFor } from '../exports/client.ts';
import { callOver } from '../resources/services/client.ts';
import { ServiceError } from '../resources/services/status.ts';
import { type Channel, type Place, type PublishOptions, QUIET_MS, Refusal, type Shown } from './channel.ts';
import { authorityOf } from './channel-http.ts';

const SERVICE = 'portico.v1.Topics';
/** Goes with each call, so that who looks at heads alone sees what a call is about: its input may be anywhere in a body. */
const ABOUT = 'portico-topic';

export async function callsChannel(place: Place & { readonly scheme: string }): Promise<Channel> {
  const { scheme, user, password, token, tls } = place;
  const carrier = await carrierFor(`${scheme}://${authorityOf(place)}`, {
    ...(user === '' ? {} : { user, password }),
    ...(token === '' ? {} : { token }),
    ...(tls === null ? {} : { tls }),
  });
  return new CallsChannel(carrier);
}

/** Of an event of `Subscribe`, what is shown; as JSON of protobuf. */
interface Event {
  readonly message?: { readonly topic: string; readonly payload?: string; readonly cursor?: string };
  readonly gap?: { readonly after?: string };
  readonly retained?: boolean;
}

class CallsChannel implements Channel {
  readonly closed: Promise<void>;
  private readonly carrier: JsonCarrier;
  private readonly leaving = new AbortController();
  private end!: { resolve(): void; reject(error: Error): void };

  constructor(carrier: JsonCarrier) {
    this.carrier = carrier;
    this.closed = new Promise((resolve, reject) => {
      this.end = { resolve, reject };
    });
    this.closed.catch(() => {});
  }

  async publish(
    topic: string,
    payload: Buffer,
    { retain, contentType }: Omit<PublishOptions, 'qos'>,
  ): Promise<number | null> {
    const input = { topic, payload: payload.toString('base64'), contentType, retain };
    try {
      const answer = (await this.call('Publish', 'unary', topic, input)) as { readonly cursor?: string };
      return Number(answer.cursor ?? 0);
    } catch (error) {
      throw refusal(error);
    }
  }

  /** A stream says nothing before its first message, but no at once: without that for a while, it is a yes. */
  async subscribe(
    filter: string,
    { after }: { after: number | null },
    on: { message(message: Shown): void; gap(text: string): void },
  ): Promise<void> {
    const input = { filter, ...(after === null ? {} : { after: String(after) }) };
    const events = this.call('Subscribe', 'server', filter, input) as AsyncIterable<Event>;
    const over = this.read(events, on);
    over.then(this.end.resolve, this.end.reject);
    await Promise.race([over, new Promise((resolve) => setTimeout(resolve, QUIET_MS))]);
  }

  close(): void {
    this.leaving.abort();
    void this.carrier.close();
    this.end.resolve();
  }

  private call(method: string, kind: 'unary' | 'server', about: string, input: unknown): unknown {
    const { carrier } = this;
    const calls: Parameters<typeof callOver>[0] = {
      kindOf: () => kind,
      begin: (service, name, terms, receiver) => carrier.begin(service, name, { ...terms, kind }, receiver),
    };
    return callOver(calls, SERVICE, method, input, {
      signal: this.leaving.signal,
      metadata: [ABOUT, about],
    });
  }

  private async read(
    events: AsyncIterable<Event>,
    on: { message(message: Shown): void; gap(text: string): void },
  ): Promise<void> {
    try {
      for await (const { message, gap, retained = false } of events) {
        if (gap !== undefined) on.gap(`what came after ${gap.after ?? 0} is not all there any more`);
        if (message === undefined) continue;
        const { topic, payload = '', cursor = '0' } = message;
        on.message({ topic, payload: Buffer.from(payload, 'base64'), retained, cursor: Number(cursor) || null });
      }
    } catch (error) {
      if (!this.leaving.signal.aborted) throw refusal(error);
    }
  }
}

function refusal(error: unknown): unknown {
  return error instanceof ServiceError ? new Refusal(`${error.code}: ${error.message}`) : error;
}
