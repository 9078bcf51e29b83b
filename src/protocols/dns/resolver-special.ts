// Names that are never asked for outside, since nobody there can know them (RFC 6761, RFC 6303, RFC 7686, RFC 8375).

import { nameFrom } from '../../formats/dns/name.ts';
import { TYPE } from '../../formats/dns/records.ts';
import { keyOf, parentKey } from '../../formats/dnssec/names.ts';

const keyOfText = (text: string) => keyOf(nameFrom(`${text}.`)!);

export const LOCALHOST: string = keyOfText('localhost');

const NOWHERE: ReadonlySet<string> = new Set(
  [
    ...['invalid', 'onion', 'local', 'home.arpa'],
    ...['10.in-addr.arpa', '168.192.in-addr.arpa', '254.169.in-addr.arpa', '0.in-addr.arpa', '127.in-addr.arpa'],
    ...Array.from({ length: 16 }, (_, index) => `${16 + index}.172.in-addr.arpa`),
    ...['2.0.192.in-addr.arpa', '100.51.198.in-addr.arpa', '113.0.203.in-addr.arpa', '255.255.255.255.in-addr.arpa'],
    `${'0.'.repeat(32)}ip6.arpa`,
    `1.${'0.'.repeat(31)}ip6.arpa`,
    ...[
      'd.f.ip6.arpa',
      '8.e.f.ip6.arpa',
      '9.e.f.ip6.arpa',
      'a.e.f.ip6.arpa',
      'b.e.f.ip6.arpa',
      '8.b.d.0.1.0.0.2.ip6.arpa',
    ],
  ].map(keyOfText),
);

/** The name, at or above this one, that is nobody's; null when others may know. */
export function nobodys(key: string): string | null {
  for (let at = key; at !== ''; at = parentKey(at)) if (NOWHERE.has(at)) return at;
  return null;
}

/** The addresses of `localhost` and what is below it (RFC 6761 §6.3); null for another name. */
export function localhost(key: string, type: number): Buffer[] | null {
  if (!key.startsWith(LOCALHOST)) return null;
  if (type === TYPE.A) return [Buffer.from([127, 0, 0, 1])];
  if (type === TYPE.AAAA) return [Buffer.concat([Buffer.alloc(15), Buffer.from([1])])];
  return [];
}

/** What a question for everything is answered with (RFC 8482 §4.2). */
export const HINFO_FOR_ANY: Buffer = Buffer.concat([
  Buffer.from([7]),
  Buffer.from('RFC8482', 'latin1'),
  Buffer.from([0]),
]);

/** Types that cannot be asked of a resolver: transfers and such, what only travels, and signatures, which go with their sets. */
export function isUnaskable(type: number): boolean {
  return type === TYPE.OPT || type === TYPE.RRSIG || type === 24 || (type >= 249 && type <= 254);
}
