// The accounts of a server as its configuration has them: with the rules that it names and the issuers that it trusts,
// whose keys are fetched over the server's own way out.
import { issuerPlans } from '../../config/accounts.ts';
import type { Config } from '../../config.ts';
import type { Log } from '../../core/log.ts';
import type { Reach } from '../../core/reach.ts';
import type { Turn } from '../../core/turn.ts';
import { openAccounts, type StoredAccounts } from '../../resources/accounts/accounts.ts';
import { type FetchKeys, Issuers } from '../../resources/accounts/issuers.ts';
import { Rules } from '../../resources/accounts/rules/rules.ts';
import { SYSTEM_ENTROPY } from '../../resources/accounts/store.ts';
import type { Engine } from '../../storage/engine.ts';
import { Asker } from '../asking.ts';

const KEYS_BYTES_MAX = 262_144;
const KEYS_MS = 10_000;

export interface SigningInParts {
  readonly engine: Engine;
  readonly turn: Turn;
  readonly log: Log;
  /** Whether a listener can be reached from beyond this machine. */
  readonly exposed: boolean;
  /** The way out, asked for when keys are first fetched. */
  readonly reach: () => Reach;
}

/** Opens the accounts. Rejects when they cannot be read. */
export function openServerAccounts(config: Config, parts: SigningInParts): Promise<StoredAccounts> {
  const { engine, turn, log, exposed } = parts;
  const plans = issuerPlans(config.accounts);
  const foreign = plans.length === 0 ? null : new Issuers(plans, fetchOver(parts), SYSTEM_ENTROPY, log);
  const plaintext = config.accounts.plaintext === 'allow';
  return openAccounts({ engine, turn, log, rules: new Rules(config.rules), exposed, plaintext, foreign });
}

function fetchOver({ reach, turn }: SigningInParts): FetchKeys {
  let asker: Asker | null = null;
  return async (url) => {
    asker ??= new Asker(reach(), turn);
    const fields = { accept: 'application/jwk-set+json, application/json' };
    const { status, body } = await asker.ask(url, { bytesMax: KEYS_BYTES_MAX, withinMs: KEYS_MS, fields });
    if (status !== 200) throw new Error(`${url} answered ${status}`);
    return JSON.parse(body.toString()) as unknown;
  };
}
