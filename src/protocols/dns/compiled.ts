// Answers that were written before, by the bytes of their question: one buffer of places of equal size, nothing allocated for
// an answer. It does not know what makes them stale; that is the epoch's.

/** Of a place: the question, then the answer. */
const PLACE_BYTES = 512;
/** Of a place's head: epoch; length of the question; of the answer; what else the answer depends on. */
const HEAD = 4;

export class CompiledAnswers {
  private readonly store: Uint8Array;
  private readonly heads: Int32Array;
  private readonly places: number;

  /** @param places a power of two */
  constructor(places = 8_192) {
    this.places = places;
    this.store = new Uint8Array(places * PLACE_BYTES);
    this.heads = new Int32Array(places * HEAD);
  }

  private placeOf(bytes: Uint8Array, start: number, end: number, variant: number): number {
    let hash = 0x811c9dc5 ^ variant;
    for (let at = start; at < end; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
    return (hash ^ (hash >>> 15)) & (this.places - 1);
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
    const { store, heads } = this;
    const place = this.placeOf(bytes, start, end, variant);
    const size = end - start;
    const head = place * HEAD;
    if (heads[head] !== (epoch | 0) || heads[head + 1] !== size || heads[head + 3] !== variant) return 0;
    const length = heads[head + 2]!;
    if (length > most) return 0;
    const key = place * PLACE_BYTES;
    for (let index = 0; index < size; index++) if (store[key + index] !== bytes[start + index]) return 0;
    const from = key + size;
    // Below some hundred bytes the loop beats the call into the engine.
    if (length > 128) out.set(store.subarray(from, from + length), 0);
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
    if (size + length > PLACE_BYTES) return;
    const { store, heads } = this;
    const place = this.placeOf(bytes, start, end, variant);
    const head = place * HEAD;
    heads[head] = epoch;
    heads[head + 1] = size;
    heads[head + 2] = length;
    heads[head + 3] = variant;
    const key = place * PLACE_BYTES;
    for (let index = 0; index < size; index++) store[key + index] = bytes[start + index]!;
    for (let index = 0; index < length; index++) store[key + size + index] = answer[index]!;
  }
}
