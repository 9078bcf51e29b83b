// `portico mirror`: makes a folder here as one of a server, or the other way.
import type { Command } from 'commander';
import { localFacts } from '../transfer/local.ts';
import { down, up } from '../transfer/mirror.ts';
import { TransferError } from '../transfer/remote.ts';
import { isRemote, withServer } from './file-server.ts';
import { EXIT, fail } from './output.ts';
import { addTransfer, type TransferFlags, transfer } from './transfer.ts';

interface MirrorFlags extends TransferFlags {
  readonly delete?: boolean;
  readonly dryRun?: boolean;
}

export function addMirror(program: Command): void {
  const command = program
    .command('mirror')
    .description('make a folder as another: portico mirror ./site sftp://ann@localhost:2022/shared/site')
    .argument('<from>', 'a folder, or a URL of one')
    .argument('<to>', 'the other of both')
    .option('--delete', 'remove what the first does not have')
    .option('--dry-run', 'say what would be done')
    .option('--json', 'print a JSON line for each file');
  addTransfer(command).action((from: string, to: string, flags: MirrorFlags) => mirror(from, to, flags));
}

function mirror(from: string, to: string, flags: MirrorFlags): Promise<never> {
  if (isRemote(from) === isRemote(to)) fail('one of both is a URL, the other a folder here', EXIT.usage);
  const isDry = flags.dryRun === true;
  const options = { deletes: flags.delete === true, checks: flags.checksum === true, copiesAll: false, isDry };
  return withServer(isRemote(from) ? from : to, flags, async (server, remote) => {
    const { path } = server;
    const source = isRemote(from) ? await remote.stat(path) : await localFacts(from);
    if (source?.kind !== 'folder')
      throw new TransferError(source === null ? 'missing' : 'refused', `${from} is no folder`);
    const tasks = isRemote(from) ? down(remote, path, to, options) : up(remote, from, path, options);
    return transfer(server, tasks, flags, isDry);
  });
}
