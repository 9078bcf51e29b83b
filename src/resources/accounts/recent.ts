// Passwords that were right a short while ago, so that a client which sends its password with each request does not cost a
// slow hash each time. Known by a keyed digest alone: neither a password nor a plain hash of one is in memory.
import { hash } from 'node:crypto';
import type { Caller } from '../../core/caller.ts';
import type { Entropy } from '../../core/time.ts';

/** For so long a password that was checked is believed. */
const BELIEVED_MS = 600_000;
const RECENT_MAX = 10_000;

interface Recent {
  readonly caller: Caller;
  readonly until: number;
}

export class RecentPasswords {
  private readonly key: string;
  private readonly recent = new Map<string, Recent>();

  constructor(entropy: Entropy) {
    const key = new Uint8Array(32);
    entropy.fill(key);
    this.key = Buffer.from(key).toString('base64');
  }

  /** What stands for a password of an account from an address; of use in this process only. */
  digest(account: string, asker: string, password: string): string {
    return hash('sha256', `${this.key}\0${account}\0${asker}\0${password}`, 'base64');
  }

  /** Who it was that gave it, if it was right lately. Whether that still stands is for others to say. */
  of(digest: string, wall: number): Caller | null {
    const recent = this.recent.get(digest);
    return recent === undefined || wall >= recent.until ? null : recent.caller;
  }

  keep(digest: string, caller: Caller, wall: number): void {
    this.recent.delete(digest);
    if (this.recent.size >= RECENT_MAX) this.recent.delete(this.recent.keys().next().value!);
    this.recent.set(digest, { caller, until: wall + BELIEVED_MS });
  }

  forget(digest: string): void {
    this.recent.delete(digest);
  }
}
