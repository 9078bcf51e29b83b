// The turn: one round of the event loop. What was touched in it is emptied once at its end, and its deadline read again.
import type { Clock, Instant } from './time.ts';

/** Runs turns: the server's on the event loop, the simulator's on its own time. */
export interface Turn {
  /** This turn's reading of time; reading it begins a turn if none runs. */
  readonly clock: Clock;
  /** Puts an item on the dirty list. */
  touch(item: Turned): void;
  /** An item that will never be touched again: out of the timer wheel. */
  forget(item: Turned): void;
  /** Something of ours threw. What it ends has been ended by the caller. */
  bug(error: unknown, where: string): void;
}

/** Something with work to do once a turn and at most one deadline. The fields belong to the turn and its wheel. */
export abstract class Turned {
  touched = false;
  /** The wheel's own: when it will look at this item, and its place. */
  wheelAt: Instant = Number.POSITIVE_INFINITY;
  wheelSlot = -1;
  wheelNext: Turned | null = null;
  wheelPrevious: Turned | null = null;

  /** When `tick` is wanted; read after each `work`. */
  abstract readonly due: Instant;
  /** Sends what gathered in this turn. */
  abstract work(clock: Clock): void;
  /** `due` has come. */
  abstract tick(clock: Clock): void;
}
