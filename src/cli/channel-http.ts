// `http:` for the commands: topics over plain HTTP; what is published to a filter comes by long polls.
import { setTimeout } from 'node:timers/promises';
import { type FetchOptions, HttpClient } from '../exports/http.ts';
import { type Channel, type Place, type PublishOptions, Refusal, type Shown } from './channel.ts';
import { complain } from './output.ts';
import { authorizationOf } from './sign-in.ts';

/** How long one request waits for messages, in seconds. */
const WAIT_S = 25;

/** How long it is waited before a server that did not answer is asked again: at first, and at most. */
const AGAIN_MS = 1_000;
const AGAIN_MS_MAX = 30_000;

export function httpChannel(place: Place & { readonly scheme: string }): Promise<Channel> {
  return Promise.resolve(new HttpChannel(place));
}

/** Where a topic or filter is read. Levels are kept; what a path cannot have is escaped. */
export function pathOf(topic: string): string {
  return `/topics/${encodeURIComponent(topic).replaceAll('%2F', '/').replaceAll('%2B', '+')}`;
}

export function authorityOf({ host, port }: Place): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** Who signs in, as a field. */
export function credentialsOf(place: Place): Record<string, string> {
  const authorization = authorizationOf(place);
  return authorization === null ? {} : { authorization };
}

/** What may be otherwise later (RFC 9110 §15.6, RFC 6585 §4). */
const PASSING = new Set([429, 502, 503, 504]);

/** An answer that is none of success: what it says, for a person. */
export async function refusalOf(where: string, response: Response): Promise<Refusal> {
  const text = await response.text();
  let detail = '';
  try {
    const problem = JSON.parse(text) as { detail?: string };
    if (typeof problem.detail === 'string') detail = `: ${problem.detail}`;
  } catch {
    // Not a problem of RFC 9457: the status has to do.
  }
  return new Refusal(
    `${where} answered ${response.status} ${response.statusText}${detail}`,
    false,
    PASSING.has(response.status),
  );
}

/** A message as JSON (docs/topics-over-http.md#json), as it is shown. */
export function shownOf(line: string): Shown | { readonly gap: string } {
  const message = JSON.parse(line) as {
    topic: string;
    payload?: string;
    base64?: string;
    retained?: boolean;
    cursor?: string;
    gap?: { after: string; from: string };
  };
  if (message.gap !== undefined) return { gap: `${message.gap.after}-${message.gap.from}` };
  const { topic, payload, base64, retained = false, cursor } = message;
  return {
    topic,
    payload: payload === undefined ? Buffer.from(base64 ?? '', 'base64') : Buffer.from(payload),
    retained,
    cursor: cursor === undefined ? null : Number(cursor),
  };
}

class HttpChannel implements Channel {
  readonly closed: Promise<void>;
  private readonly where: string;
  private readonly base: string;
  private readonly headers: Record<string, string>;
  /** One connection, so that what is published stays in order. */
  private readonly http: HttpClient;
  private readonly leaving = new AbortController();
  private end!: { resolve(): void; reject(error: Error): void };

  constructor(place: Place & { readonly scheme: string }) {
    this.where = authorityOf(place);
    this.base = `${place.scheme}://${this.where}`;
    this.headers = credentialsOf(place);
    this.http = new HttpClient({ limits: { originConnectionsMax: 1 }, tls: place.tls ?? {} });
    this.closed = new Promise((resolve, reject) => {
      this.end = { resolve, reject };
    });
    this.closed.catch(() => {});
  }

  async publish(topic: string, payload: Buffer, { retain, qos, contentType }: PublishOptions): Promise<number | null> {
    // An empty value clears, as it does on every protocol; HTTP has a method for that.
    const clears = retain && payload.length === 0;
    const response = await this.ask(pathOf(topic), {
      method: clears ? 'DELETE' : retain ? 'PUT' : 'POST',
      ...(clears ? {} : { body: payload }),
      headers: {
        ...(contentType === '' ? {} : { 'content-type': contentType }),
        ...(qos === 0 ? { prefer: 'respond-async' } : {}),
      },
    });
    if (!response.ok && !(clears && response.status === 404)) throw await refusalOf(this.where, response);
    await response.arrayBuffer();
    return cursorOf(response);
  }

  async get(topic: string): Promise<Shown | null> {
    const response = await this.ask(pathOf(topic));
    if (response.status === 404) return null;
    if (!response.ok) throw await refusalOf(this.where, response);
    const payload = Buffer.from(await response.arrayBuffer());
    return { topic, payload, retained: true, cursor: cursorOf(response) };
  }

  async subscribe(
    filter: string,
    { after }: { after: number | null },
    on: { message(message: Shown): void; gap(text: string): void },
  ): Promise<void> {
    let from = after;
    const seen = new Set<number>();
    if (from === null) {
      // Where it goes on is asked first, so that nothing is missed between what is retained and what comes.
      const head = await this.ask(`${pathOf(filter)}?wait=0`, { method: 'HEAD' });
      if (!head.ok) throw await refusalOf(this.where, await this.ask(`${pathOf(filter)}?wait=0`));
      from = cursorOf(head) ?? 0;
      await this.retained(filter, from, seen, on.message);
    }
    void this.poll(filter, from, seen, on).then(this.end.resolve, this.end.reject);
  }

  /** Gives what is retained; remembers which of it the history behind `from` will bring again. */
  private async retained(
    filter: string,
    from: number,
    seen: Set<number>,
    show: (message: Shown) => void,
  ): Promise<void> {
    let next: string | null = `/topics?filter=${encodeURIComponent(filter)}`;
    while (next !== null) {
      const page: Response = await this.ask(next);
      if (!page.ok) throw await refusalOf(this.where, page);
      for (const line of linesOf(await page.text())) {
        const message = shownOf(line);
        if ('gap' in message) continue;
        if (message.cursor !== null && message.cursor > from) seen.add(message.cursor);
        show({ ...message, retained: true });
      }
      next = /<([^>]*)>; *rel="?next/.exec(page.headers.get('link') ?? '')?.[1] ?? null;
    }
  }

  private async poll(
    filter: string,
    from: number,
    seen: Set<number>,
    on: { message(message: Shown): void; gap(text: string): void },
  ): Promise<void> {
    let after = from;
    let waitMs = AGAIN_MS;
    while (!this.leaving.signal.aborted) {
      let text: string;
      try {
        const page = await this.ask(`${pathOf(filter)}?after=${after}&wait=${WAIT_S}`);
        if (!page.ok) throw await refusalOf(this.where, page);
        text = await page.text();
        after = cursorOf(page) ?? after;
        waitMs = AGAIN_MS;
      } catch (error) {
        if (this.leaving.signal.aborted) return;
        // What was refused would be again; a server that does not answer may come back, and the cursor is good there too.
        if (error instanceof Refusal && !error.isPassing) throw error;
        complain(`${(error as Error).message.replace('; is Portico up?', '')}; asking again in ${waitMs / 1_000} s`);
        await setTimeout(waitMs, undefined, { signal: this.leaving.signal }).catch(() => {});
        waitMs = Math.min(2 * waitMs, AGAIN_MS_MAX);
        continue;
      }
      for (const line of linesOf(text)) {
        const message = shownOf(line);
        if ('gap' in message) on.gap(message.gap);
        else if (message.cursor === null || !seen.delete(message.cursor)) on.message(message);
      }
    }
  }

  close(): void {
    this.leaving.abort();
    this.http.close();
    this.end.resolve();
  }

  private async ask(path: string, options: FetchOptions = {}): Promise<Response> {
    const headers = { ...this.headers, ...(options.headers as Record<string, string>) };
    const { signal } = this.leaving;
    try {
      return await this.http.fetch(`${this.base}${path}`, { ...options, headers, signal });
    } catch (error) {
      if (signal.aborted) throw error;
      throw new Error(`${this.where} does not answer: ${(error as Error).message}; is Portico up?`);
    }
  }
}

function cursorOf({ headers }: Response): number | null {
  const cursor = headers.get('cursor');
  return cursor === null ? null : Number(cursor);
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}
