// Messages of graphql-transport-ws as labelled pieces for the inspector, in either direction. Bodies over HTTP are shown by HTTP.
import { utf8 } from '../../bytes/reader.ts';
import type { Direction, Dissector, Piece } from '../../core/tap.ts';

/** Of a value so much is shown. */
const SHOWN = 256;

/** What a message may tell that nobody but the server needs to know. */
const SECRET = /authorization|token|password|secret|cookie/i;

export function graphqlDissector(_direction: Direction, _joinedLate: boolean): Dissector {
  return new TransportMessages();
}

class TransportMessages implements Dissector {
  private origin = 0;

  push(bytes: Uint8Array, start: number, end: number): readonly Piece[] {
    const from = this.origin;
    this.origin += end - start;
    const text = utf8(bytes, start, end);
    const value = jsonOf(text);
    const at = { start: from, end: this.origin };
    if (value === null || typeof value.type !== 'string') return [{ label: 'message', value: cut(text), ...at }];
    const { type, id, payload } = value;
    const pieces: Piece[] = [];
    if (typeof id === 'string') pieces.push({ label: 'id', value: cut(id), ...at });
    if (typeof payload === 'object' && payload !== null && !Array.isArray(payload)) {
      for (const [name, each] of Object.entries(payload)) pieces.push({ label: name, value: shown(name, each), ...at });
    } else if (payload !== undefined) pieces.push({ label: 'payload', value: shown('payload', payload), ...at });
    return [{ label: type as string, value: typeof id === 'string' ? cut(id) : '', ...at, pieces }];
  }
}

function jsonOf(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

function shown(name: string, value: unknown): string {
  if (SECRET.test(name)) return '•••';
  const text = typeof value === 'string' ? value : JSON.stringify(value, masked);
  return cut(text ?? '');
}

function masked(name: string, value: unknown): unknown {
  return SECRET.test(name) ? '•••' : value;
}

function cut(text: string): string {
  return text.length > SHOWN ? `${text.slice(0, SHOWN)}…` : text;
}
