// FTP over the server's accounts, files and way out. One server half belongs to one control connection.
import { type Caller, isExposed } from '../../core/caller.ts';
import { BUSY, OK, type Outcome, UNKNOWN } from '../../core/outcome.ts';
import { type Address, isLoopback } from '../../core/peer.ts';
import type { Pipe, Session } from '../../core/pipe.ts';
import type { Host } from '../../core/protocol.ts';
import type { Instant } from '../../core/time.ts';
import type { TlsPolicy } from '../../core/tls.ts';
import {
  type Credentials,
  isSignInRefusal,
  type SignInRefusal,
  type SignInWaiter,
} from '../../resources/accounts/contract.ts';
import type { Resources } from '../../resources/resources.ts';
import { plainHost } from './codec.ts';
import type { limits } from './limits.ts';
import { FtpSession } from './session.ts';
import type { FtpSettings } from './settings.ts';
import type {
  Algorithm,
  Beginning,
  Change,
  DataWanted,
  FileFacts,
  FolderPages,
  IncomingFile,
  OpenFile,
  Upper,
} from './upper.ts';

export type FtpHost = Host<Resources, typeof limits>;

/** Files as somebody may see them. */
export type FtpFiles = Pick<Upper, 'home' | 'stat' | 'list' | 'change' | 'open' | 'create' | 'hash'>;

const REFUSED: Readonly<Record<SignInRefusal['refused'], readonly [Outcome, string]>> = {
  wrong: [UNKNOWN, 'This name and password are not known.'],
  locked: [BUSY, 'Too many sign-ins failed: try again later.'],
  plaintext: [UNKNOWN, 'A password in the clear over a network was not looked at: say AUTH TLS first.'],
  busy: [BUSY, 'Too many sign-ins are being checked: try again.'],
};

/** Names by which nobody in particular comes (RFC 1635). */
const ANONYMOUS: ReadonlySet<string> = new Set(['anonymous', 'ftp']);

export class FtpServer implements Upper, SignInWaiter {
  readonly tls: TlsPolicy | null;
  readonly advertised: string;
  private readonly host: FtpHost;
  private readonly settings: FtpSettings;
  private readonly pipe: Pipe;
  private readonly filesOf: (caller: Caller, readOnly: boolean) => FtpFiles;
  private files: FtpFiles = NO_FILES;
  private signing: ((answer: Caller | SignInRefusal) => void) | null = null;
  private signIns = 0;
  private over = false;

  constructor(
    pipe: Pipe,
    host: FtpHost,
    settings: FtpSettings,
    filesOf: (caller: Caller, readOnly: boolean) => FtpFiles,
  ) {
    this.pipe = pipe;
    this.host = host;
    this.settings = settings;
    this.filesOf = filesOf;
    this.advertised = settings.advertised ?? '';
    const { startTls = null } = host;
    // Who was within TLS before has a session that goes on by the keys of the whole server.
    this.tls = startTls === null || pipe.peer.tls !== null ? startTls : ownTerms(startTls, host);
  }

  // ---- who asks ----------------------------------------------------------------------------------------------------

  signIn(name: string, password: string, then: (outcome: Outcome, text: string) => void): void {
    const { accounts } = this.host.resources;
    if (this.settings.anonymous && ANONYMOUS.has(name.toLowerCase())) {
      const nobody = accounts.nobody(this.pipe.peer);
      if (nobody === null) then(UNKNOWN, 'Nobody is let in without a name.');
      else this.enter(nobody, true, then);
      return;
    }
    this.ask({ kind: 'password', account: name, password }, (answer) => {
      if (isSignInRefusal(answer)) then(...REFUSED[answer.refused]);
      else this.enter(answer, false, then);
    });
  }

  signInByCertificate(name: string, then: (signedIn: boolean) => void): void {
    const certificate = this.pipe.peer.tls?.certificate ?? null;
    if (certificate === null || this.host.resources.accounts.open) then(false);
    else
      this.ask({ kind: 'certificate', certificate, account: name }, (answer) => {
        if (isSignInRefusal(answer)) then(false);
        else this.enter(answer, false, () => then(true));
      });
  }

  private ask(credentials: Credentials, then: (answer: Caller | SignInRefusal) => void): void {
    const number = ++this.signIns;
    this.signing = (answer) => {
      this.signing = null;
      then(answer);
    };
    const answer = this.host.resources.accounts.signIn(credentials, this.pipe.peer, 'ftp', this, number);
    if (answer !== null) this.signedIn(number, answer);
  }

  signedIn(number: number, answer: Caller | SignInRefusal): void {
    if (number === this.signIns && !this.over) this.signing?.(answer);
  }

  private enter(caller: Caller, readOnly: boolean, then: (outcome: Outcome, text: string) => void): void {
    this.pipe.signedIn(caller);
    this.files = this.filesOf(caller, readOnly);
    then(OK, '');
  }

  signOut(): void {
    this.files = NO_FILES;
  }

  // ---- files -------------------------------------------------------------------------------------------------------

  home(then: (path: string) => void): void {
    this.files.home((path) => {
      if (!this.over) then(path);
    });
  }

  stat(path: string, uploads: boolean, then: (outcome: Outcome, facts: FileFacts | null) => void): void {
    this.files.stat(path, uploads, (...given) => {
      if (!this.over) then(...given);
    });
  }

  list(path: string, then: (outcome: Outcome, folder: FolderPages | null) => void): void {
    this.files.list(path, (outcome, folder) => {
      if (this.over) folder?.close();
      else then(outcome, folder);
    });
  }

  change(change: Change, then: (outcome: Outcome) => void): void {
    this.files.change(change, (outcome) => {
      if (!this.over) then(outcome);
    });
  }

  open(path: string, then: (outcome: Outcome, file: OpenFile | null) => void): void {
    this.files.open(path, (outcome, file) => {
      if (this.over) file?.close();
      else then(outcome, file);
    });
  }

  create(
    path: string,
    beginning: Beginning,
    offset: number,
    then: (outcome: Outcome, file: IncomingFile | null) => void,
  ): void {
    this.files.create(path, beginning, offset, (outcome, file) => {
      if (this.over) file?.suspend();
      else then(outcome, file);
    });
  }

  hash(
    path: string,
    algorithm: Algorithm,
    start: number,
    end: number,
    then: (outcome: Outcome, hex: string, end: number) => void,
  ): void {
    this.files.hash(path, algorithm, start, end, (...given) => {
      if (!this.over) then(...given);
    });
  }

  // ---- data connections --------------------------------------------------------------------------------------------

  listen(from: Address, until: Instant, wanted: DataWanted): void {
    const { reach } = this.host;
    const failed = () => {
      if (!this.over) wanted.failed();
    };
    const connected = (pipe: Pipe) => {
      pipe.speaks('ftp-data');
      return wanted.connected(pipe);
    };
    void reach.listenOnce(this.settings.passivePorts, from, until, connected, failed).then((port) => {
      if (!this.over) wanted.listening(port);
    });
  }

  dial(to: Address, wanted: DataWanted): () => void {
    const connected = (pipe: Pipe) => {
      pipe.speaks('ftp-data');
      return wanted.connected(pipe);
    };
    return this.host.reach.dial({ ...to, back: true }, null, connected, () => {
      if (!this.over) wanted.failed();
    });
  }

  knowsHost(name: string): boolean {
    const { local } = this.pipe.peer;
    const literal = /^\[(.+)\]$/.exec(name)?.[1];
    if (local !== null && plainHost(literal ?? name) === plainHost(local.host)) return true;
    if (name === 'localhost' && (local === null || isLoopback(local.host))) return true;
    return this.settings.hosts.includes(name);
  }

  gone(): void {
    this.over = true;
    this.signing = null;
    this.files = NO_FILES;
  }

  /** What is said can be read on the way. */
  get isExposed(): boolean {
    return isExposed(this.pipe.peer);
  }
}

/** A control connection's own terms of TLS: who goes on with one of its sessions has been on it. */
function ownTerms(terms: TlsPolicy, { entropy }: Pick<FtpHost, 'entropy'>): TlsPolicy {
  const ticketKeys = new Uint8Array(48);
  entropy.fill(ticketKeys);
  return { ...terms, ticketKeys };
}

const NO_FILES: FtpFiles = {
  home: (then) => then(''),
  stat: (_path, _uploads, then) => then(UNKNOWN, null),
  list: (_path, then) => then(UNKNOWN, null),
  change: (_change, then) => then(UNKNOWN),
  open: (_path, then) => then(UNKNOWN, null),
  create: (_path, _beginning, _offset, then) => then(UNKNOWN, null),
  hash: (_path, _algorithm, _start, _end, then) => then(UNKNOWN, '', 0),
};

/** FTP on a control connection. `implicit`: TLS comes first (port 990). */
export function serveFtp(
  pipe: Pipe,
  host: FtpHost,
  settings: FtpSettings,
  implicit: boolean,
  filesOf: (caller: Caller, readOnly: boolean) => FtpFiles,
): Session {
  const { limits, software } = host;
  const { requireTls, protectData, resumeData } = settings;
  const rules = { requireTls, protectData, resumeData };
  const options = { limits, rules, software, implicit, clock: () => host.clock };
  return new FtpSession(pipe, options, () => new FtpServer(pipe, host, settings, filesOf));
}
