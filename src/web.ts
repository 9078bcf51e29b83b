// All that protocols serve over HTTP, put onto one router that HTTP/1.1, 2 and 3 share: routes, and what is spoken over
// WebSockets.
import type { ExchangeHandler } from './core/exchange.ts';
import type { MessageSession, Messages } from './core/messages.ts';
import type { Pipe, Session } from './core/pipe.ts';
import type { Host, Protocol } from './core/protocol.ts';
import { prefers } from './protocols/http/negotiate.ts';
import { Router } from './protocols/http/router.ts';
import { type Channel, type UpgradeHost, webSocketUpgrade } from './protocols/websocket/handshake.ts';
import { websocket } from './protocols/websocket/index.ts';

export interface WebOptions<Resources> {
  /** Those that are not turned off. */
  readonly protocols: readonly Protocol<Resources>[];
  /** What the routes of a protocol are given, for as long as the server stands. */
  readonly hostOf: (protocol: Protocol<Resources>) => Host<Resources>;
  /** A stream of bytes over messages. */
  readonly carry: (messages: Messages, make: (pipe: Pipe) => Session) => MessageSession;
}

/** The routes of all protocols as one handler. */
export function webRoutes<Resources>(options: WebOptions<Resources>): ExchangeHandler {
  const { protocols, hostOf } = options;
  const router = new Router({
    prefers,
    admit: () => true,
  });
  for (const protocol of protocols) {
    for (const listens of protocol.listens) {
      if (listens.on !== 'http') continue;
      const { path, only, anyone = false } = listens;
      const handler = listens.exchange(hostOf(protocol));
      router.add(only === undefined ? { path, anyone, handler } : { path, only, anyone, handler });
    }
  }
  const sockets = protocols.find(({ name }) => name === websocket.name);
  if (sockets !== undefined) addSockets(router, options, hostOf(sockets) as unknown as UpgradeHost);
  return router.handle;
}

/** The upgrade to WebSocket, on every path where something is spoken over one. */
function addSockets<Resources>(
  router: Router,
  { protocols, hostOf, carry }: WebOptions<Resources>,
  host: UpgradeHost,
): void {
  const channels: Channel[] = [];
  for (const protocol of protocols) {
    for (const listens of protocol.listens) {
      if (listens.on !== 'websocket') continue;
      const own = hostOf(protocol);
      const messages = (made: Messages): MessageSession =>
        'stream' in listens ? carry(made, (pipe) => listens.stream(pipe, own)) : listens.messages(made, own);
      channels.push({ subprotocol: listens.subprotocol, paths: listens.paths, messages });
    }
  }
  const handler = webSocketUpgrade(channels, host);
  for (const path of new Set(channels.flatMap(({ paths }) => paths)))
    router.add({ path, only: { upgrade: 'websocket' }, handler });
}
