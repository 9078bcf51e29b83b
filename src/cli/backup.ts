// `portico backup` and `portico restore`: copies of the data folder, while a server runs.
import { cpSync, existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Command } from 'commander';
import { CERTIFICATE_FOLDER } from '../security/certificates.ts';
import { DKIM_FOLDER } from '../security/dkim-keys.ts';
import { HOST_KEY_FOLDER } from '../security/host-keys.ts';
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
    .action((folder: string, flags: Flags) =>
      say('backed up', folder, flags, () => withKeys(backUp(flags.data, folder), flags.data, folder)),
    );
  program
    .command('restore')
    .description('make a data folder of a copy')
    .argument('<folder>', 'the copy')
    .option('--data <folder>', 'the data folder to make; a new one', './portico-data')
    .option('--json', 'say what was copied as one JSON line')
    .action((folder: string, flags: Flags) =>
      say('restored', flags.data, flags, () => withKeys(restore(folder, flags.data), folder, flags.data)),
    );
}

/**
 * The local authority and what it issued, the keys by which clients of SSH know the server, and those that its mail is signed with: without
 * them others would have to trust it anew.
 */
const KEY_FOLDERS = [CERTIFICATE_FOLDER, HOST_KEY_FOLDER, DKIM_FOLDER];

function withKeys(copied: Copied, from: string, to: string): Copied {
  for (const folder of KEY_FOLDERS) {
    const source = join(from, folder);
    // Files are written whole under their names, so that a copy has no halves; what begins with a dot is being written.
    if (existsSync(source))
      cpSync(source, join(to, folder), {
        recursive: true,
        filter: (path) => !basename(path).startsWith('.') || path === source,
      });
  }
  return copied;
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
