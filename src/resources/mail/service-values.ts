// What calls for mail take and answer.
import { z } from 'zod';
import { OK, OUTCOME_NAMES, type Outcome } from '../../core/outcome.ts';
import { type Correspondent, parseMessage } from '../../formats/mime/parsed.ts';
import { OUTCOME_CODES, ServiceError } from '../services/status.ts';
import { ANSWERED, DELETED, DRAFT, FLAGGED, SEEN } from './contract.ts';

export const MailPerson = z.object({ name: z.string(), address: z.string() });

export const MailFlagName = z.enum(['SEEN', 'ANSWERED', 'FLAGGED', 'DELETED', 'DRAFT']);

const BITS: Readonly<Record<z.output<typeof MailFlagName>, number>> = {
  SEEN,
  ANSWERED,
  FLAGGED,
  DELETED,
  DRAFT,
};

export const MailSummary = z.object({
  mailbox: z.string(),
  folder: z.string(),
  uid: z.uint32(),
  size: z.uint64(),
  date: z.date().describe('When it came.'),
  flags: z.array(MailFlagName),
  from: z.array(MailPerson),
  to: z.array(MailPerson),
  subject: z.string(),
  messageId: z.string(),
});

export const MailAttachment = z.object({
  section: z.string().describe('For `ReadAttachment`.'),
  name: z.string(),
  type: z.string(),
  size: z.uint64(),
  contentId: z.string(),
  inline: z.boolean(),
});

export const MailMessage = z.object({
  summary: MailSummary,
  cc: z.array(MailPerson),
  replyTo: z.array(MailPerson),
  sent: z.date().optional().describe('As the mail itself says it.'),
  inReplyTo: z.string(),
  headers: z.array(z.object({ name: z.string(), value: z.string() })),
  text: z.string(),
  html: z.string(),
  attachments: z.array(MailAttachment),
});

/** What is known of a mail without its body. */
export interface Summary {
  readonly mailbox: string;
  readonly folder: string;
  readonly uid: number;
  readonly size: number;
  readonly date: number;
  readonly flags: number;
  readonly from: readonly Correspondent[];
  readonly to: readonly Correspondent[];
  readonly subject: string;
  readonly messageId: string;
}

export function summaryValue(summary: Summary): z.input<typeof MailSummary> {
  const { size, date, flags, from, to } = summary;
  const names = (Object.keys(BITS) as (keyof typeof BITS)[]).filter((name) => (flags & BITS[name]) !== 0);
  return { ...summary, size: BigInt(size), date: new Date(date), flags: names, from: [...from], to: [...to] };
}

export function messageValue(summary: Summary, bytes: Buffer): z.input<typeof MailMessage> {
  const parsed = parseMessage(bytes);
  const { cc, replyTo, inReplyTo, headers, text, html, attachments } = parsed;
  return {
    summary: summaryValue(summary),
    cc: [...cc],
    replyTo: [...replyTo],
    inReplyTo,
    headers: [...headers],
    text,
    html,
    attachments: attachments.map((each) => ({ ...each, size: BigInt(each.size) })),
    ...(parsed.sent === null ? {} : { sent: new Date(parsed.sent) }),
  };
}

export function bitsOf(names: readonly z.output<typeof MailFlagName>[]): number {
  return names.reduce((bits, name) => bits | BITS[name], 0);
}

const DETAILS: Readonly<Partial<Record<Outcome, string>>> = {
  1: 'a rule forbids it, or it is a domain to which no mail leaves',
  2: 'sign in first',
  3: 'there is no such mailbox, folder or mail',
  5: 'that is no address, or no name of a folder',
  7: 'the mailbox or the disk is full',
  8: 'the server has too much to do: try again',
};

export function failed(outcome: Outcome): ServiceError {
  const code = OUTCOME_CODES[outcome];
  return new ServiceError(code === 'OK' ? 'INTERNAL' : code, DETAILS[outcome] ?? OUTCOME_NAMES[outcome]);
}

export function given<Value extends object | string>(answer: Value | Outcome): Value {
  if (typeof answer === 'number') throw failed(answer);
  return answer;
}

export function done(outcome: Outcome): Record<never, never> {
  if (outcome !== OK) throw failed(outcome);
  return {};
}
