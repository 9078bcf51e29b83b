// What can be configured of mail.
import { z } from 'zod';
import { readAddress } from './resources/mail/names.ts';

const domain = z
  .string()
  .toLowerCase()
  .refine((name) => readAddress(`postmaster@${name}`) !== null, 'is a domain');

/** `ann@example.org`, or `ann` for that name in the same domain. */
const target = z
  .string()
  .refine((name) => readAddress(name.includes('@') ? name : `${name}@localhost`) !== null, 'is an address or a name');

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
  })
  .superRefine(({ domains, mode, aliases, catchAll }, context) => {
    if (mode === 'catch') return;
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
