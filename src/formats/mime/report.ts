// Reports of what became of a mail (RFC 3462, RFC 3464; RFC 6533 where addresses are beyond ASCII): for a person, for a program, and
// what was sent, or its header.
import { dateText, field, multipart, textPart } from './compose.ts';

export interface ReportedRecipient {
  readonly address: string;
  /** As the sender said it: `rfc822;ann@example.org` (RFC 3461 §4.2). */
  readonly orcpt?: string | undefined;
  readonly action: 'failed' | 'delayed' | 'relayed' | 'delivered' | 'expanded';
  /** `5.1.1` (RFC 3463). */
  readonly status: string;
  /** What a server said, with its code; `''` where none did. */
  readonly diagnostic: string;
  /** Which server; `''` for none. */
  readonly server: string;
  /** Milliseconds since 1970; 0 for never. */
  readonly tried: number;
}

export interface Report {
  /** Who reports: a host name. */
  readonly reporter: string;
  /** Milliseconds since 1970. */
  readonly arrived: number;
  /** Until when it is tried; 0 where it is tried no more. */
  readonly until: number;
  readonly envid?: string | undefined;
  readonly recipients: readonly ReportedRecipient[];
  /** What is said to a person, in lines. */
  readonly text: string;
  /** The message, or its header with its empty line. */
  readonly original: Buffer;
  readonly isWhole: boolean;
}

/** Fields of the header and the body, from `Content-Type` on. */
export function reportBody(report: Report, boundary: string): Buffer {
  const isGlobal = report.recipients.some(({ address, orcpt = '' }) => !isAscii(address) || !isAscii(orcpt));
  const status = `${field('Content-Type', `message/${isGlobal ? 'global-' : ''}delivery-status`)}\r\n${statusOf(report)}`;
  const isPlain = report.original.every((byte) => byte < 0x80);
  const type = report.isWhole
    ? isPlain || !isGlobal
      ? 'message/rfc822'
      : 'message/global'
    : isPlain || !isGlobal
      ? 'text/rfc822-headers'
      : 'message/global-headers';
  const encoding = isPlain ? '' : 'Content-Transfer-Encoding: 8bit\r\n';
  // The original is bytes, of whatever charset: it goes in between as it is.
  const mark = '\0original\0';
  const parts = [textPart('plain', report.text), status, `${field('Content-Type', type)}${encoding}\r\n${mark}`];
  const whole = multipart('report; report-type=delivery-status', parts, boundary);
  const [before = '', after = ''] = whole.split(mark);
  const head = before.replace(
    'Content-Type: multipart/report;',
    'MIME-Version: 1.0\r\nContent-Type: multipart/report;',
  );
  return Buffer.concat([Buffer.from(head), report.original, Buffer.from(after)]);
}

function statusOf({ reporter, arrived, until, envid, recipients }: Report): string {
  const about = [
    // RFC 3464 §2.2.1.
    ...(envid === undefined || envid === '' ? [] : [line('Original-Envelope-Id', fromXtext(envid))]),
    line('Reporting-MTA', `dns; ${reporter}`),
    line('Arrival-Date', dateText(arrived)),
  ];
  const each = recipients.map(({ address, orcpt, action, status, diagnostic, server, tried }) =>
    [
      ...(orcpt === undefined || orcpt === '' ? [] : [line('Original-Recipient', orcptText(orcpt))]),
      line('Final-Recipient', `${isAscii(address) ? 'rfc822' : 'utf-8'}; ${address}`),
      line('Action', action),
      line('Status', status),
      ...(server === '' ? [] : [line('Remote-MTA', `dns; ${server}`)]),
      ...(diagnostic === '' ? [] : [line('Diagnostic-Code', `smtp; ${diagnostic}`)]),
      ...(tried === 0 ? [] : [line('Last-Attempt-Date', dateText(tried))]),
      ...(action === 'delayed' && until > 0 ? [line('Will-Retry-Until', dateText(until))] : []),
    ].join(''),
  );
  return `${[about.join(''), ...each].join('\r\n')}`;
}

/** What servers say comes in any shape: on one line, and no longer than a line may be. */
function line(name: string, value: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
  return field(name, value.replace(/[\0-\x1f\x7f]+/g, ' ').slice(0, 900));
}

function orcptText(orcpt: string): string {
  const semicolon = orcpt.indexOf(';');
  return semicolon < 0 ? `rfc822; ${orcpt}` : `${orcpt.slice(0, semicolon)}; ${fromXtext(orcpt.slice(semicolon + 1))}`;
}

/** RFC 3461 §4. */
export function fromXtext(text: string): string {
  return text.replace(/\+([0-9A-F]{2})/g, (_all, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

export function toXtext(text: string): string {
  return text.replace(/[^!-*,-<>-~]/g, (char) => `+${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`);
}

function isAscii(text: string): boolean {
  return /^[\x20-\x7e]*$/.test(text);
}
