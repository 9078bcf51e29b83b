// Server-sent events: one publisher that POSTs, many streams.
import type { Goal, Policy, Workload } from '../contest.ts';
import { nodeHttp, portico } from '../servers/entrants.ts';

const entrants = [portico('http'), nodeHttp];

interface Shape {
  readonly pubs?: number;
  readonly subs: number;
  /** Of each publisher. */
  readonly credit: number;
}

function workload({ pubs = 1, subs, credit }: Shape, policy: Policy, goal?: Goal, long = false): Workload {
  return {
    name: `${long ? 'growth: ' : ''}fan-out ${pubs}→${subs.toLocaleString('en')}, 100 B, ${credit > 1 ? 'pipelined' : 'one by one'}`,
    unit: 'msg/s',
    policy,
    entrants,
    goals: goal === undefined ? {} : { [nodeHttp.name]: goal },
    long,
    measure: (scene, { port }) => scene.load('sse', { port, pubs, subs, credit, size: 100 }),
  };
}

export const workloads: readonly Workload[] = [
  workload({ subs: 500, credit: 16 }, 'none', { floor: 8, aim: 12 }),
  // On one connection a POST waits for the one before it, and so each for the disk: several connections share a commit.
  workload({ subs: 500, credit: 16 }, 'durable'),
  workload({ pubs: 16, subs: 500, credit: 1 }, 'none'),
  workload({ pubs: 16, subs: 500, credit: 1 }, 'durable'),
  workload({ subs: 500, credit: 1 }, 'none'),
  workload({ subs: 500, credit: 1 }, 'durable'),
  ...[10, 100, 1_000, 10_000].map((subs) => workload({ subs, credit: 16 }, 'none', undefined, true)),
];
