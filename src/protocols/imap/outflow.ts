// Stretches of a long message on their way from the store to a client, at the pace at which it reads: none of the message is
// held for longer than the network needs.
import { OK, type Outcome } from '../../core/outcome.ts';
import type { Pipe } from '../../core/pipe.ts';
import type { Reading, Sink } from '../../core/sink.ts';
import { type Part, partAt } from '../../formats/mime/structure.ts';
import type { Folder } from '../../resources/mail/contract.ts';
import type { FetchItem, Section } from './items.ts';

/** Messages from this size on are not read whole where it can be helped. */
export const LONG_MESSAGE = 262_144;

export type SectionItem = Extract<FetchItem, { readonly kind: 'section' }>;

/** `[start, stop)` of the message that a section is; null: there is no such part; undefined: its bytes have to be read for it. */
type Range = readonly [start: number, stop: number] | null | undefined;

/** @param root the structure, where it is known */
export function rangeOf({ section, partial, form }: SectionItem, root: Part | null, size: number): Range {
  if (form !== 'bytes') return undefined;
  const whole = section.numbers.length === 0 && section.what === '' ? ([0, size] as const) : rangeIn(section, root);
  if (whole === null || whole === undefined || partial === null) return whole;
  const [start, stop] = whole;
  const [offset, count] = partial;
  return [Math.min(stop, start + offset), Math.min(stop, start + offset + count)];
}

function rangeIn({ numbers, what }: Section, root: Part | null): Range {
  if (root === null || what === 'FIELDS' || what === 'NOT') return undefined;
  const part = numbers.length === 0 ? root : partAt(root, numbers);
  if (part === null) return null;
  if (what === '') return [part.body, part.end];
  if (what === 'MIME') return [part.start, part.body];
  const message = numbers.length === 0 ? root : part.message;
  if (message === null) return null;
  return what === 'TEXT' ? [message.body, message.end] : [message.start, message.body];
}

/** One stretch. */
export class Outflow implements Sink {
  isDone = false;
  outcome: Outcome = OK;
  private readonly pipe: Pipe;
  private readonly told: () => void;
  private reading: Reading | null = null;
  private left: number;

  /** @param told there is more to be written, or all was */
  constructor(pipe: Pipe, folder: Folder, uid: number, start: number, stop: number, told: () => void) {
    this.pipe = pipe;
    this.told = told;
    this.left = stop - start;
    this.reading = folder.read(uid, start, stop, this);
  }

  get room(): number {
    return this.isDone ? 0 : this.pipe.room;
  }

  bytes(data: Uint8Array, start: number, end: number): void {
    this.left -= end - start;
    this.pipe.share(data, start, end);
    this.pipe.flush();
  }

  end(outcome: Outcome): void {
    this.isDone = true;
    this.outcome = outcome;
    this.told();
  }

  /** Less came than was said. */
  get isShort(): boolean {
    return this.left > 0;
  }

  more(): void {
    if (!this.isDone) this.reading?.more();
  }

  stop(): void {
    this.isDone = true;
    this.reading?.stop();
  }
}
