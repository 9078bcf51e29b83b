// Answers that were written before, by the bytes of their question: one buffer of places of equal size, nothing allocated for
// an answer. It does not know what makes them stale; that is the epoch's.

const PLACE_BYTES = 512;
/** epoch u32 · question length u16 · answer length u16 · what else the answer depends on u16 · question · answer */
const HEAD = 10;

export class CompiledAnswers {
  private readonly store: Buffer;
  private readonly places: number;

  constructor(places = 8_192) {
    this.places = places;
    this.store = Buffer.alloc(places * PLACE_BYTES);
  }

  private placeOf(bytes: Uint8Array, start: number, end: number, variant: number): number {
    let hash = 0x811c9dc5 ^ variant;
    for (let at = start; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
    return (((hash ^ (hash >>> 15)) >>> 0) & (this.places - 1)) * PLACE_BYTES;
  }

  /**
   * Copies the answer to the question `bytes[start..end)` to `out` and answers its length; 0 when there is none, or none of at
   * most `most` bytes.
   */
  find(
    bytes: Uint8Array,
    start: number,
    end: number,
    variant: number,
    epoch: number,
    out: Uint8Array,
    most: number,
  ): number {
    const { store } = this;
    const place = this.placeOf(bytes, start, end, variant);
    const size = end - start;
    if (store.readUInt32LE(place) !== epoch || store.readUInt16LE(place + 4) !== size) return 0;
    if (store.readUInt16LE(place + 8) !== variant) return 0;
    const key = place + HEAD;
    for (let index = 0; index < size; index++) if (store[key + index] !== bytes[start + index]) return 0;
    const length = store.readUInt16LE(place + 6);
    if (length > most) return 0;
    const from = key + size;
    if (length > 96) out.set(store.subarray(from, from + length), 0);
    else for (let index = 0; index < length; index++) out[index] = store[from + index]!;
    return length;
  }

  keep(
    bytes: Uint8Array,
    start: number,
    end: number,
    variant: number,
    epoch: number,
    answer: Uint8Array,
    length: number,
  ): void {
    const size = end - start;
    if (HEAD + size + length > PLACE_BYTES) return;
    const { store } = this;
    const place = this.placeOf(bytes, start, end, variant);
    store.writeUInt32LE(epoch >>> 0, place);
    store.writeUInt16LE(size, place + 4);
    store.writeUInt16LE(length, place + 6);
    store.writeUInt16LE(variant, place + 8);
    store.set(bytes.subarray(start, end), place + HEAD);
    store.set(answer.subarray(0, length), place + HEAD + size);
  }
}
