// APPEND (RFC 9051 §6.3.12, RFC 6855 §4, RFC 7889): the message goes to the mailbox as it comes, at the pace at which that takes
// it, and is there once it is answered.
import { MISSING, OK } from '../../core/outcome.ts';
import type { AppendWish } from '../../resources/mail/contract.ts';
import { type RawBytes, type Step, WAIT } from '../text/session.ts';
import type { CommandReader } from './codec.ts';
import { RESPONSES } from './outcomes.ts';
import type { ImapSession } from './session.ts';
import type { Appending } from './upper.ts';

export class Append implements RawBytes {
  private readonly session: ImapSession;
  private name = '';
  private wish: AppendWish = { flags: 0, keywords: [] };
  /** `UTF8 (`: a parenthesis closes behind the message. */
  private isWrapped = false;
  private mail: Appending | null = null;
  private left = 0;

  constructor(session: ImapSession) {
    this.session = session;
  }

  get isUnderWay(): boolean {
    return this.mail !== null;
  }

  /** Whether what stands before a literal, behind the tag, is all of APPEND that comes before its message. */
  begins(said: CommandReader): boolean {
    said.space();
    if (said.word() !== 'APPEND') return false;
    said.space();
    this.name = said.mailbox();
    said.space();
    let flags = { bits: 0, keywords: [] as string[] };
    if (said.peek() === 0x28) {
      flags = said.flagList();
      said.space();
    }
    let date: number | null = null;
    if (said.peek() === 0x22) {
      date = said.dateTime();
      said.space();
    }
    this.isWrapped = false;
    if (said.ok && said.peek() !== -1) {
      if (said.word() !== 'UTF8') return false;
      said.space();
      said.needs(0x28);
      this.isWrapped = true;
    }
    this.wish = { flags: flags.bits, keywords: flags.keywords, ...(date === null ? {} : { date }) };
    return said.done();
  }

  /** The message is announced. */
  begin(size: number, isEager: boolean): Step {
    const { session, wish } = this;
    const store = session.store!;
    if (size === 0) return this.refuse(size, isEager, 'NO [CANNOT] There is nothing in it.');
    if (size > store.appendLimit) return this.refuse(size, isEager, 'NO [TOOBIG] The message is too long.');
    store.append(this.name, size, wish, (outcome, mail) => {
      if (mail === null) {
        const text = outcome === MISSING ? 'NO [TRYCREATE] There is no such mailbox.' : RESPONSES[outcome];
        session.refuseLiteral(isEager, size, text);
      } else {
        this.mail = mail;
        this.left = size;
        if (!isEager) session.say('+ Go on.');
        session.readRaw(this);
      }
      session.goOn();
    });
    return WAIT;
  }

  private refuse(size: number, isEager: boolean, text: string): Step {
    const step = this.session.refuseLiteral(isEager, size, text);
    this.session.releaseInput();
    return step;
  }

  take(input: Uint8Array, start: number, end: number): number {
    const { session, mail } = this;
    const stop = Math.min(end, start + this.left);
    const taken = mail === null ? stop - start : mail.write(input, start, stop);
    this.left -= taken;
    if (this.left === 0) session.readRaw(null);
    else if (start + taken < stop && mail !== null) {
      mail.onRoom = () => {
        mail.onRoom = null;
        session.releaseInput();
      };
      session.holdInput();
    }
    return start + taken;
  }

  /** What stands behind the message. */
  tail(input: Uint8Array, start: number, stop: number): Step {
    const { session, mail } = this;
    this.mail = null;
    const isRight = this.isWrapped ? stop - start === 1 && input[start] === 0x29 : start === stop;
    if (mail === null || !isRight) {
      mail?.abort();
      return session.misread('Only one message is appended at a time.');
    }
    mail.commit((outcome, uid, uidValidity) => {
      if (outcome === OK) session.answer(`OK [APPENDUID ${uidValidity} ${uid}] Done.`);
      else session.answerWith(outcome);
    });
    return WAIT;
  }

  stop(): void {
    this.mail?.abort();
    this.mail = null;
  }
}
