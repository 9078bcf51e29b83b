// Modules of services, imported anew each time they change: each time with another `?portico=`, which their local imports
// take over, so that the whole program of a service is new and nothing of another's is. What it imports is written down, so
// that it can be watched.
import { existsSync } from 'node:fs';
import { registerHooks } from 'node:module';
import { dirname, extname, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

/** A module that cannot be used as one of services; the message has the mend. */
export class ServiceModuleError extends Error {
  constructor(path: string, text: string) {
    super(`${path}: ${text}`);
    this.name = 'ServiceModuleError';
  }
}

export interface Imported {
  readonly value: unknown;
  /** The module's own file, and what it imported of the same program. */
  readonly files: readonly string[];
}

const MARK = 'portico';
/** Files below are Portico's own, and stay as they are. */
const OWN = new URL('../../', import.meta.url).href;
const OWN_EXTENSION = extname(import.meta.url);
const OWN_MODULE = new URL(`../../portico${OWN_EXTENSION}`, import.meta.url).href;
const OWN_ZOD = import.meta.resolve('zod');

/** What was imported under a mark. */
const imported = new Map<string, Set<string>>();
let last = 0;
let isHooked = false;

/** Imports a module of services as it is now. Throws `ServiceModuleError`, or what the module throws. */
export async function importServices(given: string): Promise<Imported> {
  const path = resolve(given);
  if (!existsSync(path)) throw new ServiceModuleError(given, 'there is no such file');
  if (extname(path) === '.proto')
    throw new ServiceModuleError(
      given,
      'a .proto has no handlers: name a module with protoService(…), as docs/services.md has it',
    );
  hook();
  last += 1;
  const mark = String(last);
  const files = new Set([path]);
  imported.set(mark, files);
  try {
    const module = (await import(`${pathToFileURL(path).href}?${MARK}=${mark}`)) as { readonly default?: unknown };
    if (module.default === undefined)
      throw new ServiceModuleError(given, 'it has no default export; write `export default defineService({ … })`');
    return { value: module.default, files: [...files] };
  } finally {
    imported.delete(mark);
  }
}

function hook(): void {
  if (isHooked) return;
  isHooked = true;
  registerHooks({
    resolve(specifier, context, next) {
      const mark = markOf(context.parentURL);
      if (mark === null) return next(specifier, context);
      if (specifier === 'portico') return next(OWN_MODULE, context);
      const resolved = specifier === 'zod' ? zodOf(() => next(specifier, context), next) : next(specifier, context);
      if (!isOfProgram(specifier, resolved.url)) return resolved;
      imported.get(mark)?.add(fileURLToPath(resolved.url));
      return { ...resolved, url: `${resolved.url}?${MARK}=${mark}` };
    },
  });
}

/** The program's own zod, or ours where it has none. */
function zodOf<Resolved>(own: () => Resolved, next: (specifier: string) => Resolved): Resolved {
  try {
    return own();
  } catch {
    return next(OWN_ZOD);
  }
}

function markOf(parent: string | undefined): string | null {
  return parent === undefined ? null : (/[?&]portico=(\d+)/.exec(parent)?.[1] ?? null);
}

/** A text that names files as they are called on disk. */
export function unmarked(text: string): string {
  return text.replace(/\?portico=\d+/g, '');
}

/** Whether an error that nobody caught was thrown by a program's service, as far as its stack tells. */
export function isOfServices(error: unknown): boolean {
  return error instanceof Error && error.stack !== undefined && error.stack.includes(`?${MARK}=`);
}

/** What belongs to the program that a service is: not packages, not Node, not Portico itself. */
function isOfProgram(specifier: string, url: string): boolean {
  const isLocal = /^(?:\.{0,2}\/|file:|#)/.test(specifier);
  return isLocal && url.startsWith('file:') && !url.startsWith(OWN) && !url.includes('/node_modules/');
}

/** Folders in which files of a program lie. */
export function foldersOf(files: readonly string[]): Set<string> {
  return new Set(files.map((file) => dirname(file)));
}
