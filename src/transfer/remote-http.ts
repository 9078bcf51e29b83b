// Files of a server of HTTP: GET with ranges, PUT, or tus for what is large where the server speaks it, and listings as JSON of
// Portico and of nginx.
import { createHash } from 'node:crypto';
import type { FetchOptions, HttpClient } from '../exports/http.ts';
import { parseDate } from '../protocols/http/dates.ts';
import {
  type Digest,
  type Facts,
  isOwnName,
  joined,
  leafOf,
  parentOf,
  type Reading,
  type Remote,
  type Source,
  TransferError,
  type Writing,
} from './remote.ts';
import type { UploadMemory } from './upload-memory.ts';

/** From here on an upload is worth being able to go on with. */
const LARGE = 16_777_216;
const SILENCE_MS = 120_000;
const PAGES_MAX = 100_000;

export interface HttpPlace {
  /** `http://host:port`. */
  readonly origin: string;
  readonly authorization: string | null;
  readonly client: HttpClient;
  readonly uploads: UploadMemory;
}

interface ListedEntry {
  readonly name?: unknown;
  /** Portico's. */
  readonly kind?: unknown;
  readonly modified?: unknown;
  readonly version?: unknown;
  readonly size?: unknown;
  /** nginx's. */
  readonly type?: unknown;
  readonly mtime?: unknown;
}

export class HttpRemote implements Remote {
  protected readonly place: HttpPlace;
  private tus: Promise<boolean> | null = null;

  constructor(place: HttpPlace) {
    this.place = place;
  }

  protected urlOf(path: string): URL {
    const encoded = path.split('/').map((level) => encodeURIComponent(level.toWellFormed()));
    return new URL(`${this.place.origin}${path.startsWith('/') ? '' : '/'}${encoded.join('/')}`);
  }

  protected async ask(method: string, url: URL, options: FetchOptions = {}): Promise<Response> {
    const { client, authorization } = this.place;
    const headers = new Headers(options.headers as Headers);
    if (authorization !== null) headers.set('authorization', authorization);
    try {
      return await client.fetch(url, { silenceMs: SILENCE_MS, ...options, method, headers });
    } catch (error) {
      if (error instanceof TransferError) throw error;
      throw new TransferError('lost', (error as Error).message);
    }
  }

  /** The answer when it is one of these; what it says of itself else. */
  protected async expect(response: Response, what: string, ...statuses: number[]): Promise<Response> {
    const { status } = response;
    if (statuses.includes(status)) return response;
    throw await this.refusal(response, what);
  }

  protected async refusal(response: Response, what: string): Promise<TransferError> {
    const { status, statusText, headers } = response;
    const isProblem = /json/.test(headers.get('content-type') ?? '');
    const text = isProblem ? await response.text().catch(() => '') : '';
    if (!isProblem) await response.body?.cancel().catch(() => {});
    const detail = text.length < 65_536 ? /"detail"\s*:\s*"((?:[^"\\]|\\.)*)"/.exec(text)?.[1] : undefined;
    const trouble =
      status === 404 || status === 410
        ? 'missing'
        : status === 408 || status === 429 || (status >= 500 && status !== 501 && status !== 507)
          ? 'lost'
          : 'refused';
    const message = `${response.url === '' ? this.place.origin : new URL(response.url).host} answered ${what} with ${status} ${statusText}`;
    return new TransferError(trouble, detail === undefined ? message : `${message}: ${detail}`);
  }

  async stat(path: string): Promise<Facts | null> {
    const response = await this.ask('HEAD', this.urlOf(path), { headers: { accept: 'application/json, */*;q=0.5' } });
    if (response.status === 404 || response.status === 410) return null;
    await this.expect(response, `HEAD ${path}`, 200, 204);
    const { pathname } = new URL(response.url);
    if (pathname.endsWith('/')) return { name: leafOf(path), kind: 'folder', size: -1, modified: -1, tag: '' };
    return { name: leafOf(path), kind: 'file', ...stateOf(response.headers) };
  }

  async list(path: string): Promise<Facts[]> {
    const found: Facts[] = [];
    let after = '';
    for (let pages = 0; pages < PAGES_MAX; pages++) {
      const url = this.urlOf(path.endsWith('/') ? path : `${path}/`);
      if (after !== '') url.searchParams.set('after', after);
      const response = await this.ask('GET', url, { headers: { accept: 'application/json' } });
      await this.expect(response, `GET ${path}`, 200);
      const body = await this.json(response, path);
      const listed = Array.isArray(body) ? body : (body as { entries?: unknown }).entries;
      if (!Array.isArray(listed))
        throw new TransferError('refused', `${url.host} does not tell what is in ${path}; does it speak dav:?`);
      for (const each of listed as ListedEntry[]) {
        const facts = factsOf(each);
        if (facts !== null) found.push(facts);
      }
      const { next } = body as { next?: unknown };
      if (typeof next !== 'string' || next === '' || next === after) return found;
      after = next;
    }
    return found;
  }

  private async json(response: Response, path: string): Promise<object> {
    if (/json/.test(response.headers.get('content-type') ?? '')) {
      const body: unknown = await response.json().catch(() => null);
      if (typeof body === 'object' && body !== null) return body;
    } else await response.body?.cancel();
    throw new TransferError('refused', `${this.place.origin} does not tell what is in ${path}; does it speak dav:?`);
  }

  async read(path: string, offset: number, known: Facts): Promise<Reading> {
    const headers: Record<string, string> = { 'want-repr-digest': 'sha-256=10', 'accept-encoding': 'identity' };
    if (offset > 0) {
      headers.range = `bytes=${offset}-`;
      // A part of another state is of no use (RFC 9110 §13.1.5).
      if (known.tag !== '' && !known.tag.startsWith('W/')) headers['if-range'] = known.tag;
    }
    const response = await this.ask('GET', this.urlOf(path), { headers });
    await this.expect(response, `GET ${path}`, 200, 206);
    const { etag } = { etag: response.headers.get('etag') ?? '' };
    if (known.tag !== '' && etag !== '' && etag !== known.tag) {
      await response.body?.cancel();
      throw new TransferError('changed', `${path} changed meanwhile`);
    }
    const range = /^bytes (\d+)-\d+\/(\d+)/.exec(response.headers.get('content-range') ?? '');
    const from = response.status === 206 && range !== null ? Number(range[1]) : 0;
    const length = Number(response.headers.get('content-length') ?? -1);
    return {
      offset: from,
      size: range !== null ? Number(range[2]) : length,
      digest: digestOf(response.headers.get('repr-digest')),
      bytes: this.lossy(response.body ?? new ReadableStream()),
    };
  }

  private async *lossy(body: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
    try {
      yield* body;
    } catch (error) {
      throw new TransferError('lost', (error as Error).message);
    }
  }

  async write(path: string, source: Source, writing: Writing): Promise<void> {
    if (source.size >= LARGE) {
      this.tus ??= this.speaksTus(path);
      if (await this.tus) {
        await this.upload(path, source, writing);
        return;
      }
    }
    const headers: Record<string, string> = { 'content-length': String(source.size) };
    if (source.modified >= 0) headers['x-oc-mtime'] = String(Math.floor(source.modified / 1_000));
    const body = source.size === 0 ? new Uint8Array(0) : counted(source, 0, writing);
    const response = await this.ask('PUT', this.urlOf(path), { headers, body, redirect: 'manual' });
    await this.expect(response, `PUT ${path}`, 200, 201, 204);
    await response.body?.cancel();
  }

  // ---- tus 1.0 -----------------------------------------------------------------------------------------------------

  private async speaksTus(path: string): Promise<boolean> {
    const response = await this.ask('OPTIONS', this.urlOf(parentOf(path)));
    await response.body?.cancel();
    const { headers } = response;
    return (
      response.ok &&
      (headers.get('tus-version') ?? '').split(',').some((each) => each.trim() === '1.0.0') &&
      (headers.get('tus-extension') ?? '').split(',').some((each) => each.trim() === 'creation')
    );
  }

  private async upload(path: string, source: Source, writing: Writing): Promise<void> {
    const { uploads } = this.place;
    const key = createHash('sha256')
      .update([this.urlOf(path).href, this.place.authorization ?? '', source.size, source.modified].join('\n'))
      .digest('hex');
    let at = writing.isContinued ? uploads.get(key) : null;
    let offset = at === null ? null : await this.offsetOf(at, source.size);
    if (at === null || offset === null) {
      at = await this.create(path, source);
      offset = 0;
      uploads.set(key, at);
    }
    if (offset < source.size) {
      const response = await this.ask('PATCH', new URL(at), {
        headers: {
          'tus-resumable': '1.0.0',
          'upload-offset': String(offset),
          'content-type': 'application/offset+octet-stream',
          'content-length': String(source.size - offset),
        },
        body: counted(source, offset, writing),
        redirect: 'manual',
      });
      await this.expect(response, `PATCH of ${path}`, 204);
    }
    uploads.set(key, null);
  }

  /** Null when it cannot be gone on with. */
  private async offsetOf(at: string, size: number): Promise<number | null> {
    const response = await this.ask('HEAD', new URL(at), { headers: { 'tus-resumable': '1.0.0' } });
    const offset = Number(response.headers.get('upload-offset') ?? -1);
    return response.ok && offset >= 0 && offset <= size ? offset : null;
  }

  private async create(path: string, source: Source): Promise<string> {
    const folder = this.urlOf(parentOf(path));
    const response = await this.ask('POST', folder, {
      headers: {
        'tus-resumable': '1.0.0',
        'upload-length': String(source.size),
        'upload-metadata': `filename ${Buffer.from(leafOf(path)).toString('base64')}`,
      },
      body: new Uint8Array(0),
      redirect: 'manual',
    });
    await this.expect(response, `POST for ${path}`, 201);
    const at = new URL(response.headers.get('location') ?? '', folder);
    // Who signs in signs in there alone.
    if (at.origin !== folder.origin) throw new TransferError('refused', `${folder.host} sends uploads to ${at.host}`);
    return at.href;
  }

  // ---- the rest ----------------------------------------------------------------------------------------------------

  async remove(path: string, isFolder: boolean): Promise<void> {
    const url = this.urlOf(isFolder && !path.endsWith('/') ? `${path}/` : path);
    const response = await this.ask('DELETE', url, { redirect: 'manual' });
    await this.expect(response, `DELETE ${path}`, 200, 202, 204);
  }

  async rename(from: string, to: string): Promise<void> {
    const headers = { destination: this.urlOf(to).href, overwrite: 'F' };
    const response = await this.ask('MOVE', this.urlOf(from), { headers, redirect: 'manual' });
    await this.expect(response, `MOVE ${from}`, 201, 204);
  }

  async makeFolder(path: string): Promise<void> {
    const response = await this.ask('MKCOL', this.urlOf(joined(path, '')), { redirect: 'manual' });
    // 405: there is something already (RFC 4918 §9.3.1).
    await this.expect(response, `MKCOL ${path}`, 201, 405, 301);
  }

  async hash(path: string): Promise<Digest | null> {
    const response = await this.ask('HEAD', this.urlOf(path), { headers: { 'want-repr-digest': 'sha-256=10' } });
    return response.ok ? digestOf(response.headers.get('repr-digest')) : null;
  }

  /** The client is shared. */
  close(): void {}
}

async function* counted(source: Source, from: number, writing: Writing): AsyncGenerator<Uint8Array> {
  let offset = from;
  for await (const piece of source.from(from)) {
    offset += piece.length;
    if (offset > source.size) break;
    writing.went(offset);
    yield piece;
  }
  if (offset !== source.size) throw new TransferError('changed', 'the file changed while it was sent');
}

export function stateOf(headers: Headers): Pick<Facts, 'size' | 'modified' | 'tag'> {
  const modified = parseDate(headers.get('last-modified') ?? '', Date.now());
  return {
    size: Number(headers.get('content-length') ?? -1),
    modified: Number.isNaN(modified) ? -1 : modified,
    tag: headers.get('etag') ?? '',
  };
}

function factsOf({ name, kind, type, size, modified, mtime, version }: ListedEntry): Facts | null {
  if (typeof name !== 'string' || !isOwnName(name)) return null;
  const is = kind ?? (type === 'directory' ? 'folder' : type);
  const time = Date.parse(String(modified ?? mtime ?? ''));
  return {
    name,
    kind: is === 'file' || is === 'folder' ? is : 'other',
    size: is === 'file' && Number.isSafeInteger(size) ? (size as number) : -1,
    modified: Number.isNaN(time) ? -1 : time,
    tag: typeof version === 'string' ? `"${version}"` : '',
  };
}

/** `sha-256=:…:` (RFC 9530 §3). */
function digestOf(field: string | null): Digest | null {
  const [, algorithm, value] = /\b(sha-256|sha-512)=:([A-Za-z0-9+/=]+):/.exec(field ?? '') ?? [];
  if (algorithm === undefined) return null;
  return { algorithm: algorithm.replace('-', ''), hex: Buffer.from(value!, 'base64').toString('hex') };
}
