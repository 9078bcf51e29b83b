// All that protocols serve over HTTP, put onto one router that HTTP/1.1, 2 and 3 share.
import type { ExchangeHandler } from './core/exchange.ts';
import type { Host, Protocol } from './core/protocol.ts';
import { Router } from './protocols/http/router.ts';

export interface WebOptions<Resources> {
  readonly protocols: readonly Protocol<Resources>[];
  /** What the routes of a protocol are given, for as long as the server stands. */
  readonly hostOf: (protocol: Protocol<Resources>) => Host<Resources>;
}

/** The routes of all protocols as one handler. */
export function webRoutes<Resources>({ protocols, hostOf }: WebOptions<Resources>): ExchangeHandler {
  const router = new Router({
    prefers: (fields, type) => fields.get('accept')?.includes(type) === true,
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
  return router.handle;
}
