// Addresses as octets, for cookies, rates and client subnets. It knows text as the transports give it.
import { ipv6From } from '../../formats/dns/records.ts';

const UNKNOWN = new Uint8Array(4);

/** The 4 or 16 octets of an address; those of one that is mapped into IPv6 are 4. */
export function addressOctets(host: string): Uint8Array {
  if (!host.includes(':')) return ipv4Octets(host);
  if (host.startsWith('::ffff:') && host.includes('.')) return ipv4Octets(host.slice(7));
  const zone = host.indexOf('%');
  return ipv6From(zone < 0 ? host : host.slice(0, zone)) ?? UNKNOWN;
}

function ipv4Octets(host: string): Uint8Array {
  const octets = new Uint8Array(4);
  let part = 0;
  let value = 0;
  for (let at = 0; at < host.length; at++) {
    const code = host.charCodeAt(at);
    if (code === 0x2e) {
      octets[part++] = value;
      value = 0;
    } else value = value * 10 + code - 0x30;
  }
  octets[part] = value;
  return octets;
}
