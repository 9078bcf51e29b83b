// Answers in the order of the commands that they answer, though the commands end in any order: a ring that grows as needed
// up to its bound.
import { OK, type Outcome } from '../../core/outcome.ts';

/** The first size: most connections never have more under way. */
const FIRST = 8;

const OPEN = 0;
const SETTLED = 1;

export class Answers {
  readonly most: number;
  /** What `next` found. */
  verb = 0;
  loud = false;
  outcome: Outcome = OK;
  value = 0;
  /** Instead of the outcome's own text; '' for that. */
  text = '';
  /** A message that is part of the answer. */
  frame: Uint8Array | null = null;
  private head = 0;
  private tail = 0;
  private mask = FIRST - 1;
  private states = new Uint8Array(FIRST);
  /** The verb, and 128 where success is answered. */
  private verbs = new Uint8Array(FIRST);
  private outcomes = new Uint8Array(FIRST);
  private values = new Float64Array(FIRST);
  /** What few answers have. */
  private readonly texts = new Map<number, string>();
  private readonly frames = new Map<number, Uint8Array>();

  constructor(most: number) {
    this.most = most;
  }

  get size(): number {
    return this.tail - this.head;
  }

  get isFull(): boolean {
    return this.tail - this.head >= this.most;
  }

  /** A place for the answer to a command; answers its number. There must be room. */
  open(verb: number, loud: boolean): number {
    if (this.size > this.mask) this.grow();
    const place = this.tail & this.mask;
    this.states[place] = OPEN;
    this.verbs[place] = loud ? verb | 128 : verb;
    return this.tail++;
  }

  settle(number: number, outcome: Outcome, value: number, text: string, frame: Uint8Array | null): void {
    if (number < this.head || number >= this.tail) return;
    const place = number & this.mask;
    this.states[place] = SETTLED;
    this.outcomes[place] = outcome;
    this.values[place] = value;
    if (text !== '') this.texts.set(number, text);
    if (frame !== null) this.frames.set(number, frame);
  }

  verbOf(number: number): number {
    return this.verbs[number & this.mask]! & 127;
  }

  /** Loads the next answer; false while its command has not ended. */
  next(): boolean {
    const number = this.head;
    const place = number & this.mask;
    if (number === this.tail || this.states[place] === OPEN) return false;
    this.head++;
    const verb = this.verbs[place]!;
    this.verb = verb & 127;
    this.loud = verb > 127;
    this.outcome = this.outcomes[place] as Outcome;
    this.value = this.values[place]!;
    this.text = '';
    this.frame = null;
    if (this.texts.size > 0) {
      this.text = this.texts.get(number) ?? '';
      this.texts.delete(number);
    }
    if (this.frames.size > 0) {
      this.frame = this.frames.get(number) ?? null;
      this.frames.delete(number);
    }
    return true;
  }

  private grow(): void {
    const size = (this.mask + 1) * 2;
    const states = new Uint8Array(size);
    const verbs = new Uint8Array(size);
    const outcomes = new Uint8Array(size);
    const values = new Float64Array(size);
    for (let number = this.head; number < this.tail; number++) {
      const from = number & this.mask;
      const to = number & (size - 1);
      states[to] = this.states[from]!;
      verbs[to] = this.verbs[from]!;
      outcomes[to] = this.outcomes[from]!;
      values[to] = this.values[from]!;
    }
    this.states = states;
    this.verbs = verbs;
    this.outcomes = outcomes;
    this.values = values;
    this.mask = size - 1;
  }
}
