// How transfers are shown: bars on a terminal, on standard error; a line a file for machines; nothing else unless it is asked for.
import type { Outcome, Task, Telling } from '../transfer/copy.ts';
import type { TransferError } from '../transfer/remote.ts';
import { complain, visible } from './output.ts';
import { tlsHint } from './tls-flags.ts';

export interface ProgressFlags {
  readonly json?: boolean;
  readonly quiet?: boolean;
  readonly progress?: boolean;
}

const DRAW_MS = 100;
const SHOWN_MAX = 6;
const BAR = 24;

export class Progress implements Telling {
  private readonly flags: ProgressFlags;
  private readonly isDry: boolean;
  private readonly bars: Bars | null;
  private readonly hasLines: boolean;

  constructor(flags: ProgressFlags, isDry: boolean) {
    this.flags = flags;
    this.isDry = isDry;
    const hasBars = flags.quiet !== true && flags.json !== true && !isDry && process.stderr.isTTY;
    this.bars = hasBars ? new Bars(process.stderr) : null;
    this.hasLines = flags.json !== true && (flags.progress === true || isDry);
  }

  began(task: Task): void {
    this.bars?.began(task);
  }

  went(task: Task, offset: number): void {
    this.bars?.went(task, offset);
  }

  retries(task: Task, why: string): void {
    this.bars?.clear();
    if (this.flags.json === true) print({ event: 'retry', ...said(task), why });
    else if (this.flags.quiet !== true) complain(`${visible(nameOf(task))}: ${visible(why)}; once more`);
  }

  ended(task: Task, failed: TransferError | null): void {
    const { bars, isDry } = this;
    bars?.ended(task);
    if (this.flags.json === true) {
      const event = failed !== null ? 'failed' : isDry ? 'planned' : 'done';
      print({ event, ...said(task), ...whyOf(failed) });
      return;
    }
    if (failed === null && !this.hasLines) return;
    bars?.clear();
    const name = visible(nameOf(task));
    if (failed !== null) complain(`${name}: ${visible(failed.message)}${tlsHint(failed.message)}`);
    else process.stderr.write(`${isDry ? 'would ' : ''}${task.do.replace('-here', '')} ${name}\n`);
  }

  finish({ copied, bytes, deleted, failed }: Outcome): void {
    this.bars?.stop();
    if (this.flags.json === true) {
      print({ event: 'end', copied, bytes, deleted, failed });
      return;
    }
    if (this.bars === null && !this.hasLines) return;
    const text = [`${copied} file${copied === 1 ? '' : 's'}, ${bytesText(bytes)}`];
    if (deleted > 0) text.push(`${deleted} deleted`);
    if (failed > 0) text.push(`${failed} failed`);
    process.stderr.write(`${text.join(', ')}\n`);
  }
}

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function nameOf(task: Task): string {
  return task.do === 'delete-here' ? task.here : task.path;
}

function said(task: Task): object {
  const path = nameOf(task);
  if (task.do === 'get' || task.do === 'put') return { do: task.do, path, here: task.here, size: task.facts.size };
  return { do: task.do, path };
}

function whyOf(failed: TransferError | null): object {
  return failed === null ? {} : { trouble: failed.trouble, why: failed.message };
}

export function bytesText(bytes: number): string {
  let value = bytes;
  for (const unit of ['B', 'kB', 'MB', 'GB']) {
    if (value < 1_000) return `${unit === 'B' ? value : value.toFixed(1)} ${unit}`;
    value /= 1_000;
  }
  return `${value.toFixed(1)} TB`;
}

/** What is under way, redrawn in place. */
class Bars {
  private readonly stream: NodeJS.WriteStream;
  private readonly going = new Map<Task, { offset: number; readonly since: number; from: number }>();
  private readonly timer: NodeJS.Timeout;
  private drawn = 0;

  constructor(stream: NodeJS.WriteStream) {
    this.stream = stream;
    this.timer = setInterval(() => this.draw(), DRAW_MS);
    this.timer.unref();
  }

  began(task: Task): void {
    this.going.set(task, { offset: 0, since: Date.now(), from: -1 });
  }

  went(task: Task, offset: number): void {
    const one = this.going.get(task);
    if (one === undefined) return;
    if (one.from < 0) one.from = offset;
    one.offset = offset;
  }

  ended(task: Task): void {
    this.going.delete(task);
  }

  clear(): void {
    if (this.drawn > 0) this.stream.write(`\u001b[${this.drawn}A\r\u001b[J`);
    this.drawn = 0;
  }

  stop(): void {
    clearInterval(this.timer);
    this.clear();
  }

  private draw(): void {
    this.clear();
    const width = this.stream.columns || 80;
    let text = '';
    for (const [task, { offset, since, from }] of this.going) {
      if (task.do !== 'get' && task.do !== 'put') continue;
      if (this.drawn === SHOWN_MAX) break;
      const { size } = task.facts;
      const share = size > 0 ? Math.min(1, offset / size) : 0;
      const full = Math.round(share * BAR);
      const speed = ((offset - Math.max(0, from)) * 1_000) / Math.max(1, Date.now() - since);
      const bar =
        size < 0
          ? ''
          : `[${'#'.repeat(full)}${'.'.repeat(BAR - full)}] ${String(Math.floor(share * 100)).padStart(3)}% `;
      const line = `${bar}${bytesText(offset)} ${bytesText(Math.round(speed))}/s ${visible(nameOf(task))}`;
      text += `${line.slice(0, width - 1)}\n`;
      this.drawn++;
    }
    this.stream.write(text);
  }
}
