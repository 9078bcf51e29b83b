// Masking keys of a client (RFC 6455 §5.3): from strong chance, a new one for each frame.
import { u32 } from '../../bytes/reader.ts';
import type { Entropy } from '../../core/time.ts';

/** Taken from the entropy at once: one call for many frames. */
const STOCK = 256;

export class MaskingKeys {
  private readonly entropy: Entropy;
  private readonly stock = new Uint8Array(STOCK);
  private at = STOCK;

  constructor(entropy: Entropy) {
    this.entropy = entropy;
  }

  next(): number {
    if (this.at === STOCK) {
      this.entropy.fill(this.stock);
      this.at = 0;
    }
    const key = u32(this.stock, this.at);
    this.at += 4;
    return key | 0;
  }
}
