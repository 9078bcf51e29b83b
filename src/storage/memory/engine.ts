// The engine that keeps everything in memory and nothing after the process.

import type { Engine, Keep, Space } from '../engine.ts';
import { MemoryBlobs } from './blobs.ts';
import { type Injected, type Later, MemorySpace } from './space.ts';

export interface MemoryOptions {
  /** Runs steps in order; `setImmediate` when absent. */
  readonly later?: Later;
  /** What a test does to it. */
  readonly injected?: Injected;
  /** Bytes of batches that may wait, and of blobs; past it the answer is BUSY or FULL. */
  readonly bytesMax?: number;
}

export class MemoryEngine implements Engine {
  readonly name = 'memory';
  readonly durable = false;
  readonly blobs: MemoryBlobs;
  readonly injected: Injected;
  private readonly later: Later;
  private readonly bytesMax: number;
  private former: MemoryEngine | null = null;
  private readonly spaces = new Map<string, MemorySpace>();

  constructor(options: MemoryOptions = {}) {
    this.later = options.later ?? ((step) => void setImmediate(step));
    this.injected = options.injected ?? { refuse: null, hold: false };
    this.bytesMax = options.bytesMax ?? 256 * 1_024 * 1_024;
    this.blobs = new MemoryBlobs(this.later, this.injected, this.bytesMax);
  }

  async space(name: string, keeps: readonly Keep[]): Promise<Space> {
    if (this.spaces.has(name)) throw new Error(`the space ${name} is open already`);
    const space = new MemorySpace(name, keeps, this.later, this.injected, this.bytesMax);
    const former = this.former?.spaces.get(name);
    if (former !== undefined) space.inherit(former);
    this.spaces.set(name, space);
    return space;
  }

  /** An engine with what this one had committed and nothing of what was on its way: for tests of crashes. */
  restarted(): MemoryEngine {
    const engine = new MemoryEngine({ later: this.later, bytesMax: this.bytesMax });
    engine.former = this;
    engine.blobs.inherit(this.blobs);
    return engine;
  }

  /** Lets commits go on that were held by `injected.hold`. */
  release(): void {
    for (const space of this.spaces.values()) space.release();
  }

  async close(): Promise<void> {
    for (const space of this.spaces.values()) space.close();
  }
}
