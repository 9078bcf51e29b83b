// `sse:` for the commands: server-sent events, which come back by themselves behind the last that was seen.
import { ConnectionError, connect, type EventConnection, RefusedError } from '../exports/sse.ts';
import { type Channel, type Place, Refusal, type Shown } from './channel.ts';
import { authorityOf, credentialsOf, pathOf, shownOf } from './channel-http.ts';
import { complain, EXIT, fail } from './output.ts';

export function sseChannel(place: Place): Promise<Channel> {
  return Promise.resolve(new SseChannel(place));
}

class SseChannel implements Channel {
  readonly closed: Promise<void>;
  private readonly place: Place;
  private readonly leaving = new AbortController();
  private end!: { resolve(): void; reject(error: Error): void };

  constructor(place: Place) {
    this.place = place;
    this.closed = new Promise((resolve, reject) => {
      this.end = { resolve, reject };
    });
    this.closed.catch(() => {});
  }

  publish(): Promise<number | null> {
    return fail('sse: only reads; publish with http:, at the same host and port', EXIT.usage);
  }

  async subscribe(
    filter: string,
    { after }: { after: number | null },
    on: { message(message: Shown): void; gap(text: string): void },
  ): Promise<void> {
    const where = authorityOf(this.place);
    const query = `?envelope=json${after === null ? '' : `&after=${after}`}`;
    try {
      const { tls } = this.place;
      const events = await connect(`${tls === null ? 'http' : 'https'}://${where}${pathOf(filter)}${query}`, {
        tls: tls ?? {},
        headers: credentialsOf(this.place),
        signal: this.leaving.signal,
        onWait: (ms, why) => complain(`${why}; asking again in ${ms / 1_000} s`),
      });
      void this.read(events, on).then(this.end.resolve, this.end.reject);
    } catch (error) {
      if (error instanceof RefusedError) throw new Refusal(error.message);
      if (error instanceof ConnectionError)
        throw new Error(`${where} does not answer: ${error.message}; is Portico up?`);
      throw error;
    }
  }

  private async read(
    events: EventConnection,
    on: { message(message: Shown): void; gap(text: string): void },
  ): Promise<void> {
    try {
      for await (const { data } of events) {
        const message = shownOf(data);
        if ('gap' in message) on.gap(message.gap);
        else on.message(message);
      }
    } catch (error) {
      if (this.leaving.signal.aborted) return;
      throw error instanceof RefusedError ? new Refusal(error.message) : error;
    }
  }

  close(): void {
    this.leaving.abort();
    this.end.resolve();
  }
}
