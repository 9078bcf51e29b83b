// Calls over SOAP with values as JSON: what a server has is learnt from its WSDL, or known beforehand.
import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { jsonRead, jsonWrite } from '../formats/schema/json.ts';
import type { Schema, Violation } from '../formats/schema/types.ts';
import { type ClientOperation, type SoapSender, soapAnswer, soapRequest } from '../protocols/soap/client.ts';
import { operationsOf } from '../protocols/soap/client-service.ts';
import { loadWsdl, WsdlError } from '../protocols/soap/wsdl-documents.ts';
import { importWsdl } from '../protocols/soap/wsdl-import.ts';
import type { Call, CallReceiver, Service } from '../resources/services/contract.ts';
import { type Detail, invalidStatus, type Status } from '../resources/services/status.ts';
import { type CarrierOptions, failure, type JsonCarrier, type Terms } from './call-carrier.ts';
import { metadataFrom } from './call-http.ts';
import { HttpClient } from './http.ts';

export interface SoapCarrierOptions extends CarrierOptions {
  /** The user and password stand in each message (WS-Security), as they are or as a digest, and not in a field of HTTP. */
  readonly usernameToken?: 'text' | 'digest';
}

const SCHEME = /^soap(s?):/i;
/** A URL of a description, or of where a service is called, as it is. */
const WHOLE = /^soaps?:(?=(?:https?|file):)/i;
const ANSWER_BYTES_MAX = 67_108_864;

export function isSoap(url: string): boolean {
  return SCHEME.test(url);
}

/** The operations of a service. */
type Operations = ReadonlyMap<string, ClientOperation>;

/**
 * @param url `soap://host[:port]`, or with TLS `soaps:`, a server of this kind; or the URL of a WSDL behind `soap:`
 * @param known a service that need not be asked for
 */
export function soapCarrier(url: string, options: SoapCarrierOptions = {}, known: Service | null = null): JsonCarrier {
  const isWhole = WHOLE.test(url);
  const at = new URL(isWhole ? url.replace(WHOLE, '') : url.replace(SCHEME, 'http$1:'));
  const sender = senderOf(at, options);
  at.username = '';
  at.password = '';
  at.hash = '';
  const client = new HttpClient(options.tls === undefined ? {} : { tls: options.tls });
  const base = at.pathname.replace(/\/(?:soap\/?)?$/, '');
  const placeOf = (service: string) => (isWhole ? at : new URL(`${base}/soap/${service}`, at));
  const described = new Map<string, Promise<Operations>>();
  const describe = (service: string): Promise<Operations> => {
    let found = described.get(service);
    if (found === undefined) {
      const place = placeOf(service);
      found =
        known === null
          ? asked(client, service, isWhole ? place.href : `${place.href}?wsdl`, sender)
          : Promise.resolve(operationsOf(known, place.href.replace(/\?.*$/, ''), 11));
      described.set(service, found);
      // Who asks again is not told of what was.
      found.catch(() => described.delete(service));
    }
    return found;
  };
  return {
    begin: (service, method, terms, receiver) =>
      new SoapCall({ client, sender, operation: operationIn(describe(service), service, method) }, terms, receiver),
    close: async () => client.close(),
  };
}

function senderOf(at: URL, options: SoapCarrierOptions): SoapSender {
  const { user = decodeURIComponent(at.username), password = decodeURIComponent(at.password), token } = options;
  if (token !== undefined) return { way: 'bearer', token };
  if (user === '' && password === '') return null;
  return { way: options.usernameToken ?? 'basic', user, password };
}

class CallError extends Error {
  readonly status: Status;

  constructor(status: Status) {
    super(status.message);
    this.status = status;
  }
}

async function operationIn(operations: Promise<Operations>, service: string, name: string): Promise<ClientOperation> {
  const found = (await operations).get(name);
  if (found !== undefined) return found;
  throw new CallError(failure('UNIMPLEMENTED', `SOAP has no ${service}.${name}: it carries no streams`));
}

/** What a server's WSDL says. */
async function asked(client: HttpClient, name: string, url: string, sender: SoapSender): Promise<Operations> {
  const headers = sender?.way === 'basic' || sender?.way === 'bearer' ? authorization(sender) : {};
  const origin = new URL(url).origin;
  try {
    const documents = await loadWsdl(url, async (each) => {
      if (each.startsWith('file:')) return { bytes: await readFile(new URL(each)), charset: '' };
      // Only who was asked learns who asks.
      const response = await client.fetch(each, new URL(each).origin === origin ? { headers } : {});
      const bytes = await bytesOf(response);
      if (response.ok) return { bytes, charset: '' };
      if (response.status === 401) throw new CallError(failure('UNAUTHENTICATED', `${each} asks who you are`));
      throw new CallError(failure('UNIMPLEMENTED', `${each} answers with status ${response.status}`));
    });
    return importWsdl(documents, { name, port: '', safe: [] }).operations;
  } catch (error) {
    if (error instanceof WsdlError) throw new CallError(failure('UNIMPLEMENTED', error.message));
    throw error;
  }
}

function authorization(sender: Exclude<SoapSender, null>): Record<string, string> {
  if (sender.way === 'bearer') return { authorization: `Bearer ${sender.token}` };
  return { authorization: `Basic ${Buffer.from(`${sender.user}:${sender.password}`).toString('base64')}` };
}

async function bytesOf(response: Response): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  let length = 0;
  for await (const part of response.body ?? []) {
    length += (part as Uint8Array).length;
    if (length > ANSWER_BYTES_MAX) throw new Error(`the answer has more than ${ANSWER_BYTES_MAX} bytes`);
    parts.push(part as Uint8Array);
  }
  return Buffer.concat(parts);
}

interface Called {
  readonly client: HttpClient;
  readonly sender: SoapSender;
  readonly operation: Promise<ClientOperation>;
}

class SoapCall implements Call {
  readonly room = 1;
  private readonly called: Called;
  private readonly terms: Terms;
  private readonly receiver: CallReceiver;
  private readonly abort = new AbortController();
  private json: unknown = {};
  private isOver = false;
  private timer: NodeJS.Timeout | null = null;

  constructor(called: Called, terms: Terms, receiver: CallReceiver) {
    this.called = called;
    this.terms = terms;
    this.receiver = receiver;
    const { timeoutMs } = terms;
    if (Number.isFinite(timeoutMs))
      this.timer = setTimeout(() => this.end(failure('DEADLINE_EXCEEDED', 'it took too long')), timeoutMs);
    // Told to `finish`, which may come later.
    called.operation.catch(() => {});
  }

  send(json: unknown): void {
    this.json = json;
  }

  finish(): void {
    this.run().catch((error: unknown) =>
      this.end(error instanceof CallError ? error.status : failure('UNAVAILABLE', (error as Error).message)),
    );
  }

  more(): void {}

  cancel(): void {
    this.over();
  }

  private async run(): Promise<void> {
    const { client, sender } = this.called;
    const operation = await this.called.operation;
    const { method, location } = operation;
    const { schema } = method.service;
    const violations: Violation[] = [];
    const value = jsonRead(schema, method.input)(this.json, violations);
    if (violations.length > 0) return this.end(invalidStatus(violations));
    const terms = { sender, header: '', metadata: this.terms.metadata, now: Date.now(), random: randomBytes };
    const request = soapRequest(operation, value, terms);
    if ('code' in request) return this.end(request);
    if (this.isOver) return;
    const response = await client.fetch(location, {
      ...{ method: 'POST', headers: request.fields, body: request.body },
      ...{ signal: this.abort.signal, silenceMs: Number.POSITIVE_INFINITY },
    });
    const body = await bytesOf(response);
    const answer = soapAnswer(operation, response.status, response.headers.get('content-type') ?? '', body);
    if (this.isOver) return;
    const metadata = metadataFrom(response.headers);
    if (metadata.length > 0) this.receiver.headers(metadata);
    if (answer.status !== null) {
      const { status } = answer;
      return this.end({ ...status, details: status.details.map((detail) => asJson(schema, detail)) });
    }
    this.receiver.message(JSON.parse(jsonWrite(schema, method.output)(answer.value)));
    this.end({ code: 'OK', message: '', details: [] });
  }

  private end(status: Status): void {
    if (this.isOver) return;
    this.over();
    this.receiver.end(status, []);
  }

  private over(): void {
    this.isOver = true;
    if (this.timer !== null) clearTimeout(this.timer);
    this.abort.abort();
  }
}

function asJson(schema: Schema, { type, value }: Detail): Detail {
  const found = schema.types.get(type);
  if (found?.kind !== 'message') return { type, value };
  return { type, value: JSON.parse(jsonWrite(schema, found)(value)) as unknown };
}
