// What people write on node:https: a small answer. Prints its port.
import { readFileSync } from 'node:fs';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';

const SMALL = 'x'.repeat(64);
const file = (name: string) => readFileSync(new URL(`../../test/fixtures/${name}`, import.meta.url));

const server = createServer({ cert: file('localhost.pem'), key: file('localhost.key') }, (_request, response) => {
  response.writeHead(200, { 'content-type': 'text/plain', 'content-length': SMALL.length });
  response.end(SMALL);
});
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1', () => console.log((server.address() as AddressInfo).port));
process.stdin.on('end', () => process.exit(0)).resume();
