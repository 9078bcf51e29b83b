// Which servers of files a URL means, and as whom they are come to.
import { userInfo } from 'node:os';
import type { Command } from 'commander';
import { HttpClient } from '../exports/http.ts';
import { type Remote, TransferError } from '../transfer/remote.ts';
import { DavRemote } from '../transfer/remote-dav.ts';
import { FtpRemote } from '../transfer/remote-ftp.ts';
import { HttpRemote } from '../transfer/remote-http.ts';
import { SftpRemote } from '../transfer/remote-sftp.ts';
import { uploadMemory } from '../transfer/upload-memory.ts';
import type { Place } from './channel.ts';
import { complain, EXIT, fail } from './output.ts';
import { addSignIn, authorizationOf, type SignInFlags, signedIn } from './sign-in.ts';
import { sshPlace } from './ssh-place.ts';
import { addTls, tlsFor, tlsHint } from './tls-flags.ts';

export interface FileFlags extends SignInFlags {
  readonly authTls?: boolean;
  readonly identity?: string[];
  readonly knownHosts?: string;
  readonly acceptNew?: boolean;
}

const PORTS: Readonly<Record<string, number>> = {
  http: 80,
  https: 443,
  dav: 80,
  davs: 443,
  ftp: 21,
  ftps: 990,
  sftp: 22,
};

export interface FileServer {
  /** The URL up to the path, without who signs in. */
  readonly base: string;
  /** Decoded. Of FTP it begins where the account does, unless it begins with `//`. */
  readonly path: string;
  /** Another connection, where the protocol does one thing at a time; else the same. */
  connect(): Promise<Remote>;
  close(): void;
}

export function addFileFlags(command: Command): Command {
  return addTls(addSignIn(command))
    .option('--auth-tls', 'ftp: with TLS, by AUTH TLS; no file and no password goes without')
    .option('--identity <file...>', 'sftp: private keys, in place of those of ~/.ssh')
    .option('--known-hosts <file>', 'sftp: keys of servers, in place of ~/.ssh/known_hosts')
    .option('--accept-new', 'sftp: believe a server that is not known yet, and remember it');
}

export function isFileUrl(text: string): boolean {
  const scheme = /^([a-z]+):\/\//i.exec(text)?.[1]?.toLowerCase();
  return scheme !== undefined && scheme in PORTS;
}

/** What is on this machine, or on a server. */
export function isRemote(text: string): boolean {
  return /^[a-z][a-z0-9+.-]+:\/\//i.test(text);
}

export async function fileServer(text: string, flags: FileFlags): Promise<FileServer> {
  if (!isFileUrl(text) || !URL.canParse(text))
    fail(`${text} is no URL of files; there are ${Object.keys(PORTS).join(', ')}`, EXIT.usage);
  const [, scheme, authority, path] = partsOf(text);
  // Of a scheme that URLs know, so that they read host and port in their own way.
  const url = new URL(`http://${authority}/`);
  const port = Number(/:(\d+)$/.exec(authority)?.[1] ?? PORTS[scheme]);
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const secure = flags.authTls === true && scheme === 'ftp' ? 'ftps' : scheme;
  if (flags.authTls === true && scheme !== 'ftp') fail('--auth-tls is for ftp:', EXIT.usage);
  const user = decodeURIComponent(url.username);
  const password = decodeURIComponent(url.password);
  const base = `${scheme}://${url.hostname}:${port}`;
  const where = { scheme: secure, host, port, topic: '', user, password, token: '', tls: null };
  if (scheme === 'sftp') return sftpServer(base, path, where, flags);
  const tls = tlsFor(secure, host, flags);
  const place = await signedIn(where, flags);
  if (scheme === 'ftp' || scheme === 'ftps') {
    const terms = scheme === 'ftps' ? 'implicit' : flags.authTls === true ? 'explicit' : 'never';
    const { token } = place;
    const ftp = {
      host,
      port,
      user: place.user,
      password: token === '' ? place.password : token,
      secure: terms,
      tls: tls ?? {},
    } as const;
    return { base, path: path.slice(1), connect: () => FtpRemote.connect(ftp), close() {} };
  }
  const client = new HttpClient({
    ...(tls === null ? {} : { tls }),
    limits: { originConnectionsMax: 256, connectionsMax: 256 },
  });
  const origin = `${scheme === 'https' || scheme === 'davs' ? 'https' : 'http'}://${url.hostname}:${port}`;
  const common = { origin, authorization: authorizationOf(place), client, uploads: uploadMemory() };
  const remote = scheme.startsWith('dav') ? new DavRemote(common) : new HttpRemote(common);
  return { base, path, connect: async () => remote, close: () => client.close() };
}

function partsOf(text: string): [string, string, string, string] {
  const [whole, scheme, authority, rest] = /^([a-z]+):\/\/([^/?#]*)(.*)$/is.exec(text)!;
  let path = rest!;
  try {
    path = decodeURIComponent(rest!);
  } catch {
    fail(`${text} has a % that stands for no byte of text; write %25`, EXIT.usage);
  }
  if (path.includes('\0')) fail(`${text} has a NUL in it`, EXIT.usage);
  return [whole, scheme!.toLowerCase(), authority!, path.startsWith('/') ? path : `/${path}`];
}

function sftpServer(base: string, path: string, where: Place, flags: FileFlags): FileServer {
  const user = flags.user ?? (where.user || (process.env.PORTICO_USER ?? userInfo().username));
  const ssh = sshPlace({ ...where, user }, flags);
  let standing: Promise<SftpRemote | null> = Promise.resolve(null);
  return {
    base,
    path,
    // One channel carries all; who comes back after it was lost gets another.
    connect() {
      const again = () => SftpRemote.connect(ssh);
      const next = standing.then((remote) => (remote === null || remote.isLost ? again() : remote), again);
      standing = next;
      return next;
    },
    close: () => void standing.then((remote) => remote?.end()).catch(() => {}),
  };
}

const CODES = {
  missing: EXIT.failed,
  changed: EXIT.failed,
  refused: EXIT.refused,
  lost: EXIT.unavailable,
  local: EXIT.io,
} as const;

export function codeOf(error: TransferError): number {
  return CODES[error.trouble];
}

/** Does what a command does with a server, and ends it with the code of what went wrong. */
export async function withServer(
  text: string,
  flags: FileFlags,
  act: (server: FileServer, remote: Remote) => Promise<number>,
): Promise<never> {
  const server = await fileServer(text, flags);
  try {
    const remote = await server.connect();
    const code = await act(server, remote);
    remote.close();
    server.close();
    process.exit(code);
  } catch (error) {
    if (!(error instanceof TransferError)) throw error;
    complain(`${error.message}${tlsHint(error.message)}`);
    process.exit(codeOf(error));
  }
}
