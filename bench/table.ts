// How results are shown: a table for people, one object a line for programs.
import { type Line, type Loaded, type Measured, median, type Workload } from './contest.ts';

export interface Result {
  readonly workload: Workload;
  readonly line: Line;
  readonly own: readonly Measured[];
  readonly theirs: readonly Measured[];
  /** Portico's least and greatest figure. */
  readonly spread: readonly [number, number];
}

const COLOURS = process.stdout.isTTY === true && process.env.NO_COLOR === undefined;

function paint(code: number, text: string): string {
  return COLOURS ? `\u001b[${code}m${text}\u001b[0m` : text;
}

const HEAD = [
  'workload',
  'policy',
  'Portico',
  'spread',
  'peer',
  'its figure',
  'ratio',
  'per CPU',
  'floor',
  'aim',
  'server',
  'load',
];

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

function rowOf({ workload, line, own: ours, theirs, spread }: Result): string[] {
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
    perCpu(ours, theirs),
    goalText(goal?.floor),
    goalText(goal?.aim),
    `${share(ours, 'serverBusy')} ${share(theirs, 'serverBusy')}`,
    `${share(ours, 'busy')} ${share(theirs, 'busy')}`,
  ];
}

/** How much of a core was used, in the middle of the rounds. */
function share(measured: readonly Measured[], of: keyof Loaded): string {
  const shares = measured.flatMap(({ loaded }) => loaded?.[of] ?? []);
  return shares.length === 0 ? '–' : `${Math.round(median(shares) * 100)}%`;
}

/** The ratio of what a second of processor time gave: what else the machine does changes it less than the ratio itself. */
function perCpu(ours: readonly Measured[], theirs: readonly Measured[]): string {
  const [own, their] = [ours, theirs].map((measured) =>
    measured.flatMap(({ value, loaded }) =>
      loaded === null || loaded.serverBusy === 0 ? [] : [value / loaded.serverBusy],
    ),
  );
  return own!.length === 0 || their!.length === 0 ? '' : `${(median(own!) / median(their!)).toFixed(2)}×`;
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
