// gRPC, gRPC-Web and Connect on the HTTP ports: which requests are theirs, and which of them it is that is spoken.
import type { Exchange, ExchangeHandler } from '../../core/exchange.ts';
import { splitTarget } from '../http/target.ts';
import { isConnectStream, serveConnectStream } from './server-connect.ts';
import { isConnectUnary, serveConnectUnary } from './server-connect-unary.ts';
import { Directory, type GrpcHost, type OwnService } from './server-directory.ts';
import { isGrpc, serveGrpc } from './server-grpc.ts';
import { Health } from './server-health.ts';
import { Reflection } from './server-reflection.ts';
import { isGrpcWeb, serveGrpcWeb } from './server-web.ts';

/** A request's content type in lower case, without parameters. */
function typeOf(exchange: Exchange): string {
  const type = exchange.fields.get('content-type') ?? '';
  const semicolon = type.indexOf(';');
  return (semicolon < 0 ? type : type.slice(0, semicolon)).trim().toLowerCase();
}

export interface Serving {
  /** What is gRPC's by its type, wherever it goes; what is Connect's where there is such a service. */
  claims(exchange: Exchange, path: string): boolean;
  readonly handle: ExchangeHandler;
}

export function serveCalls(host: GrpcHost): Serving {
  const own: OwnService[] = [];
  const directory = new Directory(host, own);
  const views = new Map();
  own.push(
    new Health(host),
    new Reflection(host, 'v1', () => own, views),
    new Reflection(host, 'v1alpha', () => own, views),
  );
  return {
    claims(exchange, path) {
      const type = typeOf(exchange);
      if (type.startsWith('application/grpc') || isConnectStream(type)) return true;
      return isConnectUnary(exchange, type) && directory.hasService(path);
    },
    handle(exchange) {
      const type = typeOf(exchange);
      const { path, query } = splitTarget(exchange.target);
      if (isGrpc(type)) serveGrpc(exchange, type, path, host, directory);
      else if (isGrpcWeb(type)) serveGrpcWeb(exchange, type, path, host, directory);
      else if (isConnectStream(type)) serveConnectStream(exchange, type, path, host, directory);
      else serveConnectUnary(exchange, type, path, query, host, directory);
    },
  };
}
