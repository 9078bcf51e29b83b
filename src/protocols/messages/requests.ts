// What a client of portico.json says and is told, as values, and the requests as bytes.
import type { RetainedHandling, SlowPolicy } from '../../resources/topics/contract.ts';
import type { Encoding } from './codec.ts';

export interface SubscribeOptions {
  /** Begin with the history behind this cursor. */
  readonly after?: number;
  readonly encoding?: Encoding;
  readonly slow?: SlowPolicy;
  readonly retained?: RetainedHandling;
  /** False: not what is published on the same connection. */
  readonly echo?: boolean;
}

export interface PublishOptions {
  readonly contentType?: string;
  /** Name, value, name, value. */
  readonly properties?: readonly string[];
  readonly responseTopic?: string;
  readonly correlation?: Uint8Array;
  readonly retain?: boolean;
  /** For how many milliseconds it is of use. */
  readonly expiresIn?: number;
}

export interface ReceivedMessage {
  readonly topic: string;
  readonly payload: Buffer;
  /** Whether it came as text. */
  readonly text: boolean;
  readonly contentType: string;
  /** Name, value, name, value. */
  readonly properties: readonly string[];
  readonly responseTopic: string;
  readonly correlation: Buffer | null;
  readonly publisher: string;
  readonly time: number;
  /** Infinity for never. */
  readonly expiry: number;
  readonly retain: boolean;
  /** It is the retained value that a subscription, or a get, is given. */
  readonly retained: boolean;
  /** 0 where the topic keeps no history. */
  readonly cursor: number;
  /** The filter in whose history it stood; '' for what comes as it is published. */
  readonly history: string;
}

export function publishText(id: number, topic: string, payload: string | Uint8Array, options: PublishOptions): Buffer {
  const { properties, correlation, ...rest } = options;
  const pairs: string[][] = [];
  if (properties !== undefined)
    for (let at = 0; at + 1 < properties.length; at += 2) pairs.push([properties[at]!, properties[at + 1]!]);
  return textOf({
    publish: topic,
    ...(typeof payload === 'string' ? { payload } : { base64: Buffer.from(payload).toString('base64') }),
    ...rest,
    ...(pairs.length === 0 ? {} : { properties: pairs }),
    ...(correlation === undefined ? {} : { correlation: Buffer.from(correlation).toString('base64') }),
    id,
  });
}

export function subscribeText(id: number, filter: string, { after, ...options }: SubscribeOptions): Buffer {
  return textOf({ subscribe: filter, ...options, ...(after === undefined ? {} : { after: String(after) }), id });
}

export function unsubscribeText(id: number, filter: string): Buffer {
  return textOf({ unsubscribe: filter, id });
}

export function getText(id: number, topic: string): Buffer {
  return textOf({ get: topic, id });
}

export interface CallSettings {
  /** Name, value, name, value. */
  readonly metadata: readonly string[];
  /** Infinity for as long as the method allows. */
  readonly timeoutMs: number;
}

/** Begins a call; without `params` they follow. */
export function callText(id: number, method: string, params: unknown, { metadata, timeoutMs }: CallSettings): Buffer {
  const pairs: string[][] = [];
  for (let at = 0; at + 1 < metadata.length; at += 2) pairs.push([metadata[at]!, metadata[at + 1]!]);
  return textOf({
    call: method,
    params,
    ...(pairs.length === 0 ? {} : { metadata: pairs }),
    ...(Number.isFinite(timeoutMs) ? { timeoutMs: Math.max(1, Math.ceil(timeoutMs)) } : {}),
    id,
  });
}

export function sendText(id: number, params: unknown): Buffer {
  return textOf({ send: id, params });
}

export function finishText(id: number): Buffer {
  return textOf({ finish: id });
}

export function cancelText(id: number): Buffer {
  return textOf({ cancel: id });
}

function textOf(request: object): Buffer {
  return Buffer.from(JSON.stringify(request));
}
