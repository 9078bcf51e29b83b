// The same service on Fastify, with input and output checked and written by their JSON Schema, as its documentation has it.
// Prints its port.
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

interface App {
  readonly server: { address(): AddressInfo | string | null };
  post(path: string, options: object, handler: (request: { readonly body: Order }) => unknown): void;
  listen(options: object): Promise<string>;
}

interface Order {
  readonly items: readonly { readonly quantity: number; readonly unitPrice: number }[];
}

process.env.NODE_ENV = 'production';
// Peers that are no dependency of this repository lie in a folder of their own.
const from = createRequire(join(process.env.BENCH_PEERS ?? process.cwd(), 'package.json'));
const app = (from('fastify') as (options: object) => App)({ logger: false, keepAliveTimeout: 60_000 });

const item = {
  type: 'object',
  required: ['sku', 'quantity', 'unitPrice'],
  additionalProperties: false,
  properties: {
    sku: { type: 'string', maxLength: 32 },
    quantity: { type: 'integer', minimum: 1 },
    unitPrice: { type: 'number' },
  },
};
const order = {
  type: 'object',
  required: ['customer', 'items', 'note', 'express'],
  additionalProperties: false,
  properties: {
    customer: { type: 'string', minLength: 1, maxLength: 64 },
    items: { type: 'array', maxItems: 100, items: item },
    note: { type: 'string' },
    express: { type: 'boolean' },
  },
};
const answer = {
  type: 'object',
  properties: { id: { type: 'string' }, total: { type: 'number' }, order },
};

app.post(
  '/services/bench.v1.Prices/Price',
  { schema: { body: order, response: { 200: answer } } },
  async ({ body }) => {
    let total = 0;
    for (const { quantity, unitPrice } of body.items) total += quantity * unitPrice;
    return { id: 'order-1', total, order: body };
  },
);
await app.listen({ port: 0, host: '127.0.0.1' });
console.log((app.server.address() as AddressInfo).port);
process.stdin.on('end', () => process.exit(0)).resume();
