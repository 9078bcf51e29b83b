// What may be written of the resolver in the configuration, and what it means: who may ask, where is asked, what is believed.
import { z } from 'zod';
import { ByteWriter } from '../../bytes/writer.ts';
import { bindLimits } from '../../core/limits.ts';
import { nameFrom, nameText, ROOT } from '../../formats/dns/name.ts';
import { readRdata, TYPE, typeFrom, Words } from '../../formats/dns/records.ts';
import type { ForwardedZone, ResolverSettings } from './resolver.ts';
import type { BlockList } from './resolver-blocks.ts';
import type { TrustAnchor } from './resolver-judge.ts';
import { resolverLimits } from './resolver-limits.ts';
import type { NamedServer, ServerPoint } from './resolver-servers.ts';
import { ROOT_ANCHOR, ROOT_SERVERS } from './root.ts';

const network = z.string().regex(/^[\da-f.:]+(?:\/\d{1,3})?$/i, 'is an address or a network, as 192.168.0.0/16');
const address = z.string().regex(/^(?:\d{1,3}(?:\.\d{1,3}){3}|[\da-f:]*:[\da-f:.]*)$/i, 'is an address');
const zone = z.string().refine((text) => nameFrom(absolute(text)) !== null, 'is a domain name');

const forward = z.strictObject({
  /** All names at and below it; `.` for all. */
  zone: zone.default('.'),
  to: z
    .array(
      z
        .string()
        .refine(
          (text) => upstreamOf(text) !== null,
          'is like 192.0.2.1, tcp://192.0.2.1:53, tls://192.0.2.1#dns.example or https://192.0.2.1/dns-query#dns.example',
        ),
    )
    .min(1, 'names at least one server'),
});

const limit = z.record(z.string(), z.number()).superRefine((given, context) => {
  try {
    bindLimits(resolverLimits, given);
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message });
  }
});

export const resolverSchema = z.strictObject({
  /** Who may ask beside this machine. */
  clients: z.array(network).default([]),
  forward: z.array(forward).default([]),
  /** Addresses of other root servers than the Internet's. */
  roots: z.array(address).min(1, 'names at least one root server').optional(),
  /** The port of the servers of zones. */
  port: z.number().int().min(1).max(65_535).default(53),
  /** False: signatures are not checked. */
  validate: z.boolean().default(true),
  /** Trust anchors beside the root's, or in its place: `zone DS …` or `zone DNSKEY …` as in master files. */
  anchors: z
    .array(z.string().refine((text) => anchorOf(text) !== null, 'is like example. DS 20326 8 2 E06D44B8…'))
    .default([]),
  /** Zones of which no signatures are expected. */
  insecure: z.array(zone).default([]),
  /** False: every server is asked the whole name. */
  minimise: z.boolean().default(true),
  /** False: names such as 10.in-addr.arpa and local are asked for outside. */
  special: z.boolean().default(true),
  families: z
    .array(z.union([z.literal(4), z.literal(6)]))
    .min(1)
    .default([4, 6]),
  /** Files of names to block. */
  block: z.array(z.string().min(1, 'a path is not empty')).default([]),
  /** What blocked names are answered with; that they are not there when absent. */
  blockTo: z.array(address).min(1).optional(),
  /** Questions of clients are told as events on `names/queries`. */
  log: z.boolean().default(false),
  limits: limit.default({}),
});

export type ResolverPlan = z.output<typeof resolverSchema>;

function absolute(text: string): string {
  return text.endsWith('.') ? text : `${text}.`;
}

function wire(text: string): Buffer {
  return Buffer.from(nameFrom(absolute(text)) ?? ROOT);
}

const CARRIERS = { udp: 53, tcp: 53, tls: 853, https: 443, quic: 853 } as const;

/** A server that queries are forwarded to: `[carrier://]address[:port][/path][#name]`. */
export function upstreamOf(text: string): ServerPoint | null {
  const found =
    /^(?:(udp|tcp|tls|https|quic):\/\/)?(?:\[([\da-f:.]+)\]|([\d.]+)|([\da-f:]+:[\da-f:]+))(?::(\d{1,5}))?(\/[^#\s]*)?(?:#([\w.-]+))?$/i.exec(
      text,
    );
  if (found === null) return null;
  const [, scheme, bracketed, ipv4, ipv6, port, path, tlsName] = found;
  const carrier = (scheme?.toLowerCase() ?? 'udp') as keyof typeof CARRIERS;
  const host = (bracketed ?? ipv4 ?? ipv6)!;
  if (!address.safeParse(host).success || (path !== undefined && carrier !== 'https')) return null;
  const number = port === undefined ? CARRIERS[carrier] : Number(port);
  if (number < 1 || number > 65_535) return null;
  return {
    host,
    port: number,
    carrier,
    ...(tlsName === undefined ? {} : { tlsName }),
    ...(path === undefined ? {} : { path }),
  };
}

/** `zone DS …` or `zone DNSKEY …`, with TTL and class or without. */
function anchorOf(text: string): TrustAnchor | null {
  const found = /^(\S+)\s+(?:\d+\s+)?(?:IN\s+)?(DS|DNSKEY)\s+(.+)$/i.exec(text.trim());
  if (found === null) return null;
  const [, name, type, rest] = found;
  const owner = nameFrom(absolute(name!));
  const out = new ByteWriter(65_535);
  const words = Words.of(rest!);
  if (owner === null || words === null || readRdata(typeFrom(type!), words, out, ROOT) !== null) return null;
  const data = Buffer.from(out.bytes.subarray(0, out.length));
  const isKey = typeFrom(type!) === TYPE.DNSKEY;
  return { zone: Buffer.from(owner), signers: isKey ? [] : [data], keys: isKey ? [data] : [] };
}

/** The anchors of a plan: those that are given, together by zone, and the root's unless another is given or the root is another. */
function anchorsOf({ anchors, roots, validate }: ResolverPlan): TrustAnchor[] {
  if (!validate) return [];
  const byZone = new Map<string, TrustAnchor>();
  for (const text of anchors) {
    const one = anchorOf(text)!;
    const key = nameText(one.zone).toLowerCase();
    const before = byZone.get(key);
    byZone.set(key, {
      zone: one.zone,
      signers: [...(before?.signers ?? []), ...one.signers],
      keys: [...(before?.keys ?? []), ...one.keys],
    });
  }
  if (!byZone.has('.') && roots === undefined) byZone.set('.', ROOT_ANCHOR);
  return [...byZone.values()];
}

export function resolverSettings(
  plan: ResolverPlan,
  blocks: BlockList,
  allows: (host: string) => boolean,
): ResolverSettings {
  const roots: readonly NamedServer[] =
    plan.roots === undefined ? ROOT_SERVERS : [{ name: wire('root-servers.invalid'), addresses: plan.roots }];
  const own = new Set(plan.roots ?? []);
  const forward: ForwardedZone[] = plan.forward.map(({ zone: at, to }) => ({
    zone: wire(at),
    to: to.map((text) => upstreamOf(text)!),
  }));
  return {
    ...{ bound: bindLimits(resolverLimits, plan.limits), roots, forward, anchors: anchorsOf(plan), blocks },
    ...{ insecure: plan.insecure.map(wire), minimises: plan.minimise, families: plan.families, port: plan.port },
    ...{ special: plan.special, mayAsk: (host) => own.has(host) || allows(host) },
    blockedTo: plan.blockTo?.map((text) => Buffer.from(octetsOf(text))) ?? null,
  };
}

function octetsOf(text: string): Uint8Array {
  const out = new ByteWriter(16);
  readRdata(text.includes(':') ? TYPE.AAAA : TYPE.A, Words.of(text)!, out, ROOT);
  return Uint8Array.from(out.bytes.subarray(0, out.length));
}
