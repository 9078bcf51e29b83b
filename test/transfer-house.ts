// What the tests of transfers run through and against: trees, the command with a home of its own, and a proxy that cuts.
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { join } from 'node:path';
import { runCommand } from './server-process.ts';

/** A small tree with names that are easily got wrong. */
export function makeTree(root: string): void {
  mkdirSync(join(root, 'a', 'b \u00e4'), { recursive: true });
  mkdirSync(join(root, 'empty folder'));
  writeFileSync(join(root, 'big'), randomBytes(1_500_000));
  writeFileSync(join(root, 'nothing'), '');
  for (let number = 0; number < 6; number++)
    writeFileSync(join(root, 'a', `file ${number}`), randomBytes(number * 997));
  for (const name of ['100% #1?.txt', '\u{1f600};x=y', ' leading', "it's &amp; <b>", '-rf'])
    writeFileSync(join(root, 'a', 'b \u00e4', name), name);
}

/** All that is below a folder: files with what is in them, and folders. */
export function treeOf(root: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const entry of readdirSync(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    found[path.slice(root.length)] = entry.isFile()
      ? createHash('sha1').update(readFileSync(path)).digest('hex')
      : 'folder';
  }
  return found;
}

export interface Line {
  readonly event?: string;
  readonly copied?: number;
  readonly deleted?: number;
  readonly failed?: number;
  readonly name?: string;
  readonly kind?: string;
  readonly size?: number;
}

export interface Told {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
  readonly lines: readonly Line[];
}

/** Runs `portico` as ann, whose home is this folder. */
export function commandIn(home: string, extra: Readonly<Record<string, string>> = {}) {
  mkdirSync(home, { recursive: true });
  const environment = {
    HOME: home,
    XDG_STATE_HOME: join(home, 'state'),
    SSH_AUTH_SOCK: '',
    PORTICO_USER: 'ann',
    PORTICO_PASSWORD: 'secret',
    ...extra,
  };
  return async (...args: string[]): Promise<Told> => {
    const ran = await runCommand(args, '', { environment });
    const lines = args.includes('--json')
      ? ran.output
          .trim()
          .split('\n')
          .filter((line) => line.startsWith('{'))
          .map((line) => JSON.parse(line) as Line)
      : [];
    return { ...ran, lines };
  };
}

export interface Cutter extends AsyncDisposable {
  readonly port: number;
  /** How many bytes went in either direction, of all connections. */
  readonly passed: { up: number; down: number };
  /** Cuts everything once so many more bytes went one way; never again after. */
  cutAfter(way: 'up' | 'down', bytes: number): void;
}

/** A proxy to a port of this machine. What FTP says of its data connections is led through it as well. */
export async function cutter(port: number): Promise<Cutter> {
  const sockets = new Set<Socket>();
  const servers: Server[] = [];
  const passed = { up: 0, down: 0 };
  const left = { up: Number.POSITIVE_INFINITY, down: Number.POSITIVE_INFINITY };
  const count = (way: 'up' | 'down', bytes: number) => {
    passed[way] += bytes;
    left[way] -= bytes;
    if (left[way] > 0) return true;
    left[way] = Number.POSITIVE_INFINITY;
    for (const socket of sockets) socket.resetAndDestroy();
    return false;
  };
  const open = async (to: number): Promise<number> => {
    const server = createServer({ allowHalfOpen: true }, (near) => {
      const far = connect({ port: to, host: '127.0.0.1', allowHalfOpen: true });
      for (const [from, into, way] of [
        [near, far, 'up'],
        [far, near, 'down'],
      ] as const) {
        sockets.add(from);
        from.on('close', () => sockets.delete(from));
        from.on('error', () => into.destroy());
        from.on('end', () => into.end());
        from.on('data', async (data) => {
          if (!count(way, data.length)) return;
          const passive = way === 'down' ? /^229 .*\(\|\|\|(\d+)\|\)/m.exec(data.toString('latin1')) : null;
          if (passive === null) {
            if (!into.write(data)) {
              from.pause();
              into.once('drain', () => from.resume());
            }
            return;
          }
          from.pause();
          const led = await open(Number(passive[1]));
          into.write(data.toString('latin1').replace(passive[1]!, String(led)), 'latin1');
          from.resume();
        });
      }
    });
    servers.push(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return (server.address() as AddressInfo).port;
  };
  return {
    port: await open(port),
    passed,
    cutAfter(way, bytes) {
      left[way] = bytes;
    },
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      for (const server of servers) server.close();
    },
  };
}
