// Runs the real command as a process of its own, for tests: starts, stops and kills it.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after } from 'node:test';
import { fileURLToPath } from 'node:url';

/** All that were started: a test that ran out of time leaves none of them behind, and its file ends. */
const started = new Set<ChildProcess>();
after(() => {
  for (const child of started) child.kill('SIGKILL');
});

function remember(child: ChildProcess): void {
  started.add(child);
  child.once('exit', () => started.delete(child));
}

const MAIN = fileURLToPath(new URL('../src/main.ts', import.meta.url));

/** What `portico up --json` says. */
export interface Running extends AsyncDisposable {
  readonly process: ChildProcess;
  readonly urls: Readonly<Record<string, string>>;
  /** All of the line. */
  readonly ready: { readonly listening: readonly { readonly address: { host: string; port: number } | null }[] };
  /** The port of a listener, by the name of its URL. */
  port(name: string): number;
  /** What it wrote to standard error so far. */
  readonly complaints: string[];
  kill(): Promise<void>;
  /** Ends it with SIGTERM; answers the exit code. */
  stop(): Promise<number | null>;
}

/** Starts `portico up --json` with these arguments, by the command before it; resolves when it says what listens. */
export async function startServer(
  args: readonly string[],
  environment: NodeJS.ProcessEnv = {},
  by: readonly string[] = [],
): Promise<Running> {
  const [command, ...given] = [...by, process.execPath, MAIN, 'up', '--json', ...args] as [string, ...string[]];
  const child = spawn(command, given, {
    stdio: ['ignore', 'pipe', 'pipe'],
    // Several stand side by side: of what no test names they take any free port.
    env: { PORTICO_PORTS: 'ephemeral', ...process.env, ...environment },
  });
  remember(child);
  const complaints: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => complaints.push(line));
  const ended = once(child, 'exit');
  const kill = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await ended;
  };
  const first = once(createInterface({ input: child.stdout }), 'line');
  const line = await Promise.race([
    first.then(([text]) => String(text)),
    ended.then(([code]) => assert.fail(`portico up ended with ${String(code)}: ${complaints.join('\n')}`)),
  ]);
  const ready = JSON.parse(line) as Running['ready'] & { urls: Record<string, string> };
  const { urls } = ready;
  return {
    process: child,
    urls,
    ready,
    port: (name) => Number(new URL(urls[name]!.replace(/^[a-z]+:/, 'http:')).port),
    complaints,
    kill,
    // A test that fails leaves nobody behind.
    [Symbol.asyncDispose]: kill,
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
  { folder, environment = {} }: { folder?: string; environment?: NodeJS.ProcessEnv } = {},
): Promise<{ code: number | null; output: string; errors: string }> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    cwd: folder,
    env: { ...process.env, ...environment },
  });
  remember(child);
  let output = '';
  let errors = '';
  child.stdout.on('data', (chunk) => {
    output += String(chunk);
  });
  child.stderr.on('data', (chunk) => {
    errors += String(chunk);
  });
  // One that ends without reading its input is no failure of ours.
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, output, errors };
}
