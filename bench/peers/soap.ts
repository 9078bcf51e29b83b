// What people write with the npm package soap: the same service, by the WSDL that Portico gives of it. Prints its port.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { listen } from 'soap';
import { soapService } from '../../src/protocols/soap/services.ts';
import { wsdlDocument } from '../../src/protocols/soap/wsdl.ts';
import { describe } from '../../src/resources/services/define.ts';
import definition from '../servers/pricing.ts';

interface Order {
  readonly items: readonly { readonly quantity: number; readonly unitPrice: number }[];
}

const wsdl = wsdlDocument(soapService(describe(definition).service), 'http://127.0.0.1/soap');
const port = {
  Price(order: Order) {
    let total = 0;
    for (const { quantity, unitPrice } of order.items) total += quantity * unitPrice;
    return { id: 'order-1', total, order };
  },
};

const server = createServer((_request, response) => response.writeHead(404).end());
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => {
  listen(server, '/soap/bench.v1.Prices', { Prices: { PricesSoap11: port, PricesSoap12: port } }, wsdl);
  console.log((server.address() as AddressInfo).port);
});
process.stdin.on('end', () => process.exit(0)).resume();
