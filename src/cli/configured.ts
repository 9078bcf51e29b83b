// The configuration as the commands on a server's own machine read it: flags win over the environment, the environment over
// the file, the file over the defaults.
import type { Command } from 'commander';
import { type Config, ConfigError, checkConfig, environmentConfig, merge, put, readConfigFile } from '../config.ts';

/** What every such command may be told. */
export interface PlaceFlags {
  readonly config?: string;
  readonly data?: string;
  readonly control?: string;
}

/** The flags that say where the server is. */
export function addPlaceFlags(command: Command): Command {
  return command
    .option('--data <folder>', 'where the data is kept (default: ./portico-data)')
    .option('--config <file>', 'a configuration file (default: portico.config.ts, .js, .mjs or .json, if there is one)')
    .option(
      '--control <path>',
      'the Unix socket for portico watch, why and doctor (default: control.sock in the data)',
    );
}

/** Reads it all. Throws a `ConfigError`. */
export async function configured(
  { config, data, control }: PlaceFlags,
  more: Readonly<Record<string, unknown>> = {},
): Promise<Config> {
  const file = await readConfigFile(config ?? process.env.PORTICO_CONFIG, process.cwd());
  // Checked alone first, so that an error says that it is the file's.
  if (file !== null) checkConfig(file.value, file.path);
  const environment = environmentConfig(process.env);
  checkConfig(environment, 'the environment');
  const given: Record<string, unknown> = { ...more };
  if (data !== undefined) given.data = data;
  if (control !== undefined) given.control = control;
  checkConfig(given, 'the command line');
  return checkConfig(merge(merge(file?.value ?? {}, environment), given));
}

/** Puts `--port <protocol>=<port>` where the configuration has it. Throws a `ConfigError`. */
export function putPorts(given: Record<string, unknown>, ports: readonly string[]): void {
  for (const text of ports) {
    const parts = /^([a-z0-9-]+)=(\d+)$/.exec(text);
    if (parts === null)
      throw new ConfigError([`--port ${text} is not of the form <protocol>=<port>, as in --port mqtt=1884`]);
    put(given, ['protocols', parts[1]!, 'port'], Number(parts[2]));
  }
}
