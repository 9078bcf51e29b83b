// What can be configured of mail.
import { z } from 'zod';
import { readAddress } from './resources/mail/names.ts';
import { QUEUE_SETTINGS } from './resources/mail/queue-contract.ts';

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
