// The order that reads the audit: a slice after a sequence, or the last of all.
import { FAILED } from '../../core/outcome.ts';
import type { AuditEntry } from './audit.ts';
import { count, flag } from './order-fields.ts';
import { OrderError, type Orders } from './orders.ts';

const ENTRIES_MAX = 200;

export const auditOrders: Orders = {
  'audit.list': {
    changes: false,
    async run(desk, order) {
      const most = count(order, 'most', ENTRIES_MAX, ENTRIES_MAX);
      const isTail = flag(order, 'tail');
      const entries: (AuditEntry & { readonly sequence: number })[] = [];
      const after = count(order, 'after', 0, Number.MAX_SAFE_INTEGER);
      try {
        await desk.accounts.audit.read(after, (entry, sequence) => {
          entries.push({ ...entry, sequence });
          if (isTail && entries.length > most) entries.shift();
          return isTail || entries.length < most;
        });
      } catch (error) {
        throw new OrderError(FAILED, `the audit cannot be read: ${String(error)}`);
      }
      return { entries, after: entries.at(-1)?.sequence ?? after };
    },
  },
};
