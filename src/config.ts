// What can be configured, in one schema for file, environment and flags. Its errors name the key and the mend.
import { existsSync, readFileSync } from 'node:fs';
import { dirname, extname, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { accountsSchema } from './config/accounts.ts';
import { filesSchema } from './config/files.ts';
import { mailSchema } from './config/mail.ts';
import { upstreamsSchema } from './config/upstreams.ts';
import type { Listens } from './core/protocol.ts';
import { dnsSchema } from './protocols/dns/settings.ts';
import { ftpSchema } from './protocols/ftp/settings.ts';
import { graphqlSchema } from './protocols/graphql/settings.ts';
import type { FetchHandler } from './protocols/http/fetch.ts';
import { originEntryProblem } from './protocols/http/guard.ts';
import { hostEntryProblem } from './protocols/http/hosts.ts';
import { remoteOf, ruleProblem } from './protocols/mqtt/bridge-plan.ts';
import { wireListens } from './protocols/wire/index.ts';
import { PROTOCOLS } from './protocols.ts';
import { readRule } from './resources/accounts/rules/language.ts';
import { SERVICE_LIMITS } from './resources/services/limits.ts';
import { isServiceEntry, type ServiceEntry } from './resources/services/loading.ts';
import { isTopicFilter } from './resources/topics/names.ts';
import { nameOf, rangeOf } from './security/names.ts';
import { proxyEntryProblem } from './server/proxy-header.ts';
import { siteSchema } from './sites/site-config.ts';
import { allowEntryProblem } from './transports/addresses.ts';

const port = z
  .int('a port is a number')
  .min(0, 'a port is at least 0, which takes a free one')
  .max(65_535, 'a port is at most 65535');

/** Proxies that begin each connection with a header of the PROXY protocol: addresses, ranges, `unix`. */
const proxyProtocol = z
  .array(
    z.string().superRefine((entry, context) => {
      const problem = proxyEntryProblem(entry);
      if (problem !== null) context.addIssue(problem);
    }),
  )
  .min(1, 'names at least one proxy')
  .optional();

const listener = z.strictObject({
  /** TCP port; 0 for a free one. */
  port: port.optional(),
  /** For protocols that have datagrams; the TCP port when absent. */
  udpPort: port.optional(),
  /** Addresses to listen on; those of the whole server when absent. */
  hosts: z.array(z.string().min(1, 'a host is not empty')).min(1, 'name at least one host').optional(),
  /** A Unix socket to listen on as well. */
  path: z.string().min(1, 'a path is not empty').optional(),
  proxyProtocol,
  /** False: does not listen. */
  enabled: z.boolean().optional(),
  /** Its port with TLS, where it has one. */
  tls: z
    .strictObject({
      /** False: does not listen with TLS. */
      enabled: z.boolean().optional(),
      /** 0 for a free one. Protocols with one port share it: clients say by ALPN which they mean. */
      port: port.optional(),
      /** The oldest version that is spoken. */
      least: z.enum(['TLSv1.2', 'TLSv1.3'], 'is TLSv1.2 or TLSv1.3').optional(),
      /** Whether clients are asked for a certificate, and refused without. */
      clientCertificate: z.enum(['none', 'optional', 'required'], 'is none, optional or required').optional(),
    })
    .optional(),
  /** Rows of the protocol's limits, by name. */
  limits: z.record(z.string(), z.number()).optional(),
});

const allowEntry = z
  .string()
  .min(1, 'an entry is not empty')
  .superRefine((entry, context) => {
    const problem = allowEntryProblem(entry);
    if (problem !== null) context.addIssue(problem);
  });

const policy = z.strictObject({
  filter: z
    .string()
    .refine(isTopicFilter, 'is not a filter of topics: `+` and `#` stand for whole levels, `#` only for the last'),
  history: z.enum(['durable', 'none'], 'is `durable` or `none`'),
  /** Messages a topic. */
  last: z.int().min(1).optional(),
  ageMs: z.number().min(1_000, 'is at least 1000 ms').optional(),
  /** Bytes of all topics of the filter together. */
  bytes: z.int().min(1_024, 'is at least 1024 bytes').optional(),
});

const protocolName = z.enum(
  PROTOCOLS.map(({ name }) => name) as [string, ...string[]],
  `is one of ${PROTOCOLS.map(({ name }) => name).join(', ')}`,
);

const wireService = z
  .discriminatedUnion('kind', [
    z.strictObject({ kind: z.enum(['echo', 'discard']), port }),
    z.strictObject({ kind: z.literal('record'), port, name: z.string() }),
    z.strictObject({ kind: z.literal('proxy'), port, target: z.string() }),
  ])
  .superRefine((service, context) => {
    try {
      wireListens(service);
    } catch (error) {
      context.addIssue((error as Error).message);
    }
  });

const bridgeRule = z
  .strictObject({
    /** Of topics where they come from. */
    filter: z.string(),
    /** Taken off the front of a name, before `prefix` is put there. */
    strip: z.string().optional(),
    prefix: z.string().optional(),
    /** The most that is asked for. */
    qos: z.union([z.literal(0), z.literal(1), z.literal(2)], 'is 0, 1 or 2').default(1),
  })
  .superRefine((rule, context) => {
    const problem = ruleProblem(rule);
    if (problem !== null) context.addIssue(problem);
  });

const bridge = z.strictObject({
  name: z.string().regex(/^[\w.-]{1,64}$/, 'is 1 to 64 letters, digits, `.`, `_` or `-`'),
  /** `mqtt://user:password@host:1883` or `mqtts://…`. */
  url: z.string().superRefine((url, context) => {
    try {
      remoteOf(url);
    } catch (error) {
      context.addIssue((error as Error).message);
    }
  }),
  /** By which the other broker knows this one. */
  clientId: z.string().min(1, 'is not empty').optional(),
  version: z.union([z.literal(4), z.literal(5)], 'is 4 (MQTT 3.1.1) or 5').default(5),
  in: z.array(bridgeRule).default([]),
  out: z.array(bridgeRule).default([]),
  /** With `mqtts:`, a file in PEM of who may have issued the broker's certificate, in place of those that all know. */
  authorities: z.string().min(1, 'a path is not empty').optional(),
});

const hostEntry = z.string().superRefine((entry, context) => {
  const problem = hostEntryProblem(entry);
  if (problem !== null) context.addIssue(problem);
});

const originEntry = z.string().superRefine((entry, context) => {
  const problem = originEntryProblem(entry);
  if (problem !== null) context.addIssue(problem);
});

const certificateName = z.string().refine((name) => nameOf(name) !== null, 'is a DNS name or an address');

export const certificates = z.strictObject({
  /** Names of this server beside localhost, portico.test and the machine's: its authority may speak for them. */
  names: z.array(certificateName).max(50, 'has at most 50 names').default([]),
  /** Ranges of addresses, as 192.168.0.0/16, that a new authority may speak for beside the loopback. */
  ranges: z
    .array(z.string().refine((range) => rangeOf(range) !== null, 'is a range of addresses, as 192.168.0.0/16'))
    .default([]),
  /** Certificates of your own, in PEM; they are read again when they change. */
  files: z
    .array(
      z.strictObject({
        /** Its own certificate first, then its issuers'. */
        certificate: z.string().min(1, 'a path is not empty'),
        key: z.string().min(1, 'a path is not empty'),
        /** For what it is shown; the names that stand in it when absent. */
        names: z.array(certificateName).min(1, 'name at least one').optional(),
      }),
    )
    .default([]),
  /** Certificates that another authority gives by ACME, and that are renewed by themselves. */
  acme: z
    .array(
      z.strictObject({
        names: z.array(certificateName).min(1, 'name at least one').max(100, 'has at most 100 names'),
        directory: z.url('is the URL of a directory').default('https://acme-v02.api.letsencrypt.org/directory'),
        /** `mailto:ann@example.com`. */
        contact: z.array(z.string().min(1)).default([]),
        /** That you agree to the terms of the authority. */
        termsAgreed: z.literal(true, 'is true: the authority has terms, and they are yours to agree to'),
        proof: z
          .enum(['http-01', 'tls-alpn-01', 'dns-01'], 'is `http-01`, `tls-alpn-01` or `dns-01`')
          .default('http-01'),
        /** For `dns-01`, where the zone is not this server's: which is changed by RFC 2136, and where. */
        update: z
          .strictObject({
            zone: z.string().min(1, 'is a domain name'),
            server: z.string().min(1, 'is an address'),
            port: port.default(53),
            /** Of `dns.keys`. */
            key: z.string().min(1).optional(),
            /** Until all servers of the zone have it. */
            waitSeconds: z.number().min(0).max(3_600).default(10),
          })
          .optional(),
        /** What the authority gave to bind the account (RFC 8555 §7.3.4). */
        external: z.strictObject({ kid: z.string().min(1), key: z.string().min(1) }).optional(),
        /** A file in PEM of whoever issued the ACME server's own certificate. */
        authorities: z.string().min(1).optional(),
      }),
    )
    .default([]),
  /** Where the ACME server looks for proofs: 80 and 443 but where neighbours cannot listen there. */
  proofPorts: z.strictObject({ http: port.default(80), tls: port.default(443) }).default({ http: 80, tls: 443 }),
  /** Of clients that sign in with a certificate. */
  clients: z
    .strictObject({
      /** Files in PEM of authorities beside this server's own. */
      authorities: z.array(z.string().min(1, 'a path is not empty')).default([]),
      /** Files, PEM or DER, of what those revoked. */
      revoked: z.array(z.string().min(1, 'a path is not empty')).default([]),
    })
    .default({ authorities: [], revoked: [] }),
});

function callLimit(row: keyof typeof SERVICE_LIMITS) {
  const { least, most } = SERVICE_LIMITS[row];
  return z.int().min(least, `is at least ${least}`).max(most, `is at most ${most}`).optional();
}

const sharedPort = z.strictObject({
  /** TCP port; 0 for a free one. */
  port,
  /** Addresses to listen on; those of the whole server when absent. */
  hosts: z.array(z.string().min(1, 'a host is not empty')).min(1, 'name at least one host').optional(),
  /** Those that are recognised by their first bytes. */
  protocols: z.array(protocolName).min(1, 'name at least one protocol'),
  /** Who gets a client that is silent for 300 ms or that nobody recognises; without it, such a client is reset. */
  fallback: protocolName.optional(),
  proxyProtocol,
  /** TLS as well, for who begins with it: the same protocols within, by ALPN or first bytes. */
  tls: z.boolean().default(false),
});

export const schema = z.strictObject({
  /** Where the data is kept. */
  data: z.string().min(1, 'is a path').default('./portico-data'),
  /** `sqlite` lasts; `memory` is gone with the process. */
  storage: z.enum(['sqlite', 'memory'], 'is `sqlite` or `memory`').default('sqlite'),
  /** The Unix socket of `portico watch`, `why` and `doctor`; `control.sock` in the data folder when absent. False: none. */
  control: z.union([z.string().min(1, 'a path is not empty'), z.literal(false)], 'is a path or false').optional(),
  /** System calls that Node does not offer, where they are known to work; without them all goes on, some of it slower. */
  native: z.enum(['auto', 'off'], 'is `auto` or `off`').default('auto'),
  /** Addresses to listen on. */
  hosts: z.array(z.string().min(1)).min(1, 'name at least one host').default(['127.0.0.1', '::1']),
  /** `default`: those above 1024; `standard`: the well-known ones; `ephemeral`: any free ones. */
  ports: z.enum(['default', 'standard', 'ephemeral'], 'is `default`, `standard` or `ephemeral`').default('default'),
  /** By the protocol's name. */
  protocols: z.partialRecord(protocolName, listener).default({}),
  /** Whose certificates this server shows, and what its own authority may speak for. */
  certificates: certificates.prefault({}),
  /** A file for the secrets of all connections with TLS, so that captures can be read. Not for use in earnest. */
  tlsKeyLog: z.string().min(1, 'a path is not empty').optional(),
  /** Ports on which the first bytes of a client choose the protocol. */
  shared: z.array(sharedPort).default([]),
  /** Listeners for tests: echo, discard, record and proxy. There are none but those that are named here. */
  wire: z.array(wireService).default([]),
  /** Bridges to other brokers. There are none but those that are named here. */
  mqtt: z
    .strictObject({
      bridges: z
        .array(bridge)
        .refine((all) => new Set(all.map(({ name }) => name)).size === all.length, 'has two bridges of one name')
        .default([]),
    })
    .default({ bridges: [] }),
  /** Who may come by FTP, and where its data connections are made. */
  ftp: ftpSchema.prefault({}),
  /** Zones, and the keys of those who may change and transfer them. */
  dns: dnsSchema.prefault({}),
  /** What GraphQL tells of its schema, and which documents it answers. */
  graphql: graphqlSchema.prefault({}),
  http: z
    .strictObject({
      /** Names and addresses of this server beside those of the loopback; `*.name` for all below a name. */
      hosts: z.array(hostEntry).default([]),
      /** Origins of pages that may use this server beside its own. */
      origins: z.array(originEntry).default([]),
      /** Routes of your own, by path: exactly that, or all below one that ends with `/`. */
      routes: z
        .record(
          z.string().startsWith('/', 'is a path that begins with `/`'),
          z.custom<FetchHandler>((value) => typeof value === 'function', 'is a function from Request to Response'),
        )
        .default({}),
      /** Folders, upstreams and redirects by path and name. */
      sites: z.array(siteSchema).default([]),
      /** Sends who comes without TLS to the same place with it. */
      redirectToHttps: z.boolean().default(false),
      /** Tells browsers to come with TLS only (RFC 6797), for so many seconds. Sent over TLS. */
      hsts: z
        .strictObject({
          maxAgeSeconds: z.int().min(0, 'is at least 0'),
          includeSubDomains: z.boolean().default(false),
          preload: z.boolean().default(false),
        })
        .optional(),
    })
    .default({ hosts: [], origins: [], routes: {}, sites: [], redirectToHttps: false }),
  /** Who may sign in, and how. */
  accounts: accountsSchema.default({ plaintext: 'refuse', issuers: [] }),
  /** What accounts may do, beside the rules that `portico rule` makes: `allow @devices publish topics/devices/{account}/#`. */
  rules: z
    .array(
      z.string().superRefine((text, context) => {
        const rule = readRule(text);
        if (typeof rule === 'string') context.addIssue(rule);
      }),
    )
    .default([]),
  /** The tree of files: folders, quotas, bandwidth. */
  files: filesSchema.prefault({}),
  /** Domains and aliases of mail, and whether every recipient is caught. */
  mail: mailSchema.prefault({}),
  /** Modules of services, by path, or what they export: `['./orders.ts', orders]`. */
  services: z
    .array(
      z.custom<ServiceEntry>(
        (entry) => isServiceEntry(entry) && entry !== '',
        'is a path of a module, or what defineService or protoService made',
      ),
    )
    .default([]),
  /** Services of other servers, that appear behind all protocols of this one. */
  upstreams: upstreamsSchema,
  /** Bounds of calls of services, whichever protocol makes them. */
  calls: z
    .strictObject({
      callsMax: callLimit('callsMax'),
      callsPerCallerMax: callLimit('callsPerCallerMax'),
      inputsMax: callLimit('inputsMax'),
    })
    .default({}),
  topics: z.strictObject({ history: z.array(policy).min(1).optional() }).default({}),
  /** Private addresses, `address/bits` ranges, names and paths of Unix sockets that may be reached from here. */
  outbound: z.strictObject({ allow: z.array(allowEntry).default([]) }).default({ allow: [] }),
  limits: z
    .strictObject({
      /** Connections at once, and of one address. */
      connectionsMax: z.int().min(1, 'is at least 1').optional(),
      connectionsPerAddressMax: z.int().min(1, 'is at least 1').optional(),
      /** New connections a second of one address, on average; bursts are four seconds' worth. */
      connectionsPerSecondMax: z.int().min(1, 'is at least 1').optional(),
      /** Faults of one address in a minute, after which it is refused for a minute. */
      faultsPerMinuteMax: z.int().min(1, 'is at least 1').optional(),
      /** Bytes that the process may use before load is shed. */
      memoryBytesMax: z.int().min(67_108_864, 'is at least 67108864 (64 MiB)').optional(),
      /** How long `/healthz` answers 503 at shutdown, while all else goes on, before nobody new is let in. */
      noticeMs: z.int().min(0, 'is at least 0').max(600_000, 'is at most 600000 (10 minutes)').optional(),
      /** How long a connection may take to leave at shutdown. */
      leaveMs: z.int().min(0, 'is at least 0').max(600_000, 'is at most 600000 (10 minutes)').optional(),
    })
    .default({}),
  log: z
    .strictObject({
      level: z
        .enum(['debug', 'info', 'warn', 'error', 'silent'], 'is debug, info, warn, error or silent')
        .default('info'),
      format: z.enum(['text', 'json'], 'is `text` or `json`').default('text'),
      /** A line for each request, and for each connection that opens or ends; with `debug` anyway. */
      access: z.boolean().optional(),
    })
    .default({ level: 'info', format: 'text' }),
});

/** What may be written in `portico.config.ts`. */
export type PorticoConfig = z.input<typeof schema>;

/** A configuration with all defaults filled in. */
export type Config = z.output<typeof schema>;

/** Gives a configuration file its types: `export default defineConfig({ ... })`. */
export function defineConfig(config: PorticoConfig): PorticoConfig {
  return config;
}

/** A configuration that cannot be used. The message has a line a problem: the key, what is wrong, the mend. */
export class ConfigError extends Error {
  constructor(lines: readonly string[]) {
    super(lines.join('\n'));
    this.name = 'ConfigError';
  }
}

/** Checks a configuration and fills in the defaults. Throws a `ConfigError`. */
export function checkConfig(input: unknown, source = 'the configuration'): Config {
  const parsed = schema.safeParse(input);
  if (!parsed.success) throw new ConfigError(parsed.error.issues.map((issue) => `${source}: ${explain(issue)}`));
  const problems: string[] = [];
  for (const { name, limits } of PROTOCOLS) {
    for (const [row, value] of Object.entries(parsed.data.protocols[name]?.limits ?? {})) {
      const limit = limits[row];
      const key = `protocols.${name}.limits.${row}`;
      if (limit === undefined) problems.push(`${source}: ${key} is not known${suggest(row, Object.keys(limits))}`);
      else if (value < limit.least || value > limit.most)
        problems.push(`${source}: ${key} is ${value}; it must be from ${limit.least} to ${limit.most} (${limit.unit})`);
    }
  }
  for (const [index, { protocols, fallback }] of parsed.data.shared.entries()) {
    const streams = (name: string) => PROTOCOLS.find((protocol) => protocol.name === name)!.listens.filter(isStream);
    for (const name of protocols)
      if (!streams(name).some(({ recognises }) => recognises !== undefined))
        problems.push(`${source}: shared.${index}.protocols has ${name}, whose clients cannot be told by first bytes`);
    if (fallback !== undefined && streams(fallback).length === 0)
      problems.push(`${source}: shared.${index}.fallback is ${fallback}, which is not spoken over TCP`);
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return parsed.data;
}

/** Whether this is what a protocol says over TCP. */
export function isStream<Resources>(
  listens: Listens<Resources>,
): listens is Extract<Listens<Resources>, { pipe(...given: never): unknown }> {
  return listens.on === 'tcp';
}

function explain(issue: z.core.$ZodIssue): string {
  const key = issue.path.join('.') || 'the whole';
  if (issue.code === 'unrecognized_keys') {
    const known = keysAt(issue.path);
    return issue.keys
      .map((name) => `${[...issue.path, name].join('.')} is not known${suggest(name, known)}`)
      .join('; ');
  }
  if (issue.code === 'invalid_key')
    return `${key} is not known${suggest(
      String(issue.path.at(-1)),
      PROTOCOLS.map(({ name }) => name),
    )}`;
  return `${key} ${issue.message.startsWith('Invalid') ? `is wrong: ${issue.message}` : issue.message}`;
}

/** The keys that may stand at a place of the schema. */
function keysAt(path: readonly PropertyKey[]): string[] {
  const [first] = path;
  if (first === undefined) return Object.keys(schema.shape);
  if (first === 'protocols') return path.length === 1 ? PROTOCOLS.map(({ name }) => name) : Object.keys(listener.shape);
  if (first === 'shared') return Object.keys(sharedPort.shape);
  if (first === 'mqtt' && path.length > 1) return Object.keys((path.length > 3 ? bridgeRule : bridge).shape);
  if (first === 'topics') return path.length > 1 ? Object.keys(policy.shape) : ['history'];
  const inner = schema.shape[first as keyof typeof schema.shape] as z.ZodDefault<z.ZodObject> | undefined;
  return Object.keys(inner?.def.innerType.shape ?? {});
}

function suggest(name: string, known: readonly string[]): string {
  const near = known
    .map((other) => [other, distance(name.toLowerCase(), other.toLowerCase())] as const)
    .sort(([, one], [, two]) => one - two)[0];
  if (near !== undefined && near[1] <= Math.max(2, name.length / 3)) return `; did you mean ${near[0]}?`;
  return known.length === 0 ? '' : `; there are ${known.join(', ')}`;
}

/** How many letters have to be changed, added or taken away to make one of the other. */
function distance(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, index) => index);
  for (let at = 1; at <= one.length; at++) {
    const next = [at];
    for (let to = 1; to <= other.length; to++)
      next.push(Math.min(row[to]! + 1, next[to - 1]! + 1, row[to - 1]! + (one[at - 1] === other[to - 1] ? 0 : 1)));
    row = next;
  }
  return row[other.length]!;
}

const FILES = ['portico.config.ts', 'portico.config.js', 'portico.config.mjs', 'portico.config.json'];

/** Reads the configuration file that was named, or the first of the usual ones; null when there is none. */
export async function readConfigFile(
  named: string | undefined,
  folder: string,
): Promise<{ path: string; value: unknown } | null> {
  const path =
    named === undefined ? FILES.map((name) => resolve(folder, name)).find(existsSync) : resolve(folder, named);
  if (path === undefined) return null;
  if (!existsSync(path)) throw new ConfigError([`${path} is not there; --config names a file that exists`]);
  try {
    if (extname(path) === '.json') return { path, value: fromIts(path, JSON.parse(readFileSync(path, 'utf8'))) };
    const module = (await import(pathToFileURL(path).href)) as { default?: unknown };
    if (module.default === undefined) throw new Error('it has no default export; write `export default { ... }`');
    return { path, value: fromIts(path, module.default) };
  } catch (error) {
    throw new ConfigError([`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`]);
  }
}

/** Modules of services, and descriptions of upstreams, that begin with a dot lie beside the file that names them. */
function fromIts(path: string, value: unknown): unknown {
  if (!isPlain(value)) return value;
  const { services, upstreams } = value;
  const placed = (entry: unknown) =>
    typeof entry === 'string' && /^\.{1,2}\//.test(entry) ? resolve(dirname(path), entry) : entry;
  return {
    ...value,
    ...(Array.isArray(services) ? { services: (services as unknown[]).map(placed) } : {}),
    ...(Array.isArray(upstreams)
      ? {
          upstreams: (upstreams as unknown[]).map((each) =>
            isPlain(each) && 'soap' in each ? { ...each, soap: placed(each.soap) } : each,
          ),
        }
      : {}),
  };
}

const PREFIX = 'PORTICO_';

/** The file's name, the tests' seed, who signs in by commands; and what Kubernetes sets where a service is called portico. */
const NOT_KEYS = /^PORTICO_(?:CONFIG|SEED|USER|PASSWORD|TOKEN|SERVICE_\w+|PORT|PORT_\d+_\w+)$/;

/** `PORTICO_LOG_LEVEL=debug` is `{ log: { level: 'debug' } }`; words are parted by `_` and matched to the schema's keys. */
export function environmentConfig(environment: Readonly<Record<string, string | undefined>>): Record<string, unknown> {
  const config: Record<string, unknown> = {};
  for (const [name, text] of Object.entries(environment)) {
    if (!name.startsWith(PREFIX) || text === undefined || NOT_KEYS.test(name)) continue;
    const path = pathOf(name.slice(PREFIX.length).toLowerCase().split('_'));
    if (path === null)
      throw new ConfigError([
        `the environment: ${name} is not known${suggest(name.slice(PREFIX.length).toLowerCase(), Object.keys(schema.shape))}`,
      ]);
    put(config, path, readValue(path, text));
  }
  return config;
}

/** Which key the words of an environment variable mean. */
function pathOf(words: readonly string[]): string[] | null {
  const [first, ...rest] = words;
  const top = Object.keys(schema.shape).find((key) => key.toLowerCase() === first);
  if (top === undefined) return null;
  if (rest.length === 0) return [top];
  const name = top === 'protocols' ? rest.shift() : undefined;
  const keys = keysAt(name === undefined ? [top] : ['protocols', name]);
  const key = keys.find((candidate) => candidate.toLowerCase() === rest.join(''));
  if (key === undefined) return null;
  return name === undefined ? [top, key] : [top, name, key];
}

/** Lists are parted by commas; numbers and booleans are what they look like where the schema has them. */
function readValue(path: readonly string[], text: string): unknown {
  if (['hosts', 'allow', 'origins', 'proxyProtocol', 'services'].includes(path.at(-1)!))
    return text.split(',').map((part) => part.trim());
  if (path.at(-1) === 'data' || path.at(-1) === 'path' || (path.at(-1) === 'control' && text !== 'false')) return text;
  if (text === 'true' || text === 'false') return text === 'true';
  return /^\d+$/.test(text) ? Number(text) : text;
}

/** Sets what stands at a path of nested objects. */
export function put(config: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let at = config;
  for (const key of path.slice(0, -1)) at = (at[key] ??= {}) as Record<string, unknown>;
  at[path.at(-1)!] = value;
}

/** What stands in `over` replaces what stands in `base`, key by key; lists are replaced whole. */
export function merge(base: unknown, over: unknown): unknown {
  if (!isPlain(base) || !isPlain(over)) return over === undefined ? base : over;
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) merged[key] = merge(merged[key], value);
  return merged;
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
