// How results are shown: a table for people, one object a line for programs.
import type { Line, Workload } from './contest.ts';

export interface Result {
  readonly workload: Workload;
  readonly line: Line;
  /** Of the load's core in the run of the median, for Portico and for the peer. */
  readonly busy: readonly [number | null, number | null];
  /** Portico's least and greatest figure. */
  readonly spread: readonly [number, number];
}

const COLOURS = process.stdout.isTTY === true && process.env.NO_COLOR === undefined;

function paint(code: number, text: string): string {
  return COLOURS ? `\u001b[${code}m${text}\u001b[0m` : text;
}

const HEAD = ['workload', 'policy', 'Portico', 'spread', 'peer', 'its figure', 'ratio', 'floor', 'aim', 'load'];

/** Markdown, so that it goes into the documentation as it is. */
export function table(results: readonly Result[]): string {
  const rows = results.map(rowOf);
  const widths = HEAD.map((head, at) => Math.max(head.length, ...rows.map((row) => row[at]!.length)));
  const draw = (cells: readonly string[], colour = (_: number, text: string) => text) =>
    `| ${cells.map((cell, at) => colour(at, pad(cell, widths[at]!, isFigure(at)))).join(' | ')} |`;
  const rule = `|${widths.map((width, at) => '-'.repeat(width + 1) + (isFigure(at) ? ':' : '-')).join('|')}|`;
  const lines = rows.map((row, index) =>
    draw(row, (at, text) => (at === RATIO ? paint(colourOf(results[index]!), text) : text)),
  );
  return [draw(HEAD, (_, text) => paint(1, text)), rule, ...lines].join('\n');
}

const RATIO = HEAD.indexOf('ratio');

function isFigure(at: number): boolean {
  return !['workload', 'policy', 'peer'].includes(HEAD[at]!);
}

function pad(text: string, width: number, right: boolean): string {
  return right ? text.padStart(width) : text.padEnd(width);
}

function rowOf({ workload, line, busy, spread }: Result): string[] {
  const goal = workload.goals[line.peer] ?? workload.goals.portico;
  const own = workload.goals.portico !== undefined;
  const goalText = (value: number | undefined) => (value === undefined ? '' : own ? figure(value) : `${value}×`);
  return [
    `${workload.name}, ${workload.unit}`,
    line.policy,
    figure(line.portico),
    `${figure(spread[0])}–${figure(spread[1])}`,
    line.peer,
    line.peerValue === null ? 'missing' : figure(line.peerValue),
    line.ratio === null ? '' : `${line.ratio.toFixed(2)}×`,
    goalText(goal?.floor),
    goalText(goal?.aim),
    busy.map((share) => (share === null ? '–' : `${Math.round(share * 100)}%`)).join(' '),
  ];
}

/** Green where the aim is reached, yellow where the floor is, red below. */
function colourOf({ workload, line }: Result): number {
  const own = workload.goals.portico;
  if (own !== undefined) return line.portico <= own.aim ? 32 : line.portico <= own.floor ? 33 : 31;
  const goal = workload.goals[line.peer];
  if (goal === undefined || line.ratio === null) return 0;
  return line.ratio >= goal.aim ? 32 : line.ratio >= goal.floor ? 33 : 31;
}

export function figure(value: number): string {
  if (value >= 1e6) return `${(value / 1e6).toFixed(2)}M`;
  return Math.round(value).toLocaleString('en');
}
