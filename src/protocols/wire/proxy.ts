// A proxy of streams: what comes from one side goes to the other, as fast as that side takes it. Ends are carried one way
// at a time, resets at once.
import type { Pipe, Session } from '../../core/pipe.ts';
import { type Cause, ENDED } from '../../core/pipe.ts';
import type { Reach, Target } from '../../core/reach.ts';
import { type Clock, type Instant, NEVER } from '../../core/time.ts';
import { faults } from './faults.ts';

/** One side. `other` is null until the upstream is reached, and once it is gone. */
export class Leg implements Session {
  readonly pipe: Pipe;
  other: Leg | null = null;
  private readonly idleMs: number;
  /** The peer has sent its end. */
  ended = false;
  private idleAt: Instant;
  private over = false;
  /** Gives up a connection that is still being made. */
  onLost: () => void = () => {};

  constructor(pipe: Pipe, idleMs: number, clock: Clock) {
    this.pipe = pipe;
    this.idleMs = idleMs;
    this.idleAt = clock.now + idleMs;
  }

  /** Quiet on one side is no silence while the other speaks. */
  get deadline(): Instant {
    return this.over ? NEVER : Math.max(this.idleAt, this.other?.idleAt ?? 0);
  }

  receive(input: Uint8Array, start: number, end: number, clock: Clock): number {
    const { other } = this;
    this.idleAt = clock.now + this.idleMs;
    if (other === null) {
      // The upstream is still being dialled: what comes stays with the peer.
      this.pipe.pause();
      return start;
    }
    const at = Math.min(end, start + other.pipe.room);
    other.pipe.out.copy(input, start, at);
    other.pipe.flush();
    if (at < end && other.pipe.room === 0) this.pipe.pause();
    return at;
  }

  overlong(): void {
    // What is not consumed waits while the pipe is paused.
  }

  writable(clock: Clock): void {
    this.idleAt = clock.now + this.idleMs;
    this.other?.pipe.resume();
  }

  tick(): void {
    this.pipe.fail(faults.idle);
    this.other?.pipe.fail(faults.idle);
    this.over = true;
  }

  finish(): void {
    this.ended = true;
    this.other?.pipe.end();
  }

  leave(): void {
    this.over = true;
    this.pipe.end();
    this.other?.pipe.end();
  }

  lost(cause: Cause, wire: number): void {
    const { other } = this;
    this.over = true;
    this.onLost();
    this.other = null;
    if (other === null) return;
    other.other = null;
    // Both ways have ended here, and the other side has been told so; anything else it must learn of.
    if (cause !== ENDED) other.pipe.reset(wire);
    else other.pipe.end();
  }
}

/** From now on, what one side says the other hears. */
export function joinLegs(one: Leg, other: Leg): void {
  one.other = other;
  other.other = one;
  one.pipe.resume();
  other.pipe.resume();
  if (one.ended) other.pipe.end();
  if (other.ended) one.pipe.end();
}

/** Forwards a pipe to a target, which is dialled at once. */
export function proxyPipe(pipe: Pipe, reach: Reach, target: Target, idleMs: number, clock: Clock): Session {
  const near = new Leg(pipe, idleMs, clock);
  near.onLost = reach.dial(
    target,
    null,
    (upstream) => {
      const far = new Leg(upstream, idleMs, clock);
      near.onLost = () => {};
      joinLegs(near, far);
      return far;
    },
    () => {
      near.onLost = () => {};
      pipe.reset(0);
    },
  );
  return near;
}
