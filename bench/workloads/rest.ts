// Services over REST: calls with an order of three items, read, checked, handled and answered.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Measured, Scene, Server, Workload } from '../contest.ts';
import { fastify, portico } from '../servers/entrants.ts';

const SERVICE = fileURLToPath(new URL('../servers/pricing.ts', import.meta.url));

const BODY = JSON.stringify({
  customer: 'Ann Example',
  items: Array.from({ length: 3 }, () => ({ sku: 'pen-4711', quantity: 2, unitPrice: 1.5 })),
  note: 'ring twice & wait',
  express: true,
});

function calls(pubs: number): Workload {
  return {
    name: `a call, ${BODY.length} B of JSON, ${pubs} connections`,
    unit: 'req/s',
    policy: 'none',
    entrants: [portico('http', { services: [SERVICE] }), fastify],
    goals: { [fastify.name]: { floor: 1.2, aim: 1.6 } },
    async measure(scene: Scene, { port }: Server): Promise<Measured> {
      const path = join(scene.folder, 'request');
      const head =
        `POST /services/bench.v1.Prices/Price HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nContent-Type: application/json\r\n` +
        `Content-Length: ${BODY.length}\r\n\r\n`;
      writeFileSync(path, head + BODY);
      return scene.load('request', { port, path, subs: 0, pubs, credit: 1 });
    },
  };
}

export const workloads: readonly Workload[] = [calls(64), calls(1)];
