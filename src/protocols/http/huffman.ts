// The Huffman code of header compression (RFC 7541 §5.2, Appendix B). The code is canonical, so that the lengths of its 257
// codes say all of it.
import type { ByteWriter } from '../../bytes/writer.ts';

/** Bits of the code of each byte, and of the end of the string behind them. */
const LENGTHS = [
  ...[13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28],
  ...[
    28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6,
  ],
  ...[
    12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6, 15, 5,
  ],
  ...[
    6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28, 20, 22, 20, 20, 22,
  ],
  ...[22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22],
  ...[21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23],
  ...[22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21],
  ...[21, 26, 26, 28, 27, 27, 27, 20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27],
  ...[27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26, 30],
];

const EOS = 256;
const CODES = new Uint32Array(257);

/** Four bits at a time: for each inner node of the tree and each nibble, the next node and the byte that was complete. */
const STEPS = new Int32Array(256 * 16);
const EMITS = 1 << 16;
/** For each inner node: whether a string may end there, its rest being the first bits of EOS (RFC 7541 §5.2). */
const ENDS = new Uint8Array(256);

build();

function build(): void {
  const order = LENGTHS.map((_, symbol) => symbol).sort((a, b) => LENGTHS[a]! - LENGTHS[b]! || a - b);
  let code = 0;
  let before = 0;
  for (const symbol of order) {
    const length = LENGTHS[symbol]!;
    code *= 2 ** (length - before);
    before = length;
    CODES[symbol] = code++;
  }
  // Inner nodes by number; a leaf is the number below zero of its symbol.
  const nodes: [number, number][] = [[0, 0]];
  for (const symbol of order) {
    let at = 0;
    for (let bit = LENGTHS[symbol]! - 1; bit >= 0; bit--) {
      const side = (CODES[symbol]! >>> bit) & 1;
      if (bit === 0) nodes[at]![side] = -1 - symbol;
      else {
        if (nodes[at]![side] === 0) nodes[at]![side] = nodes.push([0, 0]) - 1;
        at = nodes[at]![side]!;
      }
    }
  }
  for (let node = 0; node < 256; node++)
    for (let nibble = 0; nibble < 16; nibble++) STEPS[node * 16 + nibble] = stepOf(nodes, node, nibble);
  let at = 0;
  for (let depth = 0; depth <= 7; depth++) {
    ENDS[at] = 1;
    at = nodes[at]![1];
  }
}

function stepOf(nodes: readonly [number, number][], node: number, nibble: number): number {
  let at = node;
  let emitted = 0;
  for (let bit = 3; bit >= 0; bit--) {
    const next = nodes[at]![(nibble >>> bit) & 1]!;
    if (next === -1 - EOS) return -1;
    if (next < 0) {
      emitted = EMITS | ((-1 - next) << 8);
      at = 0;
    } else at = next;
  }
  return emitted | at;
}

/** Writes what a string decodes to into `into`, which has room for 8/5 of it; answers its length, or -1 when it is none. */
export function huffmanDecode(input: Uint8Array, start: number, end: number, into: Uint8Array): number {
  let node = 0;
  let length = 0;
  for (let at = start; at < end; at++) {
    const byte = input[at]!;
    let step = STEPS[(node << 4) | (byte >>> 4)]!;
    if (step < 0) return -1;
    if ((step & EMITS) !== 0) into[length++] = step >>> 8;
    step = STEPS[((step & 0xff) << 4) | (byte & 15)]!;
    if (step < 0) return -1;
    if ((step & EMITS) !== 0) into[length++] = step >>> 8;
    node = step & 0xff;
  }
  return ENDS[node] === 1 ? length : -1;
}

/** Bytes that text of one byte a character takes. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let at = 0; at < text.length; at++) bits += LENGTHS[text.charCodeAt(at) & 0xff]!;
  return (bits + 7) >>> 3;
}

export function huffmanWrite(out: ByteWriter, text: string, length: number): void {
  out.ensure(length);
  const { bytes } = out;
  let at = out.length;
  // Fewer than 8 bits wait between two symbols; with 30 more they need two halves.
  let waiting = 0;
  let held = 0;
  for (let index = 0; index < text.length; index++) {
    const symbol = text.charCodeAt(index) & 0xff;
    const size = LENGTHS[symbol]!;
    const code = CODES[symbol]!;
    if (size > 16) {
      held = (held << (size - 16)) | (code >>> 16);
      waiting += size - 16;
      while (waiting >= 8) {
        waiting -= 8;
        bytes[at++] = held >>> waiting;
      }
      held &= 0xff;
      held = (held << 16) | (code & 0xffff);
      waiting += 16;
    } else {
      held = (held << size) | code;
      waiting += size;
    }
    while (waiting >= 8) {
      waiting -= 8;
      bytes[at++] = held >>> waiting;
    }
    held &= 0xff;
  }
  if (waiting > 0) bytes[at++] = (held << (8 - waiting)) | (0xff >>> waiting);
  out.length = at;
}
