// Storage for bytes on their way: lent by size class and given back, so that an idle connection holds none. It does not
// know what the bytes are.

const CLASSES = [512, 4_096, 16_384, 65_536, 262_144] as const;

/** How many free buffers of one size class are kept; what comes back beyond it is left to the collector. */
const KEPT = [4_096, 1_024, 256, 64, 32] as const;

const free: Buffer[][] = CLASSES.map(() => []);

/** A buffer of at least `size` bytes. Give it back with {@link giveBack} once nobody can still read it. */
export function lend(size: number): Buffer {
  for (let index = 0; index < CLASSES.length; index++) {
    const length = CLASSES[index]!;
    if (size <= length) return free[index]!.pop() ?? Buffer.allocUnsafeSlow(length);
  }
  return Buffer.allocUnsafeSlow(size);
}

/** Takes a whole buffer from {@link lend} back; one of another size is ignored. */
export function giveBack(buffer: Buffer): void {
  const index = CLASSES.indexOf(buffer.length as (typeof CLASSES)[number]);
  if (index < 0 || buffer.byteOffset !== 0 || buffer.length !== buffer.buffer.byteLength) return;
  const list = free[index]!;
  if (list.length < KEPT[index]!) list.push(buffer);
}
