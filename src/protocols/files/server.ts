// The files as resources of HTTP: which request is which verb. What the verbs do stands beside it.
import type { Exchange, ExchangeHandler } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import { answerNothing, answerProblem } from '../http/answers.ts';
import { splitTarget } from '../http/target.ts';
import { faults } from './faults.ts';
import { boundaryOf } from './form.ts';
import { type FilesHost, pathOf, refuse } from './server-answers.ts';
import { FormUpload } from './server-form.ts';
import { isFormer, serveFormer } from './server-former.ts';
import { answerRead } from './server-read.ts';
import { takeShare } from './server-shares.ts';
import { TUS, Uploads } from './server-uploads.ts';
import { takeDelete, takeFolder, takePut, takeTransfer } from './server-write.ts';

const ALLOW = 'GET, HEAD, PUT, PATCH, POST, DELETE, MOVE, COPY, MKCOL, OPTIONS';

/** `/files/<path>`. */
export function serveFiles(host: FilesHost): ExchangeHandler {
  const uploads = uploadsOf(host);
  return (exchange) => {
    const path = pathOf(exchange.target);
    if (host.resources.files === undefined) answerProblem(exchange, 404, 'This server has no files.');
    else if (path === null) refuse(exchange, faults.badPath);
    else if (isFormer(exchange)) serveFormer(exchange, host, path);
    else if (exchange.method === 'PATCH') uploads.patch(exchange, path);
    else if (beginsUpload(exchange)) beginUpload(exchange, uploads, path);
    else route(exchange, host, path);
  };
}

/** `/uploads/<id>`. */
export function serveUploads(host: FilesHost): ExchangeHandler {
  return uploadsOf(host).handle;
}

const UPLOADS_OF = new WeakMap<FilesHost['resources'], Uploads>();

/** One for both routes of a server. */
function uploadsOf(host: FilesHost): Uploads {
  let uploads = UPLOADS_OF.get(host.resources);
  if (uploads === undefined) UPLOADS_OF.set(host.resources, (uploads = new Uploads(host)));
  return uploads;
}

function beginsUpload({ method, fields }: Exchange): boolean {
  if (method === 'POST' && fields.has('tus-resumable')) return true;
  return (method === 'PUT' || method === 'POST') && fields.has('upload-complete');
}

function beginUpload(exchange: Exchange, uploads: Uploads, path: string): void {
  const isFolder = splitTarget(exchange.target).path.endsWith('/');
  if (exchange.fields.has('tus-resumable')) uploads.createTus(exchange, path, isFolder);
  else uploads.create(exchange, path);
}

function route(exchange: Exchange, host: FilesHost, path: string): void {
  const isFolder = splitTarget(exchange.target).path.endsWith('/');
  switch (exchange.method) {
    case 'GET':
    case 'HEAD':
      answerRead(exchange, host, path);
      break;
    case 'PUT':
      if (isFolder) takeFolder(exchange, host, path);
      else takePut(exchange, host, path);
      break;
    case 'MKCOL':
      takeFolder(exchange, host, path);
      break;
    case 'DELETE':
      takeDelete(exchange, host, path);
      break;
    case 'MOVE':
    case 'COPY':
      takeTransfer(exchange, host, path);
      break;
    case 'POST':
      takePost(exchange, host, path);
      break;
    case 'OPTIONS':
      answerNothing(exchange, 204, Fields.of({ allow: ALLOW, ...TUS, 'upload-limit': 'max-age=86400' }));
      break;
    default:
      answerProblem(exchange, 405, 'This is not done to files.', Fields.of({ allow: ALLOW }));
  }
}

function takePost(exchange: Exchange, host: FilesHost, path: string): void {
  if (/^\?*share(?:$|[=&])/.test(splitTarget(exchange.target).query)) {
    takeShare(exchange, host, path);
    return;
  }
  const boundary = boundaryOf(exchange.fields.get('content-type'));
  if (boundary === null) answerProblem(exchange, 415, 'A form with files is taken here: multipart/form-data.');
  else new FormUpload(exchange, host, path, boundary);
}
