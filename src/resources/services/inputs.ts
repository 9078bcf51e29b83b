// The inputs of a call on their way to its handler: what came and was not asked for, or who asked and waits. It is bounded by
// whoever fills it, by `room`.

/** A value, or one that is still being looked at. */
type Item<In> = In | Promise<In>;

interface Asked<In> {
  readonly resolve: (result: IteratorResult<In, undefined>) => void;
  readonly reject: (reason: unknown) => void;
}

const DONE: IteratorReturnResult<undefined> = { done: true, value: undefined };

export class Inputs<In> implements AsyncIterableIterator<In, undefined> {
  private readonly items: Item<In>[] = [];
  private readonly asked: Asked<In>[] = [];
  private readonly most: number;
  /** Told when there is room again after there was none. */
  private readonly onRoom: () => void;
  private wasFull = false;
  private finished = false;
  /** The handler wants no more: the rest is dropped as it comes. */
  private unwanted = false;
  private lastly: (() => unknown) | null = null;
  private failure: (() => unknown) | null = null;

  constructor(most: number, onRoom: () => void) {
    this.most = most;
    this.onRoom = onRoom;
  }

  get room(): number {
    const room = Math.max(0, this.most - this.items.length);
    if (room === 0) this.wasFull = true;
    return room;
  }

  /** Far more has come than there was room for: whoever fills it does not look. */
  get isFull(): boolean {
    return this.items.length >= this.most * 4;
  }

  get isOver(): boolean {
    return this.finished || this.failure !== null;
  }

  put(item: Item<In>): void {
    if (this.unwanted || this.isOver) {
      forget(item);
      return;
    }
    const asked = this.asked.shift();
    if (asked === undefined) this.items.push(item);
    else hand(item, asked);
  }

  finish(): void {
    this.finished = true;
    for (const { resolve } of this.asked.splice(0)) resolve(DONE);
  }

  /** The call is over: whoever asks is told why. */
  fail(reason: () => unknown): void {
    if (this.failure !== null) return;
    this.failure = reason;
    for (const item of this.items.splice(0)) forget(item);
    for (const { reject } of this.asked.splice(0)) reject(reason());
  }

  /** As `fail`, once all that came has been asked for. */
  failAfter(reason: () => unknown): void {
    this.lastly = reason;
    this.finished = true;
    for (const { reject } of this.asked.splice(0)) reject(reason());
  }

  next(): Promise<IteratorResult<In, undefined>> {
    if (this.failure !== null) return Promise.reject(this.failure());
    if (this.items.length > 0) {
      const item = this.items.shift() as Item<In>;
      this.tellRoom();
      if (item instanceof Promise) return item.then((value) => ({ done: false, value }));
      return Promise.resolve({ done: false, value: item });
    }
    if (this.lastly !== null) return Promise.reject(this.lastly());
    if (this.finished || this.unwanted) return Promise.resolve(DONE);
    return new Promise((resolve, reject) => this.asked.push({ resolve, reject }));
  }

  return(): Promise<IteratorResult<In, undefined>> {
    this.unwanted = true;
    for (const item of this.items.splice(0)) forget(item);
    this.tellRoom();
    return Promise.resolve(DONE);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  private tellRoom(): void {
    if (!this.wasFull || this.items.length > this.most >> 1) return;
    this.wasFull = false;
    this.onRoom();
  }
}

function hand<In>(item: Item<In>, { resolve, reject }: Asked<In>): void {
  if (item instanceof Promise) item.then((value) => resolve({ done: false, value }), reject);
  else resolve({ done: false, value: item });
}

/** What nobody will look at may fail unseen. */
function forget(item: unknown): void {
  if (item instanceof Promise) item.catch(() => {});
}
