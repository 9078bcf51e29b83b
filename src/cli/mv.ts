// `portico mv`: gives a file or folder of a server another name there.
import type { Command } from 'commander';
import { joined, leafOf, TransferError } from '../transfer/remote.ts';
import { addFileFlags, type FileFlags, fileServer, isRemote, withServer } from './file-server.ts';
import { EXIT, fail } from './output.ts';

export function addMv(program: Command): void {
  const command = program
    .command('mv')
    .description('move on a server: portico mv dav://127.0.0.1:8080/dav/a.txt dav://127.0.0.1:8080/dav/b.txt')
    .argument('<url>', 'a file or a folder')
    .argument('<to>', 'a URL of the same server; into a folder when it ends with /');
  addFileFlags(command).action((url: string, to: string, flags: FileFlags) => mv(url, to, flags));
}

function mv(url: string, to: string, flags: FileFlags): Promise<never> {
  if (!isRemote(to)) fail(`${to} is no URL; portico get brings files here`, EXIT.usage);
  return withServer(url, flags, async ({ base, path }, remote) => {
    const target = await fileServer(to, flags);
    if (target.base !== base) throw new TransferError('refused', `${base} and ${target.base} are not the same server`);
    if ((await remote.stat(path)) === null) throw new TransferError('missing', `there is no ${url}`);
    const place = target.path.endsWith('/') || target.path === '' ? joined(target.path, leafOf(path)) : target.path;
    // Not every protocol says whether it goes over what is there.
    if ((await remote.stat(place)) !== null) throw new TransferError('refused', `${to} is there already`);
    await remote.rename(path, place);
    return EXIT.ok;
  });
}
