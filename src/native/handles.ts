// What Node's sockets stand on: their handles, and the numbers that these leave beside their answers. No pointers; but no
// public interface either, so that it is looked at before it is used, and only on versions that were tried.

/** The state that all stream handles share, and the request that an ending takes. */
export interface HandleWays {
  readonly state: Int32Array;
  /** Where in `state` the bytes of a read are, or its negative error. */
  readonly readAt: number;
  /** Where the error of a write is, beside the request that it answered. */
  readonly errorAt: number;
  readonly ShutdownWrap: new () => object;
}

interface Binding {
  readonly streamBaseState?: unknown;
  readonly kReadBytesOrError?: unknown;
  readonly kLastWriteErr?: unknown;
  readonly ShutdownWrap?: unknown;
}

/** The ways of this Node, or null where they are others. */
export function handleWays(): HandleWays | null {
  const { binding } = process as NodeJS.Process & { binding?: (name: string) => Binding };
  let found: Binding | undefined;
  try {
    found = binding?.call(process, 'stream_wrap');
  } catch {
    // With --permission nobody gets it.
    return null;
  }
  if (found === undefined) return null;
  const { streamBaseState: state, kReadBytesOrError: readAt, kLastWriteErr: errorAt, ShutdownWrap } = found;
  if (!(state instanceof Int32Array) || typeof ShutdownWrap !== 'function') return null;
  if (!isIndex(readAt, state) || !isIndex(errorAt, state)) return null;
  return { state, readAt, errorAt, ShutdownWrap: ShutdownWrap as new () => object };
}

function isIndex(value: unknown, of: Int32Array): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < of.length;
}
