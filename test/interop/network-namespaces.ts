// Networks of their own for tests: namespaces of the kernel, each with one address, joined by a bridge. Nothing of them is reached from
// outside, and ports are free in each.
import { spawnSync } from 'node:child_process';

function ip(...args: string[]): string | null {
  const { error, status, stderr } = spawnSync('ip', args, { encoding: 'utf8' });
  if (error !== undefined) return 'ip (iproute2) is not installed';
  return status === 0 ? null : `ip ${args.join(' ')}: ${stderr.trim()}`;
}

/** Why there can be none here, or false. Where a machine must have everything, root is told by a failure. */
export function cannotNamespace(): string | false {
  const name = `portico-${process.pid}-try`;
  const problem = ip('netns', 'add', name) ?? ip('-n', name, 'link', 'add', 'name', 'br0', 'type', 'bridge');
  ip('netns', 'del', name);
  if (problem === null) return false;
  if (process.env.CI === 'true' && process.getuid?.() === 0) throw new Error(`no network namespaces: ${problem}`);
  return `no network namespaces: ${problem}`;
}

export class Network {
  private readonly name: string;
  private readonly members: string[] = [];

  /** Throws what `ip` says. */
  constructor(name: string) {
    this.name = `portico-${process.pid}-${name}`;
    this.must('netns', 'add', this.name);
    this.must('-n', this.name, 'link', 'add', 'name', 'br0', 'type', 'bridge');
    this.must('-n', this.name, 'link', 'set', 'br0', 'up');
  }

  private must(...args: string[]): void {
    const problem = ip(...args);
    if (problem !== null) throw new Error(problem);
  }

  /** A namespace with an address; answers the command before those that are to run in it. */
  join(name: string, address: string): string[] {
    const own = `${this.name}-${name}`;
    const port = `to-${name}`;
    this.must('netns', 'add', own);
    this.members.push(own);
    this.must('-n', this.name, 'link', 'add', 'name', port, 'type', 'veth', 'peer', 'name', 'net0', 'netns', own);
    this.must('-n', this.name, 'link', 'set', port, 'master', 'br0', 'up');
    this.must('-n', own, 'addr', 'add', `${address}/24`, 'dev', 'net0');
    this.must('-n', own, 'link', 'set', 'lo', 'up');
    this.must('-n', own, 'link', 'set', 'net0', 'up');
    return ['ip', 'netns', 'exec', own];
  }

  /** Pulls the plug of a member, or puts it in again. */
  plug(name: string, state: 'up' | 'down'): void {
    this.must('-n', this.name, 'link', 'set', `to-${name}`, state);
  }

  /** What runs within has ended before. */
  close(): void {
    for (const each of [...this.members, this.name]) ip('netns', 'del', each);
  }
}
