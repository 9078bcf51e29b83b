// Changing messages: STORE (RFC 9051 §6.4.6, RFC 7162 §3.1.3), COPY, MOVE (RFC 6851), EXPUNGE and UID EXPUNGE (RFC 4315), CLOSE
// and UNSELECT.
import { MISSING, OK, type Outcome } from '../../core/outcome.ts';
import type { FlagChange } from '../../resources/mail/contract.ts';
import { DONE, type Step, WAIT } from '../text/session.ts';
import { type FetchItem, FLAGS_ITEM, MODSEQ_ITEM, UID_ITEM } from './items.ts';
import { RESPONSES } from './outcomes.ts';
import type { ImapSession } from './session.ts';
import { type Places, setText } from './sets.ts';
import type { View } from './view.ts';

const DELETED = 8;

export class Messages {
  private readonly session: ImapSession;

  constructor(session: ImapSession) {
    this.session = session;
  }

  run(name: string, byUid: boolean): Step {
    const { session } = this;
    const view = session.view!;
    switch (name) {
      case 'STORE':
        return this.store(view, byUid);
      case 'COPY':
      case 'MOVE':
        return this.copy(view, byUid, name === 'MOVE');
      case 'EXPUNGE':
        return this.expunge(view, byUid);
      default: {
        if (!session.said.done()) return session.misread(session.said.fault);
        return this.leave(view, name === 'CLOSE');
      }
    }
  }

  /** The places that a command is about; null when it cannot be understood. */
  places(view: View, byUid: boolean): Places | null {
    const { said } = this.session;
    said.space();
    if (said.dollar()) return view.bySaved();
    const set = said.set();
    if (!said.ok) return null;
    const places = byUid ? view.byUids(set) : view.byNumbers(set);
    if (places === null) said.bad('There is no such message.');
    return places;
  }

  // ---- flags ---------------------------------------------------------------------------------------------------------

  private store(view: View, byUid: boolean): Step {
    const { session } = this;
    const { said } = session;
    const places = this.places(view, byUid);
    let unchangedSince: number | null = null;
    said.space();
    if (said.opens()) {
      if (said.word() !== 'UNCHANGEDSINCE') said.bad('STORE does not know this.');
      said.space();
      unchangedSince = said.large();
      said.needs(0x29);
      said.space();
    }
    const sign = said.takes(0x2b) ? 'add' : said.takes(0x2d) ? 'remove' : 'set';
    const item = said.word();
    if (item !== 'FLAGS' && item !== 'FLAGS.SILENT') said.bad('STORE changes FLAGS.');
    said.space();
    const flags = said.flagsToEnd();
    if (!said.done() || places === null) return session.misread(said.fault);
    if (unchangedSince !== null) session.condstore = true;
    if (view.readOnly) return session.close('NO [READ-ONLY] The mailbox is open for reading.');
    const change: FlagChange = {
      how: sign,
      flags: flags.bits,
      keywords: flags.keywords,
      ...(unchangedSince === null ? {} : { unchangedSince }),
    };
    this.change(view, places, byUid, change, item === 'FLAGS.SILENT');
    return WAIT;
  }

  private change(view: View, places: Places, byUid: boolean, change: FlagChange, silent: boolean): void {
    const { session } = this;
    const uids = view.uidsOf(places);
    view.silence(uids);
    session.store!.flag(view.folder, uids, change, (outcome, modified) => {
      if (session.view !== view) {
        session.answerWith(outcome);
        return;
      }
      view.silence(null);
      if (outcome !== OK) {
        session.answer(outcome === MISSING ? 'NO [EXPUNGEISSUED] Some are not there any more.' : RESPONSES[outcome]);
        return;
      }
      const text = this.outcomeOf(view, byUid, modified);
      // Of a change that was not made the client is told what there is instead (RFC 7162 §3.1.3).
      for (const uid of modified) view.change(uid);
      if (silent && !session.condstore) {
        session.answer(text);
        return;
      }
      const items: FetchItem[] = silent ? [UID_ITEM] : [UID_ITEM, FLAGS_ITEM];
      if (session.condstore) items.push(MODSEQ_ITEM);
      session.fetches.begin(places, items, { done: () => session.answer(text), quiet: true });
    });
  }

  private outcomeOf(view: View, byUid: boolean, modified: readonly number[]): string {
    if (modified.length === 0) return 'OK Done.';
    const numbers = byUid ? modified : modified.map((uid) => view.placeOf(uid) + 1).filter((number) => number > 0);
    return `OK [MODIFIED ${setText(numbers)}] Some were changed meanwhile.`;
  }

  // ---- copies --------------------------------------------------------------------------------------------------------

  private copy(view: View, byUid: boolean, move: boolean): Step {
    const { session } = this;
    const { said } = session;
    const places = this.places(view, byUid);
    said.space();
    const to = said.mailbox();
    if (!said.done() || places === null) return session.misread(said.fault);
    if (move && view.readOnly) return session.close('NO [READ-ONLY] The mailbox is open for reading.');
    const uids = view.uidsOf(places);
    if (uids.length === 0) return session.close('OK There is none of them.');
    session.store!.copy(view.folder, uids, to, move, (outcome, pairs) => {
      if (pairs === null) {
        session.answer(outcome === MISSING ? 'NO [TRYCREATE] There is no such mailbox.' : RESPONSES[outcome]);
        return;
      }
      const code =
        pairs.from.length === 0 ? '' : `[COPYUID ${pairs.uidValidity} ${setText(pairs.from)} ${setText(pairs.to)}] `;
      if (!move) {
        session.answer(`OK ${code}Done.`);
        return;
      }
      // Told before the expunges (RFC 6851 §4.3).
      if (code !== '') session.say(`* OK ${code}Moved.`);
      session.answer(`OK ${code === '' ? '' : this.highest(view)}Done.`);
    });
    return WAIT;
  }

  // ---- endings -------------------------------------------------------------------------------------------------------

  private expunge(view: View, byUid: boolean): Step {
    const { session } = this;
    const { said } = session;
    const places = byUid ? this.places(view, true) : [0, view.count];
    if (!said.done() || places === null) return session.misread(said.fault);
    if (view.readOnly) return session.close('NO [READ-ONLY] The mailbox is open for reading.');
    this.remove(view, places, (outcome, count) => {
      // RFC 7162 §3.2.7, §3.2.8.
      if (outcome === OK && count > 0 && session.qresync) session.answer(`OK ${this.highest(view)}Done.`);
      else session.answerWith(outcome);
    });
    return WAIT;
  }

  private highest({ folder }: View): string {
    return this.session.qresync ? `[HIGHESTMODSEQ ${Math.max(1, folder.modseq)}] ` : '';
  }

  private remove(view: View, places: Places, then: (outcome: Outcome, count: number) => void): void {
    const uids = view.uidsOf(places).filter((uid) => {
      const at = view.folder.find(uid);
      return at >= 0 && (view.folder.flagsAt(at) & DELETED) !== 0;
    });
    if (uids.length === 0) then(OK, 0);
    else this.session.store!.expunge(view.folder, uids, (outcome) => then(outcome, uids.length));
  }

  /** CLOSE removes what is marked, and tells nothing of it. */
  private leave(view: View, expunges: boolean): Step {
    const { session } = this;
    if (!expunges || view.readOnly) {
      session.leaveFolder();
      session.close('OK Done.');
      return DONE;
    }
    this.remove(view, [0, view.count], (outcome) => {
      session.leaveFolder();
      session.answerWith(outcome);
    });
    return WAIT;
  }
}
