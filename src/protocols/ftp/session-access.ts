// Who may enter, and how secure what is said must be: USER, PASS, REIN, HOST (RFC 7151) and TLS (RFC 4217).
import { OK } from '../../core/outcome.ts';
import { DONE, type Step, WAIT } from '../text/session.ts';
import { faults } from './faults.ts';
import type { FtpSession } from './session.ts';
import type { FtpRules } from './upper.ts';

export class Access {
  isSignedIn = false;
  /** What USER gave. */
  name = '';
  /** The control connection is within TLS. */
  isSecured = false;
  /** Data travel within TLS: PROT P. */
  protects: boolean;
  private readonly session: FtpSession;
  private readonly rules: FtpRules;
  /** PBSZ was said. */
  private isSized: boolean;
  private isNamed = false;
  private failures = 0;

  constructor(session: FtpSession, rules: FtpRules, implicit: boolean) {
    this.session = session;
    this.rules = rules;
    // There all is within TLS from the first byte, data as well, unless the client says otherwise.
    this.isSized = implicit;
    this.protects = implicit;
  }

  /** Data would travel in the clear where they must not. */
  get needsProtection(): boolean {
    return this.rules.protectData && !this.protects;
  }

  run(verb: string, argument: string): Step {
    switch (verb) {
      case 'USER':
        return this.user(argument);
      case 'PASS':
        return this.password(argument);
      case 'HOST':
        return this.host(argument);
      case 'AUTH':
        return this.auth(argument.toUpperCase());
      case 'PBSZ':
        return this.bufferSize(argument);
      case 'PROT':
        return this.protection(argument.toUpperCase());
      case 'CCC':
        return this.session.say(this.isSecured ? 534 : 533, 'The control connection stays as it is.');
      default:
        return this.reinitialize();
    }
  }

  private user(name: string): Step {
    const { session } = this;
    if (this.rules.requireTls && !this.isSecured) return session.say(530, 'Sign in within TLS: say AUTH TLS first.');
    this.forget();
    this.name = name;
    session.upper.signInByCertificate(name, (signedIn) => {
      if (signedIn) {
        // Nothing else is needed (RFC 4217 §8.2).
        this.enter(232);
        return;
      }
      this.isNamed = true;
      session.reply(331, 'The password, please.');
      session.answered();
    });
    return WAIT;
  }

  private password(password: string): Step {
    const { session, name } = this;
    if (!this.isNamed) return session.say(503, 'Say USER first.');
    this.isNamed = false;
    session.upper.signIn(name, password, (outcome, text) => {
      if (outcome === OK) {
        this.enter(230);
        return;
      }
      session.reply(530, text);
      if (++this.failures >= session.bounds.signInsMax) session.breakOff(faults.signInTooMany);
      session.answered();
    });
    return WAIT;
  }

  private enter(code: number): void {
    const { session } = this;
    session.upper.home((home) => {
      this.isSignedIn = true;
      session.begin(home);
      session.reply(code, `Welcome to /${home}`);
      session.answered();
    });
  }

  private forget(): void {
    if (this.isSignedIn) this.session.upper.signOut();
    this.isSignedIn = false;
    this.isNamed = false;
    this.name = '';
    this.session.forget();
  }

  private host(name: string): Step {
    const { session } = this;
    if (this.isSignedIn || this.isNamed) return session.say(503, 'Say HOST before USER.');
    if (!session.upper.knowsHost(name.toLowerCase())) return session.say(504, 'That is not a name of this server.');
    session.greet();
    return DONE;
  }

  private auth(mechanism: string): Step {
    const { session } = this;
    if (session.upper.tls === null) return session.say(502, 'There is no TLS here.');
    if (this.isSecured) return session.say(503, 'This is within TLS already.');
    // TLS-C is TLS (RFC 4217 §2); SSL would say PROT P with it, which nobody agrees on.
    if (mechanism !== 'TLS' && mechanism !== 'TLS-C') return session.say(504, 'It is AUTH TLS that is known.');
    this.forget();
    session.reply(234, 'Begin with TLS.');
    return session.turnToTls();
  }

  private bufferSize(size: string): Step {
    const { session } = this;
    if (!this.isSecured) return session.say(503, 'Say AUTH TLS first.');
    if (!/^\d{1,10}$/.test(size)) return session.say(501, 'That is no size.');
    this.isSized = true;
    // TLS has its own (RFC 4217 §9).
    return session.say(200, 'PBSZ=0');
  }

  private protection(level: string): Step {
    const { session } = this;
    if (!this.isSecured) return session.say(503, 'Say AUTH TLS first.');
    if (!this.isSized) return session.say(503, 'Say PBSZ 0 first.');
    if (level === 'S' || level === 'E') return session.say(536, 'There are PROT C and PROT P.');
    if (level !== 'C' && level !== 'P') return session.say(504, 'There are PROT C and PROT P.');
    if (level === 'C' && this.rules.protectData) return session.say(534, 'Data travel within TLS here.');
    this.protects = level === 'P';
    return session.say(200, this.protects ? 'Data travel within TLS.' : 'Data travel in the clear.');
  }

  private reinitialize(): Step {
    const { session } = this;
    // It would have to end TLS in the middle (RFC 4217 §11), which nobody does.
    if (this.isSecured) return session.say(502, 'Not within TLS: connect anew.');
    this.forget();
    session.greet();
    return DONE;
  }
}
