// Who takes a recipient: mailboxes, aliases, catch-alls, plus-addressing, topics; or another domain.
import { INVALID, MISSING } from '../../core/outcome.ts';
import type { Route } from './contract.ts';
import { MAIL_LIMITS } from './limits.ts';
import { type AddressParts, mailboxName, readAddress } from './names.ts';

export interface RouteSettings {
  readonly domains: readonly string[];
  readonly catching: boolean;
  /** By address, or by what stands before the `@` for all domains: addresses of here and elsewhere, names of here. */
  readonly aliases: Readonly<Record<string, readonly string[]>>;
  /** By domain: who takes what nobody else does. */
  readonly catchAll: Readonly<Record<string, string>>;
  /** Who has a mailbox by right, and so gets one when mail comes: an account. */
  readonly isAccount: (name: string) => boolean;
  readonly hasMailbox: (name: string) => boolean;
}

/** `topics+a.b` publishes to `a/b`. */
const TOPICS = 'topics';
/** Whoever runs a domain reads this (RFC 5321 §4.5.1). */
const POSTMASTER = 'postmaster';

export class Routes {
  private readonly settings: RouteSettings;
  private readonly aliases: ReadonlyMap<string, readonly string[]>;

  constructor(settings: RouteSettings) {
    this.settings = settings;
    this.aliases = new Map(
      Object.entries(settings.aliases).map(([name, targets]) => [name.toLowerCase().normalize('NFC'), targets]),
    );
  }

  of(address: string): Route {
    const { domains, catching } = this.settings;
    // `RCPT TO:<postmaster>` has no domain (RFC 5321 §4.1.1.3).
    const parts =
      address.toLowerCase() === POSTMASTER && domains.length > 0
        ? { local: POSTMASTER, domain: domains[0]! }
        : readAddress(address);
    if (parts === null) return { kind: 'refused', outcome: INVALID };
    const found = new Found();
    const isOurs = domains.includes(parts.domain);
    if (isOurs || catching) this.resolve(parts, found, 0);
    else return { kind: 'elsewhere', address };
    if (found.isEmpty) return { kind: 'refused', outcome: MISSING };
    return {
      kind: 'here',
      mailboxes: [...found.mailboxes],
      topics: [...found.topics],
      onward: [...found.onward],
      detail: parts.local.includes('+') ? parts.local.slice(parts.local.indexOf('+') + 1) : '',
    };
  }

  private resolve({ local, domain }: AddressParts, found: Found, depth: number): void {
    const plus = local.indexOf('+');
    const base = plus > 0 ? local.slice(0, plus) : local;
    if (base.toLowerCase() === TOPICS && plus > 0) {
      const topic = topicOf(local.slice(plus + 1));
      if (topic !== null) found.topics.add(topic);
      return;
    }
    const targets = this.aliasOf(local, domain) ?? this.aliasOf(base, domain);
    if (targets !== undefined) {
      if (depth < MAIL_LIMITS.aliasDepthMax) for (const target of targets) this.target(target, domain, found, depth);
      return;
    }
    const mailbox = this.mailboxOf(local, domain) ?? this.mailboxOf(base, domain);
    if (mailbox !== null) found.mailboxes.add(mailbox);
    else this.otherwise(base, domain, found, depth);
  }

  /** Nobody has it by name. */
  private otherwise(base: string, domain: string, found: Found, depth: number): void {
    const { catchAll, catching } = this.settings;
    const taker = catchAll[domain] ?? catchAll['*'];
    if (taker !== undefined && depth < MAIL_LIMITS.aliasDepthMax) this.target(taker, domain, found, depth);
    else if (catching) found.mailboxes.add(mailboxName(base, domain));
  }

  private aliasOf(local: string, domain: string): readonly string[] | undefined {
    return this.aliases.get(mailboxName(local, domain)) ?? this.aliases.get(local.toLowerCase().normalize('NFC'));
  }

  private mailboxOf(local: string, domain: string): string | null {
    const { hasMailbox, isAccount, domains } = this.settings;
    const name = mailboxName(local, domain);
    if (hasMailbox(name) || isAccount(name)) return name;
    // An account has its address in every domain of ours, and one mailbox.
    if (!domains.includes(domain)) return null;
    const plain = name.slice(0, name.lastIndexOf('@'));
    return isAccount(plain) ? mailboxName(plain, domains[0]!) : null;
  }

  private target(target: string, domain: string, found: Found, depth: number): void {
    if (found.size >= MAIL_LIMITS.aliasesMax) return;
    const parts = target.includes('@') ? readAddress(target) : { local: target, domain };
    if (parts === null) return;
    const name = mailboxName(parts.local, parts.domain);
    if (found.seen.has(name)) return;
    found.seen.add(name);
    if (this.settings.domains.includes(parts.domain) || this.settings.catching) this.resolve(parts, found, depth + 1);
    else found.onward.add(target);
  }
}

class Found {
  readonly mailboxes = new Set<string>();
  readonly topics = new Set<string>();
  readonly onward = new Set<string>();
  /** Aliases that were followed: each once. */
  readonly seen = new Set<string>();

  get size(): number {
    return this.mailboxes.size + this.topics.size + this.onward.size;
  }

  get isEmpty(): boolean {
    return this.size === 0;
  }
}

/** A dot is a level, `%2E` a dot. Null for what is no topic. */
function topicOf(text: string): string | null {
  const levels = text.split('.').map((level) => {
    try {
      return decodeURIComponent(level);
    } catch {
      return null;
    }
  });
  if (levels.some((level) => level === null || level === '')) return null;
  return levels.join('/');
}
