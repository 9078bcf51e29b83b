// The crash runs, to be called with small counts by tests and with large ones by soak.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Random } from '../../src/sim/random.ts';
import { ACKNOWLEDGED, images, recordRun } from './power-loss.ts';
import { wrongIn } from './workload.ts';

const WORKLOAD = join(import.meta.dirname, 'workload.ts');

export interface PowerLosses {
  /** How many changes the log of the run has. */
  readonly records: number;
  readonly images: number;
  /** What was not as acknowledged, with the image in which it was. */
  readonly wrong: readonly string[];
}

/** Records one run of the workload in the empty `folder` and opens images of it. Null where nothing can be recorded. */
export async function losePower(
  folder: string,
  seed: number,
  most: { readonly batches: number; readonly images: number },
): Promise<PowerLosses | null> {
  const command = [process.execPath, WORKLOAD, folder, String(seed), '0', String(most.batches)];
  const log = await recordRun(command, folder);
  if (log === null) return null;
  const wrong: string[] = [];
  let count = 0;
  for (const { folder: image, acknowledged, cut, loss } of images(log, seed, most.images)) {
    count++;
    const found = await wrongIn(image, acknowledged).catch((error: unknown) => [String(error)]);
    for (const line of found.slice(0, 3)) wrong.push(`cut at ${cut} of ${log.length}, ${loss}: ${line}`);
  }
  return { records: log.length, images: count, wrong };
}

/**
 * Starts the workload over and over in one folder, ends it by SIGKILL at a random moment and looks at what is left.
 * Answers what was wrong and how much had been acknowledged.
 */
export async function kill(
  folder: string,
  seed: number,
  rounds: number,
): Promise<{ wrong: string[]; acknowledged: number }> {
  const chances = new Random(seed);
  const wrong: string[] = [];
  let acknowledged: string[] = [];
  for (let round = 0; round < rounds; round++) {
    const first = round * 1_000_000;
    await killed([WORKLOAD, folder, String(seed + round), String(first), '1000000'], 300 + chances.below(900));
    acknowledged = readFileSync(join(folder, ACKNOWLEDGED), 'utf8').split('\n').slice(0, -1);
    for (const line of (await wrongIn(folder, acknowledged)).slice(0, 3)) wrong.push(`round ${round}: ${line}`);
  }
  return { wrong, acknowledged: acknowledged.length };
}

function killed(args: readonly string[], afterMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'inherit', 'inherit'] });
    const timer = setTimeout(() => child.kill('SIGKILL'), afterMs);
    child.on('close', (code, signal) => {
      clearTimeout(timer);
      if (signal === 'SIGKILL') resolve();
      else reject(new Error(`the workload ended by itself with ${code}`));
    });
  });
}
