// What people write for Bun: its own publish to a topic, and a small answer over HTTP. Prints its port.
interface Socket {
  subscribe(topic: string): void;
  publish(topic: string, data: string | Uint8Array): void;
}

interface Serving {
  readonly port: number;
}

/** The part of Bun that is used here; its types are no package of ours. */
declare const Bun: {
  serve(options: {
    hostname: string;
    port: number;
    fetch(request: Request, server: { upgrade(request: Request): boolean }): Response | undefined;
    websocket: { open(socket: Socket): void; message(socket: Socket, data: string | Uint8Array): void };
  }): Serving;
};

const SMALL = 'x'.repeat(64);

const server = Bun.serve({
  hostname: '127.0.0.1',
  port: 0,
  fetch: (request, self) => {
    if (request.headers.get('upgrade') === 'websocket' && self.upgrade(request)) return undefined;
    return new Response(SMALL);
  },
  websocket: {
    open: (socket) => socket.subscribe('all'),
    message: (socket, data) => socket.publish('all', data),
  },
});

console.log(server.port);
process.stdin.on('end', () => process.exit(0)).resume();
