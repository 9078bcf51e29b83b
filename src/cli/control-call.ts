// How the commands ask the server of a configuration over its control socket.

import { ConfigError } from '../config.ts';
import { type ControlCall, type ControlHold, callControl } from '../control/client.ts';
import { controlPath } from '../control/place.ts';
import type { Ask } from '../control/words.ts';
import { NODE_LOOP, TurnLoop } from '../server/turn.ts';
import { configured, type PlaceFlags } from './configured.ts';
import { EXIT, fail } from './output.ts';

/** The socket of the configuration. Ends the command where there cannot be one. */
export async function controlPlace(flags: PlaceFlags): Promise<string> {
  try {
    const path = controlPath(await configured(flags));
    return path instanceof Error ? fail(path.message, EXIT.unavailable) : path;
  } catch (error) {
    return fail(
      error instanceof Error ? error.message : String(error),
      error instanceof ConfigError ? EXIT.config : EXIT.io,
    );
  }
}

/** Asks, or ends the command with what is in the way. */
export async function askControl(path: string, ask: Ask, call: ControlCall): Promise<ControlHold> {
  try {
    return await callControl(path, controlTurn(), ask, call);
  } catch (error) {
    return fail(unreachable(path, error), EXIT.unavailable);
  }
}

export function controlTurn(): TurnLoop {
  return new TurnLoop(NODE_LOOP, (error) => {
    throw error;
  });
}

/** Why nobody answered, and what to do. */
export function unreachable(path: string, error: unknown): string {
  const why = error instanceof Error ? error.message : String(error);
  if (/ENOENT/.test(why))
    return `no server runs here: ${path} is not there; start one with portico up, or name its folder with --data`;
  if (/ECONNREFUSED/.test(why))
    return `no server runs here: nobody listens on ${path} any more; start one with portico up`;
  if (/EACCES|EPERM/.test(why)) return `this user may not open ${path}: only the one who runs the server may`;
  return `${path}: ${why}`;
}

/** `10s`, `500ms`, `2m`, `1h` in milliseconds. Ends the command when it is none. */
export function durationOf(name: string, text: string | undefined): number | null {
  if (text === undefined) return null;
  const parts = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text);
  const units: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 };
  const ms = parts === null ? Number.NaN : Number(parts[1]) * units[parts[2]!]!;
  // A longer timer would fire at once.
  if (ms > 0 && ms <= 0x7fff_ffff) return ms;
  return fail(`--${name} is ${text}; it is a time of up to 24 days: 500ms, 10s, 2m or 1h`, EXIT.usage);
}
