// AsyncAPI 3.0 of the event side: topics as anybody publishes and hears them, the server's own events, and the services as they
// are called by MQTT's request and response. It knows no server: where one is, it is told.
import { type JsonSchema, jsonSchemas } from '../../formats/schema/json-schema.ts';
import type { Method, Service } from '../../resources/services/contract.ts';

type Plain = Record<string, unknown>;

const SCHEMAS = '#/components/schemas/';

export interface AsyncServer {
  /** `localhost:1883` */
  readonly host: string;
  readonly protocol: 'mqtt' | 'secure-mqtt' | 'ws' | 'wss';
}

const text = { type: 'string' };
const whole = { type: 'integer' };

function object(properties: Plain, required = Object.keys(properties)): JsonSchema {
  return { type: 'object', properties, required };
}

/** What the server publishes by itself, to administrators alone. */
const EVENTS: Readonly<
  Record<string, { readonly address: string; readonly summary: string; readonly payload: JsonSchema }>
> = {
  connectionOpened: {
    address: 'connections/opened',
    summary: 'A connection has been opened.',
    payload: object({ connection: whole, protocol: text, carrier: text, from: text }),
  },
  connectionEnded: {
    address: 'connections/ended',
    summary: 'A connection has ended.',
    payload: object({
      connection: whole,
      protocol: text,
      from: text,
      account: { type: ['string', 'null'] },
      cause: text,
      in: whole,
      out: whole,
      ms: whole,
    }),
  },
};

/** A message of a topic in `portico.json` and in NDJSON. */
const ENVELOPE: JsonSchema = object(
  {
    topic: text,
    payload: { type: 'string', description: 'Where it is UTF-8; else base64 has it.' },
    base64: { type: 'string', contentEncoding: 'base64' },
    contentType: text,
    properties: { type: 'array', items: { type: 'array', items: text, minItems: 2, maxItems: 2 } },
    responseTopic: text,
    correlation: { type: 'string', contentEncoding: 'base64' },
    publisher: text,
    time: { type: 'integer', description: 'Milliseconds since 1970.' },
    expiry: { type: 'integer', description: 'Milliseconds since 1970.' },
    retain: { type: 'boolean' },
    retained: { type: 'boolean' },
    cursor: { type: 'string', pattern: '^\\d+$' },
  },
  ['topic', 'time'],
);

const STATUS: JsonSchema = object(
  {
    code: { type: 'string', examples: ['NOT_FOUND'] },
    message: text,
    details: { type: 'array', items: object({ type: text, value: {} }) },
  },
  ['code'],
);

/** What services and topics look like to whoever speaks MQTT or WebSocket with the server. */
export function asyncapiDocument(
  services: readonly Service[],
  may: (method: Method) => boolean,
  servers: Readonly<Record<string, AsyncServer>> = {},
): Plain {
  const channels: Record<string, Plain> = { topic: topicChannel() };
  const operations: Record<string, Plain> = {
    publish: { action: 'receive', channel: ref('channels', 'topic'), summary: 'Publishes a message.' },
    subscribe: { action: 'send', channel: ref('channels', 'topic'), summary: 'Hears what is published.' },
  };
  const schemas: Record<string, JsonSchema> = { 'portico.Envelope': ENVELOPE, 'portico.Status': STATUS };
  for (const [name, { address, summary, payload }] of Object.entries(EVENTS)) {
    channels[name] = { address, messages: { [name]: { contentType: 'application/json', payload } } };
    operations[name] = { action: 'send', channel: ref('channels', name), summary };
  }
  for (const service of services) {
    const methods = [...service.methods.values()].filter(may);
    const names = methods.flatMap(({ input, output }) => [input.name, output.name]);
    Object.assign(schemas, jsonSchemas(service.schema, names, SCHEMAS));
    for (const method of methods) putMethod(channels, operations, method);
  }
  return {
    asyncapi: '3.0.0',
    info: { title: 'Topics and services of this Portico', version: '1' },
    servers,
    defaultContentType: 'application/json',
    channels,
    operations,
    components: { schemas },
  };
}

function ref(kind: string, ...names: readonly string[]): Plain {
  return { $ref: `#/${kind}/${names.map((name) => name.replaceAll('~', '~0').replaceAll('/', '~1')).join('/')}` };
}

function topicChannel(): Plain {
  return {
    address: '{topic}',
    description: 'Any topic: bytes over MQTT, the envelope over the WebSocket subprotocol portico.json.',
    parameters: { topic: { description: 'Levels joined by slashes; the server keeps some for itself.' } },
    messages: {
      message: {
        summary: 'What is published, as MQTT carries it.',
        contentType: 'application/octet-stream',
        payload: {},
      },
      envelope: {
        summary: 'The same in portico.json.',
        contentType: 'application/json',
        payload: { $ref: `${SCHEMAS}portico.Envelope` },
      },
    },
  };
}

const CORRELATION = { location: '$message.header#/correlationData' };

/** A method by request and response (MQTT 5.0 §4.10). */
function putMethod(channels: Record<string, Plain>, operations: Record<string, Plain>, method: Method): void {
  const { service, name, input, output, kind, description, deprecated } = method;
  const id = `${service.name}.${name}`;
  const many = kind === 'client' || kind === 'both';
  channels[id] = {
    address: `services/${service.name}/${name}`,
    messages: {
      input: { correlationId: CORRELATION, payload: { $ref: SCHEMAS + input.name } },
    },
  };
  channels[`${id}.reply`] = {
    address: null,
    messages: {
      output: { correlationId: CORRELATION, payload: { $ref: SCHEMAS + output.name } },
      error: { correlationId: CORRELATION, payload: { $ref: `${SCHEMAS}portico.Status` } },
    },
  };
  operations[id] = {
    action: 'receive',
    channel: ref('channels', id),
    ...(description === '' ? {} : { summary: description }),
    ...(deprecated ? { tags: [{ name: 'deprecated' }] } : {}),
    ...(many ? { description: 'Many inputs: all but the last with the user property more=true.' } : {}),
    messages: [ref('channels', id, 'messages', 'input')],
    reply: {
      address: { location: '$message.header#/responseTopic' },
      channel: ref('channels', `${id}.reply`),
      messages: ['output', 'error'].map((message) => ref('channels', `${id}.reply`, 'messages', message)),
    },
  };
}
