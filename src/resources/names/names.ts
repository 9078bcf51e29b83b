// The names of a server: its zones by name and by client, who may do what with them, and their events. It does not know how
// questions come in.
import type { Caller } from '../../core/caller.ts';
import { type Outcome, UNSUPPORTED, type Waiter } from '../../core/outcome.ts';
import type { Permissions } from '../../core/permissions.ts';
import { hashName, nameFrom, nameText, sameName } from '../../formats/dns/name.ts';
import { TYPE } from '../../formats/dns/records.ts';
import { ADDED, Changes, difference, REMOVED } from './changes.ts';
import type { ZoneContents } from './contents.ts';
import type { Changing, Names, Zone } from './contract.ts';
import { NAMES_LIMITS } from './limits.ts';
import { type AnswerSink, Lookup } from './lookup.ts';
import { isAmong } from './networks.ts';
import { type StoredZone, soaOf } from './zone.ts';

/** What is told of a zone, as the topic `names/<zone>`. */
export interface NameEvent {
  readonly event: 'changed' | 'refreshed' | 'expired';
  readonly zone: string;
  readonly serial: number;
  readonly removed?: number;
  readonly added?: number;
}

export interface NamesOptions {
  readonly permissions: Permissions;
  readonly told: (event: NameEvent) => void;
}

export class ZoneNames implements Names {
  epoch = 1;
  hasViews = false;
  private readonly options: NamesOptions;
  private readonly byHash = new Map<number, StoredZone[]>();
  private readonly all: StoredZone[] = [];
  private readonly listeners = new Set<(zone: Zone) => void>();
  private lookup: Lookup | null = null;

  constructor(options: NamesOptions) {
    this.options = options;
  }

  /** Zones of one name are asked in the order in which they were added. */
  enter(zone: StoredZone): void {
    if (this.all.length >= NAMES_LIMITS.zonesMax) throw new RangeError(`more than ${NAMES_LIMITS.zonesMax} zones`);
    const hash = hashName(zone.origin);
    this.byHash.set(hash, [...(this.byHash.get(hash) ?? []), zone]);
    this.all.push(zone);
    if (zone.clients !== null) this.hasViews = true;
    this.epoch++;
  }

  zoneOf(name: Uint8Array, at: number, client: string, above: boolean): Zone | null {
    let from = at;
    if (above && name[at] !== 0) from += name[at]! + 1;
    const found = this.longest(name, from, client);
    // There is no zone above: then it is the name's own (RFC 4035 §3.1.4.1).
    return found ?? (above ? this.longest(name, at, client) : null);
  }

  private longest(name: Uint8Array, at: number, client: string): Zone | null {
    for (;;) {
      const zones = this.byHash.get(hashName(name, at));
      if (zones !== undefined)
        for (const zone of zones)
          if (sameName(zone.origin, 0, name, at) && (zone.clients === null || isAmong(client, zone.clients)))
            return zone;
      if (name[at] === 0) return null;
      at += name[at]! + 1;
    }
  }

  zoneNamed(name: string): Zone | null {
    const wire = nameFrom(name);
    if (wire === null) return null;
    return this.all.find(({ origin }) => sameName(origin, 0, wire, 0)) ?? null;
  }

  zones(): readonly StoredZone[] {
    return this.all;
  }

  answer(
    zone: Zone,
    sink: AnswerSink,
    name: Uint8Array,
    nameAt: number,
    qtype: number,
    signed: boolean,
    whole: boolean,
  ): number {
    this.lookup ??= new Lookup(zone.contents, sink);
    return this.lookup.answer(zone.contents, sink, name, nameAt, qtype, signed, whole);
  }

  get referred(): boolean {
    return this.lookup?.referral === true;
  }

  may(caller: Caller | null, verb: 'list' | 'write', zone: Zone, host: string, key: string): boolean {
    const { keys, networks } = verb === 'list' ? zone.transfer : zone.update;
    if (key !== '' && keys.includes(key)) return true;
    if (isAmong(host, networks)) return true;
    return caller !== null && this.options.permissions.may(caller, verb, 'names', zone.name);
  }

  change(zone: Zone, changing: Changing, waiter: Waiter, token: number): void {
    if (zone.kind === 'secondary') waiter.settled(token, UNSUPPORTED, 0);
    else (zone as StoredZone).change(changing, waiter, token);
  }

  onChange(listener: (zone: Zone) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** A zone has changed. */
  changed(zone: StoredZone, removed: number, added: number): void {
    this.epoch++;
    this.options.told({ event: 'changed', zone: zone.name, serial: zone.serial, removed, added });
    for (const listener of this.listeners) listener(zone);
  }

  transferred(
    zone: Zone,
    state: ZoneContents | Changes | null,
    soa: Uint8Array,
    soaTtl: number,
    waiter: Waiter,
    token: number,
  ): void {
    const stored = zone as StoredZone;
    const told: Waiter = {
      settled: (_token, outcome, value) => {
        void stored.refreshed();
        if (!stored.usable && state === null) stored.usable = true;
        waiter.settled(token, outcome, value);
      },
    };
    if (state === null) told.settled(0, 0 as Outcome, stored.serial);
    else if (state instanceof Changes) stored.change(() => withSoa(stored, state, soa, soaTtl), told, 0);
    else if (soaOf(stored.contents) === null) stored.replace(state, '', told, 0);
    // What came whole is kept as what has changed, so that whoever follows this server is told as much.
    else stored.change(() => withSoa(stored, difference(stored.contents, state), soa, soaTtl), told, 0);
  }

  /** A secondary has not heard of its primary for too long (RFC 1035 §3.3.13), or does again. */
  setUsable(zone: StoredZone, usable: boolean): void {
    if (zone.usable === usable) return;
    zone.usable = usable;
    this.epoch++;
    this.options.told({ event: usable ? 'refreshed' : 'expired', zone: zone.name, serial: zone.serial });
  }
}

function withSoa(zone: StoredZone, changes: Changes, soa: Uint8Array, ttl: number): Changes {
  const before = soaOf(zone.contents);
  if (before !== null) changes.push(REMOVED, zone.origin, 0, TYPE.SOA, before.ttl, before.data, 0, before.data.length);
  changes.push(ADDED, zone.origin, 0, TYPE.SOA, ttl, soa, 0, soa.length);
  return changes;
}

/** A zone's name as people write it: in lower case, without the dot at the end. */
export function zoneName(origin: Uint8Array): string {
  return nameText(origin).toLowerCase().slice(0, -1);
}
