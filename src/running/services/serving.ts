// The services of a running server: the registry that the protocols are given, filled with what the configuration names, and
// a program's own way to call them.
import { type Config, ConfigError } from '../../config.ts';
import { type Caller, OPERATOR } from '../../core/caller.ts';
import type { Log } from '../../core/log.ts';
import type { Turn } from '../../core/turn.ts';
import type { StoredAccounts } from '../../resources/accounts/accounts.ts';
import { SYSTEM_ENTROPY } from '../../resources/accounts/store.ts';
import type { Files } from '../../resources/files/contract.ts';
import type { Mail } from '../../resources/mail/contract.ts';
import type { NamesServiceParts } from '../../resources/names/service.ts';
import { ownServices } from '../../resources/own-services.ts';
import { type CallSettings, type ClientOf, callOver, clientOver } from '../../resources/services/client.ts';
import type { ServiceDefinition } from '../../resources/services/define.ts';
import { isToldShort, ProgramServices, stackOf } from '../../resources/services/loading.ts';
import { OpenServices } from '../../resources/services/registry.ts';
import type { Topics } from '../../resources/topics/contract.ts';
import { Upstreams, type UpstreamsOptions } from './upstreams.ts';

/** How long a connection may take to leave, where the configuration does not say: calls have half of it. */
const LEAVE_MS = 5_000;

export interface ServingOptions {
  readonly turn: Turn;
  readonly log: Log;
  readonly accounts: StoredAccounts;
  readonly topics: Topics;
  readonly files: Files;
  readonly mail: Mail;
  readonly naming: NamesServiceParts;
  readonly watch: boolean;
}

export class Serving {
  readonly services: OpenServices;
  private readonly program: ProgramServices;
  private upstreams: Upstreams | null = null;
  private readonly leaveMs: number;

  private constructor(config: Config, { turn, log, accounts, topics, files, mail, naming }: ServingOptions) {
    this.services = new OpenServices({ turn, log, permissions: accounts.permissions, limits: limitsOf(config) });
    const wall = () => turn.clock.wall;
    this.services.put(
      'the server itself',
      ownServices({ topics, files, mail, ...naming, entropy: SYSTEM_ENTROPY, wall }),
    );
    this.program = new ProgramServices(this.services, log);
    this.leaveMs = config.limits.leaveMs ?? LEAVE_MS;
    accounts.onRevoked(() => this.services.recheck((caller) => accounts.stands(caller)));
  }

  /** Takes in what the configuration names, and again what changes when it is to be watched. Throws a `ConfigError`. */
  static async open(config: Config, options: ServingOptions): Promise<Serving> {
    if (options.watch && config.services.length === 0)
      throw new ConfigError([
        'there are no services to watch: name them with --service, or as `services` in the configuration',
      ]);
    const serving = new Serving(config, options);
    try {
      await serving.program.load(config.services);
    } catch (error) {
      throw new ConfigError([isToldShort(error) ? error.message : `services: ${stackOf(error)}`]);
    }
    if (options.watch) serving.program.watch();
    return serving;
  }

  /** Asks the upstreams what they have, now that the server stands. */
  reach({ upstreams }: Config, options: Omit<UpstreamsOptions, 'services'>): void {
    if (upstreams.length > 0) this.upstreams = new Upstreams(upstreams, { ...options, services: this.services });
  }

  call(service: string, method: string, input: unknown, settings: ProgramCallSettings = {}) {
    return callOver(this.services.carrier(settings.caller ?? OPERATOR), service, method, input, settings);
  }

  client<Definition extends ServiceDefinition>(
    service: Definition | string,
    caller: Caller = OPERATOR,
  ): ClientOf<Definition> {
    return clientOver(this.services.carrier(caller), typeof service === 'string' ? service : service.name);
  }

  /** No new calls; those that run have their time. */
  leave(): void {
    this.upstreams?.close();
    this.program.close();
    this.services.leave(this.leaveMs / 2);
  }

  close(): void {
    this.program.close();
    this.services.close();
  }
}

/** As any call, and with the rights of somebody else than the operator. */
export interface ProgramCallSettings extends CallSettings {
  readonly caller?: Caller;
}

function limitsOf({ calls }: Config): Record<string, number> {
  return Object.fromEntries(Object.entries(calls).filter((row): row is [string, number] => row[1] !== undefined));
}
