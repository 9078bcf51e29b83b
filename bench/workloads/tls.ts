// TLS: new handshakes, and small answers on connections that stay.
import type { Scene, Server, Workload } from '../contest.ts';
import { nodeHttps, portico } from '../servers/entrants.ts';
import { watched } from './watched.ts';

const entrants = [portico('https'), nodeHttps];
const seconds = ({ timing }: Scene) => String(Math.max(1, Math.round(timing.runMs / 1_000)));

/** One after the other, each with a key exchange and a signature of its own. */
async function handshakes(scene: Scene, { port }: Server): Promise<number> {
  const out = await scene.ask('openssl', ['s_time', '-connect', `127.0.0.1:${port}`, '-new', '-time', seconds(scene)]);
  const [, count, real] = /(\d+) connections in (\d+) real seconds/.exec(out) ?? [];
  if (count === undefined) throw new Error(`openssl says nothing of connections: ${out.slice(0, 200)}`);
  return Number(count) / Number(real);
}

async function requests(scene: Scene, { name, port }: Server): Promise<number> {
  const url = `https://127.0.0.1:${port}${name === 'portico' ? '/healthz' : '/'}`;
  const load = ['--h1', '-c', '64', '-D', seconds(scene), '--warm-up-time', '1', url];
  const out = await scene.ask('h2load', load);
  const [, rate] = /finished in [\d.]+\w+, ([\d.]+) req\/s/.exec(out) ?? [];
  if (rate === undefined || !/ 0 failed, 0 errored/.test(out)) throw new Error(`h2load failed: ${out.slice(-500)}`);
  return Number(rate);
}

const PEER = nodeHttps.name;

function workload(name: string, floor: number, aim: number, load: (scene: Scene, server: Server) => Promise<number>) {
  return {
    name,
    unit: 'req/s',
    policy: 'none',
    entrants,
    goals: { [PEER]: { floor, aim } },
    async measure(scene: Scene, server: Server) {
      // What runs for the first time is compiled while it runs: that is not what is measured.
      await load(scene, server);
      return watched(server.pid, () => load(scene, server));
    },
  } satisfies Workload;
}

export const workloads: readonly Workload[] = [
  workload('handshakes, one by one', 0.9, 1, handshakes),
  workload('HTTPS GET, HTTP/1.1, 64 connections', 1.3, 1.3, requests),
];
