// Which addresses may be reached from here on a peer's behalf.
import { BlockList, isIP } from 'node:net';

export interface OutboundPolicy {
  /** Hosts, addresses and `address/bits` ranges that may be reached although they are private. */
  readonly allow: readonly string[];
}

/** Addresses that are this machine's or its neighbours': a peer must not make us reach them for it. */
const PRIVATE: readonly [string, number][] = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['224.0.0.0', 3],
  ['::', 127],
  ['fc00::', 7],
  ['fe80::', 10],
  ['ff00::', 8],
];

export class AddressPolicy {
  private readonly refused = new BlockList();
  private readonly allowed = new BlockList();
  private readonly names = new Set<string>();

  constructor(policy: OutboundPolicy) {
    for (const [address, bits] of PRIVATE) this.refused.addSubnet(address, bits, familyOf(address));
    for (const entry of policy.allow) {
      const [address, bits] = entry.split('/');
      if (isIP(address!) === 0) this.names.add(entry.toLowerCase());
      else if (bits === undefined) this.allowed.addAddress(address!, familyOf(address!));
      else this.allowed.addSubnet(address!, Number(bits), familyOf(address!));
    }
  }

  /** Whether a name was allowed, wherever it leads. */
  allowsName(name: string): boolean {
    return this.names.has(name.toLowerCase());
  }

  /** Whether an address may be reached. */
  allows(address: string): boolean {
    const family = familyOf(address);
    const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
    if (mapped !== null) return this.allows(mapped[1]!);
    return this.allowed.check(address, family) || !this.refused.check(address, family);
  }
}

function familyOf(address: string): 'ipv4' | 'ipv6' {
  return address.includes(':') ? 'ipv6' : 'ipv4';
}
