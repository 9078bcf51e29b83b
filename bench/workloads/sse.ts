// Server-sent events: one publisher that POSTs, many streams.
import type { Goal, Policy, Workload } from '../contest.ts';
import { nodeHttp, portico } from '../servers/entrants.ts';

const entrants = [portico('http'), nodeHttp];

function workload(subs: number, credit: number, policy: Policy, goal?: Goal, long = false): Workload {
  return {
    name: `${long ? 'growth: ' : ''}fan-out 1→${subs.toLocaleString('en')}, 100 B, ${credit > 1 ? 'pipelined' : 'one by one'}`,
    unit: 'msg/s',
    policy,
    entrants,
    goals: goal === undefined ? {} : { [nodeHttp.name]: goal },
    long,
    measure: (scene, { port }) => scene.load('sse', { port, subs, credit, size: 100 }),
  };
}

export const workloads: readonly Workload[] = [
  workload(500, 16, 'none', { floor: 8, aim: 12 }),
  workload(500, 16, 'durable'),
  workload(500, 1, 'none'),
  workload(500, 1, 'durable'),
  ...[10, 100, 1_000, 10_000].map((subs) => workload(subs, 16, 'none', undefined, true)),
];
