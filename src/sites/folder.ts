// A folder as a site: files with conditions, ranges and codings, index files, listings, and one page for all paths of an
// application that routes by itself. It reads through `OpenFiles` and knows no disk.
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Exchange, ExchangeHandler } from '../core/exchange.ts';
import { Fields } from '../core/fields.ts';
import { NEVER } from '../core/time.ts';
import { answerNothing, answerProblem } from '../protocols/http/answers.ts';
import { answerRepresentation, type Surroundings } from '../protocols/http/representation.ts';
import { splitTarget } from '../protocols/http/target.ts';
import { namesOf } from './folder-path.ts';
import { listingPage } from './listing.ts';
import { type Found, OpenFiles } from './open-files.ts';

export interface FolderSite {
  /** Where it stands: a path that ends with `/`. */
  readonly path: string;
  /** On the disk. */
  readonly folder: string;
  /** Names that stand for their folder, by preference. */
  readonly index: readonly string[];
  /** A file below the folder that answers for what is not there; null for 404. */
  readonly fallback: string | null;
  /** Whether folders without an index are listed. */
  readonly listing: boolean;
  /** Whether `x.br`, `x.gz` and `x.zst` are `x` coded. */
  readonly precompressed: boolean;
  /** Cache-Control of its answers; null for `no-cache`, which asks again and is answered 304. */
  readonly cacheControl: string | null;
}

/** Names of a folder that a listing shows at most. */
const LISTED_MAX = 10_000;

export class Folder {
  private readonly site: FolderSite;
  private readonly here: Surroundings;
  private readonly files: OpenFiles;
  private readonly fields: Fields;

  constructor(site: FolderSite, here: Surroundings) {
    this.site = site;
    this.here = here;
    this.files = new OpenFiles(site.folder, site.precompressed);
    this.fields = Fields.of({ 'cache-control': site.cacheControl ?? 'no-cache', 'x-content-type-options': 'nosniff' });
  }

  readonly handle: ExchangeHandler = (exchange) => {
    const { method } = exchange;
    if (method === 'OPTIONS') {
      answerNothing(exchange, 204, Fields.of({ allow: 'GET, HEAD, OPTIONS' }));
      return;
    }
    if (method !== 'GET' && method !== 'HEAD') {
      answerProblem(exchange, 405, 'This can be read with GET and HEAD.', Fields.of({ allow: 'GET, HEAD, OPTIONS' }));
      return;
    }
    const { path } = splitTarget(exchange.target);
    const names = namesOf(path.slice(this.site.path.length));
    if (names === null) missing(exchange);
    else new Look(this, exchange, names).begin();
  };

  close(): void {
    this.files.close();
  }

  /** Calls `then` with what is at a path, at once where it is known. */
  find(path: string, then: (found: Found) => void): void {
    const { now } = this.here.clock;
    const known = this.files.known(path, now);
    if (known !== null) then(known);
    else this.files.find(path, now, then);
  }

  serve(exchange: Exchange, file: Extract<Found, { kind: 'file' }>): void {
    const { type, etag, lastModified, content, coded } = file;
    const { fields } = this;
    answerRepresentation(
      exchange,
      this.here,
      coded === null
        ? { type, etag, lastModified, content, fields }
        : { type, etag, lastModified, content, fields, coded },
    );
  }

  get options(): FolderSite {
    return this.site;
  }
}

/** One request on its way to a file: each step may have to wait for the disk. */
class Look {
  private readonly folder: Folder;
  private readonly exchange: Exchange;
  private readonly names: string[];
  private over = false;
  /** Which index file is looked for. */
  private index = 0;

  constructor(folder: Folder, exchange: Exchange, names: string[]) {
    this.folder = folder;
    this.exchange = exchange;
    this.names = names;
  }

  begin(): void {
    const { exchange } = this;
    exchange.on = {
      writable() {},
      tick() {},
      leave() {},
      lost: () => {
        this.over = true;
      },
    };
    exchange.deadline = NEVER;
    if (this.names.at(-1) === '') this.nextIndex();
    else this.folder.find(this.names.join('/'), (found) => this.found(found));
  }

  /** Below the folder, without the last slash. */
  private get place(): string {
    return this.names.slice(0, -1).join('/');
  }

  private found(found: Found): void {
    if (this.over) return;
    if (found.kind === 'file') this.folder.serve(this.exchange, found);
    else if (found.kind === 'folder') this.toFolder();
    else if (found.kind === 'missing') this.otherwise();
    else this.failed();
  }

  /** A folder is itself with a slash behind it: what its pages refer to is below it. */
  private toFolder(): void {
    const { path, query } = splitTarget(this.exchange.target);
    // Two slashes in front would lead to another host; `names` has none that is empty, so there is one.
    const location = `${path}/${query === '' ? '' : `?${query}`}`;
    answerNothing(this.exchange, 301, Fields.of({ location, 'cache-control': 'no-cache' }));
  }

  private nextIndex(): void {
    const { index } = this.folder.options;
    const name = index[this.index++];
    if (name === undefined) {
      this.withoutIndex();
      return;
    }
    this.folder.find(join(this.place, name), (found) => {
      if (this.over) return;
      if (found.kind === 'file') this.folder.serve(this.exchange, found);
      else if (found.kind === 'failed') this.failed();
      else this.nextIndex();
    });
  }

  private withoutIndex(): void {
    const { listing } = this.folder.options;
    if (!listing) {
      this.otherwise();
      return;
    }
    // That it is a folder, and below the root, is for the open files to say.
    this.folder.find(this.place, (found) => {
      if (this.over) return;
      if (found.kind === 'folder') void this.list();
      else this.otherwise();
    });
  }

  private async list(): Promise<void> {
    const { exchange, folder } = this;
    try {
      const entries = await readdir(join(folder.options.folder, this.place), { withFileTypes: true });
      if (this.over) return;
      const shown = entries
        .filter((entry) => namesOf(encodeURIComponent(entry.name)) !== null && (entry.isFile() || entry.isDirectory()))
        .map((entry) => ({ name: entry.name, folder: entry.isDirectory() }));
      listingPage(exchange, splitTarget(exchange.target).path, shown.slice(0, LISTED_MAX), shown.length);
    } catch {
      if (!this.over) this.failed();
    }
  }

  private otherwise(): void {
    const { fallback } = this.folder.options;
    if (fallback === null || !takesPage(this.exchange)) {
      missing(this.exchange);
      return;
    }
    this.folder.find(fallback, (found) => {
      if (this.over) return;
      if (found.kind === 'file') this.folder.serve(this.exchange, found);
      else missing(this.exchange);
    });
  }

  private failed(): void {
    answerProblem(this.exchange, 500, 'The file could not be read.');
  }
}

/** A script or a picture that is not there is not replaced by a page. */
function takesPage({ fields }: Exchange): boolean {
  const accept = fields.joined('accept');
  return accept === null || accept.includes('text/html') || accept.includes('*/*');
}

function missing(exchange: Exchange): void {
  answerProblem(exchange, 404, `There is nothing at ${splitTarget(exchange.target).path}.`);
}
