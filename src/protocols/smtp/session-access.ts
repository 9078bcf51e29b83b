// AUTH (RFC 4954): mechanisms, their challenges in base64, and what becomes of a sign-in.
import { latin1 } from '../../bytes/reader.ts';
import { UNKNOWN } from '../../core/outcome.ts';
import type { SignInRefusal } from '../../resources/accounts/contract.ts';
import { decodeSasl, type SaslExchange, type SaslStep } from '../text/sasl.ts';
import { DONE, type Step, WAIT } from '../text/session.ts';
import { faults } from './faults.ts';
import type { SmtpSession } from './session.ts';

const REFUSED: Readonly<Record<SignInRefusal['refused'], readonly [code: number, text: string]>> = {
  wrong: [535, '5.7.8 This name and password are not known.'],
  locked: [454, '4.7.0 Too many sign-ins failed: try again later.'],
  plaintext: [538, '5.7.11 A password in the clear over a network was not looked at: say STARTTLS first.'],
  busy: [454, '4.7.0 Too many sign-ins are being checked: try again.'],
};

export class Access {
  isSignedIn = false;
  private readonly session: SmtpSession;
  private exchange: SaslExchange | null = null;
  /** What is told once the client has answered the last challenge with nothing. */
  private outcome: (() => Step) | null = null;
  private failures = 0;

  constructor(session: SmtpSession) {
    this.session = session;
  }

  /** The next line is an answer to a challenge. */
  get isAsking(): boolean {
    return this.exchange !== null || this.outcome !== null;
  }

  forget(): void {
    this.isSignedIn = false;
    this.exchange = null;
    this.outcome = null;
  }

  begin(argument: string): Step {
    const { session } = this;
    const parts = /^(\S+)(?:\s+(\S+))?$/.exec(argument);
    if (parts === null) return session.say(501, '5.5.4 It is AUTH and a mechanism.');
    if (this.isSignedIn) return session.say(503, '5.5.1 You have signed in.');
    const { mechanisms } = session.upper;
    if (mechanisms.length === 0)
      return session.upper.tls !== null && !session.isSecured
        ? session.say(538, '5.7.11 Say STARTTLS first.')
        : session.say(502, '5.5.1 There is nothing to sign in to.');
    const exchange = session.upper.beginSasl(parts[1]!);
    if (exchange === null) return session.say(504, '5.5.4 That mechanism is not known.');
    this.exchange = exchange;
    const initial = parts[2];
    if (initial !== undefined) return this.response(initial);
    // LOGIN asks for the name by itself, the others for their first message.
    const first = exchange.step;
    if (parts[1]!.toUpperCase() === 'LOGIN') return this.made(first.call(exchange, new Uint8Array(0)));
    return session.say(334, '');
  }

  continue(input: Uint8Array, start: number, stop: number): Step {
    const text = latin1(input, start, stop);
    const { outcome } = this;
    if (outcome !== null) {
      this.outcome = null;
      return outcome();
    }
    if (text === '*') {
      this.exchange = null;
      return this.session.say(501, '5.7.0 It was given up.');
    }
    return this.response(text);
  }

  private response(text: string): Step {
    const data = decodeSasl(text);
    if (data === null) {
      this.exchange = null;
      return this.session.say(501, '5.5.2 That is not base64.');
    }
    return this.made(this.exchange!.step(data));
  }

  private made(step: SaslStep): Step {
    const { session } = this;
    if (step.step === 'challenge') return session.say(334, Buffer.from(step.data).toString('base64'));
    const exchange = this.exchange!;
    this.exchange = null;
    if (step.step === 'refused') {
      this.failed();
      return step.outcome === UNKNOWN
        ? session.say(...REFUSED.wrong)
        : session.say(535, '5.7.8 That is not what the mechanism says.');
    }
    session.upper.signIn(step.credentials, (refused) => {
      const tell = () => this.tell(refused);
      const last = refused === null ? step.last : exchange.failure;
      if (last === null) tell();
      else {
        this.outcome = tell;
        session.reply(334, Buffer.from(last).toString('base64'));
      }
      session.answered();
    });
    return WAIT;
  }

  private tell(refused: SignInRefusal | null): Step {
    if (refused === null) {
      this.isSignedIn = true;
      return this.session.say(235, '2.7.0 Welcome.');
    }
    this.session.reply(...REFUSED[refused.refused]);
    this.failed();
    return DONE;
  }

  private failed(): void {
    if (++this.failures >= this.session.bounds.signInsMax) this.session.breakOff(faults.signInTooMany);
  }
}
