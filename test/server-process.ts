// Runs the real command as a process of its own, for tests: starts, stops and kills it.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));

/** What `portico up --json` says. */
export interface Running {
  readonly process: ChildProcess;
  readonly urls: Readonly<Record<string, string>>;
  /** The port of a listener, by the name of its URL. */
  port(name: string): number;
  /** What it wrote to standard error so far. */
  readonly complaints: string[];
  kill(): Promise<void>;
  /** Ends it with SIGTERM; answers the exit code. */
  stop(): Promise<number | null>;
}

/** Starts `portico up --json` with these arguments; resolves when it says what listens. */
export async function startServer(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Running> {
  const child = spawn(process.execPath, [MAIN, 'up', '--json', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...environment },
  });
  const complaints: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => complaints.push(line));
  const ended = once(child, 'exit');
  const first = once(createInterface({ input: child.stdout }), 'line');
  const line = await Promise.race([
    first.then(([text]) => String(text)),
    ended.then(([code]) => assert.fail(`portico up ended with ${String(code)}: ${complaints.join('\n')}`)),
  ]);
  const { urls } = JSON.parse(line) as { urls: Record<string, string> };
  return {
    process: child,
    urls,
    port: (name) => Number(new URL(urls[name]!.replace(/^[a-z]+:/, 'http:')).port),
    complaints,
    async kill() {
      child.kill('SIGKILL');
      await ended;
    },
    async stop() {
      child.kill('SIGTERM');
      const [code] = (await ended) as [number | null];
      return code;
    },
  };
}

/** Runs a command to its end. */
export async function runCommand(
  args: readonly string[],
  input = '',
): Promise<{ code: number | null; output: string; errors: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk) => {
    output += String(chunk);
  });
  child.stderr.on('data', (chunk) => {
    errors += String(chunk);
  });
  child.stdin.end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output, errors };
}
