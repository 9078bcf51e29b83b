// Compiles the load generators with the machine's C compiler, each once a run, into a temporary folder.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { locate, MissingError } from './processes.ts';

const SOURCES = fileURLToPath(new URL('./load/', import.meta.url));

export class Compiler {
  private readonly folder: string;
  private readonly done = new Map<string, string>();

  constructor(folder: string) {
    this.folder = folder;
  }

  /** The path of the program made of `load/<name>.c`. */
  program(name: string): string {
    const ready = this.done.get(name);
    if (ready !== undefined) return ready;
    const compiler = locate(process.env.CC ?? 'cc');
    if (compiler === null)
      throw new MissingError('there is no C compiler (cc) for the load generators (Debian: gcc and libc6-dev)');
    const path = join(this.folder, `load-${name}`);
    const { status, stderr } = spawnSync(compiler, ['-O2', '-o', path, join(SOURCES, `${name}.c`)], {
      encoding: 'utf8',
      timeout: 60_000,
    });
    if (status !== 0) throw new Error(`load/${name}.c does not compile here: ${stderr}`);
    this.done.set(name, path);
    return path;
  }
}
