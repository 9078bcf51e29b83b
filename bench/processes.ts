// The programs of a benchmark: each pinned to its core, heard, and ended by its own id however the run ends.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { connect, createServer } from 'node:net';
import { availableParallelism } from 'node:os';
import { delimiter, join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Ready, Served } from './contest.ts';

/** A program that is needed is not installed; the message names what brings it. */
export class MissingError extends Error {}

export const SERVER_CORE = 0;
export const LOAD_CORE = availableParallelism() > 1 ? 1 : 0;

const START_MS = 15_000;
const running = new Set<ChildProcess>();

/** Where a command is: in PATH, or where servers are put that only root has in its path. */
export function locate(command: string): string | null {
  if (command.includes('/')) return isProgram(command) ? command : null;
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  return folders.map((folder) => join(folder, command)).find(isProgram) ?? null;
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The first number with dots in what a command says of itself; null when the command is not there. */
export function versionOf(command: string, argument: string): string | null {
  const path = locate(command);
  if (path === null) return null;
  const { stdout, stderr } = spawnSync(path, [argument], { encoding: 'utf8', timeout: 5_000 });
  return /\d+(?:\.\d+)+/.exec(`${stdout}${stderr}`)?.[0] ?? 'of unknown version';
}

function pinned(core: number, command: string, args: readonly string[]): ChildProcess {
  const taskset = locate('taskset');
  if (taskset === null) throw new MissingError('taskset is not installed (Debian: util-linux)');
  const path = locate(command);
  if (path === null) throw new MissingError(`${command} is not installed`);
  const child = spawn(taskset, ['-c', String(core), path, ...args], { stdio: ['pipe', 'pipe', 'pipe'] });
  running.add(child);
  child.on('exit', () => running.delete(child));
  // One that has ended reads no more.
  child.stdin!.on('error', () => {});
  return child;
}

/** Resolves with the last words of its error output when it ends. */
function errorsOf(child: ChildProcess): () => string {
  let text = '';
  child.stderr!.on('data', (data) => {
    text = (text + String(data)).slice(-2_000);
  });
  return () => text.trim();
}

export async function serve(command: string, args: readonly string[], ready: Ready): Promise<Served> {
  const child = pinned(SERVER_CORE, command, args);
  const errors = errorsOf(child);
  const ended = new Promise<never>((_, reject) => {
    child.on('error', reject);
    child.on('exit', (code) => reject(new Error(`${command} ended with ${code}: ${errors()}`)));
  });
  ended.catch(() => {});
  const timer = new AbortController();
  const late = sleep(START_MS, undefined, { signal: timer.signal, ref: false }).then(() => {
    throw new Error(`${command} is not ready after ${START_MS / 1000} s: ${errors()}`);
  });
  late.catch(() => {});
  try {
    const line = await Promise.race(['line' in ready ? firstLine(child) : listens(ready.port, child), ended, late]);
    child.stdout!.resume();
    return { process: child, pid: child.pid!, line };
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  } finally {
    timer.abort();
  }
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => createInterface({ input: child.stdout! }).once('line', resolve));
}

async function listens(port: number, child: ChildProcess): Promise<string> {
  child.stdout!.resume();
  for (let at = 0; at < START_MS / 25; at++) {
    if (await takes(port)) return '';
    await sleep(25);
  }
  throw new Error(`nobody listens on ${port}`);
}

function takes(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false));
    socket.on('connect', () => socket.destroy());
  });
}

/** A port that was free a moment ago, for servers that cannot say which one they took. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().on('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** Runs a program on the core of the load; `during` is called when it says `ready`, and its input ended afterwards. */
export async function runLoad(command: string, args: readonly string[], during?: () => Promise<void>): Promise<string> {
  const child = pinned(LOAD_CORE, command, args);
  const errors = errorsOf(child);
  let output = '';
  child.stdout!.setEncoding('utf8').on('data', (data) => {
    output += data;
  });
  const code = new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
  if (during !== undefined) {
    await Promise.race([firstLine(child), code]);
    if (output.startsWith('ready')) await during();
  }
  child.stdin!.end();
  if ((await code) !== 0) throw new Error(`the load ended with ${await code}: ${errors()}`);
  return output;
}

/** Ends a process that was started here, gently first. */
export async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  const gone = await Promise.race([ended.then(() => true), sleep(3_000, false, { ref: false })]);
  if (!gone) {
    child.kill('SIGKILL');
    await ended;
  }
}

/** Ends all that still runs, at once. */
export function endAll(): void {
  for (const child of running) child.kill('SIGKILL');
}
