// What may be written of sites in the configuration: folders, upstreams and redirects, by path and by name.
import { z } from 'zod';
import { hostEntryProblem } from '../protocols/http/hosts.ts';

const path = z.string().regex(/^\/[\x21-\x7e]*$/, 'is a path that begins with `/`');

const common = {
  /** Exactly this path, or all below it when it ends with `/`. */
  path,
  /** Names for which it stands; all when absent. */
  hosts: z
    .array(
      z.string().superRefine((entry, context) => {
        const problem = hostEntryProblem(entry);
        if (problem !== null) context.addIssue(problem);
      }),
    )
    .min(1, 'name at least one host')
    .optional(),
  /** `anyone`, or only those who have `signed-in`. */
  access: z.enum(['anyone', 'signed-in'], 'is `anyone` or `signed-in`').default('anyone'),
};

const fileName = z
  .string()
  .regex(/^(?!\.{1,2}(?:\/|$))[^/\\]+(?:\/[^/\\]+)*$/, 'is a name of a file below the folder')
  .refine((name) => !name.split('/').includes('..'), 'stays below the folder');

const folder = z.strictObject({
  ...common,
  path: path.endsWith('/', 'is a path that ends with `/`, below which the folder stands'),
  /** On the disk; from where the server was started. */
  folder: z.string().min(1, 'is a folder'),
  /** Names that stand for their folder. */
  index: z.array(fileName).default(['index.html']),
  /** A file that answers for pages that are not there: of applications that route by themselves. */
  fallback: fileName.optional(),
  /** Whether folders without an index are listed. */
  listing: z.boolean().default(false),
  /** Whether `x.br`, `x.gz` and `x.zst` are sent for `x` to those who take them. */
  precompressed: z.boolean().default(true),
  /** Cache-Control of its answers; `no-cache` when absent, which asks each time and is answered 304. */
  cacheControl: z
    .string()
    .regex(/^[\x20-\x7e]+$/, 'is a value of Cache-Control')
    .optional(),
});

const upstream = z.string().superRefine((text, context) => {
  const problem = upstreamProblem(text);
  if (problem !== null) context.addIssue(problem);
});

const proxy = z.strictObject({
  ...common,
  /** `http://10.0.0.5:3000`, `https://api.example`: one or several, in turn. */
  upstreams: z.array(upstream).min(1, 'name at least one upstream'),
  /** Asks for what is below `path` only: with `/api/`, `/api/x` becomes `/x`. */
  strip: z.boolean().default(false),
  /** `keep` tells the upstream the name that the client asked for; `upstream` its own. */
  host: z.enum(['keep', 'upstream'], 'is `keep` or `upstream`').default('keep'),
  /** PEM of the authorities that an https upstream's certificate is checked against; the platform's when absent. */
  authorities: z.string().optional(),
  /** How long an upstream may say nothing. */
  silenceMs: z.int().min(100, 'is at least 100').max(86_400_000, 'is at most a day').default(60_000),
  /** A path that is asked at intervals. Without it, only requests tell who is well. */
  health: z
    .strictObject({
      path,
      everyMs: z.int().min(100, 'is at least 100').max(3_600_000, 'is at most an hour').default(5_000),
      withinMs: z.int().min(10, 'is at least 10').max(600_000, 'is at most ten minutes').default(2_000),
    })
    .optional(),
});

const redirect = z.strictObject({
  ...common,
  /** A path, or a URL. Where both end with `/`, what is below follows. */
  redirect: z.string().regex(/^(?:\/(?!\/)|https?:\/\/)[\x21-\x7e]*$/, 'is a path or a URL'),
  status: z
    .union(
      [z.literal(301), z.literal(302), z.literal(303), z.literal(307), z.literal(308)],
      'is 301, 302, 303, 307 or 308',
    )
    .default(308),
});

export const siteSchema = z
  .union(
    [folder, proxy, redirect],
    'has a `folder`, `upstreams` or a `redirect`, and nothing that does not belong to it',
  )
  .superRefine((site, context) => {
    if ('upstreams' in site && site.strip && !site.path.endsWith('/'))
      context.addIssue('strip needs a path that ends with `/`');
  });

export type SiteConfig = z.output<typeof siteSchema>;
export type FolderConfig = z.output<typeof folder>;
export type ProxyConfig = z.output<typeof proxy>;
export type RedirectConfig = z.output<typeof redirect>;

/** Why a text is no upstream, or null. */
function upstreamProblem(text: string): string | null {
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    return `has ${JSON.stringify(text)}, which is no URL; write http://host:port or https://host:port`;
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    return `has ${url.protocol}, which is not spoken to upstreams`;
  if (url.username !== '' || url.password !== '') return 'has a name or password in its URL, which is not sent';
  if (url.search !== '' || url.hash !== '') return 'has a query or fragment, which cannot be before a path';
  return null;
}
