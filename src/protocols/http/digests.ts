// Digest fields (RFC 9530): dictionaries of hashes by algorithm, which are asked for by preference. What is hashed is not
// known here.
export type DigestAlgorithm = 'sha-256' | 'sha-512';

/** By preference; the others of RFC 9530 §5 are deprecated, and never answered or checked. */
const KNOWN: readonly DigestAlgorithm[] = ['sha-256', 'sha-512'];

const MEMBER = /^\s*([a-z*][a-z0-9_\-.*]*)\s*(?:=\s*(:[A-Za-z0-9+/]*={0,2}:|\d{1,3}))?\s*(?:;[^,]*)?$/;

function membersOf(text: string): Map<string, string> | null {
  const members = new Map<string, string>();
  for (const part of text.split(',')) {
    const [whole, name, value = ''] = MEMBER.exec(part) ?? [];
    if (whole === undefined) return null;
    members.set(name!, value);
  }
  return members;
}

/** The hashes that Repr-Digest or Content-Digest gives, of those known here; null when it is malformed (RFC 9530 §2). */
export function readDigests(text: string | null): Map<DigestAlgorithm, Buffer> | null {
  const found = new Map<DigestAlgorithm, Buffer>();
  if (text === null) return found;
  const members = membersOf(text);
  if (members === null) return null;
  for (const algorithm of KNOWN) {
    const value = members.get(algorithm);
    if (value === undefined) continue;
    if (!value.startsWith(':')) return null;
    found.set(algorithm, Buffer.from(value.slice(1, -1), 'base64'));
  }
  return found;
}

/** The algorithm that Want-Repr-Digest likes best, of those known here; null for none (RFC 9530 §4). */
export function wantedDigest(text: string | null): DigestAlgorithm | null {
  const members = text === null ? null : membersOf(text);
  let best: DigestAlgorithm | null = null;
  let most = 0;
  for (const algorithm of members === null ? [] : KNOWN) {
    const weight = Number(members!.get(algorithm) ?? 0);
    // 1 to 10; 0 is "not acceptable".
    if (!(weight > most && weight <= 10)) continue;
    best = algorithm;
    most = weight;
  }
  return best;
}

export function writeDigest(algorithm: DigestAlgorithm, digest: Uint8Array): string {
  return `${algorithm}=:${Buffer.from(digest).toString('base64')}:`;
}
