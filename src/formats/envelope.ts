// A message as one JSON object on one line: what NDJSON, server-sent events and JSON over WebSocket show of it. It does not
// know where it goes.
import { isUtf8 } from 'node:buffer';

/** What an envelope is written of; a message of the topics is one. */
export interface Enveloped {
  readonly topic: string;
  readonly payload: Uint8Array;
  /** `''` for none. */
  readonly contentType: string;
  /** Name, value, name, value. */
  readonly properties: readonly string[];
  readonly responseTopic: string;
  readonly correlation: Uint8Array | null;
  readonly publisher: string;
  /** Milliseconds since 1970. */
  readonly time: number;
  /** Milliseconds since 1970; Infinity for never. */
  readonly expiry: number;
  readonly retain: boolean;
  /** 0 for none. */
  readonly cursor: number;
}

export interface EnvelopeOptions {
  /** It is given because it is retained, not because it came. */
  readonly retained?: boolean;
  /** The payload is always `base64`, also where it is text. */
  readonly base64?: boolean;
}

const PLAIN: EnvelopeOptions = {};

/**
 * The message as JSON without a line end: `topic`; `payload` where it is UTF-8, else `base64`; and where there are such,
 * `contentType`, `properties` as a list of pairs, `responseTopic`, `correlation` as base64, `publisher`; `time`; `expiry`,
 * `retain`, `retained` where they are set; `cursor`, a string since it may outgrow what others take for a number.
 */
export function writeEnvelope(message: Enveloped, { retained, base64 }: EnvelopeOptions = PLAIN): string {
  const { payload, contentType, properties, responseTopic, correlation, publisher, expiry, cursor } = message;
  let json = `{"topic":${quoted(message.topic)}`;
  if (base64 !== true && isUtf8(payload)) json += `,"payload":${quoted(bufferOf(payload).toString('utf8'))}`;
  else json += `,"base64":"${bufferOf(payload).toString('base64')}"`;
  if (contentType !== '') json += `,"contentType":${quoted(contentType)}`;
  if (properties.length > 0) json += `,"properties":${pairs(properties)}`;
  if (responseTopic !== '') json += `,"responseTopic":${quoted(responseTopic)}`;
  if (correlation !== null) json += `,"correlation":"${bufferOf(correlation).toString('base64')}"`;
  if (publisher !== '') json += `,"publisher":${quoted(publisher)}`;
  json += `,"time":${message.time}`;
  if (Number.isFinite(expiry)) json += `,"expiry":${expiry}`;
  if (message.retain) json += ',"retain":true';
  if (retained === true) json += ',"retained":true';
  return cursor > 0 ? `${json},"cursor":"${cursor}"}` : `${json}}`;
}

/** A part of the history that is not there, as JSON: it begins behind `after`; the next is `from`, 0 when none follows. */
export function writeGap(filter: string, after: number, from: number): string {
  return `{"gap":{"filter":${quoted(filter)},"after":"${after}","from":"${from}"}}`;
}

function pairs(properties: readonly string[]): string {
  let json = '[';
  for (let at = 0; at + 1 < properties.length; at += 2)
    json += `${at === 0 ? '' : ','}[${quoted(properties[at]!)},${quoted(properties[at + 1]!)}]`;
  return `${json}]`;
}

/** What JSON leaves as it is though some readers take it for the end of a line, or terminals for a command. */
const UNSAFE = /[\u007f-\u009f\u2028\u2029]/;
const ALL_UNSAFE = /[\u007f-\u009f\u2028\u2029]/g;

/** A JSON string without anything that breaks a line or steers a terminal. */
export function quoted(text: string): string {
  const json = JSON.stringify(text);
  if (!UNSAFE.test(json)) return json;
  return json.replace(ALL_UNSAFE, (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, '0')}`);
}

function bufferOf(bytes: Uint8Array): Buffer {
  return bytes instanceof Buffer ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
