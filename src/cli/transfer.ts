// What the commands that copy files have in common: their flags, and how they end.
import { type Command, InvalidArgumentError } from 'commander';
import { type CopyOptions, runTasks, type Task } from '../transfer/copy.ts';
import { addFileFlags, codeOf, type FileFlags, type FileServer } from './file-server.ts';
import { EXIT } from './output.ts';
import { Progress, type ProgressFlags } from './progress.ts';

export interface TransferFlags extends FileFlags, ProgressFlags {
  readonly jobs?: number;
  readonly continue?: boolean;
  readonly checksum?: boolean;
  readonly retries?: number;
}

const JOBS = 4;
const JOBS_MAX = 256;
const RETRIES = 3;

export function addTransfer(command: Command): Command {
  return addFileFlags(
    command
      .option('--jobs <n>', `files at once (default: ${JOBS})`, between(1, JOBS_MAX))
      .option('--continue', 'go on with what an earlier run left, if it is still the same file')
      .option('--checksum', 'compare by hash what the server tells a hash of')
      .option('--retries <n>', `how often a lost connection is made again (default: ${RETRIES})`, between(0, 100))
      .option('--progress', 'say each file on standard error, without a terminal too')
      .option('--quiet', 'no bars'),
  );
}

function between(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < least || value > most)
      throw new InvalidArgumentError(`it is a number from ${least} to ${most}`);
    return value;
  };
}

/** Does the tasks; answers the exit code. */
export async function transfer(
  server: FileServer,
  tasks: AsyncIterable<Task>,
  flags: TransferFlags,
  isDry = false,
): Promise<number> {
  const options: CopyOptions = {
    jobs: flags.jobs ?? JOBS,
    isContinued: flags.continue === true,
    checks: flags.checksum === true,
    isDry,
    retries: flags.retries ?? RETRIES,
    of: server.base,
  };
  const progress = new Progress(flags, isDry);
  const outcome = await runTasks(tasks, () => server.connect(), options, progress);
  progress.finish(outcome);
  return outcome.error === null ? EXIT.ok : codeOf(outcome.error);
}

export async function* these(tasks: readonly Task[]): AsyncGenerator<Task> {
  yield* tasks;
}
