// Bytes of the handshake at one encryption level, both ways (RFC 9000 §7.5).
import { Reassembly } from '../streams/reassembly.ts';
import { SendBuffer } from '../streams/send-buffer.ts';

export class CryptoStream {
  readonly output = new SendBuffer();
  readonly input = new Reassembly();

  get hasWork(): boolean {
    return this.output.next < this.output.end || !this.output.lost.isEmpty;
  }

  /** The next range to send, of at most `size` bytes; `to` is `from` when there is none. */
  take(size: number): { from: number; to: number } {
    const { output } = this;
    const { list } = output.lost;
    if (list.length > 0) {
      const from = list[0]!;
      const to = Math.min(list[1]!, from + size);
      output.lost.remove(from, to);
      return { from, to };
    }
    const from = output.next;
    const to = Math.min(output.end, from + size);
    output.next = to;
    return { from, to };
  }
}
