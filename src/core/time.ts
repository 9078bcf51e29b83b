// Time and chance as sessions see them: handed in, never taken.

/** Monotonic milliseconds, with a fraction. */
export type Instant = number;

/** No deadline. */
export const NEVER: Instant = Number.POSITIVE_INFINITY;

/** Read once a turn and handed down. `wall` is milliseconds since 1970, for what is shown or stored. */
export interface Clock {
  readonly now: Instant;
  readonly wall: number;
}

/** Random bytes, injected, so that a seed replays. */
export interface Entropy {
  fill(into: Uint8Array): void;
}
