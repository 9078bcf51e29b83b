// What the server says in portico.json, as bytes: answers, and messages encoded once for all that get them. It knows no
// connection.
import { OUTCOME_NAMES, type Outcome } from '../../core/outcome.ts';
import { type Enveloped, quoted, writeEnvelope, writeGap } from '../../formats/envelope.ts';
import type { Id } from './codec.ts';

/** An id as it came. */
function idText(id: string | number): string {
  return typeof id === 'string' ? quoted(id) : String(id);
}

/** `{"ack":1,"cursor":"123"}` */
export function ackText(id: string | number, cursor: number): Buffer {
  return Buffer.from(`{"ack":${idText(id)}${cursor > 0 ? `,"cursor":"${cursor}"` : ''}}`);
}

/** `{"ack":1,"message":{…}}` */
export function foundText(id: string | number, message: Enveloped, base64: boolean): Buffer {
  return Buffer.from(`{"ack":${idText(id)},"message":${writeEnvelope(message, { retained: true, base64 })}}`);
}

export function errorText(id: Id, outcome: Outcome, detail: string): Buffer {
  const error = `{"outcome":"${OUTCOME_NAMES[outcome]}","detail":${quoted(detail)}}`;
  return Buffer.from(`{"error":${error}${id === undefined ? '' : `,"id":${idText(id)}`}}`);
}

export function gapText(filter: string, after: number, from: number): Buffer {
  return Buffer.from(writeGap(filter, after, from));
}

/** `{"live":"a/#","cursor":"123"}` */
export function liveText(filter: string, cursor: number): Buffer {
  return Buffer.from(`{"live":${quoted(filter)},"cursor":"${cursor}"}`);
}

export function messageText(message: Enveloped, retained: boolean, base64: boolean): Buffer {
  return Buffer.from(writeEnvelope(message, { retained, base64 }));
}

/** A message's text with the filter in whose history it stood. */
export function historyText(text: Uint8Array, filter: string): Buffer {
  const more = Buffer.from(`,"history":${quoted(filter)}}`);
  const whole = Buffer.allocUnsafe(text.length - 1 + more.length);
  whole.set(text);
  whole.set(more, text.length - 1);
  return whole;
}
