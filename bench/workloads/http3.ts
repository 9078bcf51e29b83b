// HTTP/3: large and small answers, and handshakes, asked for by ngtcp2's client.
import { mkdtempSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Goal, Measured, Scene, Server, Workload } from '../contest.ts';
import { caddy, ngtcp2, portico, webFolder } from '../servers/entrants.ts';
import { watched } from './watched.ts';

const entrants = [
  portico('http3', (scene) => ({ http: { sites: [{ path: '/', folder: webFolder(scene) }] } })),
  caddy,
  ngtcp2,
];

const QUIET = ['-q', '--no-quic-dump', '--no-http-dump', '--exit-on-all-streams-close', '--sni', 'localhost'];

async function fetched(scene: Scene, { port }: Server, path: string, times: number): Promise<void> {
  const url = `https://localhost:${port}${path}`;
  await scene.ask('gtlsclient', [...QUIET, '-n', String(times), '127.0.0.1', String(port), url]);
}

/** That client ends well also where the connection breaks: one answer is looked at as a whole before any is counted. */
async function looked(scene: Scene, { port }: Server, path: string): Promise<void> {
  const folder = mkdtempSync(join(scene.folder, 'got-'));
  const url = `https://localhost:${port}${path}`;
  await scene.ask('gtlsclient', [...QUIET, '--download', folder, '127.0.0.1', String(port), url]);
  const got = readFileSync(join(folder, path));
  if (!got.equals(readFileSync(join(scene.folder, 'web', path)))) throw new Error(`${path} did not come whole`);
}

interface Work {
  readonly path: string;
  /** Answers on one connection. */
  readonly times: number;
  readonly connections: number;
  /** Clients at the same time. */
  readonly clients: number;
  /** What one of them counts for. */
  readonly counts: number;
}

function workload(name: string, unit: Workload['unit'], work: Work, goals: Readonly<Record<string, Goal>>): Workload {
  const { path, times, connections, clients, counts } = work;
  const run = async (scene: Scene, server: Server): Promise<number> => {
    const began = performance.now();
    const client = async () => {
      for (let index = 0; index < connections / clients; index++) await fetched(scene, server, path, times);
    };
    await Promise.all(Array.from({ length: clients }, client));
    return (times * connections * counts) / ((performance.now() - began) / 1_000);
  };
  return {
    name,
    unit,
    policy: 'none',
    entrants,
    goals,
    async measure(scene: Scene, server: Server): Promise<Measured> {
      await looked(scene, server, path);
      // What runs for the first time is compiled while it runs: that is not what is measured.
      await run(scene, server);
      return watched(server.pid, () => run(scene, server));
    },
  };
}

export const workloads: readonly Workload[] = [
  workload(
    'answers of 10 MB, one after the other',
    'MB/s',
    { path: '/ten', times: 20, connections: 3, clients: 1, counts: 10 },
    { [caddy.name]: { floor: 1.5, aim: 2.5 }, [ngtcp2.name]: { floor: 1, aim: 1 } },
  ),
  workload(
    'answers of 64 B, 100 streams on one connection',
    'req/s',
    { path: '/small', times: 20_000, connections: 2, clients: 1, counts: 1 },
    { [caddy.name]: { floor: 1.2, aim: 3 } },
  ),
  workload(
    'handshakes, eight at a time',
    'req/s',
    { path: '/small', times: 1, connections: 800, clients: 8, counts: 1 },
    { [caddy.name]: { floor: 0.5, aim: 1 } },
  ),
];
