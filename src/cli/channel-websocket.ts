// `ws:` for the commands: topics over a WebSocket by the subprotocol portico.json.
import { RefusedError } from '../exports/topics.ts';
import { connectTopics, type PorticoConnection } from '../exports/websocket.ts';
import { type Channel, type Place, type PublishOptions, Refusal, type Shown } from './channel.ts';
import { authorityOf, credentialsOf } from './channel-http.ts';

/** Connects. Rejects when nobody answers or the server refuses. */
export async function webSocketChannel(place: Place & { readonly scheme: string }): Promise<Channel> {
  const where = authorityOf(place);
  try {
    const headers = credentialsOf(place);
    const options = place.tls === null ? { headers } : { headers, tls: place.tls };
    return new WebSocketChannel(where, await connectTopics(`${place.scheme}://${where}/ws`, options));
  } catch (error) {
    if (error instanceof RefusedError) throw new Refusal(error.message);
    throw new Error(`${where} does not answer: ${(error as Error).message}; is Portico up?`);
  }
}

class WebSocketChannel implements Channel {
  readonly closed: Promise<void>;
  private readonly where: string;
  private readonly connection: PorticoConnection;

  constructor(where: string, connection: PorticoConnection) {
    this.where = where;
    this.connection = connection;
    this.closed = connection.closed;
  }

  async publish(topic: string, payload: Buffer, { retain, contentType }: PublishOptions): Promise<number | null> {
    return this.asked(
      this.connection.publish(topic, payload, { retain, ...(contentType === '' ? {} : { contentType }) }),
    );
  }

  async get(topic: string): Promise<Shown | null> {
    return this.asked(this.connection.get(topic));
  }

  async subscribe(
    filter: string,
    { after }: { after: number | null },
    on: { message(message: Shown): void; gap(text: string): void },
  ): Promise<void> {
    this.connection.onGap = (gap) => on.gap(`${gap.after}-${gap.from}`);
    await this.asked(this.connection.subscribe(filter, after === null ? {} : { after }));
    void this.read(on.message);
  }

  private async read(show: (message: Shown) => void): Promise<void> {
    try {
      for await (const message of this.connection) show(message);
    } catch {
      // `closed` says it.
    }
  }

  close(): void {
    void this.connection.close();
  }

  private async asked<Answer>(answer: Promise<Answer>): Promise<Answer> {
    try {
      return await answer;
    } catch (error) {
      throw error instanceof RefusedError ? new Refusal(`${this.where} ${error.message}`) : error;
    }
  }
}
