// Names and addresses as certificates have them: whether one is another's, and whether an authority may speak for it
// (RFC 9525 §6, RFC 5280 §4.2.1.10).

/** The 4 or 16 octets of an IP address; null when the text is none. */
export function addressOctets(text: string): Buffer | null {
  if (/^\d{1,3}(?:\.\d{1,3}){3}$/.test(text)) {
    const octets = text.split('.').map(Number);
    return octets.every((octet) => octet <= 255) ? Buffer.from(octets) : null;
  }
  if (!text.includes(':')) return null;
  const plain = text.replace(/^\[|\]$/g, '').replace(/%.*$/, '');
  const tail = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(plain);
  const four = tail === null ? null : addressOctets(tail[2]!);
  if (tail !== null && four === null) return null;
  const whole = four === null ? plain : `${tail![1]}${four.toString('hex', 0, 2)}:${four.toString('hex', 2, 4)}`;
  const halves = whole.split('::');
  if (halves.length > 2) return null;
  const [before = [], after = []] = halves.map((half) => (half === '' ? [] : half.split(':')));
  const missing = 8 - before.length - after.length;
  if (halves.length === 1 ? missing !== 0 : missing < 1) return null;
  const groups = [...before, ...Array.from({ length: missing }, () => '0'), ...after];
  if (!groups.every((group) => /^[0-9a-f]{1,4}$/i.test(group))) return null;
  return Buffer.from(groups.map((group) => group.padStart(4, '0')).join(''), 'hex');
}

/** Whether a certificate's DNS name is this one; `*` stands for one whole label, the first (RFC 9525 §6.3). */
export function matchesName(pattern: string, name: string): boolean {
  const own = trimmed(pattern);
  const asked = trimmed(name);
  if (own === '' || asked === '') return false;
  if (!own.startsWith('*.')) return own === asked;
  const rest = own.slice(1);
  const first = asked.length - rest.length;
  // Not of a whole top-level domain.
  if (!rest.slice(1).includes('.') || rest.includes('*')) return false;
  return first > 0 && asked.endsWith(rest) && !asked.slice(0, first).includes('.');
}

/** Whether a name is within a constraint: it, and all below it; one that begins with a dot is for those below alone. */
export function withinName(constraint: string, name: string): boolean {
  const base = trimmed(constraint);
  const own = trimmed(name);
  if (base === '') return true;
  return base.startsWith('.') ? own.endsWith(base) : own === base || own.endsWith(`.${base}`);
}

/** Whether a name, or one that it stands for with `*`, is within a constraint that excludes. */
export function touchesName(constraint: string, name: string): boolean {
  return withinName(constraint, name) || (name.startsWith('*.') && withinName(name.slice(1), trimmed(constraint)));
}

/** Whether an address is within a range: its octets, and as many of a mask. */
export function withinRange(range: Uint8Array, octets: Uint8Array): boolean {
  if (range.length !== 2 * octets.length) return false;
  return octets.every((octet, at) => ((octet ^ range[at]!) & range[octets.length + at]!) === 0);
}

function trimmed(name: string): string {
  const lower = name.toLowerCase();
  return lower.endsWith('.') ? lower.slice(0, -1) : lower;
}
