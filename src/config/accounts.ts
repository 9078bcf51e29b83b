// What can be configured of accounts: whether secrets may travel in the clear, and whose tokens are trusted.
import { z } from 'zod';
import { ALGORITHMS, checkedKeys, type IssuerPlan } from '../resources/accounts/issuers.ts';

const issuer = z
  .strictObject({
    /** `iss` of its tokens, exactly. */
    issuer: z.string().min(1, 'is not empty'),
    /** What its tokens must be meant for: `aud`. */
    audience: z.union([z.string().min(1), z.array(z.string().min(1)).min(1)], 'is a name or a list of names'),
    /** Where its keys are published. Plain HTTP is for this machine only. */
    jwksUrl: z
      .string()
      .refine((text) => isKeyAddress(text), 'is an https address, or http on this machine')
      .optional(),
    /** Its keys themselves: a key set of RFC 7517. */
    jwks: z.custom<object>((value) => isKeySet(value), 'is a key set: { keys: [...] }').optional(),
    /** The claim that names the account. */
    account: z.string().min(1, 'is the name of a claim').default('sub'),
    /** The claim that names groups, which count beside the account's own. */
    groups: z.string().min(1, 'is the name of a claim').optional(),
    /** Whether its word makes somebody a member of `admins`. */
    administers: z.boolean().default(false),
    algorithms: z
      .array(z.enum(ALGORITHMS as [string, ...string[]], `is one of ${ALGORITHMS.join(', ')}`))
      .min(1, 'has at least one')
      .default(ALGORITHMS),
  })
  .refine(({ jwks, jwksUrl }) => (jwks === undefined) !== (jwksUrl === undefined), 'has either jwksUrl or jwks');

export const accountsSchema = z.strictObject({
  /** Passwords and tokens in the clear over a network: `refuse`, or `allow` where the network is one's own. */
  plaintext: z.enum(['refuse', 'allow'], 'is `refuse` or `allow`').default('refuse'),
  /** Whose JSON Web Tokens are taken. */
  issuers: z
    .array(issuer)
    .refine((all) => new Set(all.map((each) => each.issuer)).size === all.length, 'has two issuers of one name')
    .default([]),
});

export function issuerPlans({ issuers }: z.output<typeof accountsSchema>): IssuerPlan[] {
  return issuers.map(({ jwks, jwksUrl, audience, ...rest }) => ({
    ...rest,
    audience: typeof audience === 'string' ? [audience] : audience,
    ...(jwks === undefined ? {} : { jwks }),
    ...(jwksUrl === undefined ? {} : { jwksUrl }),
  }));
}

function isKeyAddress(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, hostname } = new URL(text);
  return protocol === 'https:' || (protocol === 'http:' && ['localhost', '127.0.0.1', '[::1]'].includes(hostname));
}

function isKeySet(value: unknown): boolean {
  try {
    checkedKeys(value);
    return true;
  } catch {
    return false;
  }
}
