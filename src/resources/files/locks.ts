// Locks of paths, held by accounts and shared by all protocols (RFC 4918 §6). They end with their time or the server.
import { randomUUID } from 'node:crypto';
import type { Caller } from '../../core/caller.ts';
import { BUSY, DENIED, FULL, INVALID, MISSING, OK, type Outcome } from '../../core/outcome.ts';
import type { Lock, Locks, LockWish } from './contract.ts';
import { FILE_LIMITS } from './limits.ts';

export class FileLocks implements Locks {
  private readonly byPath = new Map<string, Lock[]>();
  private readonly byAccount = new Map<string, number>();
  private count = 0;
  private readonly may: (caller: Caller, path: string) => Outcome;
  private readonly wall: () => number;

  constructor(may: (caller: Caller, path: string) => Outcome, wall: () => number) {
    this.may = may;
    this.wall = wall;
  }

  take(caller: Caller, path: string, wish: LockWish): Lock | Outcome {
    const allowed = this.may(caller, path);
    if (allowed !== OK) return allowed;
    if (Buffer.byteLength(wish.owner) > FILE_LIMITS.lockOwnerBytesMax) return INVALID;
    const others = this.on(path, wish.isDeep);
    if (others.some(({ isShared }) => !isShared || !wish.isShared)) return BUSY;
    if (this.count >= FILE_LIMITS.locksMax) this.sweep();
    const own = this.byAccount.get(caller.account) ?? 0;
    if (this.count >= FILE_LIMITS.locksMax || own >= FILE_LIMITS.locksPerAccountMax) return FULL;
    const timeoutMs = Math.min(wish.timeoutMs, FILE_LIMITS.lockMsMax);
    const token = `urn:uuid:${randomUUID()}`;
    const lock: Lock = { ...wish, token, path, account: caller.account, timeoutMs, until: this.wall() + timeoutMs };
    this.byPath.set(path, [...(this.byPath.get(path) ?? []), lock]);
    this.byAccount.set(caller.account, own + 1);
    this.count++;
    return lock;
  }

  refresh(caller: Caller, path: string, token: string, timeoutMs: number): Lock | Outcome {
    const lock = this.on(path).find((each) => each.token === token);
    if (lock === undefined) return MISSING;
    if (lock.account !== caller.account) return DENIED;
    const ms = Math.min(timeoutMs, FILE_LIMITS.lockMsMax);
    const renewed: Lock = { ...lock, timeoutMs: ms, until: this.wall() + ms };
    const all = this.byPath.get(lock.path)!;
    all[all.indexOf(lock)] = renewed;
    return renewed;
  }

  release(caller: Caller, path: string, token: string): Outcome {
    const lock = this.on(path).find((each) => each.token === token);
    if (lock === undefined) return MISSING;
    if (lock.account !== caller.account) return DENIED;
    this.drop(lock);
    return OK;
  }

  on(path: string, below = false): readonly Lock[] {
    if (this.count === 0) return [];
    const now = this.wall();
    const found: Lock[] = [];
    const look = (at: string, deepOnly: boolean) => {
      for (const lock of this.byPath.get(at) ?? []) {
        if (lock.until <= now) this.drop(lock);
        else if (!deepOnly || lock.isDeep) found.push(lock);
      }
    };
    look(path, false);
    for (let at = path; at !== ''; ) {
      at = at.slice(0, Math.max(0, at.lastIndexOf('/')));
      look(at, true);
    }
    if (!below) return found;
    const inside = path === '' ? '' : `${path}/`;
    for (const at of [...this.byPath.keys()]) if (at !== path && at.startsWith(inside)) look(at, false);
    return found;
  }

  /** Whether something is held by somebody who did not show one of these tokens: of shared locks, one is enough. */
  blocks(path: string, tokens: readonly string[] = [], below = false): boolean {
    const held = this.on(path, below);
    if (held.length === 0) return false;
    const places = new Set(held.map((lock) => lock.path));
    return [...places].some((at) => !held.some((lock) => lock.path === at && tokens.includes(lock.token)));
  }

  /** What is gone is not locked any more. */
  forget(path: string): void {
    const inside = `${path}/`;
    for (const [at, locks] of [...this.byPath]) {
      if (at !== path && !at.startsWith(inside)) continue;
      for (const lock of [...locks]) this.drop(lock);
    }
  }

  private sweep(): void {
    const now = this.wall();
    for (const locks of [...this.byPath.values()])
      for (const lock of [...locks]) if (lock.until <= now) this.drop(lock);
  }

  private drop(lock: Lock): void {
    const all = this.byPath.get(lock.path);
    if (all?.includes(lock) !== true) return;
    const others = all.filter((each) => each !== lock);
    if (others.length === 0) this.byPath.delete(lock.path);
    else this.byPath.set(lock.path, others);
    this.count--;
    const own = this.byAccount.get(lock.account)! - 1;
    if (own === 0) this.byAccount.delete(lock.account);
    else this.byAccount.set(lock.account, own);
  }
}
