// What an Authorization field says (RFC 9110 §11.6.2): a name and password of the Basic scheme (RFC 7617), or another
// scheme. It does not know whether they are right.

export interface Credentials {
  /** In lower case. */
  readonly scheme: string;
  /** Of Basic; '' for other schemes. */
  readonly account: string;
  readonly password: string;
  /** Of Bearer; '' for other schemes. */
  readonly token: string;
}

/** The longest name and password together, in bytes as they are sent. */
const BASIC_BYTES_MAX = 4_096;

const UTF8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Null when the field is malformed. */
export function readCredentials(field: string): Credentials | null {
  const parts = /^([!#$%&'*+.^_`|~\w-]+)(?: +(.*))?$/.exec(field);
  if (parts === null) return null;
  const scheme = parts[1]!.toLowerCase();
  if (scheme === 'bearer') return { scheme, account: '', password: '', token: parts[2] ?? '' };
  if (scheme !== 'basic') return { scheme, account: '', password: '', token: '' };
  const text = basicText(parts[2] ?? '');
  if (text === null) return null;
  // The name ends at the first colon; the password may have more (RFC 7617 §2).
  const colon = text.indexOf(':');
  if (colon < 0) return null;
  return { scheme, account: text.slice(0, colon), password: text.slice(colon + 1), token: '' };
}

/** `user-id ":" password` in UTF-8 (RFC 7617 §2.1), without controls (§2); null for anything else. */
function basicText(token: string): string | null {
  if (token.length > BASIC_BYTES_MAX || !/^[A-Za-z\d+/]+={0,2}$/.test(token)) return null;
  const bytes = Buffer.from(token, 'base64');
  // Some clients leave the padding out; a wrong one, or bits behind the end, are nobody's.
  if (token.endsWith('=') && token.length % 4 !== 0) return null;
  if (bytes.toString('base64').replace(/=+$/, '') !== token.replace(/=+$/, '')) return null;
  try {
    const text = UTF8.decode(bytes);
    return /\p{Cc}/u.test(text) ? null : text;
  } catch {
    return null;
  }
}
