// Messages on their way from the store to who asks: a header or all of it, several at a time, in bounded memory. They are
// handed on in the order in which they were asked for.
import { view } from '../../bytes/reader.ts';
import { FAILED, OK, type Outcome } from '../../core/outcome.ts';
import type { Reading, Sink } from '../../core/sink.ts';
import type { Folder } from '../../resources/mail/contract.ts';
import { HEADER, INDEX, LISTED, type Need, WHOLE } from './items.ts';

const AT_ONCE = 128;
const NONE = Buffer.alloc(0);

export class Load {
  readonly place: number;
  readonly uid: number;
  readonly need: Need;
  readonly size: number;
  content: Buffer = NONE;
  /** Answers that were made before, in the order of the wish's kinds; empty where they are to be made. */
  made: readonly Buffer[] = [];
  isDone = false;
  /** It was only given its turn. */
  isPassed = false;
  outcome: Outcome = OK;
  reading: Reading | null = null;

  constructor(place: number, uid: number, size: number, need: Need) {
    this.place = place;
    this.uid = uid;
    this.size = size;
    this.need = need;
  }
}

/** Takes the bytes of one message. */
class Filling implements Sink {
  private readonly load: Load;
  private readonly told: () => void;
  private filled = 0;

  constructor(load: Load, told: () => void) {
    this.load = load;
    this.told = told;
  }

  get room(): number {
    return this.load.isDone ? 0 : Math.max(1, this.load.size - this.filled);
  }

  bytes(data: Uint8Array, start: number, end: number): void {
    const { load } = this;
    if (load.isDone) return;
    const size = Math.min(end - start, load.size - this.filled);
    if (this.filled === 0 && size === load.size) {
      // What is given never changes.
      load.content = view(data, start, start + size);
      this.filled = size;
      return;
    }
    if (this.filled === 0) load.content = Buffer.allocUnsafeSlow(load.size);
    load.content.set(data.subarray(start, start + size), this.filled);
    this.filled += size;
  }

  end(outcome: Outcome): void {
    const { load } = this;
    if (load.isDone) return;
    load.isDone = true;
    load.outcome = outcome === OK && this.filled !== load.size ? FAILED : outcome;
    this.told();
  }
}

export class Loads {
  private readonly folder: Folder;
  private readonly bytesMax: number;
  private readonly told: () => void;
  private queue: Load[] = [];
  private held = 0;

  /** @param told the first of them may be done */
  constructor(folder: Folder, bytesMax: number, told: () => void) {
    this.folder = folder;
    this.bytesMax = bytesMax;
    this.told = told;
  }

  get isFull(): boolean {
    return this.queue.length >= AT_ONCE || (this.queue.length > 0 && this.held >= this.bytesMax);
  }

  get isEmpty(): boolean {
    return this.queue.length === 0;
  }

  /** Asks for the message that stands at `at` in the folder. */
  ask(place: number, uid: number, at: number, need: Need): void {
    const { folder } = this;
    const held = this.heldAt(at, need);
    if (held !== null) {
      this.hand(place, uid, need, held);
      return;
    }
    const header = need === WHOLE ? 0 : folder.headerSizeAt(at);
    const load = new Load(place, uid, header > 0 ? header : folder.sizeAt(at), need);
    this.queue.push(load);
    this.held += load.size;
    load.reading = folder.read(uid, 0, load.size, new Filling(load, this.told));
  }

  /** As `ask`, for one of which all that was made before is held already. */
  askBeside(place: number, uid: number, at: number, need: Need, made: readonly Buffer[]): void {
    if (need === INDEX) this.hand(place, uid, need, NONE);
    else this.ask(place, uid, at, need);
    this.queue[this.queue.length - 1]!.made = made;
  }

  private hand(place: number, uid: number, need: Need, content: Buffer): void {
    const load = new Load(place, uid, 0, need);
    load.content = content;
    load.isDone = true;
    this.queue.push(load);
  }

  private heldAt(at: number, need: Need): Buffer | null {
    const { folder } = this;
    if (need === LISTED) return folder.listedAt(at);
    if (need === WHOLE) return folder.heldAt('message', at);
    const header = folder.heldAt('header', at);
    const size = folder.headerSizeAt(at);
    return header ?? (size > 0 ? (folder.heldAt('message', at)?.subarray(0, size) ?? null) : null);
  }

  /** A message that is not read here: `take` answers it in its turn. */
  pass(place: number, uid: number, need: Need): void {
    const load = new Load(place, uid, 0, need);
    load.isDone = load.isPassed = true;
    this.queue.push(load);
  }

  /** The first in order, if it has come. */
  take(): Load | null {
    const first = this.queue[0];
    if (first === undefined || !first.isDone) return null;
    this.queue.shift();
    this.held -= first.size;
    if (first.reading !== null && first.outcome === OK) this.hold(first);
    return first;
  }

  private hold({ need, uid, content }: Load): void {
    if (need === LISTED) this.folder.keepListed(uid, content);
    else this.folder.hold(need === HEADER ? 'header' : 'message', uid, content, 0, content.length);
  }

  stop(): void {
    for (const load of this.queue) {
      load.isDone = true;
      load.reading?.stop();
    }
    this.queue = [];
    this.held = 0;
  }
}
