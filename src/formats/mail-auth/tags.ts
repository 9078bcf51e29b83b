// Lists of tags, as signatures and the records in DNS have them: `v=1; a=rsa-sha256; …` (RFC 6376 §3.2).

/** By name; null for what is no such list, or has a tag twice. */
export function readTags(text: string): Map<string, string> | null {
  const found = new Map<string, string>();
  for (const part of text.replace(/\r?\n/g, '').split(';')) {
    if (part.trim() === '') continue;
    const parts = /^\s*([A-Za-z][A-Za-z0-9_]*)\s*=\s*(.*?)\s*$/s.exec(part);
    const name = parts?.[1];
    if (name === undefined || found.has(name)) return null;
    found.set(name, parts![2]!);
  }
  return found;
}

/** Base64 with blanks in it; null for what is none. */
export function bytesOfTag(text: string): Buffer | null {
  const plain = text.replace(/\s+/g, '');
  return /^[A-Za-z0-9+/]*={0,2}$/.test(plain) ? Buffer.from(plain, 'base64') : null;
}

/** A list by colons, without blanks. */
export function listOfTag(text: string): string[] {
  return text.split(':').map((each) => each.trim());
}

/** A domain name as it may stand in a tag. */
export function isDomain(text: string): boolean {
  return text.length <= 253 && /^[\w-]{1,63}(?:\.[\w-]{1,63})+$/.test(text);
}
