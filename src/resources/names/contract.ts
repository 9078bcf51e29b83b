// Names as protocols see them: zones to answer from, changes to them, and their history. Nothing here knows which protocol is
// calling.
import type { Caller } from '../../core/caller.ts';
import type { Outcome, Waiter } from '../../core/outcome.ts';
import type { Changes } from './changes.ts';
import type { ZoneContents } from './contents.ts';
import type { AnswerSink } from './lookup.ts';
import type { Network } from './networks.ts';

/** How a zone comes to its records: a file, this server's own state, the store alone, or another server. */
export type ZoneKind = 'file' | 'own' | 'kept' | 'secondary';

/** Who may do something with a zone beside those whom rules let: addresses, and names of keys. */
export interface Grants {
  readonly networks: readonly Network[];
  /** Wire names in lower case. */
  readonly keys: readonly string[];
}

/** Another server of a zone. */
export interface OtherServer {
  readonly host: string;
  readonly port: number;
  /** By which key the two know one another; null for none. */
  readonly key: string | null;
}

/** A zone, as it is now. */
export interface Zone {
  /** Without the dot at the end; `''` for the root. */
  readonly name: string;
  readonly origin: Uint8Array;
  readonly kind: ZoneKind;
  /** Whose clients see it; null for all. */
  readonly clients: readonly Network[] | null;
  /** Replaced as a whole now and then: read it anew for each question. */
  readonly contents: ZoneContents;
  readonly serial: number;
  /** It has been read or transferred, and has not expired: what it says can be told. */
  readonly usable: boolean;
  /** This server signs it: signatures and proofs are its own to make. */
  readonly isSigned: boolean;
  /** Names below `topics.` of it are of topics. */
  readonly hasTopics: boolean;
  readonly transfer: Grants;
  readonly update: Grants;
  /** Whom to tell of changes; for a secondary, where it comes from. */
  readonly notify: readonly OtherServer[];
  readonly primaries: readonly OtherServer[];
  /** Until it is released, what changes the contents leaves this state alone. */
  pin(): Pinned;
  /** The changes that lead from a serial to the present one, oldest first; null when it does not reach back. */
  since(serial: number): readonly Delta[] | null;
}

export interface Pinned {
  readonly contents: ZoneContents;
  release(): void;
}

/** One change of a zone. The changes hold no SOA. */
export interface Delta {
  readonly from: number;
  readonly to: number;
  /** SOA data before and after. */
  readonly soaBefore: Uint8Array;
  readonly soaAfter: Uint8Array;
  readonly soaTtl: number;
  readonly changes: Uint8Array;
}

/**
 * What changes a zone: called with its contents when its turn has come, and answers the changes; or an outcome other than OK
 * when there is nothing to be done for it. A list without SOA gets the next serial.
 */
export type Changing = (contents: ZoneContents) => Changes | Outcome;

export interface Names {
  /** Grows with every change of any zone. */
  readonly epoch: number;
  /** What is answered depends on who asks. */
  readonly hasViews: boolean;
  /** The zone with the longest name at or above a name, as that client sees it. For DS, the zone above the name's own. */
  zoneOf(name: Uint8Array, at: number, client: string, above: boolean): Zone | null;
  zoneNamed(name: string): Zone | null;
  zones(): Iterable<Zone>;
  /** Answers a question out of a zone; the response code. */
  answer(
    zone: Zone,
    sink: AnswerSink,
    name: Uint8Array,
    nameAt: number,
    qtype: number,
    signed: boolean,
    whole: boolean,
  ): number;
  /** The last answer was a referral to the zone's delegate. */
  readonly referred: boolean;
  /** Whether the caller may do it: by rule, address or key (a wire name in lower case as text). */
  may(caller: Caller | null, verb: 'list' | 'write', zone: Zone, host: string, key: string): boolean;
  /**
   * Changes a zone, behind all that were begun before. Settles OK with the serial after it is durable; as `changing` answers;
   * BUSY, FULL, FAILED, UNSUPPORTED (a secondary).
   */
  change(zone: Zone, changing: Changing, waiter: Waiter, token: number): void;
  /** Told after each change, and of each new zone. Answers how to stop. */
  onChange(listener: (zone: Zone) => void): () => void;
  /** A secondary's new state came, whole or as changes, with its SOA; null: it is as it was. */
  transferred(
    zone: Zone,
    contents: ZoneContents | Changes | null,
    soa: Uint8Array,
    soaTtl: number,
    waiter: Waiter,
    token: number,
  ): void;
}
