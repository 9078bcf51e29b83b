// `portico lab`: what protocols do on a path that is simulated, in tables, with what stands for what said beside them.
import type { Command } from 'commander';
import type { Contender } from '../lab/contender.ts';
import { type Figure, measure } from '../lab/experiments.ts';
import { http2 } from '../lab/http2.ts';
import { http3 } from '../lab/http3.ts';
import { bold, dim, EXIT, fail } from './output.ts';
import { numberOf } from './sub.ts';

interface LabFlags {
  readonly latency?: string;
  readonly loss?: string[];
  readonly seeds?: string;
  readonly json?: boolean;
}

const LATENCY_MS = 25;
const LOSSES = ['0', '1', '3'];
const SEEDS = 5;

/** What can be compared, by name. */
const COMPARED: Readonly<Record<string, readonly Contender[]>> = { 'http2-vs-http3': [http2, http3] };

export function addLab(program: Command): void {
  program
    .command('lab')
    .description('compare protocols on a simulated path: portico lab http2-vs-http3')
    .argument('<what>', Object.keys(COMPARED).join(', '))
    .option('--latency <ms>', `one way; ${LATENCY_MS}`)
    .option('--loss <percent...>', `of the datagrams; ${LOSSES.join(' ')}`)
    .option('--seeds <n>', `runs of each, whose median is shown; ${SEEDS}`)
    .option('--json', 'print one JSON line a figure')
    .action((what: string, flags: LabFlags) => lab(what, flags));
}

function lab(what: string, flags: LabFlags): void {
  const contenders =
    COMPARED[what] ?? fail(`there is no ${what}; there is ${Object.keys(COMPARED).join(', ')}`, EXIT.usage);
  const latencyMs = numberOf('latency', flags.latency) ?? LATENCY_MS;
  const seeds = numberOf('seeds', flags.seeds) ?? SEEDS;
  const losses = (flags.loss ?? LOSSES).map(Number);
  if (latencyMs < 1 || latencyMs > 2_000) fail('--latency is from 1 to 2000', EXIT.usage);
  if (seeds < 1 || seeds > 1_000) fail('--seeds is from 1 to 1000', EXIT.usage);
  if (losses.some((loss) => !(loss >= 0 && loss <= 20))) fail('--loss is from 0 to 20, in percent', EXIT.usage);
  const plan = { seeds, latencyMs, losses: losses.map((loss) => loss / 100) };
  if (flags.json === true) {
    for (const figure of measure(contenders, plan)) process.stdout.write(`${JSON.stringify(figure)}\n`);
    return;
  }
  head(contenders, latencyMs, seeds);
  const rows = new Rows(contenders);
  for (const figure of measure(contenders, plan)) rows.add(figure);
}

function head(contenders: readonly Contender[], latencyMs: number, seeds: number): void {
  const lines = [
    bold(contenders.map(({ name }) => name).join(' and ')),
    '',
    ...contenders.map(({ name, label }) => `  ${name.padEnd(8)} ${label}`),
    '',
    `On one simulated path of ${latencyMs} ms each way, in simulated time: medians of ${seeds} seeded runs, in milliseconds.`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

const SETTING_WIDTH = 40;
const FIGURE_WIDTH = 12;

/** A row is shown once every contender has its figure. */
class Rows {
  private readonly contenders: readonly Contender[];
  private readonly open = new Map<string, Map<string, number>>();
  private experiment = '';

  constructor(contenders: readonly Contender[]) {
    this.contenders = contenders;
  }

  add({ experiment, setting, contender, value }: Figure): void {
    const names = this.contenders.map(({ name }) => name);
    if (experiment !== this.experiment) {
      this.experiment = experiment;
      const heads = names.map((name) => name.padStart(FIGURE_WIDTH)).join('');
      process.stdout.write(`\n${bold(experiment.padEnd(SETTING_WIDTH + 2))}${dim(heads)}\n`);
    }
    const row = this.open.get(setting) ?? new Map<string, number>();
    this.open.set(setting, row.set(contender, value));
    if (row.size < names.length) return;
    this.open.delete(setting);
    const figures = names.map((name) => shown(row.get(name)!).padStart(FIGURE_WIDTH)).join('');
    process.stdout.write(`  ${setting.padEnd(SETTING_WIDTH)}${figures}\n`);
  }
}

function shown(ms: number): string {
  return Number.isFinite(ms) ? ms.toFixed(0) : 'never';
}
