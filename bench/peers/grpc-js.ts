// The same service on @grpc/grpc-js, its types by @grpc/proto-loader, its checks written by hand. Prints its port.
import * as grpc from '@grpc/grpc-js';
import { loadFileDescriptorSetFromBuffer } from '@grpc/proto-loader';
import { descriptorSetBytes } from '../../src/formats/schema/descriptor.ts';
import { protoFiles } from '../../src/formats/schema/proto-files.ts';
import { describe } from '../../src/resources/services/define.ts';
import orders from '../servers/orders.ts';

interface Item {
  readonly sku: string;
  readonly quantity: number;
  readonly unit_price: number;
}
interface Order {
  readonly customer: string;
  readonly items: readonly Item[];
  readonly note?: string;
}

const { service } = describe(orders as never);
const definition = loadFileDescriptorSetFromBuffer(descriptorSetBytes(protoFiles([service])), {
  longs: BigInt as never,
});

function wrong({ customer, items, note = '' }: Order): string {
  if (customer.length < 1 || customer.length > 64) return 'customer';
  if (items.length < 1 || items.length > 100) return 'items';
  for (const { sku, quantity, unit_price: unitPrice } of items)
    if (sku.length < 1 || sku.length > 32 || quantity < 1 || quantity > 1_000 || !(unitPrice >= 0)) return 'items';
  return note.length > 1_000 ? 'note' : '';
}

const FILLER = 'x'.repeat(1_000);

const server = new grpc.Server();
const { bench } = grpc.loadPackageDefinition(definition) as unknown as {
  bench: { v1: { Orders: grpc.ServiceClientConstructor } };
};
server.addService(bench.v1.Orders.service, {
  Place(call: { request: Order }, done: grpc.sendUnaryData<unknown>) {
    const order = call.request;
    const field = wrong(order);
    if (field !== '') {
      done({ code: grpc.status.INVALID_ARGUMENT, details: field });
      return;
    }
    let total = 0;
    for (const { quantity, unit_price: unitPrice } of order.items) total += quantity * unitPrice;
    done(null, { ...order, id: 'order-1', total });
  },
  Watch(call: grpc.ServerWritableStream<{ count: number }, unknown>) {
    const { count } = call.request;
    let index = 0;
    const more = () => {
      while (index < count) if (!call.write({ index: index++, filler: FILLER })) return;
      call.end();
    };
    call.on('drain', more);
    more();
  },
});
server.bindAsync('127.0.0.1:0', grpc.ServerCredentials.createInsecure(), (_error, port) => console.log(port));
process.stdin.on('end', () => process.exit(0)).resume();
