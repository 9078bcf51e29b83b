// What the server says in portico.json, as bytes: answers, and messages encoded once for all that get them. It knows no
// connection.
import { OUTCOME_NAMES, type Outcome } from '../../core/outcome.ts';
import { type Enveloped, quoted, writeEnvelope, writeGap } from '../../formats/envelope.ts';
import type { CodeName } from '../../resources/services/status.ts';
import type { Id } from './codec.ts';
import { RPC_CODES } from './words.ts';

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

// ---- calls; what is JSON already is given as text -------------------------------------------------------------------

/** `,"headers":[["name","value"]]`; '' for none. */
export function pairsText(member: string, metadata: readonly string[]): string {
  if (metadata.length === 0) return '';
  const pairs: string[] = [];
  for (let at = 0; at + 1 < metadata.length; at += 2)
    pairs.push(`[${quoted(metadata[at]!)},${quoted(metadata[at + 1]!)}]`);
  return `,"${member}":[${pairs.join(',')}]`;
}

/** `{"result":{…},"id":1}`, with what goes around it. */
export function resultText(id: string | number, result: string, around: string): Buffer {
  return Buffer.from(`{"result":${result},"id":${idText(id)}${around}}`);
}

/** `{"headers":[…],"id":1}` */
export function headersText(id: string | number, metadata: readonly string[]): Buffer {
  return Buffer.from(`{"id":${idText(id)}${pairsText('headers', metadata)}}`);
}

/** `{"next":{…},"id":1}` */
export function nextText(id: string | number, output: string): Buffer {
  return Buffer.from(`{"next":${output},"id":${idText(id)}}`);
}

/** `{"end":"OK","id":1}` */
export function endText(id: string | number, around: string): Buffer {
  return Buffer.from(`{"end":"OK","id":${idText(id)}${around}}`);
}

/** `{"error":{"code":"NOT_FOUND",…},"id":1}` */
export function callErrorText(id: Id, status: string, around: string): Buffer {
  return Buffer.from(`{"error":${status}${id === undefined ? '' : `,"id":${idText(id)}`}${around}}`);
}

/** A result in JSON-RPC 2.0 §5. */
export function rpcResultText(id: Id, result: string): Buffer {
  return Buffer.from(`{"jsonrpc":"2.0","result":${result},"id":${id === undefined ? 'null' : idText(id)}}`);
}

/** An error in JSON-RPC 2.0 §5.1, with the status itself as its data. */
export function rpcErrorText(id: Id, code: CodeName, message: string, status: string): Buffer {
  const error = `{"code":${RPC_CODES[code]},"message":${quoted(message === '' ? code : message)},"data":${status}}`;
  return Buffer.from(`{"jsonrpc":"2.0","error":${error},"id":${id === undefined ? 'null' : idText(id)}}`);
}

/** Answers of a batch (§6). */
export function batchText(answers: readonly Buffer[]): Buffer {
  const pieces: Buffer[] = [Buffer.from('[')];
  for (const answer of answers) pieces.push(...(pieces.length > 1 ? [COMMA] : []), answer);
  pieces.push(Buffer.from(']'));
  return Buffer.concat(pieces);
}

const COMMA = Buffer.from(',');

/** What is no request of JSON-RPC (§5.1). */
export function rpcRefusedText(id: Id, detail: string): Buffer {
  const error = `{"code":-32600,"message":${quoted(detail)}}`;
  return Buffer.from(`{"jsonrpc":"2.0","error":${error},"id":${id === undefined ? 'null' : idText(id)}}`);
}
