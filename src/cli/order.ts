// How the commands give orders about accounts, tokens and rules: to the server that runs on the data folder, so that they
// hold at once; to the store itself while none runs.
import { existsSync } from 'node:fs';
import type { Command } from 'commander';
import { type Config, ConfigError } from '../config.ts';
import { callControl } from '../control/client.ts';
import { controlPath } from '../control/place.ts';
import { SILENT } from '../core/log.ts';
import { openAccounts } from '../resources/accounts/accounts.ts';
import { Desk } from '../resources/accounts/desk.ts';
import type { Answer } from '../resources/accounts/orders.ts';
import { Rules } from '../resources/accounts/rules/rules.ts';
import { SqliteEngine } from '../storage/sqlite/engine.ts';
import { lockHolder } from '../storage/sqlite/lock.ts';
import { addPlaceFlags, configured, type PlaceFlags } from './configured.ts';
import { controlTurn, unreachable } from './control-call.ts';
import { EXIT, fail } from './output.ts';

export interface OrderFlags extends PlaceFlags {
  readonly json?: boolean;
}

export type OrderFields = Readonly<Record<string, unknown>>;

/** The flags of a command that gives orders. */
export function addOrderFlags(command: Command): Command {
  return addPlaceFlags(command).option('--json', 'print what came of it as one JSON line');
}

const CODES: Readonly<Record<string, number>> = {
  INVALID: EXIT.usage,
  UNSUPPORTED: EXIT.usage,
  MISSING: EXIT.failed,
  EXISTS: EXIT.failed,
  STALE: EXIT.failed,
  DENIED: EXIT.refused,
};

/** Gives one order. Ends the command with what is wrong where it is not carried out. */
export async function order(flags: PlaceFlags, what: string, fields: OrderFields = {}): Promise<OrderFields> {
  return orders(flags, (give) => give(what, fields));
}

/** Gives orders one after another, to the same server or store; `live`: only to a server that runs. */
export async function orders<Value>(
  flags: PlaceFlags,
  steps: (give: (what: string, fields?: OrderFields) => Promise<OrderFields>) => Promise<Value>,
  { live = false }: { readonly live?: boolean } = {},
): Promise<Value> {
  const config = await configOf(flags);
  const path = controlPath(config);
  const runs =
    config.storage === 'sqlite' ? lockHolder(config.data) !== null : typeof path === 'string' && existsSync(path);
  if (!runs && config.storage === 'memory')
    fail('no server runs here, and what is in memory is gone with it; start one with portico up', EXIT.unavailable);
  if (!runs && live) fail('no server runs here; start one with portico up', EXIT.unavailable);
  if (!runs) return atStore(config, steps);
  if (path instanceof Error) return fail(`a server runs on ${config.data}, but ${path.message}`, EXIT.unavailable);
  const turn = controlTurn();
  return steps(
    (what, fields = {}) =>
      new Promise((resolve) => {
        let answer: Answer | null = null;
        const call = callControl(
          path,
          turn,
          { ask: 'order', order: { do: what, ...fields } },
          {
            said(said) {
              if ('error' in said) fail(said.error, EXIT.usage);
              if ('answer' in said && said.answer === 'order') answer = said.order;
              call.then((hold) => hold.end());
            },
            closed() {
              if (answer === null) fail('the server went away before it answered', EXIT.unavailable);
              else resolve(carriedOut(answer));
            },
          },
        );
        call.catch((error: unknown) => fail(unreachable(path, error), EXIT.unavailable));
      }),
  );
}

async function configOf(flags: PlaceFlags): Promise<Config> {
  try {
    return await configured(flags);
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return fail(text, error instanceof ConfigError ? EXIT.config : EXIT.io);
  }
}

/** Opens the store as the server would, gives the orders and closes it. */
async function atStore<Value>(
  config: Config,
  steps: (give: (what: string, fields?: OrderFields) => Promise<OrderFields>) => Promise<Value>,
): Promise<Value> {
  const turn = controlTurn();
  const engine = await SqliteEngine.open(config.data).catch((error: unknown) => fail(String(error), EXIT.io));
  const options = { engine, turn, log: SILENT, rules: new Rules(config.rules), exposed: false };
  const accounts = await openAccounts(options).catch((error: unknown) => fail(String(error), EXIT.io));
  const desk = new Desk(accounts);
  const close = async () => {
    await accounts.close();
    await engine.close();
    turn.stop();
  };
  const value = await steps(async (what, fields = {}) => {
    const answer = await desk.order({ do: what, ...fields }, 'command');
    if (!answer.ok) await close();
    return carriedOut(answer);
  });
  await close();
  return value;
}

function carriedOut(answer: Answer): OrderFields {
  if (!answer.ok) return fail(answer.error, CODES[answer.outcome] ?? EXIT.io);
  const { ok: _, ...fields } = answer;
  return fields;
}
