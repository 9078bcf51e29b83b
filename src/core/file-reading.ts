// An open file that is read at the pace of whoever takes its bytes, and closed once nobody reads it any more.
import { close, read } from 'node:fs';
import { giveBack, lend } from '../bytes/pool.ts';
import { FAILED, OK } from './outcome.ts';
import type { Reading, Sink } from './sink.ts';

/** Read at once. */
const PIECE = 262_144;

/** Reads `[start..end)`; `done` is called once it is over, or stopped. */
export class FileReading implements Reading {
  private readonly fd: number;
  private readonly end: number;
  private readonly sink: Sink;
  private readonly done: () => void;
  private at: number;
  private isBusy = false;
  private over = false;

  constructor(fd: number, start: number, end: number, sink: Sink, done: () => void) {
    this.fd = fd;
    this.at = start;
    this.end = end;
    this.sink = sink;
    this.done = done;
  }

  more(): void {
    if (this.isBusy || this.over) return;
    if (this.at >= this.end) {
      this.close();
      this.sink.end(OK);
      return;
    }
    if (this.sink.room <= 0) return;
    this.isBusy = true;
    const length = Math.min(PIECE, this.end - this.at);
    const piece = lend(length);
    read(this.fd, piece, 0, length, this.at, (error, got) => {
      this.isBusy = false;
      if (this.over) {
        giveBack(piece);
        this.done();
        return;
      }
      if (error !== null || got === 0) {
        giveBack(piece);
        this.close();
        this.sink.end(FAILED);
        return;
      }
      this.at += got;
      this.sink.bytes(piece, 0, got, piece);
      this.more();
    });
  }

  stop(): void {
    if (this.over) return;
    if (this.isBusy) this.over = true;
    else this.close();
  }

  private close(): void {
    this.over = true;
    this.done();
  }
}

/** A descriptor with users: it is closed by the last that lets go. */
export class SharedDescriptor {
  readonly fd: number;
  private users = 1;

  constructor(fd: number) {
    this.fd = fd;
  }

  /** One more user, who lets go by `release`. */
  retain(): void {
    this.users++;
  }

  read(start: number, end: number, sink: Sink): Reading {
    this.users++;
    const reading = new FileReading(this.fd, start, end, sink, () => this.release());
    reading.more();
    return reading;
  }

  release(): void {
    if (--this.users === 0) close(this.fd, () => {});
  }
}
