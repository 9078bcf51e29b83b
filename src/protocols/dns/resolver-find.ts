// Finds one name and type by asking: down the delegations from the nearest that is known, showing each server no more of the name than
// it must see (RFC 9156), or by way of a forwarder. It reads replies with suspicion and leaves trust in signatures to the judge.
import type { Instant } from '../../core/time.ts';
import { checkName } from '../../formats/dns/name.ts';
import { TYPE } from '../../formats/dns/records.ts';
import { isWithin, keyOf, labelCount, lastLabels, parentKey } from '../../formats/dnssec/names.ts';
import { type Cache, type Finding, type FindingKind, INDETERMINATE } from './cache.ts';
import { Ask, type AskEnd, type Dice } from './resolver-asks.ts';
import type { Job, Work } from './resolver-jobs.ts';
import type { ResolverBound } from './resolver-limits.ts';
import type { Reply, SignedSet } from './resolver-reply.ts';
import type {
  Carrier,
  Delegation,
  Delegations,
  NamedServer,
  Server,
  ServerPoint,
  Servers,
} from './resolver-servers.ts';
import { EDE, RCODE } from './wire.ts';

interface Heard {
  readonly reply: Reply;
  readonly says: Said;
}

/** Which servers not to ask, since they were caught telling wrong, and who answered last. */
export interface Attempt {
  readonly avoid: Set<Server>;
  last: Server | null;
}

/** What a reply says to a question asked of the servers of a zone. */
export type Said =
  | { readonly kind: 'data' | 'alias'; readonly set: SignedSet; readonly from: SignedSet | null }
  | { readonly kind: 'nodata' | 'nxdomain'; readonly soa: SignedSet | null }
  | { readonly kind: 'referral'; readonly ns: SignedSet }
  | { readonly kind: 'lame' };

const LAME: Said = { kind: 'lame' };

export interface FinderSettings {
  readonly bound: ResolverBound;
  readonly minimises: boolean;
  /** Which addresses may be asked: a zone may name any, ours and our neighbours' too. */
  readonly mayAsk: (host: string) => boolean;
  /** The port of authoritative servers. */
  readonly port: number;
  readonly families: readonly (4 | 6)[];
}

export interface FinderParts {
  readonly now: Instant;
  readonly cache: Cache;
  readonly servers: Servers;
  readonly delegations: Delegations;
  readonly dice: Dice;
  lookup(name: Buffer, type: number, job: Job): Work<Finding>;
  /** A referral came with what the parent says of the child's keys. */
  delegated(finding: Finding, job: Job): Work<void>;
}

/** Labels that are shown one by one before the whole name is (RFC 9156 §2.3). */
const MINIMISED_MAX = 10;
/** Referrals within one question. */
const REFERRALS_MAX = 20;
/** Times that one server is asked again for one question: over a stream, without EDNS, with its new cookie. */
const ROUNDS_MAX = 5;
/** Servers of one zone that are asked for one question. */
const TRIES_MAX = 10;
const DELEGATION_SECONDS_MAX = 86_400;
/** Denials are kept no longer (RFC 2308 §5). */
const DENIAL_SECONDS_MAX = 10_800;
const NAMED_SERVERS_MAX = 16;

export class Finder {
  private readonly settings: FinderSettings;
  private readonly parts: FinderParts;

  constructor(settings: FinderSettings, parts: FinderParts) {
    this.settings = settings;
    this.parts = parts;
  }

  /** Finds out what is said, not yet judged. */
  *find(name: Buffer, key: string, type: number, job: Job, attempt: Attempt): Work<Finding> {
    const { delegations } = this.parts;
    // Only the parent knows of DS (RFC 4035 §3.1.4.1).
    let delegation = delegations.nearest(type === TYPE.DS && key !== '' ? parentKey(key) : key, this.parts.now);
    const labels = labelCount(name);
    let shown = this.settings.minimises && delegation.forward === null ? labelCount(delegation.zone) + 1 : labels;
    let steps = 0;
    for (let referrals = 0; referrals < REFERRALS_MAX; ) {
      const whole = shown >= labels || steps++ >= MINIMISED_MAX;
      const asked = whole ? name : lastLabels(name, shown);
      const heard = yield* this.askZone(delegation, asked, whole ? type : TYPE.A, job, attempt);
      if (heard === null) {
        if (whole) return this.failed(name, key, type, delegation.zone, EDE.NO_REACHABLE_AUTHORITY);
        // A server that stumbles over a name that it was not asked for before is shown the whole (RFC 9156 §3).
        shown = labels;
        continue;
      }
      const { says, reply } = heard;
      if (says.kind === 'referral') {
        referrals++;
        const next = this.learn(delegation, says.ns, reply);
        yield* this.delegated(delegation, next, reply, job);
        delegation = next;
        shown = Math.min(labels, Math.max(shown, labelCount(next.zone) + 1));
        if (!this.settings.minimises) shown = labels;
        continue;
      }
      if (!whole) {
        shown = says.kind === 'nodata' || says.kind === 'data' ? shown + 1 : labels;
        continue;
      }
      return this.found(name, key, type, delegation.zone, says, reply);
    }
    return this.failed(name, key, type, delegation.zone, EDE.NO_REACHABLE_AUTHORITY);
  }

  failed(name: Buffer, key: string, type: number, zone: Buffer, ede: number): Finding {
    return {
      ...{
        kind: 'failed',
        name,
        key,
        type,
        zone,
        security: INDETERMINATE,
        set: null,
        from: null,
        soa: null,
        proofs: [],
      },
      ...{ ttl: Math.ceil(this.settings.bound.failureMs / 1_000), since: this.parts.now, ede },
    };
  }

  private found(name: Buffer, key: string, type: number, zone: Buffer, says: Said, reply: Reply): Finding {
    const proofs = reply.authority.filter((set) => isProof(set) && isWithin(set.name, zone));
    const base = { name, key, type, zone, security: INDETERMINATE, proofs, since: this.parts.now, ede: -1 } as const;
    if (says.kind === 'data' || says.kind === 'alias')
      return {
        ...base,
        kind: says.kind,
        set: says.set,
        from: says.from,
        soa: null,
        ttl: Math.min(says.set.ttl, DELEGATION_SECONDS_MAX),
      };
    if (says.kind !== 'nodata' && says.kind !== 'nxdomain')
      return this.failed(name, key, type, zone, EDE.NO_REACHABLE_AUTHORITY);
    return { ...base, kind: says.kind, set: null, from: null, soa: says.soa, ttl: denialTtl(says.soa) };
  }

  /** Asks the servers of a zone until one says something. */
  private *askZone(delegation: Delegation, name: Buffer, type: number, job: Job, attempt: Attempt): Work<Heard | null> {
    const tried = new Set<Server>(attempt.avoid);
    const silent = new Set<Server>();
    let lookups = this.settings.bound.addressesPerReferral;
    const unknown = [...delegation.servers];
    for (let tries = 0; tries < TRIES_MAX; tries++) {
      if (job.budget.queries <= 0 || this.parts.now >= job.budget.until) return null;
      let server = this.best(this.points(delegation), tried);
      while (server === null && lookups > 0 && unknown.length > 0 && job.budget.names > 0) {
        const [next] = unknown.splice(this.parts.dice.below(unknown.length), 1);
        if (delegation.forward !== null || !this.isWorthLooking(next!, delegation.zone)) continue;
        lookups--;
        job.budget.names--;
        yield* this.lookUpServer(next!, job);
        server = this.best(this.points(delegation), tried);
      }
      if (server === null) {
        // Everybody was asked once; those that only timed out are asked again.
        if (silent.size === 0) return null;
        for (const one of silent) tried.delete(one);
        silent.clear();
        tries--;
        continue;
      }
      tried.add(server);
      const reply = yield* this.exchange(server, name, type, delegation.forward !== null, job);
      if (reply === 'timeout') silent.add(server);
      if (typeof reply === 'string') continue;
      const says =
        delegation.forward === null ? read(reply, delegation.zone, name, type) : readForwarded(reply, name, type);
      if (says.kind === 'lame') continue;
      attempt.last = server;
      return { reply, says };
    }
    return null;
  }

  /** Whether the address of a server can be found elsewhere than at that very server. */
  private isWorthLooking({ name, addresses }: NamedServer, zone: Buffer): boolean {
    return addresses.length === 0 && !isWithin(name, zone);
  }

  private *lookUpServer({ name }: NamedServer, job: Job): Work<void> {
    for (const family of this.settings.families) {
      const found = yield* this.parts.lookup(name, family === 4 ? TYPE.A : TYPE.AAAA, job);
      if (found.kind === 'data' || found.kind === 'nxdomain') return;
    }
  }

  /** Every point at which a zone's servers are known to be. */
  private points({ servers, forward }: Delegation): readonly ServerPoint[] {
    if (forward !== null) return forward;
    const { families, mayAsk, port } = this.settings;
    const points: ServerPoint[] = [];
    for (const { name, addresses } of servers) {
      const all = addresses.length > 0 ? addresses : this.knownAddresses(name);
      for (const host of all)
        if (families.includes(host.includes(':') ? 6 : 4) && mayAsk(host)) points.push({ host, port, carrier: 'udp' });
    }
    return points;
  }

  private knownAddresses(name: Buffer): string[] {
    const hosts: string[] = [];
    for (const family of this.settings.families) {
      const type = family === 4 ? TYPE.A : TYPE.AAAA;
      const found = this.parts.cache.find(keyOf(name), type, this.parts.now);
      if (found?.kind === 'data') for (const data of found.set!.data.slice(0, 8)) hosts.push(hostOf(data));
    }
    return hosts;
  }

  /** The one that should cost least, or at times another, so that what is known of all stays true. */
  private best(points: readonly ServerPoint[], tried: ReadonlySet<Server>): Server | null {
    const { dice, now, servers } = this.parts;
    let best: Server | null = null;
    let least = Number.POSITIVE_INFINITY;
    for (const point of points) {
      const server = servers.of(point);
      if (tried.has(server) || server.waiting >= this.settings.bound.asksPerServer) continue;
      // Within this band the choice is by chance: an attacker must guess the server too (RFC 5452 §4.4).
      const cost = server.cost(now) + dice.below(60);
      if (cost < least) {
        least = cost;
        best = server;
      }
    }
    return best;
  }

  /** Asks one server, in the ways that it understands. */
  private *exchange(server: Server, name: Buffer, type: number, recursion: boolean, job: Job): Work<Reply | AskEnd> {
    const { dice, servers } = this.parts;
    let carrier: Carrier = server.point.carrier;
    let cookies = 0;
    for (let round = 0; round < ROUNDS_MAX; round++) {
      if (job.budget.queries-- <= 0 || this.parts.now >= job.budget.until) return 'lost';
      const { now } = this.parts;
      const edns = server.takesEdns(now);
      const own = edns && carrier !== 'https' ? servers.clientCookie(server) : null;
      const cookie = own === null || server.cookie === null ? own : Buffer.concat([own, server.cookie]);
      const checksCase = server.keepsCase(now);
      const ask = new Ask(server, carrier, checksCase ? dice.cased(name) : name, type, dice.u16(), {
        ...{ recursion, edns, cookie, checksCase },
      });
      const reply = (yield ask) as Reply | AskEnd;
      if (reply === 'suspicious' && carrier === 'udp') {
        // Nobody who only guesses can write into a stream.
        carrier = 'tcp';
        continue;
      }
      if (typeof reply === 'string') return reply;
      if (!reply.keptCase && carrier !== 'udp') server.changesCase(now);
      if (reply.isTruncated && carrier === 'udp') {
        carrier = 'tcp';
        continue;
      }
      if (reply.rcode === RCODE.BADCOOKIE && cookies++ < 2) {
        if (cookies === 2 && carrier === 'udp') carrier = 'tcp';
        continue;
      }
      const puzzled = reply.rcode === RCODE.FORMERR || reply.rcode === RCODE.NOTIMP || reply.rcode === RCODE.BADVERS;
      if (puzzled && edns && (!reply.hasOpt || reply.rcode === RCODE.BADVERS)) {
        server.refusesEdns(now);
        continue;
      }
      return reply;
    }
    return 'lost';
  }

  /** Keeps a referral; glue counts only from where the parent may speak (RFC 2181 §5.4.1). */
  private learn(above: Delegation, ns: SignedSet, reply: Reply): Delegation {
    const names = ns.data.slice(0, NAMED_SERVERS_MAX);
    const servers = names.map((name): NamedServer => {
      const key = keyOf(name);
      const addresses = isWithin(name, above.zone)
        ? reply.additional
            .filter((set) => set.key === key && (set.type === TYPE.A || set.type === TYPE.AAAA))
            .flatMap(({ data }) => data.slice(0, 8).map(hostOf))
        : [];
      return { name, addresses };
    });
    const until = this.parts.now + Math.min(ns.ttl, DELEGATION_SECONDS_MAX) * 1_000;
    const delegation = { zone: ns.name, key: ns.key, servers, until, forward: null };
    if (ns.ttl > 0) this.parts.delegations.learn(delegation);
    return delegation;
  }

  /** What a referral says of the child's keys is the parent's answer for DS (RFC 4035 §3.1.4). */
  private *delegated(above: Delegation, child: Delegation, reply: Reply, job: Job): Work<void> {
    const proofs = reply.authority.filter((set) => isProof(set) && isWithin(set.name, above.zone));
    const set = reply.authority.find(({ key, type }) => key === child.key && type === TYPE.DS) ?? null;
    if (set === null && proofs.length === 0) return;
    const kind: FindingKind = set === null ? 'nodata' : 'data';
    const least = Math.min(...proofs.map(({ ttl }) => ttl), set?.ttl ?? DENIAL_SECONDS_MAX);
    yield* this.parts.delegated(
      {
        ...{ kind, name: child.zone, key: child.key, type: TYPE.DS, zone: above.zone, security: INDETERMINATE },
        ...{ set, from: null, soa: null, proofs, ttl: least, since: this.parts.now, ede: -1 },
      },
      job,
    );
  }
}

function isProof({ type }: SignedSet): boolean {
  return type === TYPE.NSEC || type === TYPE.NSEC3;
}

function hostOf(data: Buffer): string {
  if (data.length === 4) return data.join('.');
  const parts: string[] = [];
  for (let at = 0; at < 16; at += 2) parts.push(data.readUInt16BE(at).toString(16));
  return parts.join(':');
}

/** Seconds that a denial lives: the SOA's own, or its minimum if that is less (RFC 2308 §5); without one, it is not kept. */
function denialTtl(soa: SignedSet | null): number {
  if (soa === null) return 0;
  const data = soa.data[0]!;
  return Math.min(soa.ttl, data.readUInt32BE(data.length - 4), DENIAL_SECONDS_MAX);
}

/** Reads what the servers of `zone` say to a question; what they may not say is as if it were not there. */
export function read(reply: Reply, zone: Buffer, name: Buffer, type: number): Said {
  if (reply.rcode !== RCODE.NOERROR && reply.rcode !== RCODE.NXDOMAIN) return LAME;
  const answer = readAnswer(reply, zone, name, type);
  if (answer !== null) return reply.isAuthoritative ? answer : LAME;
  const soa = soaOf(reply, zone, name);
  if (reply.rcode === RCODE.NXDOMAIN) return reply.isAuthoritative ? { kind: 'nxdomain', soa } : LAME;
  const key = keyOf(name);
  const ns = reply.authority.find(
    (set) =>
      set.type === TYPE.NS &&
      key.startsWith(set.key) &&
      set.key.length > keyOf(zone).length &&
      isWithin(set.name, zone),
  );
  // The child's servers answer for DS as if they were the parent's: they are not (RFC 4035 §3.1.4.1).
  if (ns !== undefined && soa === null) return type === TYPE.DS && ns.key === key ? LAME : { kind: 'referral', ns };
  return reply.isAuthoritative || soa !== null ? { kind: 'nodata', soa } : LAME;
}

/** As `read`, of a recursive server that speaks for all zones. */
export function readForwarded(reply: Reply, name: Buffer, type: number): Said {
  if (reply.rcode !== RCODE.NOERROR && reply.rcode !== RCODE.NXDOMAIN) return LAME;
  const root = name.subarray(name.length - 1);
  const answer = readAnswer(reply, root, name, type);
  if (answer !== null) return answer;
  // A server that does not recurse knows only of its own zones that something is not there.
  if (reply.rcode === RCODE.NOERROR && !reply.offersRecursion && !reply.isAuthoritative) return LAME;
  return { kind: reply.rcode === RCODE.NXDOMAIN ? 'nxdomain' : 'nodata', soa: soaOf(reply, root, name) };
}

function readAnswer(reply: Reply, zone: Buffer, name: Buffer, type: number): Said | null {
  const key = keyOf(name);
  for (const set of reply.answer) if (set.key === key && set.type === type) return { kind: 'data', set, from: null };
  if (type === TYPE.CNAME || type === TYPE.DS) return null;
  for (const set of reply.answer)
    if (set.type === TYPE.DNAME && set.key !== key && key.startsWith(set.key) && isWithin(set.name, zone)) {
      const made = aliasOf(set, name, key);
      if (made !== null) return { kind: 'alias', set: made, from: set };
    }
  for (const set of reply.answer)
    if (set.key === key && set.type === TYPE.CNAME) return { kind: 'alias', set, from: null };
  return null;
}

/** The alias that a DNAME makes for a name below it (RFC 6672 §2.2); null when that would be too long. */
export function aliasOf(dname: SignedSet, name: Buffer, key: string): SignedSet | null {
  const target = dname.data[0]!;
  const head = name.subarray(0, name.length - dname.name.length);
  const data = Buffer.concat([head, target]);
  if (checkName(data, 0, data.length) !== data.length) return null;
  return { name, key, type: TYPE.CNAME, ttl: dname.ttl, data: [data], signatures: [] };
}

function soaOf(reply: Reply, zone: Buffer, name: Buffer): SignedSet | null {
  for (const set of reply.authority)
    if (set.type === TYPE.SOA && isWithin(set.name, zone) && isWithin(name, set.name) && set.data[0]!.length >= 22)
      return set;
  return null;
}
