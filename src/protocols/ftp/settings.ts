// What may be written of FTP in the configuration.
import { z } from 'zod';

export const ftpSchema = z.strictObject({
  /** The ports of passive data connections, first and last; whatever is free when absent. */
  passivePorts: z
    .tuple([z.int().min(1_024).max(65_535), z.int().min(1_024).max(65_535)], 'is two ports: the first and the last')
    .refine(([first, last]) => first <= last, 'begins with the lower port')
    .default([49_152, 65_535]),
  /** The IPv4 address that PASV tells, where clients reach this server by another than its own (NAT). */
  advertised: z
    .string()
    .refine((host) => /^\d+(?:\.\d+){3}$/.test(host), 'is an IPv4 address')
    .optional(),
  /** Whether `anonymous` may read what rules let nobody in particular read. */
  anonymous: z.boolean().default(false),
  /** Nobody signs in without TLS. */
  requireTls: z.boolean().default(false),
  /** Data travel within TLS only (PROT P). */
  protectData: z.boolean().default(false),
  /** A data connection must go on with the TLS session of its control connection, so that nobody else can have made it. */
  resumeData: z.boolean().default(false),
  /** Names by which HOST (RFC 7151) may ask for this server. */
  hosts: z.array(z.string().min(1).toLowerCase()).default([]),
});

export type FtpSettings = z.output<typeof ftpSchema>;

export const FTP_DEFAULTS: FtpSettings = ftpSchema.parse({});
