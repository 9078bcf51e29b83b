// What people write on the package ws: a text message of one goes to all others. Prints its port.
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocket, WebSocketServer } from 'ws';

const http = createServer();
const server = new WebSocketServer({ server: http, perMessageDeflate: false });

server.on('connection', (socket) => {
  socket.on('message', (data, isBinary) => {
    for (const other of server.clients)
      if (other !== socket && other.readyState === WebSocket.OPEN) other.send(data, { binary: isBinary });
  });
});

http.listen(0, '127.0.0.1', () => console.log((http.address() as AddressInfo).port));
process.stdin.on('end', () => process.exit(0)).resume();
