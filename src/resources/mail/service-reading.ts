// Folders that a call looks into, and what it finds there.
import type { Caller } from '../../core/caller.ts';
import { OK } from '../../core/outcome.ts';
import { type ParsedMessage, parseMessage } from '../../formats/mime/parsed.ts';
import type { Folder, Mail, Mailbox } from './contract.ts';
import { given, type Summary } from './service-values.ts';

/** Longer headers are read so far. */
const HEADER_BYTES_MAX = 65_536;

const MAILBOX_OF = new WeakMap<Folder, string>();

/** Opens a folder, does something with it, and lets it go. */
export async function within<Answer>(
  mail: Mail,
  caller: Caller,
  at: { readonly mailbox?: string | undefined; readonly folder: string },
  work: (folder: Folder, mailbox: Mailbox) => Answer | Promise<Answer>,
): Promise<Answer> {
  const mailbox = given(await mail.open(caller, (at.mailbox ?? mail.own(caller)).toLowerCase()));
  const folder = given(await mailbox.open(at.folder));
  MAILBOX_OF.set(folder, mailbox.name);
  try {
    return await work(folder, mailbox);
  } finally {
    mailbox.close(folder);
  }
}

/** What a mail's header says; null for one that went. */
export async function summaryAt(folder: Folder, uid: number): Promise<Summary | null> {
  const at = folder.find(uid);
  if (at < 0) return null;
  const [size, date, flags] = [folder.sizeAt(at), folder.dateAt(at), folder.flagsAt(at)];
  const head = await readPart(folder, uid, Math.min(folder.headerSizeAt(at), HEADER_BYTES_MAX));
  if (head === null) return null;
  const { from, to, subject, messageId } = parseMessage(head);
  return {
    mailbox: MAILBOX_OF.get(folder) ?? '',
    folder: folder.facts.name,
    uid,
    size,
    date,
    flags,
    from,
    to,
    subject,
    messageId,
  };
}

function readPart(folder: Folder, uid: number, end: number): Promise<Buffer | null> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    folder.read(uid, 0, end, {
      room: HEADER_BYTES_MAX,
      bytes: (data, start, stop) => void chunks.push(Buffer.from(data.subarray(start, stop))),
      end: (outcome) => resolve(outcome === OK ? Buffer.concat(chunks) : null),
    });
  });
}

export interface Wanted {
  readonly from?: string | undefined;
  readonly to?: string | undefined;
  readonly subject?: string | undefined;
  readonly text?: string | undefined;
  readonly unseen?: boolean | undefined;
}

/** Whether mails hold all that is asked for; case does not matter. */
export class MailSearch {
  private readonly wanted: Wanted;

  constructor(wanted: Wanted) {
    this.wanted = wanted;
  }

  async fits(folder: Folder, summary: Summary): Promise<boolean> {
    const { from, to, subject, text, unseen } = this.wanted;
    if (unseen === true && (summary.flags & 1) !== 0) return false;
    if (!holds(subject, summary.subject) || !holds(from, peopleText(summary.from))) return false;
    if (!holds(to, peopleText(summary.to))) return false;
    if (text === undefined || text === '') return true;
    const bytes = await folder.whole(summary.uid);
    if (bytes === null) return false;
    const parsed = parseMessage(bytes);
    return holds(text, parsed.text) || holds(text, parsed.html);
  }
}

function holds(wanted: string | undefined, text: string): boolean {
  return wanted === undefined || text.toLowerCase().includes(wanted.toLowerCase());
}

function peopleText(people: ParsedMessage['from']): string {
  return people.map(({ name, address }) => `${name} <${address}>`).join(', ');
}
