// One zone that lasts: its contents, its serial, its journal, and what the store keeps of it: a snapshot in pieces and the
// changes behind it. Changes are made one after the other, each seen once it is durable.
import { copyOf, u32 } from '../../bytes/reader.ts';
import { BUSY, FAILED, INVALID, OK, type Outcome, type Waiter } from '../../core/outcome.ts';
import { compareSerials, serialAt, TYPE } from '../../formats/dns/records.ts';
import { Batch } from '../../storage/batch.ts';
import type { Space } from '../../storage/engine.ts';
import { ADDED, applyChanges, Changes, eachChange, undoChanges } from './changes.ts';
import { APEX, ZoneContents } from './contents.ts';
import type { Changing, Delta, Grants, OtherServer, Pinned, Zone, ZoneKind } from './contract.ts';
import { NAMES_LIMITS } from './limits.ts';
import type { Network } from './networks.ts';
import type { ZoneSigning } from './signed-zone.ts';

export interface ZoneSettings {
  readonly name: string;
  readonly origin: Uint8Array;
  readonly kind: ZoneKind;
  readonly clients: readonly Network[] | null;
  readonly transfer: Grants;
  readonly update: Grants;
  readonly notify: readonly OtherServer[];
  readonly primaries: readonly OtherServer[];
}

/** What the store says of a zone beside its records. */
export interface ZoneState {
  readonly generation: number;
  readonly chunks: number;
  /** Of the master file that it was read from; '' for none. */
  readonly file: string;
  /** A secondary's: when it was last known to be as its primary's, in milliseconds since 1970. */
  readonly refreshed: number;
}

interface Waiting {
  /** Null: all of it is signed. */
  readonly changing: Changing | null;
  readonly waiter: Waiter;
  readonly token: number;
}

const NO_STATE: ZoneState = { generation: 0, chunks: 0, file: '', refreshed: 0 };

export class StoredZone implements Zone {
  readonly name: string;
  readonly origin: Uint8Array;
  readonly kind: ZoneKind;
  readonly clients: readonly Network[] | null;
  readonly transfer: Grants;
  readonly update: Grants;
  readonly notify: readonly OtherServer[];
  readonly primaries: readonly OtherServer[];
  contents: ZoneContents;
  usable = false;
  readonly hasTopics: boolean;
  state: ZoneState = NO_STATE;
  /** Signs it; null for one that is as it comes. */
  signing: ZoneSigning | null = null;
  private readonly space: Space;
  private readonly wall: () => number;
  private readonly changed: (zone: StoredZone, removed: number, added: number) => void;
  /** By which the store knows it. */
  readonly id: string;
  private pins = 0;
  private journal: Delta[] = [];
  private journalBytes = 0;
  private readonly waiting: Waiting[] = [];
  private busy = false;
  private kept = 0;
  private keptBytes = 0;

  constructor(
    settings: ZoneSettings,
    id: string,
    space: Space,
    wall: () => number,
    changed: (zone: StoredZone, removed: number, added: number) => void,
  ) {
    this.name = settings.name;
    this.origin = settings.origin;
    this.kind = settings.kind;
    this.hasTopics = settings.kind === 'own';
    this.clients = settings.clients;
    this.transfer = settings.transfer;
    this.update = settings.update;
    this.notify = settings.notify;
    this.primaries = settings.primaries;
    this.id = id;
    this.space = space;
    this.wall = wall;
    this.changed = changed;
    this.contents = new ZoneContents(settings.origin);
  }

  get isSigned(): boolean {
    return this.signing !== null;
  }

  get serial(): number {
    return serialOf(this.contents);
  }

  pin(): Pinned {
    const { contents } = this;
    this.pins++;
    let held = true;
    return {
      contents,
      release: () => {
        if (held && contents === this.contents) this.pins--;
        held = false;
      },
    };
  }

  since(serial: number): readonly Delta[] | null {
    if (serial === this.serial) return [];
    const first = this.journal.findIndex(({ from }) => from === serial);
    return first < 0 ? null : this.journal.slice(first);
  }

  // ---- from the store ----------------------------------------------------------------------------------------------

  /** Reads what the store has of it; false when that is nothing. */
  async load(): Promise<boolean> {
    const entry = await this.space.last(`state/${this.id}`);
    if (entry === null) return false;
    this.state = JSON.parse(Buffer.from(entry.bytes).toString()) as ZoneState;
    const contents = new ZoneContents(this.origin);
    for (let chunk = 0; chunk < this.state.chunks; chunk++) {
      const piece = await this.space.last(this.chunkKey(this.state.generation, chunk));
      if (piece === null) throw new Error(`the store has lost a part of the zone ${this.name}`);
      applyChanges(contents, piece.bytes);
    }
    this.contents = contents;
    await this.space.scan(`delta/${this.id}/${this.state.generation}/`, 0, ({ bytes }) => {
      this.applyKept(bytes);
      this.kept++;
      this.keptBytes += bytes.length;
      return true;
    });
    this.usable = contents.setOf(APEX, TYPE.SOA) !== 0;
    return true;
  }

  /** A kept change: SOA leaves, SOA comes, then the rest. */
  private applyKept(bytes: Uint8Array): void {
    const before = soaOf(this.contents);
    applyChanges(this.contents, bytes);
    const after = soaOf(this.contents);
    if (before === null || after === null) return;
    const rest = new Changes();
    eachChange(bytes, 0, bytes.length, (direction, name, type, ttl, data, end) => {
      if (type !== TYPE.SOA) rest.push(direction, bytes, name, type, ttl, bytes, data, end);
    });
    this.remember(before, after, rest.take());
  }

  private chunkKey(generation: number, chunk: number): string {
    return `snapshot/${this.id}/${generation}/${chunk}`;
  }

  /** Contents that are kept nowhere but in a file: nothing is written. */
  adopt(contents: ZoneContents, file: string): void {
    this.contents = contents;
    this.state = { ...this.state, file };
    this.usable = true;
  }

  // ---- changes -----------------------------------------------------------------------------------------------------

  change(changing: Changing, waiter: Waiter, token: number): void {
    if (this.waiting.length >= NAMES_LIMITS.waitingMax) {
      waiter.settled(token, BUSY, 0);
      return;
    }
    this.queue({ changing, waiter, token });
  }

  /** Signs all of it, where it is to be signed, has an SOA, and is not signed yet. */
  sign(waiter: Waiter, token: number): void {
    const wanted = this.signing !== null && !this.signing.isReady && soaOf(this.contents) !== null;
    if (wanted) this.queue({ changing: null, waiter, token });
    else waiter.settled(token, OK, 0);
  }

  private queue(waiting: Waiting): void {
    this.waiting.push(waiting);
    if (!this.busy) void this.work();
  }

  /** Goes on with roll-overs and with signatures whose end is near. */
  async resign(): Promise<void> {
    const { signing } = this;
    if (signing === null || signing.due > this.wall() || !(await signing.step())) return;
    this.change((contents) => signing.refresh(contents), NOBODY, 0);
  }

  /** Begins to replace a key; INVALID where it is not signed here, or that is under way. */
  async roll(role: 'ksk' | 'zsk'): Promise<Outcome> {
    const { signing } = this;
    if (signing === null || !(await signing.roll(role))) return INVALID;
    return new Promise((resolve) => {
      const settled = (_token: number, outcome: Outcome) => resolve(outcome);
      this.change((contents) => signing.refresh(contents), { settled }, 0);
    });
  }

  /** Signs all of it anew. */
  signAgain(): Promise<Outcome> {
    this.signing?.forget();
    return new Promise((resolve) => this.sign({ settled: (_token, outcome) => resolve(outcome) }, 0));
  }

  private async work(): Promise<void> {
    this.busy = true;
    try {
      for (let next = this.waiting.shift(); next !== undefined; next = this.waiting.shift()) {
        let outcome: Outcome = FAILED;
        try {
          outcome = await this.carryOut(next.changing);
        } finally {
          next.waiter.settled(next.token, outcome, this.serial);
        }
      }
    } finally {
      // A bug ends one change, and not those behind it.
      this.busy = false;
      if (this.waiting.length > 0) void this.work();
    }
  }

  private async carryOut(changing: Changing | null): Promise<Outcome> {
    const changes = changing === null ? new Changes() : changing(this.contents);
    if (typeof changes === 'number') return changes;
    if (changing !== null && changes.count === 0) return OK;
    if (changes.added > NAMES_LIMITS.changeRecordsMax && this.kind !== 'secondary') return INVALID;
    let whole = withSerial(this.contents, changes);
    if (whole === null) return FAILED;
    if (this.signing !== null) whole = changing === null ? await this.signedWhole(whole) : this.signed(whole);
    const { bytes, rest, after, removed, added } = whole;
    const outcome = await this.keep(bytes);
    if (outcome !== OK) {
      this.signing?.forget();
      return outcome;
    }
    const before = soaOf(this.contents);
    this.free();
    applyChanges(this.contents, bytes);
    if (before !== null) this.remember(before, after, rest);
    if (this.contents.isWasteful) this.contents = this.contents.compacted();
    this.usable = true;
    this.changed(this, removed, added);
    this.sign(NOBODY, 0);
    return OK;
  }

  /** A change with what is signed because of it: the contents have it for as long as that takes, and no longer. */
  private signed(whole: WholeChange): WholeChange {
    const { signing } = this;
    if (signing?.isReady !== true) return whole;
    this.free();
    applyChanges(this.contents, whole.bytes);
    try {
      return withMade(whole, signing.update(this.contents, whole.bytes));
    } finally {
      undoChanges(this.contents, whole.bytes);
    }
  }

  private async signedWhole(whole: WholeChange): Promise<WholeChange> {
    const state = this.contents.clone();
    applyChanges(state, whole.bytes);
    return withMade(whole, await this.signing!.whole(state));
  }

  /** Whoever still reads the present state keeps it. */
  private free(): void {
    if (this.pins === 0) return;
    this.contents = this.contents.clone();
    this.pins = 0;
  }

  private remember(before: Soa, after: Soa, changes: Uint8Array): void {
    const delta: Delta = {
      from: before.serial,
      to: after.serial,
      soaBefore: before.data,
      soaAfter: after.data,
      soaTtl: after.ttl,
      changes,
    };
    this.journal.push(delta);
    this.journalBytes += changes.length;
    const { journalMax, journalBytesMax } = NAMES_LIMITS;
    while (this.journal.length > journalMax || (this.journalBytes > journalBytesMax && this.journal.length > 1))
      this.journalBytes -= this.journal.shift()!.changes.length;
  }

  /** All of it becomes another: for a secondary that was transferred whole, and a file that was read again. */
  replace(contents: ZoneContents, file: string, waiter: Waiter, token: number): void {
    const done = async (): Promise<Outcome> => {
      const outcome = await this.snapshot(contents, { ...this.state, file });
      if (outcome !== OK) return outcome;
      const { records } = this.contents;
      this.pins = 0;
      this.contents = contents;
      // What was kept of changes leads to another state.
      this.journal = [];
      this.journalBytes = 0;
      this.usable = true;
      this.changed(this, records, contents.records);
      return OK;
    };
    void done().then(
      (outcome) => waiter.settled(token, outcome, this.serial),
      () => waiter.settled(token, FAILED, 0),
    );
  }

  /** Says when a secondary was last as its primary. */
  async refreshed(): Promise<Outcome> {
    this.state = { ...this.state, refreshed: this.wall() };
    return this.commit((batch) => this.putState(batch, this.state));
  }

  // ---- into the store ----------------------------------------------------------------------------------------------

  private async keep(bytes: Uint8Array): Promise<Outcome> {
    const { chunks, generation } = this.state;
    const { keptChangesBytes } = NAMES_LIMITS;
    const tooMuch = this.keptBytes + bytes.length > Math.max(keptChangesBytes, this.contents.bytes / 2);
    // The first change of what came from a file, and now and then: the state before it is written whole.
    if (chunks === 0 || tooMuch) {
      const outcome = await this.snapshot(this.contents, this.state);
      if (outcome !== OK) return outcome;
    }
    const key = `delta/${this.id}/${this.state.generation === generation ? generation : this.state.generation}/`;
    const outcome = await this.commit((batch) =>
      batch.put(`${key}${String(this.kept).padStart(10, '0')}`, bytes, 0, bytes.length),
    );
    if (outcome !== OK) return outcome;
    this.kept++;
    this.keptBytes += bytes.length;
    return OK;
  }

  /** Writes a state whole under a fresh generation, and makes it the one that counts with one record. */
  private async snapshot(contents: ZoneContents, state: ZoneState): Promise<Outcome> {
    const former = this.state;
    const generation = former.generation + 1;
    let chunks = 0;
    let outcome: Outcome = OK;
    for (const piece of piecesOf(contents)) {
      outcome = await this.commit((batch) => batch.put(this.chunkKey(generation, chunks), piece, 0, piece.length));
      if (outcome !== OK) return outcome;
      chunks++;
    }
    const next: ZoneState = { ...state, generation, chunks };
    outcome = await this.commit((batch) => this.putState(batch, next));
    if (outcome !== OK) return outcome;
    const { kept } = this;
    this.state = next;
    this.kept = 0;
    this.keptBytes = 0;
    await this.drop(former, kept);
    return OK;
  }

  /** What the former generation left is of no more use; what a crash leaves is swept at start. */
  private async drop({ generation, chunks }: ZoneState, kept: number): Promise<void> {
    const keys: string[] = [];
    for (let chunk = 0; chunk < chunks; chunk++) keys.push(this.chunkKey(generation, chunk));
    for (let index = 0; index < kept; index++)
      keys.push(`delta/${this.id}/${generation}/${String(index).padStart(10, '0')}`);
    for (let at = 0; at < keys.length; at += 500)
      await this.commit((batch) => {
        for (const key of keys.slice(at, at + 500)) batch.remove(key);
      });
  }

  private putState(batch: Batch, state: ZoneState): void {
    const bytes = Buffer.from(JSON.stringify(state));
    batch.put(`state/${this.id}`, bytes, 0, bytes.length);
  }

  private commit(fill: (batch: Batch) => void): Promise<Outcome> {
    const batch = new Batch(this.wall());
    fill(batch);
    return new Promise((resolve) => {
      this.space.commit(batch, { settled: (_token, outcome) => resolve(outcome) }, 0);
    });
  }
}

interface Soa {
  readonly data: Uint8Array;
  readonly ttl: number;
  readonly serial: number;
}

export function soaOf(contents: ZoneContents): Soa | null {
  const set = contents.setOf(APEX, TYPE.SOA);
  if (set === 0) return null;
  const at = contents.firstRecord(set);
  const data = copyOf(contents.arena, at, contents.recordEnd(at));
  return { data, ttl: contents.ttlOf(set), serial: u32(data, serialAt(data, 0)) };
}

export function serialOf(contents: ZoneContents): number {
  return soaOf(contents)?.serial ?? 0;
}

/** SOA data with another serial. */
export function withSoaSerial(data: Uint8Array, serial: number): Uint8Array {
  const copy = copyOf(data, 0, data.length);
  const at = serialAt(copy, 0);
  copy.set([serial >>> 24, serial >>> 16, serial >>> 8, serial], at);
  return copy;
}

/** A change as it is kept: all of it, all but SOA, and the SOA behind it. */
interface WholeChange {
  readonly bytes: Uint8Array;
  readonly rest: Uint8Array;
  readonly after: Soa;
  readonly removed: number;
  readonly added: number;
}

const NOBODY: Waiter = { settled() {} };

function withMade(whole: WholeChange, made: Changes): WholeChange {
  const bytes = made.take();
  return { ...whole, bytes: Buffer.concat([whole.bytes, bytes]), rest: Buffer.concat([whole.rest, bytes]) };
}

/** The changes with SOA leaving and coming before them: the one that they bring, or the present one with the next serial. */
function withSerial(contents: ZoneContents, changes: Changes): WholeChange | null {
  const before = soaOf(contents);
  const rest = new Changes();
  let after: Soa | null = null;
  changes.each((direction, name, type, ttl, data, end, bytes) => {
    if (type !== TYPE.SOA) rest.push(direction, bytes, name, type, ttl, bytes, data, end);
    else if (direction === ADDED) {
      const soa = copyOf(bytes, data, end);
      after = { data: soa, ttl, serial: u32(soa, serialAt(soa, 0)) };
    }
  });
  after ??= before === null ? null : nextSoa(before);
  if (after === null) return null;
  const { removed, added } = rest;
  const restBytes = rest.take();
  const all = new Changes();
  const { origin } = contents;
  if (before !== null) all.push(0, origin, 0, TYPE.SOA, before.ttl, before.data, 0, before.data.length);
  all.push(ADDED, origin, 0, TYPE.SOA, after.ttl, after.data, 0, after.data.length);
  eachChange(restBytes, 0, restBytes.length, (direction, name, type, ttl, data, end, bytes) =>
    all.push(direction, bytes, name, type, ttl, bytes, data, end),
  );
  return { bytes: all.take(), rest: restBytes, after, removed, added };
}

function nextSoa({ data, ttl, serial }: Soa): Soa {
  // 0 is not the successor of the last (RFC 2136 §7.11).
  const next = (serial + 1) >>> 0 || 1;
  return { data: withSoaSerial(data, next), ttl, serial: next };
}

/** Whether a serial is newer than another (RFC 1982). */
export function isNewer(serial: number, than: number): boolean {
  return compareSerials(serial, than) > 0;
}

function* piecesOf(contents: ZoneContents): Generator<Uint8Array> {
  let piece = new Changes();
  for (let node = 1; node < contents.nodesEnd; node++) {
    contents.eachAt(node, (name, type, ttl, data, end) =>
      piece.push(ADDED, contents.arena, name, type, ttl, contents.arena, data, end),
    );
    if (piece.size < NAMES_LIMITS.chunkBytes) continue;
    yield piece.take();
    piece = new Changes();
  }
  yield piece.take();
}
