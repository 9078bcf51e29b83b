// `portico ls`: what is in a folder of a server.
import type { Command } from 'commander';
import { type Facts, joined, type Remote, TransferError } from '../transfer/remote.ts';
import { addFileFlags, type FileFlags, withServer } from './file-server.ts';
import { EXIT, visible } from './output.ts';

interface LsFlags extends FileFlags {
  readonly long?: boolean;
  readonly recursive?: boolean;
  readonly json?: boolean;
}

export function addLs(program: Command): void {
  const command = program
    .command('ls')
    .description('list a folder: portico ls --long sftp://ann@localhost:2022/shared/')
    .argument('<url>', 'a folder, or a file')
    .option('--long', 'with kinds, sizes and times')
    .option('--recursive', 'and all below')
    .option('--json', 'print a JSON line for each');
  addFileFlags(command).action((url: string, flags: LsFlags) => ls(url, flags));
}

function ls(url: string, flags: LsFlags): Promise<never> {
  return withServer(url, flags, async ({ path }, remote) => {
    const facts = await remote.stat(path);
    if (facts === null) throw new TransferError('missing', `there is no ${url}`);
    if (facts.kind === 'folder') await list(remote, path, '', flags);
    else show(facts, facts.name, flags);
    return EXIT.ok;
  });
}

async function list(remote: Remote, path: string, below: string, flags: LsFlags): Promise<void> {
  const all = await remote.list(path);
  for (const facts of all.sort((one, other) => (one.name < other.name ? -1 : 1))) {
    const name = below === '' ? facts.name : `${below}/${facts.name}`;
    show(facts, name, flags);
    if (flags.recursive === true && facts.kind === 'folder') await list(remote, joined(path, facts.name), name, flags);
  }
}

function show({ kind, size, modified }: Facts, name: string, { json, long }: LsFlags): void {
  const time = modified < 0 ? null : new Date(modified).toISOString();
  if (json === true) {
    const told = { name, kind, ...(size < 0 ? {} : { size }), ...(time === null ? {} : { modified: time }) };
    process.stdout.write(`${JSON.stringify(told)}\n`);
    return;
  }
  const shown = `${visible(name)}${kind === 'folder' ? '/' : ''}`;
  const sized = (size < 0 ? '-' : String(size)).padStart(14);
  const timed = (time ?? '-').slice(0, 19).padEnd(19);
  process.stdout.write(long === true ? `${kind.padEnd(6)} ${sized} ${timed} ${shown}\n` : `${shown}\n`);
}
