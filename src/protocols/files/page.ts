// A folder as a page: its entries, and a form that uploads into it. Names are whoever's made the files: nothing of them runs.
import type { FileFacts } from '../../resources/files/contract.ts';

export const PAGE_FIELDS = {
  'cache-control': 'no-cache',
  vary: 'Accept',
  'x-content-type-options': 'nosniff',
  'content-type': 'text/html; charset=utf-8',
  'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
} as const;

export function folderPage(
  path: string,
  entries: readonly FileFacts[],
  next: string | null,
  mayWrite: boolean,
): string {
  const title = `Files: /${escaped(path)}`;
  const up = path === '' ? '' : '<tr><td><a href="../">../</a></td><td></td><td></td></tr>';
  const rows = entries.map(({ name, folder, size, modified }) => {
    const end = folder ? '/' : '';
    const time = new Date(modified).toISOString().slice(0, 19).replace('T', ' ');
    // A colon in the first part of a relative reference would be taken for a scheme (RFC 3986 §4.2).
    const link = `<a href="./${encodeURIComponent(name)}${end}">${escaped(name)}${end}</a>`;
    return `<tr><td>${link}</td><td>${folder ? '' : size}</td><td>${time}</td></tr>`;
  });
  const more = next === null ? '' : `<p><a href="?after=${encodeURIComponent(next)}">more</a></p>`;
  const form = mayWrite
    ? '<form method="post" enctype="multipart/form-data"><input type="file" name="file" multiple required> <button>Upload</button></form>'
    : '';
  const archives = '<p><a href="?archive=zip">zip</a> <a href="?archive=tar.gz">tar.gz</a></p>';
  return `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${title}</title><style>body{font:16px/1.5 system-ui;margin:2rem}td{padding-right:2rem}td+td{text-align:right}</style></head>
<body><h1>${title}</h1>${form}<table>${up}${rows.join('\n')}</table>${more}${archives}</body></html>
`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}
