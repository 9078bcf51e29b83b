// What can be configured of mail.
import { z } from 'zod';
import { readAddress } from '../resources/mail/names.ts';
import { QUEUE_SETTINGS } from '../resources/mail/queue-contract.ts';
import { isTopicFilter } from '../resources/topics/names.ts';

const domain = z
  .string()
  .toLowerCase()
  .refine((name) => readAddress(`postmaster@${name}`) !== null, 'is a domain');

/** `ann@example.org`, or `ann` for that name in the same domain. */
const target = z
  .string()
  .refine((name) => readAddress(name.includes('@') ? name : `${name}@localhost`) !== null, 'is an address or a name');

const count = (what: string, most: number) => z.int(what).min(1, what).max(most, what);

const relaySchema = z.strictObject({
  /** All that leaves goes to it: `smtps://user:password@relay.example.org`. */
  smartHost: z
    .string()
    .refine(
      isSmartHost,
      'is smtp://, smtps:// or submission://, a host, and a port, a user and a password where they are needed',
    )
    .optional(),
  /** How this server calls itself to others; the first domain when absent. */
  name: z
    .string()
    .regex(/^[\w.-]{1,255}$/, 'is a host name')
    .optional(),
  /**
   * `offered`: within TLS where that is offered, whatever the certificate; `required`: only within TLS; `verified`: only with a
   * certificate for the host. When absent, `verified` for a smart host, `offered` else.
   */
  tls: z.enum(['offered', 'required', 'verified'], 'is `offered`, `required` or `verified`').optional(),
  /** A file with authorities, in place of those that all know. */
  authorities: z.string().min(1).optional(),
  /** What leaves is signed in the name of its domain (DKIM), and sealed where it is only sent on (ARC). */
  sign: z.boolean().default(true),
  /** Where servers of other domains listen. */
  port: count('is a port', 65_535).default(25),
  /** How long a mail is tried, in milliseconds. */
  expireMs: count('is a time in milliseconds', 86_400_000 * 60).default(QUEUE_SETTINGS.expireMs),
  /** After so long the sender is told that it takes long; 0 for never. */
  warnMs: z.int().min(0, 'is a time in milliseconds').default(QUEUE_SETTINGS.warnMs),
  /** The wait behind the first attempt; each is three times the one before, up to `retryMostMs`. */
  retryMs: count('is a time in milliseconds', 86_400_000).default(QUEUE_SETTINGS.retryMs),
  retryMostMs: count('is a time in milliseconds', 86_400_000).default(QUEUE_SETTINGS.retryMostMs),
  attemptsMax: count('is from 1 to 1000', 1_000).default(QUEUE_SETTINGS.attemptsMax),
  perDestinationMax: count('is from 1 to 1000', 1_000).default(QUEUE_SETTINGS.perDestinationMax),
  mailsMax: count('is from 1 to 1000000', 1_000_000).default(QUEUE_SETTINGS.mailsMax),
});

export type RelayPlan = z.output<typeof relaySchema>;

const reactionName = z.string().regex(/^[\w.-]{1,64}$/, 'is letters, digits, dots and dashes');

const webhookSchema = z.strictObject({
  name: reactionName,
  /** Where each new mail is posted to. */
  url: z
    .string()
    .refine((text) => /^https?:$/.test(URL.canParse(text) ? new URL(text).protocol : ''), 'is an URL of HTTP'),
  /** What it is signed with; the receiver has it as well. */
  secret: z.string().min(16, 'has at least 16 characters'),
  /** Of one mailbox only, and of which folder. */
  mailbox: z
    .string()
    .refine((name) => readAddress(name) !== null, 'is an address')
    .optional(),
  folder: z.string().min(1).optional(),
});

function hasOwnNames(all: readonly { readonly name: string }[]): boolean {
  return new Set(all.map(({ name }) => name)).size === all.length;
}

export type MailWebhook = z.output<typeof webhookSchema>;

const ruleSchema = z.strictObject({
  name: reactionName,
  /** A filter of topics, each of whose messages is mailed. */
  topic: z.string().refine(isTopicFilter, 'is a filter of topics'),
  to: z
    .array(z.string().refine((text) => readAddress(text) !== null, 'is an address'))
    .min(1, 'name at least one address'),
  from: z
    .string()
    .refine((text) => readAddress(text) !== null, 'is an address')
    .optional(),
  /** `{topic}` is the topic. */
  subject: z.string().default('{topic}'),
});

export type MailRule = z.output<typeof ruleSchema>;

function isSmartHost(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname, pathname } = new URL(text);
  return ['smtp:', 'smtps:', 'submission:'].includes(protocol) && hostname !== '' && ['', '/'].includes(pathname);
}

export const mailSchema = z
  .strictObject({
    /** `catch`: every recipient of any domain has a mailbox of its own; `deliver`: only accounts and aliases of the domains. */
    mode: z.enum(['catch', 'deliver'], 'is `catch` or `deliver`').default('catch'),
    /** Domains of this server; the first is that of accounts' mailboxes. */
    domains: z.array(domain).min(1, 'name at least one domain').default(['localhost']),
    /** By address, or by what stands before the `@`: who takes its mail instead. */
    aliases: z.record(z.string().min(1), z.array(target).min(1, 'name at least one address')).default({}),
    /** By domain, or `*`: who takes mail that nobody else does. */
    catchAll: z.record(z.union([domain, z.literal('*')]), target).default({}),
    /** Bytes of one mailbox. */
    quotaBytes: z.int().min(1, 'is at least 1').optional(),
    /**
     * Mail of strangers is checked for who sent it (SPF, DKIM, DMARC, ARC), where nothing is caught: `mark` says in its header what was
     * found, `honour` refuses besides, or puts with the junk, what the sender's domain wants so; `false`: it is taken as it comes.
     */
    checks: z.union([z.literal(false), z.enum(['mark', 'honour'])], 'is `mark`, `honour` or false').default('mark'),
    /** What others are told of TLS on their way here (RFC 8461): with `enforce`, no mail comes without a certificate that all believe. */
    mtaSts: z
      .union([z.literal(false), z.enum(['enforce', 'testing', 'none'])], 'is `enforce`, `testing`, `none` or false')
      .default('testing'),
    /** Whom reports are sent to, of DMARC and of TLS. */
    reports: z
      .string()
      .refine((text) => readAddress(text) !== null && text.includes('@'), 'is an address')
      .optional(),
    /** Strangers who come for the first time are asked to come again after so long, in milliseconds; 0: nobody is. */
    greylistMs: z.int().min(0, 'is a time in milliseconds').max(3_600_000, 'is at most an hour').default(0),
    /** Who is told of new mail. */
    webhooks: z.array(webhookSchema).refine(hasOwnNames, 'has two of one name').default([]),
    /** Topics that are mailed. */
    rules: z.array(ruleSchema).refine(hasOwnNames, 'has two of one name').default([]),
    /** How mail leaves, where nothing is caught; `false`: it does not. */
    relay: z
      .union([z.boolean(), relaySchema])
      .default(true)
      .transform((given) => (given === true ? relaySchema.parse({}) : given)),
  })
  .superRefine(({ domains, mode, aliases, catchAll, relay }, context) => {
    if (mode === 'catch' || relay !== false) return;
    for (const [key, targets] of [
      ...Object.entries(aliases),
      ...Object.entries(catchAll).map(([name, taker]) => [name, [taker]] as const),
    ])
      for (const each of targets) {
        const at = each.lastIndexOf('@');
        if (at >= 0 && !domains.includes(each.slice(at + 1).toLowerCase()))
          context.addIssue(`${key}: ${each} is of no domain of this server, and mail does not leave it`);
      }
  });
