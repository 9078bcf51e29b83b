// Services over REST: an order that is checked and answered, and a thing of ten fields by its id.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Goal, Measured, Scene, Server, Workload } from '../contest.ts';
import { fastify, portico } from '../servers/entrants.ts';
import { ORDER } from '../servers/orders.ts';

const module = (name: string) => fileURLToPath(new URL(`../servers/${name}.ts`, import.meta.url));
const entrants = [portico('http', { services: [module('orders'), module('users')] }), fastify];
const GOAL: Goal = { floor: 1.2, aim: 1.6 };

const BODY = JSON.stringify(ORDER);
const PLACE = (port: number) =>
  `POST /services/bench.v1.Orders/Place HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\n` +
  `Accept: application/json\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`;
const GET = (port: number) =>
  `GET /services/bench.v1.Users/Get?id=u-1 HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nAccept: application/json\r\n\r\n`;

function workload(name: string, request: (port: number) => string, pubs: number): Workload {
  return {
    name,
    unit: 'req/s',
    policy: 'none',
    entrants,
    goals: { [fastify.name]: GOAL },
    async measure(scene: Scene, { port }: Server): Promise<Measured> {
      const path = join(scene.folder, 'request');
      writeFileSync(path, request(port));
      return scene.load('request', { port, path, subs: 0, pubs, credit: 1 });
    },
  };
}

export const workloads: readonly Workload[] = [
  workload('an order, checked, 64 connections', PLACE, 64),
  workload('an order, checked, 1 connection', PLACE, 1),
  workload('ten fields by an id, 64 connections', GET, 64),
];
