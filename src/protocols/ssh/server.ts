// SSH over the accounts: who may come in, by password, token or key, and on whose behalf a connection is open from then on.
import { type Caller, callerOf } from '../../core/caller.ts';
import type { Pipe, Session } from '../../core/pipe.ts';
import { type Host, reportBug } from '../../core/protocol.ts';
import {
  type Credentials,
  isSignInRefusal,
  type SignInRefusal,
  type SignInWaiter,
} from '../../resources/accounts/contract.ts';
import type { Resources } from '../../resources/resources.ts';
import { SshLibrary } from './library.ts';
import type { limits } from './limits.ts';
import { type Door, type Shown, SshSession } from './session.ts';

export type SshHost = Host<Resources, typeof limits>;

/** One for all connections of a server. */
const libraries = new WeakMap<Resources, SshLibrary>();

function libraryOf({ resources, software }: SshHost): SshLibrary {
  let library = libraries.get(resources);
  if (library === undefined) libraries.set(resources, (library = new SshLibrary(resources.hostKeys ?? [], software)));
  return library;
}

class AccountsDoor implements Door, SignInWaiter {
  private readonly host: SshHost;
  private readonly pipe: Pipe;
  caller: Caller | null = null;
  private decided: ((admitted: boolean) => void) | null = null;

  constructor(host: SshHost, pipe: Pipe) {
    this.host = host;
    this.pipe = pipe;
  }

  admits(account: string, shown: Shown, decided: (admitted: boolean) => void): void {
    const { accounts } = this.host.resources;
    const { peer } = this.pipe;
    if (accounts.open || shown.kind === 'none') {
      // Without a word, clients only ask how they may sign in; in open mode nobody has to.
      const nobody = accounts.open || account === 'anonymous' ? accounts.nobody(peer) : null;
      const named = accounts.open && nobody !== null ? callerOf(peer, account, accounts.permissions.epoch) : nobody;
      this.answer(named, decided);
      return;
    }
    const credentials: Credentials =
      shown.kind === 'password'
        ? { kind: 'password', account, password: shown.password }
        : { kind: 'key', account, key: shown.key };
    this.decided = decided;
    const answer = accounts.signIn(credentials, peer, 'ssh', this, 0);
    if (answer !== null) this.signedIn(0, answer);
  }

  signedIn(_token: number, answer: Caller | SignInRefusal): void {
    const { decided } = this;
    this.decided = null;
    if (decided !== null) this.answer(isSignInRefusal(answer) ? null : answer, decided);
  }

  private answer(caller: Caller | null, decided: (admitted: boolean) => void): void {
    this.caller = caller;
    if (caller !== null) this.pipe.signedIn(caller);
    decided(caller !== null);
  }
}

export function serveSsh(pipe: Pipe, host: SshHost): Session {
  return new SshSession(pipe, {
    limits: host.limits,
    clock: host.clock,
    library: libraryOf(host),
    subsystems: host.alternatives ?? [],
    door: new AccountsDoor(host, pipe),
    ciphers: host.ciphers,
    bug: (error, where) => reportBug(host, error, where, { connection: pipe.id }),
  });
}
