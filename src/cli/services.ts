// `portico services`: the lock of field numbers, what a change would break, and types from a .proto.
import { writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import type { Command } from 'commander';
import { ConfigError } from '../config.ts';
import type { Service } from '../resources/services/contract.ts';
import { isToldShort, type Loaded, type LockFile, loadEntry, stackOf } from '../resources/services/loading.ts';
import { changesOf, LOCK_FILE, type Lock, locked, NO_LOCK, retire, writeLock } from '../resources/services/lock.ts';
import { addPlaceFlags, configured, type PlaceFlags } from './configured.ts';
import { bold, complain, EXIT, fail, green, red } from './output.ts';

interface LockFlags extends PlaceFlags {
  readonly retire?: string[];
}

interface TypesFlags {
  readonly out?: string;
  readonly include?: string[];
}

export function addServices(program: Command): void {
  const services = program
    .command('services')
    .description('services: field numbers that stay, and types from a .proto');
  addPlaceFlags(services.command('check').description('tells what a change would break for clients that know the lock'))
    .argument('[paths...]', 'modules of services (default: those of the configuration)')
    .action((paths: string[], flags: PlaceFlags) => told(() => check(paths, flags)));
  addPlaceFlags(services.command('lock').description(`writes ${LOCK_FILE} beside the services, for version control`))
    .argument('[paths...]', 'modules of services (default: those of the configuration)')
    .option('--retire <place...>', 'give up a field, value, type or method; its number is never given again')
    .action((paths: string[], flags: LockFlags) => told(() => lock(paths, flags)));
  services
    .command('types')
    .description('writes the TypeScript types of a .proto, for protoService')
    .argument('<file>', 'a .proto')
    .option('--out <file>', 'where to (default: beside it, as name.types.ts)')
    .option('--include <folder...>', 'where its imports are looked for')
    .action((file: string, flags: TypesFlags) => told(() => types(file, flags)));
}

/** Runs a command, and tells what is wrong with services or the configuration. */
export async function told(command: () => Promise<number>): Promise<void> {
  try {
    process.exitCode = await command();
  } catch (error) {
    if (error instanceof ConfigError) fail(error.message, EXIT.config);
    fail(isToldShort(error) ? error.message : stackOf(error), EXIT.config);
  }
}

/** The services of these modules, or of the configuration. */
export async function loadAll(paths: readonly string[], flags: PlaceFlags): Promise<Loaded[]> {
  const entries = paths.length > 0 ? paths : (await configured(flags)).services;
  if (entries.length === 0)
    throw new ConfigError(['there are no services: name a module, or list them as `services` in the configuration']);
  const all: Loaded[] = [];
  for (const entry of entries) all.push(await loadEntry(entry, { refuseBreaks: false }));
  return all;
}

async function check(paths: readonly string[], flags: PlaceFlags): Promise<number> {
  let broken = 0;
  let unlocked = 0;
  for (const { name, described, lock, changes } of await loadAll(paths, flags)) {
    const names = described.map(({ service }) => service.name).join(', ');
    process.stdout.write(`${bold(name)} ${names}\n`);
    if (lock.lock === null) {
      unlocked++;
      process.stdout.write(`  there is no ${shown(lock)} yet; portico services lock writes it\n`);
    } else if (changes.length === 0) process.stdout.write(`  ${green('as locked')} in ${shown(lock)}\n`);
    for (const { place, text, breaks } of changes) {
      if (breaks) broken++;
      else unlocked++;
      process.stdout.write(`  ${breaks ? red('breaks') : 'new'} ${place}: ${text}\n`);
    }
  }
  if (broken === 0 && unlocked > 0) process.stdout.write('portico services lock writes down what is new\n');
  return broken === 0 && unlocked === 0 ? EXIT.ok : EXIT.failed;
}

async function lock(paths: readonly string[], flags: LockFlags): Promise<number> {
  const files = new Map<string, { readonly file: LockFile; readonly services: Service[] }>();
  for (const { described, lock: file } of await loadAll(paths, flags)) {
    const known = files.get(file.path);
    const services = described.map(({ service }) => service);
    if (known === undefined) files.set(file.path, { file, services });
    else known.services.push(...services);
  }
  const retired = new Set<string>();
  const written: [LockFile, Lock][] = [];
  let broken = 0;
  for (const { file, services } of files.values()) {
    const next: Record<string, Lock['services'][string]> = { ...(file.lock ?? NO_LOCK).services };
    for (const service of services) {
      const places = flags.retire ?? [];
      const before = next[service.name];
      const [base, unknown] = before === undefined ? [undefined, places] : retire(before, service.name, places);
      for (const place of places) if (!unknown.includes(place)) retired.add(place);
      for (const { place, text, breaks } of changesOf(base, service)) {
        if (!breaks) continue;
        broken++;
        complain(`${place}: ${text}`);
      }
      next[service.name] = locked(base, service);
    }
    written.push([file, { version: 1, services: next }]);
  }
  for (const place of flags.retire ?? [])
    if (!retired.has(place))
      fail(`${place} is in no lock; it is written as portico services check shows it`, EXIT.usage);
  if (broken > 0) return EXIT.failed;
  for (const [file, lock] of written) {
    writeFileSync(file.path, writeLock(lock));
    process.stdout.write(`${shown(file)} has ${Object.keys(lock.services).join(', ')}\n`);
  }
  return EXIT.ok;
}

async function types(file: string, { out, include = [] }: TypesFlags): Promise<number> {
  const [{ readProto }, { protoTypes }] = await Promise.all([
    import('../resources/services/from-proto.ts'),
    import('../resources/services/proto-types.ts'),
  ]);
  const path = out ?? join(dirname(file), `${basename(file, '.proto')}.types.ts`);
  const { services } = readProto(file, include);
  if (services.length === 0) fail(`${file} has no services`, EXIT.config);
  writeFileSync(path, protoTypes(services, basename(file)));
  process.stdout.write(`${relative('.', resolve(path))} has ${services.map(({ name }) => name).join(', ')}\n`);
  return EXIT.ok;
}

function shown({ path }: LockFile): string {
  return relative('.', path);
}
