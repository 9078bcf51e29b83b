// Who may enter, and what is spoken: CAPABILITY, LOGIN, AUTHENTICATE (RFC 9051 §6.2, RFC 4959), STARTTLS, ID (RFC 2971) and
// ENABLE (RFC 5161), and COMPRESS (RFC 4978).
import { OK, type Outcome } from '../../core/outcome.ts';
import { decodeSasl, type SaslExchange, type SaslStep } from '../text/sasl.ts';
import { DONE, type Step, WAIT } from '../text/session.ts';
import { faults } from './faults.ts';
import { RESPONSES } from './outcomes.ts';
import type { ImapSession } from './session.ts';
import { writeString } from './writer.ts';

const FIRST = 'IMAP4rev2 IMAP4rev1 LITERAL+ SASL-IR ID ENABLE IDLE';
const LATER = [
  'NAMESPACE UIDPLUS MOVE UNSELECT CHILDREN SPECIAL-USE CREATE-SPECIAL-USE LIST-EXTENDED LIST-STATUS STATUS=SIZE',
  'ESEARCH SEARCHRES PARTIAL WITHIN SORT ESORT THREAD=ORDEREDSUBJECT THREAD=REFERENCES CONDSTORE QRESYNC BINARY',
  'UTF8=ACCEPT QUOTA QUOTA=RES-STORAGE COMPRESS=DEFLATE',
].join(' ');

/** Fields of ID that are read. */
const FIELDS_MAX = 30;

export class Access {
  private readonly session: ImapSession;
  private sasl: SaslExchange | null = null;
  /** What is signed in with once the client has answered the last challenge, or why it is refused. */
  private after: Extract<SaslStep, { step: 'shown' }> | string | null = null;
  private failures = 0;

  constructor(session: ImapSession) {
    this.session = session;
  }

  /** What comes next answers a challenge. */
  get isAsking(): boolean {
    return this.sasl !== null;
  }

  forget(): void {
    this.sasl = null;
    this.after = null;
  }

  run(name: string): Step {
    const { session } = this;
    switch (name) {
      case 'CAPABILITY':
        if (!session.said.done()) return session.misread(session.said.fault);
        session.say(`* CAPABILITY ${this.capabilities()}`);
        return session.close('OK Done.');
      case 'ID':
        return this.identify();
      case 'STARTTLS':
        return this.startTls();
      case 'LOGIN':
        return this.login();
      case 'AUTHENTICATE':
        return this.authenticate();
      case 'COMPRESS':
        return this.compress();
      default:
        return this.enable();
    }
  }

  /** A secret would be said in the clear. */
  private get isPlain(): boolean {
    return this.session.upper.isExposed && !this.session.isSecured;
  }

  capabilities(): string {
    const { session } = this;
    if (session.store !== null) return `${FIRST} ${LATER} APPENDLIMIT=${session.store.appendLimit}`;
    const words = [FIRST];
    if (session.upper.tls !== null && !session.isSecured) words.push('STARTTLS');
    if (this.isPlain) words.push('LOGINDISABLED');
    for (const mechanism of this.offered()) words.push(`AUTH=${mechanism}`);
    return words.join(' ');
  }

  /** Those that show no secret are offered everywhere. */
  private offered(): readonly string[] {
    const { mechanisms } = this.session.options;
    return this.isPlain ? mechanisms.filter((name) => name.startsWith('SCRAM-')) : mechanisms;
  }

  private startTls(): Step {
    const { session } = this;
    const { tls } = session.upper;
    if (!session.said.done()) return session.misread(session.said.fault);
    if (session.isSecured) return session.misread('This is within TLS already.');
    if (tls === null) return session.misread('There is no TLS here.');
    session.close('OK Begin.');
    return session.turnToTls(tls);
  }

  private identify(): Step {
    const { session } = this;
    const { said } = session;
    said.space();
    if (said.opens()) {
      for (let fields = 0; said.ok && !said.closes(); fields++) {
        if (fields > FIELDS_MAX) said.bad('ID has too many fields.');
        said.string();
        said.space();
        said.nstring();
        if (said.peek() !== 0x29) said.space();
      }
    } else said.nstring();
    if (!said.done()) return session.misread(said.fault);
    const [name = '', version = ''] = session.options.software.split('/');
    const { out } = session.pipe;
    out.ascii('* ID ("name" ');
    writeString(out, name, false);
    out.ascii(' "version" ');
    writeString(out, version, false);
    out.ascii(')\r\n');
    return session.close('OK Pleased to meet you.');
  }

  /** RFC 5161 §3.1: what is not known is passed over. */
  private enable(): Step {
    const { session } = this;
    const { said } = session;
    const done: string[] = [];
    do {
      said.space();
      const word = said.word();
      if (word === 'CONDSTORE') session.condstore = true;
      else if (word === 'QRESYNC') session.qresync = session.condstore = true;
      else if (word === 'UTF8=ACCEPT') session.isUtf8 = true;
      else if (word === 'IMAP4REV2') session.isRev2 = session.isUtf8 = true;
      else continue;
      done.push(word === 'IMAP4REV2' ? 'IMAP4rev2' : word);
    } while (said.ok && said.peek() === 0x20);
    if (!said.done()) return session.misread(said.fault);
    session.say(`* ENABLED${done.length === 0 ? '' : ` ${done.join(' ')}`}`);
    return session.close('OK Enabled.');
  }

  private compress(): Step {
    const { session } = this;
    const { said } = session;
    said.space();
    const mechanism = said.word();
    if (!said.done()) return session.misread(said.fault);
    if (mechanism !== 'DEFLATE') return session.close('NO [CANNOT] There is no such mechanism here.');
    if (session.isDeflated) return session.close('NO [COMPRESSIONACTIVE] It is compressed already.');
    session.close('OK What follows is compressed.');
    session.deflate();
    return DONE;
  }

  // ---- signing in ----------------------------------------------------------------------------------------------------

  private login(): Step {
    const { session } = this;
    const { said } = session;
    said.space();
    const account = said.astring();
    said.space();
    const password = said.astring();
    if (!said.done()) return session.misread(said.fault);
    if (this.isPlain)
      return session.close('NO [PRIVACYREQUIRED] A password in the clear over a network was not looked at: use TLS.');
    session.upper.signIn({ kind: 'password', account, password }, this.signedIn);
    return WAIT;
  }

  private authenticate(): Step {
    const { session } = this;
    const { said } = session;
    said.space();
    const name = said.word();
    let initial: string | null = null;
    if (said.takes(0x20)) initial = said.astring();
    if (!said.done()) return session.misread(said.fault);
    if (!this.offered().includes(name))
      return session.close(
        this.isPlain ? 'NO [PRIVACYREQUIRED] Not without TLS.' : 'NO [CANNOT] There is no such mechanism here.',
      );
    this.sasl = session.options.begin(name);
    if (this.sasl === null) return session.close('NO [CANNOT] There is no such mechanism here.');
    if (initial !== null) return this.responded(initial);
    session.say('+ ');
    return DONE;
  }

  /** A line that answers a challenge. */
  responded(line: string): Step {
    const { session, sasl, after } = this;
    this.after = null;
    const data = line === '*' ? null : decodeSasl(line);
    if (data === null || sasl === null) {
      this.sasl = null;
      return session.misread(line === '*' ? 'The authentication was cancelled.' : 'That is not base64.');
    }
    if (typeof after === 'string') return this.refused(after);
    if (after !== null) return this.shown(after);
    const step = sasl.step(data);
    if (step.step === 'challenge') return this.challenge(step.data);
    if (step.step === 'refused')
      return this.refused(
        step.outcome === 5 ? 'NO [AUTHENTICATIONFAILED] That is not of the mechanism.' : RESPONSES[step.outcome],
      );
    if (step.last === null) return this.shown(step);
    this.after = step;
    return this.challenge(step.last);
  }

  private challenge(data: Uint8Array): Step {
    this.session.say(`+ ${Buffer.from(data).toString('base64')}`);
    return DONE;
  }

  private shown({ credentials }: Extract<SaslStep, { step: 'shown' }>): Step {
    this.session.upper.signIn(credentials, this.signedIn);
    return WAIT;
  }

  private refused(text: string): Step {
    const { session } = this;
    this.forget();
    session.close(text);
    if (++this.failures >= session.limits.signInsMax) session.breakOff(faults.signInTooMany);
    return DONE;
  }

  private readonly signedIn = (outcome: Outcome, text: string): void => {
    const { session } = this;
    const failure = this.sasl?.failure ?? null;
    if (outcome !== OK && failure !== null) {
      // The client answers it with nothing (RFC 7628 §3.2.3).
      this.after = text;
      this.challenge(failure);
      session.goOn();
      return;
    }
    this.forget();
    if (outcome !== OK) {
      this.refused(text);
      session.goOn();
      return;
    }
    session.upper.open((opened, store) => {
      if (store === null) session.answerWith(opened);
      else {
        session.signedIn(store);
        session.answer(`OK [CAPABILITY ${this.capabilities()}] Welcome.`);
      }
    });
  };
}
