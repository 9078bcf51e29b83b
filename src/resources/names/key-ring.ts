// Key roll-over without a gap: zone-signing keys are published before they sign, key-signing keys are announced to the parent
// by CDS and CDNSKEY before they replace another (RFC 7583 §3.2.1, §3.3.3; RFC 7344, RFC 8078). The time, and what the parent
// has, are handed in.
import {
  DELETE_CDNSKEY,
  DELETE_CDS,
  DIGEST_SHA256,
  makeDelegationSigner,
  type SigningKey,
} from '../../formats/dnssec/keys.ts';
import type { ZoneKeys } from './zone-signer.ts';

/** Seconds. */
export interface KeyTiming {
  /** The TTL of the DNSKEY, CDS and CDNSKEY sets. */
  readonly dnskeyTtl: number;
  /** The largest TTL within the zone. */
  readonly zoneTtlMax: number;
  /** The TTL of the parent's DS set. */
  readonly dsTtl: number;
  /** How long a change takes to all our secondaries, and to all the parent's. */
  readonly propagation: number;
  readonly parentPropagation: number;
  /** How long a key signs before another takes its place; Infinity for as long as nobody asks. */
  readonly zskLife: number;
  readonly kskLife: number;
}

export const KEY_TIMING: KeyTiming = {
  dnskeyTtl: 3_600,
  zoneTtlMax: 86_400,
  dsTtl: 86_400,
  propagation: 3_600,
  parentPropagation: 3_600,
  zskLife: 90 * 86_400,
  kskLife: Number.POSITIVE_INFINITY,
};

/**
 * The life of a key. Zone-signing: `published`, `active`, `retired` (its signatures may still be cached). Key-signing:
 * `announced` (asked for at the parent, not yet in the zone), `active`, `withdrawn` (out of the zone, its DS still wanted),
 * `leaving` (its DS no longer wanted, and still there).
 */
export type KeyState = 'announced' | 'published' | 'active' | 'retired' | 'withdrawn' | 'leaving';

export interface KeyLife {
  readonly role: 'ksk' | 'zsk';
  readonly key: SigningKey;
  readonly state: KeyState;
  /** Since when it is in its state. */
  readonly since: number;
  /** Since when the parent is known to have its DS; null when it is not. */
  readonly seen: number | null;
}

export type MakeKey = (role: 'ksk' | 'zsk') => SigningKey;

export class KeyRing {
  private lives: readonly KeyLife[];
  private readonly apex: Buffer;
  private readonly timing: KeyTiming;
  /** The parent is asked to end the chain (RFC 8078 §4). */
  private ending = false;

  /** @param lives as `all` gave them, or `firstKeys` for a zone that had none */
  constructor(apex: Buffer, lives: readonly KeyLife[], timing: KeyTiming = KEY_TIMING) {
    this.apex = apex;
    this.lives = lives;
    this.timing = timing;
  }

  get all(): readonly KeyLife[] {
    return this.lives;
  }

  /** Begins to replace the signing key of a role; false when that is under way already. */
  roll(role: 'ksk' | 'zsk', now: number, make: MakeKey): boolean {
    const own = this.lives.filter((life) => life.role === role);
    if (own.some(({ state }) => state !== 'active')) return false;
    const state = role === 'ksk' ? 'announced' : 'published';
    this.lives = [...this.lives, { role, key: make(role), state, since: now, seen: null }];
    return true;
  }

  /** Asks the parent to take every DS away, or takes that back. The zone must stay signed until it has. */
  end(ending: boolean): void {
    this.ending = ending;
  }

  /** What the parent's servers answer for the DS set: the key tags in it, as seen by all of them. True where that is news. */
  parentHas(tags: ReadonlySet<number>, now: number): boolean {
    const before = this.lives;
    this.lives = before.map((life) => {
      if (life.role === 'zsk') return life;
      const has = tags.has(life.key.tag);
      return has === (life.seen !== null) ? life : { ...life, seen: has ? now : null };
    });
    return this.lives.some((life, index) => life !== before[index]);
  }

  /** Goes on as far as the time allows; true when the keys of the zone are others now. */
  step(now: number, make: MakeKey): boolean {
    const before = this.lives;
    for (const role of ['zsk', 'ksk'] as const) {
      const life = role === 'zsk' ? this.timing.zskLife : this.timing.kskLife;
      const active = this.lives.find((one) => one.role === role && one.state === 'active');
      if (active !== undefined && now >= active.since + life) this.roll(role, now, make);
    }
    for (let again = true; again; ) {
      const next = this.lives.find((life) => now >= this.ripe(life));
      again = next !== undefined;
      if (next !== undefined) this.advance(next, now);
    }
    return this.lives !== before;
  }

  /** When `step` has something to do by time alone; Infinity when it waits for the parent, or for nothing. */
  get due(): number {
    let first = Number.POSITIVE_INFINITY;
    for (const life of this.lives) {
      first = Math.min(first, this.ripe(life));
      if (life.state === 'active')
        first = Math.min(first, life.since + (life.role === 'zsk' ? this.timing.zskLife : this.timing.kskLife));
    }
    return first;
  }

  /** When a key may go on to its next state. */
  private ripe({ state, since, seen }: KeyLife): number {
    const { dnskeyTtl, zoneTtlMax, dsTtl, propagation, parentPropagation } = this.timing;
    // Ipub of RFC 7583 §3.2.1: every cache that has the set of keys has the new one in it.
    if (state === 'published') return since + dnskeyTtl + propagation;
    // Iret: no cache has a signature of the old key any more.
    if (state === 'retired') return since + Math.max(zoneTtlMax, dnskeyTtl) + propagation;
    // Every cache that has the DS set has the new one in it; the child follows only then.
    if (state === 'announced')
      return seen === null ? Number.POSITIVE_INFINITY : Math.max(since, seen) + dsTtl + parentPropagation;
    if (state === 'withdrawn') return since + dnskeyTtl + propagation;
    if (state === 'leaving') return seen === null ? since : Number.POSITIVE_INFINITY;
    return Number.POSITIVE_INFINITY;
  }

  private advance(life: KeyLife, now: number): void {
    const { role, state } = life;
    if (state === 'retired' || state === 'leaving') {
      this.lives = this.lives.filter((one) => one !== life);
      return;
    }
    if (state === 'withdrawn') {
      this.lives = this.lives.map((one) => (one === life ? { ...one, state: 'leaving', since: now } : one));
      return;
    }
    const after = role === 'zsk' ? 'retired' : 'withdrawn';
    this.lives = this.lives.map((one) => {
      if (one === life) return { ...one, state: 'active', since: now };
      return one.role === role && one.state === 'active' ? { ...one, state: after, since: now } : one;
    });
  }

  /** What the zone is to hold and be signed with now. */
  keys(): ZoneKeys {
    const { lives, apex } = this;
    const active = (role: string) =>
      lives.filter((one) => one.role === role && one.state === 'active').map(({ key }) => key);
    const inZone = lives.filter(({ state }) => state === 'published' || state === 'active' || state === 'retired');
    const wanted = lives.filter(({ role, state }) => role === 'ksk' && state !== 'leaving').map(({ key }) => key);
    const keySigning = active('ksk');
    const zoneSigning = active('zsk');
    return {
      keySigning,
      zoneSigning: zoneSigning.length > 0 ? zoneSigning : keySigning,
      published: inZone.map(({ key }) => key.data),
      cds: this.ending ? [DELETE_CDS] : wanted.map((key) => makeDelegationSigner(apex, key, DIGEST_SHA256)),
      cdnskey: this.ending ? [DELETE_CDNSKEY] : wanted.map(({ data }) => data),
      ttl: this.timing.dnskeyTtl,
    };
  }
}

/** The first keys of a zone: both sign at once, since nothing is cached yet. */
export function firstKeys(make: MakeKey, now: number): KeyLife[] {
  return (['ksk', 'zsk'] as const).map((role) => ({ role, key: make(role), state: 'active', since: now, seen: null }));
}
