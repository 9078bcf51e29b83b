// Mailboxes: SELECT and EXAMINE with QRESYNC (RFC 7162 §3.2.5), CREATE, DELETE, RENAME, SUBSCRIBE, LIST and LSUB, NAMESPACE,
// STATUS (RFC 9051 §6.3) and quotas (RFC 9208).
import { OK, type Outcome } from '../../core/outcome.ts';
import type { Folder, SpecialUse } from '../../resources/mail/contract.ts';
import { type Step, WAIT } from '../text/session.ts';
import { FLAGS_ITEM, MODSEQ_ITEM, UID_ITEM } from './items.ts';
import { type ListWish, listed, readListWish, readStatusItems, subscribedNames, USE_NAMES } from './listing.ts';
import { RESPONSES } from './outcomes.ts';
import type { ImapSession } from './session.ts';
import { type SequenceSet, setHas, setText } from './sets.ts';
import type { Store } from './upper.ts';
import { encodeUtf7 } from './utf7.ts';
import { View } from './view.ts';
import { writeName } from './writer.ts';

/** What a client knows of a mailbox from before. */
interface Resync {
  readonly uidValidity: number;
  readonly modseq: number;
  readonly known: SequenceSet | null;
}

interface Line {
  readonly before: string;
  readonly name: string;
  readonly behind: string;
}

/** UIDs of a set that is written for what is not remembered. */
const RANGES_MAX = 20_000;

export class Folders {
  private readonly session: ImapSession;
  /** What a LIST or LSUB has still to tell, and how much of it was told. */
  private lines: readonly Line[] | null = null;
  private toldLines = 0;
  /** Names whose STATUS is still to be told behind a LIST. */
  private statusOf: string[] = [];
  private statusItems: readonly string[] = [];
  private isOpening = false;

  constructor(session: ImapSession) {
    this.session = session;
  }

  run(name: string): Step {
    switch (name) {
      case 'SELECT':
      case 'EXAMINE':
        return this.select(name === 'EXAMINE');
      case 'CREATE':
        return this.create();
      case 'DELETE':
        return this.named((store, folder, then) => store.remove(folder, then));
      case 'SUBSCRIBE':
      case 'UNSUBSCRIBE':
        return this.named((store, folder, then) => store.subscribe(folder, name === 'SUBSCRIBE', then));
      case 'RENAME':
        return this.rename();
      case 'LIST':
        return this.list();
      case 'LSUB':
        return this.listSubscribed();
      case 'NAMESPACE':
        if (!this.said.done()) return this.misread();
        this.session.say('* NAMESPACE (("" "/")) NIL NIL');
        return this.session.close('OK Done.');
      case 'STATUS':
        return this.status();
      default:
        return this.quota(name);
    }
  }

  private get said() {
    return this.session.said;
  }

  private misread(): Step {
    return this.session.misread(this.said.fault);
  }

  private get store(): Store {
    return this.session.store!;
  }

  /** A name as the client reads names. */
  private writeMailbox(name: string): void {
    const { session } = this;
    writeName(session.pipe.out, session.isUtf8 ? name : encodeUtf7(name), session.isUtf8);
  }

  private named(act: (store: Store, folder: string, then: (outcome: Outcome) => void) => void): Step {
    const { said, session } = this;
    said.space();
    const folder = said.mailbox();
    if (!said.done()) return this.misread();
    act(this.store, folder, (outcome) => session.answerWith(outcome));
    return WAIT;
  }

  /** RFC 6154 §3. */
  private create(): Step {
    const { said, session } = this;
    said.space();
    // A client that means a level says so with the separator behind it (RFC 9051 §6.3.4).
    const folder = said.mailbox().replace(/\/$/, '');
    let use: SpecialUse = '';
    let isKnown = true;
    if (said.takes(0x20)) {
      said.needs(0x28);
      if (said.word() !== 'USE') said.bad('CREATE does not know this.');
      said.space();
      said.needs(0x28);
      while (said.ok && !said.closes()) {
        said.needs(0x5c);
        const named = `\\${said.atom()}`.toLowerCase();
        const found = (Object.keys(USE_NAMES) as (keyof typeof USE_NAMES)[]).find(
          (each) => USE_NAMES[each].toLowerCase() === named,
        );
        if (found === undefined || use !== '') isKnown = false;
        else use = found;
        if (said.peek() !== 0x29) said.space();
      }
      said.needs(0x29);
    }
    if (!said.done()) return this.misread();
    if (!isKnown) return session.close('NO [USEATTR] That is no use that a mailbox can have here.');
    this.store.make(folder, use, (outcome) => session.answerWith(outcome));
    return WAIT;
  }

  private rename(): Step {
    const { said, session } = this;
    said.space();
    const from = said.mailbox();
    said.space();
    const to = said.mailbox().replace(/\/$/, '');
    if (!said.done()) return this.misread();
    this.store.rename(from, to, (outcome) => session.answerWith(outcome));
    return WAIT;
  }

  // ---- lists ---------------------------------------------------------------------------------------------------------

  private list(): Step {
    const { said, session } = this;
    const wish = readListWish(said);
    if (!said.done()) return this.misread();
    if (wish.patterns.length === 1 && wish.patterns[0] === '') {
      // Asks for the separator (RFC 9051 §6.3.9).
      session.say('* LIST (\\Noselect) "/" ""');
      return session.close('OK Done.');
    }
    const found = listed(wish, this.folders);
    this.statusItems = wish.status;
    this.statusOf = wish.status.length === 0 ? [] : found.filter(({ exists }) => exists).map(({ name }) => name);
    return this.tellLines(
      found.map(({ name, attributes, childInfo }) => ({
        before: `* LIST (${attributes.join(' ')}) "/" `,
        name,
        behind: childInfo ? ' ("CHILDINFO" ("SUBSCRIBED"))' : '',
      })),
    );
  }

  private tellLines(lines: readonly Line[]): Step {
    this.lines = lines;
    this.toldLines = 0;
    this.nextLines();
    return WAIT;
  }

  /** As many as the client has read on for. */
  private nextLines(): void {
    const { session, lines } = this;
    if (lines === null) return;
    const { out } = session.pipe;
    while (this.toldLines < lines.length) {
      if (session.pipe.room === 0) return;
      const { before, name, behind } = lines[this.toldLines++]!;
      out.ascii(before);
      this.writeMailbox(name);
      out.ascii(`${behind}\r\n`);
      session.pipe.flush();
    }
    this.lines = null;
    this.nextStatus();
  }

  private get folders() {
    const { mailbox } = this.store;
    return { folders: mailbox.folders(), subscriptions: mailbox.subscriptions() };
  }

  /** One mailbox after the other, while the client reads. */
  private nextStatus(): void {
    const { session } = this;
    const name = this.statusOf[0];
    if (name === undefined) {
      session.answer('OK Done.');
      return;
    }
    if (this.isOpening || session.pipe.room === 0) return;
    this.isOpening = true;
    this.store.open(name, (outcome, folder) => {
      this.isOpening = false;
      this.statusOf.shift();
      if (folder !== null) {
        this.writeStatus(name, folder, this.statusItems);
        this.store.close(folder);
      } else if (outcome !== OK) session.say(`* ${RESPONSES[outcome]}`);
      session.pipe.flush();
      this.nextStatus();
    });
  }

  /** The client has read on. */
  more(): boolean {
    if (this.lines === null && this.statusOf.length === 0) return false;
    if (this.lines !== null) this.nextLines();
    else this.nextStatus();
    return true;
  }

  private listSubscribed(): Step {
    const { said } = this;
    const wish: ListWish = readListWish(said);
    if (!said.done()) return this.misread();
    this.statusOf = [];
    return this.tellLines(
      subscribedNames(wish, this.folders).map(({ name, isLevel }) => ({
        before: `* LSUB (${isLevel ? '\\Noselect' : ''}) "/" `,
        name,
        behind: '',
      })),
    );
  }

  // ---- STATUS and quotas ---------------------------------------------------------------------------------------------

  private status(): Step {
    const { said, session } = this;
    said.space();
    const name = said.mailbox();
    said.space();
    const items = readStatusItems(said);
    if (!said.done()) return this.misread();
    this.store.open(name, (outcome, folder) => {
      if (folder === null) {
        session.answerWith(outcome);
        return;
      }
      this.writeStatus(name, folder, items);
      this.store.close(folder);
      session.answer('OK Done.');
    });
    return WAIT;
  }

  private writeStatus(name: string, folder: Folder, items: readonly string[]): void {
    const { session } = this;
    const { out } = session.pipe;
    out.ascii('* STATUS ');
    this.writeMailbox(name);
    if (items.includes('HIGHESTMODSEQ')) session.condstore = true;
    out.ascii(` (${items.map((item) => `${item} ${this.figure(folder, item)}`).join(' ')})\r\n`);
  }

  private figure(folder: Folder, item: string): number {
    switch (item) {
      case 'MESSAGES':
        return folder.count;
      case 'RECENT': {
        let recent = 0;
        for (let at = folder.count - 1; at >= 0 && folder.uids[at]! >= folder.recentFrom; at--) recent++;
        return recent;
      }
      case 'UIDNEXT':
        return folder.uidNext;
      case 'UIDVALIDITY':
        return folder.uidValidity;
      case 'UNSEEN':
        return folder.unseen;
      case 'SIZE':
        return folder.bytes;
      case 'HIGHESTMODSEQ':
        return Math.max(1, folder.modseq);
      case 'APPENDLIMIT':
        return this.store.appendLimit;
      default: {
        let deleted = 0;
        for (let at = 0; at < folder.count; at++) if ((folder.flagsAt(at) & 8) !== 0) deleted++;
        return deleted;
      }
    }
  }

  private quota(name: string): Step {
    const { said, session } = this;
    said.space();
    const root = name === 'GETQUOTAROOT' ? said.mailbox() : said.astring();
    if (name === 'SETQUOTA') return session.close('NO [NOPERM] Quotas are set by who runs this server.');
    if (!said.done()) return this.misread();
    const { mailbox } = this.store;
    if (name === 'GETQUOTAROOT') {
      if (!mailbox.folders().some((folder) => folder.name === root))
        return session.close('NO [NONEXISTENT] There is no such mailbox.');
      session.pipe.out.ascii('* QUOTAROOT ');
      this.writeMailbox(root);
      session.pipe.out.ascii(' ""\r\n');
    } else if (root !== '') return session.close('NO [NONEXISTENT] There is no such quota.');
    const { used, quota } = mailbox;
    const storage = Number.isFinite(quota) ? `STORAGE ${Math.ceil(used / 1_024)} ${Math.floor(quota / 1_024)}` : '';
    session.say(`* QUOTA "" (${storage})`);
    return session.close('OK Done.');
  }

  // ---- SELECT --------------------------------------------------------------------------------------------------------

  private select(readOnly: boolean): Step {
    const { said, session } = this;
    said.space();
    const name = said.mailbox();
    let resync: Resync | null = null;
    let condstore = false;
    if (said.takes(0x20)) {
      said.needs(0x28);
      while (said.ok && !said.closes()) {
        const word = said.word();
        if (word === 'CONDSTORE') condstore = true;
        else if (word === 'QRESYNC' && session.qresync) resync = this.readResync();
        else said.bad(word === 'QRESYNC' ? 'Enable QRESYNC first.' : 'SELECT does not know this.');
        if (said.peek() !== 0x29) said.space();
      }
    }
    if (!said.done()) return this.misread();
    if (condstore) session.condstore = true;
    session.leaveFolder('* OK [CLOSED] The mailbox before is closed.');
    this.store.open(name, (outcome, folder) => {
      if (folder === null) session.answerWith(outcome);
      else this.selected(name, folder, readOnly || !this.store.mailbox.writable, resync);
    });
    return WAIT;
  }

  /** `(67890007 20050715194045000 41,43:211,214:541 (1:3 4:6))`: the numbers that were known are not needed. */
  private readResync(): Resync {
    const { said } = this;
    said.space();
    said.needs(0x28);
    const uidValidity = said.positive();
    said.space();
    const modseq = said.large();
    let known: SequenceSet | null = null;
    if (said.takes(0x20)) {
      if (said.peek() !== 0x28) {
        known = said.set();
        if (said.peek() === 0x20) said.space();
      }
      if (said.opens()) {
        said.set();
        said.space();
        said.set();
        said.needs(0x29);
      }
    }
    said.needs(0x29);
    return { uidValidity, modseq, known };
  }

  private selected(name: string, folder: Folder, readOnly: boolean, resync: Resync | null): void {
    const { session } = this;
    const view = new View(folder, name, readOnly, session.woken);
    session.view = view;
    session.say(`* FLAGS (${view.allFlags()})`);
    const lasting = readOnly ? '' : `${view.allFlags()} \\*`;
    session.say(`* OK [PERMANENTFLAGS (${lasting})] Flags that last.`);
    session.say(`* ${view.count} EXISTS`);
    if (!session.isRev2) {
      session.say(`* ${view.recent} RECENT`);
      const unseen = firstUnseen(folder);
      if (unseen > 0) session.say(`* OK [UNSEEN ${unseen}] The first that is unseen.`);
    }
    session.say(`* OK [UIDVALIDITY ${folder.uidValidity}] UIDs are valid.`);
    session.say(`* OK [UIDNEXT ${folder.uidNext}] The next UID.`);
    session.say(`* OK [HIGHESTMODSEQ ${Math.max(1, folder.modseq)}] The last change.`);
    if (session.isRev2) {
      session.pipe.out.ascii('* LIST () "/" ');
      this.writeMailbox(name);
      session.pipe.out.ascii('\r\n');
    }
    const text = `OK [${readOnly ? 'READ-ONLY' : 'READ-WRITE'}] Selected.`;
    if (resync === null || resync.uidValidity !== folder.uidValidity) session.answer(text);
    else this.resync(view, resync, text);
  }

  /** What was expunged and what was changed since (RFC 7162 §3.2.5). */
  private resync(view: View, { modseq, known }: Resync, text: string): void {
    const { session } = this;
    this.store.expungedSince(view.folder, modseq, (uids) => {
      const gone =
        uids === null ? absent(view, known) : uids.filter((uid) => known === null || setHas(known, uid, uid));
      if (gone.length > 0) session.sayLong(`* VANISHED (EARLIER) ${typeof gone === 'string' ? gone : setText(gone)}`);
      const places = known === null ? [0, view.count] : view.byUids(known);
      session.fetches.begin(places, [UID_ITEM, FLAGS_ITEM, MODSEQ_ITEM], {
        changedSince: modseq,
        done: () => session.answer(text),
      });
    });
  }
}

function firstUnseen(folder: Folder): number {
  if (folder.unseen === 0) return 0;
  for (let at = 0; at < folder.count; at++) if ((folder.flagsAt(at) & 1) === 0) return at + 1;
  return 0;
}

/** All UIDs that are not there, of those that the client knows: where expunges are not remembered so far back. */
function absent(view: View, known: SequenceSet | null): string {
  const ranges: string[] = [];
  const last = view.folder.uidNext - 1;
  const bounds = known ?? [1, last];
  for (let at = 0; at < bounds.length && ranges.length < RANGES_MAX; at += 2) {
    const to = Math.min(last, Math.max(bounds[at]!, bounds[at + 1]!));
    let from = Math.min(bounds[at]!, bounds[at + 1]!);
    for (let place = view.lowerBound(from); from <= to; place++) {
      const uid = place < view.count ? view.uids[place]! : to + 1;
      const stop = Math.min(uid - 1, to);
      if (from <= stop) ranges.push(from === stop ? String(from) : `${from}:${stop}`);
      from = uid + 1;
    }
  }
  return ranges.join(',');
}
