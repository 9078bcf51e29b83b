// What is acknowledged once it is safe: Portico syncs to the disk first; JetStream, as it ships, syncs every two minutes.
import type { Goal, Workload } from '../contest.ts';
import { nats, portico } from '../servers/entrants.ts';

type Options = Readonly<Record<string, number>>;

const own = portico('mqtt');

function workload(name: string, options: Options, goal?: Goal): Workload {
  return {
    name,
    unit: 'msg/s',
    policy: 'durable',
    entrants: [own, nats],
    goals: goal === undefined ? {} : { [nats.name]: goal },
    measure: (scene, { port, speaks }) => scene.load(speaks, { port, subs: 0, qos: 1, ...options }),
  };
}

export const workloads: readonly Workload[] = [
  workload('durable publish, 100 clients, 64 B', { pubs: 100, credit: 1 }, { floor: 0.7, aim: 1 }),
  workload('durable publish, 1 client, 64 B', { pubs: 1, credit: 1 }),
  workload('durable publish, 100 clients with 16 in flight, 64 B', { pubs: 100, credit: 16 }),
  workload('durable publish, 100 clients, 1 KiB', { pubs: 100, credit: 1, size: 1_024 }),
];
