// `portico put`: files and folders of here to a server.
import { basename, resolve } from 'node:path';
import type { Command } from 'commander';
import type { Task } from '../transfer/copy.ts';
import { localFacts } from '../transfer/local.ts';
import { makeThere, up } from '../transfer/mirror.ts';
import { joined, parentOf, type Remote, TransferError } from '../transfer/remote.ts';
import { type FileServer, withServer } from './file-server.ts';
import { EXIT, fail } from './output.ts';
import { addTransfer, type TransferFlags, transfer } from './transfer.ts';

interface PutFlags extends TransferFlags {
  readonly folders?: boolean;
}

export function addPut(program: Command): void {
  const command = program
    .command('put')
    .description('send files: portico put report.pdf dav://127.0.0.1:8080/dav/shared/')
    .argument('<from-and-url...>', 'files and folders, then where they go; a folder ends with /')
    .option('--folders', 'make the folders on the way')
    .option('--json', 'print a JSON line for each file');
  addTransfer(command).action((given: string[], flags: PutFlags) => put(given, flags));
}

function put(given: string[], flags: PutFlags): Promise<never> {
  const url = given.pop()!;
  if (given.length === 0) fail('say what to send, and where: portico put <file…> <url>', EXIT.usage);
  if (given.length > 1 && !url.endsWith('/')) fail(`${url} is to take several: end it with /`, EXIT.usage);
  return withServer(url, flags, (server, remote) => transfer(server, tasks(given, server, remote, flags), flags));
}

async function* tasks(
  given: readonly string[],
  server: FileServer,
  remote: Remote,
  flags: PutFlags,
): AsyncGenerator<Task> {
  const isInto = server.path === '' || server.path.endsWith('/');
  const folder = isInto ? server.path : parentOf(server.path);
  if (flags.folders === true && folder.replace(/\/+$/, '') !== '') await makeThere(remote, folder);
  for (const here of given) {
    const facts = await localFacts(here);
    const path = isInto ? joined(server.path, basename(resolve(here))) : server.path;
    if (facts === null) throw new TransferError('local', `there is no ${here}`);
    if (facts.kind === 'folder') {
      const options = {
        deletes: false,
        checks: flags.checksum === true,
        copiesAll: flags.continue !== true,
        isDry: false,
      };
      yield* up(remote, here, path, options);
    } else if (facts.kind === 'file') yield { do: 'put', path, here, facts };
    else throw new TransferError('local', `${here} is no file`);
  }
}
