// Where mail for a domain is brought, by what DNS says of it (RFC 5321 §5.1, RFC 7505): hosts by preference, in an order of chance
// among equals; never back to this server. It asks nobody.
import type { Entropy } from '../../core/time.ts';

export interface MxAnswer {
  /** `nothing`: the name has no such record; `failed`: it is not known now. */
  readonly kind: 'data' | 'nothing' | 'missing' | 'failed';
  /** `10 mail.example.org` */
  readonly values: readonly string[];
}

export type Plan =
  /** Names to look up and try, one after the other. */
  | { readonly kind: 'hosts'; readonly hosts: readonly string[] }
  /** An address as it stands. */
  | { readonly kind: 'address'; readonly address: string }
  | { readonly kind: 'refused'; readonly isPermanent: boolean; readonly text: string };

/** Of one domain, so many are tried. */
const HOSTS_MAX = 10;

/** `[192.0.2.1]`, `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3); null for a name. */
export function literalOf(domain: string): string | null {
  return /^\[(?:IPv6:)?([\d.]+|[\da-f:.]*:[\da-f:.]*)\]$/i.exec(domain)?.[1] ?? null;
}

/** @param isOwn whether a host is this server by its name */
export function planOf(domain: string, answer: MxAnswer, isOwn: (host: string) => boolean, entropy: Entropy): Plan {
  if (answer.kind === 'failed') return refused(false, `4.4.3 DNS does not say now where mail for ${domain} goes.`);
  if (answer.kind === 'missing') return refused(true, `5.1.2 There is no domain ${domain}.`);
  // A domain without MX is its own (RFC 5321 §5.1).
  if (answer.kind === 'nothing' || answer.values.length === 0)
    return isOwn(domain) ? loops(domain) : { kind: 'hosts', hosts: [domain] };
  const found = answer.values.flatMap((value) => {
    const parts = /^(\d{1,5}) (\S*)$/.exec(value);
    return parts === null ? [] : [{ preference: Number(parts[1]), host: parts[2]!.replace(/\.$/, '').toLowerCase() }];
  });
  // RFC 7505 §3.
  if (found.length === 1 && found[0]!.host === '') return refused(true, `5.1.10 ${domain} takes no mail.`);
  const hosts = found.filter(({ host }) => host !== '');
  const own = hosts.filter(({ host }) => isOwn(host)).map(({ preference }) => preference);
  // Who is as near as this server, or farther, would only bring it back (RFC 5321 §5.1).
  const least = Math.min(Number.POSITIVE_INFINITY, ...own);
  const nearer = hosts.filter(({ preference }) => preference < least);
  if (nearer.length === 0)
    return own.length > 0 ? loops(domain) : refused(true, `5.4.4 ${domain} names no host for mail.`);
  const ordered = shuffled(nearer, entropy).sort((one, other) => one.preference - other.preference);
  return { kind: 'hosts', hosts: [...new Set(ordered.map(({ host }) => host))].slice(0, HOSTS_MAX) };
}

function refused(isPermanent: boolean, text: string): Plan {
  return { kind: 'refused', isPermanent, text };
}

function loops(domain: string): Plan {
  return refused(true, `5.4.6 Mail for ${domain} would come back to this server, which does not take it.`);
}

/** Equals share the work (RFC 5321 §5.1). */
export function shuffled<Item>(items: readonly Item[], entropy: Entropy): Item[] {
  const mixed = [...items];
  const bytes = Buffer.alloc(mixed.length * 2);
  entropy.fill(bytes);
  for (let at = mixed.length - 1; at > 0; at--) {
    const other = bytes.readUInt16BE(at * 2) % (at + 1);
    [mixed[at], mixed[other]] = [mixed[other]!, mixed[at]!];
  }
  return mixed;
}
