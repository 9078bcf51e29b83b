// What is in a folder, as a page or as JSON, whichever the client would rather have.
import type { Exchange } from '../core/exchange.ts';
import { Fields } from '../core/fields.ts';
import { answerBytes, answerJson } from '../protocols/http/answers.ts';
import { prefers } from '../protocols/http/negotiate.ts';

export interface Listed {
  readonly name: string;
  readonly folder: boolean;
}

const FIELDS = { 'cache-control': 'no-cache', vary: 'Accept', 'x-content-type-options': 'nosniff' };

/** @param count of all that there are, which may be more than are listed */
export function listingPage(exchange: Exchange, path: string, listed: readonly Listed[], count: number): void {
  const sorted = [...listed].sort(
    (a, b) => Number(b.folder) - Number(a.folder) || (a.name < b.name ? -1 : a.name > b.name ? 1 : 0),
  );
  if (prefers(exchange.fields, 'application/json')) {
    const entries = sorted.map(({ name, folder }) => ({ name, kind: folder ? 'folder' : 'file' }));
    answerJson(exchange, 200, { path, entries, count }, Fields.of(FIELDS));
    return;
  }
  const rows = sorted.map(({ name, folder }) => {
    const end = folder ? '/' : '';
    // A colon in the first part of a relative reference would be taken for a scheme (RFC 3986 §4.2).
    return `<li><a href="./${encodeURIComponent(name)}${end}">${escaped(name)}${end}</a></li>`;
  });
  const more = count > listed.length ? `<p>${count - listed.length} more are not listed.</p>` : '';
  const title = `Index of ${escaped(path)}`;
  const up = path === '/' ? '' : '<li><a href="../">../</a></li>';
  const page = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${title}</title><style>body{font:16px/1.5 system-ui;margin:2rem}</style></head>
<body><h1>${title}</h1><ul>${up}${rows.join('\n')}</ul>${more}</body></html>
`;
  const fields = Fields.of({
    ...FIELDS,
    'content-type': 'text/html; charset=utf-8',
    // Names are whoever's made the files: nothing of them runs.
    'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'",
  });
  answerBytes(exchange, 200, fields, Buffer.from(page));
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
