// The same orders and users on Fastify, as its documentation has validation and serialization by JSON Schema. Prints its port.
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { totalOf } from '../servers/orders.ts';
import { userOf } from '../servers/users.ts';

type Handler = (request: { readonly body: never; readonly query: never }) => Promise<unknown>;
interface Fastify {
  post(path: string, options: object, handler: Handler): void;
  get(path: string, options: object, handler: Handler): void;
  listen(options: object): Promise<string>;
}

process.env.NODE_ENV = 'production';
// Peers that are no dependency of this repository lie in a folder of their own.
const from = createRequire(join(process.env.BENCH_PEERS ?? process.cwd(), 'package.json'));
const { fastify } = from('fastify') as { fastify(options: object): Fastify };

const text = { type: 'string' };
const number = { type: 'number' };
const item = {
  type: 'object',
  additionalProperties: false,
  required: ['sku', 'quantity', 'unitPrice'],
  properties: {
    sku: { type: 'string', minLength: 1, maxLength: 32 },
    quantity: { type: 'integer', minimum: 1, maximum: 1_000 },
    unitPrice: { type: 'number', minimum: 0 },
  },
};
const order = {
  customer: { type: 'string', minLength: 1, maxLength: 64 },
  items: { type: 'array', minItems: 1, maxItems: 100, items: item },
  note: { type: 'string', maxLength: 1_000 },
  express: { type: 'boolean' },
  labels: { type: 'object', additionalProperties: text },
};
const required = ['customer', 'items', 'express', 'labels'];
const user = {
  ...{ id: text, name: text, email: text, age: { type: 'integer' }, score: number, active: { type: 'boolean' } },
  ...{ city: text, country: text, joined: { type: 'string', format: 'date-time' }, about: text },
};

const server = fastify({ logger: false, keepAliveTimeout: 60_000 });
server.post(
  '/services/bench.v1.Orders/Place',
  {
    schema: {
      body: { type: 'object', additionalProperties: false, required, properties: order },
      response: {
        200: { type: 'object', required: [...required, 'id'], properties: { ...order, id: text, total: number } },
      },
    },
  },
  async ({ body }) => {
    const placed = body as Parameters<typeof totalOf>[0];
    return { ...placed, id: 'order-1', total: totalOf(placed) };
  },
);
server.get(
  '/services/bench.v1.Users/Get',
  {
    schema: {
      querystring: { type: 'object', required: ['id'], properties: { id: { type: 'string', minLength: 1 } } },
      response: { 200: { type: 'object', required: Object.keys(user), properties: user } },
    },
  },
  async ({ query }) => userOf((query as { id: string }).id),
);
console.log(new URL(await server.listen({ port: 0, host: '127.0.0.1' })).port);
process.stdin.on('end', () => process.exit(0)).resume();
