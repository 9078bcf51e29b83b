// Brings a report to the sender of a mail: in one write with what became of that mail, so that it is made once.
import { OPERATOR } from '../../core/caller.ts';
import { FAILED, MISSING, type Outcome } from '../../core/outcome.ts';
import type { ReportedRecipient } from '../../formats/mime/report.ts';
import type { Envelope } from './contract.ts';
import type { Also, StoredMail } from './mail.ts';
import type { QueueOptions } from './queue.ts';
import type { Notice, QueueRecord } from './queue-mail.ts';
import { composeReport, type Reported, reportedOf, reportsTo } from './queue-reports.ts';

const ID_BYTES = 12;

export async function reportOn(
  mail: StoredMail,
  options: QueueOptions,
  record: QueueRecord,
  notices: readonly Notice[],
  also: Also,
): Promise<Outcome> {
  const { place, skip, size } = record;
  const whole = await mail.store.bytes.whole(place, skip + size).catch(() => null);
  return report(mail, options, record, reportedOf(notices), whole?.subarray(skip) ?? null, also);
}

/** Tells the sender of what was delivered here, where he wished for it (RFC 3461 §5.2.3). Nobody waits for it. */
export function reportDelivered(mail: StoredMail, { from, recipients, ret, envid }: Envelope, head: Buffer): void {
  const options = mail.options.leaving;
  if (options === undefined || from === '') return;
  const now = mail.options.wall();
  const told = recipients.flatMap(({ address, notify = '', orcpt, route }): ReportedRecipient[] => {
    if (route.kind !== 'here' || !notify.split(',').includes('SUCCESS')) return [];
    const action = route.onward.length > 0 && route.mailboxes.length === 0 ? 'expanded' : 'delivered';
    return [{ address, orcpt, action, status: '2.0.0', diagnostic: '', server: '', tried: now }];
  });
  if (told.length === 0) return;
  const about = { from, created: now, expires: now, envid, ret: ret ?? 'HDRS' };
  report(mail, options, about, told, Buffer.from(head), null).catch((error: unknown) =>
    options.turn.bug(error, 'a report of a delivery'),
  );
}

async function report(
  mail: StoredMail,
  { entropy }: QueueOptions,
  record: Reported,
  recipients: readonly ReportedRecipient[],
  original: Buffer | null,
  also: Also | null,
): Promise<Outcome> {
  const to = reportsTo(record);
  const route = to === null ? null : mail.route(to, OPERATOR);
  if (to === null || route === null || route.kind === 'refused') return MISSING;
  const random = () => {
    const bytes = Buffer.alloc(ID_BYTES);
    entropy.fill(bytes);
    return bytes.toString('hex');
  };
  const terms = { reporter: mail.domains[0] ?? 'localhost', now: mail.options.wall(), random };
  const message = composeReport(record, recipients, original, terms);
  const envelope = { from: '', caller: OPERATOR, recipients: [{ address: to, route }], trace: 'Return-Path: <>\r\n' };
  const incoming = mail.incoming(envelope, also);
  await new Promise<void>((resolve) => {
    let at = 0;
    const more = () => {
      at += incoming.write(message, at, message.length);
      incoming.onRoom = at < message.length ? more : null;
      if (at === message.length) resolve();
    };
    more();
  });
  return new Promise((resolve) => {
    incoming.commit({ settled: (_token, outcome) => resolve(outcome) }, 0);
  }).then(
    (outcome) => outcome as Outcome,
    () => FAILED,
  );
}
