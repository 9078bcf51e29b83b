// `portico doctor`: looks at the machine, the configuration and the server, and says what is wrong and what to do.
import type { Command } from 'commander';
import { type Config, checkConfig } from '../config.ts';
import { plannedPorts } from '../portico.ts';
import { addPlaceFlags, configured, type PlaceFlags } from './configured.ts';
import { checkCertificates } from './doctor-certificates.ts';
import {
  askStatus,
  checkClock,
  checkData,
  checkDescriptors,
  checkDisk,
  checkNative,
  checkNode,
  checkPorts,
  checkServer,
  type Finding,
} from './doctor-checks.ts';
import { bold, dim, EXIT, green, red, visible, yellow } from './output.ts';

interface DoctorFlags extends PlaceFlags {
  readonly json?: boolean;
}

export function addDoctor(program: Command): void {
  addPlaceFlags(program.command('doctor').description('say what is wrong here, and what to do'))
    .option('--json', 'print one JSON line a finding')
    .action((flags: DoctorFlags) => doctor(flags));
}

async function doctor(flags: DoctorFlags): Promise<void> {
  let failed = false;
  for await (const finding of examine(flags)) {
    failed ||= finding.result === 'fail';
    process.stdout.write(flags.json === true ? `${JSON.stringify(finding)}\n` : textOf(finding));
  }
  process.exit(failed ? EXIT.failed : EXIT.ok);
}

async function* examine(flags: DoctorFlags): AsyncGenerator<Finding> {
  yield checkNode();
  let config: Config;
  try {
    config = await configured(flags);
    yield { check: 'configuration', result: 'ok', text: 'the configuration is valid' };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    yield {
      check: 'configuration',
      result: 'fail',
      text,
      mend: 'mend it; the rest is looked at as if there were none',
    };
    config = checkConfig(flags.data === undefined ? {} : { data: flags.data });
  }
  const answer = await askStatus(config);
  const status = 'check' in answer ? null : answer;
  yield* checkData(config, status);
  yield* guarded('disk', () => checkDisk(config));
  yield 'check' in answer ? answer : checkServer(answer);
  if (status?.native !== undefined) yield checkNative(status);
  yield* await checkPorts(plannedPorts(config), status);
  yield* guarded('clock', () => [checkClock(config, new Date())]);
  yield* checkDescriptors(config);
  yield* guarded('certificates', () => checkCertificates(config, Date.now()));
}

/** What this system cannot tell is said, and stops nothing. */
function guarded(check: Finding['check'], look: () => Finding[]): Finding[] {
  try {
    return look();
  } catch (error) {
    return [
      { check, result: 'warn', text: `cannot be told: ${error instanceof Error ? error.message : String(error)}` },
    ];
  }
}

const MARKS = { ok: green('ok  '), warn: yellow('warn'), fail: red('fail') };

function textOf({ check, result, text, mend }: Finding): string {
  const lines = text.split('\n').map(visible);
  const said = lines.join(`\n${' '.repeat(20)}`);
  return `${MARKS[result]} ${bold(check.padEnd(14))} ${said}\n${mend === undefined ? '' : `${' '.repeat(20)}${dim(visible(mend))}\n`}`;
}
