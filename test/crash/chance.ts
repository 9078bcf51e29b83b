// Chance from a seed, so that a failure can be run again.

export interface Chance {
  /** From 0 up to, and without, 1. */
  fraction(): number;
  /** A whole number from 0 up to, and without, `bound`. */
  below(bound: number): number;
}

/** Mulberry32. */
export function chance(seed: number): Chance {
  let state = seed >>> 0;
  const fraction = () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 0x1_0000_0000;
  };
  return { fraction, below: (bound) => Math.floor(fraction() * bound) };
}

/** PORTICO_SEED, or one of the clock's. */
export function seedOfRun(): number {
  return Number(process.env.PORTICO_SEED ?? Date.now() % 0x1_0000_0000);
}
