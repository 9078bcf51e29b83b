// Commands about files and folders, and what begins transfers of them. What is there, and who may do what with it, is the
// upper half's.
import { EXISTS, INVALID, MISSING, OK, type Outcome } from '../../core/outcome.ts';
import { type Step, WAIT } from '../text/session.ts';
import { quoted, readNumber, readTime, resolvePath, timeText } from './codec.ts';
import { Listing, type ListingOrder, Retrieval, Storing } from './jobs.ts';
import {
  FACT_NAMES,
  FACTS,
  type FactName,
  factsLine,
  isPattern,
  type ListingForm,
  LONG_FORM,
  longLine,
  NAME_ON_THE_WIRE,
  NAMES,
} from './listing.ts';
import { REPLIES } from './outcomes.ts';
import type { FtpSession } from './session.ts';
import type { Carriage } from './session-carriage.ts';
import type { Transfers } from './session-transfers.ts';
import {
  ALGORITHMS,
  type Algorithm,
  type Beginning,
  type Change,
  type FileFacts,
  type FolderPages,
  type OpenFile,
} from './upper.ts';

/** Names that STOU tries. */
const UNIQUE_TRIES = 100;

export class FileCommands {
  facts: Set<FactName> = new Set(FACT_NAMES);
  algorithm: Algorithm = 'SHA-256';
  /** What RNFR named; '' for nothing. */
  renames = '';
  private readonly session: FtpSession;
  private readonly transfers: Transfers;
  private readonly carriage: Carriage;
  /** The working folder. */
  private here = '';
  /** Where the next transfer begins, and ends (RANG); Infinity for the end of the file. */
  private start = 0;
  private stop = Number.POSITIVE_INFINITY;

  constructor(session: FtpSession, transfers: Transfers, carriage: Carriage) {
    this.session = session;
    this.transfers = transfers;
    this.carriage = carriage;
  }

  /** Where somebody who signed in begins. */
  begin(home: string): void {
    this.here = home;
  }

  forget(): void {
    this.here = '';
    this.renames = '';
    this.facts = new Set(FACT_NAMES);
    this.algorithm = 'SHA-256';
    this.unrange();
  }

  private unrange(): void {
    this.start = 0;
    this.stop = Number.POSITIVE_INFINITY;
  }

  run(verb: string, argument: string): Step {
    switch (verb) {
      case 'PWD':
      case 'XPWD':
        return this.session.say(257, `${quoted(`/${this.here}`)} is the working folder.`);
      case 'CDUP':
      case 'XCUP':
        return this.enter('..');
      case 'CWD':
      case 'XCWD':
        return this.enter(argument === '' ? '/' : argument);
      case 'MKD':
      case 'XMKD':
        return this.make(argument);
      case 'RMD':
      case 'XRMD':
        return this.change({ do: 'remove-folder', path: this.path(argument) }, 'The folder is gone.');
      case 'DELE':
        return this.change({ do: 'remove-file', path: this.path(argument) }, 'The file is gone.');
      case 'RNFR':
        return this.renameFrom(argument);
      case 'RNTO':
        return this.renameTo(argument);
      case 'REST':
        return this.restart(argument);
      case 'RANG':
        return this.range(argument);
      case 'SIZE':
      case 'MDTM':
        return this.tell(verb, argument);
      case 'MFMT':
        return this.touch(argument);
      case 'MLST':
        return this.tellFacts(argument);
      case 'HASH':
        return this.hash(argument);
      default:
        return this.site(argument);
    }
  }

  private path(name: string): string {
    return resolvePath(this.here, name);
  }

  // ---- folders and names -------------------------------------------------------------------------------------------

  /** Asks what is at a path; false when it is too long to be asked for. */
  private look(path: string, then: (facts: FileFacts | null, outcome: Outcome) => void, uploads = false): Step {
    const { session } = this;
    if (Buffer.byteLength(path) > session.bounds.pathBytesMax) return session.say(553, 'The path is too long.');
    session.upper.stat(path, uploads, (outcome, facts) => then(outcome === OK ? facts : null, outcome));
    return WAIT;
  }

  private refuse(outcome: Outcome): void {
    // A name that cannot be is not there either, but for what would make it.
    this.session.reply(...REPLIES[outcome === INVALID ? MISSING : outcome]);
    this.session.answered();
  }

  private enter(name: string): Step {
    const path = this.path(name);
    return this.look(path, (facts, outcome) => {
      if (facts === null) this.refuse(outcome);
      else
        this.answer(facts.folder ? [250, `${quoted(`/${path}`)} is the working folder.`] : [550, 'It is no folder.']);
      if (facts?.folder === true) this.here = path;
    });
  }

  private answer([code, text]: readonly [number, string]): void {
    this.session.reply(code, text);
    this.session.answered();
  }

  private make(name: string): Step {
    const path = this.path(name);
    return this.changed({ do: 'make', path }, (outcome) => {
      if (outcome === OK) return [257, `${quoted(`/${path}`)} was made.`];
      return outcome === EXISTS ? [550, REPLIES[EXISTS][1]] : REPLIES[outcome];
    });
  }

  private change(change: Change, done: string): Step {
    return this.changed(change, (outcome) => {
      if (outcome === OK) return [250, done];
      if (outcome === EXISTS) return [550, 'The folder is not empty.'];
      return outcome === INVALID ? REPLIES[MISSING] : REPLIES[outcome];
    });
  }

  private changed(change: Change, answer: (outcome: Outcome) => readonly [number, string]): Step {
    const { session } = this;
    if (Buffer.byteLength(change.path) > session.bounds.pathBytesMax) return session.say(553, 'The path is too long.');
    session.upper.change(change, (outcome) => this.answer(answer(outcome)));
    return WAIT;
  }

  private renameFrom(name: string): Step {
    const path = this.path(name);
    return this.look(path, (facts, outcome) => {
      if (facts === null || path === '') this.refuse(facts === null ? outcome : MISSING);
      else {
        this.renames = path;
        this.answer([350, 'And RNTO?']);
      }
    });
  }

  private renameTo(name: string): Step {
    const path = this.renames;
    this.renames = '';
    if (path === '') return this.session.say(503, 'Say RNFR first.');
    const change: Change = { do: 'rename', path, to: this.path(name) };
    return this.changed(change, (outcome) => (outcome === OK ? [250, 'It has its new name.'] : REPLIES[outcome]));
  }

  // ---- facts -------------------------------------------------------------------------------------------------------

  private tell(verb: string, name: string): Step {
    // What it would have as text is not known without reading it (RFC 3659 §4).
    if (verb === 'SIZE' && this.carriage.isText) return this.session.say(550, 'Say TYPE I first.');
    return this.look(
      this.path(name),
      (facts, outcome) => {
        if (facts === null) this.refuse(outcome);
        else if (facts.folder) this.answer([550, 'It is a folder.']);
        else this.answer([213, verb === 'SIZE' ? String(facts.size) : timeText(facts.modified)]);
      },
      verb === 'SIZE',
    );
  }

  private tellFacts(name: string): Step {
    const path = this.path(name);
    return this.look(path, (facts, outcome) => {
      if (facts === null) this.refuse(outcome);
      else {
        this.session.block(250, 'Facts:', [factsLine(facts, this.facts, `/${path}`)], 'End.');
        this.session.answered();
      }
    });
  }

  /** MFMT, of draft-somers-ftp-mfxx §3. */
  private touch(argument: string): Step {
    const [time = '', ...rest] = argument.split(' ');
    const modified = readTime(time);
    const name = rest.join(' ');
    if (modified === null || name === '') return this.session.say(501, 'It is MFMT YYYYMMDDHHMMSS path.');
    const change: Change = { do: 'touch', path: this.path(name), modified };
    const done = [213, `Modify=${timeText(modified)}; /${change.path}`] as const;
    return this.changed(change, (outcome) =>
      outcome === OK ? done : REPLIES[outcome === INVALID ? MISSING : outcome],
    );
  }

  private hash(name: string): Step {
    const { session, algorithm, start, stop } = this;
    const path = this.path(name);
    this.unrange();
    if (Buffer.byteLength(path) > session.bounds.pathBytesMax) return session.say(553, 'The path is too long.');
    session.upper.hash(path, algorithm, start, stop, (outcome, hex, end) => {
      if (outcome !== OK) this.refuse(outcome);
      // The last byte is named, not the one behind it (draft-bryan-ftpext-hash §3.1).
      else this.answer([213, `${algorithm} ${start}-${Math.max(start, end - 1)} ${hex} /${path}`]);
    });
    return WAIT;
  }

  statusOf(name: string): Step {
    const path = this.path(name);
    const { session } = this;
    const wall = session.clock.wall;
    return this.look(path, (facts, outcome) => {
      if (facts === null) this.refuse(outcome);
      else if (!facts.folder) {
        session.block(213, 'Status:', [longLine(facts, wall)], 'End.');
        session.answered();
      } else
        session.upper.list(path, (listed, folder) => {
          if (folder === null) this.refuse(listed);
          else this.statusPage(folder, []);
        });
    });
  }

  private statusPage(folder: FolderPages, lines: string[]): void {
    const { session } = this;
    folder.next((entries) => {
      const { statEntriesMax } = session.bounds;
      for (const entry of entries) if (lines.length < statEntriesMax) lines.push(longLine(entry, session.clock.wall));
      const isFull = lines.length >= statEntriesMax;
      if (entries.length > 0 && !isFull) {
        this.statusPage(folder, lines);
        return;
      }
      folder.close();
      session.block(212, 'Status:', lines, isFull ? 'There may be more: use LIST.' : 'End.');
      session.answered();
    });
  }

  // ---- options -----------------------------------------------------------------------------------------------------

  options(argument: string): Step {
    const { session } = this;
    const [what = '', ...rest] = argument.trim().split(/ +/);
    const value = rest.join(' ');
    switch (what.toUpperCase()) {
      case 'UTF8':
        return /^(?:ON)?$/i.test(value) ? session.say(200, 'Names are UTF-8.') : session.say(504, 'Names are UTF-8.');
      case 'MLST':
        return this.chooseFacts(value);
      case 'HASH': {
        const chosen = ALGORITHMS.find((name) => name === value.toUpperCase());
        if (value !== '' && chosen === undefined) return session.say(501, `There are ${ALGORITHMS.join(', ')}.`);
        this.algorithm = chosen ?? this.algorithm;
        return session.say(200, this.algorithm);
      }
      default:
        return session.say(501, 'There are OPTS UTF8, MLST and HASH.');
    }
  }

  /** What is not known is left out, and the answer says what is told (RFC 3659 §7.9). */
  private chooseFacts(value: string): Step {
    const asked = value.toLowerCase().split(';');
    this.facts = new Set(FACT_NAMES.filter((name) => asked.includes(name)));
    const told = FACT_NAMES.filter((name) => this.facts.has(name)).map((name) => `${NAME_ON_THE_WIRE[name]};`);
    return this.session.say(200, `MLST OPTS ${told.join('')}`);
  }

  private restart(argument: string): Step {
    const { session } = this;
    const start = readNumber(argument);
    if (start < 0) return session.say(501, 'That is no position.');
    if (start > 0 && this.carriage.isText) return session.say(504, 'Positions are of TYPE I.');
    this.unrange();
    this.start = start;
    return session.say(350, `The next transfer begins at ${start}.`);
  }

  /** RANG, of draft-bryan-ftp-range §3: `1 0` takes it back. */
  private range(argument: string): Step {
    const { session } = this;
    const [start = -1, last = -1, more] = argument.split(' ').map(readNumber);
    if (start < 0 || last < 0 || more !== undefined) return session.say(501, 'It is RANG first last.');
    this.unrange();
    if (start === 1 && last === 0) return session.say(350, 'There is no range.');
    if (last < start) return session.say(501, 'The last is before the first.');
    this.start = start;
    this.stop = last + 1;
    return session.say(350, `From ${start} to ${last}.`);
  }

  private site(argument: string): Step {
    const { session } = this;
    const [what = '', ...rest] = argument.split(' ');
    switch (what.toUpperCase()) {
      case 'HELP':
        return session.say(214, 'SITE UTIME YYYYMMDDHHMMSS path.');
      case 'CHMOD':
        return session.say(502, 'Who may do what is for the rules of this server.');
      case 'UTIME':
        return this.touchBySite(rest);
      default:
        return session.say(504, 'There is no such SITE command.');
    }
  }

  /** `UTIME time path`, or `UTIME path atime mtime ctime UTC`. */
  private touchBySite(words: readonly string[]): Step {
    const long = words.length >= 5 && words.at(-1)!.toUpperCase() === 'UTC';
    const modified = readTime((long ? words.at(-3) : words[0]) ?? '');
    const name = (long ? words.slice(0, -4) : words.slice(1)).join(' ');
    if (modified === null || name === '') return this.session.say(501, 'It is SITE UTIME YYYYMMDDHHMMSS path.');
    const change: Change = { do: 'touch', path: this.path(name), modified };
    return this.changed(change, (outcome) => (outcome === OK ? [200, 'Done.'] : REPLIES[outcome]));
  }

  // ---- transfers ---------------------------------------------------------------------------------------------------

  transfer(verb: string, argument: string): Step {
    switch (verb) {
      case 'RETR':
        return this.retrieve(argument);
      case 'STOR':
        return this.store(argument, this.start > 0 ? 'resume' : 'new');
      case 'APPE':
        return this.store(argument, 'append');
      case 'STOU':
        return this.storeUnique(argument === '' ? 'upload' : argument, 0);
      case 'LIST':
        return this.list(LONG_FORM, withoutFlags(argument));
      case 'NLST':
        return this.list(NAMES, withoutFlags(argument));
      default:
        return this.list(FACTS, argument);
    }
  }

  private retrieve(name: string): Step {
    const { session, start, stop } = this;
    const path = this.path(name);
    this.unrange();
    session.upper.open(path, (outcome, file) => {
      if (outcome !== OK || file === null) this.refuse(outcome);
      else this.send(path, file, start, stop);
    });
    return WAIT;
  }

  private send(path: string, file: OpenFile, start: number, stop: number): void {
    if (start > file.size) {
      file.close();
      this.answer([554, 'The file is shorter than that.']);
      return;
    }
    const end = Math.min(stop, file.size);
    const title = `Sending /${path} (${end - start} bytes)`;
    this.transfers.run(new Retrieval(title, file, start, end, this.carriage.isText, this.transfers));
  }

  private store(name: string, beginning: Beginning): Step {
    const { session, start } = this;
    const path = this.path(name);
    this.unrange();
    if (path === '' || name.endsWith('/')) return session.say(553, 'That is a name of a folder.');
    if (Buffer.byteLength(path) > session.bounds.pathBytesMax) return session.say(553, 'The path is too long.');
    this.create(path, beginning, beginning === 'append' ? 0 : start, `Receiving /${path}`, (outcome) => {
      this.answer(outcome === MISSING ? [553, 'There is no such folder.'] : REPLIES[outcome]);
    });
    return WAIT;
  }

  private create(
    path: string,
    beginning: Beginning,
    offset: number,
    title: string,
    refused: (outcome: Outcome) => void,
  ): void {
    this.session.upper.create(path, beginning, offset, (outcome, file) => {
      if (outcome !== OK || file === null) refused(outcome);
      else this.transfers.run(new Storing(title, file, this.carriage.isText, this.transfers));
    });
  }

  /** The name that was given, or the first of `name.1`, `name.2` that is not there. */
  private storeUnique(name: string, tried: number): Step {
    const path = this.path(tried === 0 ? name : `${name}.${tried}`);
    this.unrange();
    // In this form the name is looked for (RFC 1123 §4.1.2.9).
    this.create(path, 'fresh', 0, `FILE: ${path.slice(path.lastIndexOf('/') + 1)}`, (outcome) => {
      if (outcome === EXISTS && tried < UNIQUE_TRIES) this.storeUnique(name, tried + 1);
      else this.answer(REPLIES[outcome]);
    });
    return WAIT;
  }

  private list(form: ListingForm, name: string): Step {
    const path = this.path(name);
    this.unrange();
    return this.look(path, (facts, outcome) => {
      if (facts?.folder === true) this.listFolder(path, this.order(form, prefixOf(form, name), null));
      else if (facts !== null && form !== FACTS)
        this.listed(null, [facts], this.order(form, prefixOf(form, name, 1), null));
      else if (facts !== null) this.answer([501, 'It is no folder.']);
      else if (outcome !== MISSING && outcome !== INVALID) this.refuse(outcome);
      else if (form !== FACTS && isPattern(path.slice(path.lastIndexOf('/') + 1))) this.listPattern(form, name);
      else this.refuse(outcome);
    });
  }

  /** What old clients leave to the server: a pattern in the last level. */
  private listPattern(form: ListingForm, name: string): void {
    const path = this.path(name);
    const cut = path.lastIndexOf('/');
    this.listFolder(path.slice(0, Math.max(0, cut)), this.order(form, prefixOf(form, name, 1), path.slice(cut + 1)));
  }

  private order(form: ListingForm, prefix: string, pattern: string | null): ListingOrder {
    return { form, facts: this.facts, prefix, pattern, wall: this.session.clock.wall };
  }

  private listFolder(path: string, order: ListingOrder): void {
    this.session.upper.list(path, (outcome, folder) => {
      if (folder !== null) this.listed(folder, [], order);
      else this.refuse(outcome);
    });
  }

  private listed(folder: FolderPages | null, entries: readonly FileFacts[], order: ListingOrder): void {
    this.transfers.run(new Listing(folder, entries, order));
  }
}

/** `-la path`, as if there were a shell behind it. */
function withoutFlags(argument: string): string {
  return argument.replace(/^(?:-[A-Za-z1]+(?: +|$))+/, '');
}

/** What stands before the names of NLST: the folder that was asked for, as it was. */
function prefixOf(form: ListingForm, name: string, without = 0): string {
  if (form !== NAMES || name === '') return '';
  const folder = without === 0 ? name : name.slice(0, name.lastIndexOf('/') + 1);
  return folder === '' || folder.endsWith('/') ? folder : `${folder}/`;
}
