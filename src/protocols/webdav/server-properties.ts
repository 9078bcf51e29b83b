// What a resource's properties are: live ones from what the files say of it (RFC 4918 §15, RFC 4331), dead ones as they were
// given.

import type { Caller } from '../../core/caller.ts';
import { escapeText } from '../../formats/xml/chars.ts';
import type { FileFacts, Files, Lock, Properties } from '../../resources/files/contract.ts';
import { encodedPath } from '../files/server-answers.ts';
import { dateText } from '../http/dates.ts';
import { typeOf } from '../http/media.ts';
import { DAV, emptyElement, safeText } from './codec.ts';

export const PREFIX = '/dav/';

/** What a PROPFIND asks for. */
export type Wanted =
  | { readonly kind: 'all'; readonly include: readonly string[] }
  | { readonly kind: 'names' }
  | { readonly kind: 'some'; readonly names: readonly string[] };

/** Those that `allprop` is answered with. */
const LIVE = [
  'creationdate',
  'displayname',
  'getcontentlength',
  'getcontenttype',
  'getetag',
  'getlastmodified',
  'lockdiscovery',
  'resourcetype',
  'supportedlock',
];
const QUOTA = ['quota-available-bytes', 'quota-used-bytes'];
const PROTECTED = new Set([...LIVE, ...QUOTA].map((name) => `{${DAV}}${name}`));

export function isProtected(name: string): boolean {
  return PROTECTED.has(name);
}

export function hrefOf({ path, folder }: Pick<FileFacts, 'path' | 'folder'>): string {
  const encoded = PREFIX + encodedPath(path);
  return folder && !encoded.endsWith('/') ? `${encoded}/` : encoded;
}

const SUPPORTED = ['exclusive', 'shared']
  .map(
    (scope) => `<D:lockentry><D:lockscope><D:${scope}/></D:lockscope><D:locktype><D:write/></D:locktype></D:lockentry>`,
  )
  .join('');

export function lockXml(lock: Lock, now: number): string {
  const { token, isShared, isDeep, owner, until, path } = lock;
  const seconds = Math.max(1, Math.ceil((until - now) / 1_000));
  return (
    `<D:activelock><D:locktype><D:write/></D:locktype><D:lockscope><D:${isShared ? 'shared' : 'exclusive'}/></D:lockscope>` +
    `<D:depth>${isDeep ? 'infinity' : '0'}</D:depth>${owner === '' ? '' : `<D:owner>${owner}</D:owner>`}` +
    `<D:timeout>Second-${seconds}</D:timeout><D:locktoken><D:href>${token}</D:href></D:locktoken>` +
    `<D:lockroot><D:href>${escapeText(PREFIX + encodedPath(path))}</D:href></D:lockroot></D:activelock>`
  );
}

/** The value of a live property as XML; null where the resource has none of that name. */
async function live(files: Files, caller: Caller, facts: FileFacts, name: string, now: number): Promise<string | null> {
  const { folder } = facts;
  switch (name) {
    case 'creationdate':
      return new Date(facts.created).toISOString().replace(/\.\d+Z$/, 'Z');
    case 'displayname':
      return safeText(facts.name);
    case 'getcontentlength':
      return folder ? null : String(facts.size);
    case 'getcontenttype':
      return folder ? null : escapeText(typeOf(facts.name));
    case 'getetag':
      return folder ? null : `"${facts.version}"`;
    case 'getlastmodified':
      return dateText(facts.modified);
    case 'lockdiscovery':
      return files.locks
        .on(facts.path)
        .map((lock) => lockXml(lock, now))
        .join('');
    case 'resourcetype':
      return folder ? '<D:collection/>' : '';
    case 'supportedlock':
      return SUPPORTED;
    case 'quota-available-bytes':
    case 'quota-used-bytes': {
      const space = folder ? await files.space(caller, facts.path) : 0;
      if (typeof space === 'number') return null;
      return String(name === 'quota-used-bytes' ? space.used : space.free);
    }
    default:
      return null;
  }
}

function liveXml(name: string, value: string): string {
  return value === '' ? `<D:${name}/>` : `<D:${name}>${value}</D:${name}>`;
}

/** One `response` of a multistatus (RFC 4918 §14.24). */
export async function responseOf(
  files: Files,
  caller: Caller,
  facts: FileFacts,
  wanted: Wanted,
  now: number,
): Promise<string> {
  const found: string[] = [];
  const missing: string[] = [];
  const dead = await deadOf(files, caller, facts, wanted);
  if (wanted.kind === 'names') {
    for (const name of facts.folder ? [...LIVE, ...QUOTA] : LIVE) found.push(`<D:${name}/>`);
    for (const name of Object.keys(dead)) found.push(emptyElement(name));
  } else {
    const names =
      wanted.kind === 'all'
        ? [...LIVE.map((name) => `{${DAV}}${name}`), ...Object.keys(dead), ...wanted.include]
        : wanted.names;
    for (const name of new Set(names)) {
      const own = name.startsWith(`{${DAV}}`) ? name.slice(DAV.length + 2) : null;
      const value = own === null ? null : await live(files, caller, facts, own, now);
      if (value !== null) found.push(liveXml(own!, value));
      else if (dead[name] !== undefined) found.push(dead[name]!);
      else if (wanted.kind === 'some' || wanted.include.includes(name)) missing.push(emptyElement(name));
    }
  }
  const stat = (props: readonly string[], status: string) =>
    `<D:propstat><D:prop>${props.join('')}</D:prop><D:status>HTTP/1.1 ${status}</D:status></D:propstat>`;
  const ok = found.length > 0 || missing.length === 0 ? stat(found, '200 OK') : '';
  const none = missing.length > 0 ? stat(missing, '404 Not Found') : '';
  return `<D:response><D:href>${escapeText(hrefOf(facts))}</D:href>${ok}${none}</D:response>\n`;
}

async function deadOf(files: Files, caller: Caller, { path }: FileFacts, wanted: Wanted): Promise<Properties> {
  if (wanted.kind === 'some' && wanted.names.every(isProtected)) return {};
  const kept = await files.properties(caller, path);
  if (typeof kept === 'number') return {};
  // What others keep there is theirs.
  return Object.fromEntries(Object.entries(kept).filter(([name]) => !name.startsWith('{urn:portico')));
}
