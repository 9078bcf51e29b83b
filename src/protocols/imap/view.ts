// A selected mailbox as one session sees it: its own numbers, which change only when it was told, and what it was not told yet.
// What others do shows here as soon as it is durable.
import type { ByteWriter } from '../../bytes/writer.ts';
import type { Folder, FolderListener } from '../../resources/mail/contract.ts';
import { GREATEST, joined, type Places, type SequenceSet, setText } from './sets.ts';
import { flagsText } from './writer.ts';

/** Expunges and changes that are told at once; the rest is told with the next response. */
const TOLD_AT_ONCE = 50_000;
/** Changes that are held one by one; of more, all that changed since the last telling is told. */
const CHANGES_MAX = 20_000;
/** Bytes that are written at once; what is beyond is told with the next response. */
const TOLD_BYTES_MAX = 2_097_152;

export interface Telling {
  /** Expunges may be told now (RFC 9051 §7.5.1). */
  readonly expunges: boolean;
  /** They are told as UIDs (RFC 7162 §3.2.10). */
  readonly vanished: boolean;
  readonly modseq: boolean;
  /** `\Recent` is known to this client: it has not asked for IMAP4rev2. */
  readonly recent: boolean;
}

export class View implements FolderListener {
  readonly folder: Folder;
  readonly readOnly: boolean;
  readonly name: string;
  count: number;
  uids: Uint32Array;
  /** The result that was saved (RFC 5182), as UIDs. */
  saved: readonly number[] = [];
  isGone = false;
  private readonly changed = new Set<number>();
  /** Too many changed to hold each: all from this UID on are looked at; -1 for none. */
  private allFrom = -1;
  /** Those whose own change is not told. */
  private silent: Set<number> | null = null;
  private toldModseq: number;
  private keywordsTold = 0;
  private recentFrom: number;
  /** Expunges wait to be told: until then the folder has the same at the same places, and arrivals behind. */
  private hasExpunged = false;
  private readonly woken: () => void;
  private readonly unlisten: () => void;

  /** @param woken something is to be told */
  constructor(folder: Folder, name: string, readOnly: boolean, woken: () => void) {
    this.folder = folder;
    this.name = name;
    this.readOnly = readOnly;
    this.woken = woken;
    this.uids = folder.uids;
    this.count = folder.count;
    this.toldModseq = folder.modseq;
    // EXAMINE takes it from nobody (RFC 3501 §6.3.2).
    this.recentFrom = readOnly ? folder.recentFrom : folder.takeRecent();
    this.keywordsTold = folder.keywords.length;
    this.unlisten = folder.listen(this);
  }

  close(): void {
    this.unlisten();
    // Those that came meanwhile were told here.
    if (!this.readOnly && !this.isGone && this.count > 0 && this.recentFrom <= this.uids[this.count - 1]!)
      this.folder.takeRecent();
  }

  // ---- numbers -------------------------------------------------------------------------------------------------------

  /** The first place whose UID is at least this. */
  lowerBound(uid: number): number {
    const { uids } = this;
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (uids[middle]! < uid) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Where a UID stands; -1 where it does not. */
  placeOf(uid: number): number {
    const place = this.lowerBound(uid);
    return place < this.count && this.uids[place] === uid ? place : -1;
  }

  /** Where the message at a place stands in the folder now; -1 when it was expunged. */
  at(place: number): number {
    return this.hasExpunged ? this.folder.find(this.uids[place]!) : place;
  }

  /** Places of numbers; null when one of them is beyond the last. */
  byNumbers(set: SequenceSet): Places | null {
    const pairs: number[] = [];
    for (let at = 0; at < set.length; at += 2) {
      const one = set[at] === GREATEST ? this.count : set[at]!;
      const other = set[at + 1] === GREATEST ? this.count : set[at + 1]!;
      const last = Math.max(one, other);
      if (last > this.count || last === 0) return null;
      pairs.push(Math.min(one, other) - 1, last);
    }
    return joined(pairs);
  }

  byUids(set: SequenceSet): Places {
    const greatest = this.count === 0 ? 0 : this.uids[this.count - 1]!;
    const pairs: number[] = [];
    for (let at = 0; at < set.length; at += 2) {
      const one = set[at] === GREATEST ? greatest : set[at]!;
      const other = set[at + 1] === GREATEST ? greatest : set[at + 1]!;
      pairs.push(this.lowerBound(Math.min(one, other)), this.lowerBound(Math.max(one, other) + 1));
    }
    return joined(pairs);
  }

  bySaved(): Places {
    const pairs: number[] = [];
    for (const uid of this.saved) {
      const place = this.placeOf(uid);
      if (place >= 0) pairs.push(place, place + 1);
    }
    return joined(pairs);
  }

  uidsOf(places: Places): number[] {
    const found: number[] = [];
    for (let at = 0; at < places.length; at += 2)
      for (let place = places[at]!; place < places[at + 1]!; place++) found.push(this.uids[place]!);
    return found;
  }

  isRecent(uid: number): boolean {
    return uid >= this.recentFrom;
  }

  get recent(): number {
    return this.count - this.lowerBound(this.recentFrom);
  }

  // ---- what happens --------------------------------------------------------------------------------------------------

  added(): void {
    this.woken();
  }

  flagged(uid: number): void {
    if (this.silent?.delete(uid) === true) return;
    this.change(uid);
    this.woken();
  }

  expunged(): void {
    this.hasExpunged = true;
    this.woken();
  }

  removed(): void {
    this.isGone = true;
    this.woken();
  }

  /** The flags of a message are to be told. */
  change(uid: number): void {
    if (this.changed.size < CHANGES_MAX) this.changed.add(uid);
    else this.allFrom = 0;
  }

  isChanged(uid: number): boolean {
    return this.changed.has(uid);
  }

  /** They were told with something else. */
  told(uid: number): void {
    this.changed.delete(uid);
  }

  /** This session changes them, and does not want to hear of it. */
  silence(uids: readonly number[] | null): void {
    this.silent = uids === null ? null : new Set(uids);
  }

  get isTold(): boolean {
    const { folder } = this;
    return !this.hasExpunged && this.allFrom < 0 && this.changed.size === 0 && folder.count === this.count;
  }

  // ---- telling -------------------------------------------------------------------------------------------------------

  tell(out: ByteWriter, how: Telling): void {
    if (this.hasExpunged && how.expunges) this.tellExpunged(out, how);
    if (!this.hasExpunged && this.folder.count !== this.count) {
      // They stand behind those that were there, perhaps in columns that have grown.
      this.uids = this.folder.uids;
      this.count = this.folder.count;
      out.ascii(`* ${this.count} EXISTS\r\n`);
      if (how.recent) out.ascii(`* ${this.recent} RECENT\r\n`);
    }
    this.tellFlags(out, how);
  }

  private tellExpunged(out: ByteWriter, how: Telling): void {
    const { uids, folder } = this;
    const gone: number[] = [];
    const kept = new Uint32Array(this.count);
    let left = 0;
    for (let place = 0; place < this.count; place++) {
      const uid = uids[place]!;
      if (gone.length < TOLD_AT_ONCE && folder.find(uid) < 0) {
        // The number is that of the moment: those before it have moved it (RFC 9051 §7.5.1).
        if (!how.vanished) out.ascii(`* ${left + 1} EXPUNGE\r\n`);
        gone.push(uid);
        this.changed.delete(uid);
      } else kept[left++] = uid;
    }
    if (how.vanished && gone.length > 0) out.ascii(`* VANISHED ${setText(gone)}\r\n`);
    this.count = left;
    this.hasExpunged = gone.length === TOLD_AT_ONCE;
    // From here on both have the same at the same places; what came meanwhile is behind.
    this.uids = this.hasExpunged ? kept : folder.uids;
  }

  /** A keyword that is new is told before a message has it. */
  tellKeywords(out: ByteWriter): void {
    const { keywords } = this.folder;
    if (keywords.length === this.keywordsTold) return;
    this.keywordsTold = keywords.length;
    out.ascii(`* FLAGS (${this.allFlags()})\r\n`);
    if (!this.readOnly) out.ascii(`* OK [PERMANENTFLAGS (${this.allFlags()} \\*)] Flags that last.\r\n`);
  }

  allFlags(): string {
    const { keywords } = this.folder;
    return `\\Answered \\Flagged \\Deleted \\Seen \\Draft${keywords.length === 0 ? '' : ` ${keywords.join(' ')}`}`;
  }

  private tellFlags(out: ByteWriter, how: Telling): void {
    const { folder } = this;
    if (this.allFrom >= 0) this.tellAll(out, how);
    if (this.allFrom >= 0) return;
    if (this.changed.size === 0) {
      this.toldModseq = Math.max(this.toldModseq, folder.modseq);
      return;
    }
    this.tellKeywords(out);
    for (const uid of this.changed) {
      if (out.length > TOLD_BYTES_MAX) return;
      this.tellOne(out, uid, how);
      this.changed.delete(uid);
    }
    this.toldModseq = folder.modseq;
  }

  private tellOne(out: ByteWriter, uid: number, how: Telling): void {
    const place = this.placeOf(uid);
    const at = place < 0 ? -1 : this.at(place);
    if (at < 0) return;
    const modseq = how.modseq ? ` MODSEQ (${this.folder.modseqAt(at)})` : '';
    out.ascii(`* ${place + 1} FETCH (UID ${uid} FLAGS (${this.flagsAt(at, uid, how.recent)})${modseq})\r\n`);
  }

  /** Too many to have been held: all with a later mod-sequence than the last that was told. */
  private tellAll(out: ByteWriter, how: Telling): void {
    this.changed.clear();
    this.tellKeywords(out);
    for (let place = this.lowerBound(this.allFrom); place < this.count; place++) {
      const at = this.at(place);
      if (at < 0 || this.folder.modseqAt(at) <= this.toldModseq) continue;
      if (out.length > TOLD_BYTES_MAX) {
        this.allFrom = this.uids[place]!;
        return;
      }
      this.tellOne(out, this.uids[place]!, how);
    }
    this.allFrom = -1;
    this.toldModseq = this.folder.modseq;
  }

  flagsAt(at: number, uid: number, recent: boolean): string {
    return flagsText(this.folder.flagsAt(at), this.folder.keywords, recent && this.isRecent(uid));
  }
}
