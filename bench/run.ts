// `npm run bench -- mqtt|websocket|sse|http|http2|http3|tls|grpc|graphql|rest|soap|ftp|dns|mail|storage`: Portico and its peers in alternating rounds, medians and ratios.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { loadNative } from '../src/native/native.ts';
import { Compiler } from './compile.ts';
import { type Entrant, type Line, type Loaded, type Measured, median, type Timing, type Workload } from './contest.ts';
import { end, endAll, MissingError, runLoad, serve } from './processes.ts';
import { figure, type Result, table } from './table.ts';

const BENCHES = [
  'mqtt',
  'websocket',
  'sse',
  'http',
  'http2',
  'http3',
  'tls',
  'grpc',
  'graphql',
  'rest',
  'soap',
  'ftp',
  'files',
  'dns',
  'mail',
  'storage',
];
const USAGE = `usage: npm run bench -- ${BENCHES.join('|')} [--rounds n] [--run ms] [--quick] [--only text] [--skip text]
                        [--policy durable|none] [--profile folder] [--json]
  --rounds n   rounds, each of everybody in turn; 3, and 1 with --quick
  --run ms     the timed window, after a warm-up of a third of it; 3000, and 500 with --quick
  --quick      short runs, and none of those that show growth: to see that it works, not for figures
  --only text  workloads whose name has the text
  --skip text  not those, for example growth
  --policy p   those of one history policy
  --profile f  Portico writes a CPU profile of each run into this folder
  --json       one object a line for each peer of each workload
`;

const folder = mkdtempSync(join(tmpdir(), 'portico-bench-'));
const compiler = new Compiler(folder);

function clean(): void {
  endAll();
  // What was killed a moment ago may still be writing.
  rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 100 });
}
process.on('exit', clean);
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
  ['SIGHUP', 129],
] as const)
  process.once(signal, () => process.exit(code));

function tell(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** One run of one entrant: a fresh server, the load, and everything ended. */
async function measure(workload: Workload, entrant: Entrant, timing: Timing): Promise<Measured> {
  const place = mkdtempSync(join(folder, 'run-'));
  const served: Awaited<ReturnType<typeof serve>>[] = [];
  const words = (options: Readonly<Record<string, string | number>>) =>
    Object.entries(options).flatMap(([name, value]) => [`--${name}`, String(value)]);
  try {
    const scene = {
      folder: place,
      policy: workload.policy,
      timing,
      serve: async (...given: Parameters<typeof serve>) => {
        const server = await serve(...given);
        served.push(server);
        return server;
      },
      load: async (name: string, options: Readonly<Record<string, string | number>>) => {
        const all = { ...options, warm: timing.warmMs, run: timing.runMs, watch: served[0]!.pid };
        const loaded = JSON.parse(await runLoad(compiler.program(name), words(all))) as Loaded;
        return { value: loaded.perSecond, loaded };
      },
      ask: (command: string, args: readonly string[]) => runLoad(command, args),
      hold: async (name: string, options: Readonly<Record<string, string | number>>, during: () => Promise<void>) => {
        await runLoad(compiler.program(name), words(options), during);
      },
    };
    return await workload.measure(scene, { name: entrant.name, ...(await entrant.start(scene)) });
  } finally {
    for (const { process: child } of served) await end(child);
    rmSync(place, { recursive: true, force: true });
  }
}

/** All rounds of one workload; in every other round the peers go first, so that no one always has the warmer machine. */
async function contest(workload: Workload, present: readonly Entrant[], rounds: number, timing: Timing) {
  const figures = new Map<string, Measured[]>(present.map(({ name }) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (const entrant of round % 2 === 0 ? present : [...present].reverse()) {
      try {
        const measured = await measure(workload, entrant, timing);
        figures.get(entrant.name)!.push(measured);
        tell(`  ${entrant.name}: ${figure(measured.value)} ${workload.unit}`);
      } catch (error) {
        if (error instanceof MissingError) throw error;
        tell(`  ${entrant.name}: no figure, ${error instanceof Error ? error.message : String(error)}`);
        process.exitCode = 1;
      }
    }
  }
  return figures;
}

function resultsOf(bench: string, workload: Workload, figures: ReadonlyMap<string, readonly Measured[]>): Result[] {
  const own = figures.get('portico') ?? [];
  if (own.length === 0) return [];
  const portico = median(own.map(({ value }) => value));
  return workload.entrants.slice(1).map(({ name }) => {
    const theirs = figures.get(name) ?? [];
    const peerValue = theirs.length === 0 ? null : median(theirs.map(({ value }) => value));
    const [more, less] = workload.lessIsBetter === true ? [peerValue, portico] : [portico, peerValue];
    // Whoever was given no processor in the whole window has no ratio.
    const ratio = more === null || less === null || less === 0 ? null : more / less;
    const line: Line = {
      bench,
      workload: workload.name,
      unit: workload.unit,
      portico,
      peer: name,
      peerValue,
      ratio: ratio === null ? null : Math.round(ratio * 1_000) / 1_000,
      native: loadNative('auto') !== null,
      policy: workload.policy,
    };
    const spread = [Math.min(...own.map(({ value }) => value)), Math.max(...own.map(({ value }) => value))] as const;
    return { workload, line, spread, own, theirs };
  });
}

/** A whole number from the command line, within what a run may take. */
function whole(text: string, name: string, most: number): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 1 && value <= most) return value;
  process.stderr.write(`--${name} is a whole number from 1 to ${most}, not ${text}\n`);
  process.exit(64);
}

function readArguments() {
  try {
    const { values, positionals } = parseArgs({
      allowPositionals: true,
      options: {
        rounds: { type: 'string' },
        run: { type: 'string' },
        quick: { type: 'boolean', default: false },
        only: { type: 'string', default: '' },
        skip: { type: 'string' },
        policy: { type: 'string' },
        profile: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
    const [bench = ''] = positionals;
    if (values.help) {
      process.stdout.write(USAGE);
      process.exit(0);
    }
    if (!BENCHES.includes(bench) || positionals.length > 1) throw new Error('name one benchmark');
    if (values.policy !== undefined && values.policy !== 'durable' && values.policy !== 'none')
      throw new Error(`--policy is durable or none, not ${values.policy}`);
    return { bench, ...values };
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    process.exit(64);
  }
}

/** Those of the entrants that are installed; each that is not is named once, with what brings it. */
function presentOf(workloads: readonly Workload[]): Set<Entrant> {
  const present = new Set<Entrant>();
  for (const entrant of new Set(workloads.flatMap(({ entrants }) => entrants))) {
    const version = entrant.find();
    if (version !== null) present.add(entrant);
    tell(
      version === null
        ? `${entrant.name} is missing: it comes with ${entrant.comesWith}`
        : `${entrant.name} ${version}`,
    );
  }
  return present;
}

async function main(): Promise<void> {
  const { bench, json, quick, only, skip, rounds: roundsText, run, policy, profile } = readArguments();
  if (profile !== undefined) process.env.BENCH_PROFILES = profile;
  const rounds = whole(roundsText ?? (quick ? '1' : '3'), 'rounds', 100);
  const runMs = whole(run ?? (quick ? '500' : '3000'), 'run', 600_000);
  const { workloads } = (await import(`./workloads/${bench}.ts`)) as { workloads: readonly Workload[] };
  const chosen = workloads.filter(
    (workload) =>
      workload.name.includes(only) &&
      (skip === undefined || !workload.name.includes(skip)) &&
      (policy === undefined || workload.policy === policy) &&
      !(quick && workload.long === true),
  );
  if (chosen.length === 0)
    throw new Error('there is no such workload; without --only, --skip and --policy all are run');
  const present = presentOf(chosen);
  const results: Result[] = [];
  for (const workload of chosen) {
    tell(`${workload.name}, ${workload.policy}`);
    const entrants = workload.entrants.filter((entrant) => present.has(entrant));
    const timing = { warmMs: Math.ceil(runMs / 3), runMs };
    const found = resultsOf(bench, workload, await contest(workload, entrants, rounds, timing));
    results.push(...found);
    if (json) for (const { line } of found) process.stdout.write(`${JSON.stringify(line)}\n`);
  }
  if (!json) process.stdout.write(`${table(results)}\n`);
}

try {
  await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = error instanceof MissingError ? 69 : 1;
} finally {
  clean();
}
