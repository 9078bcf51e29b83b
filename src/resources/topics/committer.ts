// Gathers what a turn changes into batches of one space and tells each step, in order, how its batch ended. It does not
// know what the records mean.
import { OK, type Outcome, type Waiter } from '../../core/outcome.ts';
import { type Clock, NEVER } from '../../core/time.ts';
import { type Turn, Turned } from '../../core/turn.ts';
import { Batch } from '../../storage/batch.ts';
import type { Space } from '../../storage/engine.ts';

/** One change: writes its records, and is told how they fared. */
export interface Step {
  /** Adds its records, if any. */
  write(batch: Batch): void;
  /** `sequence` is that of its first record; 0 when it has none or the batch was refused. */
  settle(outcome: Outcome, sequence: number): void;
}

interface Group {
  readonly batch: Batch;
  readonly steps: Step[];
  /** How many records the batch had when each step began. */
  readonly before: number[];
}

/** A batch is sent on with this many records or bytes before the turn ends. */
const RECORDS = 512;
const BYTES = 1_048_576;

/** The most records that one step writes. */
const STEP_RECORDS_MAX = 16;

export class Committer extends Turned implements Waiter {
  readonly due = NEVER;
  private readonly space: Space;
  private readonly turn: Turn;
  private readonly idle: (() => void)[] = [];
  private current: Group | null = null;
  /** Given to the space and not settled yet, and empty ones that wait for those before them; in order. */
  private readonly outstanding: Group[] = [];

  constructor(space: Space, turn: Turn) {
    super();
    this.space = space;
    this.turn = turn;
  }

  /** Whether nothing waits: a step without records would be settled at once. */
  get isIdle(): boolean {
    return this.current === null && this.outstanding.length === 0;
  }

  /** Adds a step whose records are of about `bytes`. */
  add(step: Step, bytes: number): void {
    let group = this.current;
    if (group !== null && !this.fits(group, bytes)) {
      this.submit();
      group = null;
    }
    if (group === null) {
      group = { batch: new Batch(this.turn.clock.wall), steps: [], before: [] };
      this.current = group;
      this.turn.touch(this);
    }
    group.before.push(group.batch.records);
    group.steps.push(step);
    step.write(group.batch);
    if (group.batch.records >= RECORDS || group.batch.size >= BYTES) this.submit();
  }

  /** Calls back once all that was added has settled. */
  whenIdle(then: () => void): void {
    if (this.isIdle) then();
    else this.idle.push(then);
  }

  work(_clock: Clock): void {
    this.submit();
  }

  tick(_clock: Clock): void {}

  settled(_token: number, outcome: Outcome, value: number): void {
    const group = this.outstanding.shift()!;
    this.finish(group, outcome, value - group.batch.records + 1);
    this.settleEmpty();
  }

  private fits(group: Group, bytes: number): boolean {
    return group.batch.count + STEP_RECORDS_MAX < RECORDS * 1.5 && group.batch.fits(0, bytes);
  }

  private submit(): void {
    const group = this.current;
    if (group === null) return;
    this.current = null;
    this.outstanding.push(group);
    if (group.batch.count > 0) this.space.commit(group.batch, this, 0);
    else this.settleEmpty();
  }

  /** Groups without records are done as soon as all before them are. */
  private settleEmpty(): void {
    while (this.outstanding.length > 0 && this.outstanding[0]!.batch.count === 0)
      this.finish(this.outstanding.shift()!, OK, 0);
    if (this.isIdle) for (const then of this.idle.splice(0)) then();
  }

  private finish(group: Group, outcome: Outcome, first: number): void {
    const { steps, before } = group;
    for (let index = 0; index < steps.length; index++) {
      try {
        steps[index]!.settle(outcome, outcome === OK ? first + before[index]! : 0);
      } catch (error) {
        this.turn.bug(error, 'a settled change of topics');
      }
    }
  }
}
