// Opening what the kernel knows already takes some microseconds, and having another thread do it twenty times as long. So it is
// done at once, for a small part of each turn, and not for a while where the disk was slow to answer.
import { openSync } from 'node:fs';

/** Of each turn. */
const TURN_MS = 1;
/** One that took so long had to ask the disk. */
const SLOW_MS = 3;
const REST_MS = 1_000;

let spent = 0;
let isCounting = false;
let restUntil = 0;

/** Opens at once, or answers -1: it is to be asked of another thread. Throws the disk's error. */
export function openQuickly(path: string, flags: number): number {
  const began = performance.now();
  if (spent >= TURN_MS || began < restUntil) return -1;
  if (!isCounting) {
    isCounting = true;
    setImmediate(() => {
      isCounting = false;
      spent = 0;
    });
  }
  try {
    return openSync(path, flags);
  } finally {
    const ended = performance.now();
    spent += ended - began;
    if (ended - began > SLOW_MS) restUntil = ended + REST_MS;
  }
}
