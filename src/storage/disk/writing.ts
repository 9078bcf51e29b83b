// A file on its way in: bytes are copied into pieces and written behind the caller, one write at a time and in order, so that
// no more than a bound of them lies in memory. How it becomes the file is its tree's.
import { close, fsync, ftruncate, write } from 'node:fs';
import { FAILED, OK, type Outcome, type Waiter } from '../../core/outcome.ts';
import type { FileWriter } from '../engine.ts';
import { outcomeOfError } from './outcomes.ts';

const PIECE = 262_144;
const PIECE_LEAST = 16_384;
/** Bytes that wait for the disk. */
const HELD_MAX = 2_097_152;

/** One step behind the caller: bytes at a place, or a cut. */
interface Step {
  readonly bytes: Buffer | null;
  length: number;
  readonly at: number;
}

/** What the tree does once all is written. */
export interface WritingEnds {
  /** Makes it the file. */
  appear(): Promise<Outcome>;
  /** Keeps it once it is written; false: it could not be. */
  keep(written: Promise<boolean>): void;
  drop(): Promise<void>;
}

export class DiskWriter implements FileWriter {
  readonly begun: number;
  onRoom: (() => void) | null = null;
  private readonly fd: number;
  private readonly ends: WritingEnds;
  private readonly sync: boolean;
  private steps: Step[] = [];
  private held = 0;
  private size: number;
  private position: number;
  private busy = false;
  private isFull = false;
  private failure: Outcome = OK;
  private over = false;
  private idle: (() => void) | null = null;

  constructor(fd: number, begun: number, sync: boolean, ends: WritingEnds) {
    this.fd = fd;
    this.begun = begun;
    this.size = begun;
    this.position = begun;
    this.sync = sync;
    this.ends = ends;
  }

  write(input: Uint8Array, start: number, end: number): number {
    return this.writeAt(this.position, input, start, end);
  }

  writeAt(position: number, input: Uint8Array, start: number, end: number): number {
    if (this.over) return end - start;
    let at = start;
    let to = position;
    while (at < end && this.held < HELD_MAX) {
      let step = this.steps.at(-1);
      // The one that is being written grows no more.
      const isTaken = this.busy && this.steps.length === 1;
      if (isTaken || step?.bytes == null || step.at + step.length !== to || step.length === step.bytes.length) {
        const size = Math.max(PIECE_LEAST, Math.min(PIECE, end - at));
        step = { bytes: Buffer.allocUnsafeSlow(size), length: 0, at: to };
        this.steps.push(step);
      }
      const bytes = step.bytes!;
      const count = Math.min(end - at, bytes.length - step.length, HELD_MAX - this.held);
      bytes.set(input.subarray(at, at + count), step.length);
      step.length += count;
      this.held += count;
      at += count;
      to += count;
    }
    if (to > position) {
      this.position = to;
      this.size = Math.max(this.size, to);
    }
    if (at < end) this.isFull = true;
    this.go();
    return at - start;
  }

  truncate(size: number): void {
    if (this.over) return;
    this.steps.push({ bytes: null, length: 0, at: size });
    this.size = size;
    this.go();
  }

  private go(): void {
    if (this.busy) return;
    const step = this.steps[0];
    if (step === undefined) {
      this.idle?.();
      return;
    }
    this.busy = true;
    if (this.failure !== OK) setImmediate(() => this.went(step, null));
    else if (step.bytes === null) ftruncate(this.fd, step.at, (error) => this.went(step, error));
    else this.put(step as Step & { bytes: Buffer }, 0);
  }

  private put(step: Step & { bytes: Buffer }, from: number): void {
    const { length } = step;
    write(this.fd, step.bytes, from, length - from, step.at + from, (error, count) => {
      if (error === null && from + count < length) this.put(step, from + count);
      else this.went(step, error);
    });
  }

  private went(step: Step, error: Error | null): void {
    this.busy = false;
    if (error !== null && this.failure === OK) this.failure = outcomeOfError(error);
    this.steps.shift();
    this.held -= step.length;
    if (this.isFull && this.held <= HELD_MAX / 2) {
      this.isFull = false;
      this.onRoom?.();
    }
    this.go();
  }

  private settle(): Promise<void> {
    this.over = true;
    if (!this.busy && this.steps.length === 0) return Promise.resolve();
    return new Promise((resolve) => {
      this.idle = resolve;
    });
  }

  private let(): Promise<void> {
    return new Promise((resolve) => close(this.fd, () => resolve()));
  }

  commit(waiter: Waiter, token: number): void {
    if (this.over) {
      waiter.settled(token, FAILED, 0);
      return;
    }
    void this.committed().then((outcome) => waiter.settled(token, outcome, outcome === OK ? this.size : 0));
  }

  private async committed(): Promise<Outcome> {
    await this.settle();
    let outcome = this.failure;
    if (outcome === OK && this.sync) outcome = await this.synced();
    if (outcome === OK) outcome = await this.ends.appear();
    await this.let();
    if (outcome !== OK) await this.ends.drop();
    return outcome;
  }

  private synced(): Promise<Outcome> {
    return new Promise((resolve) => {
      fsync(this.fd, (error) => resolve(error === null ? OK : outcomeOfError(error)));
    });
  }

  suspend(): void {
    if (this.over) return;
    const written = this.settle()
      .then(() => this.let())
      .then(() => this.failure === OK);
    this.ends.keep(written);
  }

  abort(): void {
    if (this.over) return;
    this.steps.length = this.busy ? 1 : 0;
    void this.settle()
      .then(() => this.let())
      .then(() => this.ends.drop());
  }
}
