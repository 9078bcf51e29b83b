// Where the control socket of a configuration is. The server and the commands ask here, so that they agree.
import { join } from 'node:path';

export interface ControlPlace {
  readonly data: string;
  readonly storage: 'sqlite' | 'memory';
  readonly control?: string | false | undefined;
}

/** The socket's path; or, as an error, why there is none and what to do. */
export function controlPath({ data, storage, control }: ControlPlace): string | Error {
  if (process.platform === 'win32') return new Error('there are no Unix sockets on Windows, so nobody can watch there');
  if (control === false) return new Error('the configuration has no control socket; leave `control: false` out');
  if (control !== undefined) return control;
  if (storage === 'sqlite') return join(data, 'control.sock');
  return new Error('in memory there is no data folder for the control socket; name a path with --control <path>');
}
