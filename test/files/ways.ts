// The same few things done to files by each protocol, with clients that are not ours where there is one.
import assert from 'node:assert/strict';
import { Readable, Writable } from 'node:stream';
import { Client as FtpClient } from 'basic-ftp';
import ssh2, { type SFTPWrapper } from 'ssh2';
import type { Portico } from '../../src/portico.ts';

/** A server in this process, or one of its own. */
export type Urls = Pick<Portico, 'urls'>;

export const ACCOUNT = 'ann';
export const PASSWORD = 'correct horse';
export const BASIC = `Basic ${Buffer.from(`${ACCOUNT}:${PASSWORD}`).toString('base64')}`;

export interface FileWay {
  readonly name: string;
  put(path: string, bytes: Uint8Array): Promise<void>;
  /** Rejects where nothing is. */
  get(path: string): Promise<Buffer>;
  remove(path: string): Promise<void>;
  rename(from: string, to: string): Promise<void>;
  close(): void;
}

export async function addAccount(portico: Portico, name = ACCOUNT): Promise<void> {
  const answer = await portico.order({ do: 'account.add', name, password: PASSWORD });
  assert.ok(answer.ok, JSON.stringify(answer));
}

function encoded(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}

function overHttp(name: string, base: string, prefix: string): FileWay {
  const ask = async (method: string, path: string, headers: Record<string, string> = {}, body?: Uint8Array) => {
    const response = await fetch(`${base}${prefix}${encoded(path)}`, {
      method,
      headers: { authorization: BASIC, ...headers },
      ...(body === undefined ? {} : { body: Buffer.from(body) }),
    });
    const bytes = Buffer.from(await response.arrayBuffer());
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${bytes}`);
    return bytes;
  };
  return {
    name,
    put: async (path, bytes) => void (await ask('PUT', path, {}, bytes)),
    get: (path) => ask('GET', path),
    remove: async (path) => void (await ask('DELETE', path)),
    rename: async (from, to) => void (await ask('MOVE', from, { destination: `${prefix}${encoded(to)}` })),
    close() {},
  };
}

async function overFtp(portico: Urls): Promise<FileWay> {
  const client = new FtpClient(30_000);
  const { port } = new URL(portico.urls.ftp!.replace(/^ftp/, 'http'));
  await client.access({ host: '127.0.0.1', port: Number(port), user: ACCOUNT, password: PASSWORD });
  return {
    name: 'FTP, basic-ftp',
    put: async (path, bytes) => void (await client.uploadFrom(Readable.from([Buffer.from(bytes)]), `/${path}`)),
    async get(path) {
      const parts: Buffer[] = [];
      const into = new Writable({
        write(part: Buffer, _encoding, done) {
          parts.push(part);
          done();
        },
      });
      await client.downloadTo(into, `/${path}`);
      return Buffer.concat(parts);
    },
    remove: async (path) => void (await client.remove(`/${path}`)),
    rename: async (from, to) => void (await client.rename(`/${from}`, `/${to}`)),
    close: () => client.close(),
  };
}

export function openSftp(portico: Urls): Promise<{ sftp: SFTPWrapper; end(): void }> {
  const client = new ssh2.Client();
  const port = Number(new URL(portico.urls.sftp!.replace(/^sftp/, 'http')).port);
  return new Promise((resolve, reject) => {
    // A server that is killed is an error of every call that waits.
    client.on('error', reject);
    // Without it each small request behind another waits for an acknowledgement.
    client.on('connect', () => client.setNoDelay(true));
    client.on('ready', () =>
      client.sftp((error, sftp) => (error === undefined ? resolve({ sftp, end: () => client.end() }) : reject(error))),
    );
    client.connect({ host: '127.0.0.1', port, username: ACCOUNT, password: PASSWORD });
  });
}

async function overSftp(portico: Urls): Promise<FileWay> {
  const { sftp, end } = await openSftp(portico);
  const settled = (call: (done: (error?: Error | null) => void) => void) =>
    new Promise<void>((resolve, reject) => call((error) => (error ? reject(error) : resolve())));
  return {
    name: 'SFTP, ssh2',
    put: (path, bytes) => settled((done) => sftp.writeFile(`/${path}`, Buffer.from(bytes), done)),
    get: (path) =>
      new Promise((resolve, reject) =>
        sftp.readFile(`/${path}`, (error, bytes) => (error ? reject(error) : resolve(bytes))),
      ),
    remove: (path) => settled((done) => sftp.unlink(`/${path}`, done)),
    // posix-rename@openssh.com: over what is there, as rename(2).
    rename: (from, to) => settled((done) => sftp.ext_openssh_rename(`/${from}`, `/${to}`, done)),
    close: end,
  };
}

export async function openWays(portico: Urls): Promise<FileWay[]> {
  const { http } = portico.urls;
  return [
    overHttp('HTTP, fetch', http!, '/files/'),
    overHttp('WebDAV, fetch', http!, '/dav/'),
    await overFtp(portico),
    await overSftp(portico),
  ];
}
