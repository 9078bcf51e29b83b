// What people write on node:http2: a small answer. Prints its port.
import { createServer, type ServerHttp2Stream } from 'node:http2';
import type { AddressInfo } from 'node:net';

const SMALL = 'x'.repeat(64);

const server = createServer({ maxSessionMemory: 100 });
server.on('stream', (stream: ServerHttp2Stream) => {
  stream.respond({ ':status': 200, 'content-type': 'text/plain', 'content-length': SMALL.length });
  stream.end(SMALL);
});
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
process.stdin.on('end', () => process.exit(0)).resume();
