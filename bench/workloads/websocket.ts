// WebSocket: one publisher, many sockets on one bare topic.
import type { Goal, Policy, Workload } from '../contest.ts';
import { bun, portico, ws } from '../servers/entrants.ts';

const entrants = [portico('http'), ws, bun];

const GOALS: Readonly<Record<string, Goal>> = { [ws.name]: { floor: 8, aim: 8 }, [bun.name]: { floor: 0.8, aim: 1.3 } };

function workload(subs: number, credit: number, policy: Policy, goals = {}, long = false): Workload {
  return {
    name: `${long ? 'growth: ' : ''}fan-out 1→${subs.toLocaleString('en')}, 100 B, ${credit > 1 ? 'pipelined' : 'one by one'}`,
    unit: 'msg/s',
    policy,
    entrants,
    goals,
    long,
    measure: (scene, { port }) => scene.load('websocket', { port, subs, credit, size: 100 }),
  };
}

export const workloads: readonly Workload[] = [
  workload(500, 16, 'none', GOALS),
  workload(500, 16, 'durable'),
  workload(500, 1, 'none'),
  workload(500, 1, 'durable'),
  ...[10, 100, 1_000, 10_000].map((subs) => workload(subs, 16, 'none', {}, true)),
];
