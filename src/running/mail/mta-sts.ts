// The policy by which others send mail to this server's domains within TLS or not at all (RFC 8461): its text, its id, and the page
// that has it.
import { createHash } from 'node:crypto';
import type { Config } from '../../config.ts';
import { answerProblem, answerText } from '../../protocols/http/answers.ts';
import type { Route } from '../../protocols/http/router.ts';

/** How long a policy is kept by those who fetched it: they ask for its id before each mail. */
const MAX_AGE_SECONDS = 7 * 86_400;
const PREFIX = 'mta-sts.';

/** What the mode of a policy may be: `none` publishes that there is none any more, `false` nothing. */
export type PolicyMode = 'enforce' | 'testing' | 'none';

/** The domains of mail, the own zone's among them, without their last dots. */
export function mailDomains({ mail, dns }: Config): string[] {
  const own = dns.zone === false ? [] : [dns.zone];
  return [...new Set([...own, ...mail.domains].map((name) => name.toLowerCase().replace(/\.$/, '')))].filter(
    (name) => name !== 'localhost',
  );
}

/** The policy of a domain; null where none is published. */
export function policyOf(config: Config, domain: string): string | null {
  const { mail, dns, protocols } = config;
  if (mail.mtaSts === false || protocols.smtp?.enabled === false || protocols.smtp?.tls?.enabled === false) return null;
  const zone = dns.zone === false ? null : dns.zone.toLowerCase().replace(/\.$/, '');
  const isWithin = zone !== null && (domain === zone || domain.endsWith(`.${zone}`));
  const named = mail.relay === false ? undefined : mail.relay.name;
  const host = isWithin ? zone : (named ?? mail.domains[0]!);
  return `version: STSv1\r\nmode: ${mail.mtaSts}\r\nmx: ${host}\r\nmax_age: ${MAX_AGE_SECONDS}\r\n`;
}

/** Another for each policy (RFC 8461 §3.1). */
export function policyId(policy: string): string {
  return createHash('sha256').update(policy).digest('hex').slice(0, 20);
}

/** Names at which policies are fetched: the server goes by them. */
export function policyHosts(config: Config): string[] {
  return mailDomains(config)
    .filter((domain) => policyOf(config, domain) !== null)
    .map((domain) => `${PREFIX}${domain}`);
}

export function policyRoutes(config: Config): Route[] {
  const policies = new Map<string, string>();
  for (const domain of mailDomains(config)) {
    const policy = policyOf(config, domain);
    if (policy !== null) policies.set(`${PREFIX}${domain}`, policy);
  }
  if (policies.size === 0) return [];
  return [
    {
      path: '/.well-known/mta-sts.txt',
      anyone: true,
      handler(exchange) {
        const policy = policies.get(exchange.authority.replace(/:\d*$/, '').toLowerCase());
        if (exchange.method !== 'GET' && exchange.method !== 'HEAD') answerProblem(exchange, 405, 'it is only read');
        else if (policy === undefined) answerProblem(exchange, 404, 'there is no policy of mail for that name');
        else answerText(exchange, 200, policy);
      },
    },
  ];
}
