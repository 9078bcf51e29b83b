// `portico get` of files: a file or a folder to a place here, or a file to standard output.
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { down } from '../transfer/mirror.ts';
import { isOwnName, leafOf, type Remote, TransferError } from '../transfer/remote.ts';
import { type FileServer, withServer } from './file-server.ts';
import { EXIT } from './output.ts';
import { type TransferFlags, these, transfer } from './transfer.ts';

export function getFiles(url: string, target: string | undefined, flags: TransferFlags): Promise<never> {
  return withServer(url, flags, async (server, remote) => {
    const facts = await remote.stat(server.path);
    if (facts === null) throw new TransferError('missing', `there is no ${url}`);
    if (facts.kind === 'folder') return getFolder(server, remote, target, flags);
    if (target === undefined || target === '-') {
      const { bytes } = await remote.read(server.path, 0, facts);
      for await (const piece of bytes) await write(piece);
      return EXIT.ok;
    }
    const here = placeFor(target, leafOf(server.path));
    return transfer(server, these([{ do: 'get', path: server.path, here, facts }]), flags);
  });
}

function getFolder(
  server: FileServer,
  remote: Remote,
  target: string | undefined,
  flags: TransferFlags,
): Promise<number> {
  if (target === undefined || target === '-')
    throw new TransferError('refused', `${server.path} is a folder; say where it is to go, or portico ls`);
  const options = { deletes: false, checks: flags.checksum === true, copiesAll: flags.continue !== true, isDry: false };
  return transfer(server, down(remote, server.path, target, options), flags);
}

/** Into a folder under its own name, else under the name that is given. */
function placeFor(target: string, name: string): string {
  const isFolder = target.endsWith('/') || (existsSync(target) && statSync(target).isDirectory());
  if (!isFolder) return target;
  if (!isOwnName(name)) throw new TransferError('refused', 'the URL names no file; say a name for it');
  return join(target, name);
}

function write(bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(bytes, (error) => (error == null ? resolve() : reject(error)));
  });
}
