// A file that is read as something that can be iterated over, and bytes that are written at the pace of the disk: what a
// handler of a service needs between the sinks of files, which do not wait, and itself, which does.
import { FAILED, GONE, OK, type Outcome } from '../../core/outcome.ts';
import type { Sink } from '../../core/sink.ts';
import type { IncomingFile, OpenFile } from './contract.ts';

/** Pieces that lie here and were not taken yet. */
const HELD_MAX = 2;

/** Pieces of `[start..end)`, as the disk gives them; ends early with an outcome as its value where it cannot be read. */
export async function* piecesOf(
  file: OpenFile,
  start: number,
  end: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, Outcome> {
  const held: Uint8Array[] = [];
  let ended: Outcome | null = null;
  let wake: (() => void) | null = null;
  const sink: Sink = {
    get room() {
      return held.length < HELD_MAX ? 1 : 0;
    },
    bytes(data, from, to) {
      held.push(data.subarray(from, to));
      wake?.();
    },
    end(outcome) {
      ended = outcome;
      wake?.();
    },
  };
  const stop = () => {
    ended ??= GONE;
    wake?.();
  };
  if (signal.aborted) return GONE;
  const reading = file.read(start, end, sink);
  signal.addEventListener('abort', stop, { once: true });
  try {
    for (;;) {
      const piece = held.shift();
      if (piece !== undefined) {
        reading.more();
        yield piece;
      } else if (ended !== null) return ended;
      else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
        wake = null;
      }
    }
  } finally {
    signal.removeEventListener('abort', stop);
    reading.stop();
  }
}

/** All of these bytes, at the pace of the disk. */
export async function writeAll(file: IncomingFile, bytes: Uint8Array, signal: AbortSignal): Promise<Outcome> {
  for (let at = 0; at < bytes.length; ) {
    if (signal.aborted) return GONE;
    at += file.write(bytes, at, bytes.length);
    if (file.trouble !== OK) return file.trouble;
    if (at < bytes.length) await roomIn(file, signal);
  }
  return OK;
}

function roomIn(file: IncomingFile, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      file.onRoom = null;
      signal.removeEventListener('abort', go);
      resolve();
    };
    file.onRoom = go;
    signal.addEventListener('abort', go, { once: true });
  });
}

/** The bytes of a part, all at once. */
export async function bytesOf(file: OpenFile, start: number, end: number, signal: AbortSignal) {
  const parts: Uint8Array[] = [];
  const pieces = piecesOf(file, start, end, signal);
  for (;;) {
    const next = await pieces.next();
    if (next.done === true) {
      const outcome: Outcome = next.value ?? FAILED;
      return outcome === OK ? Buffer.concat(parts) : outcome;
    }
    parts.push(next.value);
  }
}
