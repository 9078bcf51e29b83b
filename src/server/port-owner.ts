// Who has a port that we wanted, as far as this system tells: so that the error can say it.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface PortOwner {
  readonly pid: number;
  readonly command: string;
}

/** TCP's state LISTEN in /proc/net/tcp. */
const LISTENING = '0A';

/** The process that listens on a port of this machine; null when it cannot be told (another system, another user's). */
export function ownerOf(port: number, kind: 'tcp' | 'udp'): PortOwner | null {
  try {
    const inodes = new Set(['', '6'].flatMap((family) => inodesOf(`/proc/net/${kind}${family}`, port, kind)));
    if (inodes.size === 0) return null;
    for (const name of readdirSync('/proc')) {
      if (/^\d+$/.test(name) && holdsOne(name, inodes)) return { pid: Number(name), command: commandOf(name) };
    }
  } catch {
    // No /proc, or not ours to read: then nobody is named.
  }
  return null;
}

/** The inodes of sockets on a port, out of a table of /proc/net. */
function inodesOf(table: string, port: number, kind: 'tcp' | 'udp'): string[] {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0');
  return readFileSync(table, 'utf8')
    .split('\n')
    .slice(1)
    .map((line) => line.trim().split(/\s+/))
    .filter(([, local, , state]) => local?.endsWith(`:${wanted}`) && (kind === 'udp' || state === LISTENING))
    .map((columns) => columns[9]!);
}

function holdsOne(pid: string, inodes: ReadonlySet<string>): boolean {
  try {
    return readdirSync(`/proc/${pid}/fd`).some((descriptor) => {
      const target = readlink(`/proc/${pid}/fd/${descriptor}`);
      return target.startsWith('socket:[') && inodes.has(target.slice(8, -1));
    });
  } catch {
    return false;
  }
}

function readlink(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').join(' ').trim().slice(0, 120);
  } catch {
    return '';
  }
}

/** How to find the owner oneself, where it cannot be told. */
export function ownerHint(kind: 'tcp' | 'udp', port: number): string {
  if (process.platform === 'linux') return `sudo ss -l${kind === 'tcp' ? 't' : 'u'}np 'sport = :${port}'`;
  if (process.platform === 'win32') return `netstat -ano -p ${kind} | findstr :${port}`;
  return `sudo lsof -nP -i${kind}:${port}`;
}
