// Work of the resolver that waits: each job is a generator that yields what it waits for, a query or another job, and is gone on
// with when that is there. It has no clock and no socket; equal jobs are one.
import type { Instant } from '../../core/time.ts';
import type { Finding } from './cache.ts';
import type { Ask } from './resolver-asks.ts';
import type { ResolverBound } from './resolver-limits.ts';

/** What a job may wait for; it is resumed with the ask's result, or the job's finding. */
export type Work<Result> = Generator<Ask | Job, Result, unknown>;

/** What one question may cost, with all that it leads to. */
export class Budget {
  queries: number;
  names: number;
  signatures: number;
  hashes: number;
  readonly until: Instant;

  constructor(bound: ResolverBound, now: Instant) {
    this.queries = bound.queriesPerQuestion;
    this.names = bound.addressesPerQuestion;
    this.signatures = bound.signaturesPerQuestion;
    this.hashes = bound.hashesPerQuestion;
    this.until = now + bound.questionMs;
  }
}

export class Job {
  readonly key: string;
  readonly budget: Budget;
  readonly depth: number;
  work: Work<Finding | null>;
  /** The job whose end it waits for. */
  waitsFor: Job | null = null;
  result: Finding | null = null;
  done = false;
  /** Jobs that wait for this one. */
  readonly waiting: Job[] = [];

  constructor(key: string, budget: Budget, depth: number, work: (job: Job) => Work<Finding | null>) {
    this.key = key;
    this.budget = budget;
    this.depth = depth;
    this.work = work(this);
  }

  /** Whether this job waits, by way of others, for `other`. */
  dependsOn(other: Job): boolean {
    for (let at: Job | null = this; at !== null; at = at.waitsFor) if (at === other) return true;
    return false;
  }
}

interface Ready {
  readonly job: Job;
  readonly value: unknown;
}

/** Runs jobs as far as they go. */
export class Jobs {
  private readonly byKey = new Map<string, Job>();
  private ready: Ready[] = [];
  private running = false;
  private readonly send: (ask: Ask, job: Job) => void;
  private readonly bug: (error: unknown) => void;

  /** @param send gives a query away; its result comes back by `resume` */
  constructor(send: (ask: Ask, job: Job) => void, bug: (error: unknown) => void) {
    this.send = send;
    this.bug = bug;
  }

  get size(): number {
    return this.byKey.size;
  }

  find(key: string): Job | undefined {
    return this.byKey.get(key);
  }

  start(job: Job): void {
    this.byKey.set(job.key, job);
    this.resume(job, undefined);
  }

  /** Goes on with a job; what that sets going is run before it returns, unless it runs already. */
  resume(job: Job, value: unknown): void {
    this.ready.push({ job, value });
    if (this.running) return;
    this.running = true;
    for (let next = this.ready.shift(); next !== undefined; next = this.ready.shift())
      this.advance(next.job, next.value);
    this.running = false;
  }

  private advance(job: Job, value: unknown): void {
    if (job.done) return;
    job.waitsFor = null;
    try {
      const step = job.work.next(value);
      if (step.done === true) this.finish(job, step.value);
      else if (step.value instanceof Job) this.wait(job, step.value);
      else this.send(step.value, job);
    } catch (error) {
      // A bug of ours ends this one job.
      this.bug(error);
      this.finish(job, null);
    }
  }

  private wait(job: Job, other: Job): void {
    if (other.done) {
      this.ready.push({ job, value: other.result });
      return;
    }
    // Two that wait for each other wait for ever: servers of two zones that are named in one another.
    if (other.dependsOn(job)) {
      this.ready.push({ job, value: null });
      return;
    }
    job.waitsFor = other;
    other.waiting.push(job);
  }

  private finish(job: Job, result: Finding | null): void {
    job.done = true;
    job.result = result;
    if (this.byKey.get(job.key) === job) this.byKey.delete(job.key);
    for (const waiting of job.waiting) this.ready.push({ job: waiting, value: result });
    job.waiting.length = 0;
  }
}
