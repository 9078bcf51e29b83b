// A zone that this server signs: its keys, which last with it, and what the signer makes of each change before it is durable,
// so that what is answered is always signed as it stands.
import { copyOf } from '../../bytes/reader.ts';
import { OK, type Outcome } from '../../core/outcome.ts';
import { nameEnd, within } from '../../formats/dns/name.ts';
import { rdataText, TYPE } from '../../formats/dns/records.ts';
import type { RecordSet } from '../../formats/dnssec/canonical.ts';
import {
  DIGEST_SHA256,
  generateKey,
  makeDelegationSigner,
  type SigningKey,
  signingKey,
} from '../../formats/dnssec/keys.ts';
import { PLAIN_NSEC3 } from '../../formats/dnssec/nsec.ts';
import { Batch } from '../../storage/batch.ts';
import type { Space } from '../../storage/engine.ts';
import { ADDED, Changes, eachChange, REMOVED } from './changes.ts';
import { APEX, type ZoneContents } from './contents.ts';
import { firstKeys, KEY_TIMING, type KeyLife, KeyRing, type KeyState, type KeyTiming } from './key-ring.ts';
import { SIGNING_POLICY, type SignedChange, type Touched, ZoneSigner, type ZoneSource } from './zone-signer.ts';

export interface SigningSettings {
  /** 13 ECDSA P-256, 14 ECDSA P-384, 15 Ed25519. */
  readonly algorithm: number;
  readonly nsec3: boolean;
  /** Where it is not as is usual. */
  readonly timing?: Partial<KeyTiming>;
}

/** A key as the store has it. */
interface KeptKey extends Omit<KeyLife, 'key'> {
  readonly algorithm: number;
  /** PKCS #8 in PEM. */
  readonly secret: string;
}

/** Records that a signer makes wherever they stand, and at the apex. */
const MADE: ReadonlySet<number> = new Set([TYPE.RRSIG, TYPE.NSEC, TYPE.NSEC3]);
const MADE_AT_APEX: ReadonlySet<number> = new Set([TYPE.DNSKEY, TYPE.NSEC3PARAM, TYPE.CDS, TYPE.CDNSKEY]);

/** Whether records of a type are a signer's to make, where they stand. */
export function isMadeBySigner(type: number, atApex: boolean): boolean {
  return MADE.has(type) || (atApex && MADE_AT_APEX.has(type));
}

/** A key as it is shown: all but its secret. */
export interface ShownKey {
  readonly role: 'ksk' | 'zsk';
  readonly tag: number;
  readonly algorithm: number;
  readonly state: KeyState;
  /** Seconds since 1970. */
  readonly since: number;
  /** Since when the parent is known to have its DS; null where it is not. */
  readonly seen: number | null;
  /** What the parent is to have for it, as text; '' for a key that signs no keys, or is not wanted there. */
  readonly ds: string;
}

/** Contents as the signer sees them. */
class ContentsSource implements ZoneSource {
  readonly apex: Buffer;
  private readonly contents: ZoneContents;

  constructor(contents: ZoneContents) {
    this.contents = contents;
    this.apex = Buffer.from(contents.origin);
  }

  *setsAt(name: Buffer): Generator<RecordSet> {
    const { contents } = this;
    const node = contents.find(name, 0);
    for (let set = node === 0 ? 0 : contents.firstSet(node); set !== 0; set = contents.nextSet(set)) {
      const data: Buffer[] = [];
      let record = contents.firstRecord(set);
      for (let left = contents.countOf(set); left > 0; left--) {
        const end = contents.recordEnd(record);
        data.push(copyOf(contents.arena, record, end));
        record = end + 2;
      }
      yield { name, type: contents.typeOf(set), ttl: contents.ttlOf(set), data };
    }
  }

  *namesWithin(name: Buffer): Generator<Buffer> {
    const { contents } = this;
    for (let node = 1; node < contents.nodesEnd; node++) {
      const at = contents.name(node);
      if (contents.firstSet(node) === 0 || within(contents.arena, at, name) < 0) continue;
      yield copyOf(contents.arena, at, nameEnd(contents.arena, at));
    }
  }
}

export class ZoneSigning {
  private readonly settings: SigningSettings;
  private readonly space: Space;
  private readonly key: string;
  private readonly wall: () => number;
  private ring: KeyRing | null = null;
  private signer: ZoneSigner | null = null;

  /** @param id by which the store knows the zone */
  constructor(settings: SigningSettings, space: Space, id: string, wall: () => number) {
    this.settings = settings;
    this.space = space;
    this.key = `keys/${id}`;
    this.wall = wall;
  }

  /** All of the zone is signed, and changes are. */
  get isReady(): boolean {
    return this.signer !== null;
  }

  private get now(): number {
    return Math.floor(this.wall() / 1_000);
  }

  private get timing(): KeyTiming {
    return { ...KEY_TIMING, ...this.settings.timing };
  }

  private readonly make = (role: 'ksk' | 'zsk'): SigningKey => generateKey(this.settings.algorithm, role);

  private async openRing(apex: Buffer): Promise<KeyRing> {
    const entry = await this.space.last(this.key);
    if (entry !== null) {
      const kept = JSON.parse(Buffer.from(entry.bytes).toString()) as KeptKey[];
      const lives = kept.map(({ algorithm, secret, ...life }) => ({
        ...life,
        key: signingKey(algorithm, life.role, secret),
      }));
      return new KeyRing(apex, lives, this.timing);
    }
    const ring = new KeyRing(apex, firstKeys(this.make, this.now), this.timing);
    const outcome = await this.keepKeys(ring);
    if (outcome !== OK) throw new Error('the keys of a zone could not be kept');
    return ring;
  }

  private keepKeys(ring: KeyRing): Promise<Outcome> {
    const kept: KeptKey[] = ring.all.map(({ key, ...life }) => ({
      ...life,
      algorithm: key.algorithm,
      secret: key.private.export({ type: 'pkcs8', format: 'pem' }) as string,
    }));
    const bytes = Buffer.from(JSON.stringify(kept));
    const batch = new Batch(this.wall());
    batch.put(this.key, bytes, 0, bytes.length);
    return new Promise((resolve) => {
      this.space.commit(batch, { settled: (_token, outcome) => resolve(outcome) }, 0);
    });
  }

  /**
   * Signs all of a state, in slices: what is to change in it. What was made before and is of no more use leaves. The state must
   * stay as it is until then.
   */
  async whole(contents: ZoneContents): Promise<Changes> {
    const source = new ContentsSource(contents);
    this.ring ??= await this.openRing(source.apex);
    const policy = { ...SIGNING_POLICY, nsec3: this.settings.nsec3 ? PLAIN_NSEC3 : null };
    const signer = new ZoneSigner(source.apex, this.ring.keys(), policy);
    const steps = signer.sign(source, this.now);
    let step = steps.next();
    while (step.done !== true) {
      await new Promise((resolve) => setImmediate(resolve));
      step = steps.next();
    }
    const changes = new Changes();
    for (let node = 1; node < contents.nodesEnd; node++)
      contents.eachAt(node, (name, type, ttl, data, end) => {
        if (MADE.has(type) || (node === APEX && MADE_AT_APEX.has(type)))
          changes.push(REMOVED, contents.arena, name, type, ttl, contents.arena, data, end);
      });
    pushSets(changes, ADDED, step.value.added);
    this.signer = signer;
    return changes;
  }

  /** What the signer makes of a change, which the contents have already. */
  update(contents: ZoneContents, bytes: Uint8Array): Changes {
    const touched: Touched[] = [];
    eachChange(bytes, 0, bytes.length, (_direction, name, type) => {
      if (!MADE.has(type)) touched.push({ name: copyOf(bytes, name, nameEnd(bytes, name)), type });
    });
    return changesOf(this.signer!.update(new ContentsSource(contents), touched, this.now));
  }

  /** Something was signed that is not kept: it is all signed again. */
  forget(): void {
    this.signer = null;
  }

  /** When `refresh` has something to do, in milliseconds since 1970. */
  get due(): number {
    if (this.signer === null || this.ring === null) return Number.POSITIVE_INFINITY;
    return Math.min(this.signer.due, this.ring.due) * 1_000;
  }

  /** Goes on with the roll-over of keys; true once there is something to change. Its keys are durable then. */
  async step(): Promise<boolean> {
    const { ring, signer } = this;
    if (ring === null || signer === null) return false;
    this.rolled = ring.step(this.now, this.make) || this.rolled;
    if (this.rolled && (await this.keepKeys(ring)) !== OK) return false;
    return this.rolled || signer.due <= this.now;
  }
  private rolled = false;

  /** The keys, as they are shown. */
  shown(apex: Uint8Array): ShownKey[] {
    const owner = copyOf(apex, 0, apex.length);
    return (this.ring?.all ?? []).map(({ role, key, state, since, seen }) => {
      const signer = role === 'ksk' && state !== 'leaving' ? makeDelegationSigner(owner, key, DIGEST_SHA256) : null;
      const ds = signer === null ? '' : rdataText(TYPE.DS, signer, 0, signer.length);
      return { role, tag: key.tag, algorithm: key.algorithm, state, since, seen, ds };
    });
  }

  /** Begins to replace a key: true, and the zone has to be refreshed; false where that is under way already. */
  async roll(role: 'ksk' | 'zsk'): Promise<boolean> {
    const { ring } = this;
    if (ring === null || this.signer === null || !ring.roll(role, this.now, this.make)) return false;
    this.rolled = true;
    return (await this.keepKeys(ring)) === OK;
  }

  /** Whether what the parent has would tell anything new: a key waits for it, or is not known to be there. */
  get waitsForParent(): boolean {
    return (this.ring?.all ?? []).some(
      ({ role, state, seen }) => role === 'ksk' && (state === 'leaving' || (seen === null && state !== 'withdrawn')),
    );
  }

  /** What the parent answers for the DS set, as key tags. Keys go on by it, at the next step. */
  async parentHas(tags: ReadonlySet<number>): Promise<void> {
    const { ring } = this;
    if (ring === null || !ring.parentHas(tags, this.now)) return;
    await this.keepKeys(ring);
  }

  /** Signatures whose end is near are made anew, and what other keys are to sign. */
  refresh(contents: ZoneContents): Changes {
    const source = new ContentsSource(contents);
    const { ring, signer, now } = this;
    if (ring === null || signer === null) return new Changes();
    const changes = changesOf(signer.refresh(source, now));
    if (!this.rolled) return changes;
    this.rolled = false;
    const steps = signer.rekey(source, ring.keys(), now);
    let step = steps.next();
    while (step.done !== true) step = steps.next();
    pushSets(changes, REMOVED, step.value.removed);
    pushSets(changes, ADDED, step.value.added);
    return changes;
  }
}

function changesOf({ removed, added }: SignedChange): Changes {
  const changes = new Changes();
  pushSets(changes, REMOVED, removed);
  pushSets(changes, ADDED, added);
  return changes;
}

function pushSets(changes: Changes, direction: typeof ADDED | typeof REMOVED, sets: readonly RecordSet[]): void {
  for (const { name, type, ttl, data } of sets)
    for (const each of data) changes.push(direction, name, 0, type, ttl, each, 0, each.length);
}
