// The orders about mail that leaves: what waits and why, and to hold it, let it go, try it now or take it out.
import { INVALID, MISSING, OK, OUTCOME_NAMES, UNSUPPORTED } from '../../core/outcome.ts';
import { HeaderReader } from '../../formats/mime/header.ts';
import { count, flag } from '../accounts/order-fields.ts';
import { type Order, OrderError, type OrderRow, type Orders } from '../accounts/orders.ts';
import type { MailQueue, QueuedMail } from './queue-contract.ts';

const LISTED_MAX = 100;
const HEADER_MAX = 16_384;

export function queueOrders(queue: MailQueue | null): Orders {
  const there = (): MailQueue => {
    if (queue !== null) return queue;
    throw new OrderError(UNSUPPORTED, 'mail does not leave this server: it is caught, or `mail.relay` is false');
  };
  const changing = (change: (queue: MailQueue, id: number | null, order: Order) => Promise<number>): OrderRow => ({
    changes: true,
    async run(_desk, order) {
      const id = flag(order, 'all') ? null : idOf(order);
      const outcome = await change(there(), id, order);
      if (outcome === MISSING) throw new OrderError(MISSING, `there is no mail ${id} in the queue`);
      if (outcome !== OK)
        throw new OrderError(
          outcome as typeof MISSING,
          `it could not be written (${OUTCOME_NAMES[outcome as typeof MISSING]})`,
        );
      return id === null ? {} : { id };
    },
  });
  return {
    'queue.list': {
      changes: false,
      async run(_desk, order) {
        const after = count(order, 'after', 0, Number.MAX_SAFE_INTEGER);
        const mails = there().list(after, LISTED_MAX);
        return { mails: mails.map(shown), more: mails.length === LISTED_MAX, figures: { ...there().figures } };
      },
    },
    'queue.show': {
      changes: false,
      async run(_desk, order) {
        const id = idOf(order);
        const mail = there().find(id);
        if (mail === null) throw new OrderError(MISSING, `there is no mail ${id} in the queue`);
        const bytes = await there().bytesOf(id);
        return { mail: shown(mail), header: bytes === null ? '' : headerText(bytes) };
      },
    },
    'queue.retry': changing((queue, id) => queue.retry(id)),
    'queue.hold': changing((queue, id) => queue.hold(id)),
    'queue.release': changing((queue, id) => queue.release(id)),
    'queue.remove': changing((queue, id, order) => queue.remove(id, flag(order, 'tell'))),
  };
}

function idOf(order: Order): number {
  const id = Number(order.id);
  if (Number.isSafeInteger(id) && id > 0) return id;
  throw new OrderError(INVALID, 'a mail is named by its number, as queue list shows it');
}

function shown({ id, from, origin, size, created, expires, held, recipients, envid }: QueuedMail) {
  return {
    ...{ id, from, origin, size, created, expires, held, ...(envid === undefined ? {} : { envid }) },
    recipients: recipients.map(({ address, state, tries, next, said, at, server }) => {
      return { address, state, tries, next: state === 'waiting' ? next : 0, said, at, server };
    }),
  };
}

function headerText(bytes: Buffer): string {
  const reader = new HeaderReader(bytes, 0, Math.min(bytes.length, HEADER_MAX));
  while (reader.next());
  return bytes.toString('utf8', 0, reader.body);
}
