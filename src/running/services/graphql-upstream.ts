// The way to another server's GraphQL: requests over HTTP, subscriptions over SSE, by the client's half of HTTP/1.1 and a way
// out with its rules.
import { KeptBytes } from '../../bytes/kept.ts';
import { Fields } from '../../core/fields.ts';
import { bindLimits } from '../../core/limits.ts';
import { ENDED } from '../../core/pipe.ts';
import type { Reach } from '../../core/reach.ts';
import { type Clock, NEVER } from '../../core/time.ts';
import type { TlsPolicy } from '../../core/tls.ts';
import type { UpstreamCarrier } from '../../protocols/graphql/server-upstream.ts';
import type { AnswerEvents, SentRequest } from '../../protocols/http/client.ts';
import { clientLimits } from '../../protocols/http1/client-limits.ts';
import { HttpPool, type Origin, type PooledRequest } from '../../protocols/http1/pool.ts';
import { EventReader } from '../../protocols/sse/codec.ts';
import type { CallTerms } from '../../resources/services/handler.ts';
import { Forwarding } from './upstream-terms.ts';

export interface GraphqlUpstreamOptions {
  readonly url: string;
  /** That requests have beside their own: `authorization`. */
  readonly fields?: Readonly<Record<string, string>>;
  /** Names of metadata that go on with a call, beside those that always do. */
  readonly metadata?: readonly string[];
  /** PEM of the authorities for https; the platform's when absent. */
  readonly authorities?: string;
}

/** An answer that is longer is refused, as is an event. */
const ANSWER_BYTES_MAX = 16_777_216;
/** Events that wait for whoever asked; then the server is made to wait. */
const EVENTS_MAX = 64;
/** How long nothing may come of an answer. */
const SILENCE_MS = 60_000;

const JSON_TYPES = 'application/graphql-response+json, application/json;q=0.9';

type Body = ReturnType<AnswerEvents['answered']>;

export class GraphqlUpstream implements UpstreamCarrier {
  private readonly pool: HttpPool;
  private readonly origin: Origin;
  private readonly url: URL;
  private readonly fields: Readonly<Record<string, string>>;
  private readonly forwarding: Forwarding;

  constructor(dial: Reach['dial'], turn: { readonly clock: Clock }, options: GraphqlUpstreamOptions) {
    const { url, fields = {}, metadata = [], authorities } = options;
    this.url = new URL(url);
    this.fields = fields;
    this.forwarding = new Forwarding(metadata);
    this.pool = new HttpPool(dial, turn, bindLimits(clientLimits));
    const { protocol, hostname, port } = this.url;
    const host = hostname.replace(/^\[|\]$/g, '');
    const plain: TlsPolicy = { role: 'client', serverName: host, alpn: ['http/1.1'] };
    const policy = authorities === undefined ? plain : { ...plain, authorities };
    const isSecure = protocol === 'https:';
    this.origin = { host, port: Number(port || (isSecure ? 443 : 80)), tls: isSecure ? policy : null };
  }

  close(): void {
    this.pool.close();
  }

  private request(body: string, accept: string, silenceMs: number, call: CallTerms) {
    const { url } = this;
    const own = { 'user-agent': 'Portico', accept, 'content-type': 'application/json' };
    return {
      method: 'POST',
      target: `${url.pathname}${url.search}`,
      authority: url.host,
      fields: Fields.of({ ...own, ...this.forwarding.fieldsOf(call), ...this.fields }),
      silenceMs,
      body: Buffer.from(body),
    };
  }

  /** GraphQL has no deadlines: what comes too late is not waited for. */
  ask(body: string, call: CallTerms): Promise<{ readonly status: number; readonly text: string }> {
    const { signal } = call;
    return new Promise((resolve, reject) => {
      const parts: Buffer[] = [];
      let length = 0;
      let status = 0;
      const stop = () => asked.cancel();
      const asked: PooledRequest = this.pool.request(this.origin, this.request(body, JSON_TYPES, SILENCE_MS, call), {
        answered: (given) => {
          status = given;
          return gathering((input, start, end) => {
            length += end - start;
            if (length > ANSWER_BYTES_MAX) stop();
            else parts.push(Buffer.from(input.subarray(start, end)));
            return end;
          });
        },
        over: (cause, fault, why) => {
          signal.removeEventListener('abort', stop);
          if (cause === ENDED && fault === null && length <= ANSWER_BYTES_MAX && status !== 0)
            resolve({ status, text: Buffer.concat(parts).toString() });
          else reject(new Error(`${this.url.host}: ${fault?.text ?? why}`));
        },
      });
      if (signal.aborted) stop();
      else signal.addEventListener('abort', stop, { once: true });
    });
  }

  async *subscribe(body: string, call: CallTerms): AsyncGenerator<string> {
    const { signal } = call;
    const events = new Events();
    const asked: PooledRequest = this.pool.request(this.origin, this.request(body, 'text/event-stream', NEVER, call), {
      started: (exchange) => {
        events.exchange = exchange;
      },
      answered: (status) => {
        if (status === 200) return events;
        events.fail(`${this.url.host} answered ${status}`);
        return gathering((_input, _start, end) => end);
      },
      over: (_cause, fault, why) => events.over(fault?.text ?? why),
    });
    const stop = () => {
      asked.cancel();
      events.over('cancelled');
    };
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    try {
      for (;;) {
        const text = await events.next();
        if (text === null) return;
        yield text;
      }
    } finally {
      signal.removeEventListener('abort', stop);
      asked.cancel();
    }
  }
}

function gathering(receive: (input: Uint8Array, start: number, end: number) => number): Body {
  return { receive, trailers() {}, finish() {}, lost() {} };
}

/** The events of a stream, until the one that says that it is complete. */
class Events {
  exchange: SentRequest | null = null;
  private readonly reader = new EventReader(ANSWER_BYTES_MAX);
  private readonly waiting: string[] = [];
  private readonly kept = new KeptBytes();
  private complete = false;
  private why = '';
  private wake: (() => void) | null = null;

  receive(input: Uint8Array, start: number, end: number): number {
    const { kept, reader } = this;
    kept.append(input, start, end);
    while (!this.complete && kept.length > 0) {
      const next = reader.read(kept.bytes, kept.start, kept.end);
      if (next < 0) {
        if (reader.fault !== null) this.fail(reader.fault.text);
        break;
      }
      kept.consume(next);
      if (reader.isEvent) this.take(reader.type, reader.data);
    }
    if (this.waiting.length >= EVENTS_MAX) this.exchange?.pause();
    this.wake?.();
    return end;
  }

  private take(type: string, data: string): void {
    if (type === 'next') this.waiting.push(data);
    else if (type === 'complete') this.complete = true;
  }

  trailers(): void {}
  finish(): void {}
  lost(): void {}

  fail(why: string): void {
    this.why ||= why;
    this.exchange?.cancel();
    this.wake?.();
  }

  /** The stream is at its end, which it said before if all is well. */
  over(why: string): void {
    if (!this.complete) this.fail(why === '' ? 'the stream ended without a word' : why);
  }

  /** The next answer; null after the last. */
  async next(): Promise<string | null> {
    for (;;) {
      const text = this.waiting.shift();
      if (text !== undefined) {
        if (this.waiting.length < EVENTS_MAX / 2) this.exchange?.resume();
        return text;
      }
      if (this.complete) return null;
      if (this.why !== '') throw new Error(this.why);
      await new Promise<void>((resolve) => {
        this.wake = resolve;
      });
      this.wake = null;
    }
  }
}
