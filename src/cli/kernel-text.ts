// The kernel's figures of a connection in one line.
import type { KernelFigures } from '../core/tap.ts';

/** The figures that tell most; all of them are in `--json`. */
export function kernelText(kernel: KernelFigures): string {
  const ms = (us: number) => `${(us / 1_000).toFixed(us < 10_000 ? 3 : 1)} ms`;
  const parts = [
    `round trip ${ms(kernel.roundTripUs)} ± ${ms(kernel.roundTripVarianceUs)}`,
    `sent again ${kernel.retransmits}`,
    `window ${kernel.congestionWindow} × ${kernel.segmentBytes} B`,
  ];
  if (kernel.unackedSegments > 0) parts.push(`under way ${kernel.unackedSegments}`);
  if (kernel.deliveryRate !== null) parts.push(`${(kernel.deliveryRate / 1e6).toFixed(1)} MB/s`);
  return parts.join(', ');
}
