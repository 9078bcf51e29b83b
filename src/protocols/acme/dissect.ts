// The requests of ACME as pieces for the inspector: what the protected header says and what was sent. What the server says
// is plain JSON.
import type { Direction, Dissector, Piece } from '../../core/tap.ts';
import { base64url, jsonObject } from './codec.ts';

/** A request that is longer is not shown. */
const KEPT_MAX = 65_536;
const SHOWN = 256;

export function acmeDissector(direction: Direction, joinedLate: boolean): Dissector {
  return direction === 'out' || joinedLate ? { push: () => [] } : new Requests();
}

class Requests implements Dissector {
  private parts: Buffer[] = [];
  private length = 0;

  push(bytes: Uint8Array, start: number, end: number): readonly Piece[] {
    this.parts.push(Buffer.from(bytes.subarray(start, end)));
    this.length += end - start;
    if (this.length > KEPT_MAX) {
      this.parts = [];
      return [];
    }
    const whole = jsonObject(Buffer.concat(this.parts));
    if (whole === null) return [];
    const size = this.length;
    this.parts = [];
    this.length = 0;
    const piece = (label: string, value: string): Piece => ({ label, value, start: 0, end: size });
    const pieces: Piece[] = [];
    const head = jsonObject(base64url(String(whole.protected)) ?? new Uint8Array()) ?? {};
    for (const name of ['alg', 'url', 'kid', 'nonce'])
      if (typeof head[name] === 'string') pieces.push(piece(name, head[name].slice(0, SHOWN)));
    const payload = base64url(String(whole.payload))?.toString() ?? '';
    pieces.push(piece('payload', payload === '' ? 'nothing: POST-as-GET' : payload.slice(0, SHOWN)));
    return [{ ...piece('request', String(head.url ?? '')), pieces }];
  }
}
