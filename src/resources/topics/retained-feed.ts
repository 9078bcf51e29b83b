// The retained values that a new subscription is given first.
import type { Match, Message } from './contract.ts';
import type { Feed } from './core.ts';
import type { RetainedValues } from './retained.ts';
import { matchAlone, type Subscription } from './subscriptions.ts';

/** The values that a subscription's filter matches now; null when there are none. */
export function retainedFeed(subscription: Subscription, values: RetainedValues, wall: number): Feed | null {
  const { filter, after } = subscription.options;
  const messages: Message[] = [];
  values.match(filter, (message) => {
    // A subscription that resumes gets what has a place in the history from there: not twice.
    if (message.expiry > wall && (after === undefined || message.cursor === 0)) messages.push(message);
  });
  return messages.length === 0 ? null : new RetainedFeed(subscription, values, messages);
}

class RetainedFeed implements Feed {
  readonly subscription: Subscription;
  private readonly values: RetainedValues;
  private readonly messages: readonly Message[];
  private at = 0;

  constructor(subscription: Subscription, values: RetainedValues, messages: readonly Message[]) {
    this.subscription = subscription;
    this.values = values;
    this.messages = messages;
  }

  peek(): { message: Message; match: Match } | null {
    const { core } = this.subscription;
    while (this.at < this.messages.length) {
      const message = this.messages[this.at]!;
      // One that was replaced meanwhile comes live, behind this.
      if (this.values.get(message.topic) === message && core.hears(message.topic))
        return { message, match: matchAlone(this.subscription, message, true) };
      this.at++;
    }
    return null;
  }

  next(): void {
    this.at++;
  }
}
