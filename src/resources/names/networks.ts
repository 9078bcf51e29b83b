// Networks that zones, keys and rules of the names are limited to: `192.168.0.0/16`, `2001:db8::/32`, `::1`. It knows
// addresses as text only.
import { ipv6From } from '../../formats/dns/records.ts';

export interface Network {
  readonly octets: Uint8Array;
  readonly prefix: number;
}

/** The octets of an address: 4 or 16; one mapped into IPv6 as what it is. */
export function addressOctets(text: string): Uint8Array | null {
  const plain = text.startsWith('::ffff:') && text.includes('.') ? text.slice(7) : text;
  if (!plain.includes(':')) {
    const parts = plain.split('.');
    if (parts.length !== 4 || !parts.every((part) => /^\d{1,3}$/.test(part) && Number(part) < 256)) return null;
    return Uint8Array.from(parts.map(Number));
  }
  const zone = plain.indexOf('%');
  return ipv6From(zone < 0 ? plain : plain.slice(0, zone));
}

/** The network that a text says; null for none. */
export function networkFrom(text: string): Network | null {
  const slash = text.indexOf('/');
  const octets = addressOctets(slash < 0 ? text : text.slice(0, slash));
  if (octets === null) return null;
  const prefix = slash < 0 ? octets.length * 8 : Number(text.slice(slash + 1));
  if (!Number.isInteger(prefix) || prefix < 0 || prefix > octets.length * 8 || text.endsWith('/')) return null;
  return { octets, prefix };
}

export function isWithin(address: Uint8Array, { octets, prefix }: Network): boolean {
  if (address.length !== octets.length) return false;
  const whole = prefix >>> 3;
  for (let at = 0; at < whole; at++) if (address[at] !== octets[at]) return false;
  const rest = prefix & 7;
  return rest === 0 || (address[whole]! ^ octets[whole]!) >>> (8 - rest) === 0;
}

export function isAmong(host: string, networks: readonly Network[]): boolean {
  if (networks.length === 0) return false;
  const address = addressOctets(host);
  return address !== null && networks.some((network) => isWithin(address, network));
}
