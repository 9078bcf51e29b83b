// `portico backup` and `portico restore`: copies of the data folder, while a server runs.
import type { Command } from 'commander';
import { backUp, type Copied, restore } from '../storage/sqlite/backup.ts';
import { EXIT, fail } from './output.ts';

interface Flags {
  readonly data: string;
  readonly json?: boolean;
}

export function addBackup(program: Command): void {
  program
    .command('backup')
    .description('copy the data folder, while the server runs')
    .argument('<folder>', 'where the copy is made; a new folder')
    .option('--data <folder>', 'the data folder', './portico-data')
    .option('--json', 'say what was copied as one JSON line')
    .action((folder: string, flags: Flags) => say('backed up', folder, flags, () => backUp(flags.data, folder)));
  program
    .command('restore')
    .description('make a data folder of a copy')
    .argument('<folder>', 'the copy')
    .option('--data <folder>', 'the data folder to make; a new one', './portico-data')
    .option('--json', 'say what was copied as one JSON line')
    .action((folder: string, flags: Flags) => say('restored', flags.data, flags, () => restore(folder, flags.data)));
}

function say(what: string, where: string, { json }: Flags, copy: () => Copied): void {
  try {
    const copied = copy();
    const { records, blobs, bytes } = copied;
    if (json === true) process.stdout.write(`${JSON.stringify({ folder: where, ...copied })}\n`);
    else process.stdout.write(`${what} to ${where}: ${records} records, ${blobs} blobs, ${bytes} bytes\n`);
  } catch (error) {
    fail(error instanceof Error ? error.message : String(error), EXIT.io);
  }
}
