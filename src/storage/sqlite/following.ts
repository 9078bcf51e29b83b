// One follower of a space: it joins what is stored with what is committed meanwhile, without a gap or a repeat. What it
// holds back while it replays is bounded; past the bound it reads further instead.
import { FAILED } from '../../core/outcome.ts';
import type { Entry, Follower } from '../engine.ts';
import { guarded } from './guarded.ts';
import { nextTurn, type SqliteSpace } from './space.ts';

/** Bytes of committed records that are held back during the replay. */
const HELD_MAX = 8 * 1_048_576;

/** What an entry costs beside its bytes. */
const ENTRY_COST = 200;

export class Follow {
  private readonly prefix: string;
  private readonly after: number;
  private readonly follower: Follower;
  private readonly space: SqliteSpace;
  /** The replay goes up to here; what commits above is in `held`. Only removals in `held` may be below. */
  private wanted: number;
  private held: Entry[] = [];
  private heldSize = 0;
  private live = false;
  private over = false;

  constructor(prefix: string, after: number, follower: Follower, space: SqliteSpace) {
    this.prefix = prefix;
    this.after = after;
    this.follower = follower;
    this.space = space;
    this.wanted = space.head;
  }

  begin(): void {
    this.run().catch(() => {
      if (this.over) return;
      this.stop();
      guarded(() => this.follower.failed(FAILED));
    });
  }

  stop(): void {
    this.over = true;
    this.held = [];
    this.space.unfollow(this);
  }

  /** A record has committed; called in sequence order. */
  committed(entry: Entry): void {
    if (this.over || !entry.key.startsWith(this.prefix)) return;
    if (this.live) {
      guarded(() => this.follower.entry(entry));
      return;
    }
    this.held.push(entry);
    this.heldSize += entry.bytes.length + ENTRY_COST;
    if (this.heldSize > HELD_MAX) this.readInstead(entry.sequence);
  }

  /** The store has all of these but the removals, of which it keeps nothing. */
  private readInstead(head: number): void {
    this.held = this.held.filter(({ removed }) => removed);
    this.heldSize = 0;
    this.wanted = head;
  }

  private async run(): Promise<void> {
    await nextTurn();
    let at = this.after;
    while (!this.over && at < this.wanted) {
      const upTo = this.wanted;
      await this.space.replay(this.prefix, false, at, upTo, (entry) => {
        this.giveRemoved(entry.sequence);
        if (!this.over) guarded(() => this.follower.entry(entry));
        return !this.over;
      });
      at = upTo;
    }
    if (this.over) return;
    const { held } = this;
    this.held = [];
    // From here on `committed` gives directly; nothing can commit before this has returned.
    this.live = true;
    for (const entry of held) if (!this.over) guarded(() => this.follower.entry(entry));
    if (!this.over) guarded(() => this.follower.live(this.space.head));
  }

  /** Removals that come before the replayed record with this sequence. */
  private giveRemoved(sequence: number): void {
    while (!this.over && this.held.length > 0 && this.held[0]!.sequence < sequence) {
      const removal = this.held.shift()!;
      guarded(() => this.follower.entry(removal));
    }
  }
}
