// A small shop: written once, called by REST, GraphQL, gRPC, SOAP, WebSocket and MQTT. Its orders are in memory.
import { defineService, empty, ServiceError, z } from 'portico';

const Item = z.object({
  sku: z.string().min(1).max(32),
  quantity: z.int32().min(1).max(1_000),
});

const NewOrder = z.object({
  customer: z.string().min(1).max(64),
  items: z.array(Item).min(1).max(100),
});

const Order = z.object({
  id: z.string(),
  customer: z.string(),
  items: z.array(Item),
  placed: z.date(),
});

const orders = new Map<string, z.output<typeof Order>>();
/** Told of each order that is placed. */
const watchers = new Set<() => void>();

export default defineService({
  name: 'example.v1.Orders',
  description: 'Orders of a small shop.',
  types: { Item, NewOrder, Order },
  methods: {
    Place: {
      description: 'Orders something.',
      input: NewOrder,
      output: Order,
      http: 'POST /v1/orders',
      handler: (order) => {
        const sold = order.items.find(({ sku }) => sku === 'unicorn');
        if (sold !== undefined) throw new ServiceError('FAILED_PRECONDITION', 'unicorns are sold out');
        const placed = { ...order, id: String(orders.size + 1), placed: new Date() };
        orders.set(placed.id, placed);
        for (const tell of [...watchers]) tell();
        return placed;
      },
    },
    Get: {
      description: 'An order by its id.',
      input: z.object({ id: z.string().min(1) }),
      output: Order,
      idempotency: 'safe',
      http: 'GET /v1/orders/{id}',
      handler: ({ id }) => {
        const found = orders.get(id);
        if (found === undefined) throw new ServiceError('NOT_FOUND', `there is no order ${id}`);
        return found;
      },
    },
    Count: {
      description: 'How many there are.',
      input: empty,
      output: z.object({ orders: z.int32() }),
      idempotency: 'safe',
      handler: () => ({ orders: orders.size }),
    },
    Watch: {
      description: 'All orders, and each that is placed from now on.',
      kind: 'server',
      input: empty,
      output: Order,
      idempotency: 'safe',
      handler: async function* (_input, { signal }) {
        const seen = new Set<string>();
        while (!signal.aborted) {
          for (const order of orders.values()) {
            if (seen.has(order.id)) continue;
            seen.add(order.id);
            yield order;
          }
          await changed(signal);
        }
      },
    },
  },
});

function changed(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const go = () => {
      watchers.delete(go);
      signal.removeEventListener('abort', go);
      resolve();
    };
    watchers.add(go);
    signal.addEventListener('abort', go, { once: true });
  });
}
