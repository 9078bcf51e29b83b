// One request that calls a method, and its answer: one value as JSON; a stream as lines of JSON or as events, for as long as
// it goes on; many inputs as lines of JSON.
import type { BodyReader, Exchange, ExchangeEvents } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import { type Cause, ENDED, REVOKED, type Why } from '../../core/pipe.ts';
import type { Violation } from '../../formats/schema/types.ts';
import type { Call, CallReceiver, Metadata, Services } from '../../resources/services/contract.ts';
import { invalidStatus, type Status } from '../../resources/services/status.ts';
import { answerBytes } from '../http/answers.ts';
import { decodeBody } from '../http/coding.ts';
import { collectBody } from '../http/collect.ts';
import { metadataOf, writeMetadata } from '../http/metadata.ts';
import { chooseType, parseMediaType } from '../http/negotiate.ts';
import type { Binding } from './bindings.ts';
import { faults } from './faults.ts';
import { InputLines } from './input-lines.ts';
import type { OpenapiHost } from './server.ts';
import { answerStatus, refuse, statusObject } from './server-answers.ts';

const JSON_FIELDS = Fields.of({ 'content-type': 'application/json' }).fix();
export const NDJSON = 'application/x-ndjson';
export const EVENTS = 'text/event-stream';

/** What a body may say that it is: `curl -d` calls any body a form, and a body that says nothing is taken as well. */
const JSON_TYPES = new Set(['', 'application/json', 'application/x-www-form-urlencoded', 'text/plain']);
const LINES_TYPES = new Set([...JSON_TYPES, NDJSON, 'application/jsonl', 'application/json-seq']);

const CANCEL = 8;

/** A request of how many inputs and outputs, with the body's form decided. */
export function beginCall(
  host: OpenapiHost,
  exchange: Exchange,
  binding: Binding,
  captured: readonly string[],
  query: string,
): void {
  const { kind } = binding.method;
  const type = parseMediaType(exchange.fields.get('content-type') ?? '')?.type ?? '';
  const lines = kind === 'client' || kind === 'both';
  if (!(lines ? LINES_TYPES : JSON_TYPES).has(type) && !type.endsWith('+json')) {
    refuse(exchange, faults.mediaType);
    return;
  }
  let stream: string | null = null;
  if (kind === 'server' || kind === 'both') {
    // Without a wish, lines: `*/*` is what programs send.
    stream = chooseType(exchange.fields, [NDJSON, EVENTS, 'application/json']);
    if (stream === null) {
      refuse(exchange, faults.notAcceptable);
      return;
    }
  }
  const call = new RestCall(host, exchange, binding, stream);
  exchange.on = call;
  if (lines) call.takeLines();
  else if (binding.verb === 'GET' || binding.body === '') call.take(undefined, captured, query);
  else
    collectBody(exchange, host.limits.bodyBytesMax, (body) => {
      let json: unknown;
      try {
        json = body.length === 0 ? undefined : JSON.parse(body.toString());
      } catch (error) {
        call.refuse(faults.notJson, (error as Error).message);
        return;
      }
      call.take(json, captured, query);
    });
}

class RestCall implements ExchangeEvents, CallReceiver {
  private readonly services: Services;
  private readonly host: OpenapiHost;
  private readonly exchange: Exchange;
  private readonly binding: Binding;
  /** How a stream is answered; null for one value. */
  private readonly stream: string | null;
  private call: Call | null = null;
  private lines: InputLines | null = null;
  private headerData: Metadata = [];
  private value: unknown;
  private begun = false;
  private over = false;

  constructor(host: OpenapiHost, exchange: Exchange, binding: Binding, stream: string | null) {
    this.host = host;
    this.services = host.resources.services!;
    this.exchange = exchange;
    this.binding = binding;
    this.stream = stream;
  }

  // ---- inputs ------------------------------------------------------------------------------------------------------

  take(json: unknown, captured: readonly string[], query: string): void {
    if (this.over) return;
    const violations: Violation[] = [];
    const value = this.binding.input(captured, query, json, violations);
    if (violations.length > 0) {
      this.end(invalidStatus(violations), []);
      return;
    }
    const call = this.begin();
    call.send(value);
    call.finish();
  }

  takeLines(): void {
    const { exchange, host } = this;
    const call = this.begin();
    const lines = new InputLines(host.limits.lineBytesMax, {
      room: () => call.room,
      hold: () => exchange.pause(),
      line: (json) => {
        const violations: Violation[] = [];
        const value = this.binding.input([], '', json, violations);
        if (violations.length === 0) call.send(value);
        else this.stop(invalidStatus(violations));
      },
      end: () => call.finish(),
      wrong: (fault, detail) => this.refuse(fault, detail),
      lost: () => this.cancel(),
    });
    this.lines = lines;
    const reader: BodyReader = lines;
    decodeBody(exchange, reader, Number.MAX_SAFE_INTEGER);
  }

  private begin(): Call {
    const { exchange, binding } = this;
    this.call = this.services.begin(
      binding.method,
      {
        caller: exchange.caller,
        connection: exchange.connection,
        metadata: metadataOf(exchange.fields),
        timeoutMs: timeoutOf(exchange.fields),
      },
      this,
    );
    return this.call;
  }

  /** Ends a call whose input is wrong, with what is told of that. */
  private stop(status: Status): void {
    const { call } = this;
    this.call = null;
    call?.cancel();
    this.end(status, []);
  }

  refuse(fault: (typeof faults)[keyof typeof faults], detail = ''): void {
    if (this.over) return;
    const { call } = this;
    this.call = null;
    call?.cancel();
    if (!this.begun) {
      this.over = true;
      refuse(this.exchange, fault, detail);
    } else this.end({ code: 'INVALID_ARGUMENT', message: detail === '' ? fault.text : detail, details: [] }, []);
  }

  // ---- outputs -----------------------------------------------------------------------------------------------------

  get room(): number {
    return this.stream === null || this.exchange.room > 0 ? 1 : 0;
  }

  headers(metadata: Metadata): void {
    this.headerData = metadata;
  }

  message(value: unknown): void {
    if (this.over) return;
    if (this.stream === null) {
      this.value = value;
      return;
    }
    this.open();
    const json = this.binding.output(value);
    const { out } = this.exchange;
    out.utf8(this.stream === EVENTS ? `data: ${json}\n\n` : `${json}\n`);
    this.exchange.flush();
  }

  private open(): void {
    if (this.begun) return;
    this.begun = true;
    const type = this.stream === EVENTS ? EVENTS : NDJSON;
    const fields = Fields.of({ 'content-type': type, 'cache-control': 'no-store' });
    this.exchange.respond(200, writeMetadata(fields, this.headerData));
  }

  end(status: Status, trailers: Metadata): void {
    this.call = null;
    if (this.over) return;
    const { exchange, stream } = this;
    if (status.code !== 'OK' && !this.begun) {
      this.over = true;
      answerStatus(exchange, status, this.binding.method.service.schema, this.headerData, trailers);
      return;
    }
    if (stream === null) {
      this.over = true;
      const body = Buffer.from(this.binding.output(this.value));
      answerBytes(exchange, 200, writeMetadata(writeMetadata(JSON_FIELDS, this.headerData), trailers), body);
      return;
    }
    this.open();
    this.over = true;
    const { out } = exchange;
    // EventSource comes again when a stream ends, unless it is told that this was all.
    if (status.code !== 'OK') {
      const error = JSON.stringify(statusObject(status, this.binding.method.service.schema));
      out.utf8(stream === EVENTS ? `event: error\ndata: ${error}\n\n` : `{"error":${error}}\n`);
    } else if (stream === EVENTS) out.utf8('event: end\ndata: {}\n\n');
    exchange.end(trailers.length === 0 ? undefined : writeMetadata(new Fields(), trailers));
    exchange.flush();
  }

  // ---- the exchange ------------------------------------------------------------------------------------------------

  writable(): void {
    if (this.call !== null && this.lines !== null && this.call.room > 0) this.exchange.resume();
    this.call?.more();
  }

  tick(): void {}

  leave(why: Why): void {
    // Streams that go on are ended by the services themselves when the server leaves.
    if (why !== REVOKED || this.over) return;
    this.cancel();
    this.exchange.reset(CANCEL);
  }

  lost(cause: Cause): void {
    if (cause !== ENDED || !this.over) this.cancel();
  }

  private cancel(): void {
    const { call } = this;
    this.over = true;
    this.call = null;
    call?.cancel();
  }
}

/** `Prefer: wait=5` (RFC 7240 §4.3): seconds that the sender waits. */
function timeoutOf(fields: Fields): number {
  const found = /(?:^|[,;\s])wait\s*=\s*"?(\d{1,7}(?:\.\d{1,3})?)"?/i.exec(fields.joined('prefer') ?? '');
  return found === null ? Number.POSITIVE_INFINITY : Number(found[1]) * 1_000;
}
