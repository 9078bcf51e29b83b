// Where a server listens: one door is one carrier on a port, on each of several addresses, or a Unix socket. It turns the
// system's errors into what a person can do about them.
import { chmodSync, unlinkSync } from 'node:fs';
import type { DatagramPort, DatagramSession } from '../core/datagram.ts';
import { type Address, addressText } from '../core/peer.ts';
import type { Pipe, Session } from '../core/pipe.ts';
import type { Turn } from '../core/turn.ts';
import { dial, type PipeMaking, type SocketPipe } from '../transports/socket-pipe.ts';
import { type Listening, listenStream } from '../transports/tcp.ts';
import { type OpenPort, openUdp } from '../transports/udp.ts';
import type { OpenBatchSocket } from '../transports/udp-batches.ts';
import { ownerHint, ownerOf } from './port-owner.ts';

export interface DoorPlace {
  /** The protocol. */
  readonly name: string;
  /** An address of a family that this machine does not have is passed over, so long as there is one that it has. */
  readonly hosts: readonly string[];
  /** 0: any free one, the same on every address. */
  readonly port: number;
}

/** A listener that could not be opened. The message says why and what to do. */
export class ListenError extends Error {
  readonly code: string;

  constructor(message: string, code: string, cause?: unknown) {
    super(message, { cause });
    this.name = 'ListenError';
    this.code = code;
  }
}

/** How often another free port is looked for that is free on every address. */
const EPHEMERAL_TRIES = 20;

export interface StreamDoor extends PipeMaking {
  readonly admit: (remote: Address | null) => boolean;
  readonly accept: (pipe: Pipe) => Session;
  readonly opened: (pipe: SocketPipe) => void;
}

export function openTcp(place: DoorPlace, door: StreamDoor): Promise<Listening[]> {
  return everywhere('tcp', place, (host, port) => listenStream({ ...door, host, port }));
}

export function openUdpPorts(
  place: DoorPlace,
  turn: Turn,
  session: (port: DatagramPort) => DatagramSession,
  batches?: OpenBatchSocket,
  joined = false,
): Promise<OpenPort[]> {
  return everywhere('udp', place, (host, port) => openUdp({ turn, host, port, session, batches, joined }));
}

/** Opens a port on all addresses; what was opened is closed again when one of them fails. */
async function everywhere<Open extends { close(): unknown }>(
  carrier: 'tcp' | 'udp',
  place: DoorPlace,
  open: (host: string, port: number) => Promise<Open>,
): Promise<Open[]> {
  for (let tries = 1; ; tries++) {
    const opened: Open[] = [];
    let { port } = place;
    let missing: unknown = null;
    try {
      for (const host of place.hosts) {
        try {
          const one = await open(host, port);
          opened.push(one);
          port = portOf(one) ?? port;
        } catch (error) {
          if (!isAddressMissing(error)) throw explained(error, carrier, place, host, port);
          missing = explained(error, carrier, place, host, port);
        }
      }
      if (opened.length === 0) throw missing;
      return opened;
    } catch (error) {
      await Promise.all(opened.map((one) => one.close()));
      const again = place.port === 0 && codeOf(error) === 'EADDRINUSE' && tries < EPHEMERAL_TRIES;
      if (!again) throw error;
    }
  }
}

function portOf(open: object): number | null {
  if ('address' in open) return (open.address as Address | null)?.port ?? null;
  return 'local' in open ? (open.local as Address).port : null;
}

/** A Unix socket for this user alone. One that a crash left behind is taken over; one that answers is not. */
export async function openUnix(name: string, path: string, door: StreamDoor): Promise<Listening> {
  for (let tries = 1; ; tries++) {
    try {
      const listening = await privately(() => listenStream({ ...door, path }));
      chmodSync(path, 0o600);
      return listening;
    } catch (error) {
      if (codeOf(error) === 'EADDRINUSE' && tries === 1 && !(await answers(path, door))) {
        unlinkSync(path);
        continue;
      }
      throw unixError(error, name, path);
    }
  }
}

/** What `make` makes at once is for this user alone from its first moment on, not only from the `chmod` that follows. */
function privately<Made>(make: () => Made): Made {
  let before: number;
  try {
    before = process.umask(0o077);
  } catch {
    // Not to be set in a worker thread.
    return make();
  }
  try {
    return make();
  } finally {
    process.umask(before);
  }
}

function answers(path: string, making: PipeMaking): Promise<boolean> {
  return new Promise((resolve) => {
    dial(
      { host: '', port: 0, path },
      null,
      making,
      (pipe) => {
        pipe.reset(0);
        resolve(true);
        return NOBODY;
      },
      (_cause, why) => resolve(!why.includes('ECONNREFUSED')),
    );
  });
}

const NOBODY: Session = {
  deadline: Number.POSITIVE_INFINITY,
  receive: (_input, _start, end) => end,
  overlong() {},
  writable() {},
  tick() {},
  finish() {},
  leave() {},
  lost() {},
};

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}

/** This machine has no such address: IPv6 is off, or the address is another machine's. */
function isAddressMissing(error: unknown): boolean {
  return ['EADDRNOTAVAIL', 'EAFNOSUPPORT', 'EPROTONOSUPPORT'].includes(codeOf(error));
}

function unixError(error: unknown, name: string, path: string): ListenError {
  const code = codeOf(error);
  const why: Readonly<Record<string, string>> = {
    EADDRINUSE: 'another process listens there; stop it, or choose another path',
    EACCES: 'this user may not make a socket there; choose another path',
    ENOENT: 'its folder does not exist; make it first',
    EINVAL: 'the path is too long for a socket (about 100 bytes)',
  };
  return new ListenError(
    `${name} cannot listen on ${path}: ${why[code] ?? String(error)} (protocols.${name}.path)`,
    code,
    error,
  );
}

function explained(error: unknown, carrier: 'tcp' | 'udp', place: DoorPlace, host: string, port: number): ListenError {
  const code = codeOf(error);
  const where = addressText({ host, port });
  return new ListenError(
    `${place.name} cannot listen on ${where}: ${reason(code, carrier, place, port, error)}`,
    code,
    error,
  );
}

function reason(code: string, carrier: 'tcp' | 'udp', place: DoorPlace, port: number, error: unknown): string {
  const other = `choose another with --port ${place.name}=<port>`;
  if (code === 'EADDRINUSE') {
    const owner = ownerOf(port, carrier);
    const who =
      owner === null
        ? `the port is in use by a process that this user cannot see (find it with: ${ownerHint(carrier, port)})`
        : `the port is in use by process ${owner.pid} (${owner.command})`;
    return `${who}; stop it, or ${other}`;
  }
  if (code === 'EACCES')
    return `ports below 1024 need a privilege that this user does not have; ${other}, or allow it (on Linux: sudo sysctl net.ipv4.ip_unprivileged_port_start=${port})`;
  if (isAddressMissing(error)) return 'this machine has no such address; choose another with --host <address>';
  return String(error);
}
