// GET and HEAD: files with conditions, ranges and codings; folders as a page, as JSON or as an archive.
import type { Exchange } from '../../core/exchange.ts';
import { Fields } from '../../core/fields.ts';
import { INVALID, OK } from '../../core/outcome.ts';
import type { FileFacts, Files, OpenFile } from '../../resources/files/contract.ts';
import { answerBytes, answerJson, answerNothing } from '../http/answers.ts';
import type { ContentCoding } from '../http/coding.ts';
import { wantedDigest, writeDigest } from '../http/digests.ts';
import { typeOf } from '../http/media.ts';
import { prefers } from '../http/negotiate.ts';
import { Query } from '../http/query.ts';
import { answerRepresentation, type Content } from '../http/representation.ts';
import { splitTarget } from '../http/target.ts';
import { archiveOf } from './archive.ts';
import { faults } from './faults.ts';
import { folderPage, PAGE_FIELDS } from './page.ts';
import { answerFileOutcome, during, etagOf, PREFIX, refuse, type TreeHost, type Waiting } from './server-answers.ts';
import { answerArchive } from './server-archive.ts';

/** What a file may be, others than the caller having put it there: no page of it runs with this server's rights. */
const SANDBOX = "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; media-src 'self'; sandbox";

/** What the configuration says of them. */
export interface FilesSettings {
  /** Whether `x.br`, `x.gz` and `x.zst` are `x` coded. */
  readonly precompressed?: boolean;
}

type Beside = Partial<Record<ContentCoding, OpenFile>>;

const SUFFIXES: readonly [ContentCoding, string][] = [
  ['zstd', '.zst'],
  ['br', '.br'],
  ['gzip', '.gz'],
];

export function answerRead(exchange: Exchange, host: TreeHost, path: string, prefix: string = PREFIX): void {
  const { path: sent, query: text } = splitTarget(exchange.target);
  const query = Query.of(text);
  if (query === null) {
    refuse(exchange, faults.badPath);
    return;
  }
  during(exchange, host, async (waiting) => {
    const { files } = host.resources;
    const { caller } = exchange;
    // What is asked for as a folder is no file; most are files, and are opened at once.
    const file = sent.endsWith('/') || query.get('archive') !== null ? INVALID : await files!.open(caller, path);
    if (waiting.isOver) {
      if (typeof file === 'object') file.close();
      return;
    }
    if (typeof file === 'object') await serveWanted(exchange, host, { file, query, path, prefix, waiting });
    else if (file !== INVALID) await otherwise(exchange, host, path, file, waiting);
    else await serveFolder(exchange, host, path, query, waiting, prefix);
  });
}

/** A folder that is not below what may be read may still be listed. */
async function otherwise(exchange: Exchange, host: TreeHost, path: string, outcome: number, waiting: Waiting) {
  const files = host.resources.files!;
  const facts = await files.stat(exchange.caller, path);
  if (waiting.isOver) return;
  if (typeof facts === 'object' && facts.folder) toFolder(exchange);
  else answerFileOutcome(exchange, outcome as never, files, path);
}

interface Asked {
  readonly file: OpenFile;
  readonly query: Query;
  readonly path: string;
  readonly prefix: string;
  readonly waiting: Waiting;
}

/** With what has to be looked for before the answer begins: its hash (RFC 9530 §4), and what it is coded. */
async function serveWanted(exchange: Exchange, host: TreeHost, asked: Asked): Promise<void> {
  const { file, query, path, prefix, waiting } = asked;
  const { fields, caller } = exchange;
  const files = host.resources.files!;
  const algorithm = wantedDigest(fields.joined('want-repr-digest'));
  const { precompressed = false } = (host.settings as FilesSettings | undefined) ?? {};
  if (algorithm === null) {
    // What was shared is the file, and not what is beside it.
    const isCoded = precompressed && prefix === PREFIX && fields.has('accept-encoding');
    const beside = isCoded ? await codedBeside(files, exchange, path, file) : {};
    if (!waiting.isOver) serveFile(exchange, host, file, query, { beside });
    else for (const each of [file, ...Object.values(beside)]) each.close();
    return;
  }
  const sum = await files.hash(caller, path, algorithm);
  // Of the file that is sent, should it be another by now.
  const now = typeof sum === 'object' ? await files.stat(caller, path) : sum;
  const isSame = typeof now === 'object' && now.version === file.facts.version;
  if (waiting.isOver) file.close();
  else if (typeof sum === 'object' && isSame)
    serveFile(exchange, host, file, query, { digest: writeDigest(algorithm, Buffer.from(sum.hex, 'hex')) });
  else serveFile(exchange, host, file, query);
}

/** Files beside it that are the same coded, not older than it, of those that the client takes. */
async function codedBeside(files: Files, { caller, fields }: Exchange, path: string, file: OpenFile): Promise<Beside> {
  const accepted = fields.joined('accept-encoding') ?? '';
  const found: Beside = {};
  for (const [coding, suffix] of SUFFIXES) {
    if (!accepted.includes(coding)) continue;
    const each = await files.open(caller, path + suffix);
    if (typeof each !== 'object') continue;
    if (each.facts.modified >= file.facts.modified) found[coding] = each;
    else each.close();
  }
  return found;
}

export function serveFile(
  exchange: Exchange,
  host: TreeHost,
  file: OpenFile,
  query: Query,
  { digest, beside = {} }: { readonly digest?: string; readonly beside?: Beside } = {},
): void {
  const { facts } = file;
  const fields = Fields.of({ 'cache-control': 'no-cache', 'x-content-type-options': 'nosniff' });
  const type = typeOf(facts.name);
  fields.append('content-security-policy', SANDBOX);
  if (query.get('download') !== null)
    fields.append('content-disposition', `attachment; filename*=UTF-8''${encodeURIComponent(facts.name)}`);
  if (digest !== undefined) fields.append('repr-digest', digest);
  const open = [file, ...Object.values(beside)];
  // The reading under way holds its file beyond that.
  const done = () => {
    for (const each of open.splice(0)) each.close();
  };
  const content = contentOf(file, done);
  const coded: Partial<Record<ContentCoding, Content>> = {};
  for (const [coding, each] of Object.entries(beside)) coded[coding as ContentCoding] = contentOf(each, done);
  const before = exchange.on;
  answerRepresentation(exchange, host, {
    type,
    etag: etagOf(facts),
    lastModified: facts.modified,
    content,
    fields,
    // The digest is of the bytes as they are.
    ...(digest === undefined && open.length === 1 ? {} : { coded }),
  });
  // Nothing of it is sent.
  if (exchange.on === before) done();
}

function contentOf(file: OpenFile, done: () => void): Content {
  return { source: { read: file.read.bind(file), kernelFd: file.fd, done }, length: file.size };
}

function toFolder(exchange: Exchange): void {
  const { path, query } = splitTarget(exchange.target);
  // Two slashes in front would lead to another host.
  const location = `${path.replace(/^\/+/, '/')}/${query === '' ? '' : `?${query}`}`;
  answerNothing(exchange, 301, Fields.of({ location, 'cache-control': 'no-cache' }));
}

async function serveFolder(
  exchange: Exchange,
  host: TreeHost,
  path: string,
  query: Query,
  waiting: Waiting,
  prefix: string,
): Promise<void> {
  const files = host.resources.files!;
  const { caller } = exchange;
  const archive = query.get('archive');
  if (archive !== null) {
    const kind = archiveOf(archive);
    if (kind === null) refuse(exchange, faults.badQuery);
    else await answerArchive(exchange, host, path, kind, waiting);
    return;
  }
  const most = query.number('limit') ?? host.limits.pageEntries;
  if (!(most >= 1)) {
    refuse(exchange, faults.badQuery);
    return;
  }
  const text = query.get('search');
  const found =
    text === null ? null : await searched(host, exchange, path, text, Math.min(most, host.limits.pageEntries));
  const page = found ?? (await files.list(caller, path, query.get('after') ?? '', Math.min(most, 10_000)));
  if (waiting.isOver) return;
  if (typeof page === 'number') {
    answerFileOutcome(exchange, page, files, path);
    return;
  }
  if (!splitTarget(exchange.target).path.endsWith('/')) {
    toFolder(exchange);
    return;
  }
  if (text !== null || query.get('format') === 'json' || !wantsPage(exchange)) {
    const body = {
      path: prefix === PREFIX ? path : '',
      entries: page.entries.map((each) => entryOf(each, text !== null)),
      next: page.next,
    };
    answerJson(exchange, 200, body, Fields.of({ 'cache-control': 'no-cache', vary: 'Accept' }));
    return;
  }
  const html = folderPage(path, page.entries, page.next, prefix === PREFIX && files.may(caller, 'write', path));
  answerBytes(exchange, 200, Fields.of(PAGE_FIELDS), Buffer.from(html));
}

function wantsPage({ fields }: Exchange): boolean {
  return !prefers(fields, 'application/json') && (fields.joined('accept') ?? '').includes('text/html');
}

async function searched(host: TreeHost, exchange: Exchange, path: string, text: string, most: number) {
  const entries: FileFacts[] = [];
  const outcome = await host.resources.files!.search(exchange.caller, path, text, (facts) => {
    entries.push(facts);
    return entries.length < most;
  });
  return outcome === OK ? { entries, next: null } : outcome;
}

function entryOf(facts: FileFacts, whole: boolean) {
  const { name, path, folder, link, size, modified, version, writable } = facts;
  return {
    name,
    ...(whole ? { path } : {}),
    kind: folder ? 'folder' : 'file',
    ...(folder ? {} : { size }),
    modified: new Date(modified).toISOString(),
    version,
    writable,
    ...(link === null ? {} : { link }),
  };
}
