// The policies of MTA-STS that other domains have: announced by DNS, fetched by HTTPS, and kept as long as they say (RFC 8461).

import type { Log } from '../../core/log.ts';
import type { Reach } from '../../core/reach.ts';
import type { Turn } from '../../core/turn.ts';
import { readStsPolicy, type StsPolicy, stsId } from '../../protocols/smtp/transport-security.ts';
import type { Shelf } from '../../resources/mail/mail.ts';
import { Asker, UnansweredError } from '../asking.ts';
import type { Lookup } from '../names/looking-up.ts';

export interface StsOptions {
  readonly lookup: Lookup;
  /** The text of the policy behind a URL; rejects where it cannot be had. */
  readonly fetch: (url: string) => Promise<string>;
  /** Milliseconds since 1970. */
  readonly wall: () => number;
  readonly log: Log;
  /** Where they stand over a restart. */
  readonly shelf: Shelf;
}

interface Kept {
  readonly id: string;
  readonly policy: StsPolicy;
  readonly until: number;
}

const KEPT_MAX = 10_000;
const POLICY_BYTES_MAX = 65_536;
const FETCH_MS = 30_000;
/** After a fetch that failed, none is begun for so long (RFC 8461 §3.3). */
const AGAIN_MS = 300_000;

export class StsPolicies {
  private readonly options: StsOptions;
  private readonly kept = new Map<string, Kept>();
  private readonly failed = new Map<string, number>();
  private readonly fetching = new Map<string, Promise<StsPolicy | null>>();
  private loaded: Promise<void> | null = null;

  constructor(options: StsOptions) {
    this.options = options;
  }

  /** The policy of a domain; null for none. Never rejects. */
  async of(domain: string): Promise<StsPolicy | null> {
    const { lookup, wall } = this.options;
    this.loaded ??= this.load();
    await this.loaded;
    const known = this.kept.get(domain);
    const standing = known !== undefined && known.until > wall() ? known : null;
    const found = await lookup.find(`_mta-sts.${domain}`, 'TXT');
    const id = stsId(found.values);
    // Without a word from DNS the policy stands that was fetched: else whoever can take that away takes TLS away (RFC 8461 §3.1).
    if (id === null || standing?.id === id) return standing?.policy ?? null;
    if ((this.failed.get(domain) ?? 0) > wall()) return standing?.policy ?? null;
    let fetched = this.fetching.get(domain);
    if (fetched === undefined) {
      fetched = this.fetch(domain, id).finally(() => this.fetching.delete(domain));
      this.fetching.set(domain, fetched);
    }
    return (await fetched) ?? standing?.policy ?? null;
  }

  /** What was kept; what is too old goes. */
  private async load(): Promise<void> {
    const { shelf, wall, log } = this.options;
    const old: string[] = [];
    try {
      await shelf.read((domain, value) => {
        if ((value as Kept).until > wall()) this.kept.set(domain, value as Kept);
        else old.push(domain);
      });
      for (const domain of old) await shelf.remove(domain);
    } catch (error) {
      log.error('the policies of MTA-STS that were kept cannot be read', { why: String(error) });
    }
  }

  private async fetch(domain: string, id: string): Promise<StsPolicy | null> {
    const { fetch, wall, log, shelf } = this.options;
    let why = 'it is no policy';
    try {
      const policy = readStsPolicy(await fetch(`https://mta-sts.${domain}/.well-known/mta-sts.txt`));
      if (policy !== null) {
        const kept = { id, policy, until: wall() + policy.maxAgeSeconds * 1_000 };
        this.kept.delete(domain);
        if (this.kept.size >= KEPT_MAX) {
          const oldest = this.kept.keys().next().value!;
          this.kept.delete(oldest);
          void shelf.remove(oldest);
        }
        this.kept.set(domain, kept);
        await shelf.put(domain, kept);
        return policy;
      }
    } catch (error) {
      if (!(error instanceof UnansweredError)) throw error;
      why = error.message;
    }
    if (this.failed.size >= KEPT_MAX) this.failed.clear();
    this.failed.set(domain, wall() + AGAIN_MS);
    log.info('a policy of MTA-STS cannot be had', { domain, why });
    return null;
  }
}

/** Fetches by the server's own client: no redirects, a certificate that holds, and within the rules of the way out (RFC 8461 §3.3). */
export function stsFetcher(
  reach: Reach,
  turn: Turn,
  lookup: Lookup,
): { fetch(url: string): Promise<string>; close(): void } {
  const asker = new Asker(reach, turn);
  return {
    async fetch(url) {
      const { hostname } = new URL(url);
      const found = await lookup.find(hostname, 'A');
      const [host] = found.values.length > 0 ? found.values : (await lookup.find(hostname, 'AAAA')).values;
      if (host === undefined) throw new UnansweredError(`${hostname} has no address`);
      const told = await asker.ask(url, { at: { host, port: 443 }, bytesMax: POLICY_BYTES_MAX, withinMs: FETCH_MS });
      if (told.status !== 200) throw new UnansweredError(`${hostname} answered with ${told.status}`);
      if (!/^text\/plain(?:\s*;|$)/i.test(told.fields.get('content-type') ?? ''))
        throw new UnansweredError(`${hostname} answered with something that is not text/plain`);
      return told.body.toString('utf8');
    },
    close: () => asker.close(),
  };
}
