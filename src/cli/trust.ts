// `portico trust`: makes this machine, and the browsers on it, trust the root of a data folder; or no longer.
import { spawnSync } from 'node:child_process';
import { rmSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { CERTIFICATE_FOLDER } from '../security/certificates.ts';
import { type CertFlags, within } from './cert.ts';
import { addPlaceFlags, configured } from './configured.ts';
import { bold, dim, EXIT } from './output.ts';
import { type Plan, type Step, THIS_MACHINE, trustPlan } from './trust-plan.ts';

interface TrustFlags extends CertFlags {
  readonly remove?: boolean;
  readonly dryRun?: boolean;
  readonly print?: boolean;
}

export function addTrust(program: Command): void {
  addPlaceFlags(program.command('trust').description('make this machine trust the local authority, or no longer'))
    .option('--remove', 'no longer')
    .option('--dry-run', 'say what would be done, and do nothing')
    .option('--print', 'the same as --dry-run')
    .option('--json', 'print it as one JSON line')
    .action((flags: TrustFlags) => trust(flags));
}

async function trust(flags: TrustFlags): Promise<void> {
  const { data } = await configured(flags).catch(() => ({ data: '' }));
  await within(flags, ({ authority }) => {
    const { facts, pem, id } = authority.root;
    const rootPath = resolve(join(data, CERTIFICATE_FOLDER, 'root.crt'));
    const removes = flags.remove === true;
    const plan = trustPlan({ pem, der: facts.der, id, serial: facts.serial }, rootPath, removes, THIS_MACHINE);
    const isDry = flags.dryRun === true || flags.print === true;
    const results = plan.steps.map((step) => ({ step, problem: isDry ? null : run(step) }));
    if (flags.json === true) {
      const steps = results.map(({ step: { put, ...step }, problem }) => {
        return { ...step, ...(put === undefined ? {} : { put: put.path }), done: !isDry && problem === null, problem };
      });
      process.stdout.write(`${JSON.stringify({ removes, dryRun: isDry, steps, hints: plan.hints })}\n`);
    } else say(plan, results, isDry, authority.constraints.text);
    if (plan.steps.length === 0 || results.some(({ problem }) => problem !== null)) process.exitCode = EXIT.failed;
  });
}

function say(
  { hints }: Plan,
  results: readonly { readonly step: Step; readonly problem: string | null }[],
  isDry: boolean,
  names: string,
): void {
  const lines: string[] = [];
  for (const { step, problem } of results) {
    const outcome = isDry ? 'would be told' : problem === null ? 'was told' : `was not told: ${problem}`;
    lines.push(`${bold(step.store)} ${outcome}`);
    if (step.put !== undefined) lines.push(dim(`  write ${step.put.path}`));
    if (step.drop !== undefined) lines.push(dim(`  remove ${step.drop}`));
    lines.push(dim(`  ${commandOf(step).map(quoted).join(' ')}`));
  }
  lines.push(`The root speaks for ${names}, and for nothing else.`, ...hints);
  process.stdout.write(`${lines.join('\n')}\n`);
}

/** With sudo where only an administrator may. */
function commandOf({ command, elevated }: Step): readonly string[] {
  return elevated && !THIS_MACHINE.isRoot && THIS_MACHINE.which('sudo') !== null ? ['sudo', ...command] : command;
}

function quoted(word: string): string {
  return /^[\w./:=,-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** Does it; answers what went wrong. */
function run(step: Step): string | null {
  const { put, drop, mayFail = false } = step;
  try {
    if (put !== undefined) place(put.path, put.text, step);
    if (drop !== undefined) remove(drop, step);
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
  const [command, ...args] = commandOf(step);
  const { status, error, stderr } = spawnSync(command!, args, { stdio: ['inherit', 'ignore', 'pipe'] });
  if (error !== undefined) return error.message;
  if (status === 0 || mayFail) return null;
  const text = stderr.toString().trim().split('\n').at(-1) ?? '';
  return step.elevated && !THIS_MACHINE.isRoot ? `${text}; run it as an administrator` : text;
}

function place(path: string, text: string, step: Step): void {
  const [sudo] = commandOf(step);
  if (sudo === 'sudo') spawnSync('sudo', ['tee', path], { input: text, stdio: ['pipe', 'ignore', 'inherit'] });
  else writeFileSync(path, text, { mode: 0o644 });
}

function remove(path: string, step: Step): void {
  const [sudo] = commandOf(step);
  if (sudo === 'sudo') spawnSync('sudo', ['rm', '-f', path], { stdio: ['inherit', 'ignore', 'inherit'] });
  else rmSync(path, { force: true });
}
