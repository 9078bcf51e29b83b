// All that is served over HTTP, put onto one router that HTTP/1.1, 2 and 3 share: the protocols' routes and the user's own,
// what is spoken over WebSockets, and the guard before all of them.
import type { Caller } from '../core/caller.ts';
import type { Exchange, ExchangeHandler } from '../core/exchange.ts';
import { Fields, NO_FIELDS } from '../core/fields.ts';
import type { LogFields } from '../core/log.ts';
import type { MessageSession, Messages } from '../core/messages.ts';
import type { Pipe, Session } from '../core/pipe.ts';
import type { Host, Protocol } from '../core/protocol.ts';
import { answerNothing, answerProblem } from '../protocols/http/answers.ts';
import type { Channel } from '../protocols/http/channels.ts';
import { type FetchHandler, fetchHandler } from '../protocols/http/fetch.ts';
import { Guard, type GuardOptions, isRefusal, type Refusal } from '../protocols/http/guard.ts';
import { prefers } from '../protocols/http/negotiate.ts';
import { type Route, Router } from '../protocols/http/router.ts';
import { hold } from '../protocols/http/waiting.ts';
import { signsIn, type UpgradeHost, webSocketUpgrade } from '../protocols/websocket/handshake.ts';
import { websocket } from '../protocols/websocket/index.ts';
import {
  TRANSPORT_TOKENS,
  type TransportHost,
  transportSignsIn,
  webTransportUpgrade,
  webtransport,
} from '../protocols/webtransport/index.ts';
import { isSecure } from '../sites/https-only.ts';

export interface WebOptions<Resources> {
  /** Those that are not turned off. */
  readonly protocols: readonly Protocol<Resources>[];
  /** What the routes of a protocol are given, for as long as the server stands. */
  readonly hostOf: (protocol: Protocol<Resources>) => Host<Resources>;
  /** A stream of bytes over messages. */
  readonly carry: (messages: Messages, protocol: string, make: (pipe: Pipe) => Session) => MessageSession;
  readonly guard: GuardOptions;
  /** The user's own routes, by path: exactly that, or all below one that ends with `/`. */
  readonly routes: Readonly<Record<string, FetchHandler>>;
  /** The server's own, of no protocol. */
  readonly own: readonly Route[];
  /** Told what a route of the user's threw. */
  readonly failed: (error: unknown, route: string, fields: LogFields) => void;
  /** Asked before anything else of those who come under a name of this server: false when it has answered. */
  readonly first?: (exchange: Exchange) => boolean;
  /** Fields that answers over TLS have beside their own. */
  readonly overTls?: () => Fields | null;
}

/** All routes as one handler. Throws a RangeError when two are the same: a user's may not take a protocol's place. */
export function webRoutes<Resources>(options: WebOptions<Resources>): ExchangeHandler {
  const { protocols, hostOf, routes, own, failed } = options;
  const guard = new Guard(options.guard);
  const router = new Router({
    prefers,
    admit: (exchange, anyone, enter) => {
      if (options.first !== undefined && guard.check(exchange) === null && !options.first(exchange)) return false;
      return admit(guard, exchange, anyone, options.overTls?.() ?? null, enter);
    },
  });
  for (const protocol of protocols) {
    for (const listens of protocol.listens) {
      if (listens.on !== 'http') continue;
      const { path, only, claims, anyone = false } = listens;
      const handler = listens.exchange(hostOf(protocol));
      if (claims !== undefined) {
        router.add({ path, claims: claims(hostOf(protocol)), anyone, handler });
        continue;
      }
      router.add(only === undefined ? { path, anyone, handler } : { path, only, anyone, handler });
    }
  }
  for (const route of own) router.add(route);
  for (const [path, handler] of Object.entries(routes)) {
    const tell = (error: unknown, { connection, method }: Exchange) => failed(error, path, { connection, method });
    router.add({ path, handler: fetchHandler(handler, tell) });
  }
  const channels = channelsOf(options);
  const sockets = protocols.find(({ name }) => name === websocket.name);
  if (sockets !== undefined) addSockets(router, options, channels, hostOf(sockets) as unknown as UpgradeHost);
  const transports = protocols.find(({ name }) => name === webtransport.name);
  if (transports !== undefined)
    addTransports(router, options, channels, hostOf(transports) as unknown as TransportHost);
  return router.handle;
}

/** Whether the guard lets it pass now; if not, it is answered, or `enter` is called once it is known who asks. */
function admit(guard: Guard, exchange: Exchange, anyone: boolean, overTls: Fields | null, enter: () => void): boolean {
  exchange.beside = guard.answerFields(exchange) ?? NO_FIELDS;
  if (overTls !== null && isSecure(exchange.peer)) exchange.beside = both(exchange.beside, overTls);
  // A preflight is answered before anybody is asked to sign in: browsers send it without credentials.
  const asks = exchange.method === 'OPTIONS' && guard.check(exchange) === null;
  const preflight = asks ? guard.preflight(exchange) : null;
  if (preflight !== null) {
    answerNothing(exchange, 204, preflight);
    return false;
  }
  const known = guard.admit(exchange, anyone, (answer) => {
    goOn(() => {
      if (enters(exchange, answer)) enter();
    });
  });
  if (known !== null) return enters(exchange, known);
  const goOn = hold(exchange);
  return false;
}

/** Lets in who was let in; answers who was not. */
function enters(exchange: Exchange, answer: Caller | Refusal): boolean {
  if (isRefusal(answer)) {
    const { status, detail, fields = {} } = answer;
    answerProblem(exchange, status, detail, Fields.of(fields));
    return false;
  }
  exchange.caller = answer;
  return true;
}

/** The last two that were put together: nearly all answers have the same. */
let last = { one: new Fields(), other: new Fields(), all: new Fields() };

function both(one: Fields, other: Fields): Fields {
  if (last.one === one && last.other === other) return last.all;
  const all = new Fields();
  all.list.push(...one.list, ...other.list);
  last = { one, other, all };
  return all;
}

/** All that is spoken over sockets, of whichever kind. */
function channelsOf<Resources>({ protocols, hostOf, carry }: WebOptions<Resources>): Channel[] {
  const channels: Channel[] = [];
  for (const protocol of protocols) {
    for (const listens of protocol.listens) {
      if (listens.on !== 'websocket') continue;
      const own = hostOf(protocol);
      const { subprotocol, paths, signsIn: asks = false } = listens;
      const all = { subprotocol, paths, signsIn: asks };
      if ('stream' in listens) {
        const stream = (pipe: Pipe) => listens.stream(pipe, own);
        const messages = (made: Messages) => carry(made, protocol.name, stream);
        channels.push({ ...all, carries: protocol.name, stream, messages });
      } else channels.push({ ...all, messages: (made) => listens.messages(made, own) });
    }
  }
  return channels;
}

/** The upgrade to WebSocket, on every path where something is spoken over one. */
function addSockets<Resources>(
  router: Router,
  { guard }: WebOptions<Resources>,
  channels: readonly Channel[],
  host: UpgradeHost,
): void {
  const handler = webSocketUpgrade(channels, host);
  // While there are no accounts strangers are told so at once.
  const anyone = (exchange: Exchange) => !guard.accounts.open && signsIn(channels, exchange);
  for (const path of new Set(channels.flatMap(({ paths }) => paths)))
    router.add({ path, only: { upgrade: 'websocket' }, anyone, handler });
}

/** The same over WebTransport. */
function addTransports<Resources>(
  router: Router,
  { guard }: WebOptions<Resources>,
  channels: readonly Channel[],
  host: TransportHost,
): void {
  const handler = webTransportUpgrade(channels, host);
  const anyone = (exchange: Exchange) => !guard.accounts.open && transportSignsIn(channels, exchange);
  for (const path of new Set(channels.flatMap(({ paths }) => paths)))
    for (const upgrade of TRANSPORT_TOKENS) router.add({ path, only: { upgrade }, anyone, handler });
}
