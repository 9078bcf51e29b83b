// What a SUBSCRIBE asks for, beyond its options: shared subscriptions by their filter, a cursor and cursors by user
// properties. It knows no topics, only their words.
import type { SubscriptionRequest } from './packets.ts';

/** A filter of a shared subscription, taken apart; `group` undefined for any other. */
export interface Shared {
  readonly filter: string;
  readonly group: string | undefined;
}

const SHARE = '$share/';

/**
 * `$share/{ShareName}/{filter}`; null when it begins like that and is none: the name is empty or has a wildcard, or no
 * filter follows ([MQTT-4.8.2-1], [MQTT-4.8.2-2]).
 */
export function sharedOf(text: string): Shared | null {
  if (!text.startsWith(SHARE)) return text === '$share' ? null : { filter: text, group: undefined };
  const slash = text.indexOf('/', SHARE.length);
  const group = slash < 0 ? '' : text.slice(SHARE.length, slash);
  const filter = slash < 0 ? '' : text.slice(slash + 1);
  return group === '' || filter === '' || /[+#]/.test(group) ? null : { filter, group };
}

/** The retained messages that a new subscription is given, by the number on the wire (MQTT 5.0 §3.8.3.1). */
export const RETAINED = ['always', 'when-new', 'never'] as const;

/** What a client asks for by user properties of SUBSCRIBE: our extension, for clients that want to resume by cursor. */
export interface Resumption {
  /** `after`: the cursor behind which to begin; -1 when it was not given, NaN when it is no cursor. */
  readonly after: number;
  /** `cursor`: deliveries are to carry theirs. Implied by `after`. */
  readonly cursors: boolean;
}

const PLAIN: Resumption = { after: -1, cursors: false };

export function resumptionOf(user: readonly string[]): Resumption {
  if (user.length === 0) return PLAIN;
  let after = -1;
  let cursors = false;
  for (let index = 0; index < user.length; index += 2) {
    const value = user[index + 1]!;
    if (user[index] === 'after') {
      after = /^\d{1,15}$/.test(value) ? Number(value) : Number.NaN;
      cursors = true;
    } else if (user[index] === 'cursor') cursors = cursors || value !== '0';
  }
  return { after, cursors };
}

/** A SUBSCRIBE or UNSUBSCRIBE whose filters settle one by one and are answered together ([MQTT-3.8.4-5]). */
export class Answer {
  readonly packetId: number;
  readonly filters: readonly string[];
  readonly codes: number[];
  /** What is told a person. */
  reason = '';
  /** What could not be given of the history, as user properties. */
  readonly gaps: string[] = [];
  private open: number;

  constructor(packetId: number, filters: readonly string[]) {
    this.packetId = packetId;
    this.filters = filters;
    this.open = filters.length;
    this.codes = filters.map(() => 0);
  }

  static of(packetId: number, asked: readonly SubscriptionRequest[]): Answer {
    return new Answer(
      packetId,
      asked.map(({ filter }) => filter),
    );
  }

  /** One filter's code; true when that was the last. */
  set(index: number, code: number): boolean {
    this.codes[index] = code;
    return --this.open === 0;
  }
}
