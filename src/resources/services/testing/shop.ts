// The service that tests of every protocol call: all types of the model, all four kinds of call, every way to end. A shop of
// its own each time, so that tests do not see each other's orders.
import { z } from 'zod';
import { defineService } from '../define.ts';
import { ServiceError } from '../status.ts';
import { bytes, duration, empty, oneof } from '../zod-types.ts';

export const Colour = z.enum(['COLOUR_NONE', 'RED', 'GREEN', 'BLUE']).describe('What it is painted in.');

export const LineItem = z.object({
  sku: z.string().min(1).max(32),
  quantity: z.int32().min(1).max(1_000),
  unitPrice: z.number().min(0),
  colour: Colour.optional(),
});

const Card = z.object({ number: z.string().regex(/^[0-9]{12,19}$/), holder: z.string() });

export const Order = z
  .object({
    id: z.string().describe('Given by the shop.'),
    customer: z.string().min(1).max(64),
    items: z.array(LineItem).min(1).max(100),
    note: z.string().optional(),
    express: z.boolean().default(false),
    labels: z.record(z.string(), z.string()),
    placed: z.date(),
    ...oneof('payment', { card: Card, voucher: z.string(), onAccount: z.boolean() }),
  })
  .describe('What somebody wants to have.');

/** Every scalar, alone, as a list, as a map, and absent. */
export const Everything = z.object({
  flag: z.boolean(),
  small: z.int32(),
  natural: z.uint32(),
  large: z.int64(),
  largeNatural: z.uint64(),
  single: z.float32(),
  real: z.number(),
  text: z.string(),
  raw: bytes(),
  moment: z.date(),
  span: duration(),
  whatever: z.json().optional(),
  colour: Colour,
  nothing: empty.optional(),
  item: LineItem.optional(),
  maybeFlag: z.boolean().optional(),
  maybeSmall: z.int32().optional(),
  maybeLarge: z.int64().optional(),
  maybeReal: z.number().optional(),
  maybeText: z.string().optional(),
  maybeRaw: bytes().optional(),
  maybeMoment: z.date().optional(),
  maybeColour: Colour.optional(),
  presetText: z.string().default('preset'),
  presetSmall: z.int32().default(7),
  flags: z.array(z.boolean()),
  smalls: z.array(z.int32()),
  larges: z.array(z.int64()),
  reals: z.array(z.number()),
  texts: z.array(z.string()),
  raws: z.array(bytes()),
  moments: z.array(z.date()),
  colours: z.array(Colour),
  items: z.array(LineItem),
  textByName: z.record(z.string(), z.string()),
  largeByName: z.record(z.string(), z.int64()),
  itemByName: z.record(z.string(), LineItem),
  ...oneof('choice', { chosenText: z.string(), chosenLarge: z.int64(), chosenItem: LineItem }),
});

interface TreeNode {
  readonly name: string;
  readonly children?: TreeNode[] | undefined;
}

/** A type that contains itself. */
export const Tree: z.ZodType<TreeNode> = z.object({
  name: z.string(),
  get children() {
    return z.array(Tree).optional();
  },
});

/** A detail of an error. */
export const OutOfStock = z.object({ sku: z.string(), left: z.int32() });

export type OrderValue = z.output<typeof Order>;

const GetOrderRequest = z.object({ id: z.string().min(1) });
const Ticks = z.object({ count: z.int32().min(0).max(100_000), size: z.int32().min(0).max(1_000_000).default(0) });
const Tick = z.object({ index: z.int32(), filler: z.string() });

/** What the fault method does: each code by its name, or `THROW`, `HANG`, `WRONG`. */
const FailRequest = z.object({ how: z.string(), message: z.string().default('as asked for') });

const TYPES = {
  Colour,
  LineItem,
  Card,
  Order,
  Everything,
  Tree,
  OutOfStock,
  GetOrderRequest,
  Ticks,
  Tick,
  FailRequest,
};

/** `shop.v1.Orders`, with orders of its own. */
export function shopService() {
  const orders = new Map<string, OrderValue>();
  let last = 0;
  let cancelled = 0;
  const place = (given: Omit<OrderValue, 'id' | 'placed'>): OrderValue => {
    for (const { sku, quantity } of given.items)
      if (sku === 'sold-out')
        throw new ServiceError('FAILED_PRECONDITION', `${sku} is sold out`, [
          { type: 'shop.v1.OutOfStock', value: { sku, left: Math.max(0, 3 - quantity) } },
        ]);
    last += 1;
    const order = { ...given, id: `order-${last}`, placed: new Date(1_700_000_000_000 + last) };
    orders.set(order.id, order);
    return order;
  };
  const found = (id: string): OrderValue => {
    const order = orders.get(id);
    if (order === undefined) throw new ServiceError('NOT_FOUND', `there is no order ${id}`);
    return order;
  };
  const NewOrder = Order.omit({ id: true, placed: true });
  return defineService({
    name: 'shop.v1.Orders',
    description: 'Orders of a small shop.',
    types: { ...TYPES, NewOrder },
    methods: {
      GetOrder: {
        description: 'An order by its id.',
        input: GetOrderRequest,
        output: Order,
        idempotency: 'safe',
        http: 'GET /v1/orders/{id}',
        handler: ({ id }) => found(id),
      },
      PlaceOrder: {
        description: 'Orders something.',
        input: NewOrder,
        output: Order,
        http: 'POST /v1/orders',
        handler: async (order, call) => {
          call.setTrailers(['x-orders', String(orders.size + 1)]);
          return place(order);
        },
      },
      CancelOrder: {
        input: GetOrderRequest,
        output: empty,
        idempotency: 'idempotent',
        http: 'DELETE /v1/orders/{id}',
        handler: ({ id }) => {
          orders.delete(id);
          return {};
        },
      },
      WatchOrders: {
        description: 'All orders, and the end; with `follow` it goes on until the caller goes.',
        kind: 'server',
        input: z.object({ customer: z.string().optional(), follow: z.boolean().default(false) }),
        output: Order,
        idempotency: 'safe',
        http: 'GET /v1/orders:watch',
        handler: async function* ({ customer, follow }, call) {
          for (const order of orders.values()) if (customer === undefined || order.customer === customer) yield order;
          if (follow) await aborted(call.signal);
        },
      },
      PlaceOrders: {
        description: 'Places many, and tells how many.',
        kind: 'client',
        input: NewOrder,
        output: z.object({ placed: z.int32(), ids: z.array(z.string()) }),
        handler: async (inputs) => {
          const ids: string[] = [];
          for await (const order of inputs) ids.push(place(order).id);
          return { placed: ids.length, ids };
        },
      },
      Chat: {
        description: 'Answers each message when it comes.',
        kind: 'both',
        input: z.object({ text: z.string().max(1_000) }),
        output: z.object({ text: z.string(), index: z.int32() }),
        handler: async function* (inputs) {
          let index = 0;
          for await (const { text } of inputs) yield { text: `you said ${text}`, index: index++ };
        },
      },
      Count: {
        description: 'So many ticks of so many letters, as fast as they are taken.',
        kind: 'server',
        input: Ticks,
        output: Tick,
        idempotency: 'safe',
        handler: async function* ({ count, size }) {
          const filler = 'x'.repeat(size);
          for (let index = 0; index < count; index++) yield { index, filler };
        },
      },
      EchoEverything: { input: Everything, output: Everything, idempotency: 'safe', handler: (input) => input },
      EchoTree: {
        input: z.object({ root: Tree }),
        output: z.object({ root: Tree }),
        idempotency: 'safe',
        handler: (input) => input,
      },
      Fail: {
        description:
          'Ends with the code that is named; THROW throws, HANG never answers, WRONG answers what is not valid.',
        input: FailRequest,
        output: z.object({ ok: z.boolean() }),
        handler: async ({ how, message }, call) => {
          if (how === 'OK') return { ok: true };
          if (how === 'THROW') throw new TypeError(`a bug with a secret: ${message}`);
          if (how === 'WRONG') return { ok: 'yes' as unknown as boolean };
          if (how === 'HANG') {
            await aborted(call.signal);
            cancelled += 1;
          }
          throw new ServiceError(how === 'HANG' ? 'CANCELLED' : (how as 'ABORTED'), message);
        },
      },
      WhoAmI: {
        description: 'The caller and the metadata, as the handler has them; headers and trailers of its own.',
        input: empty,
        output: z.object({
          account: z.string(),
          metadata: z.array(z.string()),
          hasDeadline: z.boolean(),
          cancelled: z.int32(),
        }),
        idempotency: 'safe',
        handler: (_input, call) => {
          call.sendHeaders(['x-shop', 'open']);
          call.setTrailers(['x-till', '7', 'x-seal-bin', 'AAEC']);
          const { caller, metadata, deadline } = call;
          return {
            account: caller.account,
            metadata: [...metadata],
            hasDeadline: Number.isFinite(deadline),
            cancelled,
          };
        },
      },
    },
  });
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}
