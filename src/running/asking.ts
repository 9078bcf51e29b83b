// HTTP requests of the server's own, whole answers as promises, over the client's half of HTTP/1.1 and a way out with its
// rules. For what is asked rarely and answered shortly.
import { Fields } from '../core/fields.ts';
import { bindLimits } from '../core/limits.ts';
import { ENDED } from '../core/pipe.ts';
import type { Reach } from '../core/reach.ts';
import type { Clock } from '../core/time.ts';
import type { TlsPolicy } from '../core/tls.ts';
import { clientLimits } from '../protocols/http1/client-limits.ts';
import { HttpPool, type Origin } from '../protocols/http1/pool.ts';

export interface Question {
  /** Where the connection goes; the URL's host and port when absent. */
  readonly at?: { readonly host: string; readonly port: number };
  readonly method?: string;
  readonly fields?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array;
  /** An answer whose body is longer is refused. */
  readonly bytesMax: number;
  readonly withinMs: number;
  /** Aborted, nobody waits for the answer any more. */
  readonly signal?: AbortSignal;
  /** PEM of the authorities for https; the platform's when absent. */
  readonly authorities?: string;
}

export interface Told {
  readonly status: number;
  readonly fields: Fields;
  readonly body: Buffer;
}

/** There was no answer; the message says why. */
export class UnansweredError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'UnansweredError';
  }
}

export class Asker {
  private readonly pool: HttpPool;
  /** The pool tells origins apart by their policies. */
  private readonly policies = new Map<string, TlsPolicy>();

  constructor(reach: Reach, turn: { readonly clock: Clock }) {
    const dial: Reach['dial'] = (...given) => reach.dial(...given);
    this.pool = new HttpPool(dial, turn, bindLimits(clientLimits));
  }

  /** Rejects with an `UnansweredError`. Redirects are not followed. */
  ask(address: string, question: Question): Promise<Told> {
    const url = new URL(address);
    const { at, method = 'GET', fields = {}, body, bytesMax, withinMs, signal } = question;
    const isSecure = url.protocol === 'https:';
    const host = url.hostname.replace(/^\[|\]$/g, '');
    const origin: Origin = {
      host: at?.host ?? host,
      port: at?.port ?? Number(url.port || (isSecure ? 443 : 80)),
      tls: isSecure ? this.policyOf(host, question.authorities) : null,
    };
    const request = {
      method,
      target: `${url.pathname}${url.search}`,
      authority: url.host,
      fields: Fields.of({ 'user-agent': 'Portico', accept: '*/*', ...fields }),
      silenceMs: withinMs,
      ...(body === undefined ? {} : { body }),
    };
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => give(`${url.host} did not answer within ${withinMs / 1_000} s`), withinMs);
      timer.unref();
      let why = '';
      const give = (text: string) => {
        why ||= text;
        asked?.cancel();
        reject(new UnansweredError(why));
      };
      const leave = () => give('nobody waits for it');
      if (signal?.aborted === true) {
        clearTimeout(timer);
        reject(new UnansweredError('nobody waits for it'));
        return;
      }
      signal?.addEventListener('abort', leave, { once: true });
      const parts: Buffer[] = [];
      let told: { status: number; fields: Fields } | null = null;
      let length = 0;
      const asked = this.pool.request(origin, request, {
        answered: (status, _reason, answerFields) => {
          told = { status, fields: answerFields };
          return {
            receive(input, start, end) {
              length += end - start;
              if (length > bytesMax) give(`${url.host} answered with more than ${bytesMax} bytes`);
              else parts.push(Buffer.from(input.subarray(start, end)));
              return end;
            },
            trailers() {},
            finish() {},
            lost() {},
          };
        },
        over: (cause, fault, text) => {
          clearTimeout(timer);
          signal?.removeEventListener('abort', leave);
          if (told !== null && cause === ENDED && fault === null && why === '')
            resolve({ ...told, body: Buffer.concat(parts) });
          else reject(new UnansweredError(why || `${url.host}: ${fault?.text ?? text}`));
        },
      });
    });
  }

  close(): void {
    this.pool.close();
  }

  private policyOf(serverName: string, authorities?: string): TlsPolicy {
    const key = `${serverName}\0${authorities ?? ''}`;
    const known = this.policies.get(key);
    if (known !== undefined) return known;
    const plain: TlsPolicy = { role: 'client', serverName, alpn: ['http/1.1'] };
    const policy = authorities === undefined ? plain : { ...plain, authorities };
    if (this.policies.size >= 64) this.policies.clear();
    this.policies.set(key, policy);
    return policy;
  }
}
