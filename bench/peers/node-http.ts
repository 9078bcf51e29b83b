// What people write on node:http: a small answer, and events from one publisher to all who listen. Prints its port.
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

const SMALL = 'x'.repeat(64);
const listeners = new Set<ServerResponse>();
let id = 0;

const server = createServer((request, response) => {
  if (request.method === 'POST') {
    let text = '';
    request.setEncoding('utf8').on('data', (part) => (text += part));
    request.on('end', () => {
      id++;
      const event = `id: ${id}\ndata: ${text}\n\n`;
      for (const listener of listeners) listener.write(event);
      response.writeHead(204).end();
    });
    return;
  }
  if (request.headers.accept === 'text/event-stream') {
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
    response.flushHeaders();
    listeners.add(response);
    response.on('close', () => listeners.delete(response));
    return;
  }
  response.writeHead(200, { 'content-type': 'text/plain', 'content-length': SMALL.length });
  response.end(SMALL);
});

server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
process.stdin.on('end', () => process.exit(0)).resume();
