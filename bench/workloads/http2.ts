// HTTP/2 with prior knowledge: small answers on many streams of few connections.
import type { Goal, Measured, Scene, Server, Workload } from '../contest.ts';
import { h2o, nghttpd, nodeHttp2, portico } from '../servers/entrants.ts';

const VALUE = 'x'.repeat(64);
const entrants = [portico('http'), h2o, nodeHttp2, nghttpd];

const GOALS: Readonly<Record<string, Goal>> = {
  [h2o.name]: { floor: 1.2, aim: 1.5 },
  [nodeHttp2.name]: { floor: 8, aim: 8 },
};

function workload(name: string, path: string, pubs: number, credit: number, goals = {}): Workload {
  return {
    name,
    unit: 'req/s',
    policy: 'none',
    entrants,
    goals,
    async measure(scene: Scene, server: Server): Promise<Measured> {
      const { port } = server;
      const own = server.name === 'portico';
      if (own && path.startsWith('/topics/')) await retain(`http://127.0.0.1:${port}${path}`);
      return scene.load('http2', { port, path: own ? path : '/file', subs: 0, pubs, credit });
    },
  };
}

async function retain(url: string): Promise<void> {
  const { status } = await fetch(url, { method: 'PUT', body: VALUE, headers: { 'content-type': 'text/plain' } });
  if (status !== 201) throw new Error(`PUT is answered with ${status}`);
}

export const workloads: readonly Workload[] = [
  workload('GET /healthz, 8 connections of 32 streams', '/healthz', 8, 32, GOALS),
  workload('GET of a retained value, 64 B, 8 connections of 32 streams', '/topics/bench', 8, 32),
  workload('GET /healthz, 64 connections of 1 stream', '/healthz', 64, 1),
];
