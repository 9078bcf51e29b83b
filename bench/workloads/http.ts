// HTTP/1.1: small answers on connections that stay.
import type { Goal, Measured, Scene, Server, Workload } from '../contest.ts';
import { bun, nginx, nginxFiles, nodeHttp, portico, publicFolder } from '../servers/entrants.ts';

const entrants = [portico('http'), nodeHttp, nginx, bun];
const ofFiles = [
  portico('http', (scene) => ({ http: { sites: [{ path: '/', folder: publicFolder(scene) }] } })),
  nginxFiles,
];

const VALUE = 'x'.repeat(64);

interface Shape {
  readonly path: string;
  readonly pubs: number;
  readonly credit: number;
}

const GOALS: Readonly<Record<string, Goal>> = {
  [nodeHttp.name]: { floor: 1.3, aim: 1.3 },
  [nginx.name]: { floor: 0.55, aim: 0.8 },
};

function workload(name: string, { path, pubs, credit }: Shape, goals = {}, long = false): Workload {
  return {
    name,
    unit: 'req/s',
    policy: 'none',
    entrants,
    goals,
    long,
    async measure(scene: Scene, server: Server): Promise<Measured> {
      const { port, name } = server;
      if (name === 'portico' && path.startsWith('/topics/')) await retain(`http://127.0.0.1:${port}${path}`);
      return scene.load('http', { port, path, subs: 0, pubs, credit });
    },
  };
}

async function retain(url: string): Promise<void> {
  const { status } = await fetch(url, { method: 'PUT', body: VALUE, headers: { 'content-type': 'text/plain' } });
  if (status !== 201) throw new Error(`PUT is answered with ${status}`);
}

export const workloads: readonly Workload[] = [
  workload('GET /healthz, 64 connections', { path: '/healthz', pubs: 64, credit: 1 }, GOALS),
  workload('GET of a retained value, 64 B, 64 connections', { path: '/topics/bench', pubs: 64, credit: 1 }, GOALS),
  workload('GET /healthz, 64 connections, 16 pipelined', { path: '/healthz', pubs: 64, credit: 16 }),
  {
    ...workload('GET of a file, 100 KB, 64 connections', { path: '/file', pubs: 64, credit: 1 }),
    entrants: ofFiles,
    goals: { [nginxFiles.name]: { floor: 0.5, aim: 1 } },
  },
  ...[1, 10, 1_000, 10_000].map((pubs) =>
    workload(
      `growth: GET /healthz, ${pubs.toLocaleString('en')} connections`,
      { path: '/healthz', pubs, credit: 1 },
      {},
      true,
    ),
  ),
];
