// By which names a server is called: the list against which Host is checked, so that a page cannot reach the server by a
// name of its own that it points at this machine (DNS rebinding). Names matter, ports do not. It resolves nothing.
import { isLoopback } from '../../core/peer.ts';

const NAME = /^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;
const IPV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;

/** How many authorities that were let in are remembered as they were written. What comes later is worked out each time. */
const SEEN_MAX = 64;

/**
 * A host as it is compared: names in lower case without the dot of the root, IPv4 as four numbers, IPv6 in the shortest
 * form without brackets. Null for everything else, among it addresses such as `0x7f.1` and `2130706433`, which browsers
 * write as four numbers before they send them.
 */
export function hostOf(text: string): string | null {
  const lower = text.toLowerCase();
  const inner = lower.startsWith('[') && lower.endsWith(']') ? lower.slice(1, -1) : lower;
  if (inner.includes(':')) return ipv6Of(inner);
  if (inner !== lower) return null;
  const name = lower.endsWith('.') ? lower.slice(0, -1) : lower;
  if (IPV4.test(name)) return name === lower ? name : null;
  // The last label of a name is never a number; what looks so is an address (URL Standard §3.5).
  const last = name.slice(name.lastIndexOf('.') + 1);
  if (/^(?:\d+|0x[\da-f]*)$/.test(last) || name.length > 253 || !NAME.test(name)) return null;
  return name;
}

function ipv6Of(text: string): string | null {
  if (!/^[\da-f:.]{2,45}$/.test(text) || !URL.canParse(`http://[${text}]/`)) return null;
  const short = new URL(`http://[${text}]/`).hostname.slice(1, -1);
  const mapped = /^::ffff:([\da-f]{1,4}):([\da-f]{1,4})$/.exec(short);
  if (mapped === null) return short;
  // An IPv4 address within IPv6 is the same host as the plain one.
  const [high, low] = [Number.parseInt(mapped[1]!, 16), Number.parseInt(mapped[2]!, 16)];
  return `${high >> 8}.${high & 255}.${low >> 8}.${low & 255}`;
}

/** The host of `host[:port]`; null when it is none. */
export function hostOfAuthority(authority: string): string | null {
  const parts = /^(\[[^\]]*\]|[^:]*)(?::\d{0,5})?$/.exec(authority);
  return parts === null ? null : hostOf(parts[1]!);
}

/** Why an entry of `http.hosts` cannot be used, or null. */
export function hostEntryProblem(entry: string): string | null {
  const rest = entry.startsWith('*.') ? entry.slice(2) : entry;
  if (hostOf(rest) !== null && !(rest !== entry && IPV4.test(rest))) return null;
  return `has ${entry}, which is no host; write a name, \`*.\` and a name, or an address, without scheme and port`;
}

/** The hosts that are this server. Those of the loopback always are, and the address that a client reached it by. */
export class HostList {
  private readonly exact = new Set<string>();
  /** With the dot in front. */
  private readonly suffixes: string[] = ['.localhost'];
  private readonly seen = new Set<string>();

  constructor(entries: readonly string[]) {
    this.exact.add('localhost');
    for (const entry of entries) {
      const problem = hostEntryProblem(entry);
      if (problem !== null) throw new RangeError(problem);
      if (entry.startsWith('*.')) this.suffixes.push(`.${hostOf(entry.slice(2))!}`);
      else this.exact.add(hostOf(entry)!);
    }
    // These mean "all addresses" to who listens, and this machine to some browsers: never a host of a page that is ours.
    this.exact.delete('0.0.0.0');
    this.exact.delete('::');
  }

  /** Whether `authority` is this server, for a client that reached it at the address `local`. */
  has(authority: string, local: string | null): boolean {
    if (this.seen.has(authority)) return true;
    const host = hostOfAuthority(authority);
    if (host === null) return false;
    if (this.exact.has(host) || isLoopback(host) || this.suffixes.some((suffix) => host.endsWith(suffix))) {
      if (this.seen.size < SEEN_MAX) this.seen.add(authority);
      return true;
    }
    // An address in a URL is not looked up, so nobody can point it elsewhere.
    return local !== null && host === hostOf(local);
  }
}
