// gRPC: unary calls that are decoded, checked, dispatched and answered; and streams of messages of 1 KB.
import { fileURLToPath } from 'node:url';
import { protobufOf } from '../../src/formats/schema/protobuf.ts';
import { describe } from '../../src/resources/services/define.ts';
import type { Goal, Measured, Scene, Server, Workload } from '../contest.ts';
import { grpcJs, portico } from '../servers/entrants.ts';
import orders, { ORDER } from '../servers/orders.ts';

const MODULE = fileURLToPath(new URL('../servers/orders.ts', import.meta.url));
const entrants = [portico('http', { services: [MODULE] }), grpcJs];
const GOAL: Goal = { floor: 4, aim: 8 };
const { service } = describe(orders as never);
/** What stands before a message. */
const PREFIX = 5;

function bytesOf(method: string, of: 'input' | 'output', value: unknown): Buffer {
  return protobufOf(service.schema, service.methods.get(method)![of]).bytesOf(value);
}

interface Calls {
  readonly method: string;
  readonly input: unknown;
  /** The bytes of all messages of an answer. */
  readonly answered: number;
  readonly pubs: number;
  readonly credit: number;
  /** What a call counts for. */
  readonly times: number;
}

function workload(name: string, unit: Workload['unit'], calls: Calls): Workload {
  return {
    name,
    unit,
    policy: 'none',
    entrants,
    goals: { [grpcJs.name]: GOAL },
    async measure(scene: Scene, { port }: Server): Promise<Measured> {
      const { method, input, answered, pubs, credit, times } = calls;
      const path = `/${service.name}/${method}:${bytesOf(method, 'input', input).toString('hex')}:${answered}`;
      const { value, loaded } = await scene.load('grpc', { port, path, subs: 0, pubs, credit });
      return { value: value * times, loaded };
    },
  };
}

const PLACED = PREFIX + bytesOf('Place', 'output', { ...ORDER, id: 'order-1', total: 105.9 }).length;

function watched(count: number): number {
  let bytes = 0;
  for (let index = 0; index < count; index++)
    bytes += PREFIX + bytesOf('Watch', 'output', { index, filler: 'x'.repeat(1_000) }).length;
  return bytes;
}

const unary = { method: 'Place', input: ORDER, answered: PLACED, times: 1 };

export const workloads: readonly Workload[] = [
  workload('unary, an order of three lines, 64 at once', 'req/s', { ...unary, pubs: 1, credit: 64 }),
  workload('unary, an order of three lines, 8 connections of 8', 'req/s', { ...unary, pubs: 8, credit: 8 }),
  workload('server stream, messages of 1 KB, 8 at once', 'msg/s', {
    method: 'Watch',
    input: { count: 1_000 },
    answered: watched(1_000),
    pubs: 1,
    credit: 8,
    times: 1_000,
  }),
];
