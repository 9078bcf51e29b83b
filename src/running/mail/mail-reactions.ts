// What follows from mail and leads to it: programs elsewhere that are told of new mail, and topics that are mailed.
import { createHash, createHmac } from 'node:crypto';
import type { MailRule, MailWebhook } from '../../config/mail.ts';
import type { Config } from '../../config.ts';
import { OPERATOR } from '../../core/caller.ts';
import type { Log } from '../../core/log.ts';
import type { Reach } from '../../core/reach.ts';
import type { Turn } from '../../core/turn.ts';
import type { Mail } from '../../resources/mail/contract.ts';
import { sendMail } from '../../resources/mail/service-sending.ts';
import { ServiceError } from '../../resources/services/status.ts';
import type { Message, Topics } from '../../resources/topics/contract.ts';
import { ENTROPY } from '../../server/server.ts';
import { Asker, UnansweredError } from '../asking.ts';
import { Reacting, type Verdict } from './reacting.ts';

export interface ReactionsHouse {
  readonly turn: Turn;
  readonly log: Log;
  readonly reach: Reach;
  readonly mail: Mail;
  readonly topics: Topics;
}

const ANSWER_BYTES_MAX = 65_536;
const ANSWER_MS = 30_000;

/** A message that went round so often goes no further. */
export const HOPS_MAX = 5;
export const HOPS_PROPERTY = 'portico-hops';
export const HOPS_FIELD = 'X-Portico-Hops';

export interface Reactions {
  readonly ready: Promise<unknown>;
  close(): void;
}

/** Begins all that the configuration names. */
export function beginReactions({ mail: { webhooks, rules } }: Config, house: ReactionsHouse): Reactions {
  const asker = new Asker(house.reach, house.turn);
  const all = [
    ...webhooks.map((webhook) =>
      reacting(house, `webhook/${webhook.name}`, filterOf(webhook), (message) => tell(asker, webhook, message)),
    ),
    ...rules.map((rule) =>
      reacting(house, `mail-rule/${rule.name}`, rule.topic, (message) => mailTopic(house, rule, message)),
    ),
  ];
  return {
    ready: Promise.all(all.map(({ ready }) => ready)),
    close() {
      for (const each of all) each.close();
      asker.close();
    },
  };
}

function reacting(
  { topics, turn, log }: ReactionsHouse,
  name: string,
  filter: string,
  act: (message: Message) => Promise<Verdict>,
): Reacting {
  return new Reacting({ ...{ name, filter, topics, turn, log, act }, entropy: ENTROPY });
}

// ---- webhooks ----------------------------------------------------------------------------------------------------------

/** What is told of the queue is no new mail. */
function filterOf({ mailbox, folder = 'INBOX' }: MailWebhook): string {
  const level = mailbox?.replace(/[+#%]/g, (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`) ?? '+';
  return `mail/${level}/${folder}`;
}

/** Posts an event, signed as https://www.standardwebhooks.com has it; its id is the same whenever it is tried. */
async function tell(asker: Asker, { url, secret }: MailWebhook, { payload, time }: Message): Promise<Verdict> {
  const body = Buffer.from(payload);
  const id = `mail_${createHash('sha256').update(body).update(String(time)).digest('base64url').slice(0, 24)}`;
  const timestamp = String(Math.floor(time / 1_000));
  const signed = createHmac('sha256', secret).update(`${id}.${timestamp}.`).update(body).digest('base64');
  try {
    const { status } = await asker.ask(url, {
      ...{ method: 'POST', body, bytesMax: ANSWER_BYTES_MAX, withinMs: ANSWER_MS },
      fields: {
        'content-type': 'application/json',
        'webhook-id': id,
        'webhook-timestamp': timestamp,
        'webhook-signature': `v1,${signed}`,
      },
    });
    if (status >= 200 && status < 300) return { verdict: 'done', why: '' };
    return { verdict: status === 410 ? 'never' : 'again', why: `it answered with ${status}` };
  } catch (error) {
    if (!(error instanceof UnansweredError)) throw error;
    return { verdict: 'again', why: error.message };
  }
}

// ---- topics that are mailed --------------------------------------------------------------------------------------------

async function mailTopic({ mail, turn }: ReactionsHouse, rule: MailRule, message: Message): Promise<Verdict> {
  const { topic, payload, contentType, properties } = message;
  const hops = Number(properties[properties.indexOf(HOPS_PROPERTY) + 1] ?? 0) || 0;
  if (properties.includes(HOPS_PROPERTY) && hops >= HOPS_MAX)
    return { verdict: 'never', why: 'it went round between mail and topics' };
  const isText = message.text || contentType === '' || /^(?:text\/|application\/json)/.test(contentType);
  const name = topic.slice(topic.lastIndexOf('/') + 1);
  const put = (text: string) => text.replaceAll('{topic}', topic);
  try {
    await sendMail({ mail, entropy: ENTROPY, wall: () => turn.clock.wall }, OPERATOR, {
      from: rule.from ?? `topics@${mail.domains[0] ?? 'localhost'}`,
      ...{ to: rule.to, cc: [], subject: put(rule.subject) },
      text: isText ? Buffer.from(payload).toString('utf8') : `A message on ${topic}.`,
      attachments: isText ? [] : [{ name, type: contentType, content: payload }],
      headers: [
        ['X-Portico-Topic', topic],
        [HOPS_FIELD, String(hops + 1)],
        // RFC 3834 §5: nobody answers by himself.
        ['Auto-Submitted', 'auto-generated'],
      ],
    });
    return { verdict: 'done', why: '' };
  } catch (error) {
    if (!(error instanceof ServiceError)) throw error;
    return {
      verdict: error.code === 'UNAVAILABLE' || error.code === 'RESOURCE_EXHAUSTED' ? 'again' : 'never',
      why: error.message,
    };
  }
}
