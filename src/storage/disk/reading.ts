// A file that is open, read piece by piece at the pace of who takes it.
import { close, read } from 'node:fs';
import { FAILED, OK } from '../../core/outcome.ts';
import type { Reading, Sink } from '../../core/sink.ts';
import type { OpenTreeFile, Stat } from '../engine.ts';

const PIECE = 262_144;

export class DiskFile implements OpenTreeFile {
  readonly stat: Stat;
  readonly fd: number;
  private readings = 0;
  private closing = false;

  constructor(fd: number, stat: Stat) {
    this.fd = fd;
    this.stat = stat;
  }

  read(start: number, end: number, sink: Sink): Reading {
    this.readings++;
    return new DiskReading(this.fd, start, end, sink, () => {
      if (--this.readings === 0 && this.closing) this.let();
    });
  }

  close(): void {
    if (this.closing) return;
    this.closing = true;
    if (this.readings === 0) this.let();
  }

  private let(): void {
    close(this.fd, () => {});
  }
}

class DiskReading implements Reading {
  private readonly fd: number;
  private at: number;
  private readonly end: number;
  private readonly sink: Sink;
  private readonly done: () => void;
  private busy = false;
  private over = false;

  constructor(fd: number, start: number, end: number, sink: Sink, done: () => void) {
    this.fd = fd;
    this.at = start;
    this.end = end;
    this.sink = sink;
    this.done = done;
    // Never from within the call that began it.
    this.busy = true;
    setImmediate(() => {
      this.busy = false;
      this.more();
    });
  }

  more(): void {
    if (this.busy || this.over) return;
    const { sink, end } = this;
    if (this.at >= end) {
      this.finish();
      sink.end(OK);
      return;
    }
    const { room } = sink;
    if (room <= 0) return;
    this.busy = true;
    const wanted = Math.min(PIECE, end - this.at);
    const buffer = Buffer.allocUnsafeSlow(wanted);
    read(this.fd, buffer, 0, wanted, this.at, (error, count) => {
      this.busy = false;
      if (this.over) {
        this.done();
        return;
      }
      if (error !== null) {
        this.finish();
        sink.end(FAILED);
        return;
      }
      if (count > 0) {
        this.at += count;
        sink.bytes(buffer, 0, count);
      }
      // Shorter than it was: what there is has been given.
      if (count < wanted && !this.over && this.at < end) {
        this.finish();
        sink.end(OK);
      } else this.more();
    });
  }

  private finish(): void {
    this.over = true;
    this.done();
  }

  stop(): void {
    if (this.over) return;
    this.over = true;
    if (!this.busy) this.done();
  }
}
