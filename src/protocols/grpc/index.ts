// gRPC, gRPC-Web and Connect as the server lists them.
import type { Host, Protocol } from '../../core/protocol.ts';
import type { Resources } from '../../resources/resources.ts';
import { grpcDissector } from './dissect.ts';
import { faults } from './faults.ts';
import { limits } from './limits.ts';
import { type Serving, serveCalls } from './server.ts';
import type { GrpcHost } from './server-directory.ts';

/** One a server: what it claims and what it answers are the same methods. */
const servings = new WeakMap<object, Serving>();

function servingOf(host: Host<Resources>): Serving {
  let serving = servings.get(host);
  if (serving === undefined) {
    serving = serveCalls(host as GrpcHost);
    servings.set(host, serving);
  }
  return serving;
}

export const grpc: Protocol<Resources> = {
  name: 'grpc',
  specs: ['gRPC over HTTP/2', 'gRPC-Web', 'Connect Protocol', 'grpc.reflection.v1', 'grpc.health.v1'],
  limits,
  faults,
  uses: ['services'],
  listens: [
    {
      on: 'http',
      path: '/',
      claims: (host: Host<Resources>) => servingOf(host).claims,
      exchange: (host: Host<Resources>) => servingOf(host).handle,
    },
  ],
  dissector: grpcDissector,
};
