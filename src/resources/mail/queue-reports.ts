// What a sender is told of his mail: that recipients could not be reached, have to wait, or were handed on (RFC 3461 §5, §6).
import { dateText, field } from '../../formats/mime/compose.ts';
import { headerEnd } from '../../formats/mime/header.ts';
import { type ReportedRecipient, reportBody } from '../../formats/mime/report.ts';
import type { Notice, QueueRecord } from './queue-mail.ts';

export interface ReportTerms {
  /** The host that reports, of which the sender of reports is. */
  readonly reporter: string;
  /** Milliseconds since 1970. */
  readonly now: number;
  /** Another at each call. */
  readonly random: () => string;
}

/** What is returned of a message whose sender did not say. */
const RETURNED_MAX = 65_536;

const SUBJECTS = {
  failed: 'Your mail could not be delivered',
  delayed: 'Your mail is delayed',
  relayed: 'Your mail was handed on',
  delivered: 'Your mail was delivered',
  expanded: 'Your mail was handed on',
} as const;

const WORDS = {
  failed: 'could not be delivered to',
  delayed: 'could not be delivered yet, and will be tried again, to',
  relayed: 'was handed on, to a server that tells no more, for',
  delivered: 'was delivered to',
  expanded: 'was handed on to several addresses for',
} as const;

export interface Reported {
  readonly from: string;
  readonly created: number;
  readonly expires: number;
  readonly ret?: 'FULL' | 'HDRS' | undefined;
  readonly envid?: string | undefined;
}

/** The whole message to the sender of a mail. `original` is null where it is not to be had any more. */
export function composeReport(
  mail: Reported,
  recipients: readonly ReportedRecipient[],
  original: Buffer | null,
  { reporter, now, random }: ReportTerms,
): Buffer {
  const action = (['failed', 'delayed', 'delivered', 'relayed', 'expanded'] as const).find((each) =>
    recipients.some((recipient) => recipient.action === each),
  )!;
  // Of what did not fail only the header is returned, whatever the sender wished (RFC 3461 §4.3).
  const returnsAll =
    original !== null &&
    action === 'failed' &&
    (mail.ret === 'FULL' || (mail.ret === undefined && original.length <= RETURNED_MAX));
  const lines = [`This is the mail server of ${reporter}.`, ''];
  for (const each of ['failed', 'delayed', 'relayed', 'delivered', 'expanded'] as const) {
    const those = recipients.filter((recipient) => recipient.action === each);
    if (those.length === 0) continue;
    lines.push(`Your mail ${WORDS[each]}`, '');
    for (const { address, diagnostic, server } of those) {
      lines.push(`  ${address}`);
      if (diagnostic !== '') lines.push(`    ${server === '' ? '' : `${server} said: `}${diagnostic}`);
    }
    lines.push('');
  }
  const fields = [
    field('Date', dateText(now)),
    field('From', `Mail Delivery System <MAILER-DAEMON@${reporter}>`),
    field('To', mail.from),
    field('Subject', SUBJECTS[action]),
    field('Message-ID', `<${random()}@${reporter}>`),
    // RFC 3834 §5: nobody answers by himself.
    field('Auto-Submitted', 'auto-replied'),
  ];
  const body = reportBody(
    {
      ...{ reporter, recipients, arrived: mail.created, until: mail.expires, envid: mail.envid },
      text: `${lines.join('\r\n')}\r\n`,
      original:
        original === null ? Buffer.from('\r\n') : returnsAll ? original : original.subarray(0, headerEnd(original)),
      isWhole: returnsAll,
    },
    `=_${random()}`,
  );
  return Buffer.concat([Buffer.from(fields.join('')), body]);
}

export function reportedOf(notices: readonly Notice[]): ReportedRecipient[] {
  return notices.map(({ action, recipient: { address, orcpt, said, server, at } }) => {
    return { address, orcpt, action, server, tried: at, status: statusOf(said, action), diagnostic: said };
  });
}

/** The enhanced code in what a server said, or one that says as much (RFC 3463). */
function statusOf(said: string, action: Notice['action']): string {
  const given = /(?:^|\s)([245]\.\d{1,3}\.\d{1,3})(?=\s|$)/.exec(said)?.[1];
  if (given !== undefined) return given;
  if (action === 'relayed') return '2.0.0';
  return /^4/.test(said) || action === 'delayed' ? '4.0.0' : '5.0.0';
}

/** Whom a report about a mail goes to; null for nobody (RFC 5321 §6.1). */
export function reportsTo({ from }: Pick<QueueRecord, 'from'>): string | null {
  return from === '' || /^(?:mailer-daemon|postmaster-bounce)@/i.test(from) ? null : from;
}
