// GraphQL on real TCP sockets, over HTTP/1.1 and WebSocket, with the shop and the topics behind it. For tests.
import { bindLimits } from '../../src/core/limits.ts';
import { SILENT } from '../../src/core/log.ts';
import { OPEN_PERMISSIONS, type Permissions } from '../../src/core/permissions.ts';
import type { Protocol } from '../../src/core/protocol.ts';
import { NO_EVENTS, PIPE_BOUNDS } from '../../src/core/stream-pipe.ts';
import { graphql } from '../../src/protocols/graphql/index.ts';
import { limits as httpLimits } from '../../src/protocols/http1/limits.ts';
import { type Http1Host, Http1Session } from '../../src/protocols/http1/session.ts';
import { websocket } from '../../src/protocols/websocket/index.ts';
import type { Accounts } from '../../src/resources/accounts/contract.ts';
import { OPEN_ACCOUNTS } from '../../src/resources/accounts/open-accounts.ts';
import type { Resources } from '../../src/resources/resources.ts';
import { describe, type ServiceDefinition } from '../../src/resources/services/define.ts';
import { OpenServices } from '../../src/resources/services/registry.ts';
import { shopService } from '../../src/resources/services/testing/shop.ts';
import { type OpenTopics, openTopics } from '../../src/resources/topics/topics.ts';
import { webRoutes } from '../../src/running/web.ts';
import { ENTROPY } from '../../src/server/server.ts';
import { NODE_LOOP, TurnLoop } from '../../src/server/turn.ts';
import { MemoryEngine } from '../../src/storage/memory/engine.ts';
import { listenStream } from '../../src/transports/tcp.ts';

export interface GraphqlHouseOptions {
  readonly limits?: Readonly<Record<string, number>>;
  readonly permissions?: Permissions;
  readonly definitions?: readonly ServiceDefinition[];
}

export interface GraphqlHouse {
  readonly port: number;
  readonly url: string;
  readonly socketUrl: string;
  readonly services: OpenServices;
  readonly topics: OpenTopics;
  readonly bugs: unknown[];
  readonly sockets: () => number;
  close(): Promise<void>;
}

export async function openGraphql(options: GraphqlHouseOptions = {}): Promise<GraphqlHouse> {
  const bugs: unknown[] = [];
  const turn = new TurnLoop(NODE_LOOP, (error) => void bugs.push(error));
  const permissions = options.permissions ?? OPEN_PERMISSIONS;
  const services = new OpenServices({ turn, log: SILENT, permissions });
  services.put(
    'test',
    (options.definitions ?? [shopService()]).map((each) => describe(each)),
  );
  const engine = new MemoryEngine();
  const topics = await openTopics({ engine, turn, log: SILENT, permissions });
  const accounts: Accounts = { ...OPEN_ACCOUNTS, permissions };
  const resources: Resources = { accounts, topics, services };
  const hostOf = (protocol: Protocol<Resources>) => ({
    resources,
    limits: bindLimits(protocol.limits, protocol === graphql ? options.limits : {}),
    get clock() {
      return turn.clock;
    },
    entropy: ENTROPY,
    reach: null as never,
    log: SILENT,
    bug: (error: unknown) => void bugs.push(error),
    software: 'Portico/test',
    routes: () => {},
  });
  const hosts = new Map([graphql, websocket as Protocol<Resources>].map((each) => [each, hostOf(each)]));
  const routes = webRoutes<Resources>({
    protocols: [...hosts.keys()],
    hostOf: (protocol) => hosts.get(protocol)! as never,
    carry: () => {
      throw new RangeError('there are no streams of bytes here');
    },
    guard: { accounts, hosts: [], origins: [] },
    routes: {},
    own: [],
    failed: (error) => void bugs.push(error),
  });
  const host: Http1Host = {
    resources: {},
    limits: bindLimits(httpLimits),
    get clock() {
      return turn.clock;
    },
    entropy: ENTROPY,
    reach: null as never,
    log: SILENT,
    bug: (error: unknown) => void bugs.push(error),
    software: 'Portico/test',
    routes,
  };
  const pipes = new Map<number, { reset(wire: number): void }>();
  const listening = await listenStream({
    turn,
    bounds: PIPE_BOUNDS,
    events: { ...NO_EVENTS, closed: ({ id }) => void pipes.delete(id) },
    admit: () => true,
    opened: (pipe) => void pipes.set(pipe.id, pipe),
    accept: (pipe) => new Http1Session(pipe, host),
  });
  const { port } = listening.address!;
  return {
    port,
    url: `http://127.0.0.1:${port}/graphql`,
    socketUrl: `ws://127.0.0.1:${port}/graphql`,
    services,
    topics,
    bugs,
    sockets: () => pipes.size,
    async close() {
      for (const pipe of pipes.values()) pipe.reset(0);
      await listening.close();
      await topics.close();
      turn.stop();
    },
  };
}

export interface Answer {
  readonly data?: Record<string, unknown> | null;
  readonly errors?: readonly {
    readonly message: string;
    readonly path?: readonly (string | number)[];
    readonly extensions: Readonly<Record<string, unknown>>;
  }[];
}

/** Asks by POST. */
export async function ask(
  url: string,
  query: string,
  variables: Record<string, unknown> = {},
  more: Record<string, unknown> = {},
): Promise<Answer> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables, ...more }),
  });
  return (await response.json()) as Answer;
}
