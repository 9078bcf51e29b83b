// What was found behind a token that was slow to verify, for as long as that is good; known by a keyed digest alone.
import { hash } from 'node:crypto';
import type { Entropy } from '../../core/time.ts';

const RECENT_MAX = 10_000;

export class RecentTokens<Found> {
  private readonly key: string;
  private readonly recent = new Map<string, { readonly found: Found; readonly until: number }>();

  constructor(entropy: Entropy) {
    const key = new Uint8Array(32);
    entropy.fill(key);
    this.key = Buffer.from(key).toString('base64');
  }

  of(token: string, wall: number): Found | null {
    const recent = this.recent.get(this.digest(token));
    return recent === undefined || wall >= recent.until ? null : recent.found;
  }

  keep(token: string, found: Found, until: number): void {
    if (this.recent.size >= RECENT_MAX) this.recent.delete(this.recent.keys().next().value!);
    this.recent.set(this.digest(token), { found, until });
  }

  private digest(token: string): string {
    return hash('sha256', `${this.key}\0${token}`, 'base64');
  }
}
