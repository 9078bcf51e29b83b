// A file on its way in: its pending copy, written to in pieces and one after another. What the copy becomes is the tree's.
import { closeSync, fdatasync, ftruncate, futimes, write } from 'node:fs';
import { giveBack, lend } from '../../bytes/pool.ts';
import { FileReading } from '../../core/file-reading.ts';
import { OK, type Outcome, type Waiter } from '../../core/outcome.ts';
import type { Reading, Sink } from '../../core/sink.ts';
import type { FileWriter } from '../engine.ts';
import { outcomeOf } from './troubles.ts';

/** Written at once: the first piece, which is all of most files, and the others. */
const FIRST_PIECE = 65_536;
const PIECE = 262_144;
/** Pieces that wait for the disk, the one under way included. */
const PIECES_MAX = 5;

/** What is to be done to the copy, in order. */
type Step =
  | { readonly kind: 'write'; readonly bytes: Buffer; readonly at: number; length: number }
  | { readonly kind: 'cut'; readonly size: number };

/** What becomes of the copy at the end; each is called once, and the descriptor is closed by then but for `appear`. */
export interface Ends {
  /** Makes it visible: told the descriptor, which is durable. */
  appear(fd: number): Promise<Outcome>;
  keep(): Promise<void>;
  drop(): Promise<void>;
}

export class DiskWriter implements FileWriter {
  onRoom: (() => void) | null = null;
  trouble: Outcome = OK;
  size: number;
  position: number;
  private readonly fd: number;
  private readonly ends: Ends;
  /** Told at once when it is given up: what becomes of the copy is settled later. */
  private readonly leaves: () => void;
  private readonly steps: Step[] = [];
  private current: Extract<Step, { kind: 'write' }> | null = null;
  private isBusy = false;
  private isShort = false;
  private isOver = false;
  private modified: number | null = null;
  private hasBegun = false;
  /** Something was written since it was last made durable. */
  private isLoose = true;
  private idle: (() => void)[] = [];

  constructor(fd: number, size: number, position: number, ends: Ends, leaves: () => void) {
    this.leaves = leaves;
    this.fd = fd;
    this.size = size;
    this.position = position;
    this.ends = ends;
  }

  write(input: Uint8Array, start: number, end: number): number {
    if (this.trouble !== OK || this.isOver) return end - start;
    this.isLoose = true;
    let at = start;
    while (at < end) {
      const piece = this.piece();
      if (piece === null) {
        this.isShort = true;
        break;
      }
      const length = Math.min(end - at, piece.bytes.length - piece.length);
      piece.bytes.set(input.subarray(at, at + length), piece.length);
      piece.length += length;
      at += length;
      this.position += length;
      if (piece.length === piece.bytes.length) this.put();
    }
    this.size = Math.max(this.size, this.position);
    this.go();
    return at - start;
  }

  seek(position: number): void {
    if (position === this.position) return;
    this.put();
    this.position = position;
  }

  truncate(size: number): void {
    if (this.isOver) return;
    this.put();
    this.isLoose = true;
    this.steps.push({ kind: 'cut', size });
    this.size = size;
    this.go();
  }

  read(start: number, end: number, sink: Sink): Reading {
    let inner: Reading | null = null;
    let isStopped = false;
    void this.drained().then(() => {
      if (isStopped) return;
      inner = new FileReading(this.fd, start, Math.min(end, this.size), sink, () => {});
      inner.more();
    });
    return {
      more: () => inner?.more(),
      stop: () => {
        isStopped = true;
        inner?.stop();
      },
    };
  }

  setModified(modified: number): void {
    this.modified = modified;
  }

  async sync(): Promise<Outcome> {
    await this.drained();
    if (this.trouble !== OK) return this.trouble;
    this.isLoose = false;
    const outcome = await done((then) => fdatasync(this.fd, then));
    if (outcome !== OK) this.isLoose = true;
    return outcome;
  }

  commit(waiter: Waiter, token: number): void {
    if (this.isOver) return;
    void this.finish().then((outcome) => waiter.settled(token, outcome, outcome === OK ? this.size : 0));
  }

  suspend(): void {
    if (this.isOver) return;
    this.leaves();
    this.end();
    void this.drained().then(async () => {
      this.close();
      await this.ends.keep();
    });
  }

  abort(): void {
    if (this.isOver) return;
    this.leaves();
    this.end();
    this.steps.length = 0;
    void this.drained().then(async () => {
      this.close();
      await this.ends.drop();
    });
  }

  private async finish(): Promise<Outcome> {
    this.end();
    await this.drained();
    let outcome = this.trouble;
    const { modified, fd } = this;
    if (outcome === OK && modified !== null) {
      const seconds = modified / 1_000;
      outcome = await done((then) => futimes(fd, seconds, seconds, then));
    }
    if (outcome === OK && this.isLoose) outcome = await done((then) => fdatasync(fd, then));
    if (outcome === OK) outcome = await this.ends.appear(fd);
    this.close();
    if (outcome !== OK) await this.ends.drop();
    return outcome;
  }

  /** Takes nothing more. */
  private end(): void {
    this.put();
    this.isOver = true;
    this.go();
  }

  private piece(): Extract<Step, { kind: 'write' }> | null {
    if (this.current !== null) return this.current;
    if (this.steps.length + Number(this.isBusy) >= PIECES_MAX) return null;
    const bytes = lend(this.hasBegun ? PIECE : FIRST_PIECE);
    this.hasBegun = true;
    this.current = { kind: 'write', bytes, at: this.position, length: 0 };
    return this.current;
  }

  private put(): void {
    if (this.current !== null) this.steps.push(this.current);
    this.current = null;
  }

  /** The next step, when none is under way. */
  private go(): void {
    if (this.isBusy) return;
    if (this.steps.length === 0) this.put();
    const step = this.trouble === OK ? this.steps.shift() : undefined;
    if (step === undefined) {
      this.steps.length = 0;
      const waiting = this.idle;
      if (waiting.length > 0) this.idle = [];
      for (const each of waiting) each();
      return;
    }
    this.isBusy = true;
    if (step.kind === 'cut') ftruncate(this.fd, step.size, (error) => this.did(error));
    else this.writeAll(step, 0);
  }

  private writeAll(step: Extract<Step, { kind: 'write' }>, from: number): void {
    write(this.fd, step.bytes, from, step.length - from, step.at + from, (error, wrote) => {
      if (error === null && from + wrote < step.length) {
        this.writeAll(step, from + wrote);
        return;
      }
      giveBack(step.bytes);
      this.did(error);
    });
  }

  private did(error: Error | null): void {
    this.isBusy = false;
    if (error !== null) this.trouble = outcomeOf(error);
    if (this.isShort && !this.isOver) {
      this.isShort = false;
      this.onRoom?.();
    }
    this.go();
  }

  private drained(): Promise<void> {
    return new Promise((resolve) => {
      this.idle.push(resolve);
      this.go();
    });
  }

  private close(): void {
    try {
      closeSync(this.fd);
    } catch (error) {
      this.trouble = outcomeOf(error);
    }
  }
}

export function done(call: (then: (error: Error | null) => void) => void): Promise<Outcome> {
  return new Promise((resolve) => call((error) => resolve(error === null ? OK : outcomeOf(error))));
}
