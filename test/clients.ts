// Programs that tests run beside the server: found or missed, started, heard, ended.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';

/** Why a test is skipped: its client is not installed. Where everything must be, it fails instead. */
export function missing(command: string, ...args: string[]): string | false {
  const found = spawnSync(command, args.length === 0 ? ['--version'] : args).error === undefined;
  return found || process.env.CI === 'true' ? false : `${command} is not installed`;
}

export interface Ran {
  readonly code: number | null;
  readonly out: string;
  readonly error: string;
}

export class Program {
  out = '';
  error = '';
  readonly done: Promise<Ran>;
  private readonly child: ChildProcess;

  constructor(command: string, args: readonly string[], input?: string) {
    this.child = spawn(command, args, { stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'] });
    this.child.stdout?.on('data', (data) => (this.out += data));
    this.child.stderr?.on('data', (data) => (this.error += data));
    this.child.stdin?.end(input);
    this.done = new Promise((resolve, reject) => {
      this.child.on('error', reject);
      this.child.on('close', (code) => resolve({ code, out: this.out, error: this.error }));
    });
  }

  /** A program that does not heed SIGTERM gets no more than a moment: mosquitto's may lock itself up on it. */
  kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): void {
    this.child.kill(signal);
    if (signal !== 'SIGTERM') return;
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 2_000);
    this.child.on('exit', () => clearTimeout(timer));
  }
}

export function run(command: string, ...args: string[]): Promise<Ran> {
  return new Program(command, args).done;
}

export async function until(done: () => boolean, what: string): Promise<void> {
  for (let round = 0; !done(); round++) {
    assert.ok(round < 1_000, `${what} does not happen`);
    await sleep(5);
  }
}
