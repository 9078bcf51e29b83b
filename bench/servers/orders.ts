// The service that calls are measured with: an order of ordinary size, checked; and streams of messages of 1 KB.
import { z } from 'zod';
import { defineService } from '../../src/resources/services/define.ts';

const LineItem = z.object({
  sku: z.string().min(1).max(32),
  quantity: z.int32().min(1).max(1_000),
  unitPrice: z.number().min(0),
});

const NewOrder = z.object({
  customer: z.string().min(1).max(64),
  items: z.array(LineItem).min(1).max(100),
  note: z.string().max(1_000).optional(),
  express: z.boolean(),
  labels: z.record(z.string(), z.string()),
});

const Order = NewOrder.extend({ id: z.string(), total: z.number() });

const FILLER = 'x'.repeat(1_000);

export default defineService({
  name: 'bench.v1.Orders',
  types: { LineItem, NewOrder, Order },
  methods: {
    Place: {
      input: NewOrder,
      output: Order,
      handler: (order) => {
        let total = 0;
        for (const { quantity, unitPrice } of order.items) total += quantity * unitPrice;
        return { ...order, id: 'order-1', total };
      },
    },
    Watch: {
      kind: 'server',
      input: z.object({ count: z.int32().min(0).max(100_000) }),
      output: z.object({ index: z.int32(), filler: z.string().max(2_000) }),
      handler: async function* ({ count }) {
        for (let index = 0; index < count; index++) yield { index, filler: FILLER };
      },
    },
  },
});

export const ORDER = {
  customer: 'Ann Example',
  items: [
    { sku: 'tea-black-250', quantity: 2, unitPrice: 3.5 },
    { sku: 'cup-white', quantity: 4, unitPrice: 12.25 },
    { sku: 'kettle-1l', quantity: 1, unitPrice: 49.9 },
  ],
  note: 'Ring twice, please.',
  express: true,
  labels: { gift: 'yes', source: 'web' },
};
