// FETCH (RFC 9051 §6.4.5, RFC 3516, RFC 7162 §3.1.4, RFC 9394 §3.3): each message is answered as it is read, at the pace at
// which the client reads.
import { MISSING, OK } from '../../core/outcome.ts';
import { type Part, partAt, readStructure } from '../../formats/mime/structure.ts';
import { decodeTransfer, transferOf } from '../../formats/mime/transfer.ts';
import type { Folder, HeldKind } from '../../resources/mail/contract.ts';
import { type Step, WAIT } from '../text/session.ts';
import { termsOf, writeEnvelope, writeStructure } from './envelope.ts';
import {
  type FetchItem,
  type FetchWish,
  INDEX,
  MODSEQ_ITEM,
  readItems,
  UID_ITEM,
  WHOLE,
  wishOf,
  withItem,
} from './items.ts';
import { readPartialRange } from './keys.ts';
import { type Load, Loads } from './loads.ts';
import { LONG_MESSAGE, Outflow, rangeOf, type SectionItem } from './outflow.ts';
import { bytesOf, type Cut, cutPart, cutPartial, cutTop } from './sections.ts';
import type { ImapSession } from './session.ts';
import { countOf, type Places, setText } from './sets.ts';
import type { View } from './view.ts';
import { dateTimeText } from './writer.ts';

const SHARE_LEAST = 16_384;
/** Bytes of one message that are copied or decoded for one response. */
const MADE_MAX = 134_217_728;

export interface FetchTerms {
  /** Only those that were changed after this. */
  readonly changedSince?: number;
  /** That some went meanwhile is no failure. */
  readonly quiet?: boolean;
  /** All was written; `text` is how it ends. */
  done(text: string): void;
}

/** A long message that is written as it is read. */
interface Flowing {
  readonly place: number;
  readonly uid: number;
  readonly size: number;
  readonly root: Part | null;
  readonly sections: readonly SectionItem[];
  /** The section that is being written, or comes next. */
  index: number;
  outflow: Outflow | null;
}

interface Job {
  readonly view: View;
  readonly places: Places;
  readonly wish: FetchWish;
  readonly terms: FetchTerms;
  readonly loads: Loads;
  /** The pair of places, and the place in it, that comes next. */
  /** A long message that is being written. */
  flowing: Flowing | null;
  pair: number;
  place: number;
  missing: boolean;
  failed: boolean;
  unknownEncoding: boolean;
  tooMuch: boolean;
}

export class FetchCommand {
  private readonly session: ImapSession;
  private job: Job | null = null;
  private isPumping = false;
  /** The structure of the long message that was looked into last. */
  private known: { readonly folder: Folder; readonly uid: number; readonly root: Part } | null = null;

  constructor(session: ImapSession) {
    this.session = session;
  }

  run(byUid: boolean): Step {
    const { session } = this;
    const { said } = session;
    const view = session.view!;
    said.space();
    const isSaved = said.dollar();
    const set = isSaved ? [] : said.set();
    said.space();
    let items: readonly FetchItem[] = readItems(said);
    const modifiers = { changedSince: -1, vanished: false, partial: null as readonly [number, number] | null };
    if (said.takes(0x20)) this.readModifiers(modifiers);
    if (modifiers.vanished && (!byUid || !session.qresync || modifiers.changedSince < 0))
      said.bad('VANISHED needs UID FETCH, CHANGEDSINCE and QRESYNC.');
    if (!said.done()) return session.misread(said.fault);
    const { changedSince } = modifiers;
    let places = isSaved ? view.bySaved() : byUid ? view.byUids(set) : view.byNumbers(set);
    if (places === null) return session.misread('There is no such message.');
    if (modifiers.partial !== null) places = partOf(places, modifiers.partial);
    if (byUid) items = withItem(items, UID_ITEM);
    if (changedSince >= 0) items = withItem(items, MODSEQ_ITEM);
    if (items.some(({ kind }) => kind === 'MODSEQ')) session.condstore = true;
    const terms = { ...(changedSince >= 0 ? { changedSince } : {}), done: (text: string) => session.answer(text) };
    if (!modifiers.vanished) this.start(view, places, items, terms);
    else this.startWithVanished(view, places, items, terms);
    return WAIT;
  }

  private readModifiers(into: { changedSince: number; vanished: boolean; partial: readonly [number, number] | null }) {
    const { said } = this.session;
    said.needs(0x28);
    while (said.ok && !said.closes()) {
      const word = said.word();
      if (word === 'CHANGEDSINCE') {
        said.space();
        into.changedSince = said.large();
      } else if (word === 'VANISHED') into.vanished = true;
      else if (word === 'PARTIAL') {
        said.space();
        into.partial = readPartialRange(said);
      } else said.bad('FETCH does not know this.');
      if (said.peek() !== 0x29) said.space();
    }
  }

  private startWithVanished(view: View, places: Places, items: readonly FetchItem[], terms: FetchTerms): void {
    const { session } = this;
    session.store!.expungedSince(view.folder, terms.changedSince!, (uids) => {
      if (session.view === view && uids !== null && uids.length > 0)
        session.sayLong(`* VANISHED (EARLIER) ${setText(uids)}`);
      this.start(view, places, items, terms);
    });
  }

  /** Marks what is read as seen first, where it is to be. */
  private start(view: View, places: Places, items: readonly FetchItem[], terms: FetchTerms): void {
    const { session } = this;
    const { marksSeen } = wishOf(items, lists(view));
    const unseen = marksSeen && !view.readOnly ? view.uidsOf(places).filter((uid) => this.isUnseen(view, uid)) : [];
    if (unseen.length === 0) {
      this.begin(places, items, terms);
      return;
    }
    session.store!.flag(view.folder, unseen, { how: 'add', flags: 1, keywords: [] }, () => {
      if (session.view === view) this.begin(places, items, terms);
      else session.answer('NO [EXPUNGEISSUED] The mailbox is not there any more.');
    });
  }

  private isUnseen(view: View, uid: number): boolean {
    const at = view.folder.find(uid);
    return at >= 0 && (view.folder.flagsAt(at) & 1) === 0;
  }

  /** Answers for messages of the selected mailbox. */
  begin(places: Places, items: readonly FetchItem[], terms: FetchTerms): void {
    const view = this.session.view!;
    const loads = new Loads(view.folder, this.session.limits.readAheadBytesMax, () => this.pump());
    this.job = {
      view,
      places,
      wish: wishOf(items, lists(view)),
      terms,
      loads,
      flowing: null,
      pair: 0,
      place: places[0] ?? 0,
      missing: false,
      failed: false,
      unknownEncoding: false,
      tooMuch: false,
    };
    this.pump();
  }

  stop(): void {
    this.job?.flowing?.outflow?.stop();
    this.job?.loads.stop();
    this.job = null;
    this.known = null;
  }

  /** The client has read on. */
  more(): boolean {
    if (this.job === null) return false;
    this.pump();
    return true;
  }

  private pump(): void {
    const { job, session } = this;
    if (job === null || this.isPumping) return;
    this.isPumping = true;
    const isDone = job.wish.need === INDEX ? this.plain(job) : this.loaded(job);
    this.isPumping = false;
    session.pipe.flush();
    if (!isDone || this.job !== job) return;
    this.job = null;
    job.terms.done(this.ending(job));
  }

  private ending({ failed, missing, unknownEncoding, tooMuch, terms }: Job): string {
    if (failed) return 'NO [SERVERBUG] Some messages could not be read.';
    if (tooMuch) return 'NO [LIMIT] Too much was asked for of one message at once.';
    if (unknownEncoding) return 'NO [UNKNOWN-CTE] Some parts are encoded as nobody knows.';
    return missing && terms.quiet !== true ? 'NO [EXPUNGEISSUED] Some messages are not there any more.' : 'OK Done.';
  }

  /** The next place; -1 when there is none. */
  private next(job: Job): number {
    while (job.pair < job.places.length) {
      if (job.place < job.places[job.pair + 1]!) return job.place++;
      job.pair += 2;
      job.place = job.places[job.pair] ?? 0;
    }
    return -1;
  }

  /** The next place whose message is asked for and there; -1 when there is none. */
  private nextThere(job: Job): number {
    const { view, terms } = job;
    for (;;) {
      const place = this.next(job);
      if (place < 0) return -1;
      const at = view.at(place);
      if (at < 0) job.missing = true;
      else if (terms.changedSince === undefined || view.folder.modseqAt(at) > terms.changedSince) return place;
    }
  }

  /** Answers that need no message to be read; true when that was all. */
  private plain(job: Job): boolean {
    while (this.session.pipe.room > 0) {
      const place = this.nextThere(job);
      if (place < 0) return true;
      this.write(job, place, job.view.at(place), null);
    }
    return false;
  }

  private loaded(job: Job): boolean {
    const { loads, view } = job;
    for (;;) {
      if (job.flowing !== null && !this.flow(job, job.flowing)) return false;
      while (!loads.isFull) {
        const place = this.nextThere(job);
        if (place < 0) break;
        this.ask(job, place);
      }
      if (loads.isEmpty) return true;
      if (this.session.pipe.room === 0) return false;
      const load = loads.take();
      if (load === null) return false;
      const at = view.at(load.place);
      // The store may know that it is gone before the folder was told.
      if (at < 0 || load.outcome === MISSING || (load.outcome !== OK && view.folder.find(load.uid) < 0))
        job.missing = true;
      else if (load.outcome !== OK) job.failed = true;
      else if (load.isPassed) this.beginFlow(job, load.place, at);
      else this.write(job, load.place, at, load);
    }
  }

  /** Has a message read, unless it is long and can be written as it is read. */
  private ask(job: Job, place: number): void {
    const { view, wish, loads } = job;
    const uid = view.uids[place]!;
    const at = view.at(place);
    const size = view.folder.sizeAt(at);
    const made = this.madeAt(job, at);
    if (made !== null) loads.askBeside(place, uid, at, wish.needBeside, made);
    else if (wish.need === WHOLE && size >= LONG_MESSAGE && this.flows(job, uid, size))
      loads.pass(place, uid, wish.need);
    else loads.ask(place, uid, at, wish.need);
  }

  /** All answers of a message that were made for the last who asked; null where one is not held. */
  private madeAt({ view, wish }: Job, at: number): Buffer[] | null {
    if (wish.made.length === 0 || this.session.isUtf8) return null;
    const made: Buffer[] = [];
    for (const kind of wish.made) {
      const held = view.folder.heldAt(kind, at);
      if (held === null) return null;
      made.push(held);
    }
    return made;
  }

  private rootOf({ view }: Job, uid: number): Part | null {
    const { known } = this;
    return known !== null && known.folder === view.folder && known.uid === uid ? known.root : null;
  }

  private flows(job: Job, uid: number, size: number): boolean {
    const root = this.rootOf(job, uid);
    return job.wish.items.every((item) =>
      item.kind === 'section' ? rangeOf(item, root, size) !== undefined : needsNothing(item),
    );
  }

  // ---- a long message ------------------------------------------------------------------------------------------------

  /** What the index tells comes first; then the sections, as they are read. */
  private beginFlow(job: Job, place: number, at: number): void {
    const { view, wish } = job;
    const { out } = this.session.pipe;
    const uid = view.uids[place]!;
    const sections = wish.items.filter((item) => item.kind === 'section');
    const size = view.folder.sizeAt(at);
    const root = this.rootOf(job, uid);
    if (!this.flows(job, uid, size)) {
      // Its structure was known when it was asked for.
      job.loads.ask(place, uid, at, wish.need);
      return;
    }
    const plain = wish.items.filter(({ kind }) => kind !== 'section');
    const tells = wish.marksSeen && view.isChanged(uid) && !plain.some(({ kind }) => kind === 'FLAGS');
    if (tells) plain.push({ kind: 'FLAGS' });
    const hasFlags = plain.some(({ kind }) => kind === 'FLAGS');
    if (hasFlags) view.tellKeywords(out);
    out.ascii(`* ${place + 1} FETCH (`);
    for (const item of plain) {
      this.item(job, item, at, uid, null);
      out.u8(0x20);
    }
    if (hasFlags) view.told(uid);
    job.flowing = { place, uid, size, root, sections, index: 0, outflow: null };
  }

  /** True once all of it was written. */
  private flow(job: Job, flowing: Flowing): boolean {
    const { session } = this;
    const { sections, uid, size, root } = flowing;
    for (;;) {
      const { outflow } = flowing;
      if (outflow !== null) {
        outflow.more();
        if (!outflow.isDone) return false;
        flowing.outflow = null;
        if (outflow.outcome !== OK || outflow.isShort) {
          // The literal cannot be ended: it went, or the disk fails.
          this.stop();
          session.pipe.reset(0);
          return false;
        }
      }
      const { pipe } = session;
      if (flowing.index === sections.length) {
        pipe.out.ascii(')\r\n');
        job.flowing = null;
        return true;
      }
      if (flowing.index > 0) pipe.out.u8(0x20);
      const item = sections[flowing.index++]!;
      pipe.out.ascii(item.partial === null ? `${item.label} ` : `${item.label}<${item.partial[0]}> `);
      const range = rangeOf(item, root, size);
      if (range === null || range === undefined) pipe.out.ascii('NIL');
      else if (range[0] === range[1]) pipe.out.ascii('""');
      else {
        pipe.out.ascii(`{${range[1] - range[0]}}\r\n`);
        flowing.outflow = new Outflow(pipe, job.view.folder, uid, range[0], range[1], () => this.pump());
      }
    }
  }

  // ---- one response --------------------------------------------------------------------------------------------------

  private write(job: Job, place: number, at: number, load: Load | null): void {
    const { view, wish } = job;
    const { out } = this.session.pipe;
    const uid = view.uids[place]!;
    let hasFlags = false;
    for (const { kind } of wish.items) hasFlags ||= kind === 'FLAGS';
    if (hasFlags) view.tellKeywords(out);
    out.ascii(`* ${place + 1} FETCH (`);
    const message = load === null ? null : new Message(load.content);
    let made = 0;
    for (let index = 0; index < wish.items.length; index++) {
      if (index > 0) out.u8(0x20);
      const item = wish.items[index]!;
      if (item.kind !== 'ENVELOPE' && item.kind !== 'BODY' && item.kind !== 'BODYSTRUCTURE')
        this.item(job, item, at, uid, message);
      else this.make(job, item.kind, uid, wish.made[made]!, load!.made[made++], message!);
    }
    if (wish.marksSeen && !hasFlags && view.isChanged(uid)) {
      out.ascii(` FLAGS (${view.flagsAt(at, uid, !this.session.isRev2)})`);
      hasFlags = true;
    }
    if (hasFlags) view.told(uid);
    out.ascii(')\r\n');
    if (message !== null && message.bytes.length >= LONG_MESSAGE) this.remember(view.folder, uid, message);
  }

  /** Whoever reads parts of a long message goes on to do so. */
  private remember(folder: Folder, uid: number, message: Message): void {
    if (message.known !== null) this.known = { folder, uid, root: message.known };
  }

  private item(job: Job, item: FetchItem, at: number, uid: number, message: Message | null): void {
    const { out } = this.session.pipe;
    const { view } = job;
    const { folder } = view;
    switch (item.kind) {
      case 'UID':
        out.ascii(`UID ${uid}`);
        break;
      case 'FLAGS':
        out.ascii(`FLAGS (${view.flagsAt(at, uid, !this.session.isRev2)})`);
        break;
      case 'INTERNALDATE':
        out.ascii(`INTERNALDATE "${dateTimeText(folder.dateAt(at))}"`);
        break;
      case 'RFC822.SIZE':
        out.ascii(`RFC822.SIZE ${folder.sizeAt(at)}`);
        break;
      case 'MODSEQ':
        out.ascii(`MODSEQ (${folder.modseqAt(at)})`);
        break;
      case 'section':
        this.section(job, item, message!);
    }
  }

  /** An answer that is held for the next who asks once it was made, unless it is in UTF-8: few ask for that. */
  private make(
    { view }: Job,
    kind: 'ENVELOPE' | 'BODY' | 'BODYSTRUCTURE',
    uid: number,
    held: HeldKind,
    made: Buffer | undefined,
    message: Message,
  ): void {
    const { out } = this.session.pipe;
    if (made !== undefined) {
      out.copy(made, 0, made.length);
      return;
    }
    const { isUtf8 } = this.session;
    const from = out.length;
    out.ascii(`${kind} `);
    if (kind === 'ENVELOPE') writeEnvelope(out, message.bytes, 0, message.bytes.length, termsOf(isUtf8));
    else writeStructure(out, message.bytes, message.root, kind === 'BODYSTRUCTURE', termsOf(isUtf8));
    if (!isUtf8) view.folder.hold(held, uid, out.bytes, from, out.length);
  }

  private section(job: Job, item: Extract<FetchItem, { kind: 'section' }>, message: Message): void {
    const { out } = this.session.pipe;
    const { label, section, partial, form } = item;
    out.ascii(partial === null ? `${label} ` : `${label}<${partial[0]}> `);
    const { bytes } = message;
    const cut = cutTop(bytes, section) ?? cutPart(bytes, message.root, section);
    if (cut === null) out.ascii(form === 'size' ? '0' : 'NIL');
    else if (form === 'bytes')
      this.literal(job, message, partial === null ? cut : cutPartial(cut, partial), cut, partial);
    else this.decoded(job, item, message, cut);
  }

  private literal(job: Job, message: Message, cut: Cut, whole: Cut, partial: readonly [number, number] | null): void {
    const { pipe } = this.session;
    const { bytes } = message;
    if (cut.size < 0 && partial !== null) {
      const [offset, count] = partial;
      if (!message.may(whole.size)) this.over(job, 'NIL');
      else this.shared(bytesOf(bytes, whole).subarray(offset, offset + count), '');
      return;
    }
    if (cut.size === 0) {
      pipe.out.ascii('""');
      return;
    }
    const { stretches } = cut;
    if (stretches.length > 2 && cut.size >= SHARE_LEAST) {
      if (!message.may(cut.size)) this.over(job, 'NIL');
      else this.shared(bytesOf(bytes, cut), '');
      return;
    }
    pipe.out.ascii(`{${cut.size}}\r\n`);
    for (let at = 0; at < stretches.length; at += 2) this.put(bytes, stretches[at]!, stretches[at + 1]!);
    if (cut.closes) pipe.out.ascii('\r\n');
  }

  /** Too much was asked for of one message. */
  private over(job: Job, instead: string): void {
    job.tooMuch = true;
    this.session.pipe.out.ascii(instead);
  }

  private shared(bytes: Buffer, sign: string): void {
    const { pipe } = this.session;
    pipe.out.ascii(`${sign}{${bytes.length}}\r\n`);
    this.put(bytes, 0, bytes.length);
  }

  /** Short pieces are copied: that costs less than one more piece for the network. */
  private put(bytes: Buffer, start: number, stop: number): void {
    const { pipe } = this.session;
    if (stop - start < SHARE_LEAST) pipe.out.copy(bytes, start, stop);
    else pipe.share(bytes, start, stop);
  }

  /** BINARY: without its transfer encoding (RFC 3516 §4.2). */
  private decoded(job: Job, item: Extract<FetchItem, { kind: 'section' }>, message: Message, cut: Cut): void {
    const { out } = this.session.pipe;
    const { numbers } = item.section;
    const part = partAt(message.root, numbers);
    const isPart = numbers.length > 0 && part !== null;
    const transfer = isPart ? transferOf(part.encoding) : 'identity';
    if (transfer === null) {
      job.unknownEncoding = true;
      out.ascii(item.form === 'size' ? '0' : 'NIL');
      return;
    }
    if (!message.may(cut.size)) {
      this.over(job, item.form === 'size' ? '0' : 'NIL');
      return;
    }
    const isWhole = transfer === 'identity' || (part?.parts.length ?? 0) > 0;
    const bytes = isWhole
      ? bytesOf(message.bytes, cut)
      : decodeTransfer(transfer, message.bytes, cut.stretches[0] ?? 0, cut.stretches[1] ?? 0);
    if (item.form === 'size') {
      out.ascii(String(bytes.length));
      return;
    }
    const [offset, count] = item.partial ?? [0, bytes.length];
    const piece = bytes.subarray(offset, offset + count);
    this.shared(piece, piece.includes(0) ? '~' : '');
  }
}

function needsNothing({ kind }: FetchItem): boolean {
  return kind !== 'ENVELOPE' && kind !== 'BODY' && kind !== 'BODYSTRUCTURE';
}

function lists({ folder }: View): (field: string) => boolean {
  return (field) => folder.lists(field);
}

/** The bytes of a message, or of its header alone, with its structure once that is asked for. */
class Message {
  readonly bytes: Buffer;
  /** Its structure, where somebody asked for it. */
  known: Part | null = null;
  private left = MADE_MAX;

  constructor(bytes: Buffer) {
    this.bytes = bytes;
  }

  /** Whether so much may still be copied of it. */
  may(size: number): boolean {
    this.left -= size;
    return this.left >= 0;
  }

  get root(): Part {
    this.known ??= readStructure(this.bytes, 0, this.bytes.length);
    return this.known;
  }
}

/** Those from the first to the last of a range, counted from either side (RFC 9394 §3.3). */
export function partOf(places: Places, [first, last]: readonly [number, number]): Places {
  const count = countOf(places);
  const from = first > 0 ? first - 1 : Math.max(0, count + last);
  const to = first > 0 ? Math.min(count, last) : count + first + 1;
  const made: number[] = [];
  let at = 0;
  for (let pair = 0; pair < places.length; pair += 2) {
    const [start, stop] = [places[pair]!, places[pair + 1]!];
    const one = Math.max(start, start + from - at);
    const other = Math.min(stop, start + to - at);
    if (one < other) made.push(one, other);
    at += stop - start;
  }
  return made;
}
