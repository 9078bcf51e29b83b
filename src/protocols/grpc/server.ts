// gRPC, gRPC-Web and Connect on the HTTP ports: which requests are theirs, and which of them it is that is spoken.
import type { Exchange, ExchangeHandler } from '../../core/exchange.ts';
import { splitTarget } from '../http/target.ts';
import { Directory, type GrpcHost } from './server-directory.ts';
import { isGrpc, serveGrpc } from './server-grpc.ts';

/** A request's content type in lower case, without parameters. */
function typeOf(exchange: Exchange): string {
  const type = exchange.fields.get('content-type') ?? '';
  const semicolon = type.indexOf(';');
  return (semicolon < 0 ? type : type.slice(0, semicolon)).trim().toLowerCase();
}

export interface Serving {
  claims(exchange: Exchange, path: string): boolean;
  readonly handle: ExchangeHandler;
}

export function serveCalls(host: GrpcHost): Serving {
  const directory = new Directory(host, []);
  return {
    claims: (exchange) => isGrpc(typeOf(exchange)),
    handle: (exchange) => serveGrpc(exchange, typeOf(exchange), splitTarget(exchange.target).path, host, directory),
  };
}
