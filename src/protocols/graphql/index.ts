// GraphQL as the server lists it.
import type { Messages } from '../../core/messages.ts';
import type { Host, Protocol } from '../../core/protocol.ts';
import type { Resources } from '../../resources/resources.ts';
import { graphqlDissector } from './dissect.ts';
import { faults } from './faults.ts';
import { limits } from './limits.ts';
import { GraphqlServer } from './server.ts';
import { serveSocket } from './server-socket.ts';
import type { GraphqlHost } from './server-topics.ts';
import { GRAPHQL_DEFAULTS, type GraphqlSettings } from './settings.ts';

const PATH = '/graphql';

/** One for each server: HTTP and sockets share schema and documents. */
const servers = new WeakMap<Resources, GraphqlServer>();

function serverOf(host: Host<Resources>): GraphqlServer {
  let server = servers.get(host.resources);
  if (server === undefined) {
    server = new GraphqlServer(host as GraphqlHost, (host.settings as GraphqlSettings | undefined) ?? GRAPHQL_DEFAULTS);
    servers.set(host.resources, server);
  }
  return server;
}

export const graphql: Protocol<Resources> = {
  name: 'graphql',
  specs: [
    'GraphQL, September 2025',
    'GraphQL over HTTP',
    'graphql-transport-ws',
    'GraphQL over SSE',
    'GraphQL multipart request',
  ],
  limits,
  faults,
  uses: ['topics', 'services'],
  listens: [
    { on: 'http', path: PATH, exchange: (host: Host<Resources>) => serverOf(host).handle },
    {
      on: 'websocket',
      subprotocol: 'graphql-transport-ws',
      paths: [PATH],
      // Pages can send no fields with an upgrade: they say who they are in `connection_init`.
      signsIn: 'when-silent',
      messages: (made: Messages, host: Host<Resources>) =>
        serveSocket(made, host as GraphqlHost, serverOf(host).engine),
    },
  ],
  dissector: graphqlDissector,
};
