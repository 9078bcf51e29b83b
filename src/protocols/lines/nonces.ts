// Nonces that show that an address can receive: made from the address, the time and a secret, so that nothing has to be
// remembered of those who only pretend to be somewhere.
import { createHmac, timingSafeEqual } from 'node:crypto';
import { type Address, addressText } from '../../core/peer.ts';
import type { Clock, Entropy } from '../../core/time.ts';

export class Nonces {
  private readonly secret = new Uint8Array(32);
  private readonly ms: number;

  /** @param ms how long a nonce holds at least; twice that at most */
  constructor(entropy: Entropy, ms: number) {
    entropy.fill(this.secret);
    this.ms = ms;
  }

  /** The nonce of an address: 16 hexadecimal digits. */
  make(address: Address, clock: Clock): string {
    return this.at(address, Math.floor(clock.now / this.ms));
  }

  holds(address: Address, nonce: string, clock: Clock): boolean {
    if (nonce.length !== 16) return false;
    const given = Buffer.from(nonce);
    const period = Math.floor(clock.now / this.ms);
    for (let back = 0; back < 2; back++)
      if (timingSafeEqual(given, Buffer.from(this.at(address, period - back)))) return true;
    return false;
  }

  private at(address: Address, period: number): string {
    const made = createHmac('sha256', this.secret).update(`${addressText(address)} ${period}`);
    return made.digest('hex').slice(0, 16);
  }
}
