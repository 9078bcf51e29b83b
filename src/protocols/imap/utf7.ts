// Names of mailboxes in modified UTF-7 (RFC 3501 §5.1.3), for clients that have not asked for UTF-8.

const SHIFT = 0x26;

/** Text of a name; null for what is not modified UTF-7. */
export function decodeUtf7(name: string): string | null {
  if (!name.includes('&')) return name;
  let text = '';
  let at = 0;
  while (at < name.length) {
    if (name.charCodeAt(at) !== SHIFT) {
      text += name[at++]!;
      continue;
    }
    const end = name.indexOf('-', at);
    if (end < 0) return null;
    if (end === at + 1) text += '&';
    else {
      const run = decodeRun(name.slice(at + 1, end));
      if (run === null) return null;
      text += run;
    }
    at = end + 1;
  }
  return text;
}

/** UTF-16 in base64 with `,` for `/` and no padding. */
function decodeRun(run: string): string | null {
  if (!/^[A-Za-z0-9+,]+$/.test(run)) return null;
  const bytes = Buffer.from(run.replaceAll(',', '/'), 'base64');
  if (bytes.length < 2) return null;
  let text = '';
  for (let at = 0; at + 1 < bytes.length; at += 2) text += String.fromCharCode(bytes.readUInt16BE(at));
  return text.isWellFormed() ? text : null;
}

export function encodeUtf7(text: string): string {
  if (/^[\x20-\x25\x27-\x7e]*$/.test(text)) return text;
  return text.replace(/&|[^\x20-\x7e]+/g, (run) => {
    if (run === '&') return '&-';
    const bytes = Buffer.alloc(run.length * 2);
    for (let at = 0; at < run.length; at++) bytes.writeUInt16BE(run.charCodeAt(at), at * 2);
    return `&${bytes.toString('base64').replaceAll('/', ',').replace(/=+$/, '')}-`;
  });
}
