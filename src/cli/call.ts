// `portico call`: calls a method of a service, over whatever carries calls; one line of JSON for each output.
import { createInterface } from 'node:readline';
import type { Command } from 'commander';
import type { JsonCarrier } from '../exports/call-carrier.ts';
import { carrierFor } from '../exports/client.ts';
import { callOver } from '../resources/services/client.ts';
import type { CallKind, Metadata } from '../resources/services/contract.ts';
import { ServiceError } from '../resources/services/status.ts';
import { failBecause } from './channels.ts';
import { complain, EXIT, fail } from './output.ts';
import { addSignIn, type SignInFlags, signedIn } from './sign-in.ts';
import { numberOf } from './sub.ts';
import { addTls, tlsFor } from './tls-flags.ts';

interface CallFlags extends SignInFlags {
  readonly lines?: boolean;
  readonly timeout?: string;
  readonly metadata?: readonly string[];
  readonly showMetadata?: boolean;
  readonly json?: boolean;
  readonly usernameToken?: string;
}

/** Ports by scheme, as the server has them. */
const PORTS: Readonly<Record<string, number>> = {
  ...{ http: 8080, https: 8443, ws: 8080, wss: 8443, mqtt: 1883, mqtts: 8883 },
  ...{ grpc: 8080, grpcs: 8443, connect: 8080, connects: 8443, graphql: 8080, graphqls: 8443 },
  ...{ soap: 8080, soaps: 8443 },
};

export function addCall(program: Command): void {
  const command = program
    .command('call')
    .description(`call a method: portico call http://127.0.0.1:8080 shop.v1.Orders.GetOrder '{"id":"order-1"}'`)
    .argument('<url>', `${Object.keys(PORTS).join(', ')}: and the server's host and port`)
    .argument('<method>', 'the service with its package, and the method')
    .argument('[inputs...]', 'the input as JSON, {} when there is none; several where the method takes many')
    .option('--lines', 'each line of standard input is an input')
    .option('--timeout <ms>', 'how long it may take')
    .option('--metadata <name=value...>', 'what goes with the call')
    .option('--show-metadata', 'print what comes with the answer on standard error')
    .option('--username-token <text|digest>', 'SOAP: sign in within each message (WS-Security)')
    .option('--json', 'print an error as one JSON line on standard error');
  addTls(addSignIn(command)).action((url: string, method: string, inputs: string[], flags: CallFlags) =>
    call(url, method, inputs, flags),
  );
}

async function call(url: string, name: string, inputs: readonly string[], flags: CallFlags): Promise<void> {
  const cut = Math.max(name.lastIndexOf('.'), name.lastIndexOf('/'));
  if (cut <= 0) fail(`${name} is no method; it is like shop.v1.Orders.GetOrder`, EXIT.usage);
  if (flags.lines === true && inputs.length > 0) fail('give inputs as arguments, or --lines: one of them', EXIT.usage);
  const many = flags.lines === true || inputs.length > 1;
  const values = inputs.map(parsed);
  const timeoutMs = numberOf('timeout', flags.timeout);
  const settings = {
    metadata: metadataOf(flags.metadata ?? []),
    ...(timeoutMs === null ? {} : { timeoutMs }),
    ...(flags.showMetadata === true ? { onHeaders: showMetadata, onTrailers: showMetadata } : {}),
  };
  try {
    const carrier = await carrierOf(url, flags);
    // An output is printed as it comes, so that every method is called as one that has many.
    const outputs = callOver(
      untyped(carrier, many ? 'both' : null),
      name.slice(0, cut),
      name.slice(cut + 1),
      many ? (flags.lines === true ? linesOfInput() : values) : (values[0] ?? {}),
      settings,
    ) as AsyncIterable<unknown>;
    for await (const output of outputs) await print(output);
    await carrier.close();
  } catch (error) {
    if (!(error instanceof ServiceError)) failBecause(error);
    tell(error, flags);
    process.exit(exitOf(error));
  }
  process.exit(EXIT.ok);
}

async function carrierOf(text: string, flags: CallFlags): Promise<JsonCarrier> {
  if (!URL.canParse(text)) fail(`${text} is not a URL; it is like http://127.0.0.1:8080`, EXIT.usage);
  // The URL of a description that is not of a server of this kind.
  const whole = /^soaps?:(?=(?:https?|file):)/i.exec(text)?.[0] ?? '';
  const url = new URL(text.slice(whole.length));
  const scheme = whole === '' ? url.protocol.slice(0, -1) : url.protocol === 'http:' ? 'http' : 'https';
  const known = PORTS[scheme];
  if (known === undefined)
    return fail(`${scheme}: carries no calls; there are ${Object.keys(PORTS).join(', ')}`, EXIT.usage);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const tls = tlsFor(scheme, host, flags);
  // A port that is the scheme's own is not kept by URL: it is in the text.
  const port = /:\d+(?=$|[/?#])/.test(text.slice(scheme.length + 3)) ? url.port : String(known);
  const { user, password, token } = await signedIn(
    {
      scheme,
      host,
      port: Number(port),
      topic: '',
      user: decodeURIComponent(url.username),
      password: decodeURIComponent(url.password),
      token: '',
      tls,
    },
    flags,
  );
  url.username = '';
  url.password = '';
  if (port !== '' && whole === '') url.port = port;
  return carrierFor(whole + url.href, {
    ...(user === '' ? {} : { user }),
    ...(password === '' ? {} : { password }),
    ...(token === '' ? {} : { token }),
    ...(tls === null ? {} : { tls }),
    ...tokenOf(flags, scheme, whole),
  });
}

function tokenOf({ usernameToken }: CallFlags, scheme: string, whole: string) {
  if (usernameToken === undefined) return {};
  if (usernameToken !== 'text' && usernameToken !== 'digest')
    return fail(`--username-token is text or digest, not ${usernameToken}`, EXIT.usage);
  if (whole === '' && !scheme.startsWith('soap')) return fail('--username-token is for soap:', EXIT.usage);
  return { usernameToken } as const;
}

/** A carrier for methods of which nothing is known but their names: all of them may answer with many. */
function untyped(carrier: JsonCarrier, kind: CallKind | null) {
  return {
    kindOf: () => kind ?? ('server' as const),
    begin: (
      service: string,
      method: string,
      options: { readonly metadata: Metadata; readonly timeoutMs: number },
      receiver: Parameters<JsonCarrier['begin']>[3],
    ) => carrier.begin(service, method, { ...options, kind }, receiver),
  };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    return fail(`an input is not JSON: ${(error as Error).message}`, EXIT.usage);
  }
}

async function* linesOfInput(): AsyncGenerator<unknown> {
  for await (const line of createInterface({ input: process.stdin })) if (line.trim() !== '') yield parsed(line);
}

function metadataOf(pairs: readonly string[]): Metadata {
  return pairs.flatMap((pair) => {
    const equals = pair.indexOf('=');
    if (equals <= 0) return fail(`--metadata ${pair} is not like name=value`, EXIT.usage);
    return [pair.slice(0, equals).toLowerCase(), pair.slice(equals + 1)];
  });
}

function showMetadata(metadata: Metadata): void {
  for (let at = 0; at + 1 < metadata.length; at += 2) process.stderr.write(`${metadata[at]!}: ${metadata[at + 1]!}\n`);
}

function print(output: unknown): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(`${JSON.stringify(output)}\n`, (error) => (error == null ? resolve() : reject(error)));
  });
}

interface Violations {
  readonly fieldViolations?: readonly { readonly field: string; readonly description: string }[];
}

function tell({ code, message, details }: ServiceError, { json }: CallFlags): void {
  if (json === true) {
    process.stderr.write(`${JSON.stringify({ code, message, details })}\n`);
    return;
  }
  complain(`${code}${message === '' ? '' : `: ${message}`}`);
  for (const { type, value } of details) {
    const { fieldViolations } = (value ?? {}) as Violations;
    if (type !== 'google.rpc.BadRequest' || fieldViolations === undefined)
      process.stderr.write(`  ${type} ${JSON.stringify(value)}\n`);
    else if (fieldViolations.length > 1)
      for (const { field, description } of fieldViolations) process.stderr.write(`  ${field}: ${description}\n`);
  }
}

function exitOf({ code }: ServiceError): number {
  if (code === 'UNAVAILABLE') return EXIT.unavailable;
  return code === 'PERMISSION_DENIED' || code === 'UNAUTHENTICATED' ? EXIT.refused : EXIT.failed;
}
