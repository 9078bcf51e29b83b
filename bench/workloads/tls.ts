// TLS: new handshakes, and small answers on connections that stay.
import type { Measured, Scene, Server, Workload } from '../contest.ts';
import { nodeHttps, portico } from '../servers/entrants.ts';

const entrants = [portico('https'), nodeHttps];
const seconds = ({ timing }: Scene) => String(Math.max(1, Math.round(timing.runMs / 1_000)));

/** One after the other, each with a key exchange and a signature of its own. */
async function handshakes(scene: Scene, { port }: Server): Promise<Measured> {
  const out = await scene.ask('openssl', ['s_time', '-connect', `127.0.0.1:${port}`, '-new', '-time', seconds(scene)]);
  const [, count, real] = /(\d+) connections in (\d+) real seconds/.exec(out) ?? [];
  if (count === undefined) throw new Error(`openssl says nothing of connections: ${out.slice(0, 200)}`);
  return { value: Number(count) / Number(real), loaded: null };
}

async function requests(scene: Scene, { name, port }: Server): Promise<Measured> {
  const url = `https://127.0.0.1:${port}${name === 'portico' ? '/healthz' : '/'}`;
  const load = ['--h1', '-c', '64', '-D', seconds(scene), '--warm-up-time', '1', url];
  const out = await scene.ask('h2load', load);
  const [, rate] = /finished in [\d.]+\w+, ([\d.]+) req\/s/.exec(out) ?? [];
  if (rate === undefined || !/ 0 failed, 0 errored/.test(out)) throw new Error(`h2load failed: ${out.slice(-500)}`);
  return { value: Number(rate), loaded: null };
}

const common = { unit: 'req/s', policy: 'none', entrants } as const;

export const workloads: readonly Workload[] = [
  {
    ...common,
    name: 'handshakes, one by one',
    goals: { [nodeHttps.name]: { floor: 0.9, aim: 1 } },
    measure: handshakes,
  },
  {
    ...common,
    name: 'HTTPS GET, HTTP/1.1, 64 connections',
    goals: { [nodeHttps.name]: { floor: 1.3, aim: 1.3 } },
    measure: requests,
  },
];
