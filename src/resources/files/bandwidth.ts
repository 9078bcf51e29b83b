// How fast the bytes of an account go in and out: a bucket that fills with time, shared by all its transfers.
import type { Reading, Sink } from '../../core/sink.ts';

/** A bucket holds so much of a second's worth. */
const BURST_S = 0.25;
/** Waits are no shorter than this, so that pieces stay large. */
const WAIT_MS = 20;

export class Bucket {
  private readonly perSecond: number;
  private readonly now: () => number;
  private level: number;
  private at: number;
  private readonly waiting: (() => void)[] = [];
  private timer: NodeJS.Timeout | null = null;

  constructor(perSecond: number, now: () => number) {
    this.perSecond = perSecond;
    this.now = now;
    this.level = perSecond * BURST_S;
    this.at = now();
  }

  /** Bytes that may go now. */
  get room(): number {
    const now = this.now();
    this.level = Math.min(this.perSecond * BURST_S, this.level + ((now - this.at) / 1_000) * this.perSecond);
    this.at = now;
    return Math.max(0, Math.floor(this.level));
  }

  spend(bytes: number): void {
    this.level -= bytes;
  }

  /** Calls back, once, when there is room again. */
  wait(then: () => void): void {
    this.waiting.push(then);
    if (this.timer !== null) return;
    const ms = Math.max(WAIT_MS, (-this.level / this.perSecond) * 1_000 + WAIT_MS);
    this.timer = setTimeout(() => {
      this.timer = null;
      for (const each of this.waiting.splice(0)) each();
    }, ms);
    this.timer.unref();
  }

  /** No more: whoever waits is let go. */
  stop(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
    this.waiting.length = 0;
  }
}

/** Reads no faster than a bucket fills. */
export function slowed(bucket: Bucket, sink: Sink, read: (sink: Sink) => Reading): Reading {
  let isOver = false;
  let isWaiting = false;
  const again = () => {
    isWaiting = false;
    if (!isOver) inner.more();
  };
  const slow: Sink = {
    get room() {
      const { room } = sink;
      if (room <= 0 || bucket.room > 0) return room;
      if (!isWaiting) bucket.wait(again);
      isWaiting = true;
      return 0;
    },
    bytes(data, start, end) {
      bucket.spend(end - start);
      sink.bytes(data, start, end);
    },
    end(outcome) {
      isOver = true;
      sink.end(outcome);
    },
  };
  const inner = read(slow);
  return {
    more: () => inner.more(),
    stop() {
      isOver = true;
      inner.stop();
    },
  };
}
