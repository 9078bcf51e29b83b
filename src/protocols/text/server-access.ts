// Who a connection of IMAP or POP3 is, over the server's accounts, and what it asks of them and of the mail. It does not know
// commands.
import { type Caller, isExposed } from '../../core/caller.ts';
import { OK, type Outcome } from '../../core/outcome.ts';
import type { Pipe } from '../../core/pipe.ts';
import { type Host, reportBug } from '../../core/protocol.ts';
import type { TlsPolicy } from '../../core/tls.ts';
import {
  type Credentials,
  isSignInRefusal,
  type SignInRefusal,
  type SignInWaiter,
} from '../../resources/accounts/contract.ts';
import type { Mail } from '../../resources/mail/contract.ts';
import type { Resources } from '../../resources/resources.ts';
import { beginSasl, mechanisms } from './sasl.ts';

/** Told how a sign-in went: OK, or why not with the words for it. */
export type SignedIn = (outcome: Outcome, text: string) => void;

type AccessHost = Pick<Host<Resources>, 'resources' | 'startTls' | 'log' | 'bug'>;

export abstract class MailAccess implements SignInWaiter {
  readonly tls: TlsPolicy | null;
  protected readonly mail: Mail | null;
  protected caller: Caller | null = null;
  private readonly accessHost: AccessHost;
  private readonly pipe: Pipe;
  private signing: SignedIn | null = null;
  private signIns = 0;
  private over = false;
  protected abstract readonly protocol: 'imap' | 'pop3';
  /** The protocol's own words for each refusal. */
  protected abstract readonly refusals: Readonly<
    Record<SignInRefusal['refused'], readonly [outcome: Outcome, text: string]>
  >;

  constructor(pipe: Pipe, host: AccessHost, mail: Mail | null) {
    this.pipe = pipe;
    this.accessHost = host;
    this.mail = mail;
    this.tls = host.startTls ?? null;
  }

  get isExposed(): boolean {
    return isExposed(this.pipe.peer);
  }

  /** What was made for a session that is gone meanwhile is undone. */
  get isOver(): boolean {
    return this.over;
  }

  signIn(credentials: Credentials, then: SignedIn): void {
    const number = ++this.signIns;
    this.signing = then;
    const { accounts } = this.accessHost.resources;
    const answer = accounts.signIn(credentials, this.pipe.peer, this.protocol, this, number);
    if (answer !== null) this.signedIn(number, answer);
  }

  signedIn(number: number, answer: Caller | SignInRefusal): void {
    const { signing } = this;
    if (number !== this.signIns || this.over || signing === null) return;
    this.signing = null;
    if (isSignInRefusal(answer)) signing(...this.refusals[answer.refused]);
    else {
      this.caller = answer;
      this.pipe.signedIn(answer);
      signing(OK, '');
    }
  }

  /** Tells what comes of a promise, unless the session is gone then; `failed` of one that was rejected. */
  ask<Value>(promise: Promise<Value>, failed: Value | Outcome, then: (value: Value | Outcome) => void): void {
    promise.then(
      (value) => {
        if (!this.over) then(value);
      },
      (error: unknown) => {
        this.bug(error);
        if (!this.over) then(failed);
      },
    );
  }

  bug(error: unknown): void {
    reportBug(this.accessHost, error, this.protocol, { pipe: this.pipe.id });
  }

  gone(): void {
    this.over = true;
    this.signing = null;
  }
}

/** What a session is told of its server: its bounds, its name, and how one signs in to it. */
export function mailSessionOptions<Limits>(host: Host<Resources> & { readonly limits: Limits }) {
  const { accounts } = host.resources;
  const terms = {
    scramOf: (account: string) => accounts.scramOf(account),
    entropy: host.entropy,
    get open() {
      return accounts.open;
    },
  };
  return {
    limits: host.limits,
    software: host.software,
    mechanisms: mechanisms(terms),
    begin: (mechanism: string) => beginSasl(mechanism, terms),
    clock: () => host.clock,
  };
}
