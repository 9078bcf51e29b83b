// Who has a port: on Linux from /proc, as far as this user may see it. Read only when a port could not be had, to say so
// with its owner.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface PortOwner {
  readonly pid: number;
  readonly command: string;
}

/** The state of a listening TCP socket, and of an unconnected UDP socket, in /proc/net. */
const LISTENING = '0A';
const UNCONNECTED = '07';

const COMMAND_MAX = 120;

/** The process that listens on a port, or null when that cannot be seen. */
export function portOwner(carrier: 'tcp' | 'udp', port: number): PortOwner | null {
  if (process.platform !== 'linux') return null;
  const inodes = socketsOn(carrier, port);
  if (inodes.size === 0) return null;
  for (const pid of entriesOf('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    for (const fd of entriesOf(`/proc/${pid}/fd`)) {
      const inode = /^socket:\[(\d+)\]$/.exec(linkOf(`/proc/${pid}/fd/${fd}`))?.[1];
      if (inode !== undefined && inodes.has(inode)) return { pid: Number(pid), command: commandOf(pid) };
    }
  }
  return null;
}

/** How to find the owner oneself. */
export function findOwnerHint(carrier: 'tcp' | 'udp', port: number): string {
  if (process.platform === 'linux') return `sudo ss -l${carrier === 'tcp' ? 't' : 'u'}np 'sport = :${port}'`;
  if (process.platform === 'win32') return `netstat -ano -p ${carrier} | findstr :${port}`;
  return `sudo lsof -nP -i${carrier}:${port}`;
}

/** Inodes of the sockets; the columns are `sl local_address rem_address st … inode`. */
function socketsOn(carrier: 'tcp' | 'udp', port: number): Set<string> {
  const wanted = port.toString(16).toUpperCase().padStart(4, '0');
  const state = carrier === 'tcp' ? LISTENING : UNCONNECTED;
  const inodes = new Set<string>();
  for (const table of [carrier, `${carrier}6`]) {
    for (const line of textOf(`/proc/net/${table}`).split('\n').slice(1)) {
      const columns = line.trim().split(/\s+/);
      if (columns[1]?.endsWith(`:${wanted}`) && columns[3] === state) inodes.add(columns[9] ?? '');
    }
  }
  return inodes;
}

function commandOf(pid: string): string {
  const line = textOf(`/proc/${pid}/cmdline`).replaceAll('\0', ' ').trim();
  return (line === '' ? textOf(`/proc/${pid}/comm`).trim() : line).slice(0, COMMAND_MAX);
}

// Processes come and go while they are looked at, and those of others are closed to us.

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

function linkOf(path: string): string {
  try {
    return readlinkSync(path);
  } catch {
    return '';
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
