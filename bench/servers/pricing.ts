// The service that benchmarks of services call: an order of three items in, with what it comes to out.
import { z } from 'zod';
import { defineService } from '../../src/resources/services/define.ts';

const Item = z.object({ sku: z.string().max(32), quantity: z.int32().min(1), unitPrice: z.number() });

const Order = z.object({
  customer: z.string().min(1).max(64),
  items: z.array(Item).max(100),
  note: z.string(),
  express: z.boolean(),
});

export default defineService({
  name: 'bench.v1.Prices',
  description: 'Orders that are priced.',
  types: { Item, Order },
  methods: {
    Price: {
      input: Order,
      output: z.object({ id: z.string(), total: z.number(), order: Order }),
      idempotency: 'safe',
      handler: (order) => {
        let total = 0;
        for (const { quantity, unitPrice } of order.items) total += quantity * unitPrice;
        return { id: 'order-1', total, order };
      },
    },
  },
});
