// What may be written of DNS in the configuration: zones, keys, and what the server says of itself.
import { z } from 'zod';
import { resolverSchema } from './settings-resolver.ts';
import { type TsigKey, tsigKey } from './tsig.ts';

const algorithm = z.enum(
  ['hmac-sha1', 'hmac-sha224', 'hmac-sha256', 'hmac-sha384', 'hmac-sha512'],
  'is hmac-sha256, hmac-sha512, hmac-sha384, hmac-sha224 or hmac-sha1',
);

const key = z.strictObject({
  /** By which both sides know it: a domain name. */
  name: z.string().regex(/^[\w-]{1,63}(?:\.[\w-]{1,63})*\.?$/, 'is a domain name'),
  algorithm: algorithm.default('hmac-sha256'),
  /** In base64. */
  secret: z.string().regex(/^(?:[a-z\d+/]{4})+(?:[a-z\d+/]{2}==|[a-z\d+/]{3}=)?$/i, 'is base64'),
  /** The account that it acts for: rules say what that may do. */
  account: z.string().min(1).optional(),
});

const network = z.string().regex(/^[\da-f.:]+(?:\/\d{1,3})?$/i, 'is an address or a network, as 192.168.0.0/16');

/** Networks, and `key:<name>`. */
const grant = z.union([z.string().regex(/^key:[\w.-]+$/, 'is key:<name>'), network]);

/** `192.0.2.1`, `192.0.2.1:5353`, `[2001:db8::1]:53`, and behind a blank the key, as `192.0.2.1 key:transfer`. */
const server = z
  .string()
  .regex(
    /^(?:[\d.]+|\[[\da-f:.]+\]|[\da-f:]+)(?::\d{1,5})?(?: key:[\w.-]+)?$/i,
    'is an address, as 192.0.2.1:53 key:name',
  );

const signing = z.strictObject({
  algorithm: z
    .enum(['ecdsap256sha256', 'ecdsap384sha384', 'ed25519'], 'is ecdsap256sha256, ecdsap384sha384 or ed25519')
    .default('ecdsap256sha256'),
  /** Names are denied by their hashes. */
  nsec3: z.boolean().default(false),
});

/** True for how it is done by default. */
const dnssec = z
  .union([z.boolean(), signing])
  .default(false)
  .transform((given) => (given === true ? signing.parse({}) : given));

const zone = z.strictObject({
  name: z.string().min(1, 'is a domain name'),
  /** Its master file. */
  file: z.string().min(1, 'a path is not empty').optional(),
  /** Where it is transferred from: this server is a secondary. */
  primaries: z.array(server).min(1, 'names at least one server').optional(),
  /** Who is told when it changes. */
  notify: z.array(server).default([]),
  /** Who may transfer it, and who may change it, beside those whom rules let `list` and `write` it. */
  transfer: z.array(grant).default([]),
  update: z.array(grant).default([]),
  /** It is signed here. */
  dnssec,
  /** Only these clients see it: several zones of one name are views, the first that fits counts. */
  clients: z.array(network).min(1, 'names at least one network').optional(),
});

export const dnsSchema = z.strictObject({
  /** The zone of the server itself, which it keeps true by itself; false for none. */
  zone: z.union([z.string().min(1), z.literal(false)]).default('portico.test'),
  /** Whether the own zone is signed. */
  dnssec,
  zones: z.array(zone).default([]),
  keys: z
    .array(key)
    .refine((all) => new Set(all.map(({ name }) => name)).size === all.length, 'has two keys of one name')
    .default([]),
  /** What NSID and `id.server` tell. */
  nsid: z.string().min(1).max(128).optional(),
  /** What `version.bind` tells in place of this software and its version. */
  version: z.string().max(255).optional(),
  /** Names of others are resolved for this machine, and for whom it names; true for all as it is by default. */
  resolver: z
    .union([z.boolean(), resolverSchema])
    .default(false)
    .transform((given) => (given === true ? resolverSchema.parse({}) : given)),
});

export type DnsSettings = z.output<typeof dnsSchema>;

export const DNS_DEFAULTS: DnsSettings = dnsSchema.parse({});

export function keysOf({ keys }: DnsSettings): TsigKey[] {
  return keys.flatMap(({ name, algorithm, secret, account }) => {
    const made = tsigKey(name, algorithm, Buffer.from(secret, 'base64'), account ?? null);
    return made === null ? [] : [made];
  });
}
