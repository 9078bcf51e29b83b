// The mail of a running server: its domains and aliases, its events as topics, and what is mailed to topics.
import { readFileSync } from 'node:fs';
import { type Config, ConfigError } from '../../config.ts';
import type { Caller } from '../../core/caller.ts';
import type { Log } from '../../core/log.ts';
import type { Outcome } from '../../core/outcome.ts';
import type { Reach } from '../../core/reach.ts';
import type { Turn } from '../../core/turn.ts';
import { fieldOf } from '../../formats/mime/header.ts';
import { decodedPart, parseMessage } from '../../formats/mime/parsed.ts';
import { type Part, readStructure } from '../../formats/mime/structure.ts';
import type { StoredAccounts } from '../../resources/accounts/accounts.ts';
import { StoredMail } from '../../resources/mail/mail.ts';
import type { Topics } from '../../resources/topics/contract.ts';
import { type Announcer, announceEvent } from '../../resources/topics/events.ts';
import { ENTROPY } from '../../server/server.ts';
import type { Engine } from '../../storage/engine.ts';
import type { Lookup } from '../names/looking-up.ts';
import type { Arrivals } from './arrivals.ts';
import type { MailProofs } from './mail-proofs.ts';
import { HOPS_FIELD, HOPS_PROPERTY } from './mail-reactions.ts';
import { Relaying } from './relaying.ts';
import { StsPolicies, stsFetcher } from './relaying-policies.ts';

export interface MailingOptions {
  readonly engine: Engine;
  readonly turn: Turn;
  readonly accounts: StoredAccounts;
  readonly topics: Topics & Announcer;
  readonly log: Log;
  readonly proofs: MailProofs | null;
  readonly arrivals: Arrivals;
}

/** Where policies of MTA-STS are kept in the store of the mail. */
const STS_KEYS = 't/';

export interface RelayHouse {
  readonly turn: Turn;
  readonly log: Log;
  readonly reach: Reach;
  readonly lookup: Lookup;
  readonly proofs: MailProofs | null;
}

/** Rejects when the store cannot be read. */
export function openServerMail({ mail }: Config, options: MailingOptions): Promise<StoredMail> {
  const { engine, turn, accounts, topics, log, proofs, arrivals } = options;
  return StoredMail.open({
    engine,
    permissions: accounts.permissions,
    domains: mail.domains,
    catching: mail.mode === 'catch',
    aliases: mail.aliases,
    catchAll: mail.catchAll,
    isAccount: (name) => accounts.store.byName.has(name),
    quotaOf: () => mail.quotaBytes ?? Number.POSITIVE_INFINITY,
    told: (event) => arrivals.told(event),
    publish: (caller, topic, message) => publishMail(topics, caller, topic, message),
    wall: () => turn.clock.wall,
    greylistMs: mail.mode === 'catch' ? 0 : mail.greylistMs,
    ...(proofs === null || mail.checks === false ? {} : { checks: proofs }),
    ...(mail.mode === 'catch' || mail.relay === false
      ? {}
      : {
          leaving: {
            ...{ turn, log, entropy: ENTROPY, settings: mail.relay },
            told: (event) => announceEvent(topics, `mail/queue/${event.event}`, event),
          },
        }),
  });
}

/** Begins to bring mail to other servers; null where none leaves. */
export function beginRelaying(
  { mail: { mode, relay, domains }, dns }: Config,
  mail: StoredMail,
  { reach, lookup, proofs, ...house }: RelayHouse,
): { close(): void } | null {
  if (mode === 'catch' || relay === false || mail.queue === null) return null;
  const name = relay.name ?? domains[0]!;
  const own = new Set(
    [...domains, name, ...(dns.zone === false ? [] : [dns.zone])].map((each) => each.replace(/\.$/, '')),
  );
  const fetcher = stsFetcher(reach, house.turn, lookup);
  const policies = new StsPolicies({
    ...{ lookup, fetch: fetcher.fetch, log: house.log, shelf: mail.shelf(STS_KEYS) },
    wall: () => house.turn.clock.wall,
  });
  const relaying = new Relaying({
    ...{ plan: relay, name, entropy: ENTROPY, reach, ...house },
    isOwn: (host) => own.has(host.toLowerCase()),
    ...{ lookup, policies },
    sealed: (carriage) => proofs!.sealed(carriage),
    ...(relay.authorities === undefined ? {} : { authorities: authoritiesIn(relay.authorities) }),
  });
  mail.queue.begin(relaying);
  return {
    close() {
      relaying.close();
      fetcher.close();
    },
  };
}

function authoritiesIn(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError([`mail.relay.authorities: ${(error as Error).message}`]);
  }
}

/** The body of a mail, decoded, becomes a message; what is told of it, the message's properties. */
function publishMail(topics: Topics, caller: Caller, topic: string, message: Buffer): Promise<Outcome> {
  const root = readStructure(message, 0, message.length);
  const part = bodyOf(root);
  const { from, subject, messageId } = parseMessage(message);
  const charset = part.parameters.find(([name]) => name === 'charset')?.[1];
  const contentType = `${part.type}/${part.subtype}${charset === undefined ? '' : `; charset=${charset}`}`;
  const properties = [
    'from',
    from.map(({ address }) => address).join(', '),
    'subject',
    subject,
    'message-id',
    messageId,
  ];
  const hops = fieldOf(message, 0, message.length, HOPS_FIELD.toLowerCase());
  if (hops !== null && /^\d{1,3}$/.test(hops)) properties.push(HOPS_PROPERTY, hops);
  const payload = Buffer.from(decodedPart(message, part));
  return new Promise((resolve) => {
    const publication = { topic, payload, contentType, properties, assurance: 1 as const };
    topics.publish(caller, publication, { settled: (_token, outcome) => resolve(outcome) }, 0);
  });
}

/** The first text of a multipart, else its first part. */
function bodyOf(part: Part): Part {
  const { parts } = part;
  if (parts.length === 0) return part;
  return bodyOf(parts.find(({ type, subtype }) => type === 'text' && subtype === 'plain') ?? parts[0]!);
}
