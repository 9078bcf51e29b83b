// Why a message did or did not reach each subscriber: worked out when it is asked, so that delivering costs nothing for it.
import type { WhyAnswer } from './contract.ts';
import type { Core } from './core.ts';
import { matches } from './names.ts';

/** One answer for each subscriber; `cursor` 0 asks for the last message of the topic. */
export function whyNot(cores: Iterable<Core>, topic: string, cursor: number, _wall: number): WhyAnswer[] {
  const answers: WhyAnswer[] = [];
  for (const core of cores)
    answers.push({ subscriber: core.options.name || (core.durable ?? ''), ...reasonOf(core, topic, cursor) });
  return answers;
}

function reasonOf(core: Core, topic: string, cursor: number): Pick<WhyAnswer, 'reason' | 'detail'> {
  const matching = [...core.subscriptions.values()].filter(({ options }) => matches(options.filter, topic));
  if (matching.length === 0) {
    const filters = [...core.subscriptions.values()].map(({ options }) => options.filter);
    return {
      reason: 'no filter matches',
      detail: filters.length === 0 ? 'it subscribed to nothing' : filters.join(', '),
    };
  }
  if (!core.hears(topic))
    return {
      reason: 'denied',
      detail: `${core.account || 'anonymous'} may not subscribe to it (portico can says why)`,
    };
  const lost = core.dropped.findLast((one) => one.topic === topic && (cursor === 0 || one.cursor === cursor));
  if (lost !== undefined)
    return lost.why === 'denied'
      ? { reason: 'denied', detail: 'it waited while the rules changed' }
      : lost.why === 'expired'
        ? { reason: 'expired', detail: 'it waited longer than it was to be of use' }
        : {
            reason: 'dropped',
            detail: `more than ${core.options.queueMessagesMax} messages or ${core.options.queueBytesMax} bytes waited (${core.options.policy})`,
          };
  const filters = matching.map(({ options }) => options.filter).join(', ');
  if (core.isWaiting(topic, cursor))
    return { reason: core.isAttached ? 'waiting' : 'not connected', detail: `${core.queued} messages wait` };
  if (!core.isAttached) {
    const sure = matching.some(({ options }) => options.assurance > 0);
    return {
      reason: 'not connected',
      detail: sure ? filters : 'it subscribed with assurance 0, which is not kept for it',
    };
  }
  if (matching.every(({ options }) => options.noLocal === true))
    return { reason: 'delivered', detail: `${filters}, unless it published it itself (no-local)` };
  if (matching.every(({ options }) => options.group !== undefined))
    return { reason: 'another of its group', detail: `or this one: ${filters}` };
  return { reason: 'delivered', detail: filters };
}
