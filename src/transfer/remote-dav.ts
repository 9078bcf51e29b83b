// Files of a server of WebDAV: as over HTTP, with PROPFIND to know what there is (RFC 4918 §9.1).

import { parseDate } from '../protocols/http/dates.ts';
import { childOf, DAV, type Element, elementsOf, readXml } from '../protocols/webdav/codec.ts';
import { type Facts, isOwnName, leafOf, TransferError } from './remote.ts';
import { HttpRemote } from './remote-http.ts';

const ASKED =
  '<?xml version="1.0" encoding="utf-8"?><propfind xmlns="DAV:"><prop><resourcetype/><getcontentlength/>' +
  '<getlastmodified/><getetag/></prop></propfind>';
/** Of one folder, some hundred thousand names. */
const ANSWER_MAX = 268_435_456;

export class DavRemote extends HttpRemote {
  override async stat(path: string): Promise<Facts | null> {
    const found = await this.find(path, 0);
    return found === null ? null : { ...(found[0]?.facts ?? lacking(path)), name: leafOf(path) };
  }

  override async list(path: string): Promise<Facts[]> {
    const folder = path.endsWith('/') ? path : `${path}/`;
    const found = await this.find(folder, 1);
    if (found === null) throw new TransferError('missing', `there is no ${path}`);
    const own = decoded(this.urlOf(folder).pathname);
    return found.flatMap(({ path: each, facts }) => {
      // The folder itself is among them, and a server might tell of others.
      if (each === null || each === own || !each.startsWith(own ?? '\0')) return [];
      const name = each.slice(own!.length).replace(/\/$/, '');
      return isOwnName(name) ? [{ ...facts, name }] : [];
    });
  }

  private async find(path: string, depth: 0 | 1): Promise<{ path: string | null; facts: Facts }[] | null> {
    const headers = { depth: String(depth), 'content-type': 'application/xml' };
    const response = await this.ask('PROPFIND', this.urlOf(path), { headers, body: Buffer.from(ASKED) });
    if (response.status === 404) return null;
    await this.expect(response, `PROPFIND ${path}`, 207);
    const pieces: Uint8Array[] = [];
    let length = 0;
    for await (const piece of response.body ?? []) {
      length += piece.length;
      if (length > ANSWER_MAX) throw new TransferError('refused', `${path} has too many names`);
      pieces.push(piece);
    }
    const root = readXml(Buffer.concat(pieces));
    if (root === null || root.uri !== DAV || root.local !== 'multistatus')
      throw new TransferError('refused', `${this.place.origin} answered PROPFIND with what is no multistatus`);
    return elementsOf(root).flatMap((each) => {
      const href = childOf(each, 'href');
      if (href === null) return [];
      const base = this.urlOf(path);
      const text = textOf(href).trim();
      const to = URL.canParse(text, base) ? new URL(text, base) : null;
      return [{ path: to === null ? null : decoded(to.pathname), facts: factsOf(each) }];
    });
  }
}

function lacking(path: string): Facts {
  throw new TransferError('refused', `nothing is told of ${path}`);
}

/** Null for what is no text. */
function decoded(path: string): string | null {
  try {
    return decodeURIComponent(path);
  } catch {
    return null;
  }
}

function textOf({ children }: Element): string {
  return children.filter((child) => typeof child === 'string').join('');
}

/** Of the properties that are there: others stand under another status. */
function factsOf(response: Element): Facts {
  let facts: Facts = { name: '', kind: 'file', size: -1, modified: -1, tag: '' };
  for (const propstat of elementsOf(response)) {
    if (propstat.uri !== DAV || propstat.local !== 'propstat') continue;
    const status = childOf(propstat, 'status');
    const prop = childOf(propstat, 'prop');
    if (prop === null || (status !== null && !/ 2\d\d/.test(textOf(status)))) continue;
    const of = (name: string) => {
      const element = childOf(prop, name);
      return element === null ? '' : textOf(element).trim();
    };
    const type = childOf(prop, 'resourcetype');
    const isFolder = type !== null && childOf(type, 'collection') !== null;
    const modified = parseDate(of('getlastmodified'), Date.now());
    facts = {
      name: '',
      kind: isFolder ? 'folder' : 'file',
      size: /^\d{1,15}$/.test(of('getcontentlength')) && !isFolder ? Number(of('getcontentlength')) : -1,
      modified: Number.isNaN(modified) ? -1 : modified,
      tag: isFolder ? '' : of('getetag'),
    };
  }
  return facts;
}
