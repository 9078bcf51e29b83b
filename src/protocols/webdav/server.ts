// The files over WebDAV, classes 1 and 2 (RFC 4918): which request is which verb. GET, PUT and their like are those of the
// files over HTTP.
import type { Exchange, ExchangeHandler } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import type { Host } from '../../core/protocol.ts';
import type { Resources } from '../../resources/resources.ts';
import { pathOf, refuse } from '../files/server-answers.ts';
import { answerRead } from '../files/server-read.ts';
import { locksOf, type Manner, takeDelete, takeFolder, takePut, takeTransfer } from '../files/server-write.ts';
import { answerNothing, answerProblem } from '../http/answers.ts';
import { collectBody } from '../http/collect.ts';
import { splitTarget } from '../http/target.ts';
import { type Element, readXml } from './codec.ts';
import { faults } from './faults.ts';
import type { limits } from './limits.ts';
import { checkIf, takeLock, takeUnlock } from './server-locks.ts';
import { PREFIX } from './server-properties.ts';
import { answerPropfind, type Depth, takeProppatch, wantedOf } from './server-propfind.ts';

export type DavHost = Host<Resources, typeof limits>;

const ALLOW = 'OPTIONS, GET, HEAD, PUT, DELETE, MKCOL, COPY, MOVE, PROPFIND, PROPPATCH, LOCK, UNLOCK';

/** `/dav/<path>`. */
export function serveDav(host: DavHost): ExchangeHandler {
  return (exchange) => {
    const path = pathOf(exchange.target, PREFIX);
    if (host.resources.files === undefined) answerProblem(exchange, 404, 'This server has no files.');
    else if (path === null) answerProblem(exchange, 400, 'An escape in the path is broken, or is not UTF-8.');
    else route(exchange, host, path);
  };
}

function route(exchange: Exchange, host: DavHost, path: string): void {
  const check = () => checkIf(exchange, host, path);
  const manner: Manner = { prefix: PREFIX, deep: true, check };
  switch (exchange.method) {
    case 'OPTIONS':
      answerNothing(exchange, 200, Fields.of({ allow: ALLOW, dav: '1, 2', 'ms-author-via': 'DAV' }));
      break;
    case 'GET':
    case 'HEAD':
      answerRead(exchange, host, path, PREFIX);
      break;
    case 'PUT':
      if (splitTarget(exchange.target).path.endsWith('/')) answerProblem(exchange, 409, 'A folder is made with MKCOL.');
      else takePut(exchange, host, path, manner);
      break;
    case 'DELETE':
      if (exchange.fields.get('depth') === '0' || exchange.fields.get('depth') === '1')
        refuse(exchange, faults.badDepth);
      else takeDelete(exchange, host, path, manner);
      break;
    case 'MKCOL':
      if (Number(exchange.fields.get('content-length') ?? 0) > 0) refuse(exchange, faults.withBody);
      else takeFolder(exchange, host, path, manner);
      break;
    case 'COPY':
    case 'MOVE':
      takeTransfer(exchange, host, path, manner);
      break;
    case 'PROPFIND':
      takePropfind(exchange, host, path);
      break;
    case 'PROPPATCH':
      withXml(exchange, host, (body) => takeProppatch(exchange, host, path, body, locksOf(exchange), check));
      break;
    case 'LOCK':
      withXml(exchange, host, (body) => takeLock(exchange, host, path, body));
      break;
    case 'UNLOCK':
      takeUnlock(exchange, host, path);
      break;
    default:
      answerProblem(exchange, 405, 'This is not done to files.', Fields.of({ allow: ALLOW }));
  }
}

function takePropfind(exchange: Exchange, host: DavHost, path: string): void {
  const text = exchange.fields.get('depth')?.toLowerCase() ?? 'infinity';
  const depth: Depth | null = text === '0' ? 0 : text === '1' ? 1 : text === 'infinity' ? 'infinity' : null;
  if (depth === null) {
    refuse(exchange, faults.badDepth);
    return;
  }
  withXml(exchange, host, (body) => {
    const wanted = wantedOf(body);
    if (wanted === null) refuse(exchange, faults.badBody);
    else answerPropfind(exchange, host, path, wanted, depth);
  });
}

/** The whole body as XML; null where there is none. */
function withXml(exchange: Exchange, host: DavHost, work: (body: Element | null) => void): void {
  collectBody(exchange, host.limits.bodyBytesMax, (bytes) => {
    if (bytes.length === 0) {
      work(null);
      return;
    }
    const charset = /;\s*charset\s*=\s*"?([\w.-]+)/i.exec(exchange.fields.get('content-type') ?? '')?.[1] ?? '';
    const body = readXml(bytes, charset.toLowerCase());
    if (body === null) refuse(exchange, faults.badXml);
    else work(body);
  });
}
