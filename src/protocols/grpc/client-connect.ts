// Calls in Connect: unary ones as plain requests of HTTP, streams in envelopes of which the last says how it ended.

import { KeptBytes } from '../../bytes/kept.ts';
import { ByteWriter } from '../../bytes/writer.ts';
import type { BodyReader } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import type { Metadata } from '../../resources/services/contract.ts';
import type { Status } from '../../resources/services/status.ts';
import type { ClientRequest } from '../http/client.ts';
import { encoded } from './client.ts';
import { ClientCall } from './client-call.ts';
import { CONNECT_END, metadataOf } from './codec.ts';
import { CODINGS, codingOf, compress } from './coding.ts';
import { faults } from './faults.ts';
import { codeOfHttp, statusOfConnect } from './server-ending.ts';

const COMPRESS_LEAST = 1_024;
/** The longest target that a GET is made with. */
const TARGET_MAX = 4_096;

const OK: Status = { code: 'OK', message: '', details: [] };

abstract class ConnectCall extends ClientCall {
  protected common(fields: Fields): void {
    fields.append('connect-protocol-version', '1').append('user-agent', 'connect-portico');
    // At most ten digits (Connect Protocol §Unary Request).
    const { timeoutMs } = this.given;
    if (timeoutMs < 10_000_000_000) fields.append('connect-timeout-ms', String(Math.ceil(timeoutMs)));
  }

  /** JSON that came, or undefined. */
  protected json(bytes: Uint8Array, start: number, end: number): unknown {
    try {
      return JSON.parse(Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString('utf8'));
    } catch {
      return undefined;
    }
  }
}

export class ConnectStream extends ConnectCall {
  private sawEnd = false;

  protected head(fields: Fields): void {
    const { form, coding } = this.client.options;
    fields.append('content-type', `application/connect+${form}`).append('connect-accept-encoding', CODINGS);
    if (coding !== null) fields.append('connect-content-encoding', coding);
    this.common(fields);
  }

  answered(status: number, _reason: string, fields: Fields): BodyReader | null {
    if (status !== 200 || fields.get('content-type')?.startsWith('application/connect+') !== true) {
      this.stop({ code: codeOfHttp(status), message: `the server answers with status ${status}`, details: [] }, []);
      return null;
    }
    const encoding = fields.get('connect-content-encoding') ?? 'identity';
    this.inCoding = codingOf(encoding);
    if (this.inCoding === null && encoding !== 'identity') {
      this.fail(faults.coding);
      return null;
    }
    if (!this.isDone) this.receiver.headers(metadataOf(fields));
    return this.body;
  }

  protected told(): void {}

  protected override other(flags: number, bytes: Uint8Array, start: number, end: number): boolean {
    if (flags !== CONNECT_END || this.sawEnd) return false;
    this.sawEnd = true;
    const said = this.json(bytes, start, end) as { error?: unknown; metadata?: unknown } | undefined;
    if (typeof said !== 'object' || said === null) return false;
    const trailers = pairs(said.metadata);
    if (said.error === undefined) this.end(OK, trailers);
    else this.end(statusOfConnect(said.error, this.route.method.service.schema), trailers);
    return true;
  }

  protected ended(): void {
    this.stop({ code: 'INTERNAL', message: 'the stream ends without its end', details: [] }, []);
  }
}

/** `{"name": ["value"]}` as names and values. */
function pairs(metadata: unknown): Metadata {
  const found: string[] = [];
  if (typeof metadata !== 'object' || metadata === null) return found;
  for (const [name, values] of Object.entries(metadata))
    if (Array.isArray(values)) for (const value of values) found.push(name.toLowerCase(), String(value));
  return found;
}

export class ConnectUnary extends ConnectCall {
  private status = 0;
  private fields = new Fields();
  private readonly kept = new KeptBytes();

  protected head(fields: Fields): void {
    const { form, coding } = this.client.options;
    fields.append('content-type', `application/${form}`).append('accept-encoding', CODINGS);
    if (coding !== null && this.input.length >= COMPRESS_LEAST) fields.append('content-encoding', coding);
    this.common(fields);
  }

  protected override framed(value: unknown): Buffer {
    return encoded(this.route.input, value, 0);
  }

  protected override ask(_body: Pick<ClientRequest, 'length' | 'body'>): void {
    const { input } = this;
    const { coding, get } = this.client.options;
    const request = this.request();
    if (get && this.route.method.idempotency === 'safe') {
      const target = this.queried(input);
      if (target.length <= TARGET_MAX) {
        request.fields.delete('content-type');
        request.fields.delete('content-encoding');
        super.ask({ body: null }, { ...request, method: 'GET', target });
        return;
      }
    }
    if (coding === null || input.length < COMPRESS_LEAST) {
      super.ask({ body: input }, request);
      return;
    }
    const out = new ByteWriter(input.length + 65_536);
    compress(coding, input, 0, input.length, out);
    super.ask({ body: out.take().bytes }, request);
  }

  /** The message in the query (Connect Protocol §Unary-Get-Request). */
  private queried(input: Buffer): string {
    const { form } = this.client.options;
    const message =
      form === 'json'
        ? `message=${encodeURIComponent(input.toString('utf8'))}`
        : `base64=1&message=${input.toString('base64url')}`;
    return `${this.route.path}?connect=v1&encoding=${form}&${message}`;
  }

  answered(status: number, _reason: string, fields: Fields): BodyReader | null {
    this.status = status;
    this.fields = fields;
    const encoding = fields.get('content-encoding') ?? 'identity';
    this.inCoding = codingOf(encoding);
    if (this.inCoding === null && encoding !== 'identity') {
      this.fail(faults.coding);
      return null;
    }
    if (status === 200 && !this.isDone) {
      const all = metadataOf(fields);
      this.receiver.headers(all.filter((_, at) => !all[at & ~1]!.startsWith('trailer-')));
    }
    return this.body;
  }

  protected told(): void {}

  protected override receive(input: Uint8Array, start: number, end: number): number {
    if (this.isDone) return end;
    if (this.kept.length + end - start > this.client.options.messageBytesMax) {
      this.kept.clear();
      this.fail(faults.answerTooLong);
    } else this.kept.append(input, start, end);
    return end;
  }

  protected ended(): void {
    const { kept } = this;
    const { bytes, start, end } = kept;
    if (this.inCoding === null || kept.length === 0) this.answer(bytes, start, end);
    else this.expanded(this.inCoding, bytes, start, end, (out) => this.answer(out.bytes, 0, out.length));
    kept.clear();
  }

  private answer(bytes: Uint8Array, start: number, end: number): void {
    const trailers = metadataOf(this.fields, 'trailer-');
    if (this.status === 200) {
      this.output(bytes, start, end);
      this.end(OK, trailers);
      return;
    }
    const otherwise = codeOfHttp(this.status);
    const status = statusOfConnect(this.json(bytes, start, end), this.route.method.service.schema, otherwise);
    this.end(
      status.message === '' ? { ...status, message: `the server answers with status ${this.status}` } : status,
      trailers,
    );
  }
}
