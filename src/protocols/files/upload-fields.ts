// The fields of resumable uploads, by the IETF draft and by tus 1.0, and the name of an upload: all that is to be known of
// it, so that nothing has to be remembered for one that goes on after a crash.

export interface UploadName {
  /** Tells it apart from others to the same path. */
  readonly nonce: string;
  readonly path: string;
  /** -1: not known yet. */
  readonly length: number;
  /** A part that is put together with others later, and appears nowhere by itself. */
  readonly isPart: boolean;
}

const ID_MAX = 8_192;

export function writeUploadName({ nonce, path, length, isPart }: UploadName): string {
  return Buffer.from(JSON.stringify([nonce, path, length, isPart ? 1 : 0])).toString('base64url');
}

export function readUploadName(id: string): UploadName | null {
  if (id.length > ID_MAX || !/^[\w-]+$/.test(id)) return null;
  try {
    const [nonce, path, length, part] = JSON.parse(Buffer.from(id, 'base64url').toString()) as unknown[];
    if (typeof nonce !== 'string' || nonce === '' || typeof path !== 'string' || !Number.isSafeInteger(length))
      return null;
    return { nonce, path, length: length as number, isPart: part === 1 };
  } catch {
    return null;
  }
}

/** A boolean (RFC 9651 §3.3.6); null for anything else. */
export function readBoolean(text: string | null): boolean | null {
  const bare = text?.trim().split(';', 1)[0];
  return bare === '?1' ? true : bare === '?0' ? false : null;
}

/** A whole number that is exact; NaN for what is none, null where there is no field. */
export function readCount(text: string | null): number | null {
  if (text === null) return null;
  return /^\s*\d{1,15}\s*$/.test(text) ? Number(text) : Number.NaN;
}

/** `name base64,name base64` (tus 1.0.0 §Upload-Metadata); null when it is malformed. */
export function readMetadata(text: string): Map<string, string> | null {
  const found = new Map<string, string>();
  for (const pair of text.split(',')) {
    const [, name, value] = /^\s*([^\s,]+)(?:\s+([A-Za-z0-9+/=]*))?\s*$/.exec(pair) ?? [];
    if (name === undefined) return null;
    found.set(name, Buffer.from(value ?? '', 'base64').toString());
  }
  return found;
}

const ALGORITHMS: Readonly<Record<string, string>> = { sha1: 'sha1', md5: 'md5', sha256: 'sha256', sha512: 'sha512' };
export const CHECKSUMS: string = Object.keys(ALGORITHMS).join(',');

/** `algorithm base64` (tus 1.0.0 §Upload-Checksum); null when it is malformed or not known. */
export function readChecksum(text: string): { readonly algorithm: string; readonly digest: Buffer } | null {
  const [, name, value] = /^\s*(\S+)\s+([A-Za-z0-9+/=]+)\s*$/.exec(text) ?? [];
  const algorithm = ALGORITHMS[name ?? ''];
  return algorithm === undefined ? null : { algorithm, digest: Buffer.from(value!, 'base64') };
}

/** `partial`, or the ids that a final upload is made of (tus 1.0.0 §Upload-Concat); null when it is malformed. */
export function readConcat(text: string, prefix: string): 'partial' | readonly string[] | null {
  const trimmed = text.trim();
  if (trimmed === 'partial') return 'partial';
  if (!trimmed.startsWith('final;')) return null;
  const ids: string[] = [];
  for (const part of trimmed.slice('final;'.length).trim().split(/\s+/)) {
    const at = part.replace(/^https?:\/\/[^/]*/i, '');
    if (!at.startsWith(prefix)) return null;
    ids.push(at.slice(prefix.length));
  }
  return ids;
}
