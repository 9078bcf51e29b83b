// Media types of names.
import mime from 'mime';

/** Media type of a name, with UTF-8 for text: what else would a file of today be in. */
export function typeOf(path: string): string {
  const type = mime.getType(path) ?? 'application/octet-stream';
  const isText = type.startsWith('text/') || type === 'application/json' || type === 'application/javascript';
  return isText ? `${type}; charset=utf-8` : type;
}
