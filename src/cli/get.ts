// `portico get`: prints what is retained at a topic, or any resource of an HTTP server; fetches files by every protocol of files.
import type { Command } from 'commander';
import { type FetchOptions, HttpClient } from '../exports/http.ts';
import { type Place, Refusal, type Shown } from './channel.ts';
import { refusalOf } from './channel-http.ts';
import { failBecause, openChannel, placeOf } from './channels.ts';
import { isFileUrl } from './file-server.ts';
import { getFiles } from './get-files.ts';
import { complain, EXIT, fail } from './output.ts';
import { authorizationFor, signedIn } from './sign-in.ts';
import { asJson, textOf } from './sub.ts';
import { tlsFor } from './tls-flags.ts';
import { addTransfer, type TransferFlags } from './transfer.ts';

interface GetFlags extends TransferFlags {
  readonly head?: boolean;
  readonly json?: boolean;
  readonly http3?: boolean;
}

export function addGet(program: Command): void {
  const command = program
    .command('get')
    .description('print what is retained, or fetch files: portico get http://127.0.0.1:8080/topics/sensors/a')
    .argument('<url>', 'scheme://[user[:password]@]host[:port]/topic, any http: URL, or files: dav:, ftp:, sftp:')
    .argument('[to]', 'a file or folder here that what is fetched goes to; a folder ends with /')
    .option('--head', 'print the status and the fields of the answer (http: only)')
    .option('--json', 'print one JSON line')
    .option('--http3', 'over HTTP/3 alone (https: only)');
  addTransfer(command).action((url: string, to: string | undefined, flags: GetFlags) => get(url, to, flags));
}

async function get(url: string, to: string | undefined, flags: GetFlags): Promise<void> {
  if (to !== undefined || (isFileUrl(url) && !/^https?:/i.test(url))) {
    if (flags.head === true) fail('--head needs http:', EXIT.usage);
    if (flags.http3 === true) fail('--http3 prints what is fetched; use a shell to write it to a file', EXIT.usage);
    await getFiles(url, to, flags);
  }
  try {
    if (flags.http3 === true && !/^https:/i.test(url)) fail('--http3 needs https:', EXIT.usage);
    if (
      flags.http3 === true ||
      /^https?:\/\/[^/]*(?:$|\/(?!topics\/))/i.test(url) ||
      (flags.head === true && /^https?:/i.test(url))
    )
      await getResource(url, flags);
    else await getValue(url, flags);
  } catch (error) {
    failBecause(error);
  }
  process.exit(process.exitCode ?? EXIT.ok);
}

async function getValue(url: string, flags: GetFlags): Promise<void> {
  if (flags.head === true) fail('--head needs http:', EXIT.usage);
  const place = placeOf(url, flags);
  if (/[+#]/.test(place.topic))
    fail(`${place.topic} is a filter; get takes one topic. portico sub --retained-only prints all`, EXIT.usage);
  const found = await retainedAt(await signedIn(place, flags));
  if (found === null) fail(`nothing is retained at ${place.topic}`, EXIT.failed);
  if (flags.json === true) process.stdout.write(asJson(found));
  else await print(found.payload);
}

async function retainedAt(place: Place & { readonly scheme: string }): Promise<Shown | null> {
  const channel = await openChannel(place);
  if (channel.get === undefined)
    fail(`${place.scheme}: cannot ask for what is retained; use http:, mqtt:, tcp: or ws:`, EXIT.usage);
  const found = await channel.get(place.topic);
  channel.close();
  return found;
}

async function getResource(text: string, flags: GetFlags): Promise<void> {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return fail(`${text} is not a URL; it is like http://127.0.0.1:8080/healthz`, EXIT.usage);
  }
  const authorization = await authorizationFor(url, flags);
  const tls = tlsFor(url.protocol.slice(0, -1), url.hostname.replace(/^\[|\]$/g, ''), flags);
  const client = new HttpClient({ ...(tls !== null && { tls }), http3: flags.http3 === true });
  const method = flags.head === true ? 'HEAD' : 'GET';
  const signs = authorization === null ? {} : { headers: { authorization } };
  try {
    await show(client, url, { method, ...signs }, flags);
  } finally {
    client.close();
    // Over HTTP/3 the server is told that we go, at the end of the turn.
    for (let turn = 0; turn < 3; turn++) await new Promise((resolve) => setImmediate(resolve));
  }
}

async function show(client: HttpClient, url: URL, options: FetchOptions, flags: GetFlags): Promise<void> {
  const response = await client.fetch(url, options).catch((error: unknown) => {
    throw new Error(`${url.host} does not answer: ${(error as Error).message}`);
  });
  const { status, statusText, headers } = response;
  const json = flags.json === true;
  if (flags.head === true) {
    if (json) process.stdout.write(`${JSON.stringify({ url: response.url, status, headers: [...headers] })}\n`);
    else process.stdout.write(`${[`${status} ${statusText}`, ...fieldLines(headers)].join('\n')}\n`);
  } else if (!response.ok) {
    const refusal = await refusalOf(url.host, response);
    if (status !== 404) throw refusal;
    complain(refusal.message);
  } else if (json) {
    const body = Buffer.from(await response.arrayBuffer());
    const shown = textOf(body);
    const said = shown === null ? { base64: body.toString('base64') } : { body: shown };
    process.stdout.write(`${JSON.stringify({ url: response.url, status, headers: [...headers], ...said })}\n`);
  } else await printAll(response);
  if (status === 404) process.exitCode = EXIT.failed;
  else if (status >= 400) throw new Refusal(`${url.host} answered ${status} ${statusText}`);
}

function fieldLines(headers: Headers): string[] {
  return [...headers].map(([name, value]) => `${name}: ${value}`);
}

/** As fast as it is taken; nothing of it is held. */
async function printAll(response: Response): Promise<void> {
  let last: Uint8Array | null = null;
  for await (const piece of response.body ?? []) {
    await write(piece);
    if (piece.length > 0) last = piece;
  }
  await endLine(last);
}

async function print(payload: Uint8Array): Promise<void> {
  await write(payload);
  await endLine(payload);
}

/** A terminal's prompt begins on a line of its own; a file has exactly the bytes. */
async function endLine(bytes: Uint8Array | null): Promise<void> {
  if (process.stdout.isTTY && bytes?.at(-1) !== 0x0a) await write(Buffer.from('\n'));
}

function write(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(bytes, (error) => (error == null ? resolve() : reject(error)));
  });
}
