// Calls over REST (docs/rest-services.md): a request each.
import type { Call, CallReceiver, Metadata } from '../resources/services/contract.ts';
import type { CodeName, Detail, Status } from '../resources/services/status.ts';
import {
  type CarrierOptions,
  codeNamed,
  failure,
  type JsonCarrier,
  Outputs,
  type Terms,
  takesMany,
} from './call-carrier.ts';
import { HttpClient } from './http.ts';

/** Inputs that wait to be sent. */
const INPUTS_MAX = 16;
/** Outputs that wait to be taken. */
const OUTPUTS_MAX = 64;
/** How long the server's word on a deadline is waited for beyond it. */
const GRACE_MS = 2_000;

/** @param url `http://host[:port]`, or `https:`; services are below `/services/` there */
export function httpCarrier(url: string, options: CarrierOptions = {}): JsonCarrier {
  const at = new URL(url);
  const { user = decodeURIComponent(at.username), password = decodeURIComponent(at.password), token } = options;
  at.username = '';
  at.password = '';
  at.search = '';
  at.hash = '';
  const headers: Record<string, string> = {};
  if (token !== undefined) headers.authorization = `Bearer ${token}`;
  else if (user !== '' || password !== '')
    headers.authorization = `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`;
  const client = new HttpClient(options.tls === undefined ? {} : { tls: options.tls });
  const base = at.pathname.replace(/\/(?:services\/?)?$/, '');
  return {
    begin: (service, method, terms, receiver) => {
      const target = new URL(`${base}/services/${service}/${method}`, at);
      return new HttpCall(client, target, headers, terms, receiver);
    },
    close: async () => client.close(),
  };
}

/** An answer's own fields, which are no metadata. */
const OWN =
  /^(?:date|server|content-.*|cache-control|vary|connection|keep-alive|transfer-encoding|trailer|allow|retry-after|alt-svc|strict-transport-security|x-content-type-options)$/;

class HttpCall implements Call {
  private readonly client: HttpClient;
  private readonly url: URL;
  private readonly terms: Terms;
  private readonly receiver: CallReceiver;
  private readonly outputs: Outputs;
  private readonly headers: Record<string, string>;
  private readonly abort = new AbortController();
  private readonly inputs: string[] = [];
  private finished = false;
  private started = false;
  private onInput: (() => void) | null = null;
  private onRoom: (() => void) | null = null;
  private timer: NodeJS.Timeout | null = null;

  constructor(
    client: HttpClient,
    url: URL,
    headers: Readonly<Record<string, string>>,
    terms: Terms,
    receiver: CallReceiver,
  ) {
    this.client = client;
    this.url = url;
    this.terms = terms;
    this.receiver = receiver;
    this.outputs = new Outputs(receiver);
    const lines = takesMany(terms.kind);
    this.headers = {
      'content-type': lines ? 'application/x-ndjson' : 'application/json',
      accept: 'application/json, application/x-ndjson',
      ...headers,
    };
    for (let at = 0; at + 1 < terms.metadata.length; at += 2) {
      const name = terms.metadata[at]!;
      const value = terms.metadata[at + 1]!;
      this.headers[name] = name in this.headers ? `${this.headers[name]}, ${value}` : value;
    }
    const { timeoutMs } = terms;
    if (!Number.isFinite(timeoutMs)) return;
    this.headers.prefer = `wait=${Math.max(0, timeoutMs / 1_000)}`;
    this.timer = setTimeout(() => this.end(failure('DEADLINE_EXCEEDED', 'it took too long')), timeoutMs + GRACE_MS);
  }

  send(value: unknown): void {
    if (this.outputs.isOver) return;
    this.inputs.push(JSON.stringify(value));
    this.onInput?.();
    if (takesMany(this.terms.kind)) this.start();
  }

  finish(): void {
    this.finished = true;
    this.onInput?.();
    this.start();
  }

  get room(): number {
    return Math.max(0, INPUTS_MAX - this.inputs.length);
  }

  more(): void {
    this.outputs.give();
    if (this.outputs.length <= OUTPUTS_MAX >> 1) this.goOn();
  }

  cancel(): void {
    this.outputs.drop();
    this.over();
  }

  private start(): void {
    if (this.started || this.outputs.isOver) return;
    this.started = true;
    this.run().catch((error: unknown) => this.end(failure('UNAVAILABLE', (error as Error).message)));
  }

  private async run(): Promise<void> {
    const response = await this.client.fetch(this.url, {
      method: 'POST',
      headers: this.headers,
      body: takesMany(this.terms.kind) ? this.lines() : this.inputs.join('\n'),
      signal: this.abort.signal,
      silenceMs: Number.POSITIVE_INFINITY,
    });
    const type = response.headers.get('content-type') ?? '';
    const metadata = metadataFrom(response.headers);
    if (metadata.length > 0 && !this.outputs.isOver) this.receiver.headers(metadata);
    if (type.startsWith('application/x-ndjson')) await this.readLines(response);
    else {
      const json = parsed(await response.text());
      if (!response.ok) this.end(problemStatus(response.status, json));
      else if (json === undefined) this.end(failure('INTERNAL', `${this.url.host} answered with what is not JSON`));
      else {
        this.outputs.put(json);
        this.end({ code: 'OK', message: '', details: [] });
      }
    }
  }

  private async *lines(): AsyncGenerator<Uint8Array> {
    for (;;) {
      while (this.inputs.length > 0) {
        const wasFull = this.room === 0;
        yield Buffer.from(`${this.inputs.shift()!}\n`);
        if (wasFull && !this.outputs.isOver) this.receiver.writable();
      }
      if (this.finished || this.outputs.isOver) return;
      await new Promise<void>((resolve) => {
        this.onInput = resolve;
      });
    }
  }

  private async readLines(response: Response): Promise<void> {
    const decoder = new TextDecoder();
    let rest = '';
    for await (const piece of response.body ?? []) {
      const lines = `${rest}${decoder.decode(piece as Uint8Array, { stream: true })}`.split('\n');
      rest = lines.pop()!;
      for (const line of lines) if (line !== '') this.line(line);
      if (this.outputs.isOver) return;
      if (this.outputs.length > OUTPUTS_MAX)
        await new Promise<void>((resolve) => {
          this.onRoom = resolve;
        });
    }
    this.end({ code: 'OK', message: '', details: [] });
  }

  private line(line: string): void {
    const json = parsed(line);
    const error = errorIn(json);
    if (error !== null) this.end(problemStatus(0, error));
    else if (json === undefined) this.end(failure('INTERNAL', `${this.url.host} answered with what is not JSON`));
    else this.outputs.put(json);
  }

  private end(status: Status): void {
    this.over();
    this.outputs.end(status);
  }

  private over(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.onInput?.();
    this.goOn();
    // What is still under way ends; an answer that is whole has nothing to lose.
    this.abort.abort();
  }

  private goOn(): void {
    this.onRoom?.();
    this.onRoom = null;
  }
}

export function metadataFrom(headers: Headers): Metadata {
  return [...headers].filter(([name]) => !OWN.test(name)).flat();
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The last line of a stream that did not end well is `{"error":{"code":…}}`, and nothing beside it. */
function errorIn(json: unknown): object | null {
  if (typeof json !== 'object' || json === null || Object.keys(json).length !== 1) return null;
  const { error } = json as { error?: unknown };
  const isError =
    typeof error === 'object' && error !== null && codeNamed((error as { code?: unknown }).code, 'OK') !== 'OK';
  return isError ? (error as object) : null;
}

/** Answers that are no problems of services: of a proxy, of another server. */
const CODES_BY_STATUS: Readonly<Record<number, CodeName>> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'UNIMPLEMENTED',
  405: 'UNIMPLEMENTED',
  429: 'RESOURCE_EXHAUSTED',
  502: 'UNAVAILABLE',
  503: 'UNAVAILABLE',
  504: 'DEADLINE_EXCEEDED',
};

const TYPE_PREFIX = 'type.googleapis.com/';

/** A problem (RFC 9457) as the status that it tells. */
function problemStatus(wire: number, json: unknown): Status {
  const problem = (typeof json === 'object' && json !== null ? json : {}) as Record<string, unknown>;
  const { code, message, detail, title, violations, details } = problem;
  const others = (Array.isArray(details) ? details : []).flatMap((each: Record<string, unknown> | null): Detail[] => {
    const { '@type': type, ...value } = each ?? {};
    return typeof type === 'string' ? [{ type: type.replace(TYPE_PREFIX, ''), value }] : [];
  });
  const first: Detail[] = Array.isArray(violations)
    ? [{ type: 'google.rpc.BadRequest', value: { fieldViolations: violations } }]
    : [];
  const text = [message, detail, title].find((each) => typeof each === 'string');
  return {
    code: codeNamed(code, CODES_BY_STATUS[wire] ?? 'UNKNOWN'),
    message: typeof text === 'string' ? text : `the server answered ${wire}`,
    details: [...first, ...others],
  };
}
