// A stream that is one message, for the inspector: it is shown by its beginning, as text or in hex.
import { isUtf8, utf8 } from '../../bytes/reader.ts';
import type { Dissector, Piece } from '../../core/tap.ts';

/** What is shown of it. */
const SHOWN = 256;

export function webTransportDissector(): Dissector {
  return new StreamMessage();
}

class StreamMessage implements Dissector {
  private passed = 0;

  push(bytes: Uint8Array, start: number, end: number): readonly Piece[] {
    const from = this.passed;
    this.passed += end - start;
    if (end === start) return [];
    const to = Math.min(end, start + SHOWN);
    const more = to < end ? ` … ${end - start} bytes` : '';
    const shown = isUtf8(bytes, start, to)
      ? JSON.stringify(utf8(bytes, start, to))
      : Buffer.from(bytes.subarray(start, to)).toString('hex');
    const label = from === 0 ? 'message' : 'more of the message';
    return [{ label, value: `${shown}${more}`, start: from, end: this.passed }];
  }
}
