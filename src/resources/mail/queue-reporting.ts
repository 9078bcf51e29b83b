// Brings a report to the sender of a mail: in one write with what became of that mail, so that it is made once.
import { OPERATOR } from '../../core/caller.ts';
import { FAILED, MISSING, type Outcome } from '../../core/outcome.ts';
import type { Batch } from '../../storage/batch.ts';
import type { StoredMail } from './mail.ts';
import type { QueueOptions } from './queue.ts';
import type { Notice, QueueRecord } from './queue-mail.ts';
import { composeReport, reportedOf, reportsTo } from './queue-reports.ts';

const ID_BYTES = 12;

export async function reportOn(
  mail: StoredMail,
  { entropy }: QueueOptions,
  record: QueueRecord,
  notices: readonly Notice[],
  also: (batch: Batch) => (done: boolean) => void,
): Promise<Outcome> {
  const to = reportsTo(record);
  const route = to === null ? null : mail.route(to, OPERATOR);
  if (to === null || route === null || route.kind === 'refused') return MISSING;
  const { place, skip, size } = record;
  const whole = await mail.store.bytes.whole(place, skip + size).catch(() => null);
  const random = () => {
    const bytes = Buffer.alloc(ID_BYTES);
    entropy.fill(bytes);
    return bytes.toString('hex');
  };
  const terms = { reporter: mail.domains[0] ?? 'localhost', now: mail.options.wall(), random };
  const message = composeReport(record, reportedOf(notices), whole?.subarray(skip) ?? null, terms);
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
