// `portico rm`: removes files and folders of a server.
import type { Command } from 'commander';
import { removeTree } from '../transfer/copy.ts';
import { TransferError } from '../transfer/remote.ts';
import { addFileFlags, type FileFlags, withServer } from './file-server.ts';
import { EXIT } from './output.ts';

interface RmFlags extends FileFlags {
  readonly recursive?: boolean;
}

export function addRm(program: Command): void {
  const command = program
    .command('rm')
    .description('remove a file: portico rm ftp://127.0.0.1:2121//shared/old.txt')
    .argument('<url>', 'a file, or an empty folder')
    .option('--recursive', 'a folder with all that is in it');
  addFileFlags(command).action((url: string, flags: RmFlags) =>
    withServer(url, flags, async ({ path }, remote) => {
      const facts = await remote.stat(path);
      if (facts === null) throw new TransferError('missing', `there is no ${url}`);
      const isFolder = facts.kind === 'folder';
      if (isFolder && flags.recursive !== true && (await remote.list(path)).length > 0)
        throw new TransferError('refused', `${url} is not empty; --recursive removes it with all that is in it`);
      await removeTree(remote, path, isFolder);
      return EXIT.ok;
    }),
  );
}
