// `portico backup` and `portico restore`: copies of the data folder, while a server runs.
import { cpSync, existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Command } from 'commander';
import { CERTIFICATE_FOLDER } from '../security/certificates.ts';
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
      say('backed up', folder, flags, () => withCertificates(backUp(flags.data, folder), flags.data, folder)),
    );
  program
    .command('restore')
    .description('make a data folder of a copy')
    .argument('<folder>', 'the copy')
    .option('--data <folder>', 'the data folder to make; a new one', './portico-data')
    .option('--json', 'say what was copied as one JSON line')
    .action((folder: string, flags: Flags) =>
      say('restored', flags.data, flags, () => withCertificates(restore(folder, flags.data), folder, flags.data)),
    );
}

/** The local authority and what it issued: without it, whoever trusts the root would have to trust another. */
function withCertificates(copied: Copied, from: string, to: string): Copied {
  const source = join(from, CERTIFICATE_FOLDER);
  // Files are written whole under their names, so that a copy has no halves; what begins with a dot is being written.
  if (existsSync(source))
    cpSync(source, join(to, CERTIFICATE_FOLDER), {
      recursive: true,
      filter: (path) => !basename(path).startsWith('.') || path === source,
    });
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
