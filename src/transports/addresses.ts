// Which addresses may be reached from here on a peer's behalf, and ranges of addresses for whoever has to know one of them.
import { BlockList, isIP, SocketAddress } from 'node:net';

export interface OutboundPolicy {
  /** Names, addresses, `address/bits` ranges and paths of Unix sockets that may be reached although they are private. */
  readonly allow: readonly string[];
}

/**
 * What is not the public Internet: the special-purpose registries of IANA (RFC 6890), multicast and broadcast. A peer must
 * not make us reach this machine or its neighbours for it; addresses that carry an IPv4 address inside count as theirs.
 */
const PRIVATE: readonly [string, number][] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 3],
  ['::', 96],
  ['64:ff9b::', 96],
  ['64:ff9b:1::', 48],
  ['100::', 64],
  ['2001::', 23],
  ['2001:db8::', 32],
  ['2002::', 16],
  ['fc00::', 7],
  ['fe80::', 9],
  ['ff00::', 8],
];

/** What is wrong with an entry of the list; null when nothing is. */
export function allowEntryProblem(entry: string): string | null {
  const [address, bits, more] = entry.split('/');
  if (entry.startsWith('/') || (bits === undefined && isIP(entry) === 0)) return null;
  const most = isIP(address!) === 6 ? 128 : 32;
  if (isIP(address!) === 0 || more !== undefined || !/^\d{1,3}$/.test(bits ?? '0') || Number(bits ?? 0) > most)
    return `${entry} is neither an address, a range as 10.0.0.0/8, a name, nor the path of a Unix socket`;
  return null;
}

export class AddressPolicy {
  private readonly refused = new BlockList();
  private readonly allowed = new BlockList();
  private readonly names = new Set<string>();

  constructor(policy: OutboundPolicy) {
    for (const [address, bits] of PRIVATE) this.refused.addSubnet(address, bits, familyOf(address));
    for (const entry of policy.allow) {
      const [address, bits] = entry.split('/');
      if (entry.startsWith('/')) this.names.add(entry);
      else if (isIP(address!) === 0) this.names.add(entry.toLowerCase());
      else if (bits === undefined) this.allowed.addAddress(address!, familyOf(address!));
      else this.allowed.addSubnet(address!, Number(bits), familyOf(address!));
    }
  }

  /** Whether a name, or the path of a Unix socket, was allowed, wherever it leads. */
  allowsName(name: string): boolean {
    return this.names.has(name.startsWith('/') ? name : name.toLowerCase());
  }

  /** Whether an address may be reached. What is no address (a name, one with a zone) may not. */
  allows(address: string): boolean {
    if (isIP(address) === 0 || address.includes('%')) return false;
    const family = familyOf(address);
    return this.allowed.check(address, family) || !this.refused.check(address, family);
  }
}

/** What is wrong with an address, or a range as `10.0.0.0/8`; null when nothing is. */
export function rangeProblem(entry: string): string | null {
  const [address = '', bits, more] = entry.split('/');
  const version = address.includes('%') ? 0 : isIP(address);
  const most = version === 6 ? 128 : 32;
  if (version === 0 || more !== undefined || !/^\d{1,3}$/.test(bits ?? '0') || Number(bits ?? 0) > most)
    return `${entry} is neither an address nor a range as 10.0.0.0/8`;
  return null;
}

/** Addresses and ranges, of which `rangeProblem` had nothing to say. */
export class AddressRanges {
  private readonly list = new BlockList();

  constructor(entries: readonly string[]) {
    for (const entry of entries) {
      const [address = '', bits] = entry.split('/');
      if (bits === undefined) this.list.addAddress(address, familyOf(address));
      else this.list.addSubnet(address, Number(bits), familyOf(address));
    }
  }

  /** An IPv4 address that is written in IPv6 is in a range of IPv4. */
  has(address: string): boolean {
    return isIP(address) > 0 && !address.includes('%') && this.list.check(address, familyOf(address));
  }
}

/** An address as the system writes it (RFC 5952); IPv4 within IPv6 is IPv4. Null when it is none of that version. */
export function canonicalAddress(text: string, version: 4 | 6): string | null {
  if (isIP(text) !== version || text.includes('%')) return null;
  if (version === 4) return text;
  const { address } = new SocketAddress({ address: text, family: 'ipv6' });
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/.exec(address);
  return mapped === null ? address : mapped[1]!;
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return address.includes(':') ? 'ipv6' : 'ipv4';
}
