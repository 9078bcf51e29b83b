// What was deleted or overwritten, where the configuration keeps it: `?trash` of a folder, `?versions` of a file, and one of
// them read, given back, or gone for good.
import type { Exchange } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import { OK, type Outcome } from '../../core/outcome.ts';
import type { FileFacts, Files, Trashed } from '../../resources/files/contract.ts';
import { answerJson, answerNothing, answerProblem } from '../http/answers.ts';
import { Query } from '../http/query.ts';
import { splitTarget } from '../http/target.ts';
import { faults } from './faults.ts';
import {
  answerFileOutcome,
  during,
  encodedPath,
  PREFIX,
  refuse,
  type TreeHost,
  type Waiting,
  writtenFields,
} from './server-answers.ts';
import { serveFile } from './server-read.ts';

const FRESH = { 'cache-control': 'no-store' };

/** Whether a target asks for what was. */
export function isFormer({ target }: Exchange): boolean {
  return /[?&](?:trash|restore|versions?)(?:[=&]|$)/.test(target);
}

export function serveFormer(exchange: Exchange, host: TreeHost, path: string): void {
  const query = Query.of(splitTarget(exchange.target).query);
  if (query === null) {
    refuse(exchange, faults.badPath);
    return;
  }
  const files = host.resources.files!;
  during(exchange, host, async (waiting) => {
    const { method } = exchange;
    const isRead = method === 'GET' || method === 'HEAD';
    const [trash, restore, version] = [query.get('trash'), query.get('restore'), query.get('version')];
    if (isRead && trash !== null) await listTrash(exchange, host, path, query, waiting);
    else if (isRead && query.get('versions') !== null) await listVersions(exchange, files, path, waiting);
    else if (isRead && version) await readVersion(exchange, host, path, version, query, waiting);
    else if (method === 'POST' && restore)
      answerBack(
        exchange,
        host,
        path,
        await files.former.restore(exchange.caller, restore, path === '' ? undefined : path),
        waiting,
      );
    else if (method === 'POST' && version)
      answerBack(exchange, host, path, await files.former.restoreVersion(exchange.caller, path, version), waiting);
    else if (method === 'DELETE' && trash)
      answerGone(exchange, files, path, await files.former.purge(exchange.caller, trash), waiting);
    else if (method === 'DELETE' && version)
      answerGone(exchange, files, path, await files.former.purgeVersion(exchange.caller, path, version), waiting);
    else answerProblem(exchange, 405, 'This is not done to what was.', Fields.of({ allow: 'GET, HEAD, POST, DELETE' }));
  });
}

async function listTrash(exchange: Exchange, host: TreeHost, path: string, query: Query, waiting: Waiting) {
  const files = host.resources.files!;
  const after = query.number('after') ?? 0;
  const most = Math.min(query.number('limit') ?? host.limits.pageEntries, host.limits.pageEntries);
  if (!(most >= 1) || Number.isNaN(after)) {
    refuse(exchange, faults.badQuery);
    return;
  }
  const page = await files.former.trash(exchange.caller, path, after, most);
  if (waiting.isOver) return;
  if (typeof page === 'number') answerFileOutcome(exchange, page, files, path);
  else answerJson(exchange, 200, { path, entries: page.entries.map(trashedOf), next: page.next }, Fields.of(FRESH));
}

function trashedOf({ id, path, folder, size, deleted, until, by }: Trashed) {
  const kind = folder ? 'folder' : 'file';
  return { id, path, kind, size, deleted: new Date(deleted).toISOString(), until: new Date(until).toISOString(), by };
}

async function listVersions(exchange: Exchange, files: Files, path: string, waiting: Waiting): Promise<void> {
  const found = await files.former.versions(exchange.caller, path);
  if (waiting.isOver) return;
  if (typeof found === 'number') {
    answerFileOutcome(exchange, found, files, path);
    return;
  }
  const versions = found.map(({ id, size, modified, replaced, until, by }) => ({
    id,
    size,
    modified: new Date(modified).toISOString(),
    replaced: new Date(replaced).toISOString(),
    until: new Date(until).toISOString(),
    by,
  }));
  answerJson(exchange, 200, { path, versions }, Fields.of(FRESH));
}

async function readVersion(
  exchange: Exchange,
  host: TreeHost,
  path: string,
  version: string,
  query: Query,
  waiting: Waiting,
): Promise<void> {
  const files = host.resources.files!;
  const file = await files.former.openVersion(exchange.caller, path, version);
  if (typeof file === 'number') {
    if (!waiting.isOver) answerFileOutcome(exchange, file, files, path);
  } else if (waiting.isOver) file.close();
  else serveFile(exchange, host, file, query);
}

function answerBack(
  exchange: Exchange,
  host: TreeHost,
  path: string,
  facts: FileFacts | Outcome,
  waiting: Waiting,
): void {
  if (waiting.isOver) return;
  if (typeof facts === 'number') answerFileOutcome(exchange, facts, host.resources.files!, path);
  else {
    const fields = writtenFields(facts, host.clock.wall);
    answerNothing(exchange, 201, fields.set('location', PREFIX + encodedPath(facts.path)));
  }
}

function answerGone(exchange: Exchange, files: Files, path: string, outcome: Outcome, waiting: Waiting): void {
  if (waiting.isOver) return;
  if (outcome === OK) answerNothing(exchange, 204);
  else answerFileOutcome(exchange, outcome, files, path);
}
