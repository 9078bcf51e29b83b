// Chance from one seed, so that a failure that prints its seed can be run again.
import type { Entropy } from '../core/time.ts';

/** A small fast generator (xoshiro128**), seeded by splitmix32. Not for secrets. */
export class Random implements Entropy {
  private readonly state = new Uint32Array(4);

  constructor(seed: number) {
    let z = seed >>> 0;
    for (let index = 0; index < 4; index++) {
      z = (z + 0x9e37_79b9) >>> 0;
      let x = Math.imul(z ^ (z >>> 16), 0x85eb_ca6b);
      x = Math.imul(x ^ (x >>> 13), 0xc2b2_ae35);
      this.state[index] = x ^ (x >>> 16);
    }
  }

  /** 32 random bits. */
  bits(): number {
    const { state } = this;
    const s1 = state[1]!;
    const mixed = Math.imul(s1, 5);
    const result = Math.imul((mixed << 7) | (mixed >>> 25), 9) >>> 0;
    state[2]! ^= state[0]!;
    state[3]! ^= s1;
    state[1]! ^= state[2]!;
    state[0]! ^= state[3]!;
    state[2]! ^= s1 << 9;
    state[3] = (state[3]! << 11) | (state[3]! >>> 21);
    return result;
  }

  /** From 0 up to, not with, 1. */
  fraction(): number {
    return this.bits() / 0x1_0000_0000;
  }

  /** A whole number from 0 up to, not with, `below`. */
  below(below: number): number {
    return Math.floor(this.fraction() * below);
  }

  /** True with this probability. */
  chance(probability: number): boolean {
    return this.fraction() < probability;
  }

  pick<Item>(items: readonly Item[]): Item {
    return items[this.below(items.length)]!;
  }

  fill(into: Uint8Array): void {
    for (let index = 0; index < into.length; index++) into[index] = this.bits();
  }
}

/** The seed of a test run: `PORTICO_SEED` of the environment, or a new one. Print it in what a failure says. */
export function seedOf(environment: string | undefined): number {
  return environment === undefined ? Math.floor(Math.random() * 0x1_0000_0000) : Number(environment);
}
