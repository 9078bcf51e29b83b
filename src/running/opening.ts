// Opens the resources of a server in the order in which they need one another, and closes them in the other.

import type { Config } from '../config.ts';
import type { Log } from '../core/log.ts';
import type { Reach } from '../core/reach.ts';
import type { StoredAccounts } from '../resources/accounts/accounts.ts';
import type { StoredMail } from '../resources/mail/mail.ts';
import type { Resources } from '../resources/resources.ts';
import { announceEvent } from '../resources/topics/events.ts';
import { type OpenTopics, openTopics } from '../resources/topics/topics.ts';
import { openHostKeys } from '../security/host-keys.ts';
import { isLoopbackHost, type serverTurn } from '../server/server.ts';
import type { Engine } from '../storage/engine.ts';
import { MemoryEngine } from '../storage/memory/engine.ts';
import { SqliteEngine } from '../storage/sqlite/engine.ts';
import { openServerFiles } from './filing.ts';
import { Arrivals } from './mail/arrivals.ts';
import { MailProofs } from './mail/mail-proofs.ts';
import { beginReactions } from './mail/mail-reactions.ts';
import { beginRelaying, openServerMail } from './mail/mailing.ts';
import { type Naming, openServerNames } from './names/naming.ts';
import { Serving } from './services/serving.ts';
import type { Certified } from './trust/certified.ts';
import { openServerAccounts } from './trust/signing-in.ts';

/** Something that Portico will not do; the message says why and what to do instead. */
export class RefusedError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'RefusedError';
  }
}

export interface OpeningOptions {
  readonly engine: Engine;
  readonly turn: ReturnType<typeof serverTurn>;
  readonly log: Log;
  readonly certified: Certified | null;
  readonly reach: () => Reach;
  /** Services are loaded again when a file of theirs changes. */
  readonly watch: boolean;
}

/** The resources of a running server. */
export interface Opened {
  readonly resources: Resources;
  readonly accounts: StoredAccounts;
  readonly topics: OpenTopics;
  readonly naming: Naming;
  readonly serving: Serving;
  readonly mail: StoredMail;
  /** The listeners stand, and mail may leave. */
  relay(config: Config, reach: Reach): Promise<void>;
  close(): Promise<void>;
}

/** Throws what the configuration or the store has against it; nothing is left open then. */
export async function openResources(config: Config, options: OpeningOptions): Promise<Opened> {
  const closers: (() => unknown)[] = [];
  const close = async () => {
    for (const each of closers.splice(0).toReversed()) await each();
  };
  try {
    return { ...(await openEach(config, options, closers)), close };
  } catch (error) {
    await close();
    throw error;
  }
}

async function openEach(
  config: Config,
  { engine, turn, log, certified, reach, watch }: OpeningOptions,
  closers: (() => unknown)[],
): Promise<Omit<Opened, 'close'>> {
  const exposed = beyondLoopback(config) !== null;
  const accounts = await openServerAccounts(config, { engine, turn, log, exposed, reach });
  closers.push(() => accounts.close());
  const topics = await openServerTopics(config, engine, turn, log, accounts);
  closers.push(() => topics.close());
  accounts.audit.told = (entry) => announceEvent(topics, 'accounts/audit', entry);
  refuseStrangers(config, accounts);
  if (!accounts.open) topics.endNameless();
  const files = await openServerFiles(config, { engine, turn, accounts, topics });
  closers.push(() => files.close());
  const proofs = await MailProofs.open(config, () => turn.clock.wall, log);
  const arrivals = new Arrivals(turn, topics);
  closers.push(() => arrivals.close());
  const mail = await openServerMail(config, { engine, turn, accounts, topics, log, proofs, arrivals });
  closers.push(() => mail.close());
  const naming = await openServerNames(config, {
    engine,
    turn,
    accounts,
    topics,
    log,
    mailKeys: proofs?.records ?? [],
  });
  closers.push(() => naming.close());
  const known = { names: naming.names, find: naming.lookup.find.bind(naming.lookup) };
  const serving = await Serving.open(config, { turn, log, accounts, topics, files, mail, naming: known, watch });
  closers.push(() => serving.close());
  const speaksSsh = config.protocols.ssh?.enabled !== false;
  const resources: Resources = {
    accounts,
    topics,
    files,
    mail,
    services: serving.services,
    names: naming.names,
    ...(certified === null ? {} : { certificates: certified.issuing }),
    ...(speaksSsh ? { hostKeys: openHostKeys(config.storage === 'memory' ? null : config.data, log) } : {}),
  };
  const lookup = naming.lookup;
  proofs?.begin(lookup);
  const relay = async (settings: Config, way: Reach) => {
    const relaying = beginRelaying(settings, mail, { turn, log, lookup, proofs, reach: way });
    closers.push(() => relaying?.close());
    const reactions = beginReactions(settings, { turn, log, mail, topics, reach: way });
    closers.push(() => reactions.close());
    await reactions.ready;
  };
  return { resources, accounts, topics, naming, serving, mail, relay };
}

/** The first key of the configuration that names an address beyond this machine, with that address. */
function beyondLoopback(config: Config): { readonly key: string; readonly host: string } | null {
  const named: [string, readonly string[]][] = [['hosts', config.hosts]];
  for (const [name, listener] of Object.entries(config.protocols))
    if (listener?.hosts !== undefined) named.push([`protocols.${name}.hosts`, listener.hosts]);
  for (const [index, { hosts }] of config.shared.entries())
    if (hosts !== undefined) named.push([`shared.${index}.hosts`, hosts]);
  for (const [key, hosts] of named) {
    const host = hosts.find((each) => !isLoopbackHost(each));
    if (host !== undefined) return { key, host };
  }
  return null;
}

/** While there was no account, everybody who reached a listener would be nobody: then it is only this machine that may. */
function refuseStrangers(config: Config, accounts: StoredAccounts): void {
  const beyond = beyondLoopback(config);
  if (beyond !== null && !accounts.store.ever)
    throw new RefusedError(
      `${beyond.key} has ${beyond.host}, which is reached from beyond this machine, and there are no accounts. ` +
        'Make the first with portico account add <name>, or listen on 127.0.0.1 and ::1.',
    );
}

function openServerTopics(
  { topics: { history } }: Config,
  engine: Engine,
  turn: ReturnType<typeof serverTurn>,
  log: Log,
  { permissions }: StoredAccounts,
): Promise<OpenTopics> {
  const policies = history === undefined ? {} : { policies: history as never };
  return openTopics({ engine, turn, log, permissions, ...policies });
}

export async function openEngine(
  config: Config,
  log: Log,
  onFatal: ((error: Error) => void) | undefined,
): Promise<Engine> {
  if (config.storage === 'memory') return new MemoryEngine();
  return SqliteEngine.open(config.data, {
    onFatal: (error: Error) => {
      log.error('the store is damaged; restore the data folder from a backup', { error: error.message });
      onFatal?.(error);
    },
  });
}
