// POST of a form into a folder: each file of it appears by itself, in the order in which they come.

import { BAD } from '../../bytes/reader.ts';
import type { BodyReader, Exchange } from '../../core/exchange.ts';
import type { Fault } from '../../core/fault.ts';
import { Fields } from '../../core/fields.ts';
import type { Outcome } from '../../core/outcome.ts';
import { NEVER } from '../../core/time.ts';
import type { IncomingFile } from '../../resources/files/contract.ts';
import { answerJson, answerNothing } from '../http/answers.ts';
import { splitTarget } from '../http/target.ts';
import { faults } from './faults.ts';
import { type FormParts, FormReader, type PartHead } from './form.ts';
import { answerFileOutcome, encodedPath, type FilesHost, PREFIX, refuse } from './server-answers.ts';
import { locksOf } from './server-write.ts';

interface Written {
  readonly path: string;
  readonly size: number;
  readonly version: string;
}

/** One form. While a file is opened or committed the body is held. */
export class FormUpload implements BodyReader, FormParts {
  private readonly exchange: Exchange;
  private readonly host: FilesHost;
  private readonly folder: string;
  private readonly form: FormReader;
  private file: IncomingFile | null = null;
  /** The part has no file, or its field none. */
  private skips = false;
  private isHeld = false;
  /** The disk takes no more for now. */
  private isShort = false;
  /** The beginning of a head or of a delimiter. */
  private rest: Buffer = Buffer.alloc(0);
  private isIn = false;
  private isOver = false;
  private readonly written: Written[] = [];

  constructor(exchange: Exchange, host: FilesHost, folder: string, boundary: string) {
    this.exchange = exchange;
    this.host = host;
    this.folder = folder;
    const { partHeadBytesMax, partsMax } = host.limits;
    this.form = new FormReader(boundary, partHeadBytesMax, partsMax, this);
    exchange.deadline = NEVER;
    exchange.on = { writable() {}, tick() {}, leave() {}, lost: () => this.lost() };
    exchange.body(this);
  }

  // FormParts

  begin({ filename }: PartHead): void {
    // What browsers send when no file was chosen, and what is no file.
    this.skips = filename === null || filename === '';
    if (this.skips) return;
    const name = filename!.slice(Math.max(filename!.lastIndexOf('/'), filename!.lastIndexOf('\\')) + 1);
    const path = this.folder === '' ? name : `${this.folder}/${name}`;
    this.hold(async () => {
      const wish = { begin: 'new' as const, locks: locksOf(this.exchange), upload: `form ${this.written.length}` };
      const file = await this.host.resources.files!.write(this.exchange.caller, path, wish);
      if (typeof file === 'number') {
        this.fail(file, path);
        return;
      }
      if (this.isOver) {
        file.abort();
        return;
      }
      file.onRoom = () => this.goOn();
      this.file = file;
    });
  }

  bytes(input: Uint8Array, start: number, end: number): number {
    if (this.skips) return end - start;
    if (this.isHeld || this.file === null) {
      this.isShort = true;
      return 0;
    }
    const took = this.file.write(input, start, end);
    if (took < end - start) {
      this.isShort = true;
      this.exchange.pause();
    }
    return took;
  }

  end(): void {
    const { file } = this;
    if (this.skips || file === null) return;
    this.file = null;
    this.hold(async () => {
      const facts = await file.commit();
      if (typeof facts === 'number') this.fail(facts, this.folder);
      else this.written.push({ path: facts.path, size: facts.size, version: facts.version });
    });
  }

  /** Nothing more is read until this is done. */
  private hold(work: () => Promise<void>): void {
    this.isHeld = true;
    this.exchange.pause();
    void work().then(() => {
      this.isHeld = false;
      if (this.isIn) this.answer();
      else this.goOn();
    });
  }

  private goOn(): void {
    if (!this.isHeld) this.exchange.resume();
  }

  // BodyReader

  receive(input: Uint8Array, start: number, end: number): number {
    if (this.isOver) return end;
    if (this.isHeld) {
      this.exchange.pause();
      return start;
    }
    const before = this.rest.length;
    const own = Buffer.from(input.buffer, input.byteOffset + start, end - start);
    const bytes = before === 0 ? own : Buffer.concat([this.rest, own]);
    let at = 0;
    while (at < bytes.length && !this.isHeld && !this.isOver) {
      const next = this.form.read(bytes, at, bytes.length);
      if (next === BAD) {
        this.refuse(this.form.fault!);
        return end;
      }
      if (next < 0) break;
      at = next;
    }
    if (this.isOver) return end;
    const waits = this.isHeld || this.isShort;
    this.isShort = false;
    // What waits for more bytes is kept here; what waits for the disk stays where it is.
    this.rest = Buffer.from(bytes.subarray(at, waits ? Math.max(at, before) : bytes.length));
    return waits ? start + Math.max(0, at - before) : end;
  }

  trailers(): void {}

  finish(): void {
    if (this.isOver) return;
    this.isIn = true;
    if (!this.form.isDone) this.refuse(faults.badForm);
    else if (!this.isHeld) this.answer();
  }

  lost(): void {
    this.isOver = true;
    this.file?.abort();
    this.file = null;
  }

  private refuse(fault: Fault): void {
    const { exchange } = this;
    this.lost();
    refuse(exchange, fault);
  }

  private fail(outcome: Outcome, path: string): void {
    if (this.isOver) return;
    this.lost();
    answerFileOutcome(this.exchange, outcome, this.host.resources.files!, path);
    this.exchange.resume();
  }

  private answer(): void {
    if (this.isOver) return;
    this.isOver = true;
    const { exchange, written } = this;
    const accept = exchange.fields.joined('accept') ?? '';
    const { path } = splitTarget(exchange.target);
    // A page is shown again, now with the files on it.
    if (accept.includes('text/html')) answerNothing(exchange, 303, Fields.of({ location: path.replace(/^\/+/, '/') }));
    else {
      const fields = new Fields();
      if (written.length === 1) fields.append('location', PREFIX + encodedPath(written[0]!.path));
      answerJson(exchange, written.length === 0 ? OK_STATUS : 201, { written }, fields);
    }
  }
}

const OK_STATUS = 200;
