// Two network namespaces with a wire between them, and what is run in them: for tests of servers on machines of their own.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));

function ip(...args: string[]): { readonly code: number | null; readonly said: string } {
  const { status, stderr, error } = spawnSync('ip', args, { encoding: 'utf8' });
  return { code: error === undefined ? status : null, said: error?.message ?? stderr };
}

/** Why there can be none; false where they can. Where tests must all run, only who has no right to make them is let off. */
export function noNamespaces(): string | false {
  if (process.platform !== 'linux') return 'there are no network namespaces here';
  if (process.getuid?.() !== 0) return 'network namespaces need root';
  const name = `portico-try-${process.pid}`;
  const { code, said } = ip('netns', 'add', name);
  if (code === 0) ip('netns', 'del', name);
  if (code === 0 || process.env.CI === 'true') return false;
  return `no network namespace can be made: ${said.trim()}`;
}

function must(...args: string[]): void {
  const { code, said } = ip(...args);
  assert.equal(code, 0, `ip ${args.join(' ')}: ${said}`);
}

/** One of the two, with its address. */
export class Machine {
  readonly address: string;
  private readonly name: string;
  private readonly device: string;

  constructor(name: string, device: string, address: string) {
    this.name = name;
    this.device = device;
    this.address = address;
  }

  private spawn(command: string, args: readonly string[], environment: NodeJS.ProcessEnv): ChildProcess {
    return spawn('ip', ['netns', 'exec', this.name, command, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...environment },
    });
  }

  run(command: string, ...args: string[]): string {
    const { status, stdout, stderr } = spawnSync('ip', ['netns', 'exec', this.name, command, ...args], {
      encoding: 'utf8',
      timeout: 60_000,
    });
    assert.equal(status, 0, `${command} ${args.join(' ')}: ${stderr}`);
    return stdout;
  }

  /** A command of Portico. */
  portico(...args: string[]): string {
    return this.run(process.execPath, MAIN, ...args);
  }

  /** Bytes that came over the wire. */
  get received(): number {
    return Number(this.run('cat', `/sys/class/net/${this.device}/statistics/rx_bytes`));
  }

  async serve(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Served> {
    const child = this.spawn(process.execPath, [MAIN, 'up', '--json', ...args], environment);
    const complaints: string[] = [];
    createInterface({ input: child.stderr! }).on('line', (line) => complaints.push(line));
    const ended = once(child, 'exit');
    const ready = once(createInterface({ input: child.stdout! }), 'line');
    await Promise.race([
      ready,
      ended.then(([code]) => assert.fail(`portico up ended with ${String(code)}: ${complaints.join('\n')}`)),
    ]);
    const end = (signal: NodeJS.Signals) => async () => {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      await ended;
    };
    return { complaints, kill: end('SIGKILL'), stop: end('SIGTERM'), [Symbol.asyncDispose]: end('SIGKILL') };
  }
}

export interface Served extends AsyncDisposable {
  readonly complaints: readonly string[];
  kill(): Promise<void>;
  stop(): Promise<void>;
}

/** Both, with a wire of so many bits a second. */
export function twoMachines(rate: string): { readonly one: Machine; readonly two: Machine; [Symbol.dispose](): void } {
  const id = process.pid;
  const names = [`portico-${id}-1`, `portico-${id}-2`] as const;
  const devices = [`p${id}a`, `p${id}b`] as const;
  for (const name of names) must('netns', 'add', name);
  must('link', 'add', devices[0], 'netns', names[0], 'type', 'veth', 'peer', 'name', devices[1], 'netns', names[1]);
  const machines = [0, 1].map((at) => {
    const name = names[at]!;
    const device = devices[at]!;
    const address = `10.213.77.${at + 1}`;
    must('-n', name, 'address', 'add', `${address}/24`, 'dev', device);
    for (const each of ['lo', device]) must('-n', name, 'link', 'set', each, 'up');
    const machine = new Machine(name, device, address);
    machine.run('tc', 'qdisc', 'add', 'dev', device, 'root', 'tbf', 'rate', rate, 'burst', '64kb', 'latency', '200ms');
    return machine;
  });
  return {
    one: machines[0]!,
    two: machines[1]!,
    [Symbol.dispose]() {
      for (const name of names) ip('netns', 'del', name);
    },
  };
}
