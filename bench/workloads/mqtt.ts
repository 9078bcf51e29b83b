// MQTT 3.1.1: fan-out, fan-in, acknowledged delivery, many topics, growth, and what an idle connection weighs.
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Goal, Measured, Policy, Scene, Server, Workload } from '../contest.ts';
import { mosquitto, portico } from '../servers/entrants.ts';

type Options = Readonly<Record<string, number>>;

const entrants = [portico('mqtt'), mosquitto];

function workload(name: string, policy: Policy, options: Options, goal?: Goal, long = false): Workload {
  return {
    name,
    unit: 'msg/s',
    policy,
    entrants,
    goals: goal === undefined ? {} : { mosquitto: goal },
    long,
    measure: (scene, { port }) => scene.load('mqtt', { port, ...options }),
  };
}

const IDLE = 5_000;

/**
 * Resident bytes for each of some thousand clients that are connected and silent. The first ones also make a runtime's
 * nursery grow, once; those that come when others are there cost what a connection costs.
 */
function idle(name: string, others: number, goal: Readonly<Record<string, Goal>>): Workload {
  return {
    name,
    unit: 'bytes',
    policy: 'none',
    lessIsBetter: true,
    entrants,
    goals: goal,
    async measure(scene: Scene, { port, pid }: Server): Promise<Measured> {
      let before = 0;
      let after = 0;
      await scene.hold('mqtt', { port, idle: others }, async () => {
        await sleep(2_000);
        before = residentBytes(pid);
        await scene.hold('mqtt', { port, idle: IDLE, prefix: 1 }, async () => {
          await sleep(2_000);
          after = residentBytes(pid);
        });
      });
      return { value: Math.round((after - before) / IDLE), loaded: null };
    },
  };
}

function residentBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
  if (kilobytes === undefined) throw new Error(`process ${pid} does not say how much memory it has`);
  return Number(kilobytes) * 1024;
}

const FAN = { subs: 100, credit: 16 };
const count = (of: number) => of.toLocaleString('en');

export const workloads: readonly Workload[] = [
  workload('fan-out 1→100, 64 B, pipelined', 'none', FAN, { floor: 8, aim: 12 }),
  workload('fan-out 1→100, 64 B, pipelined', 'durable', FAN, { floor: 2, aim: 4 }),
  workload('fan-out 1→100, 64 B, one by one', 'none', { subs: 100, credit: 1 }, { floor: 1.1, aim: 1.5 }),
  workload('fan-out 1→100, 64 B, one by one', 'durable', { subs: 100, credit: 1 }),
  workload('fan-in 50→1, 64 B, pipelined', 'none', { subs: 1, pubs: 50, credit: 16 }, { floor: 8, aim: 12 }),
  workload('fan-in 50→1, 64 B, pipelined', 'durable', { subs: 1, pubs: 50, credit: 16 }),
  workload('QoS 1, 1→1, 20 in flight', 'none', { subs: 1, credit: 20, qos: 1 }, { floor: 3, aim: 5 }),
  workload('QoS 1, 1→1, 20 in flight', 'durable', { subs: 1, credit: 20, qos: 1 }),
  workload('1,000 topics, QoS 0, 1 and 2', 'none', { subs: 10, pubs: 10, topics: 1_000, qos: 3 }, { floor: 2, aim: 4 }),
  workload('1,000 topics, QoS 0, 1 and 2', 'durable', { subs: 10, pubs: 10, topics: 1_000, qos: 3 }),
  idle('memory of an idle connection, of the first 5,000', 200, { portico: { floor: 8_192, aim: 3_072 } }),
  idle('memory of an idle connection, of the next 5,000', IDLE, {}),
  ...[10, 1_000, 10_000].map((subs) =>
    workload(`growth: fan-out 1→${count(subs)}, pipelined`, 'none', { subs, credit: 16 }, undefined, true),
  ),
  ...[10, 1_000, 10_000].map((subs) =>
    workload(`growth: fan-out 1→${count(subs)}, pipelined`, 'durable', { subs, credit: 16 }, undefined, true),
  ),
  ...[10, 1_000, 100_000, 1_000_000].map((topics) =>
    workload(
      `growth: ${count(topics)} topics, 10→${Math.min(topics, 100)}`,
      'none',
      { subs: Math.min(topics, 100), pubs: 10, topics, credit: 16 },
      undefined,
      true,
    ),
  ),
  ...[10, 1_000, 100_000].map((topics) =>
    workload(
      `growth: ${count(topics)} topics, 10→${Math.min(topics, 100)}`,
      'durable',
      { subs: Math.min(topics, 100), pubs: 10, topics, credit: 16 },
      undefined,
      true,
    ),
  ),
];
