// SEARCH, SORT and THREAD (RFC 9051 §6.4.4, RFC 5256, RFC 5267) with the results that are asked for (RFC 4731, 5182, 9394). What
// the index tells is looked at in slices of a turn; headers and bodies are read only where they are needed.
import { MISSING, OK } from '../../core/outcome.ts';
import { type Step, WAIT } from '../text/session.ts';
import { INDEX, LISTED, type Need } from './items.ts';
import { KeyReader, type Returns, readCharset, readReturns } from './keys.ts';
import { Loads } from './loads.ts';
import { Candidate, type FoundKey, found, NO, needFor, placesOf, verdict, YES } from './match.ts';
import type { ImapSession } from './session.ts';
import { has, type Places, setText } from './sets.ts';
import { readCriteria, readsHeaders, type SortBy, type Sorted, sorted, sortedOf } from './sort.ts';
import { type Threaded, threadedOf, threads } from './thread.ts';
import type { View } from './view.ts';

/** Keys of messages that are looked at in one turn. */
const SLICE = 100_000;

type Kind = 'SEARCH' | 'SORT' | 'THREAD';

interface Job {
  readonly kind: Kind;
  readonly view: View;
  readonly byUid: boolean;
  readonly tag: string;
  readonly returns: Returns | null;
  readonly key: FoundKey;
  readonly wall: number;
  readonly criteria: readonly SortBy[];
  readonly byReferences: boolean;
  readonly hasModseq: boolean;
  /** What has to be read of each that matches. */
  readonly need: Need;
  readonly places: Places | null;
  readonly loads: Loads;
  /** Messages that are looked at in one turn. */
  readonly slice: number;
  next: number;
  failed: boolean;
  readonly matched: number[];
  readonly sorting: Sorted[];
  readonly threading: Threaded[];
}

export class SearchCommand {
  private readonly session: ImapSession;
  private job: Job | null = null;
  private isPumping = false;
  /** The rest is looked at in the next turn. */
  wantsSlice = false;

  constructor(session: ImapSession) {
    this.session = session;
  }

  run(kind: string, byUid: boolean): Step {
    const { session } = this;
    const { said } = session;
    said.space();
    const algorithm = kind === 'THREAD' ? said.word() : '';
    if (kind === 'THREAD') {
      if (algorithm !== 'REFERENCES' && algorithm !== 'ORDEREDSUBJECT')
        said.bad('THREAD does not know this algorithm.');
      said.space();
    }
    const returns = kind === 'THREAD' ? null : readReturns(said);
    let criteria: SortBy[] = [];
    if (kind === 'SORT') {
      criteria = readCriteria(said);
      said.space();
    }
    let charset = 'UTF-8';
    if (kind === 'SEARCH') charset = readCharset(said);
    else {
      charset = said.astring().toUpperCase();
      said.space();
    }
    const keys = new KeyReader(said, session.limits.nestingMax, session.limits.searchKeysMax);
    const key = keys.all();
    if (!said.done()) return session.misread(said.fault);
    if (charset !== 'UTF-8' && charset !== 'US-ASCII')
      return session.close('NO [BADCHARSET (UTF-8 US-ASCII)] Only UTF-8 is read.');
    if (keys.hasModseq) session.condstore = true;
    const slice = Math.max(50, Math.floor(SLICE / (keys.count + 4)));
    const by = { slice, byUid, returns, criteria, byReferences: algorithm === 'REFERENCES', hasModseq: keys.hasModseq };
    this.begin(kind as Kind, found(key, session.view!), by);
    return WAIT;
  }

  private begin(
    kind: Kind,
    key: FoundKey,
    by: Pick<Job, 'slice' | 'byUid' | 'returns' | 'criteria' | 'byReferences' | 'hasModseq'>,
  ): void {
    const { session } = this;
    const view = session.view!;
    this.job = {
      ...by,
      kind,
      view,
      key,
      tag: session.tagText,
      wall: session.options.clock().wall,
      need: kind === 'THREAD' || readsHeaders(by.criteria) ? LISTED : INDEX,
      places: placesOf(key),
      loads: new Loads(view.folder, session.limits.readAheadBytesMax, () => this.pump()),
      next: 0,
      failed: false,
      matched: [],
      sorting: [],
      threading: [],
    };
    this.pump();
  }

  stop(): void {
    this.job?.loads.stop();
    this.job = null;
    this.wantsSlice = false;
  }

  more(): boolean {
    if (this.job === null) return false;
    this.wantsSlice = false;
    this.pump();
    return true;
  }

  private pump(): void {
    const { job, session } = this;
    if (job === null || this.isPumping) return;
    this.isPumping = true;
    const isDone = this.look(job);
    this.isPumping = false;
    session.pipe.flush();
    if (!isDone || this.job !== job) return;
    this.job = null;
    if (job.failed) session.answer('NO [SERVERBUG] Some messages could not be read.');
    else {
      this.tell(job);
      session.answer('OK Done.');
    }
  }

  /** True once all were looked at. */
  private look(job: Job): boolean {
    const { loads, view } = job;
    for (let looked = 0; ; looked++) {
      for (let load = loads.take(); load !== null; load = loads.take()) {
        const at = view.at(load.place);
        // The store may know that it is gone before the folder was told.
        if (at < 0 || load.outcome === MISSING) continue;
        if (load.outcome !== OK) job.failed = true;
        else this.judge(job, new Candidate(view, load.place, at, load.content, load.need));
      }
      if (loads.isFull) return false;
      if (job.next >= view.count) return loads.isEmpty;
      if (looked >= job.slice) {
        this.wantsSlice = true;
        return false;
      }
      const place = job.next++;
      if (job.places !== null && !has(job.places, place)) continue;
      const at = view.at(place);
      if (at >= 0) this.judge(job, new Candidate(view, place, at, null, INDEX));
    }
  }

  private judge(job: Job, one: Candidate): void {
    const is = verdict(job.key, one, job.wall);
    if (is === NO) return;
    if (is !== YES) this.read(job, one, needFor(is));
    else if (one.loaded < job.need) this.read(job, one, job.need);
    else if (job.kind === 'SORT') job.sorting.push(sortedOf(one, job.criteria));
    else if (job.kind === 'THREAD') job.threading.push(threadedOf(one, job.byReferences));
    else job.matched.push(one.place);
  }

  /** Looks at a message again, with more of it. */
  private read(job: Job, one: Candidate, need: Need): void {
    const held = need === LISTED ? job.view.folder.listedAt(one.at) : null;
    if (held === null) job.loads.ask(one.place, one.uid, one.at, need);
    else this.judge(job, new Candidate(job.view, one.place, one.at, held, LISTED));
  }

  // ---- results -------------------------------------------------------------------------------------------------------

  private tell(job: Job): void {
    const { session } = this;
    const { view, byUid, kind } = job;
    const number = (place: number) => (byUid ? view.uids[place]! : place + 1);
    if (kind === 'THREAD') {
      const text = threads(job.threading, job.byReferences, number);
      session.sayLong(`* THREAD${text === '' ? '' : ` ${text}`}`);
      return;
    }
    const places =
      kind === 'SORT'
        ? sorted(job.sorting, job.criteria).map(({ place }) => place)
        : job.matched.sort((one, other) => one - other);
    const numbers = places.map(number);
    const { returns } = job;
    if (returns?.save === true)
      view.saved = savedOf(
        returns,
        places.map((place) => view.uids[place]!),
      );
    const modseq = job.hasModseq ? highest(view, places) : 0;
    if (returns === null && !(kind === 'SEARCH' && session.isRev2)) {
      const end = modseq > 0 ? ` (MODSEQ ${modseq})` : '';
      session.sayLong(`* ${kind}${numbers.length === 0 ? '' : ` ${numbers.join(' ')}`}${end}`);
    } else this.tellExtended(job, numbers, modseq);
  }

  /** RFC 4731 §3.1; IMAP4rev2 has no other (RFC 9051 §7.3.4). */
  private tellExtended(job: Job, numbers: readonly number[], modseq: number): void {
    const returns = job.returns ?? { min: false, max: false, all: true, count: false, save: false, partial: null };
    if (returns.save && !returns.min && !returns.max && !returns.all && !returns.count && returns.partial === null)
      return;
    let text = `* ESEARCH (TAG "${job.tag}")${job.byUid ? ' UID' : ''}`;
    const count = numbers.length;
    if (returns.min && count > 0) text += ` MIN ${numbers[0]}`;
    if (returns.max && count > 0) text += ` MAX ${numbers[count - 1]}`;
    if (returns.all && count > 0) text += ` ALL ${setText(numbers)}`;
    if (returns.count) text += ` COUNT ${count}`;
    if (returns.partial !== null) {
      const [first, last] = returns.partial;
      const part =
        first > 0 ? numbers.slice(first - 1, last) : numbers.slice(Math.max(0, count + last), count + first + 1);
      text += ` PARTIAL (${first}:${last} ${part.length === 0 ? 'NIL' : setText(part)})`;
    }
    if (modseq > 0) text += ` MODSEQ ${modseq}`;
    this.session.sayLong(text);
  }
}

/** What is saved (RFC 5182 §2.1): all, unless only the ends are asked for. */
function savedOf({ min, max, all, count, partial }: Returns, uids: readonly number[]): readonly number[] {
  if (all || count || partial !== null || (!min && !max) || uids.length === 0) return uids;
  if (min && max) return [uids[0]!, uids.at(-1)!];
  return [min ? uids[0]! : uids.at(-1)!];
}

function highest(view: View, places: readonly number[]): number {
  let most = 0;
  for (const place of places) {
    const at = view.at(place);
    if (at >= 0) most = Math.max(most, view.folder.modseqAt(at));
  }
  return most;
}
